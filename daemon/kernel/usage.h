/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the host needs devices for: disks that are mounted, swapped or held, network interfaces with
 * an address, a route or something on top, the display, the console, nodes that a process has open,
 * virtual functions. Opens block devices, asks rtnetlink and reads /proc: only for workers. Never
 * opens `uevent` or `driver_override`. What is below a bridge hangs on the hardware and not on the
 * bridge's driver, and is not looked at.
 *
 * Not seen: who uses a network interface without address, route and upper device (a packet socket,
 * XDP, RDMA of the kernel's own, a macvlan in another network namespace); a radio or Bluetooth
 * adapter that is used by sockets; an accelerator that the kernel itself uses; an fd that no process
 * has in its table. */

#include <stddef.h>

#include "model/outcome.h"

/* So many uses, and so many pieces of information, are written for a device; then one that says that
 * there are more. */
#define USAGE_LINES_MAX 16

/* Writes a line for each use of the devices at paths (below the sysfs root, for example
 * "devices/pci0000:00/0000:00:05.0"). A device whose use can not be found out is said to be in use,
 * with the reason of what failed, never free; one that is gone is not used. 0; -ENOMEM, or that
 * output could not be written. */
int usage_write(int output, int sysfs, const char *const *paths, size_t n_paths);

/* A line "use\tINDEX\tREASON\tPUBLIC\tTEXT". index: the device's place in paths. text is for root;
 * public_text leaves out where something is mounted, pids and commands. The strings point into the
 * line that was parsed. REASON_DATA_ON_DISK is information and no use. */
struct usage_line {
    size_t index;
    enum reason reason;
    const char *public_text, *text;
};

/* Takes line apart, in place. 1 if it was such a line; 0 if it begins with another word, and then it
 * is untouched; -EBADMSG. */
int usage_parse(char *line, struct usage_line *ret);

/* For tests: other folders than /proc and /dev. The strings are borrowed for good. */
void usage_use_folders(const char *proc, const char *dev);
