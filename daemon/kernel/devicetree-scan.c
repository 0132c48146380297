/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/devicetree-internal.h"

static const char *const property_names[PROPERTY_MAX] = {
    [PROPERTY_DMA_CELLS] = "#dma-cells",
    [PROPERTY_IOMMU_CELLS] = "#iommu-cells",
    [PROPERTY_COMPATIBLE] = "compatible",
    [PROPERTY_DEVICE_TYPE] = "device_type",
    [PROPERTY_DMA_COHERENT] = "dma-coherent",
    [PROPERTY_DMA_MASTERS] = "dma-masters",
    [PROPERTY_DMA_NONCOHERENT] = "dma-noncoherent",
    [PROPERTY_DMA_RANGES] = "dma-ranges",
    [PROPERTY_DMAS] = "dmas",
    [PROPERTY_INTERRUPT_CONTROLLER] = "interrupt-controller",
    [PROPERTY_IOMMU_MAP] = "iommu-map",
    [PROPERTY_IOMMU_MAP_MASK] = "iommu-map-mask",
    [PROPERTY_IOMMUS] = "iommus",
    [PROPERTY_LINUX_PHANDLE] = "linux,phandle",
    [PROPERTY_MEMORY_REGION] = "memory-region",
    [PROPERTY_MSI_CONTROLLER] = "msi-controller",
    [PROPERTY_PHANDLE] = "phandle",
    [PROPERTY_RANGES] = "ranges",
    [PROPERTY_REG] = "reg",
    [PROPERTY_STATUS] = "status",
    [PROPERTY_STREAM_MATCH_MASK] = "stream-match-mask",
};

int devicetree_fail(char **ret_text, int error, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    int r = vasprintf(ret_text, format, arguments);
    va_end(arguments);
    if (r >= 0)
        return error;
    *ret_text = NULL;
    return -ENOMEM;
}

void *devicetree_grow(void *array, size_t n, size_t element) {
    if (n & (n - 1))
        return array;
    return reallocarray(array, n ? 2 * n : 1, element);
}

void devicetree_clean_name(char *name, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (name[i] <= 0x20 || name[i] > 0x7e || name[i] == '/')
            name[i] = '?';
}

char *scan_path(const struct scan *scan, uint32_t node) {
    uint32_t at = scan->nodes[node].path_length;
    char *path = malloc(at + 2);

    if (!path)
        return NULL;
    strcpy(path, "/");
    if (at > 0)
        path[at] = 0;
    for (; scan->nodes[node].parent != SCAN_NONE; node = scan->nodes[node].parent) {
        uint32_t length = scan->nodes[node].name_length;
        at -= length + 1;
        path[at] = '/';
        memcpy(path + at + 1, scan->nodes[node].name, length);
        devicetree_clean_name(path + at + 1, length);
    }
    return path;
}

uint32_t scan_cell(const struct scan_property *property, uint32_t index) {
    const uint8_t *at = property->data + 4 * (size_t)index;

    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

bool scan_read_cell(const struct scan_node *node, enum scan_property_id id, uint32_t *ret) {
    if (node->properties[id].size < 4)
        return false;
    *ret = scan_cell(&node->properties[id], 0);
    return true;
}

bool scan_is(const struct scan_node *node, enum scan_property_id id, const char *text) {
    const struct scan_property *property = &node->properties[id];
    size_t length = strlen(text);

    return property->size > length && memcmp(property->data, text, length + 1) == 0;
}

/* ---- The pass ----------------------------------------------------------------------------- */

/* Where the pass is. */
struct cursor {
    uint32_t node; /* SCAN_NONE outside of all */
    unsigned depth;
    int offset; /* of the tag, in the structure block */
};

static int fail_at(const struct scan *scan, const struct cursor *cursor, int error,
                   const char *what, char **ret_text) {
    _cleanup_(freep) char *path = cursor->node == SCAN_NONE ? NULL : scan_path(scan, cursor->node);

    if (cursor->node == SCAN_NONE)
        return devicetree_fail(ret_text, error, "At offset 0x%x of the structure, %s.",
                               (unsigned)cursor->offset, what);
    if (!path)
        return -ENOMEM;
    return devicetree_fail(ret_text, error, "In node %s, at offset 0x%x of the structure, %s.", path,
                           (unsigned)cursor->offset, what);
}

static int begin_node(struct scan *scan, struct cursor *cursor, char **ret_text) {
    int length = 0;
    const char *name = fdt_get_name(scan->blob, cursor->offset, &length);
    struct scan_node node = {.name = name, .parent = cursor->node, .iommu = SIZE_MAX};

    if (!name)
        return fail_at(scan, cursor, -EBADMSG, "a name has no end", ret_text);
    if (cursor->node == SCAN_NONE && (scan->n_nodes > 0 || length > 0))
        return fail_at(scan, cursor, -EBADMSG,
                       scan->n_nodes > 0 ? "a second root begins" : "the root has a name", ret_text);
    if (length > DEVICETREE_NAME_MAX)
        return fail_at(scan, cursor, -E2BIG, "a node's name has more than 255 bytes", ret_text);
    if (cursor->node != SCAN_NONE && length == 0)
        return fail_at(scan, cursor, -EBADMSG, "a node has no name", ret_text);
    if (++cursor->depth > DEVICETREE_DEPTH_MAX)
        return fail_at(scan, cursor, -E2BIG, "nodes are more than 64 deep", ret_text);
    if (scan->n_nodes == DEVICETREE_NODES_MAX)
        return fail_at(scan, cursor, -E2BIG, "the 65537th node begins", ret_text);
    if (cursor->node != SCAN_NONE) {
        node.name_length = (uint32_t)length;
        node.path_length = scan->nodes[cursor->node].path_length + node.name_length + 1;
        scan->nodes[cursor->node].has_children = true;
    }
    if (node.path_length >= DEVICETREE_PATH_MAX)
        return fail_at(scan, cursor, -E2BIG, "a path has more than 1023 bytes", ret_text);
    struct scan_node *grown = devicetree_grow(scan->nodes, scan->n_nodes, sizeof(node));
    if (!grown)
        return -ENOMEM;
    scan->nodes = grown;
    cursor->node = scan->n_nodes;
    scan->nodes[scan->n_nodes++] = node;
    return 0;
}

static int compare_name(const void *key, const void *element) {
    return strcmp(key, *(const char *const *)element);
}

static int note_property(struct scan *scan, struct cursor *cursor, char **ret_text) {
    const char *name;
    int size;
    const void *data = fdt_getprop_by_offset(scan->blob, cursor->offset, &name, &size);

    if (!data || size < 0)
        return fail_at(scan, cursor, -EBADMSG, "a property is damaged", ret_text);
    if (cursor->node == SCAN_NONE)
        return fail_at(scan, cursor, -EBADMSG, "a property belongs to no node", ret_text);
    const char *const *known =
        bsearch(name, property_names, PROPERTY_MAX, sizeof(*property_names), compare_name);
    if (!known)
        return 0;
    struct scan_property *property =
        &scan->nodes[cursor->node].properties[known - property_names];
    if (!property->data)
        *property = (struct scan_property){data, (uint32_t)size};
    return 0;
}

static int end_node(struct scan *scan, struct cursor *cursor, char **ret_text) {
    if (cursor->node == SCAN_NONE)
        return fail_at(scan, cursor, -EBADMSG, "a node ends that did not begin", ret_text);
    cursor->node = scan->nodes[cursor->node].parent;
    cursor->depth--;
    return 0;
}

static int read_structure(struct scan *scan, char **ret_text) {
    struct cursor cursor = {.node = SCAN_NONE};

    for (int r = 0, next = 0;;) {
        cursor.offset = next;
        uint32_t tag = fdt_next_tag(scan->blob, cursor.offset, &next);
        if (next < 0)
            return fail_at(scan, &cursor, -EBADMSG, "the structure breaks off", ret_text);
        if (tag == FDT_BEGIN_NODE)
            r = begin_node(scan, &cursor, ret_text);
        else if (tag == FDT_PROP)
            r = note_property(scan, &cursor, ret_text);
        else if (tag == FDT_END_NODE)
            r = end_node(scan, &cursor, ret_text);
        else if (tag == FDT_NOP && cursor.node == SCAN_NONE && scan->n_nodes > 0)
            r = fail_at(scan, &cursor, -EBADMSG, "something stands behind the root", ret_text);
        if (r < 0)
            return r;
        if (tag != FDT_END)
            continue;
        if (cursor.node != SCAN_NONE)
            return fail_at(scan, &cursor, -EBADMSG, "the structure ends within the node", ret_text);
        if (scan->n_nodes == 0)
            return fail_at(scan, &cursor, -EBADMSG, "the structure ends without a node", ret_text);
        return 0;
    }
}

/* ---- Phandles ----------------------------------------------------------------------------- */

static int compare_phandle(const void *a, const void *b) {
    const struct scan_phandle *one = a, *other = b;

    if (one->phandle != other->phandle)
        return one->phandle < other->phandle ? -1 : 1;
    return one->node < other->node ? -1 : one->node > other->node;
}

static int index_phandles(struct scan *scan) {
    for (uint32_t i = 0; i < scan->n_nodes; i++) {
        struct scan_node *node = &scan->nodes[i];
        uint32_t phandle;
        if (!scan_read_cell(node, PROPERTY_PHANDLE, &phandle) &&
            !scan_read_cell(node, PROPERTY_LINUX_PHANDLE, &phandle))
            continue;
        if (phandle == 0 || phandle == UINT32_MAX)
            continue;
        node->phandle = phandle;
        struct scan_phandle *grown =
            devicetree_grow(scan->phandles, scan->n_phandles, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        scan->phandles = grown;
        scan->phandles[scan->n_phandles++] = (struct scan_phandle){phandle, i};
    }
    if (scan->n_phandles > 0)
        qsort(scan->phandles, scan->n_phandles, sizeof(*scan->phandles), compare_phandle);
    return 0;
}

uint32_t scan_find_phandle(const struct scan *scan, uint32_t phandle) {
    uint32_t low = 0, high = scan->n_phandles;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (scan->phandles[middle].phandle < phandle)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == scan->n_phandles || scan->phandles[low].phandle != phandle)
        return SCAN_NONE;
    return scan->phandles[low].node;
}

int scan_blob(struct scan *scan, const void *blob, char **ret_text) {
    scan->blob = blob;
    int r = read_structure(scan, ret_text);
    return r < 0 ? r : index_phandles(scan);
}

void scan_done(struct scan *scan) {
    free(scan->nodes);
    free(scan->phandles);
}
