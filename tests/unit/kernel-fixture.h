/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A kernel that moves the drivers of a tree which stands for sysfs. It has done its work when the write
 * to an attribute returns, in whichever process: the test's own write() stands before the library's.
 *
 * A device takes the driver in its driver_override, else that in its file native. All that was written
 * is listed in the file "written"; a write fails with the errno in the file fail/ATTRIBUTE, or
 * fail/bind-DRIVER. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

static bool kernel_plays;
static char kernel_root[64]; /* tree.path, once it plays */

/* ---- What the tree says */

static inline int kernel_open(const char *path, int flags) {
    char full[PATH_MAX + 80];

    snprintf(full, sizeof(full), "%s/%s", kernel_root, path);
    return open(full, flags | O_CLOEXEC, 0644);
}

/* The first line; "" for none. */
static inline void kernel_read(const char *path, char *text, size_t size) {
    int fd = kernel_open(path, O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

    text[length < 0 ? 0 : length] = 0;
    text[strcspn(text, "\n")] = 0;
    fd_close(fd);
}

static inline void kernel_path_of(const char *name, const char *attribute, char path[PATH_MAX]) {
    snprintf(path, PATH_MAX, "devices/pci0000:00/%.64s%s%s", name, *attribute ? "/" : "", attribute);
}

/* ---- What it does */

static inline void kernel_note(const char *attribute, const char *name, const char *text) {
    char line[256];
    int fd = kernel_open("written", O_WRONLY | O_CREAT | O_APPEND);
    int length = snprintf(line, sizeof(line), "%s %s %s\n", attribute, name, text);

    (void)syscall(SYS_write, fd, line, (size_t)length);
    fd_close(fd);
}

static inline int kernel_fails(const char *what) {
    char path[PATH_MAX], text[16];

    snprintf(path, sizeof(path), "fail/%.200s", what);
    kernel_read(path, text, sizeof(text));
    return atoi(text);
}

/* "" for none. */
static inline void kernel_set_driver(const char *name, const char *driver) {
    char path[PATH_MAX], full[PATH_MAX + 80], target[128];

    kernel_path_of(name, "driver", path);
    snprintf(full, sizeof(full), "%s/%s", kernel_root, path);
    (void)unlink(full);
    snprintf(target, sizeof(target), "../../../bus/pci/drivers/%.64s", driver);
    if (*driver)
        (void)!symlink(target, full);
}

static inline bool kernel_is_bound(const char *name) {
    char path[PATH_MAX], full[PATH_MAX + 80], target[8];

    kernel_path_of(name, "driver", path);
    snprintf(full, sizeof(full), "%s/%s", kernel_root, path);
    return readlink(full, target, sizeof(target)) > 0;
}

static inline void kernel_choice(const char *name, char driver[64]) {
    char path[PATH_MAX];

    kernel_path_of(name, "driver_override", path);
    kernel_read(path, driver, 64);
    if (*driver && strcmp(driver, "(null)") != 0)
        return;
    kernel_path_of(name, "native", path);
    kernel_read(path, driver, 64);
}

/* 0 or an errno. */
static inline int kernel_bind(const char *name, const char *driver) {
    char what[80], choice[64], folder[PATH_MAX];

    snprintf(what, sizeof(what), "bind-%.64s", driver);
    int error = kernel_fails(what);
    kernel_choice(name, choice);
    snprintf(folder, sizeof(folder), "bus/pci/drivers/%.64s", driver);
    int fd = kernel_open(folder, O_RDONLY | O_DIRECTORY);
    if (!error && (kernel_is_bound(name) || strcmp(choice, driver) != 0 || fd < 0))
        error = ENODEV;
    fd_close(fd);
    if (!error)
        kernel_set_driver(name, driver);
    return error;
}

/* It says success whatever has become of it. */
static inline void kernel_probe(const char *name) {
    char choice[64];

    kernel_choice(name, choice);
    if (*choice && !kernel_is_bound(name))
        (void)kernel_bind(name, choice);
}

/* PATH is below the root. 0 or an errno. */
static inline int kernel_acts(const char *path, const char *text) {
    const char *attribute = path_basename(path);
    char above[PATH_MAX];

    snprintf(above, sizeof(above), "%.*s", (int)(attribute - path - 1), path);
    const char *owner = path_basename(above);
    kernel_note(attribute, owner, text);
    int error = kernel_fails(attribute);
    if (error)
        return error;
    if (strcmp(attribute, "bind") == 0)
        return kernel_bind(text, owner);
    if (strcmp(attribute, "unbind") == 0)
        kernel_set_driver(text, "");
    if (strcmp(attribute, "drivers_probe") == 0)
        kernel_probe(text);
    return 0;
}

static inline const char *kernel_path(int fd, char path[PATH_MAX]) {
    char self[64];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (link_read(AT_FDCWD, self, path, PATH_MAX) < 0)
        return NULL;
    const char *below = string_after(path, kernel_root);
    return below && (strstr(below, "/devices/") == below || strstr(below, "/bus/") == below)
               ? below + 1
               : NULL;
}

/* Instead of the library's. */
ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX], text[128];
    const char *below = kernel_plays ? kernel_path(fd, path) : NULL;

    if (!below)
        return syscall(SYS_write, fd, data, size);
    snprintf(text, sizeof(text), "%.*s", (int)size, (const char *)data);
    text[strcspn(text, "\n")] = 0;
    int error = kernel_acts(below, text);
    if (error) {
        errno = error;
        return -1;
    }
    (void)!ftruncate(fd, 0);
    return syscall(SYS_write, fd, data, size);
}

/* ---- For the test */

static inline void kernel_start(const struct tree *sysfs) {
    snprintf(kernel_root, sizeof(kernel_root), "%s", sysfs->path);
    kernel_plays = true;
}

/* From now on the write fails with this errno; 0: no more. */
static inline void kernel_fail(struct tree *sysfs, const char *what, int error) {
    char path[128], text[16];

    snprintf(path, sizeof(path), "fail/%s", what);
    snprintf(text, sizeof(text), "%d", error);
    tree_file(sysfs, path, text);
}

/* What was written since the last call, a line each: "unbind e1000e 0000:00:05.0". One at a time. */
static inline const char *kernel_written(struct tree *sysfs) {
    static char text[4096];
    int fd = openat(sysfs->fd, "written", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[length < 0 ? 0 : length] = 0;
    fd_close(fd);
    (void)unlinkat(sysfs->fd, "written", 0);
    return text;
}

/* The driver that has the device now; "" for none. One at a time. */
static inline const char *kernel_driver(struct tree *sysfs, const char *name) {
    static char target[PATH_MAX];
    char path[PATH_MAX];

    kernel_path_of(name, "driver", path);
    ssize_t length = link_read(sysfs->fd, path, target, sizeof(target));
    return length < 0 ? "" : path_basename(target);
}
