/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From nodes to devices, as drivers/of/platform.c makes them, and what else such a machine does not have. */
#include "populate.h"
#include "devicetree.h"
#include "iommu.h"
#include "model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERRUPTS "/run/fakekernel/interrupts"

static const char GIC[] = "           CPU0       CPU1\n"
                          " 11:       4711        815     GICv3  27 Level     arch_timer\n"
                          " 24:          7          0     GICv3  33 Level     uart-pl011\n";

/* The last part of a node's path. */
static const char *node_name(int node) {
    const char *path = devicetree_path(node);

    return strrchr(path, '/') + 1;
}

/* of_device_make_bus_id(): up to the first address. The caller frees it. */
static char *bus_id(int node) {
    char *name = NULL, *longer;
    uint64_t address;
    int r;

    for (; node > 0; node = devicetree_parent(node)) {
        const char *part = node_name(node), *colon = name ? ":" : "", *rest = name ? name : "";
        bool is_last = devicetree_address(node, &address);

        if (is_last)
            r = asprintf(&longer, "%" PRIx64 ".%.*s%s%s", address, (int) strcspn(part, "@"), part,
                         colon, rest);
        else
            r = asprintf(&longer, "%s%s%s", part, colon, rest);
        if (r < 0)
            abort();
        free(name);
        name = longer;
        if (is_last)
            break;
    }
    return name;
}

static bool is_bus(int node) {
    static const char *const buses[] = {"simple-bus", "simple-mfd", "isa", "arm,amba-bus"};

    for (size_t i = 0; i < sizeof(buses) / sizeof(*buses); i++)
        if (devicetree_is_compatible(node, buses[i]))
            return true;
    return false;
}

static int add_below(int node, const char *parent) {
    int child = -1, r = 0;

    while ((child = devicetree_child(node, child)) >= 0) {
        bool is_amba = devicetree_is_compatible(child, "arm,primecell");
        char path[256], *name;
        struct device_spec spec = {.bus = is_amba ? "amba" : "platform",
                                   .parent = parent,
                                   .node = path,
                                   .driver = "none",
                                   .numa_node = -1};

        if (!devicetree_compatible(child, 0) || !devicetree_is_enabled(child))
            continue;
        snprintf(path, sizeof(path), "%s", devicetree_path(child));
        name = bus_id(child);
        spec.name = name;
        r = device_add(&spec);
        if (r == 0 && is_bus(child))
            r = add_below(child, name);
        free(name);
        if (r < 0)
            break;
    }
    return r;
}

/* No remapping of interrupts here, nor a DMAR. */
static void other_machine(void) {
    FILE *file = fopen(INTERRUPTS, "r+e");

    entry_remove_child(entry_directory(tree_root(), "class/iommu"), "dmar0");
    entry_remove_child(entry_directory(tree_root(), "devices/virtual"), "iommu");
    if (!file)
        return;
    fputs(GIC, file);
    if (ftruncate(fileno(file), (off_t) strlen(GIC)) < 0)
        perror(INTERRUPTS);
    fclose(file);
}

/* IOMMUs come first: the kernel lets their masters wait for them. */
int populate(void) {
    struct device *device, *next;
    int r;

    other_machine();
    bus_get("amba");
    r = add_below(0, NULL);
    if (r < 0)
        return r;
    for (device = device_next(NULL); device; device = device_next(device))
        if (device->node >= 0)
            iommu_add(device);
    for (device = device_next(NULL); device; device = next) {
        next = device_next(device);
        if (device->node >= 0 && bus_autoprobes(device->bus))
            device_probe(device);
    }
    return 0;
}
