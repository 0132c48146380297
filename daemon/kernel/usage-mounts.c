/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A mount's source is only a name, which can lie (a bind mount over it, a renamed node), so mounts
 * are taken by their device number. Only file systems over several devices have a number of no
 * device (btrfs), and then the source is all there is. */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <libmount.h>

#include "util/fd.h"
#include "util/string.h"

/* The others are told by an exclusive open. */
#define BTRFS_DEVICES_MAX 256

static void table_unrefp(struct libmnt_table **table) {
    mnt_unref_table(*table);
}

static void iter_freep(struct libmnt_iter **iter) {
    mnt_free_iter(*iter);
}

/* The block device of a name such as /dev/sda2. 1; 0: it is none. The name in sysfs where the node
 * is missing. Names elsewhere are not looked at, which could take for ever (a server that is gone);
 * a device that has its node there is told by an exclusive open. */
static int number_of_source(const struct usage_host *host, const char *source, dev_t *ret) {
    const char *name = string_after(source, "/dev/");
    char path[PATH_MAX];
    struct stat status;

    if (!name || (size_t)snprintf(path, sizeof(path), "%s/%s", host->dev, name) >= sizeof(path))
        return 0;
    if (stat(path, &status) == 0) {
        *ret = status.st_rdev;
        return S_ISBLK(status.st_mode);
    }
    if ((size_t)snprintf(path, sizeof(path), "class/block/%s", path_basename(name)) >= sizeof(path))
        return 0;
    return usage_read_number(host->sysfs, path, ret) == 0;
}

/* ---- Mounts */

static int add_mount(struct usage_mounts *mounts, dev_t number, const char *target) {
    struct usage_mount *grown =
        reallocarray(mounts->mounts, mounts->n_mounts + 1, sizeof(*grown));
    char *copy = strdup(target ?: "?");

    if (grown)
        mounts->mounts = grown;
    if (!grown || !copy) {
        free(copy);
        return -ENOMEM;
    }
    grown[mounts->n_mounts++] = (struct usage_mount){.number = number, .target = copy};
    return 0;
}

static const char *target_of(const struct usage_mounts *mounts, dev_t number) {
    for (size_t i = 0; i < mounts->n_mounts; i++)
        if (mounts->mounts[i].number == number)
            return mounts->mounts[i].target;
    return NULL;
}

/* bcachefs names several, with colons between; a colon can also be part of a name. */
static int add_sources(const struct usage_host *host, struct usage_mounts *mounts,
                       const char *sources, const char *target) {
    _cleanup_(freep) char *copy = strdup(sources);
    char *rest = copy, *source;
    dev_t number;
    int r = copy ? 0 : -ENOMEM;

    if (number_of_source(host, sources, &number) > 0)
        return add_mount(mounts, number, target);

    while (r >= 0 && (source = strsep(&rest, ":")))
        if (number_of_source(host, source, &number) > 0)
            r = add_mount(mounts, number, target);
    return r;
}

static int add_file_system(const struct usage_host *host, struct usage_mounts *mounts,
                           struct libmnt_fs *fs) {
    dev_t number = mnt_fs_get_devno(fs);
    const char *source = mnt_fs_get_srcpath(fs), *target = mnt_fs_get_target(fs);

    if (major(number) != 0)
        return add_mount(mounts, number, target);
    return source ? add_sources(host, mounts, source, target) : 0;
}

/* A file system of btrfs names only one of its devices as its source; sysfs has them all. */
static int spread_over(const struct usage_host *host, struct usage_mounts *mounts,
                       const char *folder) {
    dev_t numbers[BTRFS_DEVICES_MAX];
    _cleanup_(closedirp) DIR *devices = NULL;
    char path[PATH_MAX];
    struct dirent *entry;
    const char *target = NULL;
    size_t n = 0;
    int r = directory_open(host->sysfs, folder, &devices);

    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    while (n < ELEMENTS_OF(numbers) && (entry = directory_next(devices)))
        if (usage_follow(host->sysfs, folder, entry->d_name, path, sizeof(path)) >= 0 &&
            usage_read_number(host->sysfs, path, &numbers[n]) >= 0)
            n++;
    for (size_t i = 0; i < n && !target; i++)
        target = target_of(mounts, numbers[i]);
    for (size_t i = 0; r >= 0 && i < n && target; i++)
        if (!target_of(mounts, numbers[i]))
            r = add_mount(mounts, numbers[i], target);
    return r;
}

static int spread_btrfs(const struct usage_host *host, struct usage_mounts *mounts) {
    _cleanup_(closedirp) DIR *systems = NULL;
    char folder[PATH_MAX];
    struct dirent *entry;
    int r = directory_open(host->sysfs, "fs/btrfs", &systems);

    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    while (r >= 0 && (entry = directory_next(systems))) {
        snprintf(folder, sizeof(folder), "fs/btrfs/%s/devices", entry->d_name);
        r = spread_over(host, mounts, folder);
    }
    return r;
}

static int for_each(struct libmnt_table *table, const struct usage_host *host,
                    struct usage_mounts *mounts,
                    int (*found)(const struct usage_host *, struct usage_mounts *,
                                 struct libmnt_fs *)) {
    _cleanup_(iter_freep) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
    struct libmnt_fs *fs;
    int r = iter ? 0 : -ENOMEM;

    while (r >= 0 && mnt_table_next_fs(table, iter, &fs) == 0)
        r = found(host, mounts, fs);
    return r;
}

static int read_mounts(const struct usage_host *host, struct usage_mounts *mounts) {
    _cleanup_(table_unrefp) struct libmnt_table *table = mnt_new_table();
    char path[PATH_MAX];

    if (!table)
        return -ENOMEM;
    snprintf(path, sizeof(path), "%s/1/mountinfo", host->proc);
    _cleanup_(fclosep) FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    int r = mnt_table_parse_stream(table, file, path);
    if (r == 0 && ferror(file))
        r = -EIO;
    /* There is no system without a mount: libmount leaves out lines that it can not read. */
    if (r == 0 && mnt_table_is_empty(table))
        r = -ENODATA;
    if (r == 0)
        r = for_each(table, host, mounts, add_file_system);
    return r == 0 ? spread_btrfs(host, mounts) : r < 0 ? r : -EBADMSG;
}

/* ---- Swaps */

static int add_swap(const struct usage_host *host, struct usage_mounts *mounts,
                    struct libmnt_fs *fs) {
    const char *source = mnt_fs_get_srcpath(fs);
    dev_t *grown = reallocarray(mounts->swaps, mounts->n_swaps + 1, sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    mounts->swaps = grown;
    /* A file lies in a file system, which is mounted. */
    if (source && number_of_source(host, source, &grown[mounts->n_swaps]) > 0)
        mounts->n_swaps++;
    return 0;
}

static int read_swaps(const struct usage_host *host, struct usage_mounts *mounts) {
    _cleanup_(table_unrefp) struct libmnt_table *table = mnt_new_table();
    char path[PATH_MAX];

    if (!table)
        return -ENOMEM;
    snprintf(path, sizeof(path), "%s/swaps", host->proc);
    int r = mnt_table_parse_swaps(table, path);
    /* A kernel without swaps has no such file. */
    if (r == -ENOENT)
        return 0;
    return r == 0 ? for_each(table, host, mounts, add_swap) : r < 0 ? r : -EBADMSG;
}

/* ---- Loop devices, which are not among their file's holders */

static int add_loop(const struct usage_host *host, struct usage_mounts *mounts, const char *name) {
    char path[PATH_MAX], file[PATH_MAX];
    dev_t number;

    int r = usage_follow(host->sysfs, "class/block", name, path, sizeof(path));
    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    ssize_t length = usage_attribute(host->sysfs, path, "loop/backing_file", file, sizeof(file));
    if (length < 0)
        return usage_is_gone((int)length) ? 0 : (int)length;
    if (number_of_source(host, file, &number) <= 0)
        return 0;
    struct usage_loop *grown = reallocarray(mounts->loops, mounts->n_loops + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    mounts->loops = grown;
    grown[mounts->n_loops].number = number;
    grown[mounts->n_loops].path = strdup(path);
    return grown[mounts->n_loops++].path ? 0 : -ENOMEM;
}

static int read_loops(const struct usage_host *host, struct usage_mounts *mounts) {
    _cleanup_(closedirp) DIR *class = NULL;
    struct dirent *entry;
    uint32_t number;
    int r = directory_open(host->sysfs, "class/block", &class);

    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    while (r >= 0 && (entry = directory_next(class))) {
        const char *digits = string_after(entry->d_name, "loop");
        if (digits && parse_u32(digits, &number) == 0)
            r = add_loop(host, mounts, entry->d_name);
    }
    return r;
}

/* ---- All together */

void usage_mounts_clear(struct usage_mounts *mounts) {
    for (size_t i = 0; i < mounts->n_mounts; i++)
        free(mounts->mounts[i].target);
    for (size_t i = 0; i < mounts->n_loops; i++)
        free(mounts->loops[i].path);
    free(mounts->mounts);
    free(mounts->swaps);
    free(mounts->loops);
}

int usage_mounts_read(const struct usage_host *host, struct usage_mounts *ret) {
    struct usage_mounts mounts = {};

    mounts.mounts_error = read_mounts(host, &mounts);
    mounts.swaps_error = read_swaps(host, &mounts);
    mounts.loops_error = read_loops(host, &mounts);
    if (mounts.mounts_error == -ENOMEM || mounts.swaps_error == -ENOMEM ||
        mounts.loops_error == -ENOMEM) {
        usage_mounts_clear(&mounts);
        return -ENOMEM;
    }
    *ret = mounts;
    return 0;
}
