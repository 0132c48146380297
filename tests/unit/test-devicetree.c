/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a valid blob says of IOMMUs and masters, and what it says wrongly. */
#include "devicetree-fixture.h"
#include "tree.h"

/* ---- IOMMUs and streams ---------------------------------------------------------------------- */

START_TEST(test_empty) {
    read_tree();
    ck_assert_uint_eq(made.tree->n_iommus, 0);
    ck_assert_uint_eq(made.tree->n_masters, 0);
    ck_assert_uint_eq(made.tree->n_mistakes, 0);
    ck_assert_ptr_null(device_tree_master(made.tree, "/"));
}
END_TEST

START_TEST(test_iommus) {
    static const char compatible[] = "vendor,soc-smmu\0arm,mmu-500\0arm,smmu-v3";

    node_begin("smmu@1000");
    data("compatible", compatible, sizeof(compatible));
    cells("#iommu-cells", 2);
    cells("stream-match-mask", 0x7f80);
    node_end();
    node_begin("nameless");
    cells("#iommu-cells", 0);
    text("status", "disabled");
    node_end();
    read_tree();
    ck_assert_uint_eq(made.tree->n_iommus, 2);
    const struct tree_iommu *first = &made.tree->iommus[0], *second = &made.tree->iommus[1];
    ck_assert_str_eq(first->node, "/smmu@1000");
    ck_assert_str_eq(first->compatible, "vendor,soc-smmu");
    ck_assert_int_eq(first->grouping, TREE_GROUP_SMMU_V2);
    ck_assert(first->enabled);
    ck_assert_uint_eq(first->n_cells, 2);
    ck_assert_uint_eq(first->match_mask, 0x7f80);
    ck_assert_str_eq(second->node, "/nameless");
    ck_assert_str_eq(second->compatible, "");
    ck_assert_int_eq(second->grouping, TREE_GROUP_PER_DEVICE);
    ck_assert(!second->enabled);
    ck_assert_uint_eq(second->match_mask, 0);
    ck_assert_uint_eq(made.tree->n_masters, 0);
}
END_TEST

/* IOMMUs of all sizes in one list; the last one comes later in the tree. */
START_TEST(test_mixed_cells) {
    iommu("a", "rockchip,iommu", 1, 0);
    iommu("b", "arm,smmu-v3", 2, 1);
    iommu("c", "arm,mmu-500", 3, 2);
    node_begin("dma");
    cells("iommus", 3, 0x400, 0xf, 1, 2, 0x12345, 4, 7, 8, 9, 2, 0);
    node_end();
    iommu("d", "vendor,iommu", 4, 3);
    read_tree();
    const struct tree_master *dma = master("/dma");
    ck_assert(dma->has_iommus && !dma->has_map);
    ck_assert_uint_eq(dma->n_streams, 5);
    check_stream(&dma->streams[0], 2, 0x400, 0xf);
    check_stream(&dma->streams[1], 0, 0, 0);
    ck_assert_uint_eq(dma->streams[1].n_cells, 0);
    check_stream(&dma->streams[2], 1, 0x12345, 0);
    check_stream(&dma->streams[3], 3, 7, 0);
    ck_assert_uint_eq(dma->streams[3].n_cells, 3);
    ck_assert_uint_eq(dma->streams[3].cells[2], 9);
    check_stream(&dma->streams[4], 1, 0, 0);
    ck_assert_uint_eq(made.tree->n_mistakes, 0);
}
END_TEST

/* Where SMMUv2 has its mask from, and where not. */
static const struct {
    const char *compatible;
    uint32_t n_cells, match_mask, cell, second, id, mask;
} masks[] = {
    {"arm,mmu-500", 2, 0, 0x400, 0xf, 0x400, 0xf},
    {"arm,mmu-500", 2, 0xff, 0x400, 0xf, 0x400, 0xf},
    {"arm,mmu-500", 2, 0xff, 0x400, 0, 0x400, 0},
    {"arm,mmu-500", 1, 0x7f80, 0x411, 0, 0x411, 0x7f80},
    {"arm,mmu-500", 1, 0, 0x411, 0, 0x411, 0},
    {"arm,mmu-500", 1, 0, 0x7f800011, 0, 0x11, 0},
    {"arm,mmu-500", 2, 0, 0x10011, 0x2000f, 0x11, 0xf},
    {"arm,mmu-500", 0, 0xf, 0, 0, 0, 0xf},
    {"arm,smmu-v3", 1, 0x7f80, 0x10411, 0, 0x10411, 0},
    {"vendor,iommu", 2, 0x7f80, 0x10411, 0xf, 0x10411, 0},
};

START_TEST(test_masks) {
    node_begin("smmu");
    text("compatible", masks[_i].compatible);
    cells("#iommu-cells", masks[_i].n_cells);
    cells("stream-match-mask", masks[_i].match_mask);
    cells("phandle", 1);
    node_end();
    const uint32_t list[] = {1, masks[_i].cell, masks[_i].second};
    node_begin("dma");
    write_cells("iommus", list, 1 + masks[_i].n_cells);
    node_end();
    read_tree();
    ck_assert_uint_eq(master("/dma")->n_streams, 1);
    check_stream(&master("/dma")->streams[0], 0, masks[_i].id, masks[_i].mask);
    ck_assert_uint_eq(master("/dma")->streams[0].n_cells, masks[_i].n_cells);
}
END_TEST

START_TEST(test_legacy_phandle) {
    node_begin("smmu");
    cells("#iommu-cells", 1);
    cells("linux,phandle", 0x17);
    node_end();
    node_begin("dma");
    cells("iommus", 0x17, 5);
    node_end();
    read_tree();
    check_stream(&master("/dma")->streams[0], 0, 5, 0);
}
END_TEST

/* ---- Maps ----------------------------------------------------------------------------------- */

START_TEST(test_maps) {
    iommu("a", "arm,smmu-v3", 1, 1);
    node_begin("smmu");
    text("compatible", "arm,mmu-500");
    cells("#iommu-cells", 2);
    cells("stream-match-mask", 0x7c00);
    cells("phandle", 2);
    node_end();
    node_begin("pcie@0");
    cells("iommu-map", 0x0, 1, 0x500, 0x100, 0x80, 2, 0x900, 0x100, 0x200, 2, 0x10800, 0x10);
    node_end();
    read_tree();
    const struct tree_master *pcie = master("/pcie@0");
    struct tree_stream stream;
    ck_assert(pcie->has_map && !pcie->has_iommus);
    ck_assert_uint_eq(pcie->map_mask, UINT32_MAX);
    ck_assert_uint_eq(pcie->n_maps, 3);
    ck_assert_uint_eq(pcie->maps[1].requester, 0x80);
    ck_assert_uint_eq(pcie->maps[1].length, 0x100);
    ck_assert_uint_eq(pcie->maps[1].iommu, 1);
    ck_assert_uint_eq(pcie->maps[1].id, 0x900);
    /* the first that holds it */
    ck_assert(tree_map_requester(pcie, made.tree, 0x90, &stream));
    check_stream(&stream, 0, 0x590, 0);
    ck_assert(tree_map_requester(pcie, made.tree, 0x17f, &stream));
    check_stream(&stream, 1, 0x9ff, 0x7c00);
    ck_assert_uint_eq(stream.n_cells, 1);
    ck_assert(tree_map_requester(pcie, made.tree, 0x20f, &stream));
    check_stream(&stream, 1, 0x080f, 0x7c00);
    ck_assert(!tree_map_requester(pcie, made.tree, 0x180, &stream));
    ck_assert(!tree_map_requester(pcie, made.tree, 0x210, &stream));
}
END_TEST

START_TEST(test_map_mask) {
    struct tree_stream stream;

    iommu("a", "arm,smmu-v3", 1, 1);
    node_begin("pcie@0");
    cells("iommu-map-mask", 0xfff8);
    cells("iommu-map", 0x0, 1, 0x500, 0x100, 0x203, 1, 0x900, 0x10, 0x300, 1, 0x700, 0x10);
    node_end();
    read_tree();
    ck_assert(tree_map_requester(master("/pcie@0"), made.tree, 0x0f, &stream));
    check_stream(&stream, 0, 0x508, 0);
    ck_assert(!tree_map_requester(master("/pcie@0"), made.tree, 0x308, &stream));
    check_mistake("/pcie@0", "iommu-map-mask 0xfff8 cuts the requester id 0x203 of iommu-map; Linux "
                             "gives up there.");
}
END_TEST

START_TEST(test_map_of_all) {
    struct tree_stream stream;

    iommu("a", "arm,smmu-v3", 1, 1);
    node_begin("pcie@0");
    cells("iommu-map", 0x10, 1, 0xfffffff0, 0xffffffff);
    node_end();
    read_tree();
    ck_assert(!tree_map_requester(master("/pcie@0"), made.tree, 0xf, &stream));
    ck_assert(tree_map_requester(master("/pcie@0"), made.tree, 0x40, &stream));
    check_stream(&stream, 0, 0x20, 0);
}
END_TEST

/* ---- Whether a node is in use ---------------------------------------------------------------- */

static const struct {
    const char *status;
    size_t size;
    bool enabled;
} states[] = {
    {"okay", 5, true},     {"ok", 3, true},        {"disabled", 9, false}, {"reserved", 9, false},
    {"fail", 5, false},    {"fail-ecc", 9, false}, {"okay!", 6, false},    {"", 1, false},
    {"okay", 4, false},    {"", 0, false},
};

START_TEST(test_status) {
    node_begin("dma");
    flag("iommus");
    data("status", states[_i].status, states[_i].size);
    node_end();
    read_tree();
    ck_assert_int_eq(master("/dma")->enabled, states[_i].enabled);
}
END_TEST

START_TEST(test_status_above) {
    bus_begin("soc");
    text("status", "disabled");
    bus_begin("bus");
    text("status", "okay");
    iommu("smmu", "arm,mmu-500", 1, 1);
    node_begin("dma");
    cells("iommus", 1, 2);
    node_end();
    node_end();
    node_end();
    node_begin("other");
    cells("iommus", 1, 2);
    node_end();
    read_tree();
    ck_assert(!made.tree->iommus[0].enabled);
    ck_assert(!master("/soc/bus/dma")->enabled);
    ck_assert_uint_eq(master("/soc/bus/dma")->n_streams, 1);
    ck_assert(master("/other")->enabled);
}
END_TEST

START_TEST(test_coherent) {
    bus_begin("soc");
    flag("dma-coherent");
    node_begin("a");
    flag("iommus");
    node_end();
    node_begin("b");
    flag("iommus");
    flag("dma-noncoherent");
    node_end();
    node_end();
    node_begin("c");
    flag("iommus");
    node_end();
    read_tree();
    ck_assert(master("/soc/a")->dma_coherent);
    ck_assert(!master("/soc/b")->dma_coherent);
    ck_assert(!master("/c")->dma_coherent);
}
END_TEST

START_TEST(test_compatible_and_memory) {
    static const char compatible[] = "calxeda,hb-xgmac\0sp ace\0\001";

    node_begin("reserved-memory");
    flag("ranges");
    node_begin("gpu@80000000");
    cells("phandle", 7);
    cells("reg", 0);
    node_end();
    node_end();
    node_begin("dma");
    flag("iommus");
    data("compatible", compatible, sizeof(compatible) - 1);
    cells("memory-region", 7, 0, 7);
    node_end();
    read_tree();
    const struct tree_master *dma = master("/dma");
    ck_assert_str_eq(dma->compatible[0], "calxeda,hb-xgmac");
    ck_assert_str_eq(dma->compatible[1], "sp?ace");
    ck_assert_str_eq(dma->compatible[2], "?");
    ck_assert_ptr_null(dma->compatible[3]);
    ck_assert_str_eq(dma->memory[0], "/reserved-memory/gpu@80000000");
    ck_assert_str_eq(dma->memory[1], "/reserved-memory/gpu@80000000");
    ck_assert_ptr_null(dma->memory[2]);
    ck_assert_uint_eq(made.tree->n_masters, 1);
}
END_TEST

/* ---- Mistakes ------------------------------------------------------------------------------- */

/* Cells of a property of /dma, besides an IOMMU with one cell (1), one with 17 (2), a node that is
 * none (3) and an IOMMU whose number is none (4). */
static const struct {
    const char *property;
    size_t size;
    uint32_t values[8];
    const char *sentence;
    size_t n_kept; /* streams, or entries of the map */
} wrong[] = {
    {"iommus", 0, {0}, "iommus is empty.", 0},
    {"iommus", 16, {1, 5, 9, 6}, "iommus names phandle 0x9, which no node has.", 1},
    {"iommus", 16, {1, 5, 3, 6}, "iommus names /plain, which is no IOMMU: it has no #iommu-cells.", 1},
    {"iommus", 16, {1, 5, 4, 6}, "iommus names /short, which is no IOMMU: it has no #iommu-cells.", 1},
    {"iommus", 16, {1, 5, 2, 6}, "iommus names /wide, whose specifiers have too many cells.", 1},
    {"iommus", 12, {1, 5, 1}, "iommus ends in the middle of an entry for /one.", 1},
    {"iommus", 10, {1, 5, 1}, "iommus ends in the middle of a cell.", 1},
    {"iommus", 3, {1}, "iommus ends in the middle of a cell.", 0},
    {"iommus", 20, {1, 5, 0, 1, 6}, "iommus has an empty entry; Linux takes none behind it.", 2},
    {"iommu-map", 0, {0},
     "iommu-map has 0 bytes, which are not whole entries of 16; Linux takes none of it.", 0},
    {"iommu-map", 28, {0, 1, 0, 8, 8, 1, 8},
     "iommu-map has 28 bytes, which are not whole entries of 16; Linux takes none of it.", 1},
    {"iommu-map", 32, {0, 9, 0, 8, 8, 1, 8, 8}, "iommu-map names phandle 0x9, which no node has.", 1},
    {"iommu-map", 16, {0, 3, 0, 8}, "iommu-map names /plain, which is no IOMMU: it has no #iommu-cells.", 0},
    {"memory-region", 8, {9, 1}, "memory-region names phandle 0x9, which no node has.", 0},
    {"memory-region", 6, {1, 1}, "memory-region ends in the middle of a phandle.", 0},
};

START_TEST(test_mistakes) {
    fdt32_t values[8];

    iommu("one", "arm,smmu-v3", 1, 1);
    iommu("wide", "arm,smmu-v3", 2, 17);
    node_begin("plain");
    cells("phandle", 3);
    node_end();
    node_begin("short");
    data("#iommu-cells", "\0\0", 2);
    cells("phandle", 4);
    node_end();
    for (size_t i = 0; i < ELEMENTS_OF(values); i++)
        values[i] = cpu_to_fdt32(wrong[_i].values[i]);
    node_begin("dma");
    cells("reg", 0);
    flag("dma-coherent");
    data(wrong[_i].property, values, wrong[_i].size);
    node_end();
    read_tree();
    ck_assert_uint_eq(made.tree->n_mistakes, 3);
    ck_assert_str_eq(made.tree->mistakes[0].text, "#iommu-cells is 17; more than 16 are not possible.");
    ck_assert_str_eq(made.tree->mistakes[1].text,
                     "#iommu-cells is not a number; the node does not count as IOMMU.");
    ck_assert_str_eq(made.tree->mistakes[2].node, "/dma");
    ck_assert_str_eq(made.tree->mistakes[2].text, wrong[_i].sentence);
    ck_assert_uint_eq(master("/dma")->n_streams + master("/dma")->n_maps, wrong[_i].n_kept);
}
END_TEST

START_TEST(test_duplicates) {
    iommu("one", "arm,smmu-v3", 1, 1);
    iommu("two", "arm,smmu-v3", 1, 1);
    read_tree();
    check_mistake("/two", "phandle 0x1 is that of another node, too.");
    forget();
    blob_begin();
    for (int i = 0; i < 2; i++) {
        node_begin("twin");
        cells("#dma-cells", 1);
        cells("reg", 1);
        node_end();
    }
    read_tree();
    check_mistake("/twin", "Another node has the same path.");
}
END_TEST

START_TEST(test_names) {
    bus_begin("so\033c /x");
    node_begin("d\377");
    flag("iommus");
    node_end();
    node_end();
    read_tree();
    ck_assert_ptr_nonnull(device_tree_master(made.tree, "/so?c??x/d?"));
}
END_TEST

static void set_up(void) {
    blob_begin();
}

static void tear_down(void) {
    forget();
}

int main(void) {
    Suite *suite = suite_create("devicetree");
    TCase *facts = tree_case("facts");

    tcase_add_checked_fixture(facts, set_up, tear_down);
    tcase_add_test(facts, test_empty);
    tcase_add_test(facts, test_iommus);
    tcase_add_test(facts, test_mixed_cells);
    tcase_add_loop_test(facts, test_masks, 0, ELEMENTS_OF(masks));
    tcase_add_test(facts, test_legacy_phandle);
    tcase_add_test(facts, test_maps);
    tcase_add_test(facts, test_map_mask);
    tcase_add_test(facts, test_map_of_all);
    tcase_add_loop_test(facts, test_status, 0, ELEMENTS_OF(states));
    tcase_add_test(facts, test_status_above);
    tcase_add_test(facts, test_coherent);
    tcase_add_test(facts, test_compatible_and_memory);
    tcase_add_loop_test(facts, test_mistakes, 0, ELEMENTS_OF(wrong));
    tcase_add_test(facts, test_duplicates);
    tcase_add_test(facts, test_names);
    suite_add_tcase(suite, facts);
    return tree_main(suite);
}
