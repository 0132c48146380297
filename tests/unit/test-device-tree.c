/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Facts of a tree that nobody read: what they mean. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "model/device-tree.h"
#include "tree.h"
#include "util/cleanup.h"
#include "util/string.h"

/* An SMMUv2, another, an SMMUv3 and others. */
static struct tree_iommu iommus[] = {
    {.node = (char *)"/a", .grouping = TREE_GROUP_SMMU_V2, .n_cells = 2},
    {.node = (char *)"/b", .grouping = TREE_GROUP_SMMU_V2, .n_cells = 1, .match_mask = 0x100ff},
    {.node = (char *)"/c", .grouping = TREE_GROUP_SMMU_V3, .n_cells = 1},
    {.node = (char *)"/d", .grouping = TREE_GROUP_PER_DEVICE, .n_cells = 3},
    {.node = (char *)"/e", .grouping = TREE_GROUP_PER_DEVICE, .n_cells = 0},
    {.node = (char *)"/f", .grouping = TREE_GROUP_SINGLE, .n_cells = 1},
};
static const struct device_tree facts = {.iommus = iommus, .n_iommus = ELEMENTS_OF(iommus)};

/* ---- Groupings ------------------------------------------------------------------------------- */

static const struct {
    const char *compatible[4];
    enum tree_grouping grouping;
} groupings[] = {
    {{NULL}, TREE_GROUP_PER_DEVICE},
    {{"vendor,iommu", NULL}, TREE_GROUP_PER_DEVICE},
    {{"arm,mmu-400", NULL}, TREE_GROUP_SMMU_V2},
    {{"arm,mmu-401", NULL}, TREE_GROUP_SMMU_V2},
    {{"marvell,ap806-smmu-500", "arm,mmu-500", NULL}, TREE_GROUP_SMMU_V2},
    {{"qcom,sm8250-smmu-500", "qcom,smmu-500", "arm,mmu-500", NULL}, TREE_GROUP_SMMU_V2},
    {{"qcom,msm8996-smmu-v2", "qcom,adreno-smmu", "qcom,smmu-v2", NULL}, TREE_GROUP_SMMU_V2},
    {{"nvidia,tegra194-smmu", "nvidia,smmu-500", NULL}, TREE_GROUP_SMMU_V2},
    {{"cavium,smmu-v2", NULL}, TREE_GROUP_SMMU_V2},
    {{"arm,smmu-v1", NULL}, TREE_GROUP_SMMU_V2},
    {{"arm,smmu-v2", NULL}, TREE_GROUP_SMMU_V2},
    {{"arm,smmu-v3", NULL}, TREE_GROUP_SMMU_V3},
    {{"arm,smmu-v3", "arm,smmu-v2", NULL}, TREE_GROUP_SMMU_V3},
    {{"arm,smmu-v2", "arm,smmu-v3", NULL}, TREE_GROUP_SMMU_V2},
    {{"arm,smmu-v34", NULL}, TREE_GROUP_PER_DEVICE},
    {{"rockchip,rk3588-iommu", "rockchip,rk3568-iommu", NULL}, TREE_GROUP_SINGLE},
    {{"rockchip,iommu", NULL}, TREE_GROUP_SINGLE},
    {{"allwinner,sun50i-h6-iommu", NULL}, TREE_GROUP_SINGLE},
    {{"ti,dra7-dsp-iommu", NULL}, TREE_GROUP_SINGLE},
    {{"sprd,iommu-v1", NULL}, TREE_GROUP_SINGLE},
    {{"renesas,ipmmu-r8a7795", NULL}, TREE_GROUP_SINGLE},
    {{"renesas,ipmmu", NULL}, TREE_GROUP_PER_DEVICE},
    {{"renesas,ipmmu-r8a779f0", "renesas,rcar-gen4-ipmmu-vmsa", NULL}, TREE_GROUP_SINGLE},
    {{"apple,t8112-dart", "apple,t8110-dart", NULL}, TREE_GROUP_BY_STREAM},
    {{"nvidia,tegra210-mc", NULL}, TREE_GROUP_BY_STREAM},
    {{"mediatek,mt8195-iommu-vdo", NULL}, TREE_GROUP_BY_STREAM},
    {{"mediatek,mt8173-m4u", NULL}, TREE_GROUP_BY_STREAM},
    {{"mediatek,mt7623-m4u", "mediatek,mt2701-m4u", NULL}, TREE_GROUP_PER_DEVICE},
    {{"samsung,exynos-sysmmu", NULL}, TREE_GROUP_PER_DEVICE},
    {{"virtio,pci-iommu", NULL}, TREE_GROUP_PER_DEVICE},
    {{"qcom,msm8916-iommu", "qcom,msm-iommu-v1", NULL}, TREE_GROUP_PER_DEVICE},
};

START_TEST(test_grouping) {
    ck_assert_int_eq(tree_grouping_of(groupings[_i].compatible), groupings[_i].grouping);
}
END_TEST

START_TEST(test_grouping_of_none) {
    ck_assert_int_eq(tree_grouping_of(NULL), TREE_GROUP_PER_DEVICE);
}
END_TEST

/* ---- Streams --------------------------------------------------------------------------------- */

static const struct {
    struct tree_stream stream;
    uint32_t id, mask;
} streams[] = {
    {{.iommu = 0, .cells = {0x10400, 0x2000f}, .n_cells = 2}, 0x400, 0xf},
    {{.iommu = 0, .cells = {0x10400}, .n_cells = 1}, 0x400, 0},
    {{.iommu = 1, .cells = {0x123400aa}, .n_cells = 1}, 0xaa, 0xff},
    {{.iommu = 1, .n_cells = 0}, 0, 0xff},
    {{.iommu = 2, .cells = {0x12345678}, .n_cells = 1}, 0x12345678, 0},
    {{.iommu = 3, .cells = {1, 2, 3}, .n_cells = 3}, 1, 0},
    {{.iommu = 3, .n_cells = 0}, 0, 0},
};

START_TEST(test_stream_set) {
    struct tree_stream stream = streams[_i].stream;

    stream.id = stream.mask = 0xdead;
    tree_stream_set(&iommus[stream.iommu], &stream);
    ck_assert_uint_eq(stream.id, streams[_i].id);
    ck_assert_uint_eq(stream.mask, streams[_i].mask);
}
END_TEST

static const struct {
    struct tree_stream a, b;
    bool collide;
} pairs[] = {
    {{0, {0x200}, 1, 0, 0}, {0, {0x200}, 1, 0, 0}, true},
    {{0, {0x200}, 1, 0, 0}, {1, {0x200}, 1, 0, 0}, false},
    {{0, {0x200}, 1, 0, 0}, {0, {0x201}, 1, 0, 0}, false},
    {{0, {0x400, 0xf}, 2, 0, 0}, {0, {0x405, 0}, 2, 0, 0}, true},
    {{0, {0x405, 0}, 2, 0, 0}, {0, {0x400, 0xf}, 2, 0, 0}, true},
    {{0, {0x400, 0xf}, 2, 0, 0}, {0, {0x400, 0xf0}, 2, 0, 0}, true},
    {{0, {0x40f, 0xf0}, 2, 0, 0}, {0, {0x4f0, 0x0f}, 2, 0, 0}, true},
    {{0, {0x400, 0xf}, 2, 0, 0}, {0, {0x410, 0x0f}, 2, 0, 0}, false},
    {{0, {0x400, 0xf}, 2, 0, 0}, {0, {0x402}, 1, 0, 0}, true},
    {{0, {0x10200}, 1, 0, 0}, {0, {0x200}, 1, 0, 0}, true},
    {{2, {0x200}, 1, 0, 0}, {2, {0x200}, 1, 0, 0}, true},
    {{2, {0x10200}, 1, 0, 0}, {2, {0x200}, 1, 0, 0}, false},
    {{4, {0}, 0, 0, 0}, {4, {0}, 0, 0, 0}, true},
    {{4, {0}, 0, 0, 0}, {4, {8}, 1, 0, 0}, true},
    {{5, {1}, 1, 0, 0}, {5, {2}, 1, 0, 0}, true},
    {{5, {1}, 1, 0, 0}, {4, {1}, 1, 0, 0}, false},
    {{3, {1, 2, 3}, 3, 0, 0}, {3, {1, 2, 3}, 3, 0, 0}, true},
    {{3, {1, 2, 3}, 3, 0, 0}, {3, {1, 2, 4}, 3, 0, 0}, false},
    {{3, {1, 2, 3}, 3, 0, 0}, {3, {1, 3, 3}, 3, 0, 0}, false},
    {{3, {1, 2, 3}, 3, 0, 0}, {3, {1}, 1, 0, 0}, true},
    {{3, {1, 2, 3}, 3, 0, 0}, {3, {2}, 1, 0, 0}, false},
};

START_TEST(test_collision) {
    struct tree_stream a = pairs[_i].a, b = pairs[_i].b;

    tree_stream_set(&iommus[a.iommu], &a);
    tree_stream_set(&iommus[b.iommu], &b);
    ck_assert_int_eq(tree_streams_collide(&facts, &a, &b), pairs[_i].collide);
    ck_assert_int_eq(tree_streams_collide(&facts, &b, &a), pairs[_i].collide);
    ck_assert(tree_streams_collide(&facts, &a, &a));
}
END_TEST

START_TEST(test_stream_text) {
    struct tree_stream stream = {.cells = {0x400, 0xf, 0}};
    static const char *const texts[] = {"", "0x400", "0x400 0xf", "0x400 0xf 0x0"};

    for (stream.n_cells = 0; stream.n_cells < ELEMENTS_OF(texts); stream.n_cells++) {
        _cleanup_(freep) char *text = tree_stream_text(&stream);
        ck_assert_str_eq(text, texts[stream.n_cells]);
    }
    for (stream.n_cells = 0; stream.n_cells < TREE_CELLS_MAX; stream.n_cells++)
        stream.cells[stream.n_cells] = UINT32_MAX;
    _cleanup_(freep) char *text = tree_stream_text(&stream);
    ck_assert_uint_eq(strlen(text), TREE_CELLS_MAX * strlen(" 0xffffffff") - 1);
}
END_TEST

/* ---- Masters --------------------------------------------------------------------------------- */

START_TEST(test_master) {
    struct tree_master masters[] = {
        {.node = (char *)"/a"}, {.node = (char *)"/b"}, {.node = (char *)"/b/c"}};
    struct device_tree tree = {.masters = masters, .n_masters = ELEMENTS_OF(masters)};

    for (size_t i = 0; i < ELEMENTS_OF(masters); i++)
        ck_assert_ptr_eq(device_tree_master(&tree, masters[i].node), &masters[i]);
    ck_assert_ptr_null(device_tree_master(&tree, "/"));
    ck_assert_ptr_null(device_tree_master(&tree, "/b/"));
    ck_assert_ptr_null(device_tree_master(&tree, "/c"));
    tree.n_masters = 0;
    ck_assert_ptr_null(device_tree_master(&tree, "/a"));
}
END_TEST

START_TEST(test_map) {
    struct tree_map maps[] = {{0x100, 0, 2, 0}, {0x100, 0x80, 2, 0x500}, {0x140, 0x80, 0, 0x900}};
    const struct tree_master bridge = {
        .maps = maps, .n_maps = ELEMENTS_OF(maps), .map_mask = UINT32_MAX};
    struct tree_stream stream = {.id = 7};

    ck_assert(!tree_map_requester(&bridge, &facts, 0xff, &stream));
    ck_assert(!tree_map_requester(&bridge, &facts, 0x1c0, &stream));
    ck_assert_uint_eq(stream.id, 7);
    ck_assert(tree_map_requester(&bridge, &facts, 0x17f, &stream));
    ck_assert_uint_eq(stream.iommu, 2);
    ck_assert_uint_eq(stream.id, 0x57f);
    ck_assert(tree_map_requester(&bridge, &facts, 0x180, &stream));
    ck_assert_uint_eq(stream.iommu, 0);
    ck_assert_uint_eq(stream.id, 0x940);
    ck_assert_uint_eq(stream.cells[0], 0x940);
}
END_TEST

START_TEST(test_free) {
    ck_assert_ptr_null(device_tree_free(NULL));
    struct device_tree *partly = calloc(1, sizeof(*partly));
    partly->masters = calloc(1, sizeof(*partly->masters));
    partly->n_masters = 1;
    partly->iommus = calloc(1, sizeof(*partly->iommus));
    partly->n_iommus = 1;
    ck_assert_ptr_null(device_tree_free(partly));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("device tree");
    TCase *tests = tree_case("meaning");

    tcase_add_loop_test(tests, test_grouping, 0, ELEMENTS_OF(groupings));
    tcase_add_test(tests, test_grouping_of_none);
    tcase_add_loop_test(tests, test_stream_set, 0, ELEMENTS_OF(streams));
    tcase_add_loop_test(tests, test_collision, 0, ELEMENTS_OF(pairs));
    tcase_add_test(tests, test_stream_text);
    tcase_add_test(tests, test_master);
    tcase_add_test(tests, test_map);
    tcase_add_test(tests, test_free);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
