/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The processes that a domain's lease lives with. *ret_pidfd is the caller's. */

#include <sys/types.h>

#include "client/libvirt/domain.h"

/* Where libvirt has the numbers of its QEMU processes. */
#define QEMU_PID_FOLDER "/run/libvirt/qemu"

/* libvirt itself, which started this process. -ESRCH if it has ended. */
int libvirt_process_open(int *ret_pidfd);

/* 1 if the process runs the domain: it lives, and has the domain's UUID on its command line. 0 if it does
 * not; a negative errno: it could not be found out. */
int process_runs_domain(pid_t pid, const struct domain *domain);

/* The QEMU of a running domain: the process in folder/NAME.pid, if it has the domain's UUID on its command
 * line. -ENOENT: there is no such file; -ESRCH: its process is gone, or is another one; -EINVAL: it has no
 * number. */
int qemu_process_open(const char *folder, const struct domain *domain, int *ret_pidfd);
