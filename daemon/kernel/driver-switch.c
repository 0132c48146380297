/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/driver-switch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "kernel/reset.h"
#include "util/fd.h"
#include "util/string.h"

/* One write: the kernel takes each for a command of its own. */
static int attribute_write(int sysfs, const char *path, const char *text) {
    _cleanup_(fd_closep) int fd = openat(sysfs, path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, strlen(text));
    if (written < 0)
        return -errno;
    return (size_t)written == strlen(text) ? 0 : -EIO;
}

/* Name of what a link of the device leads to. 1; 0 if there is no such link; -ENOENT without the
 * device. */
static int link_name(int sysfs, const char *device_path, const char *link, char ret[NAME_MAX + 1]) {
    char path[PATH_MAX], target[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", device_path, link) >= sizeof(path))
        return -ENAMETOOLONG;
    ssize_t length = link_read(sysfs, path, target, sizeof(target));
    if (length == -ENOENT)
        return faccessat(sysfs, device_path, F_OK, 0) < 0 ? -errno : 0;
    if (length < 0)
        return (int)length;
    const char *name = path_basename(target);
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    strcpy(ret, name);
    return 1;
}

int driver_name(int sysfs, const char *device_path, char ret[static NAME_MAX + 1]) {
    return link_name(sysfs, device_path, "driver", ret);
}

int driver_unbind(int sysfs, const char *device_path) {
    char path[PATH_MAX], driver[NAME_MAX + 1];
    int bound = driver_name(sysfs, device_path, driver);

    if (bound <= 0)
        return bound;
    if ((size_t)snprintf(path, sizeof(path), "%s/driver/unbind", device_path) >= sizeof(path))
        return -ENAMETOOLONG;
    int r = attribute_write(sysfs, path, path_basename(device_path));
    /* It may have gone in between. */
    if ((r == -ENODEV || r == -ENOENT) && driver_name(sysfs, device_path, driver) == 0)
        return 0;
    return r;
}

static bool is_name(const char *name) {
    return *name && !strchr(name, '/') && !string_equal(name, ".") && !string_equal(name, "..");
}

int driver_bind(int sysfs, const char *bus, const char *name, const char *driver) {
    char path[PATH_MAX];

    if (!is_name(bus) || !is_name(name) || !is_name(driver))
        return -EINVAL;
    if ((size_t)snprintf(path, sizeof(path), "bus/%s/drivers/%s/bind", bus, driver) >= sizeof(path))
        return -ENAMETOOLONG;
    return attribute_write(sysfs, path, name);
}

static ssize_t override_path(const char *device_path, char ret[PATH_MAX]) {
    int length = snprintf(ret, PATH_MAX, "%s/driver_override", device_path);

    return length < PATH_MAX ? length : -ENAMETOOLONG;
}

int driver_override_read(int sysfs, const char *device_path, char ret[static NAME_MAX + 2]) {
    char path[PATH_MAX];
    ssize_t r = override_path(device_path, path);

    if (r >= 0)
        r = attribute_read(sysfs, path, ret, NAME_MAX + 2);
    if (r < 0)
        return r == -ENOENT ? 0 : (int)r;
    if (string_equal(ret, "(null)"))
        *ret = 0;
    return 1;
}

int driver_override_write(int sysfs, const char *device_path, const char *text) {
    char path[PATH_MAX];
    ssize_t r = override_path(device_path, path);

    return r < 0 ? (int)r : attribute_write(sysfs, path, *text ? text : "\n");
}

/* Bound or not: what counts in the end is whose the device is, since somebody else may have been
 * faster. */
static int bind_and_verify(int sysfs, const char *device_path, const char *bus, const char *driver) {
    char now[NAME_MAX + 1];
    int r = driver_bind(sysfs, bus, path_basename(device_path), driver);
    int bound = driver_name(sysfs, device_path, now);

    if (bound > 0 && string_equal(now, driver))
        return 0;
    return r < 0 ? r : bound < 0 ? bound : -EIO;
}

/* Without its override a VFIO driver takes nothing, and whoever bound the device may have cleared that
 * since (dpdk-devbind does). It is written first, so that a worker that is killed in between leaves
 * behind where the device belongs. */
static int rebind(int sysfs, const char *device_path, const char *bus, const char *driver) {
    char before[NAME_MAX + 2] = "";
    int overridden = driver_override_read(sysfs, device_path, before);

    if (overridden < 0)
        return overridden;
    bool changes = overridden && !string_equal(before, driver);
    int r = changes ? driver_override_write(sysfs, device_path, driver) : 0;
    if (r >= 0)
        r = driver_unbind(sysfs, device_path);
    if (r >= 0)
        r = bind_and_verify(sysfs, device_path, bus, driver);
    int restored = changes ? driver_override_write(sysfs, device_path, before) : 0;
    return r < 0 ? r : restored == -ENOENT ? 0 : restored;
}

/* Left behind by such a worker, or never bound. */
static int bind_left(int sysfs, const char *device_path, const char *bus) {
    char driver[NAME_MAX + 2] = "";
    int r = driver_override_read(sysfs, device_path, driver);

    return r > 0 && strstr(driver, "vfio") ? bind_and_verify(sysfs, device_path, bus, driver) : r;
}

int driver_rebind(int sysfs, const char *device_path) {
    char driver[NAME_MAX + 1], bus[NAME_MAX + 1];
    int bound = driver_name(sysfs, device_path, driver);

    if (bound < 0)
        return bound;
    int r = link_name(sysfs, device_path, "subsystem", bus);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    r = bound ? rebind(sysfs, device_path, bus, driver) : bind_left(sysfs, device_path, bus);
    return r < 0 ? r : 0;
}

/* ---- steps of a switch */

static int step_override(int sysfs, const char *device_path, const struct step *step) {
    char now[NAME_MAX + 2] = "";
    int r = driver_override_read(sysfs, device_path, now);

    if (r == 0) /* a bus without overrides: nothing to be set, and nothing to be cleared */
        return *step->to ? -EOPNOTSUPP : 0;
    if (r < 0 || string_equal(now, step->to))
        return r < 0 ? r : 0;
    r = driver_override_write(sysfs, device_path, step->to);
    if (r < 0)
        return r;
    r = driver_override_read(sysfs, device_path, now);
    return r < 0 ? r : string_equal(now, step->to) ? 0 : -EIO;
}

/* From another driver than that of the step it is not taken: somebody else has moved it. */
static int step_unbind(int sysfs, const char *device_path, const struct step *step) {
    char now[NAME_MAX + 1];
    int r = driver_name(sysfs, device_path, now);

    if (r <= 0 || !string_equal(now, step->from))
        return r < 0 ? r : 0;
    r = driver_unbind(sysfs, device_path);
    if (r < 0)
        return r;
    r = driver_name(sysfs, device_path, now);
    return r <= 0 ? r : -EIO;
}

static int probe(int sysfs, const char *device_path, const char *bus) {
    char path[PATH_MAX];

    if (!is_name(bus))
        return -EINVAL;
    if ((size_t)snprintf(path, sizeof(path), "bus/%s/drivers_probe", bus) >= sizeof(path))
        return -ENAMETOOLONG;
    return attribute_write(sysfs, path, path_basename(device_path));
}

/* The kernel is asked first, since it knows more ways than `bind`; `bind` then says why it did not. */
static int step_bind(int sysfs, const char *device_path, const char *bus, const struct step *step) {
    char now[NAME_MAX + 1];
    int bound = driver_name(sysfs, device_path, now);

    if (bound == 0) {
        (void)probe(sysfs, device_path, bus);
        bound = driver_name(sysfs, device_path, now);
        if (bound > 0 && !string_equal(now, step->to))
            bound = driver_unbind(sysfs, device_path); /* the kernel's choice, and not the right one */
    }
    if (bound > 0 && string_equal(now, step->to))
        return 0;
    if (bound != 0)
        return bound < 0 ? bound : -EBUSY;
    return bind_and_verify(sysfs, device_path, bus, step->to);
}

static int step_attribute(int sysfs, const char *device_path, const char *name, const char *text) {
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", device_path, name) >= sizeof(path))
        return -ENAMETOOLONG;
    return attribute_write(sysfs, path, text);
}

/* A driver may have made its VFs by itself: then it knows how many. */
static int step_vfs(int sysfs, const char *device_path, const struct step *step) {
    char path[PATH_MAX], now[16];

    if ((size_t)snprintf(path, sizeof(path), "%s/sriov_numvfs", device_path) >= sizeof(path))
        return -ENAMETOOLONG;
    bool wanted = !string_equal(step->to, "0");
    if (attribute_read(sysfs, path, now, sizeof(now)) >= 0 && wanted == !string_equal(now, "0"))
        return 0;
    return attribute_write(sysfs, path, step->to);
}

int driver_step(int sysfs, const char *device_path, const char *bus, const struct step *step) {
    switch (step->kind) {
    case STEP_PIN:
    case STEP_OVERRIDE:
        return step_override(sysfs, device_path, step);
    case STEP_UNBIND:
        return step_unbind(sysfs, device_path, step);
    case STEP_BIND:
        return step_bind(sysfs, device_path, bus, step);
    case STEP_PROBE: /* whether a driver wants it is the kernel's business */
        (void)probe(sysfs, device_path, bus);
        return 0;
    case STEP_NUMVFS:
        return step_vfs(sysfs, device_path, step);
    case STEP_AUTOPROBE:
        return step_attribute(sysfs, device_path, "sriov_drivers_autoprobe", step->to);
    case STEP_RESET:
        return device_clean(sysfs, device_path);
    default:
        return 0;
    }
}
