/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which other mount namespace has a block device mounted. For people to read: that it is held, an
 * exclusive open has told already, and a mount may be in a namespace without processes. */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <libmount.h>

#include "util/fd.h"
#include "util/string.h"

#define NAMESPACES_MAX 256

static void table_unrefp(struct libmnt_table **table) {
    mnt_unref_table(*table);
}

/* The process's namespace was not looked at yet. */
static bool is_new(int process, char ***seen) {
    char name[64];

    if (link_read(process, "ns/mnt", name, sizeof(name)) < 0 || strings_contain(*seen, name) ||
        strings_length(*seen) >= NAMESPACES_MAX)
        return false;
    return strings_append(seen, name) >= 0;
}

static FILE *open_mounts(int process) {
    _cleanup_(fd_closep) int fd = openat(process, "mountinfo", O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

    if (file)
        (void)TAKE_FD(fd);
    return file;
}

/* Where it is mounted; NULL if it is not. The caller's. */
static char *find_target(int process, dev_t number) {
    _cleanup_(table_unrefp) struct libmnt_table *table = mnt_new_table();
    _cleanup_(fclosep) FILE *file = open_mounts(process);

    if (!table || !file || mnt_table_parse_stream(table, file, "mountinfo") != 0)
        return NULL;
    struct libmnt_fs *fs = mnt_table_find_devno(table, number, MNT_ITER_FORWARD);
    const char *target = fs ? mnt_fs_get_target(fs) : NULL;
    return target ? strdup(target) : NULL;
}

static char *describe(const char *target, const char *pid, int process) {
    char name[PATH_MAX];

    if (link_read(process, "exe", name, sizeof(name)) < 0)
        return string_format("on %s for pid %s", target, pid);
    return string_format("on %s for pid %s (%s)", target, pid, name);
}

static char *look_at_process(int proc, const char *pid, dev_t number, char ***seen) {
    _cleanup_(fd_closep) int process = fd_open_directory(proc, pid);

    if (process < 0 || !is_new(process, seen))
        return NULL;
    _cleanup_(freep) char *target = find_target(process, number);
    return target ? describe(target, pid, process) : NULL;
}

char *usage_mounted_elsewhere(const struct usage_host *host, dev_t number) {
    _cleanup_(strings_freep) char **seen = NULL;
    _cleanup_(closedirp) DIR *proc = NULL;
    struct dirent *entry;
    char *found = NULL;
    uint32_t pid;

    if (directory_open(AT_FDCWD, host->proc, &proc) < 0)
        return NULL;
    while (!found && (entry = directory_next(proc)))
        if (parse_u32(entry->d_name, &pid) == 0)
            found = look_at_process(dirfd(proc), entry->d_name, number, &seen);
    return found;
}
