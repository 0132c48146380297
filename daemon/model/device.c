/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/device.h"

#include "util/string.h"

bool device_is_bridge(const struct device *device) {
    /* Host, PCI-to-PCI, CardBus, semi-transparent: the others (ISA, RACEway, …) are devices. */
    static const uint32_t classes[] = {0x0600, 0x0604, 0x0607, 0x0609};

    for (size_t i = 0; i < ELEMENTS_OF(classes); i++)
        if (device->has_ids && device->class >> 8 == classes[i])
            return true;
    return false;
}

bool device_has_function_reset(const struct device *device) {
    static const char *const function_level[] = {"device_specific", "acpi", "flr", "af_flr"};

    /* vfio-platform binds only where it found a reset driver, unless told otherwise. */
    if (!device->has_ids)
        return string_equal(device->driver, "vfio-platform");
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
