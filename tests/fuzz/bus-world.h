/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Devices, groups, a lease and a policy for questions that come over the bus: many groups, names that no
 * kernel has given yet, and one of each thing that a question may meet. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/device-streams.h"
#include "model/lease.h"
#include "model/model.h"
#include "policy/policy.h"
#include "util/string.h"

#define WORLD_PCI "devices/pci0000:00/"
/* Of every platform device, so that they share a stream. */
#define WORLD_NODE "/soc/same@0"
/* More groups than a call may have targets, each with one device on VFIO. */
#define WORLD_MANY 80

static inline void world_require(bool condition) {
    if (!condition)
        abort();
}

static inline void world_add(struct model *model, const char *path, const char *bus, int64_t group,
                             const char *driver, const char *vfio_device) {
    const struct device_facts facts = {
        .path = path,
        .bus = bus,
        .driver = driver,
        .vfio_device = vfio_device,
        .modalias = string_equal(bus, "pci") ? "pci:v00008086d000010D3sv0sd0bc02sc00i00" : "",
        .reset_methods = string_equal(bus, "pci") ? "flr" : "",
        .has_ids = string_equal(bus, "pci"),
        .vendor = 0x8086,
        .product = 0x10d3,
        .class = 0x020000,
        .numa_node = -1,
        .group = group,
        .tree_node = string_equal(bus, "platform") ? WORLD_NODE : NULL,
    };
    const struct node_facts node = {.present = true, .owner_access = true};
    struct device *device;

    world_require(model_update_device(model, &facts, &device) == 0);
    if (device->group && vfio_device)
        model_update_node(model, device->group, &node);
    if (vfio_device)
        world_require(model_update_cdev(model, device, &node) == 0);
}

static inline void world_add_odd(struct model *model) {
    char longest[300] = WORLD_PCI "x";

    for (size_t i = 0; i < 120; i++)
        strcat(longest, "\xc3\xa9");
    world_add(model, longest, "pci", 10, "e1000e", NULL);
    world_add(model, "devices/platform/\x1b[2J", "platform", 11, "a driver: \"odd\"", NULL);
    world_add(model, "devices/platform/\xff\xfe", "platform", GROUP_NONE, NULL, NULL);
    world_add(model, "devices/platform/back\\slash", "platform", 11, NULL, NULL);
    world_add(model, "devices/platform/twin", "platform", 12, NULL, NULL);
    world_add(model, WORLD_PCI "twin", "pci", 13, NULL, NULL);
}

static inline void world_add_lease(struct model *model, struct lease_book *leases) {
    struct lease *lease = lease_new(1);

    world_require(lease);
    lease->id = 5;
    lease->claimant = lease->holder = 1000;
    lease->mode = POLICY_MODE_FD;
    lease->lifetime = POLICY_LIFETIME_CONNECTION;
    lease->rule = strdup("all");
    lease->key = strdup("vm-1");
    lease->groups[0].id = 9;
    world_require(strings_append(&lease->groups[0].devices, WORLD_PCI "0000:00:09.0") == 0);
    world_require(lease_book_add(leases, lease) == 0);
    model_set_lease(model, model_group(model, 9), lease);
}

static inline void world_set_tree(struct model *model) {
    struct device_tree *tree = calloc(1, sizeof(*tree));
    struct tree_iommu *iommu = calloc(1, sizeof(*iommu));
    struct tree_master *master = calloc(1, sizeof(*master));
    struct tree_stream *stream = calloc(1, sizeof(*stream));

    world_require(tree && iommu && master && stream);
    *iommu = (struct tree_iommu){.node = strdup("/smmu@0"),
                                 .compatible = strdup("arm,smmu-v3"),
                                 .grouping = TREE_GROUP_SMMU_V3,
                                 .enabled = true,
                                 .n_cells = 1};
    *stream = (struct tree_stream){.cells = {0x200}, .n_cells = 1, .id = 0x200};
    *master = (struct tree_master){.node = strdup(WORLD_NODE), .enabled = true, .has_iommus = true,
                                   .streams = stream, .n_streams = 1, .map_mask = UINT32_MAX};
    *tree = (struct device_tree){.iommus = iommu, .n_iommus = 1, .masters = master, .n_masters = 1};
    world_require(model_set_tree(model, tree, false) == 0);
}

/* Group 7: a device on VFIO. 8: two, of which the host has one. 9: leased. 10 to 13: odd names. */
static inline void world_fill(struct model *model, struct lease_book *leases) {
    char path[64], vfio[16];

    model_init(model);
    world_set_tree(model);
    world_add(model, WORLD_PCI "0000:00:05.0", "pci", 7, "vfio-pci", "vfio0");
    world_add(model, WORLD_PCI "0000:00:06.0", "pci", 8, "vfio-pci", "vfio1");
    world_add(model, WORLD_PCI "0000:00:06.1", "pci", 8, "e1000e", NULL);
    world_add(model, WORLD_PCI "0000:00:09.0", "pci", 9, "vfio-pci", "vfio2");
    world_add(model, "devices/platform/4000000.serial", "platform", GROUP_NONE, "uart-pl011", NULL);
    world_add_odd(model);
    for (unsigned i = 100; i < 100 + WORLD_MANY; i++) {
        snprintf(path, sizeof(path), WORLD_PCI "0000:01:%02x.0", i);
        snprintf(vfio, sizeof(vfio), "vfio%u", i);
        world_add(model, path, "pci", i, "vfio-pci", vfio);
    }
    world_require(model_find_sets(model) == 0);
    world_add_lease(model, leases);
    model_forget_changes(model);
}

static inline int world_find_id(void *userdata, const char *name, uint32_t *ret) {
    *ret = 1000;
    return 0;
}

/* Everybody may have everything; a call has at most so many targets. */
static inline struct policy *world_policy(const char *targets_per_call) {
    const struct policy_names names = {world_find_id, world_find_id, NULL, false};
    struct policy_report report = {0};
    struct policy *policy = NULL;
    _cleanup_(freep) char *text = string_format(
        "{\"version\": 1, \"limits\": {\"targets_per_call\": %s}, \"rules\": [{\"name\": \"all\", "
        "\"effect\": \"allow\", \"match\": {\"bus\": [\"pci\", \"platform\"]}, "
        "\"subjects\": {\"users\": [\"caller\"]}, \"delegate\": [\"caller\"], "
        "\"modes\": [\"path\", \"fd\"], \"detach\": true, \"lifetimes\": "
        "[\"connection\", \"fd\", \"process\", \"unit\", \"persistent\"]}]}",
        targets_per_call);

    world_require(text);
    world_require(policy_parse_buffer("world", text, strlen(text), &names, &policy, &report) == 0);
    policy_report_done(&report);
    return policy;
}
