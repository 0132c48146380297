/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The display that the machine started on, the console, and what a device is divided into: virtual
 * functions and mediated devices. */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/sysfs.h"
#include "model/driver-role.h"
#include "util/string.h"

#define FUNCTIONS_MAX 1024

static bool exists(int sysfs, const char *path, const char *name) {
    char full[PATH_MAX];

    return (size_t)snprintf(full, sizeof(full), "%s/%s", path, name) < sizeof(full) &&
           faccessat(sysfs, full, F_OK, 0) == 0;
}

/* The driver's name; "" without one. */
static enum role role_of(int sysfs, const char *path, char *driver, size_t size) {
    usage_link_name(sysfs, path, "driver", driver, size);
    return driver_role(driver[0] ? driver : NULL, exists(sysfs, path, "vfio-dev"), false);
}

/* ---- Display */

/* A frame buffer that the firmware left, on memory of the boot display. Before Linux 6.9 it does not
 * stand below that. */
static bool has_firmware_display(int sysfs) {
    static const char *const devices[] = {
        "devices/platform/simple-framebuffer.0",
        "devices/platform/efi-framebuffer.0",
        "devices/platform/vesa-framebuffer.0",
    };

    for (size_t i = 0; i < ELEMENTS_OF(devices); i++)
        if (exists(sysfs, devices[i], "driver"))
            return true;
    return false;
}

/* '1', '0', or 0 for what is no display controller of PCI. */
static char boot_vga(const struct usage_survey *survey, size_t device) {
    char text[8];
    ssize_t length = usage_attribute(survey->host->sysfs, survey->paths[device], "boot_vga", text,
                                     sizeof(text));

    return length > 0 ? text[0] : 0;
}

static int judge_display(struct usage_survey *survey, size_t device) {
    int sysfs = survey->host->sysfs;
    char driver[NAME_MAX + 1];

    if (boot_vga(survey, device) != '1')
        return 0;
    enum role role = role_of(sysfs, survey->paths[device], driver, sizeof(driver));
    if (role == ROLE_KERNEL)
        return usage_say_all(survey, device, REASON_BOOT_DISPLAY,
                             strdup("it is the display that the machine started on"));
    if (role == ROLE_FREE && has_firmware_display(sysfs))
        return usage_say_all(survey, device, REASON_BOOT_DISPLAY,
                             strdup("it is the display that the machine started on, with the "
                                    "firmware's frame buffer"));
    return 0;
}

/* The console is on fb0. Another one counts where nothing tells which display is the first. */
static int judge_frame_buffer(struct usage_survey *survey, const struct usage_part *part) {
    const char *name = path_basename(part->path);

    if (!string_equal(name, "fb0") && boot_vga(survey, part->device) != 0)
        return 0;
    return usage_say_all(survey, part->device, REASON_BOOT_DISPLAY,
                         string_format("%s shows the host's display", name));
}

/* ---- Console */

/* True if the list "tty0 ttyS0" names it. */
static bool is_named(const char *list, const char *name) {
    size_t length = strlen(name);

    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return true;
    return false;
}

static int judge_terminal(struct usage_survey *survey, const struct usage_part *part) {
    const char *name = path_basename(part->path);
    char active[1024];
    ssize_t length =
        usage_attribute(survey->host->sysfs, "class/tty/console", "active", active, sizeof(active));

    if (usage_is_gone((int)length))
        return 0;
    if (length < 0) {
        _cleanup_(freep) char *what = string_format("whether %s is a console", name);
        return what ? usage_say_unknown(survey, part->device, REASON_CONSOLE, what, (int)length) : -ENOMEM;
    }
    if (!is_named(active, name))
        return 0;
    return usage_say_all(survey, part->device, REASON_CONSOLE,
                         string_format("%s is a console of the kernel", name));
}

/* ---- Virtual functions */

/* what: "virtual function". */
static int judge_division(struct usage_survey *survey, size_t device, const char *what,
                          const char *path) {
    char driver[NAME_MAX + 1];
    enum role role = role_of(survey->host->sysfs, path, driver, sizeof(driver));

    if (role == ROLE_FREE || role == ROLE_PASSIVE)
        return 0;
    return usage_say_all(survey, device, REASON_VFS_IN_USE,
                         string_format("its %s %s is bound to %s", what, path_basename(path), driver));
}

static int judge_virtual_functions(struct usage_survey *survey, size_t device) {
    int sysfs = survey->host->sysfs, r = 0;
    char text[16], link[32], path[PATH_MAX];
    uint32_t n;
    ssize_t length =
        usage_attribute(sysfs, survey->paths[device], "sriov_numvfs", text, sizeof(text));

    if (usage_is_gone((int)length))
        return 0;
    if (length < 0 || parse_u32(text, &n) < 0)
        return usage_say_unknown(survey, device, REASON_VFS_IN_USE, "whether it has virtual functions",
                                 length < 0 ? (int)length : -EBADMSG);
    for (uint32_t i = 0; r >= 0 && i < n && i < FUNCTIONS_MAX; i++) {
        snprintf(link, sizeof(link), "virtfn%u", i);
        r = usage_follow(sysfs, survey->paths[device], link, path, sizeof(path));
        if (r >= 0)
            r = judge_division(survey, device, "virtual function", path);
        else if (usage_is_gone(r))
            r = 0;
        else
            r = usage_say_unknown(survey, device, REASON_VFS_IN_USE, link, r);
    }
    return r;
}

int usage_judge_functions(struct usage_survey *survey) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < survey->n_paths; i++) {
        r = judge_display(survey, i);
        if (r >= 0)
            r = judge_virtual_functions(survey, i);
    }
    for (size_t i = 0; r >= 0 && i < survey->n_parts; i++) {
        if (survey->parts[i].kind == USAGE_FRAMEBUFFER)
            r = judge_frame_buffer(survey, &survey->parts[i]);
        else if (survey->parts[i].kind == USAGE_TERMINAL)
            r = judge_terminal(survey, &survey->parts[i]);
        else if (survey->parts[i].kind == USAGE_MEDIATED)
            r = judge_division(survey, survey->parts[i].device, "mediated device",
                               survey->parts[i].path);
    }
    return r;
}
