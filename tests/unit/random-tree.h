/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small random device trees, with few numbers so that much collides, and who shares streams by the
 * definition: every pair of streams, and then the transitive closure. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/device-tree.h"
#include "util/cleanup.h"

#include "random-steps.h"

enum { IOMMUS_MAX = 4, MASTERS_MAX = 14, BRIDGES_MAX = 2, STREAMS_MAX = 3, MAPS_MAX = 3 };

struct random_tree {
    struct tree_iommu iommus[IOMMUS_MAX];
    struct tree_master masters[MASTERS_MAX + BRIDGES_MAX];
    struct tree_stream streams[MASTERS_MAX + BRIDGES_MAX][STREAMS_MAX];
    struct tree_map maps[BRIDGES_MAX][MAPS_MAX];
    char nodes[MASTERS_MAX + BRIDGES_MAX][24], iommu_nodes[IOMMUS_MAX][24];
    struct device_tree tree;
    unsigned n_bridges; /* the last ones of the masters */
};

/* ---- A random tree ---------------------------------------------------------------------------- */

static void make_iommu(struct random_tree *random, size_t index) {
    struct tree_iommu *iommu = &random->iommus[index];

    snprintf(random->iommu_nodes[index], sizeof(random->iommu_nodes[index]), "/i%zu", index);
    *iommu = (struct tree_iommu){
        .node = random->iommu_nodes[index],
        .compatible = (char *)"",
        .grouping = (enum tree_grouping)draw(TREE_GROUP_SINGLE + 1),
        .enabled = draw(8) > 0,
        .n_cells = draw(6) / 2,
    };
    if (iommu->grouping == TREE_GROUP_SMMU_V2 && draw(4) == 0)
        iommu->match_mask = draw(4);
}

static void make_stream(const struct random_tree *random, struct tree_stream *stream) {
    stream->iommu = draw((unsigned)random->tree.n_iommus);
    const struct tree_iommu *iommu = &random->iommus[stream->iommu];

    stream->n_cells = iommu->n_cells;
    for (uint32_t i = 0; i < stream->n_cells; i++)
        stream->cells[i] = i == 0 ? draw(10) : draw(3);
    tree_stream_set(iommu, stream);
}

static void make_maps(struct random_tree *random, size_t bridge, struct tree_master *master) {
    master->has_map = true;
    master->maps = random->maps[bridge];
    master->n_maps = draw(MAPS_MAX + 1);
    master->map_mask = draw(4) ? UINT32_MAX : 6;
    for (size_t i = 0; i < master->n_maps; i++)
        master->maps[i] = (struct tree_map){
            .requester = draw(8) & master->map_mask,
            .length = draw(5),
            .iommu = draw((unsigned)random->tree.n_iommus),
            .id = draw(10),
        };
}

static void make_master(struct random_tree *random, size_t index, unsigned n_plain) {
    struct tree_master *master = &random->masters[index];

    snprintf(random->nodes[index], sizeof(random->nodes[index]), "/m%02zu", index);
    *master = (struct tree_master){
        .node = random->nodes[index],
        .enabled = draw(8) > 0,
        .looks_like_master = draw(3) == 0,
        .streams = random->streams[index],
        .n_streams = draw(STREAMS_MAX + 1),
        .map_mask = UINT32_MAX,
    };
    if (index >= n_plain) {
        make_maps(random, index - n_plain, master);
        master->n_streams = draw(4) ? 0 : 1;
    }
    master->has_iommus = master->n_streams > 0;
    for (size_t i = 0; i < master->n_streams; i++)
        make_stream(random, &master->streams[i]);
}

static void make_tree(struct random_tree *random) {
    unsigned n_plain = draw(MASTERS_MAX + 1);

    *random = (struct random_tree){.n_bridges = draw(BRIDGES_MAX + 1)};
    random->tree.iommus = random->iommus;
    random->tree.masters = random->masters;
    random->tree.n_iommus = 1 + draw(IOMMUS_MAX);
    random->tree.n_masters = n_plain + random->n_bridges;
    for (size_t i = 0; i < random->tree.n_iommus; i++)
        make_iommu(random, i);
    for (size_t i = 0; i < random->tree.n_masters; i++)
        make_master(random, i, n_plain);
}

/* ---- The definition --------------------------------------------------------------------------- */

static bool is_one_stream(const struct tree_iommu *iommu) {
    return iommu->grouping == TREE_GROUP_SINGLE || iommu->n_cells == 0;
}

static bool collide(const struct device_tree *tree, const struct tree_stream *a,
                    const struct tree_stream *b) {
    const struct tree_iommu *iommu = &tree->iommus[a->iommu];

    if (a->iommu != b->iommu || !iommu->enabled)
        return false;
    if (is_one_stream(iommu))
        return true;
    if (iommu->grouping == TREE_GROUP_SMMU_V2)
        return ((a->id ^ b->id) & ~(a->mask | b->mask)) == 0;
    for (uint32_t i = 0; i < a->n_cells && i < b->n_cells; i++)
        if (a->cells[i] != b->cells[i])
            return false;
    return true;
}

static bool lists_collide(const struct device_tree *tree, const struct tree_stream *a, size_t n_a,
                          const struct tree_stream *b, size_t n_b) {
    bool found = false;

    for (size_t i = 0; i < n_a; i++)
        for (size_t j = 0; j < n_b; j++) {
            bool same = collide(tree, &a[i], &b[j]);
            check(!tree->iommus[a[i].iommu].enabled || same == tree_streams_collide(tree, &a[i], &b[j]));
            found = found || same;
        }
    return found;
}

static inline unsigned long number_of(const char *argument, const char *variable,
                                      unsigned long otherwise) {
    const char *text = argument ?: getenv(variable);

    return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* [SEED [STEPS]], or DMAOWND_TEST_SEED and DMAOWND_TEST_STEPS: the seed is printed, and the same seed
 * makes the same run. */
static unsigned long read_arguments(int argc, char **argv, unsigned long otherwise) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    seed = (unsigned)number_of(argc > 1 ? argv[1] : NULL, "DMAOWND_TEST_SEED",
                               (unsigned long)now.tv_sec * 1000003 + (unsigned long)now.tv_nsec);
    unsigned long n_steps = number_of(argc > 2 ? argv[2] : NULL, "DMAOWND_TEST_STEPS", otherwise);
    printf("1..1\n# seed %u, %lu steps\n", seed, n_steps);
    fflush(stdout);
    return n_steps;
}
