/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes that keep a lease. A number can be reused as soon as its process is reaped; a pidfd is
 * always the same process. */

#include <stdint.h>
#include <sys/types.h>

/* *ret_pidfd is the caller's, and becomes readable when the process ends. -ESRCH if no process has
 * this number (or only a thread of one has). */
int process_open(pid_t pid, int *ret_pidfd);

/* The number of the process behind a pidfd from elsewhere. -EBADF if fd is none; -ESRCH if the
 * process is gone, or is not seen in this pid namespace. */
int process_of_pidfd(int fd, pid_t *ret);

/* Effective uid of the process that is behind pidfd and has the number pid. -ESRCH if it has ended,
 * reaped or not: then the number may be another's. */
int process_owner(int pidfd, pid_t pid, uid_t *ret_euid);

/* When it was started, in clock ticks since the boot: with the number, its name for this boot.
 * -ESRCH if there is no such process. */
int process_start_time(pid_t pid, uint64_t *ret);
