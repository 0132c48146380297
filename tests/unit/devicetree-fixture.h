/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Blobs made by libfdt's writer, and what is read from them. A test that includes this uses each of
 * its functions, or says so. */

#include <check.h>
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/devicetree.h"
#include "util/cleanup.h"

#define UNUSED_HERE __attribute__((unused))

static struct {
    _Alignas(8) uint8_t blob[1024 * 1024];
    size_t size; /* of the finished blob */
    struct device_tree *tree;
    char *text;
} made;

#define MADE(call) ck_assert_int_eq(call, 0)

/* ---- Writing -------------------------------------------------------------------------------- */

static inline void node_begin(const char *name) {
    MADE(fdt_begin_node(made.blob, name));
}

static inline void node_end(void) {
    MADE(fdt_end_node(made.blob));
}

static inline void blob_begin(void) {
    MADE(fdt_create(made.blob, sizeof(made.blob)));
    MADE(fdt_finish_reservemap(made.blob));
    node_begin("");
}

static inline void blob_end(void) {
    node_end();
    MADE(fdt_finish(made.blob));
    made.size = fdt_totalsize(made.blob);
}

static inline void data(const char *name, const void *value, size_t size) {
    MADE(fdt_property(made.blob, name, value, (int)size));
}

/* An empty property. */
static inline void flag(const char *name) {
    data(name, NULL, 0);
}

static inline void text(const char *name, const char *value) {
    data(name, value, strlen(value) + 1);
}

static inline void write_cells(const char *name, const uint32_t *values, size_t n) {
    fdt32_t cells[64];

    ck_assert_uint_le(n, ELEMENTS_OF(cells));
    for (size_t i = 0; i < n; i++)
        cells[i] = cpu_to_fdt32(values[i]);
    data(name, cells, 4 * n);
}

#define cells(name, ...)                                                                           \
    write_cells(name, (const uint32_t[]){__VA_ARGS__},                                             \
                sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* A bus that is memory-mapped, as "soc" is. */
static UNUSED_HERE void bus_begin(const char *name) {
    node_begin(name);
    text("compatible", "simple-bus");
    flag("ranges");
}

static UNUSED_HERE void iommu(const char *name, const char *compatible, uint32_t phandle,
                              uint32_t n_cells) {
    node_begin(name);
    text("compatible", compatible);
    cells("#iommu-cells", n_cells);
    cells("phandle", phandle);
    node_end();
}

/* ---- Reading -------------------------------------------------------------------------------- */

static UNUSED_HERE void forget(void) {
    made.tree = device_tree_free(made.tree);
    free(made.text);
    made.text = NULL;
}

static UNUSED_HERE int read_made(void) {
    return devicetree_read_blob(made.blob, made.size, &made.tree, &made.text);
}

/* Ends the blob and reads it, which must go well. */
static UNUSED_HERE void read_tree(void) {
    blob_end();
    int r = read_made();
    ck_assert_msg(r == 0, "%d: %s", r, made.text ? made.text : "(no text)");
    ck_assert_ptr_null(made.text);
}

static UNUSED_HERE const struct tree_master *master(const char *node) {
    const struct tree_master *found = device_tree_master(made.tree, node);

    ck_assert_msg(found, "%s is no master", node);
    ck_assert_str_eq(found->node, node);
    return found;
}

/* The one mistake that there is. */
static UNUSED_HERE void check_mistake(const char *node, const char *sentence) {
    ck_assert_uint_eq(made.tree->n_mistakes, 1);
    ck_assert_str_eq(made.tree->mistakes[0].node, node);
    ck_assert_str_eq(made.tree->mistakes[0].text, sentence);
}

static UNUSED_HERE void check_stream(const struct tree_stream *stream, size_t iommu_place, uint32_t id,
                                     uint32_t mask) {
    ck_assert_uint_eq(stream->iommu, iommu_place);
    ck_assert_uint_eq(stream->id, id);
    ck_assert_uint_eq(stream->mask, mask);
}
