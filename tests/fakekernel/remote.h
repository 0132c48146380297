/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the supervisor reads of, and writes to, a process that waits for its answer. */
bool remote_read(pid_t pid, uint64_t address, void *data, size_t size);
bool remote_write(pid_t pid, uint64_t address, const void *data, size_t size);
bool remote_has_fd(pid_t pid, int fd);
/* What its path means, with directory as in openat(); only forms that lead to a node are followed. */
void remote_path(pid_t pid, int directory, const char *path, char *to, size_t size);
/* By mode bits and access list, for reading and writing. */
bool remote_may_open(pid_t pid, const char *path);
