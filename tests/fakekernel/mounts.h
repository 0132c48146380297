/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Everything that root must do before the user namespace: in a private mount namespace, a /run, a /dev
 * with real device nodes (never binds of the host's: an ACL would land on those), /etc/passwd and
 * /etc/group with alice (1001), bob (1002) and the group dmaown (2000; alice is in it), an empty folder of
 * modules for the running kernel, and /sys: the fake one, or a plain tree's folder. 0 or negative errno,
 * reported on stderr.
 */
int mounts_prepare(const char *tree);
/*
 * A /proc for the caller's pid namespace, in the caller's own mount namespace, with the kernel symbols
 * and interrupts in /run/fakekernel/kallsyms and interrupts, which a test may write to.
 */
int mounts_proc(void);
/* Bus configuration of the system type, with a policy file included if it exists. */
int mounts_bus_config(const char *path, const char *policy);
