/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/driver-role.h"

#include <stddef.h>

#include "util/string.h"

static const char *const role_names[] = {
    [ROLE_FREE] = "free",
    [ROLE_USER] = "user",
    [ROLE_PASSIVE] = "passive",
    [ROLE_KERNEL] = "kernel",
};

static const char *const vfio_drivers[] = {
    "vfio-pci",        "vfio-platform",   "vfio-amba",        "vfio-fsl-mc",
    "vfio-cdx",        "mlx5-vfio-pci",   "hisi-acc-vfio-pci", "virtio-vfio-pci",
    "pds-vfio-pci",    "qat-vfio-pci",    "nvgrace-gpu-vfio-pci", "vfio-mdev",
    "xe-vfio-pci",     "ism-vfio-pci",
};

static const char *const passive_drivers[] = {"pcieport", "pci-stub"};

const char *role_to_string(enum role role) {
    return role_names[role];
}

/* A driver's folder is named by the driver, a variant's by its module: '-' and '_' are one. */
static bool names_match(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
            return false;
    return *a == *b;
}

static bool names_contain(const char *const *names, size_t n_names, const char *driver) {
    for (size_t i = 0; i < n_names; i++)
        if (names_match(names[i], driver))
            return true;
    return false;
}

enum role driver_role(const char *driver, bool has_vfio_device, bool is_pci_bridge) {
    if (has_vfio_device)
        return ROLE_USER;
    if (!driver)
        return is_pci_bridge ? ROLE_PASSIVE : ROLE_FREE;
    if (names_contain(vfio_drivers, ELEMENTS_OF(vfio_drivers), driver))
        return ROLE_USER;
    if (names_contain(passive_drivers, ELEMENTS_OF(passive_drivers), driver))
        return ROLE_PASSIVE;
    return ROLE_KERNEL;
}

bool driver_is_unsafe_uio(const char *driver) {
    return driver && (string_after(driver, "uio_") || string_equal(driver, "igb_uio"));
}
