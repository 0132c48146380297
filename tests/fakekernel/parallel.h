/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct fuse_session;

/*
 * Lets writes to one file go on side by side, as in sysfs, where an unbind that hangs holds up no other.
 * libfuse can not say so to the kernel before 3.17; this puts the flag into what it answers to an open.
 * After the mount. 0 or negative errno.
 */
int parallel_writes(struct fuse_session *session);
