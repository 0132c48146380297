/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service manager's fd store (sd_notify(3), FDSTORE=1): what is in it outlives the daemon. An fd
 * has a name, which is not told twice. Without a service manager nothing is kept, and that is no
 * error. */

#include <stdint.h>

#define FD_STORE_NAME_MAX 32

/* The name of a lease's fd: "lease-12". */
const char *fd_store_lease_name(uint64_t lease, char buffer[static FD_STORE_NAME_MAX]);
/* The lease in such a name, or 0. */
uint64_t fd_store_lease_of(const char *name);

/* Puts a copy of fd in, whatever becomes of its other end. 0 or a negative errno. */
int fd_store_put(const char *name, int fd);
void fd_store_remove(const char *name);

/* What the service manager kept and handed back; to be called once, at the start. fd is the
 * handler's. */
typedef void fd_store_handler(const char *name, int fd, void *userdata);
int fd_store_take(fd_store_handler *handler, void *userdata);
