/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries of iommu-map that overlap; and what is said of one member by itself. */
#include "isolation-fixture.h"

static struct scene scene;

static void set_up(void) {
    scene_begin(&scene);
    scene_iommu(&scene, "/v3", TREE_GROUP_SMMU_V3, 1);
    scene_iommu(&scene, "/v2", TREE_GROUP_SMMU_V2, 2);
    scene_iommu(&scene, "/rk", TREE_GROUP_SINGLE, 0);
    scene_iommu(&scene, "/each", TREE_GROUP_PER_DEVICE, 1);
    scene_iommu(&scene, "/off", TREE_GROUP_SMMU_V3, 1)->enabled = false;
}

static void tear_down(void) {
    scene_end(&scene);
}

/* ---- iommu-map -------------------------------------------------------------------------------- */

static const struct {
    const char *one, *two; /* the maps of two bridges */
    const char *findings;
} maps[] = {
    {"0 /v3 0 0x100", NULL, ""},
    {"0 /v3 0 0x100, 0x100 /v3 0x100 0x100", "0 /v3 0x200 0x100", ""},
    /* The same requester ids twice. */
    {"0 /v3 0 0x100, 0xff /v3 0x200 0x100", NULL, "warning map-overlap: pcie1\n"},
    {"0 /v3 0 0x100, 0x10 /v2 0x200 0x10", NULL, "warning map-overlap: pcie1\n"},
    {"0x10 /v2 0x200 0x10, 0 /v3 0 0x100", NULL, "warning map-overlap: pcie1\n"},
    /* The first reaches over the second to the third. */
    {"0 /v2 0 0x100, 0x10 /v3 0x10 0, 0x80 /v3 0x200 1", NULL, "warning map-overlap: pcie1\n"},
    {"0 /v2 0 0x100, 0x10 /v3 0x10 1, 0x10 /v3 0x20 1", NULL, "warning map-overlap: pcie1\n"},
    {"0 /v2 0 0x100", "0 /v3 0 0x100", ""},
    /* The same streams twice. */
    {"0 /v3 0 0x100, 0x100 /v3 0xff 0x100", NULL, "warning map-overlap: pcie1\n"},
    {"0 /v3 0 0x100", "0 /v3 0xff 0x100", "warning map-overlap: pcie1 pcie2\n"},
    {"0 /v3 0xff 1", "0 /v3 0 0x100", "warning map-overlap: pcie1 pcie2\n"},
    {"0 /v3 0x100 0x100", "0 /v3 0 0x100", ""},
    {"0 /v2 0 0x100", "0 /v2 0xff 0x100", "info map-overlap: pcie1 pcie2\n"},
    {"0 /each 0 0x100", "0 /each 0xff 0x100", "warning map-overlap: pcie1 pcie2\n"},
    /* All entries meet: one finding for the two. */
    {"0 /v3 0 1, 1 /v3 1 1, 2 /v3 2 1", "0 /v3 0 3", "warning map-overlap: pcie1 pcie2\n"},
    /* No streams to overlap, or nothing that translates. */
    {"0 /rk 0 0x100", "0 /rk 0 0x100", ""},
    {"0 /off 0 0x100", NULL, "warning disabled-iommu: pcie1\n"},
    {"0 /off 0 0x100", "0 /off 0 0x100", "warning disabled-iommu: pcie1 pcie2\n"},
    /* To the end of the numbers, and nothing. */
    {"0xffffff00 /v3 0xffffff00 0x100, 0 /v3 0 0x100", NULL, ""},
    {"0xffffff00 /v3 0xffffff00 0x100, 0xffffffff /v3 0xffffffff 1",
     NULL,
     "warning map-overlap: pcie1\nwarning map-overlap: pcie1\n"},
    {"0 /v3 0 0x100, 0 /v3 0x10 0", NULL, ""},
};

START_TEST(test_maps) {
    scene_master(&scene, "/pcie1", NULL);
    scene_map(&scene, maps[_i].one);
    if (maps[_i].two) {
        scene_master(&scene, "/pcie2", NULL);
        scene_map(&scene, maps[_i].two);
    }
    ck_assert_str_eq(scene_predictions(&scene), maps[_i].findings);
    for (size_t i = 0; i < scene.n_members; i++)
        ck_assert_int_eq((scene.members[i].flags & ISOLATION_MAP_OVERLAP) != 0,
                         strstr(maps[_i].findings, "map-overlap") != NULL);
}
END_TEST

/* A stream of another master and a map of 0x100 streams from 0x500. */
static const struct {
    const char *stream;
    const char *iommu;
    const char *findings;
} inside[] = {
    {"/v3 0x500", "/v3", "warning map-overlap: dma pcie (/v3 0x500)\n"},
    {"/v3 0x5ff", "/v3", "warning map-overlap: dma pcie (/v3 0x5ff)\n"},
    {"/v3 0x600", "/v3", ""},
    {"/v3 0x4ff", "/v3", ""},
    {"/v3 0x4ff, /v3 0x501", "/v3", "warning map-overlap: dma pcie (/v3 0x501)\n"},
    {"/v2 0x508 0", "/v2", "info map-overlap: dma pcie (/v2 0x508 0x0)\n"},
    {"/v2 0x508 0", "/v3", ""},
    {"/rk", "/rk", ""},
    /* Through a mask: the nearest that it holds. */
    {"/v2 0 0x500", "/v2", "info map-overlap: dma pcie (/v2 0x0 0x500)\n"},
    {"/v2 0 0x700", "/v2", "info map-overlap: dma pcie (/v2 0x0 0x700)\n"},
    {"/v2 0x600 0xff", "/v2", ""},
    {"/v2 0x4f0 0xf", "/v2", ""},
    {"/v2 0x4f0 0x1ff", "/v2", "info map-overlap: dma pcie (/v2 0x4f0 0x1ff)\n"},
    {"/v2 0x001 0xfa00", "/v2", ""},
    {"/v2 0x101 0xfe00", "/v2", "info map-overlap: dma pcie (/v2 0x101 0xfe00)\n"},
};

START_TEST(test_inside) {
    char map[32];

    scene_master(&scene, "/dma", inside[_i].stream);
    scene_master(&scene, "/pcie", NULL);
    snprintf(map, sizeof(map), "0 %s 0x500 0x100", inside[_i].iommu);
    scene_map(&scene, map);
    ck_assert_str_eq(scene_predictions(&scene), inside[_i].findings);
}
END_TEST

/* The bridge's own stream is no other's. A disabled master's is nobody's. */
START_TEST(test_not_inside) {
    scene_master(&scene, "/off", "/v3 0x508")->enabled = false;
    scene_master(&scene, "/pcie", "/v3 0x508");
    scene_map(&scene, "0 /v3 0x500 0x100");
    ck_assert_str_eq(scene_predictions(&scene), "");
}
END_TEST

START_TEST(test_disabled_bridge) {
    scene_master(&scene, "/dma", "/v3 0x508");
    scene_master(&scene, "/pcie", NULL)->enabled = false;
    scene_map(&scene, "0 /v3 0x500 0x100, 0 /v3 0x500 0x100");
    ck_assert_str_eq(scene_predictions(&scene), "");
}
END_TEST

/* On a machine the bridge is no member without streams of its own: the functions are. */
START_TEST(test_live_bridge) {
    scene_master(&scene, "/pcie", NULL);
    scene_map(&scene, "0 /v3 0 0x100, 0x80 /v3 0x200 0x100");
    ck_assert_str_eq(scene_findings(&scene, true), "");
    scene_function(&scene, "pci/0000:00:01.0", 8, "3", "vfio-pci");
    ck_assert_str_eq(scene_findings(&scene, true), "warning map-overlap: 0000:00:01.0\n");
    ck_assert_uint_eq(scene.members[0].flags, ISOLATION_MAP_OVERLAP);
    scene_member(&scene, &scene.masters[0], "platform/pcie", NULL, "pci-host-generic");
    ck_assert_str_eq(scene_findings(&scene, true), "warning map-overlap: pcie\n");
}
END_TEST

/* What two maps give twice is said once, and not of the functions again. */
START_TEST(test_function_of_other_bridge) {
    scene_master(&scene, "/pcie1", NULL);
    scene_map(&scene, "0 /v3 0 0x100");
    scene_function(&scene, "pci/0000:00:01.0", 8, "3", "vfio-pci");
    scene_master(&scene, "/pcie2", NULL);
    scene_map(&scene, "0 /v3 0 0x100");
    scene_function(&scene, "pci/0001:00:02.0", 16, "4", "vfio-pci");
    ck_assert_str_eq(scene_findings(&scene, true),
                     "warning map-overlap: 0000:00:01.0 0001:00:02.0\n");
}
END_TEST

START_TEST(test_map_sentences) {
    scene_master(&scene, "/pcie1", NULL);
    scene_map(&scene, "0 /v3 0 0x100, 0x80 /v2 0x200 0x100");
    scene_predictions(&scene);
    ck_assert_str_eq(scene_sentence(&scene, REASON_MAP_OVERLAP),
                     "Entries in the iommu-map of /pcie1 are for the same requester ids (0x0 to 0xff, "
                     "and 0x80 to 0x17f): the first one in the list counts, and the other says "
                     "nothing of them.");
    scene.masters[0].n_maps = 1;
    scene_master(&scene, "/pcie2", NULL);
    scene_map(&scene, "0 /v3 0x80 0x100");
    scene_predictions(&scene);
    ck_assert_str_eq(scene_sentence(&scene, REASON_MAP_OVERLAP),
                     "The iommu-map of /pcie1 and that of /pcie2 map two ranges of functions to the "
                     "same streams of /v3 (0x0 to 0xff, and 0x80 to 0x17f): the IOMMU cannot tell "
                     "these functions apart.");
    scene.masters[1].has_map = false;
    scene.masters[1].n_maps = 0;
    scene_master(&scene, "/usb", "/v3 0x10");
    scene_predictions(&scene);
    ck_assert_str_eq(scene_sentence(&scene, REASON_MAP_OVERLAP),
                     "The iommu-map of /pcie1 can map a function to the stream of /usb: the IOMMU "
                     "cannot tell such a function from that device.");
}
END_TEST

/* ---- Two, a disabled one, none ---------------------------------------------------------------- */

START_TEST(test_two_iommus) {
    scene_master(&scene, "/both", "/v3 1, /v2 2 0");
    scene_master(&scene, "/off", "/v3 2, /off 2");
    scene_master(&scene, "/twice", "/v3 3, /v3 4");
    ck_assert_str_eq(scene_predictions(&scene),
                     "warning two-iommus: both (/v2 0x2 0x0, /v3 0x1)\n"
                     "warning disabled-iommu: off (/off 0x2)\n");
    ck_assert_uint_eq(scene.members[0].flags, ISOLATION_TWO_IOMMUS);
    ck_assert_uint_eq(scene.members[1].flags, ISOLATION_DISABLED_IOMMU);
    ck_assert_uint_eq(scene.members[2].flags, 0);
    ck_assert_str_eq(scene_sentence(&scene, REASON_TWO_IOMMUS),
                     "/both is behind more than one IOMMU (stream 0x2 0x0 of /v2 and stream 0x1 of "
                     "/v3): Linux up to 6.12 attaches it to one of them without a word, and its DMA "
                     "through another is blocked or is not translated.");
    ck_assert_str_eq(scene_sentence(&scene, REASON_DISABLED_IOMMU),
                     "/off names the IOMMU /off, which is disabled: its DMA is not translated, so "
                     "that it can reach all of memory.");
}
END_TEST

/* Some drivers have several IOMMUs for one device. */
START_TEST(test_several_provided_for) {
    scene_iommu(&scene, "/s1", TREE_GROUP_PER_DEVICE, 0)->compatible = (char *)"samsung,exynos-sysmmu";
    scene_iommu(&scene, "/s2", TREE_GROUP_PER_DEVICE, 0)->compatible = (char *)"samsung,exynos-sysmmu";
    scene_master(&scene, "/codec", "/s1, /s2");
    scene_master(&scene, "/mixed", "/s1, /v3 1");
    ck_assert_str_eq(scene_predictions(&scene),
                     "critical split: codec mixed (/s1)\n"
                     "warning two-iommus: mixed (/s1, /v3 0x1)\n"
                     "info two-iommus: codec (/s1, /s2)\n");
}
END_TEST

static void put_master(const char *node) {
    scene_master(&scene, node, NULL)->looks_like_master = true;
}

START_TEST(test_no_iommus) {
    put_master("/bus/usb");
    put_master("/dma");
    put_master("/mmc");
    ck_assert_str_eq(scene_predictions(&scene), ""); /* nobody uses one */
    scene_master(&scene, "/netdev", "/off 1");
    ck_assert_str_eq(scene_predictions(&scene), "warning disabled-iommu: netdev (/off 0x1)\n");
    scene_master(&scene, "/other", "/v3 1");
    ck_assert_str_eq(scene_predictions(&scene),
                     "warning disabled-iommu: netdev (/off 0x1)\n"
                     "info no-iommus: usb dma mmc\n");
    ck_assert_str_eq(scene_sentence(&scene, REASON_NO_IOMMUS),
                     "/bus/usb, /dma and /mmc seem to do DMA by themselves and name no IOMMU, while "
                     "others do: then they can reach all of memory.");
}
END_TEST

/* Used by a PCI bridge alone, which is enough; but not by a disabled one. */
START_TEST(test_no_iommus_beside_map) {
    put_master("/dma");
    scene_master(&scene, "/pcie", NULL);
    scene_map(&scene, "0 /v3 0 0x100");
    ck_assert_str_eq(scene_predictions(&scene), "info no-iommus: dma\n");
    scene.masters[1].enabled = false;
    ck_assert_str_eq(scene_predictions(&scene), "");
}
END_TEST

/* A part of a device, an IOMMU, a disabled one, one that names its IOMMU wrongly. */
START_TEST(test_lacks_none) {
    scene_master(&scene, "/dwc", "/v3 1");
    put_master("/dwc/usb");
    put_master("/dwc/x/y");
    put_master("/dwc2");
    put_master("/dwc2/usb");
    scene_master(&scene, "/gone", NULL)->looks_like_master = true;
    scene.masters[5].enabled = false;
    scene_master(&scene, "/malformed", NULL)->looks_like_master = true;
    scene.masters[6].has_iommus = true;
    put_master("/v2");
    ck_assert_str_eq(scene_predictions(&scene), "info no-iommus: dwc2 usb\n");
    ck_assert_uint_eq(scene.n_members, 6);
}
END_TEST

/* ---- Words ------------------------------------------------------------------------------------ */

START_TEST(test_levels) {
    enum isolation_level level = ISOLATION_INFO;

    for (int i = ISOLATION_INFO; i <= ISOLATION_CRITICAL; i++) {
        const char *word = isolation_level_to_string((enum isolation_level)i);
        ck_assert_int_eq(isolation_level_from_string(word, &level), 0);
        ck_assert_int_eq((int)level, i);
    }
    ck_assert_str_eq(isolation_level_to_string(ISOLATION_CRITICAL), "critical");
    ck_assert_int_eq(isolation_level_from_string("Critical", &level), -EINVAL);
    ck_assert_int_eq(isolation_level_from_string("", &level), -EINVAL);
}
END_TEST

/* Nothing at all. */
START_TEST(test_empty) {
    struct device_tree tree = {0};
    struct isolation_member *members;
    struct isolation isolation = {0};
    size_t n = 1;

    ck_assert_int_eq(isolation_members_of_file(&tree, &members, &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(isolation_reach(&tree, members, 0, false, &isolation), 0);
    ck_assert_uint_eq(isolation.n_sets + isolation.n_findings, 0);
    isolation_done(&isolation);
    isolation_done(&isolation);
    ck_assert_int_eq(isolation_find_sets(&tree, NULL, 0, &n), 0);
    free(members);
}
END_TEST

/* Sets and flags without the findings. */
START_TEST(test_find_sets) {
    size_t n_sets = 0;

    scene_master(&scene, "/dma", "/v3 0x508");
    scene_master(&scene, "/none", NULL)->looks_like_master = true;
    scene_master(&scene, "/pcie", NULL);
    scene_map(&scene, "0 /v3 0x500 0x100, 0 /v3 0x500 0x100");
    scene_master(&scene, "/two", "/v2 1 0, /v3 0x508");
    scene_predictions(&scene);
    struct isolation_member members[4];
    memcpy(members, scene.members, sizeof(members));
    for (size_t i = 0; i < 4; i++)
        members[i].set = 7, members[i].flags = ~0u;
    ck_assert_int_eq(isolation_find_sets(&scene.tree, members, 4, &n_sets), 0);
    ck_assert_uint_eq(n_sets, 1);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(members[i].set, scene.members[i].set);
        ck_assert_uint_eq(members[i].flags, scene.members[i].flags);
    }
    ck_assert_uint_eq(members[0].flags, ISOLATION_MAP_OVERLAP);
    ck_assert_uint_eq(members[1].flags, ISOLATION_NO_IOMMUS);
    ck_assert_uint_eq(members[2].flags, ISOLATION_MAP_OVERLAP);
    ck_assert_uint_eq(members[3].flags, ISOLATION_TWO_IOMMUS | ISOLATION_MAP_OVERLAP);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("isolation by map and by member");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, test_maps, 0, ELEMENTS_OF(maps));
    tcase_add_loop_test(all, test_inside, 0, ELEMENTS_OF(inside));
    tcase_add_test(all, test_not_inside);
    tcase_add_test(all, test_disabled_bridge);
    tcase_add_test(all, test_live_bridge);
    tcase_add_test(all, test_function_of_other_bridge);
    tcase_add_test(all, test_map_sentences);
    tcase_add_test(all, test_two_iommus);
    tcase_add_test(all, test_several_provided_for);
    tcase_add_test(all, test_no_iommus);
    tcase_add_test(all, test_no_iommus_beside_map);
    tcase_add_test(all, test_lacks_none);
    tcase_add_test(all, test_levels);
    tcase_add_test(all, test_empty);
    tcase_add_test(all, test_find_sets);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
