/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Kernel uevents. A message sent to the kernel's own address of a NETLINK_KOBJECT_UEVENT socket is
 * broadcast again by the kernel to its group 1 inside that network namespace, with a fresh SEQNUM
 * (lib/kobject_uevent.c, uevent_net_rcv): receivers cannot tell it from the kernel's own.
 */

/* Makes the socket, in the caller's network namespace; fd or negative errno. */
int uevent_open(void);
/* Sends from now on through this socket; without one, events are dropped. */
void uevent_attach(int fd);
/*
 * One event: ACTION, DEVPATH and SUBSYSTEM are put first, then the lines of properties ("KEY=value\n"
 * each; may be ""). On return it is in every receiver's queue.
 */
void uevent_send(const char *action, const char *path, const char *subsystem,
                 const char *properties);
