/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's uevents through libudev's monitor (group "kernel": before udev's rules). Events that
 * can not matter (other subsystems than buses with groups, vfio and vfio-dev) are dropped here. */

#include <stdbool.h>

enum uevent_action {
    UEVENT_ADD,
    UEVENT_REMOVE,
    UEVENT_BIND,
    UEVENT_UNBIND,
    UEVENT_CHANGE, /* and move, online, offline */
};

struct uevent {
    enum uevent_action action;
    const char *path;      /* below the sysfs root, without a slash in front */
    const char *subsystem;
    const char *name;      /* last part of path */
    const char *driver;    /* DRIVER=, NULL if not said */
};

struct uevent_monitor;

/* Subscribes. From here on no event is missed unless uevent_receive says so. */
int uevent_monitor_new(struct uevent_monitor **ret);
struct uevent_monitor *uevent_monitor_free(struct uevent_monitor *monitor);
/* Becomes readable when events wait. The monitor's own fd, not to be closed. */
int uevent_monitor_fd(const struct uevent_monitor *monitor);

enum uevent_outcome {
    UEVENT_DRAINED = 0, /* nothing waits any more */
    UEVENT_MORE = 1,    /* the limit was reached; call again */
    UEVENT_LOST = 2,    /* drained, and events were lost on the way: read everything again */
};

typedef void uevent_handler(const struct uevent *event, void *userdata);

/* Hands up to limit waiting events to handler. An overrun (ENOBUFS) is reported as UEVENT_LOST only
 * once the socket is empty, since the kernel drops events until then. Negative errno on failure. */
int uevent_receive(struct uevent_monitor *monitor, unsigned limit, uevent_handler *handler,
                   void *userdata);
