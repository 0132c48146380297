/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modules: whose drivers are there, and whose would come if somebody loaded them. */
#include "model.h"
#include "devicetree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct module {
    char *name;
    enum module_state state;
    struct module *next;
};

static struct module *modules;
static struct driver *drivers;

static struct module *module_get(const char *name) {
    struct module *module;

    for (module = modules; module; module = module->next)
        if (strcmp(module->name, name) == 0)
            return module;
    module = calloc(1, sizeof(*module));
    module->name = strdup(name);
    module->state = MODULE_LOADED;
    module->next = modules;
    modules = module;
    return module;
}

static struct entry *module_folder(const char *name) {
    char path[160];

    snprintf(path, sizeof(path), "module/%s", name);
    return entry_directory(tree_root(), path);
}

static void driver_show(struct driver *driver) {
    struct entry *module = module_folder(driver->module);
    char link[160];

    driver->directory = entry_directory(driver->bus->drivers, driver->name);
    driver->directory->owner = driver;
    driver_files(driver);
    entry_link(driver->directory, "module", module);
    snprintf(link, sizeof(link), "%s:%s", driver->bus->name, driver->name);
    entry_link(entry_directory(module, "drivers"), link, driver->directory);
    if (!entry_child(module, "initstate"))
        entry_file(module, "initstate", 0444, "live\n");
}

struct driver *driver_new(struct bus *bus, const char *name, const char *module) {
    struct driver *driver = calloc(1, sizeof(*driver));

    driver->name = strdup(name);
    driver->module = strdup(module ? module : name);
    for (char *c = driver->module; *c; c++)
        *c = *c == '-' ? '_' : *c;
    driver->bus = bus;
    driver->next = drivers;
    drivers = driver;
    if (module_get(driver->module)->state == MODULE_LOADED)
        driver_show(driver);
    return driver;
}

struct driver *driver_known(const struct bus *bus, const char *name) {
    struct driver *driver = drivers;

    while (driver && (driver->bus != bus || strcmp(driver->name, name) != 0))
        driver = driver->next;
    return driver;
}

static bool is_used(const struct driver *driver) {
    struct entry *child, *next;

    if (!driver->directory)
        return false;
    HASH_ITER(hh, driver->directory->children, child, next)
        if (child->kind == ENTRY_LINK && strcmp(child->name, "module") != 0)
            return true;
    return false;
}

static int unload(struct module *module) {
    struct entry *all = entry_directory(tree_root(), "module");

    for (struct driver *driver = drivers; driver; driver = driver->next)
        if (strcmp(driver->module, module->name) == 0 && is_used(driver))
            return -EBUSY;
    for (struct driver *driver = drivers; driver; driver = driver->next)
        if (strcmp(driver->module, module->name) == 0 && driver->directory) {
            entry_remove(driver->directory);
            driver->directory = NULL;
        }
    entry_remove_child(all, module->name);
    return 0;
}

/* As a driver that registers does: it takes what matches and is free. */
static void take_devices(struct driver *driver) {
    struct device *device;

    if (!bus_autoprobes(driver->bus))
        return;
    for (device = device_next(NULL); device; device = device_next(device))
        if (device->bus == driver->bus && !device->driver && driver_matches(driver, device))
            device_attach_driver(device, driver);
}

int module_load(const char *name) {
    struct module *module = module_get(name);

    switch (module->state) {
    case MODULE_LOADED:
        return 0;
    case MODULE_MISSING:
        return -ENOENT;
    case MODULE_FAILS:
        return -ENODEV;
    case MODULE_LOADABLE:
        break;
    }
    module->state = MODULE_LOADED;
    module_folder(name);
    for (struct driver *driver = drivers; driver; driver = driver->next)
        if (strcmp(driver->module, name) == 0) {
            driver_show(driver);
            take_devices(driver);
        }
    return 0;
}

int module_set(const char *name, enum module_state state) {
    struct module *module = module_get(name);
    int r = 0;

    if (state == MODULE_LOADED) {
        module->state = module->state == MODULE_LOADED ? MODULE_LOADED : MODULE_LOADABLE;
        return module_load(name);
    }
    if (module->state == MODULE_LOADED)
        r = unload(module);
    if (r == 0)
        module->state = state;
    return r;
}

void driver_add_compatible(struct driver *driver, const char *compatible) {
    size_t count = 0;

    while (driver->compatible && driver->compatible[count])
        count++;
    driver->compatible = realloc(driver->compatible, (count + 2) * sizeof(*driver->compatible));
    driver->compatible[count] = strdup(compatible);
    driver->compatible[count + 1] = NULL;
}

/* By the first string of compatible alone. */
bool platform_has_reset(const struct device *device) {
    static const char *const known[][2] = {
        {"calxeda,hb-xgmac", "vfio_platform_calxedaxgmac"},
        {"amd,xgbe-seattle-v1a", "vfio_platform_amdxgbe"},
    };
    const char *first = devicetree_compatible(device->node, 0);

    for (size_t i = 0; first && i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(known[i][0], first) == 0)
            return module_load(known[i][1]) == 0;
    return false;
}
