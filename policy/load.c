/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where policies come from: a folder, a list of files, or memory. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/compile.h"
#include "util/fd.h"
#include "util/string.h"

#define DROP_IN_FOLDER "policy.d"

struct loader {
    struct compiler compiler;
    struct policy_report own_report; /* where the caller wants none */
    size_t size;                     /* of all files so far */
    size_t n_files;
    size_t errors;                   /* in the report before this load */
};

static void loader_done(struct loader *loader) {
    compiler_done(&loader->compiler);
    policy_report_done(&loader->own_report);
    policy_free(loader->compiler.policy);
}

static int loader_init(struct loader *loader, const struct policy_names *names,
                       struct policy_report *report) {
    *loader = (struct loader){ .compiler.resolver = names };
    loader->compiler.report = report ? report : &loader->own_report;
    loader->errors = loader->compiler.report->n_errors;
    loader->compiler.policy = policy_new();
    return loader->compiler.policy ? 0 : -ENOMEM;
}

static bool loader_is_sound(const struct loader *loader) {
    return loader->compiler.report->n_errors == loader->errors;
}

static int loader_finish(struct loader *loader, struct policy **ret) {
    compile_finish(&loader->compiler, loader_is_sound(loader));
    if (!loader_is_sound(loader))
        return POLICY_INVALID;
    *ret = TAKE_POINTER(loader->compiler.policy);
    return 0;
}

#define FILE_FAULT(loader, file, ...)                                                              \
    report_add((loader)->compiler.report, POLICY_ERROR, file, (struct location){ 0 }, __VA_ARGS__)

static void report_unreadable(struct loader *loader, const char *file, int error) {
    if (error == -EFBIG)
        FILE_FAULT(loader, file, "The file is larger than %d bytes; split it.",
                   POLICY_FILE_SIZE_MAX);
    else if (error == -EISDIR || error == -EINVAL)
        FILE_FAULT(loader, file, "This is not a regular file; put a file here or remove it.");
    else if (error == -ENOENT)
        FILE_FAULT(loader, file, "The file is gone, or is a link to a file that does not exist; "
                   "restore or remove it.");
    else if (error == -ELOOP)
        FILE_FAULT(loader, file, "The file is a symbolic link that leads to itself; replace it by "
                   "a file.");
    else
        FILE_FAULT(loader, file, "The file cannot be read (%s); correct that or remove it.",
                   strerror(-error));
}

/* Reads and compiles DIRECTORY/path, which is called file in messages. */
static int load_file(struct loader *loader, int directory, const char *path, const char *file) {
    _cleanup_(freep) char *data = NULL;
    size_t size;

    if (loader->n_files++ >= POLICY_FILES_MAX) {
        FILE_FAULT(loader, file, "This is one file more than the %d that a policy may have; join "
                   "some.", POLICY_FILES_MAX);
        return 0;
    }
    int r = strings_append(&loader->compiler.policy->files, file);
    if (r < 0)
        return r;
    r = file_read(directory, path, POLICY_FILE_SIZE_MAX, &data, &size);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        report_unreadable(loader, file, r);
        return 0;
    }
    loader->size += size;
    if (loader->size > POLICY_TOTAL_SIZE_MAX) {
        FILE_FAULT(loader, file, "With this file the policy is larger than %d bytes; shorten it.",
                   POLICY_TOTAL_SIZE_MAX);
        return 0;
    }
    return compile_file(&loader->compiler, file, data, size);
}

/* A link that leads nowhere is there, and is an error later. */
static bool has_main_file(int directory) {
    struct stat status;

    return fstatat(directory, "policy.json", &status, AT_SYMLINK_NOFOLLOW) >= 0 || errno != ENOENT;
}

static int load_main_file(struct loader *loader, int directory, const char *folder) {
    if (!has_main_file(directory))
        return 0;
    _cleanup_(freep) char *file = string_format("%s/policy.json", folder);
    return file ? load_file(loader, directory, "policy.json", file) : -ENOMEM;
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_policy_name(const char *name) {
    size_t length = strlen(name);

    return name[0] != '.' && length > strlen(".json") &&
           strcmp(name + length - strlen(".json"), ".json") == 0;
}

/* The names of the drop-ins, sorted; an errno if the folder cannot be listed. */
static int list_drop_ins(int directory, char ***ret) {
    _cleanup_(closedirp) DIR *folder = NULL;
    _cleanup_(strings_freep) char **names = NULL;
    struct dirent *entry;

    int r = directory_open(directory, DROP_IN_FOLDER, &folder);
    if (r < 0)
        return r;
    while (errno = 0, (entry = directory_next(folder))) {
        if (!is_policy_name(entry->d_name))
            continue;
        r = strings_append(&names, entry->d_name);
        if (r < 0)
            return r;
    }
    if (errno != 0)
        return -errno;
    if (names)
        qsort(names, strings_length(names), sizeof(*names), compare_strings);
    *ret = TAKE_POINTER(names);
    return 0;
}

static int load_drop_in(struct loader *loader, int directory, const char *folder,
                        const char *name) {
    _cleanup_(freep) char *path = string_format(DROP_IN_FOLDER "/%s", name);
    _cleanup_(freep) char *file = path ? string_format("%s/%s", folder, path) : NULL;

    return file ? load_file(loader, directory, path, file) : -ENOMEM;
}

static int load_drop_ins(struct loader *loader, int directory, const char *folder) {
    _cleanup_(strings_freep) char **names = NULL;
    int r = list_drop_ins(directory, &names);

    if (r == -ENOENT)
        return 0;
    if (r < 0 && r != -ENOMEM) {
        _cleanup_(freep) char *file = string_format("%s/" DROP_IN_FOLDER, folder);
        FILE_FAULT(loader, file ? file : folder, "The folder cannot be read (%s); correct that or "
                   "remove it.", strerror(-r));
        return 0;
    }
    for (size_t i = 0; r >= 0 && names && names[i] && i <= POLICY_FILES_MAX; i++)
        r = load_drop_in(loader, directory, folder, names[i]);
    return r;
}

int policy_load(const char *directory, const struct policy_names *names, struct policy **ret,
                struct policy_report *report) {
    _cleanup_(loader_done) struct loader loader;
    _cleanup_(fd_closep) int fd = -1;

    int r = loader_init(&loader, names, report);
    if (r < 0)
        return r;
    fd = fd_open_directory(AT_FDCWD, directory);
    if (fd >= 0) {
        r = load_main_file(&loader, fd, directory);
        if (r >= 0)
            r = load_drop_ins(&loader, fd, directory);
    } else if (fd != -ENOENT) {
        FILE_FAULT(&loader, directory, "The folder cannot be read (%s); correct that.",
                   strerror(-fd));
    }
    return r < 0 ? r : loader_finish(&loader, ret);
}

static int append_path(char ***paths, const char *folder, const char *below, const char *name) {
    _cleanup_(freep) char *path = string_format("%s/%s%s", folder, below, name);

    return path ? strings_append(paths, path) : -ENOMEM;
}

int policy_list_files(const char *directory, char ***ret) {
    _cleanup_(strings_freep) char **paths = NULL, **names = NULL;
    _cleanup_(fd_closep) int fd = fd_open_directory(AT_FDCWD, directory);
    int r = fd >= 0 ? list_drop_ins(fd, &names) : fd;

    if (r == -ENOENT)
        r = 0;
    if (r >= 0 && fd >= 0 && has_main_file(fd))
        r = append_path(&paths, directory, "", "policy.json");
    for (size_t i = 0; r >= 0 && names && names[i]; i++)
        r = append_path(&paths, directory, DROP_IN_FOLDER "/", names[i]);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(paths);
    return 0;
}

int policy_load_files(const char *const *paths, size_t n_paths, const struct policy_names *names,
                      struct policy **ret, struct policy_report *report) {
    _cleanup_(loader_done) struct loader loader;
    int r = loader_init(&loader, names, report);

    for (size_t i = 0; r >= 0 && i < n_paths; i++)
        r = load_file(&loader, AT_FDCWD, paths[i], paths[i]);
    return r < 0 ? r : loader_finish(&loader, ret);
}

int policy_parse_buffer(const char *name, const void *data, size_t size,
                        const struct policy_names *names, struct policy **ret,
                        struct policy_report *report) {
    _cleanup_(loader_done) struct loader loader;
    int r = loader_init(&loader, names, report);

    if (r < 0)
        return r;
    if (size > POLICY_FILE_SIZE_MAX) {
        report_unreadable(&loader, name, -EFBIG);
        return loader_finish(&loader, ret);
    }
    _cleanup_(freep) char *text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = 0;
    r = strings_append(&loader.compiler.policy->files, name);
    if (r >= 0)
        r = compile_file(&loader.compiler, name, text, size);
    return r < 0 ? r : loader_finish(&loader, ret);
}
