/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/features.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum kernel_model kernel_model_from_release(const char *release) {
    unsigned major, minor;

    if (sscanf(release, "%4u.%4u", &major, &minor) != 2)
        return KERNEL_MODEL_NOTIFIER;
    return major > 5 || (major == 5 && minor >= 19) ? KERNEL_MODEL_CLAIM : KERNEL_MODEL_NOTIFIER;
}

bool interrupts_are_remapped(void) {
    _cleanup_(fclosep) FILE *file = fopen("/proc/interrupts", "re");
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;

    while (file && getline(&line, &size, file) >= 0)
        if (strstr(line, " IR-"))
            return true;
    return false;
}
