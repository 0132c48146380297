/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets against the groups that kernels were seen to form (Linux 6.1 and 6.12 on arm64). */
#include "isolation-fixture.h"

static struct scene scene;

static void set_up(void) {
    scene_begin(&scene);
    scene_iommu(&scene, "/v3", TREE_GROUP_SMMU_V3, 1);
    scene_iommu(&scene, "/a", TREE_GROUP_SMMU_V2, 1);
    scene_iommu(&scene, "/b", TREE_GROUP_SMMU_V2, 2);
    scene_iommu(&scene, "/rka", TREE_GROUP_SINGLE, 0);
    scene_iommu(&scene, "/rkb", TREE_GROUP_SINGLE, 0);
    scene_iommu(&scene, "/each", TREE_GROUP_PER_DEVICE, 1);
    scene_iommu(&scene, "/off", TREE_GROUP_SMMU_V3, 1)->enabled = false;
}

static void tear_down(void) {
    scene_end(&scene);
}

#define VFIO "vfio-platform"

static const struct {
    struct scene_device devices[9];
    const char *sets, *findings;
} cases[] = {
    /* SMMUv3: each has its own, or waits for a driver. */
    {{{"dmaa", "/v3 0x100", "0", VFIO}, {"dmab", "/v3 0x101", "1", VFIO}}, "dmaa; dmab", ""},
    {{{"dmaa", "/v3 0x100", "0", VFIO}, {"dmab", "/v3 0x101"}},
     "dmaa; dmab",
     "info pending: dmab (/v3 0x101)\n"},
    /* The second on a stream was refused; nobody drives it. */
    {{{"samec", "/v3 0x200", "3", VFIO}, {"samed", "/v3 0x200"}},
     "samec samed",
     "info pending: samed (/v3 0x200)\n"},
    /* … but the host does: the hole. */
    {{{"samec", "/v3 0x200", "3", VFIO}, {"samed", "/v3 0x200", NULL, "virtio-mmio"}},
     "samec samed",
     "critical half: samec samed (/v3 0x200)\n"},
    {{{"multie", "/v3 0x300, /v3 0x301", "3", VFIO},
      {"overf", "/v3 0x310, /v3 0x301", NULL, "virtio-mmio"}},
     "multie overf",
     "critical half: multie overf (/v3 0x301)\n"},
    /* Refused, or its IOMMU has no driver: it is alone with that. */
    {{{"bigsid", "/v3 0x12345", NULL, "virtio-mmio"}},
     "bigsid",
     "warning half: bigsid (/v3 0x12345)\n"},
    {{{"bigsid", "/v3 0x12345"}}, "bigsid", "info pending: bigsid (/v3 0x12345)\n"},
    /* Nobody has a group yet. */
    {{{"samec", "/v3 0x200"}, {"samed", "/v3 0x200"}},
     "samec samed",
     "info pending: samec samed (/v3 0x200)\n"},
    {{{"samec", "/v3 0x200"}, {"samed", "/v3 0x200", NULL, "virtio-mmio"}},
     "samec samed",
     "critical half: samec samed (/v3 0x200)\ninfo pending: samec (/v3 0x200)\n"},
    {{{"samec", "/v3 0x200", NULL, "ahci"}, {"samed", "/v3 0x200", NULL, "virtio-mmio"}},
     "samec samed",
     "critical half: samec samed (/v3 0x200)\n"},
    /* A driver that does no DMA of its own is not in the way. */
    {{{"samec", "/v3 0x200", "3", VFIO}, {"samed", "/v3 0x200", NULL, "pci-stub"}},
     "samec samed",
     "info pending: samed (/v3 0x200)\n"},
    /* SMMUv2: groups as the match registers make them. */
    {{{"pl031", "/a 0x700", "0", "rtc-pl031"}, {"pl061", "/a 0x700", "0", "pl061_gpio"}},
     "pl031 pl061",
     ""},
    {{{"shc", "/a 0x200", "1", VFIO}, {"shd", "/a 0x200", "1", VFIO}, {"virtio", "/a 0x200", "1"}},
     "shc shd virtio",
     ""},
    {{{"maski", "/b 0x405 0", "4", VFIO}, {"maskw", "/b 0x400 0xf", "4", VFIO}}, "maski maskw", ""},
    {{{"masko", "/b 0x400 0xf0", NULL, "virtio-mmio"}, {"maskw", "/b 0x400 0xf", "4", VFIO}},
     "masko maskw",
     "critical half: masko maskw (/b 0x400 0xf, /b 0x400 0xf0)\n"},
    {{{"othersmmu", "/b 0x200 0", "2", VFIO}, {"shc", "/a 0x200", "1", VFIO}}, "othersmmu; shc", ""},
    /* The new stream came last, and with it a new group. */
    {{{"rev", "/a 0x211, /a 0x200", "5", VFIO},
      {"shc", "/a 0x200", "1", VFIO},
      {"shd", "/a 0x200", "1", VFIO},
      {"she", "/a 0x200, /a 0x210", "5", VFIO}},
     "rev shc shd she",
     "critical split: rev shc shd she (/a 0x200)\n"},
    {{{"bridge1", "/a 0x220", "1", VFIO},
      {"bridge2", "/a 0x221", "2", VFIO},
      {"bridge3", "/a 0x220, /a 0x221"}},
     "bridge1 bridge2 bridge3",
     "critical split: bridge1 bridge2 (/a 0x220, /a 0x221)\n"
     "info pending: bridge3 (/a 0x220, /a 0x221)\n"},
    /* All three at once. */
    {{{"w", "/a 1", "1", VFIO},
      {"x", "/a 1", "2", VFIO},
      {"y", "/a 1", NULL, "ahci"},
      {"z", "/a 1"}},
     "w x y z",
     "critical split: w x (/a 0x1)\n"
     "critical half: w x y z (/a 0x1)\n"
     "info pending: z (/a 0x1)\n"},
    /* Group 0 is a group like others. */
    {{{"w", "/a 1", "1", VFIO}, {"x", "/a 1", "0", VFIO}},
     "w x",
     "critical split: w x (/a 0x1)\n"},
    /* A group of more than one set is normal. */
    {{{"w", "/a 1", "1", VFIO}, {"x", "/a 2", "1", VFIO}}, "w; x", ""},
    /* One group an instance; vop4 landed in the last, and ties both together. */
    {{{"vop1", "/rka", "0", "vop"}, {"vop2", "/rka", "0", "vop"}, {"vop3", "/rkb", "1", "vop"}},
     "vop1 vop2; vop3",
     ""},
    {{{"vop1", "/rka", "0", "vop"},
      {"vop2", "/rka", "0", "vop"},
      {"vop3", "/rkb", "1", "vop"},
      {"vop4", "/rka, /rkb", "1", "vop"}},
     "vop1 vop2 vop3 vop4",
     "critical split: vop1 vop2 vop3 vop4 (/rka, /rkb)\n"
     "warning two-iommus: vop4 (/rka, /rkb)\n"},
    {{{"twosmmu", "/a 0x600, /b 0x600 0", "9", VFIO}},
     "twosmmu",
     "warning two-iommus: twosmmu (/a 0x600, /b 0x600 0x0)\n"},
    /* virtio-iommu: a group each on one endpoint. */
    {{{"eid1", "/each 8", "6", VFIO}, {"eid2", "/each 8", "7", VFIO}},
     "eid1 eid2",
     "critical split: eid1 eid2 (/each 0x8)\n"},
    /* Nothing is translated, so there is nobody to share with. */
    {{{"orphan", "/off 1", NULL, "virtio-mmio"}, {"other", "/off 1", NULL, "virtio-mmio"}},
     "",
     "warning disabled-iommu: orphan other (/off 0x1)\n"},
};

static void turn(void) {
    for (size_t i = 0; i < scene.n_members / 2; i++) {
        struct isolation_member member = scene.members[i];
        scene.members[i] = scene.members[scene.n_members - 1 - i];
        scene.members[scene.n_members - 1 - i] = member;
    }
}

START_TEST(test_case) {
    scene_devices(&scene, cases[_i].devices);
    ck_assert_str_eq(scene_findings(&scene, true), cases[_i].findings);
    ck_assert_str_eq(scene_sets(&scene), cases[_i].sets);
    turn();
    ck_assert_str_eq(scene_findings(&scene, true), cases[_i].findings);
}
END_TEST

/* ---- PCI functions ---------------------------------------------------------------------------- */

/* One stream of a PCI function and of a platform device: one group on an SMMUv2. */
START_TEST(test_function_and_platform_device) {
    const struct scene_device alias[] = {{"/pcialias", "/a 0x508", "7", VFIO}, {0}};

    scene_devices(&scene, alias);
    scene_master(&scene, "/pcie", NULL);
    scene_map(&scene, "0 /a 0x500 0x100");
    scene_function(&scene, "pci/0000:00:01.0", 8, "7", "vfio-pci");
    ck_assert_str_eq(scene_findings(&scene, true),
                     "info map-overlap: pcialias 0000:00:01.0 (/a 0x508)\n");
    ck_assert_str_eq(scene_sets(&scene), "pcialias 0000:00:01.0");
    scene.members[1].group = 8;
    ck_assert_str_eq(scene_findings(&scene, true),
                     "critical split: pcialias 0000:00:01.0 (/a 0x508)\n"
                     "info map-overlap: pcialias 0000:00:01.0 (/a 0x508)\n");
}
END_TEST

/* iommu-map-mask 0xfff8 on an SMMUv3: the second function of a device is refused. */
START_TEST(test_map_mask) {
    scene_master(&scene, "/pcie", NULL)->map_mask = 0xfff8;
    scene_map(&scene, "0 /v3 0 0x10000");
    scene_function(&scene, "pci/0000:00:01.0", 8, "2", "vfio-pci");
    scene_function(&scene, "pci/0000:00:01.1", 9, NULL, "e1000e");
    scene_function(&scene, "pci/0000:00:02.0", 16, "3", "vfio-pci");
    ck_assert_str_eq(scene_findings(&scene, true),
                     "critical half: 0000:00:01.0 0000:00:01.1 (/v3 0x8)\n");
    ck_assert_str_eq(scene_sets(&scene), "0000:00:01.0 0000:00:01.1; 0000:00:02.0");
    ck_assert_str_eq(scene_sentence(&scene, REASON_HALF),
                     "pci/0000:00:01.1 (driver e1000e) runs without a group on stream 0x8 of /v3, "
                     "which pci/0000:00:01.0 in group 2 uses too: whoever gets that one can reach "
                     "the memory that the first one uses, and the other way round.");
}
END_TEST

/* No entry of the map is for it: it has no stream, so that there is no set for it. */
START_TEST(test_outside_of_map) {
    scene_master(&scene, "/pcie", NULL);
    scene_map(&scene, "0 /v3 0 0x10");
    scene_function(&scene, "pci/0000:00:06.0", 0x30, NULL, "e1000e");
    ck_assert_str_eq(scene_findings(&scene, true), "");
    ck_assert(scene.members[0].set == SET_NONE);
}
END_TEST

/* ---- Sentences -------------------------------------------------------------------------------- */

START_TEST(test_sentence_of_split) {
    const struct scene_device devices[] = {{"/soc/shc@700a2000", "/a 0x200", "3", VFIO},
                                           {"/soc/she@700a4000", "/a 0x200, /a 0x210", "5", VFIO},
                                           {0}};

    scene_devices(&scene, devices);
    scene_findings(&scene, true);
    ck_assert_str_eq(scene_sentence(&scene, REASON_SPLIT),
                     "/soc/shc@700a2000 in group 3 and /soc/she@700a4000 in group 5 are not told "
                     "apart by the IOMMU (stream 0x200 of /a): whoever gets one of these groups can "
                     "reach the memory that the owner of another one uses.");
}
END_TEST

START_TEST(test_sentences_of_half) {
    const struct scene_device devices[] = {{"/alone", "/v3 1", NULL, "ahci"},
                                           {"/both1", "/v3 2", NULL, "ahci"},
                                           {"/both2", "/v3 2", NULL, "virtio-mmio"},
                                           {"/m1", "/v3 3", "4", VFIO},
                                           {"/m2", "/v3 3", NULL, "ahci"},
                                           {"/m3", "/v3 3", NULL, "ahci"},
                                           {"/m4", "/v3 3"},
                                           {0}};

    scene_devices(&scene, devices);
    scene_findings(&scene, true);
    ck_assert_uint_eq(scene.isolation.n_findings, 4);
    ck_assert_str_eq(scene.isolation.findings[0].text,
                     "/both1 (driver ahci) and /both2 (driver virtio-mmio) run without a group on "
                     "stream 0x2 of /v3, which they share: nothing keeps their DMA apart.");
    ck_assert_str_eq(scene.isolation.findings[1].text,
                     "/m2 (driver ahci) and /m3 (driver ahci) run without a group on stream 0x3 of "
                     "/v3, which /m1 in group 4 and /m4 use too: whoever gets one of those can reach "
                     "the memory that the first ones use, and the other way round.");
    ck_assert_str_eq(scene.isolation.findings[2].text,
                     "/alone (driver ahci) runs without a group although its node names stream 0x1 "
                     "of /v3: its DMA is not translated, so that it can reach all of memory.");
    ck_assert_str_eq(scene.isolation.findings[3].text,
                     "/m4 has no group yet; one forms, or is joined, when a driver first probes it "
                     "(stream 0x3 of /v3).");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("isolation of a machine");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, test_case, 0, ELEMENTS_OF(cases));
    tcase_add_test(all, test_function_and_platform_device);
    tcase_add_test(all, test_map_mask);
    tcase_add_test(all, test_outside_of_map);
    tcase_add_test(all, test_sentence_of_split);
    tcase_add_test(all, test_sentences_of_half);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
