/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scale.h"
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#define GROUP_SIZE 8

int scale_add(unsigned count) {
    unsigned base = group_free_id();

    for (unsigned i = 0; i < count; i++) {
        char name[32], group[16];
        unsigned slot = i / GROUP_SIZE;
        struct device_spec spec = {.bus = "pci",
                                   .name = name,
                                   .group = group,
                                   .vendor = 0x8086,
                                   .product = 0x10d3,
                                   .class = 0x020000,
                                   .driver = slot % 2 ? "e1000e" : "vfio-pci",
                                   .native = "e1000e",
                                   .numa_node = -1};
        int r;

        snprintf(name, sizeof(name), "%04x:%02x:%02x.%u", 0x1000 + slot / 8192, slot / 32 % 256,
                 slot % 32, i % GROUP_SIZE);
        snprintf(group, sizeof(group), "%u", base + slot);
        if (i % 100 == 99) {
            spec.bus = "platform";
            snprintf(name, sizeof(name), "%08x.ethernet", 0xf0000000 + i * 0x1000);
            spec.compatible = "calxeda,hb-xgmac";
            spec.driver = slot % 2 ? "calxedaxgmac" : "vfio-platform";
            spec.native = "calxedaxgmac";
        }
        r = device_add(&spec);
        if (r < 0)
            return r;
    }
    return 0;
}
