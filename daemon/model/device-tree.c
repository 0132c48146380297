/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/device-tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/string.h"

static void master_done(struct tree_master *master) {
    free(master->node);
    strings_free(master->compatible);
    strings_free(master->memory);
    free(master->streams);
    free(master->maps);
}

struct device_tree *device_tree_free(struct device_tree *tree) {
    if (!tree)
        return NULL;
    for (size_t i = 0; i < tree->n_iommus; i++) {
        free(tree->iommus[i].node);
        free(tree->iommus[i].compatible);
    }
    for (size_t i = 0; i < tree->n_masters; i++)
        master_done(&tree->masters[i]);
    for (size_t i = 0; i < tree->n_mistakes; i++) {
        free(tree->mistakes[i].node);
        free(tree->mistakes[i].text);
    }
    free(tree->iommus);
    free(tree->masters);
    free(tree->mistakes);
    free(tree);
    return NULL;
}

static int compare_master(const void *key, const void *element) {
    const struct tree_master *master = element;

    return strcmp(key, master->node);
}

const struct tree_master *device_tree_master(const struct device_tree *tree, const char *node) {
    if (tree->n_masters == 0)
        return NULL;
    return bsearch(node, tree->masters, tree->n_masters, sizeof(*tree->masters), compare_master);
}

static const struct {
    const char *compatible;
    enum tree_grouping grouping;
} groupings[] = {
    /* arm-smmu.c: what has a model of its own names one of these as well */
    {"arm,mmu-400", TREE_GROUP_SMMU_V2},
    {"arm,mmu-401", TREE_GROUP_SMMU_V2},
    {"arm,mmu-500", TREE_GROUP_SMMU_V2},
    {"arm,smmu-v1", TREE_GROUP_SMMU_V2},
    {"arm,smmu-v2", TREE_GROUP_SMMU_V2},
    {"cavium,smmu-v2", TREE_GROUP_SMMU_V2},
    {"nvidia,smmu-500", TREE_GROUP_SMMU_V2},
    {"qcom,smmu-v2", TREE_GROUP_SMMU_V2},
    {"arm,smmu-v3", TREE_GROUP_SMMU_V3},
    /* generic_single_device_group; of the IPMMU on 64 bits, and all its models */
    {"allwinner,sun50i-h6-iommu", TREE_GROUP_SINGLE},
    {"allwinner,sun50i-h616-iommu", TREE_GROUP_SINGLE},
    {"renesas,ipmmu-", TREE_GROUP_SINGLE},
    {"renesas,rcar-gen4-ipmmu-vmsa", TREE_GROUP_SINGLE},
    {"rockchip,iommu", TREE_GROUP_SINGLE},
    {"rockchip,rk3568-iommu", TREE_GROUP_SINGLE},
    {"sprd,iommu-v1", TREE_GROUP_SINGLE},
    {"ti,dra7-dsp-iommu", TREE_GROUP_SINGLE},
    {"ti,dra7-iommu", TREE_GROUP_SINGLE},
    {"ti,omap2-iommu", TREE_GROUP_SINGLE},
    {"ti,omap4-iommu", TREE_GROUP_SINGLE},
    /* apple-dart.c, tegra-smmu.c (by the first stream), mtk_iommu.c (by region or bank) */
    {"apple,t6000-dart", TREE_GROUP_BY_STREAM},
    {"apple,t8103-dart", TREE_GROUP_BY_STREAM},
    {"apple,t8103-usb4-dart", TREE_GROUP_BY_STREAM},
    {"apple,t8110-dart", TREE_GROUP_BY_STREAM},
    {"mediatek,mt2712-m4u", TREE_GROUP_BY_STREAM},
    {"mediatek,mt6779-m4u", TREE_GROUP_BY_STREAM},
    {"mediatek,mt6795-m4u", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8167-m4u", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8173-m4u", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8183-m4u", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8186-iommu-", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8188-iommu-", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8192-m4u", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8195-iommu-", TREE_GROUP_BY_STREAM},
    {"mediatek,mt8365-m4u", TREE_GROUP_BY_STREAM},
    {"nvidia,tegra114-mc", TREE_GROUP_BY_STREAM},
    {"nvidia,tegra124-mc", TREE_GROUP_BY_STREAM},
    {"nvidia,tegra132-mc", TREE_GROUP_BY_STREAM},
    {"nvidia,tegra210-mc", TREE_GROUP_BY_STREAM},
    {"nvidia,tegra30-mc", TREE_GROUP_BY_STREAM},
    /* generic_device_group */
    {"mediatek,mt2701-m4u", TREE_GROUP_PER_DEVICE},
    {"qcom,apq8064-iommu", TREE_GROUP_PER_DEVICE},
    {"qcom,msm-iommu-v1", TREE_GROUP_PER_DEVICE},
    {"qcom,msm-iommu-v2", TREE_GROUP_PER_DEVICE},
    {"samsung,exynos-sysmmu", TREE_GROUP_PER_DEVICE},
    {"virtio,mmio", TREE_GROUP_PER_DEVICE},
    {"virtio,pci-iommu", TREE_GROUP_PER_DEVICE},
};

/* The table's entries that end in '-' stand for all that begin so. */
static bool is_compatible(const char *entry, const char *compatible) {
    size_t length = strlen(entry);

    if (entry[length - 1] == '-')
        return strncmp(entry, compatible, length) == 0;
    return strcmp(entry, compatible) == 0;
}

enum tree_grouping tree_grouping_of(const char *const *compatible) {
    for (; compatible && *compatible; compatible++)
        for (size_t i = 0; i < ELEMENTS_OF(groupings); i++)
            if (is_compatible(groupings[i].compatible, *compatible))
                return groupings[i].grouping;
    return TREE_GROUP_PER_DEVICE;
}

void tree_stream_set(const struct tree_iommu *iommu, struct tree_stream *stream) {
    stream->id = stream->n_cells > 0 ? stream->cells[0] : 0;
    stream->mask = 0;
    if (iommu->grouping != TREE_GROUP_SMMU_V2)
        return;
    stream->id &= 0xffff;
    stream->mask = (stream->n_cells > 1 ? stream->cells[1] : iommu->match_mask) & 0xffff;
}

bool tree_map_requester(const struct tree_master *bridge, const struct device_tree *tree,
                        uint32_t requester, struct tree_stream *ret) {
    uint32_t masked = requester & bridge->map_mask;

    for (size_t i = 0; i < bridge->n_maps; i++) {
        const struct tree_map *map = &bridge->maps[i];
        if (map->requester & ~bridge->map_mask)
            return false;
        if (masked < map->requester || masked - map->requester >= map->length)
            continue;
        *ret = (struct tree_stream){.iommu = map->iommu, .n_cells = 1};
        ret->cells[0] = map->id + (masked - map->requester);
        tree_stream_set(&tree->iommus[map->iommu], ret);
        return true;
    }
    return false;
}

bool tree_streams_collide(const struct device_tree *tree, const struct tree_stream *a,
                          const struct tree_stream *b) {
    const struct tree_iommu *iommu = &tree->iommus[a->iommu];

    if (a->iommu != b->iommu)
        return false;
    if (iommu->grouping == TREE_GROUP_SINGLE || iommu->n_cells == 0)
        return true;
    if (iommu->grouping == TREE_GROUP_SMMU_V2)
        return ((a->id ^ b->id) & ~(a->mask | b->mask)) == 0;
    size_t n_cells = a->n_cells < b->n_cells ? a->n_cells : b->n_cells;
    return memcmp(a->cells, b->cells, n_cells * sizeof(*a->cells)) == 0;
}

char *tree_stream_text(const struct tree_stream *stream) {
    char text[TREE_CELLS_MAX * sizeof(" 0x01234567") + 1] = "";
    size_t length = 0;

    for (uint32_t i = 0; i < stream->n_cells; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s0x%x", i ? " " : "",
                                   stream->cells[i]);
    return strdup(text);
}
