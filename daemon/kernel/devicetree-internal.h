/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a blob to facts in two steps: one pass over the blob that notes every node and where the
 * properties are that count, then the facts. Nothing in here looks a node up twice in the blob, whose
 * own functions for paths and phandles walk through all of it each time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/devicetree.h"
#include "util/cleanup.h"

/* Of a path, and of one name in it. sysfs cannot have longer names. */
#define DEVICETREE_PATH_MAX 1024
#define DEVICETREE_NAME_MAX 255
/* Of one property of the live tree. */
#define DEVICETREE_PROPERTY_MAX (1024 * 1024)

#define SCAN_NONE UINT32_MAX

/* In the order of their names in the blob, byte by byte. */
enum scan_property_id {
    PROPERTY_DMA_CELLS,
    PROPERTY_IOMMU_CELLS,
    PROPERTY_COMPATIBLE,
    PROPERTY_DEVICE_TYPE,
    PROPERTY_DMA_COHERENT,
    PROPERTY_DMA_MASTERS,
    PROPERTY_DMA_NONCOHERENT,
    PROPERTY_DMA_RANGES,
    PROPERTY_DMAS,
    PROPERTY_INTERRUPT_CONTROLLER,
    PROPERTY_IOMMU_MAP,
    PROPERTY_IOMMU_MAP_MASK,
    PROPERTY_IOMMUS,
    PROPERTY_LINUX_PHANDLE,
    PROPERTY_MEMORY_REGION,
    PROPERTY_MSI_CONTROLLER,
    PROPERTY_PHANDLE,
    PROPERTY_RANGES,
    PROPERTY_REG,
    PROPERTY_STATUS,
    PROPERTY_STREAM_MATCH_MASK,
    PROPERTY_MAX,
};

/* Where it is; data is NULL if the node has none, and never NULL otherwise. */
struct scan_property {
    const uint8_t *data;
    uint32_t size;
};

struct scan_node {
    const char *name; /* in the blob; "" for the root */
    uint32_t name_length, path_length;
    uint32_t parent; /* SCAN_NONE for the root */
    uint32_t phandle; /* 0 for none */
    size_t iommu;     /* in device_tree::iommus; SIZE_MAX for none */
    bool has_children;
    bool enabled;       /* with all above */
    bool coherent;      /* by the nearest node that says so */
    bool memory_mapped; /* all nodes above but the root have ranges */
    bool is_no_device;  /* a PCI function, or reserved memory */
    bool names_iommu;   /* has iommus or iommu-map */
    bool above_names_iommu, below_names_iommu;
    struct scan_property properties[PROPERTY_MAX];
};

struct scan_phandle {
    uint32_t phandle, node;
};

struct scan {
    const void *blob;
    struct scan_node *nodes; /* as in the blob: parents before children */
    uint32_t n_nodes;
    struct scan_phandle *phandles; /* by phandle, then by node */
    uint32_t n_phandles;
};

/* Reads the structure of a blob whose header was checked. -EBADMSG, -E2BIG, both with a text;
 * -ENOMEM. Done also after an error. */
int scan_blob(struct scan *scan, const void *blob, char **ret_text);
void scan_done(struct scan *scan);

/* The first node with this phandle; SCAN_NONE if none. */
uint32_t scan_find_phandle(const struct scan *scan, uint32_t phandle);
/* The caller's; NULL when out of memory. A byte that no path may have is '?' in it. */
char *scan_path(const struct scan *scan, uint32_t node);

static inline bool scan_has(const struct scan_node *node, enum scan_property_id id) {
    return node->properties[id].data;
}

/* One cell; index must be in it. */
uint32_t scan_cell(const struct scan_property *property, uint32_t index);
/* The first cell, as the kernel's of_property_read_u32; false if there is none. */
bool scan_read_cell(const struct scan_node *node, enum scan_property_id id, uint32_t *ret);
/* Whether it is this string, up to its first NUL. */
bool scan_is(const struct scan_node *node, enum scan_property_id id, const char *text);

/* The second step. */
int facts_from_scan(struct scan *scan, struct device_tree *tree, char **ret_text);
/* Whether the node says of itself that it does DMA. */
bool scan_looks_like_master(const struct scan *scan, const struct scan_node *node);

/* The folders below sysfs as a blob, with the same limits; *ret is the caller's. */
int folders_flatten(int sysfs, const char *path, void **ret, size_t *ret_size, char **ret_text);

/* Replaces what a path may not have. */
void devicetree_clean_name(char *name, size_t length);
/* Sets *ret_text and returns error; -ENOMEM if there is no memory for the text. */
int devicetree_fail(char **ret_text, int error, const char *format, ...) _printf_(3, 4);

/* An array with n elements, with room for one more; it grows by doubling. NULL when out of memory, and
 * the array is as before. */
void *devicetree_grow(void *array, size_t n, size_t element) _must_check_;
