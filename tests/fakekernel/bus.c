/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bus *buses;

static const struct {
    const char *bus, *name;
    bool vfio, managed, net, sriov;
    const char *compatible;
} known_drivers[] = {
    {"pci", "vfio-pci", true, true, false},
    {"pci", "mlx5_vfio_pci", true, true, false},
    {"pci", "pci-stub", false, true, false},
    {"pci", "pcieport", false, true, false},
    {"pci", "shpchp", false, false, false},
    {"pci", "uio_pci_generic", false, false, false},
    {"pci", "e1000e", false, false, true},
    {"pci", "igb", false, false, true, true},
    {"pci", "igbvf", false, false, true},
    {"pci", "nvme", false, false, false, true},
    {"platform", "vfio-platform", true, true, false},
    {"platform", "calxedaxgmac", false, false, true, false, "calxeda,hb-xgmac"},
    {"platform", "simple-pm-bus", false, true, false, false, "simple-bus"},
    {"platform", "arm-smmu", false, false, false, false, "arm,mmu-500"},
    {"platform", "arm-smmu-v3", false, false, false, false, "arm,smmu-v3"},
    {"platform", "rk_iommu", false, false, false, false, "rockchip,iommu"},
    {"platform", "pci-host-generic", false, false, false, false, "pci-host-ecam-generic"},
    {"amba", "vfio-amba", true, true, false},
    {"amba", "rtc-pl031", false, false, false, false, "arm,pl031"},
    {"mdev", "vfio_mdev", true, true, false},
};

struct bus *bus_get(const char *name) {
    struct bus *bus = NULL;

    HASH_FIND_STR(buses, name, bus);
    if (bus)
        return bus;
    bus = calloc(1, sizeof(*bus));
    bus->name = strdup(name);
    bus->directory = entry_directory(entry_directory(tree_root(), "bus"), name);
    bus->devices = entry_directory(bus->directory, "devices");
    bus->drivers = entry_directory(bus->directory, "drivers");
    HASH_ADD_KEYPTR(hh, buses, bus->name, strlen(bus->name), bus);
    bus_files(bus);
    for (size_t i = 0; i < sizeof(known_drivers) / sizeof(*known_drivers); i++)
        if (strcmp(known_drivers[i].bus, name) == 0) {
            struct driver *driver = driver_get(bus, known_drivers[i].name);

            driver->vfio = known_drivers[i].vfio;
            driver->managed = known_drivers[i].managed;
            driver->net = known_drivers[i].net;
            driver->sriov = known_drivers[i].sriov;
            driver->takes_vfs = driver->sriov && driver->net;
            if (known_drivers[i].compatible)
                driver_add_compatible(driver, known_drivers[i].compatible);
        }
    return bus;
}

struct driver *driver_find(struct bus *bus, const char *name) {
    struct entry *directory = entry_child(bus->drivers, name);

    return directory ? directory->owner : NULL;
}

struct driver *driver_get(struct bus *bus, const char *name) {
    struct driver *driver = driver_known(bus, name);

    return driver ? driver : driver_new(bus, name, NULL);
}

bool bus_autoprobes(const struct bus *bus) {
    struct entry *file = entry_child(bus->directory, "drivers_autoprobe");

    return !file || file->text[0] != '0';
}

void model_initialise(void) {
    static const char *const folders[] = {"kernel/iommu_groups", "class/vfio", "class/net",
                                          "class/iommu",         "devices",    "dev/char",
                                          "class/vfio-dev",      "firmware"};
    struct entry *root = tree_root(), *parameters, *unit;

    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        entry_directory(root, folders[i]);
    unit = entry_directory(root, "devices/virtual/iommu/dmar0");
    entry_link(entry_directory(root, "class/iommu"), "dmar0", unit);
    entry_directory(unit, "devices");
    parameters = entry_directory(root, "module/vfio_iommu_type1/parameters");
    entry_file(parameters, "allow_unsafe_interrupts", 0644, "N\n");
    parameters = entry_directory(root, "module/vfio/parameters");
    entry_file(parameters, "enable_unsafe_noiommu_mode", 0644, "N\n");
    parameters = entry_directory(root, "module/vfio_platform/parameters");
    entry_file(parameters, "reset_required", 0444, "Y\n");
    unit = entry_directory(root, "devices/virtual/misc/vfio");
    entry_file(unit, "dev", 0444, "1:3\n");
    entry_link(entry_directory(root, "class/misc"), "vfio", unit);
    bus_get("pci");
    bus_get("platform");
}
