/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/vfio-reset.h"

#include <errno.h>
#include <stddef.h>

#include "kernel/features.h"
#include "util/string.h"

/* Needed where there is no module folder that knows their aliases. */
static const struct {
    const char *compatible, *module;
} handlers[] = {
    {"calxeda,hb-xgmac", "vfio_platform_calxedaxgmac"},
    {"amd,xgbe-seattle-v1a", "vfio_platform_amdxgbe"},
    {"brcm,iproc-flexrm-mbox", "vfio_platform_bcmflexrm"},
};

static bool is_usable(struct modules *modules, const char *module) {
    enum module_state state = modules_state(modules, module);

    return state == MODULE_LOADED || state == MODULE_LOADABLE;
}

/* 1, 0, -ENOMEM. The kernel asks for the handler's module by its alias when the driver is bound. */
static int has_handler(struct modules *modules, const char *compatible) {
    _cleanup_(freep) char *alias = string_format("vfio-reset:%s", compatible);
    _cleanup_(strings_freep) char **found = NULL;

    if (!alias || modules_find(modules, alias, NULL, &found) < 0)
        return -ENOMEM;
    for (char **module = found; module && *module; module++)
        if (is_usable(modules, *module))
            return 1;
    for (size_t i = 0; i < ELEMENTS_OF(handlers); i++)
        if (string_equal(compatible, handlers[i].compatible))
            return is_usable(modules, handlers[i].module);
    return 0;
}

/* A module that is yet to be loaded gets its parameters from the configuration. */
static bool is_required(int sysfs, struct modules *modules, const char *release, const char *driver) {
    struct vfio_demands demands;

    vfio_demands_read(sysfs, release, &demands);
    if (vfio_reset_required(sysfs) == -ENOENT)
        demands.reset_required = modules_option(modules, "vfio_platform", "reset_required") != 0;
    return vfio_demands_reset(&demands, driver);
}

int vfio_reset_find(int sysfs, struct modules *modules, const char *release, const char *driver,
                    const char *compatible, enum vfio_reset *ret) {
    bool required = is_required(sysfs, modules, release, driver);

    if (!compatible) {
        *ret = required ? VFIO_RESET_IF_TAKEN : VFIO_RESET_NONE;
        return 0;
    }
    int r = has_handler(modules, compatible);
    if (r < 0)
        return r;
    *ret = r ? VFIO_RESET_HANDLER : VFIO_RESET_NONE;
    return !r && required;
}

char *vfio_reset_advice(int sysfs, const char *release, const char *driver, const char *compatible) {
    struct vfio_demands demands;

    vfio_demands_read(sysfs, release, &demands);
    return string_format("%s has no reset handler for %s and takes no device without one%s a module for "
                         "vfio-reset:%s",
                         driver, compatible,
                         demands.reset_always
                             ? ", on Linux 6.1 and 6.2 whatever reset_required says: use a later kernel, or"
                             : ": load vfio_platform with reset_required=0, or",
                         compatible);
}
