/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* File descriptors and small files. Everything is opened with O_CLOEXEC and, where a folder is
 * given, relative to its fd. Functions return 0 (or what is named) or a negative errno. */

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Closes fd if it is one, keeps errno, returns -1. */
int fd_close(int fd);

static inline void fd_closep(int *fd) {
    fd_close(*fd);
}

static inline void closedirp(DIR **directory) {
    if (*directory)
        closedir(*directory);
}

static inline void fclosep(FILE **file) {
    if (*file)
        fclose(*file);
}

/* Opens a folder below directory. Returns the fd or a negative errno. */
int fd_open_directory(int directory, const char *path);

/* Opens a folder for reading its entries; *ret is the caller's. */
int directory_open(int directory, const char *path, DIR **ret);

/* The next entry that is not "." or ".."; NULL at the end or on an error. */
struct dirent *directory_next(DIR *directory);

/* Reads the regular (or sysfs) file path, at most limit bytes, with one open. *ret is a NUL
 * terminated copy of the caller's; *ret_size, if given, its length. -EFBIG if it is longer. */
int file_read(int directory, const char *path, size_t limit, char **ret, size_t *ret_size);

/* Reads one line of an attribute into buffer, without the newline. Returns its length, or a
 * negative errno; -EFBIG if it does not fit. */
ssize_t attribute_read(int directory, const char *path, char *buffer, size_t size);

/* Where the symlink path points, as text. Returns the length, or a negative errno. */
ssize_t link_read(int directory, const char *path, char *buffer, size_t size);

/* Replaces directory/name by data, so that a reader sees the old or the new file, whole. */
int file_replace(int directory, const char *name, const void *data, size_t size, mode_t mode);

/* Writes all of data, through short writes and EINTR. */
int fd_write_all(int fd, const void *data, size_t size);
