/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/device.h"

#include "model/detachment.h"
#include "model/model.h"
#include "util/pci-class.h"
#include "util/string.h"

static bool has_vfio_handlers(const char *driver) {
    return string_equal(driver, "vfio-platform") || string_equal(driver, "vfio-amba");
}

bool device_is_bridge(const struct device *device) {
    return device->has_ids && pci_class_is_bridge(device->class);
}

bool device_is_reset_by(const struct device *device, const char *driver,
                        const struct vfio_demands *demands) {
    /* That it was taken tells of its reset, where the driver takes none without. */
    if (vfio_demands_reset(demands, driver))
        return true;
    return device->vfio_reset == VFIO_RESET_HANDLER && has_vfio_handlers(driver);
}

bool device_reset_is_unknown(const struct device *device, const struct vfio_demands *demands) {
    return device->vfio_reset == VFIO_RESET_UNKNOWN && has_vfio_handlers(device->driver) &&
           !vfio_demands_reset(demands, device->driver);
}

bool device_has_function_reset(const struct device *device, const struct vfio_demands *demands) {
    static const char *const function_level[] = {"device_specific", "acpi", "flr", "af_flr"};

    if (!device->has_ids)
        return device_is_reset_by(device, device->driver, demands);
    for (size_t i = 0; i < ELEMENTS_OF(function_level); i++) {
        size_t length = strlen(function_level[i]);
        for (const char *at = device->reset_methods; (at = strstr(at, function_level[i])); at++) {
            bool starts = at == device->reset_methods || at[-1] == ' ';
            if (starts && (at[length] == 0 || at[length] == ' '))
                return true;
        }
    }
    return false;
}

const char *device_host_driver(const struct device *device) {
    if (!device->detached)
        return device->driver;
    return *device->detached->driver ? device->detached->driver : NULL;
}

bool device_is_leaving(const struct device *device) {
    return device->switching && device->detached && device->detached->move == MOVE_TO_USER;
}

bool device_is_soiled_for(const struct device *device, uid_t uid) {
    return device->soiled_by != UID_NONE && device->soiled_by != uid;
}

/* Devices on one bus of the hierarchy have one folder above them. */
static bool is_sibling(const struct device *one, const struct device *other) {
    size_t length = (size_t)(one->name - one->path);

    return one != other && (size_t)(other->name - other->path) == length &&
           strncmp(one->path, other->path, length) == 0;
}

bool device_reset_spans_groups(const struct model *model, const struct device *device) {
    if (!string_equal(device->reset_methods, "bus") || device_is_bridge(device))
        return false;
    for (const struct device *other = model->devices; other; other = other->by_path.next)
        if (is_sibling(device, other) && other->group != device->group)
            return true;
    return false;
}
