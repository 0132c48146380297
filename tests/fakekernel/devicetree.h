/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The tree that the firmware described the machine with: shown in /sys/firmware, and what the devices
 * of the platform and amba buses are made from. A node is named by its offset in the blob, -1 is none.
 * Everything here needs tree_lock held. Functions return 0 or negative errno.
 */
struct device;
struct entry;

#define DEVICETREE_CELLS 16

/* A reference with the cells behind it. */
struct reference {
    int node;
    uint32_t cells[DEVICETREE_CELLS];
    unsigned count;
};

/* From a blob, or from a source (.dts), for which dtc is run. Once. Devices are made and probed. */
int devicetree_load(const char *path);
bool devicetree_present(void);

/* By its full path. */
int devicetree_find(const char *path);
/* Its full path, in a buffer of this function's. */
const char *devicetree_path(int node);
/* Its folder in /sys/firmware/devicetree/base. */
struct entry *devicetree_entry(int node);
/* The nth string of compatible; NULL behind the last. */
const char *devicetree_compatible(int node, int n);
bool devicetree_is_compatible(int node, const char *name);
/* Neither it nor a node above it has a status that says otherwise. */
bool devicetree_is_enabled(int node);
int devicetree_parent(int node);
/* The child after previous, the first one after -1; -1 behind the last. */
int devicetree_child(int node, int previous);
bool devicetree_has(int node, const char *property);
/* The first cell of a property; other if it has none. */
uint32_t devicetree_cell(int node, const char *property, uint32_t other);
/* The translated address of reg; false if there is none. */
bool devicetree_address(int node, uint64_t *ret);

/* The nth entry of `iommus`: -ENOENT behind the last, -EINVAL if it is malformed. */
int devicetree_iommus(int node, unsigned n, struct reference *ret);
/* What `iommu-map` makes of a requester id: -ENOENT if it says nothing of it. */
int devicetree_iommu_map(int node, uint32_t requester, struct reference *ret);

/* Modalias and uevent lines of a device made from it; the caller's. */
char *devicetree_modalias(int node, const char *bus);
char *devicetree_uevent(int node, const char *bus, const char *modalias);
