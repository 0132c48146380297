/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host for kernel/usage.h in three folders, and its answer as lines. Block devices are opened by
 * the test: "busy" and what stands on them is said by name. */

#include "kernel/usage-internal.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

#define NIC "devices/pci0000:00/0000:00:05.0"
#define DISK "devices/pci0000:00/0000:00:06.0"
#define SDA DISK "/host0/target0:0:0/0:0:0:0/block/sda"

static struct tree sys, proc, dev;
static char *answer;

static struct disk {
    const char *name;
    int error;
    const char *data; /* at `offset` */
    size_t size, offset;
} disks[8];
static size_t n_disks;

static inline struct disk *disk_of(const char *name) {
    for (size_t i = 0; i < n_disks; i++)
        if (string_equal(disks[i].name, name))
            return &disks[i];
    return NULL;
}

/* How the block device answers an exclusive open. Otherwise it is free and empty. */
static inline void set_disk(const char *name, int error, const char *data, size_t size,
                            size_t offset) {
    ck_assert_uint_lt(n_disks, ELEMENTS_OF(disks));
    disks[n_disks++] = (struct disk){name, error, data, size, offset};
}

static inline int fake_open(const struct usage_host *host, const char *name, dev_t number) {
    struct disk *disk = disk_of(name);
    int fd;

    if (disk && disk->error < 0)
        return disk->error;
    fd = memfd_create(name, MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
    if (disk)
        ck_assert_int_eq(pwrite(fd, disk->data, disk->size, (off_t)disk->offset),
                         (ssize_t)disk->size);
    return fd;
}

/* ---- Making it */

/* A class device; number NULL: without node. */
static inline void add_class(const char *path, const char *class, const char *number) {
    char file[PATH_MAX], target[128];

    snprintf(file, sizeof(file), "%s/subsystem", path);
    snprintf(target, sizeof(target), "../../../class/%s", class);
    tree_link(&sys, file, target);
    if (!number)
        return;
    snprintf(file, sizeof(file), "%s/dev", path);
    tree_file(&sys, file, number);
}

/* One that can be found in class/block by its name. */
static inline void add_block(const char *path, const char *number) {
    char file[PATH_MAX], target[PATH_MAX];

    add_class(path, "block", number);
    snprintf(file, sizeof(file), "class/block/%s", path_basename(path));
    snprintf(target, sizeof(target), "../../%s", path);
    tree_link(&sys, file, target);
}

static inline void add_partition(const char *path, const char *number) {
    char file[PATH_MAX];

    add_block(path, number);
    snprintf(file, sizeof(file), "%s/partition", path);
    tree_file(&sys, file, "1\n");
}

/* holder stands on the block device at path, which is so many folders below the root. */
static inline void add_holder(const char *path, const char *holder) {
    _cleanup_(freep) char *link = string_format("%s/holders/%s", path, path_basename(holder));
    char target[PATH_MAX] = "../../";

    for (const char *at = path; *at; at++)
        if (*at == '/')
            strcat(target, "../");
    strcat(target, holder);
    tree_link(&sys, link, target);
}

static inline void add_netdev(const char *path, unsigned ifindex) {
    char file[PATH_MAX], text[16];

    add_class(path, "net", NULL);
    snprintf(file, sizeof(file), "%s/ifindex", path);
    snprintf(text, sizeof(text), "%u\n", ifindex);
    tree_file(&sys, file, text);
}

#define MOUNT_OF_PROC "22 27 0:21 / /proc rw,relatime - proc proc rw\n"

static inline void set_mounts(const char *lines) {
    char text[4096];

    snprintf(text, sizeof(text), MOUNT_OF_PROC "%s", lines);
    tree_file(&proc, "1/mountinfo", text);
}

static inline void set_swaps(const char *lines) {
    char text[4096];

    snprintf(text, sizeof(text), "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n%s", lines);
    tree_file(&proc, "swaps", text);
}

static inline void usage_set_up(void) {
    tree_begin(&sys);
    tree_begin(&proc);
    tree_begin(&dev);
    set_mounts("");
    set_swaps("");
    tree_folder(&sys, NIC);
    tree_link(&sys, NIC "/subsystem", "../../../bus/pci");
    tree_folder(&sys, DISK);
    tree_link(&sys, DISK "/subsystem", "../../../bus/pci");
    n_disks = 0;
}

static inline void usage_tear_down(void) {
    tree_end(&sys);
    tree_end(&proc);
    tree_end(&dev);
    free(answer);
    answer = NULL;
}

/* ---- Asking it */

static inline void ask(const char *path) {
    const struct usage_host host = {
        .sysfs = sys.fd, .proc = proc.path, .dev = dev.path, .open_disk = fake_open};
    _cleanup_(fd_closep) int output = memfd_create("answer", MFD_CLOEXEC);
    char text[64];

    ck_assert_int_eq(usage_write_host(output, &host, &path, 1), 0);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", output);
    free(answer);
    answer = NULL;
    ck_assert_int_eq(file_read(AT_FDCWD, text, 1 << 20, &answer, NULL), 0);
}

static inline size_t count_lines(void) {
    size_t n = 0;

    for (const char *at = answer; (at = strchr(at, '\n')); at++)
        n++;
    return n;
}

/* The device at path has exactly n uses; more are looked for by `has`. */
static inline void expect_lines(const char *path, size_t n) {
    ask(path);
    ck_assert_msg(count_lines() == n, "not %zu lines: %s", n, answer);
}

/* The last answer has a line of these fields, "reason|public|text" or, if they are the same,
 * "reason|text". */
static inline void has(const char *fields) {
    char line[1024] = "use\t0\t";
    char *at = line + strlen(line);
    const char *last = strrchr(fields, '|');

    for (const char *from = fields; *from; from++)
        *at++ = *from == '|' ? '\t' : *from;
    *at = 0;
    if (strchr(fields, '|') == last)
        snprintf(at, (size_t)(line + sizeof(line) - at), "\t%s", last + 1);
    strcat(line, "\n");
    ck_assert_msg(strstr(answer, line) != NULL, "no line %s in: %s", line, answer);
}

/* It has this use and no other. */
static inline void expect(const char *path, const char *fields) {
    expect_lines(path, 1);
    has(fields);
}

static inline void expect_free(const char *path) {
    expect_lines(path, 0);
}
