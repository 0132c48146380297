/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/features.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "util/fd.h"
#include "util/string.h"

static const char *const model_names[] = {
    [KERNEL_MODEL_CLAIM] = "claim",
    [KERNEL_MODEL_NOTIFIER] = "notifier",
    [KERNEL_MODEL_NONE] = "none",
};

const char *kernel_model_to_string(enum kernel_model model) {
    return model_names[model];
}

int kernel_model_from_string(const char *text, enum kernel_model *ret) {
    for (size_t i = 0; i < ELEMENTS_OF(model_names); i++)
        if (string_equal(text, model_names[i])) {
            *ret = (enum kernel_model)i;
            return 0;
        }
    return -EINVAL;
}

/* The name in a line "ffffffff81000000 T name\t[module]"; ends it in place. NULL if it is none. */
static const char *symbol_name(char *line) {
    char *type = strchr(line, ' ');
    char *name = type && type[1] ? strchr(type + 1, ' ') : NULL;

    if (!name)
        return NULL;
    name++;
    name[strcspn(name, " \t\n")] = 0;
    return *name ? name : NULL;
}

int kernel_model_from_symbols(const char *path, enum kernel_model *ret) {
    _cleanup_(fclosep) FILE *file = fopen(path, "re");
    _cleanup_(freep) char *line = NULL;
    bool any = false, groups = false;
    size_t size = 0;

    while (file && getline(&line, &size, file) >= 0) {
        /* 200,000 lines: the cheap test first. */
        if (any && !strstr(line, " iommu_group_"))
            continue;
        const char *name = symbol_name(line);
        any = any || name;
        if (string_equal(name, "iommu_group_claim_dma_owner")) {
            *ret = KERNEL_MODEL_CLAIM;
            return 0;
        }
        groups = groups || string_equal(name, "iommu_group_alloc");
    }
    if (!any)
        return -ENODATA;
    *ret = groups ? KERNEL_MODEL_NOTIFIER : KERNEL_MODEL_NONE;
    return 0;
}

/* False also for what is no release. */
static bool release_is_at_least(const char *release, unsigned wanted_major, unsigned wanted_minor) {
    unsigned major, minor;

    if (sscanf(release, "%4u.%4u", &major, &minor) != 2)
        return false;
    return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

enum kernel_model kernel_model_from_release(const char *release) {
    return release_is_at_least(release, 5, 19) ? KERNEL_MODEL_CLAIM : KERNEL_MODEL_NOTIFIER;
}

bool interrupts_are_remapped(void) {
    _cleanup_(fclosep) FILE *file = fopen("/proc/interrupts", "re");
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;

    while (file && getline(&line, &size, file) >= 0)
        if (strstr(line, " IR-") || strstr(line, " ITS-"))
            return true;
    return false;
}

/* A module's bool, as sysfs shows it: 1, 0, or a negative errno. */
static int read_parameter(int sysfs, const char *path) {
    char value[8];
    ssize_t length = attribute_read(sysfs, path, value, sizeof(value));

    if (length < 0)
        return (int)length;
    bool on = string_equal(value, "Y") || string_equal(value, "1");
    return on ? 1 : string_equal(value, "N") || string_equal(value, "0") ? 0 : -EINVAL;
}

int vfio_reset_required(int sysfs) {
    return read_parameter(sysfs, "module/vfio_platform/parameters/reset_required");
}

void vfio_demands_read(int sysfs, const char *release, struct vfio_demands *ret) {
    struct utsname name;

    if (!release) {
        (void)uname(&name);
        release = name.release;
    }
    *ret = (struct vfio_demands){
        .reset_always = release_is_at_least(release, 6, 1) && !release_is_at_least(release, 6, 3),
        .reset_required = vfio_reset_required(sysfs) != 0,
        .asks_each_device = release_is_at_least(release, 6, 3),
        .type1_is_lax =
            read_parameter(sysfs, "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts") == 1,
        .iommufd_is_lax =
            read_parameter(sysfs, "module/iommufd/parameters/allow_unsafe_interrupts") == 1,
    };
}
