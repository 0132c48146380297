/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/reserve-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "client/bus.h"
#include "util/fd.h"
#include "util/string.h"

/* Names that begin with a dot are not read. */
#define PENDING_FORMAT ".%s.new"

static enum exit_status fail(const struct client *client, const struct reserve_folder *folder,
                             const char *name, int r) {
    return client_fail(client, r == -EACCES || r == -EPERM ? STATUS_DENIED : STATUS_ERROR,
                       "%s%s%s: %s", folder->path, name ? "/" : "", name ? name : "",
                       strerror(-r));
}

void reserve_folder_done(struct reserve_folder *folder) {
    for (char **name = folder->pending; name && *name; name++) {
        _cleanup_(freep) char *pending = string_format(PENDING_FORMAT, *name);
        if (pending)
            (void)unlinkat(folder->fd, pending, 0);
    }
    strings_free(folder->pending);
    free(folder->path);
    fd_close(folder->fd);
}

/* The lock goes with the fd. */
enum exit_status reserve_folder_open(const struct client *client, const char *directory, bool make,
                                     struct reserve_folder *ret) {
    ret->directory = directory ? directory : SYSCONFDIR "/dmaownd";
    ret->path = string_format("%s/policy.d", ret->directory);
    if (!ret->path)
        return client_fail_memory(client);
    if (make && mkdir(ret->path, 0755) < 0 && errno != EEXIST)
        return fail(client, ret, NULL, -errno);
    ret->fd = open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->fd < 0 || flock(ret->fd, LOCK_EX) < 0)
        return fail(client, ret, NULL, -errno);
    return STATUS_DONE;
}

/* Like file_replace(), but the old file stays until the policy was checked with the new one. */
static int pending_write(const struct reserve_folder *folder, const char *pending,
                         const char *text) {
    _cleanup_(fd_closep) int fd = -1;

    if (unlinkat(folder->fd, pending, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(folder->fd, pending, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int r = fd_write_all(fd, text, strlen(text));
    return r < 0 ? r : fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

enum exit_status reserve_folder_write(const struct client *client, struct reserve_folder *folder,
                                      const char *name, const char *text) {
    _cleanup_(freep) char *pending = string_format(PENDING_FORMAT, name);

    if (strings_contain(folder->pending, name))
        return client_fail(client, STATUS_ERROR, "two groups would have the file %s/%s",
                           folder->path, name);
    if (!pending || strings_append(&folder->pending, name) < 0)
        return client_fail_memory(client);
    int r = pending_write(folder, pending, text);
    return r < 0 ? fail(client, folder, name, r) : STATUS_DONE;
}

/* ---- The check ------------------------------------------------------------------------------- */

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The paths that the files will have: policy.json first, the others in byte order. */
static int paths_after(const struct reserve_folder *folder, char ***ret) {
    _cleanup_(strings_freep) char **paths = NULL;
    int r = policy_list_files(folder->directory, &paths);

    for (char **name = folder->pending; r >= 0 && *name; name++) {
        _cleanup_(freep) char *path = string_format("%s/%s", folder->path, *name);
        if (!path)
            return -ENOMEM;
        if (!strings_contain(paths, path))
            r = strings_append(&paths, path);
    }
    if (r < 0)
        return r;
    size_t below = string_after(paths[0], folder->path) ? 0 : 1;
    qsort(paths + below, strings_length(paths) - below, sizeof(*paths), compare_strings);
    *ret = TAKE_POINTER(paths);
    return 0;
}

/* The pending file in the place of the one that it will be. */
static int path_of_pending(const struct reserve_folder *folder, char **path) {
    const char *name = path_basename(*path);

    if (!string_after(*path, folder->path) || !strings_contain(folder->pending, name))
        return 0;
    char *pending = string_format("%s/" PENDING_FORMAT, folder->path, name);
    if (!pending)
        return -ENOMEM;
    free(*path);
    *path = pending;
    return 0;
}

/* Names the pending files in the report as they would have been called. */
static int report_rename(const struct reserve_folder *folder, struct policy_report *report) {
    for (size_t i = 0; i < report->n_messages; i++) {
        struct policy_message *message = &report->messages[i];
        for (char **name = folder->pending; *name; name++) {
            _cleanup_(freep) char *pending = string_format("%s/" PENDING_FORMAT, folder->path, *name);
            if (!pending)
                return -ENOMEM;
            if (!string_equal(message->file, pending))
                continue;
            free(message->file);
            message->file = string_format("%s/%s", folder->path, *name);
            if (!message->file)
                return -ENOMEM;
        }
    }
    return 0;
}

/* True if the policy has an error already. */
static bool is_faulty(const struct client *client, const struct reserve_folder *folder) {
    _cleanup_(policy_report_done) struct policy_report report = {0};
    _cleanup_(policy_freep) struct policy *policy = NULL;

    return policy_files_load(client, folder->directory, NULL, 0, true, &policy, &report) !=
           STATUS_DONE;
}

enum exit_status reserve_folder_check(const struct client *client, struct reserve_folder *folder) {
    _cleanup_(policy_report_done) struct policy_report report = {0};
    _cleanup_(policy_freep) struct policy *policy = NULL;
    _cleanup_(strings_freep) char **paths = NULL;
    int r = paths_after(folder, &paths);

    for (size_t i = 0; r >= 0 && paths[i]; i++)
        r = path_of_pending(folder, &paths[i]);
    if (r < 0)
        return fail(client, folder, NULL, r);
    enum exit_status status =
        policy_files_load(client, NULL, (const char *const *)paths, strings_length(paths), true,
                          &policy, &report);
    if (report_rename(folder, &report) < 0)
        return client_fail_memory(client);
    (void)policy_report_print(client, &report, stderr);
    if (status != STATUS_DONE && is_faulty(client, folder))
        return client_fail(client, status, "the policy has an error already, so nothing was "
                           "written; correct it ('dmaownctl policy check'), then try again");
    if (status != STATUS_DONE)
        return client_fail(client, status, "the policy would have an error, so nothing was "
                           "written; change what the message names, or say it otherwise");
    return STATUS_DONE;
}

enum exit_status reserve_folder_commit(const struct client *client, struct reserve_folder *folder) {
    for (char **name = folder->pending; *name; name++) {
        _cleanup_(freep) char *pending = string_format(PENDING_FORMAT, *name);
        if (!pending)
            return client_fail_memory(client);
        if (renameat(folder->fd, pending, folder->fd, *name) < 0)
            return fail(client, folder, *name, -errno);
        _cleanup_(freep) char *path = string_format("%s/%s", folder->path, *name);
        _cleanup_(freep) char *escaped = path ? text_escape(path) : NULL;
        printf("%s\n", escaped ? escaped : *name);
    }
    strings_free(TAKE_POINTER(folder->pending));
    return fsync(folder->fd) < 0 ? fail(client, folder, NULL, -errno) : STATUS_DONE;
}
