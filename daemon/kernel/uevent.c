/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only the properties that came with the event are asked for: other questions to libudev's device
 * would open files in sysfs, some of which block while an unbind hangs. */
#include "kernel/uevent.h"

#include <errno.h>
#include <libudev.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "util/string.h"

/* Room for a burst of some 300,000 events; less where the kernel does not allow it. */
#define RECEIVE_BUFFER_SIZE (128 * 1024 * 1024)

struct uevent_monitor {
    struct udev *udev;
    struct udev_monitor *monitor;
    bool lost; /* events were lost, and the socket was not empty since */
};

static const char *const subsystems[] = {
    "pci", "platform", "amba", "fsl-mc", "cdx", "vmbus", "mdev", "ap", "vfio", "vfio-dev",
};

static void udev_device_unrefp(struct udev_device **device) {
    udev_device_unref(*device);
}

struct uevent_monitor *uevent_monitor_free(struct uevent_monitor *monitor) {
    if (!monitor)
        return NULL;
    udev_monitor_unref(monitor->monitor);
    udev_unref(monitor->udev);
    free(monitor);
    return NULL;
}
DEFINE_CLEANUP(struct uevent_monitor *, uevent_monitor_free)

int uevent_monitor_new(struct uevent_monitor **ret) {
    _cleanup_(uevent_monitor_freep) struct uevent_monitor *monitor = calloc(1, sizeof(*monitor));

    if (!monitor)
        return -ENOMEM;
    monitor->udev = udev_new();
    if (!monitor->udev)
        return -ENOMEM;
    errno = 0;
    monitor->monitor = udev_monitor_new_from_netlink(monitor->udev, "kernel");
    if (!monitor->monitor)
        return errno ? -errno : -EIO;
    /* Refused in a user namespace, where the default must do; an overrun is noticed. */
    (void)udev_monitor_set_receive_buffer_size(monitor->monitor, RECEIVE_BUFFER_SIZE);
    int r = udev_monitor_enable_receiving(monitor->monitor);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(monitor);
    return 0;
}

int uevent_monitor_fd(const struct uevent_monitor *monitor) {
    return udev_monitor_get_fd(monitor->monitor);
}

static enum uevent_action action_from_string(const char *text) {
    static const char *const names[] = {
        [UEVENT_ADD] = "add",
        [UEVENT_REMOVE] = "remove",
        [UEVENT_BIND] = "bind",
        [UEVENT_UNBIND] = "unbind",
    };

    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        if (string_equal(text, names[i]))
            return (enum uevent_action)i;
    return UEVENT_CHANGE;
}

static bool subsystem_matters(const char *subsystem) {
    for (size_t i = 0; i < ELEMENTS_OF(subsystems); i++)
        if (string_equal(subsystem, subsystems[i]))
            return true;
    return false;
}

static void hand_over(struct udev_device *device, uevent_handler *handler, void *userdata) {
    const char *path = udev_device_get_devpath(device);
    struct uevent event = {
        .action = action_from_string(udev_device_get_action(device)),
        .subsystem = udev_device_get_property_value(device, "SUBSYSTEM"),
        .driver = udev_device_get_property_value(device, "DRIVER"),
    };

    if (!path || path[0] != '/' || !path[1] || !subsystem_matters(event.subsystem))
        return;
    event.path = path + 1;
    event.name = path_basename(path);
    handler(&event, userdata);
}

/* libudev says EAGAIN also for a message that it throws away, so the socket itself is asked. */
static bool is_empty(const struct uevent_monitor *monitor) {
    struct pollfd item = {.fd = uevent_monitor_fd(monitor), .events = POLLIN};

    return poll(&item, 1, 0) == 0;
}

/* 1 after a message, 0 if none waits. */
static int receive_one(struct uevent_monitor *monitor, uevent_handler *handler, void *userdata) {
    errno = 0;
    _cleanup_(udev_device_unrefp) struct udev_device *device =
        udev_monitor_receive_device(monitor->monitor);

    if (device) {
        hand_over(device, handler, userdata);
        return 1;
    }
    switch (errno) {
    case EAGAIN:
        return !is_empty(monitor);
    case ENOBUFS:
        monitor->lost = true;
        return 1;
    case EBADF:
    case ENOTSOCK:
    case ENOMEM:
        return -errno;
    default: /* a message that makes no sense */
        return 1;
    }
}

int uevent_receive(struct uevent_monitor *monitor, unsigned limit, uevent_handler *handler,
                   void *userdata) {
    for (unsigned i = 0; i < limit; i++) {
        int r = receive_one(monitor, handler, userdata);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        if (!monitor->lost)
            return UEVENT_DRAINED;
        monitor->lost = false;
        return UEVENT_LOST;
    }
    return UEVENT_MORE;
}
