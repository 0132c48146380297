/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Loads a kernel module and what it depends on, as modprobe -b does: what is blacklisted stays out, an
 * install line of modprobe.d is honoured. Needs CAP_SYS_MODULE, and can take as long as the module likes.
 * 0 also if it is loaded or built in. -ENOENT: there is none; -EPERM: blacklisted; else what the kernel
 * says. */
int module_insert(const char *name);
