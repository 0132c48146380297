/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What Linux would make of the sets of a file, by the kind of IOMMU; the names are those of the
 * trees that were booted under 6.1 and 6.12 (see "measured"). */
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
    scene_iommu(&scene, "/masked", TREE_GROUP_SMMU_V2, 1)->match_mask = 0x7f80;
    scene_iommu(&scene, "/dart", TREE_GROUP_BY_STREAM, 1)->compatible = (char *)"apple,t8103-dart";
    scene_iommu(&scene, "/dart2", TREE_GROUP_BY_STREAM, 1)->compatible = (char *)"apple,t8110-dart";
    scene_iommu(&scene, "/off", TREE_GROUP_SMMU_V3, 1)->enabled = false;
}

static void tear_down(void) {
    scene_end(&scene);
}

/* Masters as "node: streams" lines, and what is to come of them. */
static const struct {
    const char *masters[8][2];
    const char *sets, *findings;
} cases[] = {
    /* SMMUv3, measured: own groups, but for the second on a stream. */
    {{{"dmaa", "/v3 0x100"}, {"dmab", "/v3 0x101"}}, "dmaa; dmab", ""},
    {{{"multie", "/v3 0x300, /v3 0x301"}}, "multie", ""},
    {{{"dupsid", "/v3 0x340, /v3 0x340"}}, "dupsid", ""},
    {{{"samec", "/v3 0x200"}, {"samed", "/v3 0x200"}},
     "samec samed",
     "critical half: samec samed (/v3 0x200)\n"},
    {{{"multie", "/v3 0x300, /v3 0x301"}, {"overf", "/v3 0x310, /v3 0x301"}},
     "multie overf",
     "critical half: multie overf (/v3 0x301)\n"},
    /* SMMUv3 has no masks: the upper half counts. */
    {{{"one", "/v3 0x10005"}, {"two", "/v3 0x20005"}}, "one; two", ""},
    /* SMMUv2, measured: one group. */
    {{{"pl031", "/a 0x700"}, {"pl061", "/a 0x700"}}, "pl031 pl061", ""},
    {{{"shc", "/a 0x200"}, {"shd", "/a 0x200"}, {"virtio", "/a 0x200"}}, "shc shd virtio", ""},
    {{{"othersmmu", "/b 0x200 0"}, {"shc", "/a 0x200"}}, "othersmmu; shc", ""},
    /* The new stream is the last: a new group if shc was there first. */
    {{{"shc", "/a 0x200"}, {"she", "/a 0x200, /a 0x210"}},
     "shc she",
     "warning split: shc she (/a 0x200)\n"},
    /* The shared one is the last: joined from either side. */
    {{{"rev", "/a 0x211, /a 0x200"}, {"shc", "/a 0x200"}}, "rev shc", ""},
    {{{"rev", "/a 0x211, /a 0x200"}, {"shc", "/a 0x200"}, {"she", "/a 0x200, /a 0x210"}},
     "rev shc she",
     "warning split: rev shc she (/a 0x200)\n"},
    /* Both streams in both, in either order. */
    {{{"one", "/a 1, /a 2"}, {"two", "/a 2, /a 1"}}, "one two", ""},
    {{{"bridge1", "/a 0x220"}, {"bridge2", "/a 0x221"}, {"bridge3", "/a 0x220, /a 0x221"}},
     "bridge1 bridge2 bridge3",
     "warning split: bridge1 bridge2 bridge3 (/a 0x220, /a 0x221)\n"},
    /* A chain: nobody has all that the others look at. */
    {{{"w", "/a 1"}, {"x", "/a 1, /a 2"}, {"y", "/a 2, /a 3"}, {"z", "/a 3"}},
     "w x y z",
     "critical split: w x y z (/a 0x1, /a 0x2, /a 0x3)\n"},
    /* The narrow one after the wide one was measured: it joins. Not so the other way round. */
    {{{"maski", "/b 0x405 0"}, {"maskw", "/b 0x400 0xf"}},
     "maski maskw",
     "warning half: maski maskw (/b 0x400 0xf, /b 0x405 0x0)\n"},
    {{{"masko", "/b 0x400 0xf0"}, {"maskw", "/b 0x400 0xf"}},
     "masko maskw",
     "critical half: masko maskw (/b 0x400 0xf, /b 0x400 0xf0)\n"},
    {{{"one", "/b 0x405 0xf"}, {"two", "/b 0x400 0xf"}}, "one two", ""},
    {{{"one", "/b 0x405 0xf"}, {"two", "/b 0x410 0xf"}}, "one; two", ""},
    /* The mask of the IOMMU, which a second cell would replace. */
    {{{"one", "/masked 0x400"}, {"three", "/masked 0x47f"}, {"two", "/masked 0x480"}},
     "one two; three",
     ""},
    /* What a device has twice is its own affair. */
    {{{"own", "/b 0x400 0xf, /b 0x400 0xf0"}}, "own", ""},
    {{{"other", "/b 0x700 0"}, {"own", "/b 0x400 0xf, /b 0x400 0xf0, /b 0x700 0"}},
     "other own",
     ""},
    /* Both kinds of overlap. */
    {{{"all", "/b 0x400 0xf"}, {"high", "/b 0x400 0xc"}, {"low", "/b 0x400 0x3"}},
     "all high low",
     "critical half: high low (/b 0x400 0x3, /b 0x400 0xc)\n"
     "warning half: all high low (/b 0x400 0x3, /b 0x400 0xc, /b 0x400 0xf)\n"},
    /* One group an instance, measured; and a group each on one endpoint. */
    {{{"vop1", "/rka"}, {"vop2", "/rka"}, {"vop3", "/rkb"}}, "vop1 vop2; vop3", ""},
    {{{"eid1", "/each 8"}, {"eid2", "/each 8"}, {"eid3", "/each 9"}},
     "eid1 eid2; eid3",
     "critical split: eid1 eid2 (/each 0x8)\n"},
    {{{"one", "/dart 4"}, {"two", "/dart 4"}}, "one two", ""},
    /* Two IOMMUs. */
    {{{"twosmmu", "/a 0x600, /b 0x600 0"}},
     "twosmmu",
     "warning two-iommus: twosmmu (/a 0x600, /b 0x600 0x0)\n"},
    {{{"vop1", "/rka"}, {"vop2", "/rka"}, {"vop3", "/rkb"}, {"vop4", "/rka, /rkb"}},
     "vop1 vop2 vop3 vop4",
     "critical split: vop1 vop2 vop3 vop4 (/rka, /rkb)\n"
     "warning two-iommus: vop4 (/rka, /rkb)\n"},
    {{{"vop1", "/rka"}, {"vop4", "/rka, /rkb"}},
     "vop1 vop4",
     "warning split: vop1 vop4 (/rka)\n"
     "warning two-iommus: vop4 (/rka, /rkb)\n"},
    {{{"one", "/v3 1"}, {"two", "/v3 1, /a 1"}},
     "one two",
     "critical half: one two (/v3 0x1)\n"
     "warning two-iommus: two (/a 0x1, /v3 0x1)\n"},
    /* … which some drivers provide for. */
    {{{"one", "/dart 1, /dart2 1"}, {"two", "/dart 1"}},
     "one two",
     "info two-iommus: one (/dart 0x1, /dart2 0x1)\n"},
    /* A disabled one translates nothing. */
    {{{"one", "/off 1"}, {"two", "/off 1"}},
     "",
     "warning disabled-iommu: one two (/off 0x1)\n"},
    {{{"one", "/off 1, /a 1"}, {"two", "/a 1"}},
     "one two",
     "warning disabled-iommu: one (/off 0x1)\n"},
};

static void check_case(size_t index, bool turned) {
    size_t n = 0;

    while (n < 8 && cases[index].masters[n][0])
        n++;
    for (size_t i = 0; i < n; i++)
        scene_master(&scene, cases[index].masters[i][0], cases[index].masters[i][1]);
    ck_assert_str_eq(scene_predictions(&scene), cases[index].findings);
    ck_assert_str_eq(scene_sets(&scene), cases[index].sets);
    if (!turned)
        return;
    /* Members in another order: the findings are the same. */
    for (size_t i = 0; i < n / 2; i++) {
        struct isolation_member member = scene.members[i];
        scene.members[i] = scene.members[n - 1 - i];
        scene.members[n - 1 - i] = member;
    }
    ck_assert_str_eq(scene_findings(&scene, false), cases[index].findings);
}

START_TEST(test_case) {
    check_case((size_t)_i, false);
}
END_TEST

START_TEST(test_turned) {
    check_case((size_t)_i, true);
}
END_TEST

/* ---- Sentences -------------------------------------------------------------------------------- */

START_TEST(test_sentences) {
    scene_master(&scene, "/soc/eid1", "/each 8");
    scene_master(&scene, "/soc/eid2", "/each 8");
    scene_master(&scene, "/soc/samec", "/v3 0x200");
    scene_master(&scene, "/soc/samed", "/v3 0x200");
    scene_predictions(&scene);
    ck_assert_str_eq(scene_sentence(&scene, REASON_HALF),
                     "/soc/samec and /soc/samed share stream 0x200 of /v3: Linux gives a group only "
                     "to the first one that it probes; the others can run without one, in reach of "
                     "whoever gets that group.");
    ck_assert_str_eq(scene_sentence(&scene, REASON_SPLIT),
                     "/soc/eid1 and /soc/eid2 share stream 0x8 of /each: Linux gives each one a "
                     "group of its own, and whoever gets one of these groups can reach the memory "
                     "that the owner of another one uses.");
}
END_TEST

/* Four are named and the rest is counted; but a fifth is named too. */
START_TEST(test_long_list) {
    static const char *const nodes[] = {"/m0", "/m1", "/m2", "/m3", "/m4", "/m5"};

    for (size_t i = 0; i < 5; i++)
        scene_master(&scene, nodes[i], "/v3 0x200");
    scene_predictions(&scene);
    ck_assert_ptr_nonnull(strstr(scene_sentence(&scene, REASON_HALF),
                                 "/m0, /m1, /m2, /m3 and /m4 share stream"));
    scene_master(&scene, nodes[5], "/v3 0x200");
    scene_predictions(&scene);
    ck_assert_ptr_nonnull(strstr(scene_sentence(&scene, REASON_HALF),
                                 "/m0, /m1, /m2, /m3 and 2 more share stream"));
    ck_assert_uint_eq(scene.isolation.findings[0].n_members, 6);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("isolation of a file");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, test_case, 0, ELEMENTS_OF(cases));
    tcase_add_loop_test(all, test_turned, 0, ELEMENTS_OF(cases));
    tcase_add_test(all, test_sentences);
    tcase_add_test(all, test_long_list);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
