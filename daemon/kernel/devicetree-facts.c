/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/devicetree-internal.h"
#include "util/string.h"

/* What the second step works on. */
struct facts {
    struct scan *scan;
    struct device_tree *tree;
    char **ret_text;
    size_t n_streams, n_maps, n_memory; /* of the whole tree */
    size_t n_unlisted;                  /* mistakes beyond the limit */
};

static int add_mistake(struct facts *facts, char *node, char *text) {
    struct device_tree *tree = facts->tree;
    struct tree_mistake *grown = NULL;

    if (node && text)
        grown = devicetree_grow(tree->mistakes, tree->n_mistakes, sizeof(*grown));
    if (!grown) {
        free(node);
        free(text);
        return -ENOMEM;
    }
    tree->mistakes = grown;
    tree->mistakes[tree->n_mistakes++] = (struct tree_mistake){node, text};
    return 0;
}

/* The last place is for how many there are. */
static bool has_place(struct facts *facts) {
    if (facts->tree->n_mistakes < TREE_MISTAKES_MAX - 1)
        return true;
    facts->n_unlisted++;
    return false;
}

static int _printf_(3, 4) mistake(struct facts *facts, uint32_t node, const char *format, ...) {
    va_list arguments;
    char *text;

    if (!has_place(facts))
        return 0;
    va_start(arguments, format);
    int r = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (r < 0)
        return -ENOMEM;
    return add_mistake(facts, scan_path(facts->scan, node), text);
}

static int count_unlisted(struct facts *facts) {
    if (facts->n_unlisted == 0)
        return 0;
    return add_mistake(facts, strdup("/"),
                       string_format("%zu more mistakes are not listed.", facts->n_unlisted));
}

static int too_many(struct facts *facts, uint32_t node, const char *what, size_t limit) {
    _cleanup_(freep) char *path = scan_path(facts->scan, node);

    if (!path)
        return -ENOMEM;
    return devicetree_fail(facts->ret_text, -E2BIG, "In node %s, the tree comes to more than %zu %s.",
                           path, limit, what);
}

/* ---- What nodes have from those around them ------------------------------------------------ */

static bool is_enabled(const struct scan_node *node) {
    return !scan_has(node, PROPERTY_STATUS) || scan_is(node, PROPERTY_STATUS, "okay") ||
           scan_is(node, PROPERTY_STATUS, "ok");
}

static void relate_to_parent(struct scan *scan, struct scan_node *node) {
    static const struct scan_node none = {.parent = SCAN_NONE, .enabled = true};
    const struct scan_node *parent = node->parent == SCAN_NONE ? &none : &scan->nodes[node->parent];
    bool is_first = node->parent == 0; /* a child of the root */

    node->enabled = parent->enabled && is_enabled(node);
    node->coherent = scan_has(node, PROPERTY_DMA_COHERENT) ||
                     (parent->coherent && !scan_has(node, PROPERTY_DMA_NONCOHERENT));
    node->memory_mapped =
        is_first || (parent->memory_mapped && scan_has(parent, PROPERTY_RANGES));
    node->is_no_device = parent->is_no_device || scan_is(parent, PROPERTY_DEVICE_TYPE, "pci") ||
                         (is_first && strcmp(node->name, "reserved-memory") == 0);
    node->names_iommu = scan_has(node, PROPERTY_IOMMUS) || scan_has(node, PROPERTY_IOMMU_MAP);
    node->above_names_iommu = parent->above_names_iommu || parent->names_iommu;
}

static void relate_nodes(struct scan *scan) {
    for (uint32_t i = 0; i < scan->n_nodes; i++)
        relate_to_parent(scan, &scan->nodes[i]);
    for (uint32_t i = scan->n_nodes; i-- > 1;) {
        const struct scan_node *node = &scan->nodes[i];
        if (node->names_iommu || node->below_names_iommu)
            scan->nodes[node->parent].below_names_iommu = true;
    }
}

/* ---- Single properties ---------------------------------------------------------------------- */

/* The strings of `compatible`. A last one without its NUL counts. */
static int read_compatible(struct facts *facts, uint32_t place, char ***ret) {
    const struct scan_property *property =
        &facts->scan->nodes[place].properties[PROPERTY_COMPATIBLE];
    size_t n = 0;

    if (property->size == 0)
        return 0;
    const char *at = (const char *)property->data, *end = at + property->size;
    _cleanup_(strings_freep) char **strings = calloc(TREE_COMPATIBLE_MAX + 1, sizeof(char *));
    while (strings && at < end && n < TREE_COMPATIBLE_MAX) {
        size_t length = strnlen(at, (size_t)(end - at));
        strings[n] = strndup(at, length);
        if (!strings[n])
            return -ENOMEM;
        devicetree_clean_name(strings[n++], length);
        at += length + 1;
    }
    char **shrunk = strings ? reallocarray(strings, n + 1, sizeof(char *)) : NULL;
    if (!shrunk)
        return -ENOMEM;
    (void)TAKE_POINTER(strings);
    *ret = shrunk;
    if (at < end)
        return mistake(facts, place, "compatible has more than %d strings; the others are left out.",
                       TREE_COMPATIBLE_MAX);
    return 0;
}

static int add_memory(struct facts *facts, uint32_t place, uint32_t target, struct tree_master *master,
                      size_t n) {
    if (facts->n_memory++ == TREE_MEMORY_MAX)
        return too_many(facts, place, "references to reserved memory", TREE_MEMORY_MAX);
    /* with room for the NULL */
    char **grown = devicetree_grow(master->memory, n + 1, sizeof(char *));
    if (!grown)
        return -ENOMEM;
    master->memory = grown;
    grown[n] = scan_path(facts->scan, target);
    grown[n + 1] = NULL;
    return grown[n] ? 0 : -ENOMEM;
}

static int read_memory(struct facts *facts, uint32_t place, struct tree_master *master) {
    const struct scan_property *property =
        &facts->scan->nodes[place].properties[PROPERTY_MEMORY_REGION];
    size_t n = 0;
    int r = 0;

    if (property->size % 4)
        r = mistake(facts, place, "memory-region ends in the middle of a phandle.");
    for (uint32_t i = 0; r >= 0 && i < property->size / 4; i++) {
        uint32_t phandle = scan_cell(property, i);
        uint32_t target = scan_find_phandle(facts->scan, phandle);
        if (target != SCAN_NONE)
            r = add_memory(facts, place, target, master, n++);
        else if (phandle != 0)
            r = mistake(facts, place, "memory-region names phandle 0x%x, which no node has.", phandle);
    }
    return r;
}

/* ---- IOMMUs --------------------------------------------------------------------------------- */

static int read_iommu(struct facts *facts, uint32_t place) {
    struct device_tree *tree = facts->tree;
    struct scan_node *node = &facts->scan->nodes[place];
    _cleanup_(strings_freep) char **compatible = NULL;
    struct tree_iommu iommu = {.enabled = node->enabled};

    if (!scan_read_cell(node, PROPERTY_IOMMU_CELLS, &iommu.n_cells))
        return mistake(facts, place, "#iommu-cells is not a number; the node does not count as IOMMU.");
    struct tree_iommu *grown = devicetree_grow(tree->iommus, tree->n_iommus, sizeof(iommu));
    if (!grown)
        return -ENOMEM;
    tree->iommus = grown;
    int r = read_compatible(facts, place, &compatible);
    if (r < 0)
        return r;
    (void)scan_read_cell(node, PROPERTY_STREAM_MATCH_MASK, &iommu.match_mask);
    iommu.grouping = tree_grouping_of((const char *const *)compatible);
    iommu.node = scan_path(facts->scan, place);
    iommu.compatible = strdup(compatible ? compatible[0] : "");
    node->iommu = tree->n_iommus;
    tree->iommus[tree->n_iommus++] = iommu;
    if (!iommu.node || !iommu.compatible)
        return -ENOMEM;
    if (iommu.n_cells > TREE_CELLS_MAX)
        return mistake(facts, place, "#iommu-cells is %u; more than %d are not possible.", iommu.n_cells,
                       TREE_CELLS_MAX);
    return 0;
}

/* The IOMMU with the phandle that the property of the node at place names. 1; 0 if there is none
 * that can be, with a mistake. */
static int find_iommu(struct facts *facts, uint32_t place, const char *property, uint32_t phandle,
                      size_t *ret) {
    uint32_t target = scan_find_phandle(facts->scan, phandle);

    if (target == SCAN_NONE)
        return mistake(facts, place, "%s names phandle 0x%x, which no node has.", property, phandle);
    if (facts->scan->nodes[target].iommu == SIZE_MAX) {
        _cleanup_(freep) char *path = scan_path(facts->scan, target);
        if (!path)
            return -ENOMEM;
        return mistake(facts, place, "%s names %s, which is no IOMMU: it has no #iommu-cells.", property,
                       path);
    }
    *ret = facts->scan->nodes[target].iommu;
    return 1;
}

/* ---- iommus --------------------------------------------------------------------------------- */

static int add_stream(struct facts *facts, uint32_t place, const struct scan_property *property,
                      uint32_t at, size_t iommu, struct tree_master *master) {
    if (facts->n_streams++ == TREE_STREAMS_MAX)
        return too_many(facts, place, "streams", TREE_STREAMS_MAX);
    struct tree_stream *grown =
        devicetree_grow(master->streams, master->n_streams, sizeof(*master->streams));
    if (!grown)
        return -ENOMEM;
    master->streams = grown;
    struct tree_stream *stream = &grown[master->n_streams++];
    *stream = (struct tree_stream){.iommu = iommu, .n_cells = facts->tree->iommus[iommu].n_cells};
    for (uint32_t i = 0; i < stream->n_cells; i++)
        stream->cells[i] = scan_cell(property, at + i);
    tree_stream_set(&facts->tree->iommus[iommu], stream);
    return 0;
}

/* One entry of `iommus`, which begins at *at. 1; 0 where the list can not be read on. */
static int read_stream(struct facts *facts, uint32_t place, uint32_t *at, struct tree_master *master) {
    const struct scan_property *property = &facts->scan->nodes[place].properties[PROPERTY_IOMMUS];
    uint32_t n = property->size / 4, phandle = scan_cell(property, (*at)++);
    size_t iommu;

    if (phandle == 0) {
        int r = mistake(facts, place, "iommus has an empty entry; Linux takes none behind it.");
        return r < 0 ? r : 1;
    }
    int r = find_iommu(facts, place, "iommus", phandle, &iommu);
    if (r <= 0)
        return r;
    uint32_t n_cells = facts->tree->iommus[iommu].n_cells;
    if (n_cells > TREE_CELLS_MAX)
        return mistake(facts, place, "iommus names %s, whose specifiers have too many cells.",
                       facts->tree->iommus[iommu].node);
    if (n_cells > n - *at)
        return mistake(facts, place, "iommus ends in the middle of an entry for %s.",
                       facts->tree->iommus[iommu].node);
    r = add_stream(facts, place, property, *at, iommu, master);
    *at += n_cells;
    return r < 0 ? r : 1;
}

static int read_streams(struct facts *facts, uint32_t place, struct tree_master *master) {
    const struct scan_property *property = &facts->scan->nodes[place].properties[PROPERTY_IOMMUS];
    uint32_t n = property->size / 4, at = 0;
    int r = 1;

    if (!property->data)
        return 0;
    if (property->size == 0)
        return mistake(facts, place, "iommus is empty.");
    while (r > 0 && at < n)
        r = read_stream(facts, place, &at, master);
    if (r > 0 && property->size % 4)
        r = mistake(facts, place, "iommus ends in the middle of a cell.");
    return r < 0 ? r : 0;
}

/* ---- iommu-map ------------------------------------------------------------------------------ */

static int add_map(struct facts *facts, uint32_t place, const struct tree_map *map,
                   struct tree_master *master) {
    if (facts->n_maps++ == TREE_MAPS_MAX)
        return too_many(facts, place, "entries of iommu-map", TREE_MAPS_MAX);
    struct tree_map *grown = devicetree_grow(master->maps, master->n_maps, sizeof(*map));
    if (!grown)
        return -ENOMEM;
    master->maps = grown;
    master->maps[master->n_maps++] = *map;
    return 0;
}

static int read_maps(struct facts *facts, uint32_t place, struct tree_master *master) {
    const struct scan_node *node = &facts->scan->nodes[place];
    const struct scan_property *property = &node->properties[PROPERTY_IOMMU_MAP];
    int r = 0;

    master->map_mask = UINT32_MAX;
    if (!property->data)
        return 0;
    (void)scan_read_cell(node, PROPERTY_IOMMU_MAP_MASK, &master->map_mask);
    if (property->size == 0 || property->size % 16)
        r = mistake(facts, place,
                    "iommu-map has %u bytes, which are not whole entries of 16; Linux takes none of it.",
                    property->size);
    for (uint32_t at = 0; r >= 0 && at + 4 <= property->size / 4; at += 4) {
        struct tree_map map = {scan_cell(property, at), scan_cell(property, at + 3), 0,
                               scan_cell(property, at + 2)};
        r = find_iommu(facts, place, "iommu-map", scan_cell(property, at + 1), &map.iommu);
        if (r > 0)
            r = add_map(facts, place, &map, master);
        if (r >= 0 && (map.requester & ~master->map_mask))
            r = mistake(facts, place,
                        "iommu-map-mask 0x%x cuts the requester id 0x%x of iommu-map; Linux gives up there.",
                        master->map_mask, map.requester);
    }
    return r;
}

/* ---- Masters -------------------------------------------------------------------------------- */

static int read_master(struct facts *facts, uint32_t place, bool looks_like_master) {
    const struct scan_node *node = &facts->scan->nodes[place];
    struct device_tree *tree = facts->tree;
    struct tree_master *grown = devicetree_grow(tree->masters, tree->n_masters, sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    tree->masters = grown;
    char *path = scan_path(facts->scan, place);
    if (!path)
        return -ENOMEM;
    struct tree_master *master = &grown[tree->n_masters++];
    *master = (struct tree_master){
        .node = path,
        .enabled = node->enabled,
        .has_iommus = scan_has(node, PROPERTY_IOMMUS),
        .has_map = scan_has(node, PROPERTY_IOMMU_MAP),
        .dma_coherent = node->coherent,
        .looks_like_master = looks_like_master,
    };
    int r = read_compatible(facts, place, &master->compatible);
    if (r >= 0)
        r = read_memory(facts, place, master);
    if (r >= 0)
        r = read_streams(facts, place, master);
    return r < 0 ? r : read_maps(facts, place, master);
}

static int compare_masters(const void *a, const void *b) {
    const struct tree_master *one = a, *other = b;

    return strcmp(one->node, other->node);
}

/* Sorts the masters. Of two with one name only the kernel knows which device is which. */
static int sort_masters(struct facts *facts) {
    struct device_tree *tree = facts->tree;
    int r = 0;

    if (tree->n_masters > 0)
        qsort(tree->masters, tree->n_masters, sizeof(*tree->masters), compare_masters);
    for (size_t i = 1; r >= 0 && i < tree->n_masters; i++) {
        if (strcmp(tree->masters[i - 1].node, tree->masters[i].node) == 0 && has_place(facts))
            r = add_mistake(facts, strdup(tree->masters[i].node),
                            strdup("Another node has the same path."));
    }
    return r;
}

static int note_duplicates(struct facts *facts) {
    const struct scan *scan = facts->scan;

    for (uint32_t i = 1; i < scan->n_phandles; i++) {
        if (scan->phandles[i].phandle != scan->phandles[i - 1].phandle)
            continue;
        int r = mistake(facts, scan->phandles[i].node, "phandle 0x%x is that of another node, too.",
                        scan->phandles[i].phandle);
        if (r < 0)
            return r;
    }
    return 0;
}

int facts_from_scan(struct scan *scan, struct device_tree *tree, char **ret_text) {
    struct facts facts = {.scan = scan, .tree = tree, .ret_text = ret_text};
    int r = note_duplicates(&facts);

    relate_nodes(scan);
    for (uint32_t i = 0; r >= 0 && i < scan->n_nodes; i++)
        if (scan_has(&scan->nodes[i], PROPERTY_IOMMU_CELLS))
            r = read_iommu(&facts, i);
    for (uint32_t i = 0; r >= 0 && i < scan->n_nodes; i++) {
        bool looks_like_master = scan_looks_like_master(scan, &scan->nodes[i]);
        if (scan->nodes[i].names_iommu || looks_like_master)
            r = read_master(&facts, i, looks_like_master);
    }
    if (r >= 0)
        r = sort_masters(&facts);
    return r < 0 ? r : count_unlisted(&facts);
}
