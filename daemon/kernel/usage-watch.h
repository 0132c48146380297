/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells when what devices are used for may have changed: mounts of process 1, swaps, links,
 * addresses, routes, next hops. No timer, and no wakeup while nothing changes. Not told: stacks of
 * block devices, nodes that are opened, mounts in other namespaces. */

struct ev_loop;
struct usage_watch;

/* Called once a wakeup, however much has changed. May free the watch. */
typedef void usage_changed(void *userdata);

/* A part of it that the kernel does not offer is left out. 0 or a negative errno. */
int usage_watch_new(struct ev_loop *loop, usage_changed *changed, void *userdata,
                    struct usage_watch **ret);
struct usage_watch *usage_watch_free(struct usage_watch *watch);
