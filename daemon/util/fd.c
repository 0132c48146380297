/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

int fd_close(int fd) {
    int saved = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -1;
}

int fd_open_directory(int directory, const char *path) {
    int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int directory_open(int directory, const char *path, DIR **ret) {
    _cleanup_(fd_closep) int fd = fd_open_directory(directory, path);

    if (fd < 0)
        return fd;
    DIR *opened = fdopendir(fd);
    if (!opened)
        return -errno;
    (void)TAKE_FD(fd);
    *ret = opened;
    return 0;
}

struct dirent *directory_next(DIR *directory) {
    struct dirent *entry;

    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry;
    return NULL;
}

/* Reads up to size bytes; fewer only at the end of the file. */
static ssize_t read_full(int fd, char *buffer, size_t size) {
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, buffer + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int file_read(int directory, const char *path, size_t limit, char **ret, size_t *ret_size) {
    _cleanup_(fd_closep) int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    _cleanup_(freep) char *data = malloc(limit + 2);
    if (!data)
        return -ENOMEM;
    ssize_t size = read_full(fd, data, limit + 1);
    if (size < 0)
        return (int)size;
    if ((size_t)size > limit)
        return -EFBIG;
    data[size] = 0;
    if (ret_size)
        *ret_size = (size_t)size;
    *ret = TAKE_POINTER(data);
    return 0;
}

ssize_t attribute_read(int directory, const char *path, char *buffer, size_t size) {
    _cleanup_(fd_closep) int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, buffer, size);
    if (length < 0)
        return -errno;
    if ((size_t)length == size)
        return -EFBIG;
    buffer[length] = 0;
    if (length > 0 && buffer[length - 1] == '\n')
        buffer[--length] = 0;
    return length;
}

ssize_t link_read(int directory, const char *path, char *buffer, size_t size) {
    ssize_t length = readlinkat(directory, path, buffer, size);

    if (length < 0)
        return -errno;
    if ((size_t)length == size)
        return -ENAMETOOLONG;
    buffer[length] = 0;
    return length;
}

int fd_write_all(int fd, const void *data, size_t size) {
    const char *rest = data;

    while (size > 0) {
        ssize_t n = write(fd, rest, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        rest += n;
        size -= (size_t)n;
    }
    return 0;
}

int file_replace(int directory, const char *name, const void *data, size_t size, mode_t mode) {
    char temporary[NAME_MAX + 1];

    if ((size_t)snprintf(temporary, sizeof(temporary), ".%s.new", name) >= sizeof(temporary))
        return -ENAMETOOLONG;
    _cleanup_(fd_closep) int fd =
        openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    int r = fd_write_all(fd, data, size);
    if (r >= 0 && fsync(fd) < 0)
        r = -errno;
    if (r >= 0 && renameat(directory, temporary, directory, name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(directory, temporary, 0);
    return r;
}
