/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VFIO by seccomp user notification. The filter hands every open for writing and every VFIO ioctl of
 * the processes inside to the supervisor; all but those on the nodes of /dev/vfio go on untouched.
 */

/* Installs the filter in the caller and all it starts; the listener's fd or negative errno. */
int supervisor_filter(void);
/* Answers until the listener ends; for a thread of its own. */
void supervisor_run(int listener);
