/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From no driver to the VFIO driver. */
#include "reserve-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>

#include "kernel/driver-switch.h"
#include "kernel/vfio-driver.h"
#include "record/audit.h"
#include "util/fd.h"
#include "util/string.h"

/* Room for the answer about one device. */
#define CANDIDATES_SIZE_MAX (16 * 1024)
#define MARK_SIZE_MAX 4096

/* ---- Markers ------------------------------------------------------------------------------- */

int reserve_mark(const struct reserve *reserve, const char *prefix, const char *name, const char *value,
                 const char *path) {
    _cleanup_(freep) char *file = string_format("%s%s", prefix, name);
    _cleanup_(freep) char *text = string_format("%s\n%s\n%s\n", reserve->boot_id, value, path);

    if (!file || !text)
        return -ENOMEM;
    return file_replace(reserve->state, file, text, strlen(text), 0600);
}

void reserve_unmark(const struct reserve *reserve, const char *prefix, const char *name) {
    _cleanup_(freep) char *file = string_format("%s%s", prefix, name);

    if (file)
        (void)unlinkat(reserve->state, file, 0);
}

int reserve_read_mark(const struct reserve *reserve, const char *prefix, const char *name, char *value,
                      size_t size) {
    _cleanup_(freep) char *file = string_format("%s%s", prefix, name);
    _cleanup_(freep) char *text = NULL;

    if (!file)
        return -ENOMEM;
    int r = file_read(reserve->state, file, MARK_SIZE_MAX, &text, NULL);
    if (r < 0)
        return r;
    const char *rest = string_after(text, reserve->boot_id);
    if (!rest || *rest != '\n')
        return -ENOENT;
    size_t length = strcspn(rest + 1, "\n");
    if (length >= size)
        return -EFBIG;
    memcpy(value, rest + 1, length);
    value[length] = 0;
    return 0;
}

/* ---- Writes to the kernel ------------------------------------------------------------------ */

static int write_file(int sysfs, const char *path, const char *text) {
    _cleanup_(fd_closep) int fd = openat(sysfs, path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int reserve_write(int sysfs, const char *device_path, const char *attribute, const char *text) {
    _cleanup_(freep) char *path = string_format("%s/%s", device_path, attribute);

    return path ? write_file(sysfs, path, text) : -ENOMEM;
}

/* Asks the kernel to find a driver. That it finds none is no error. */
static void probe(const struct reserve *reserve, const struct device_reading *device) {
    _cleanup_(freep) char *path = string_format("bus/%s/drivers_probe", device->facts.bus);

    if (path)
        (void)write_file(reserve->sysfs, path, path_basename(device->path));
}

static bool has_driver(const struct reserve *reserve, const struct device_reading *device,
                       const char *driver) {
    char now[NAME_MAX + 1];

    return driver_name(reserve->sysfs, device->path, now) > 0 && string_equal(now, driver);
}

/* ---- Candidates ---------------------------------------------------------------------------- */

static int candidates_read(const struct reserve *reserve, const struct device_reading *device,
                           const struct policy_rule *rule, char **ret) {
    const char *const *compatible = device->facts.compatible;
    struct vfio_question question = {
        .path = device->path,
        .bus = device->facts.bus,
        .modalias = device->facts.modalias,
        .compatible = compatible ? compatible[0] : NULL,
        .wanted = rule->vfio_driver,
    };
    _cleanup_(fd_closep) int output = memfd_create("candidates", MFD_CLOEXEC);
    _cleanup_(freep) char *text = calloc(1, CANDIDATES_SIZE_MAX);

    if (output < 0 || !text)
        return output < 0 ? -errno : -ENOMEM;
    int r = vfio_driver_write_from(output, reserve->sysfs, reserve->options.module_places, NULL, &question,
                                   1);
    if (r < 0)
        return r;
    if (pread(output, text, CANDIDATES_SIZE_MAX - 1, 0) < 0)
        return -errno;
    *ret = TAKE_POINTER(text);
    return 0;
}

static int load(const struct reserve *reserve, const struct device_reading *device,
                const struct vfio_line *candidate) {
    int (*load_module)(const char *) = reserve->options.load_module;
    int r = candidate->state == MODULE_LOADABLE ? load_module(candidate->module) : 0;

    if (r < 0)
        log_message(LOG_WARNING, "%s: the module %s can not be loaded: %s.",
                    path_basename(device->path), candidate->module, strerror(-r));
    return r;
}

/* Sets the override, so that nobody else takes the device while the module is loaded; and once more, if
 * its driver turns out to have another name. */
static int override_and_load(const struct reserve *reserve, const struct device_reading *device,
                             const struct vfio_line *candidate, char ret_driver[NAME_MAX + 1]) {
    char guess[NAME_MAX + 1];
    int r = vfio_driver_find(reserve->sysfs, device->facts.bus, candidate->driver, guess);

    if (r >= 0)
        r = driver_override_write(reserve->sysfs, device->path, guess);
    if (r >= 0)
        r = load(reserve, device, candidate);
    if (r >= 0)
        r = vfio_driver_find(reserve->sysfs, device->facts.bus, candidate->driver, ret_driver);
    if (r >= 0 && !string_equal(guess, ret_driver))
        r = driver_override_write(reserve->sysfs, device->path, ret_driver);
    return r < 0 ? r : 0;
}

/* 1 if the candidate's driver has the device; 0 if it does not take it. The marker stands before the
 * first write, as what a crash leaves half done must be known. */
static int try_candidate(const struct reserve *reserve, const struct device_reading *device,
                         const struct vfio_line *candidate, const char *override) {
    char driver[NAME_MAX + 1];
    int r = reserve_mark(reserve, RESERVE_MARK, path_basename(device->path), override, device->path);

    if (r < 0)
        return r;
    r = override_and_load(reserve, device, candidate, driver);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    /* A driver that was just loaded has taken it by itself. */
    if (has_driver(reserve, device, driver))
        return 1;
    r = reserve->options.bind_driver(reserve->sysfs, device->facts.bus, path_basename(device->path), driver);
    if (has_driver(reserve, device, driver))
        return 1;
    log_message(LOG_WARNING, "%s: the driver %s does not take it: %s.", path_basename(device->path),
                driver, r < 0 ? strerror(-r) : "the kernel does not say why");
    return 0;
}

/* The best that takes the device. */
static int try_candidates(const struct reserve *reserve, const struct device_reading *device,
                          char *candidates, const char *override) {
    char *rest = candidates, *line;

    while ((line = strsep(&rest, "\n"))) {
        struct vfio_line candidate;
        if (vfio_driver_parse(line, &candidate) != 1 || candidate.reset)
            continue;
        if (!candidate.driver) {
            reserve_refuse(reserve, device, "%s", candidate.text);
            continue;
        }
        if (candidate.state != MODULE_LOADED && candidate.state != MODULE_LOADABLE)
            continue;
        int r = try_candidate(reserve, device, &candidate, override);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- All ----------------------------------------------------------------------------------- */

/* Whoever set an override meant this one device: driverctl, an administrator, the daemon's pin. */
static bool is_somebody_elses(const struct reserve *reserve, const struct device_reading *device,
                              const char *override) {
    if (!*override || strstr(override, "vfio"))
        return false;
    reserve_refuse(reserve, device, "its driver_override is %s already", override);
    return true;
}

/* A host driver that came in between keeps the device. */
static int unbind_user(const struct reserve *reserve, const struct device_reading *device) {
    char driver[NAME_MAX + 1];
    int r = driver_name(reserve->sysfs, device->path, driver);

    if (r <= 0 || driver_role(driver, false, false) != ROLE_USER)
        return r < 0 ? r : 0;
    return driver_unbind(reserve->sysfs, device->path);
}

int reserve_undo(const struct reserve *reserve, const struct device_reading *device) {
    char override[NAME_MAX + 2] = "";
    const char *name = path_basename(device->path);
    int r = reserve_read_mark(reserve, RESERVE_MARK, name, override, sizeof(override));

    if (r < 0) /* nothing was tried */
        return r == -ENOENT ? 0 : r;
    r = driver_override_write(reserve->sysfs, device->path, override);
    int unbound = unbind_user(reserve, device);
    /* The kernel did not give it to a host driver while it had the override. */
    probe(reserve, device);
    reserve_unmark(reserve, RESERVE_MARK, name);
    return r < 0 ? r : unbound;
}

int reserve_bind(const struct reserve *reserve, const struct device_reading *device,
                 const struct policy_rule *rule) {
    const char *name = path_basename(device->path);
    char override[NAME_MAX + 2] = "";
    _cleanup_(freep) char *candidates = NULL;
    int r = driver_override_read(reserve->sysfs, device->path, override);

    if (r < 0 || is_somebody_elses(reserve, device, override))
        return r < 0 ? r : 0;
    reserve_unmark(reserve, RESERVE_MARK, name); /* of a device that was here before */
    r = candidates_read(reserve, device, rule, &candidates);
    if (r >= 0)
        r = try_candidates(reserve, device, candidates, override);
    if (r > 0)
        return r;
    int undone = reserve_undo(reserve, device);
    if (undone < 0)
        log_message(LOG_ERR, "%s: what was tried can not be undone: %s.", name, strerror(-undone));
    return r;
}
