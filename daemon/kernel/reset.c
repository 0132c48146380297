/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/reset.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "util/fd.h"

#define COMMAND_OFFSET 4
#define COMMAND_BUS_MASTER 0x0004
#define NO_ANSWER 0xffff

static int attribute_open(int sysfs, const char *device_path, const char *name, int flags) {
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", device_path, name) >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = openat(sysfs, path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int device_reset(int sysfs, const char *path) {
    _cleanup_(fd_closep) int fd = attribute_open(sysfs, path, "reset", O_WRONLY);

    if (fd < 0)
        return fd;
    ssize_t written = write(fd, "1", 1);
    return written < 0 ? -errno : written == 1 ? 0 : -EIO;
}

static int command_read(int config, uint16_t *ret) {
    uint16_t command = 0;
    ssize_t length = pread(config, &command, sizeof(command), COMMAND_OFFSET);

    if (length < 0)
        return -errno;
    if (length != sizeof(command) || command == NO_ANSWER)
        return -EIO;
    *ret = le16toh(command);
    return 0;
}

static int command_write(int config, uint16_t command) {
    uint16_t bytes = htole16(command);
    ssize_t length = pwrite(config, &bytes, sizeof(bytes), COMMAND_OFFSET);

    return length < 0 ? -errno : length == sizeof(bytes) ? 0 : -EIO;
}

int bus_master_read(int sysfs, const char *path) {
    _cleanup_(fd_closep) int config = attribute_open(sysfs, path, "config", O_RDONLY);
    uint16_t command = 0;

    int r = config < 0 ? config : command_read(config, &command);
    return r < 0 ? r : (command & COMMAND_BUS_MASTER) != 0;
}

int bus_master_clear(int sysfs, const char *path) {
    int on = bus_master_read(sysfs, path);

    if (on <= 0)
        return on;
    _cleanup_(fd_closep) int config = attribute_open(sysfs, path, "config", O_RDWR);
    uint16_t command = 0;
    int r = config < 0 ? config : command_read(config, &command);
    if (r >= 0)
        r = command_write(config, command & ~COMMAND_BUS_MASTER);
    if (r >= 0)
        r = command_read(config, &command);
    return r < 0 ? r : command & COMMAND_BUS_MASTER ? -EIO : 0;
}

int device_clean(int sysfs, const char *path) {
    /* First, and not only after the reset: the kernel saves the command register and puts it back. */
    int cleared = bus_master_clear(sysfs, path);
    int r = device_reset(sysfs, path);

    if (r == -ENOTTY)
        r = -EOPNOTSUPP;
    /* Also where there was no reset: it must not be said that bus mastering is off when it is not. */
    int on = cleared == -ENOENT ? 0 : bus_master_read(sysfs, path);
    if (on == 0)
        return r;
    if (on < 0)
        return on == -ENOENT ? -ENODEV : on;
    return cleared < 0 ? cleared : -EIO;
}
