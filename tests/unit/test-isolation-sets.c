/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which streams are one to an IOMMU; and that finding sets of many does not compare them all. */
#include "isolation-fixture.h"

#include "model/isolation-internal.h"

static struct scene scene;

static void set_up(void) {
    scene_begin(&scene);
    scene_iommu(&scene, "/v3", TREE_GROUP_SMMU_V3, 1);
    scene_iommu(&scene, "/v2", TREE_GROUP_SMMU_V2, 2);
    scene_iommu(&scene, "/one", TREE_GROUP_SINGLE, 1);
    scene_iommu(&scene, "/none", TREE_GROUP_PER_DEVICE, 0);
    scene_iommu(&scene, "/pair", TREE_GROUP_BY_STREAM, 2);
    scene_iommu(&scene, "/other", TREE_GROUP_BY_STREAM, 2);
    scene_iommu(&scene, "/old", TREE_GROUP_SMMU_V2, 0);
}

static void tear_down(void) {
    scene_end(&scene);
}

static const struct {
    const char *streams[4], *sets;
} cases[] = {
    {{"/v3 1", "/v3 2", "/v3 1"}, "a c; b"},
    {{"/v3 1", "/v3 2", "/v3 1, /v3 2"}, "a b c"},
    {{"/v3 1", "/v3 1, /v3 2", "/v3 2, /v3 3", "/v3 3"}, "a b c d"},
    {{"/v3 3", "/v3 1", "/v3 3", "/v3 1"}, "a c; b d"},
    /* Whatever the cells say: all of the instance. */
    {{"/one 1", "/one 2", "/v3 1"}, "a b; c"},
    {{"/none", "/none", "/old", "/old"}, "a b; c d"},
    /* All cells count. */
    {{"/pair 1 1", "/pair 1 2", "/pair 1 1"}, "a c; b"},
    {{"/pair 1 1", "/other 1 1"}, "a; b"},
    /* Masks, either way round, and no mask of another kind. */
    {{"/v2 0x400 0xf", "/v2 0x405 0", "/v2 0x410 0"}, "a b; c"},
    {{"/v2 0x405 0", "/v2 0x400 0xf", "/v2 0x40f 0"}, "a b c"},
    {{"/v2 0x400 0xf", "/v2 0x500 0xf", "/v2 0 0xffff"}, "a b c"},
    {{"/v2 0x400 0xf", "/v2 0x401 0xf0", "/v2 0x502 0xf"}, "a b; c"},
    {{"/v2 0 0xffff", "/v3 0"}, "a; b"},
    {{"/v2 0x10000 0", "/v2 0 0"}, "a b"}, /* 16 bits */
};

START_TEST(test_sets) {
    static const char *const nodes[] = {"/a", "/b", "/c", "/d"};

    for (size_t i = 0; i < 4 && cases[_i].streams[i]; i++)
        scene_master(&scene, nodes[i], cases[_i].streams[i]);
    scene_predictions(&scene);
    ck_assert_str_eq(scene_sets(&scene), cases[_i].sets);
}
END_TEST

/* An iommu-map gives one cell: it is every stream that begins with it. */
START_TEST(test_short_stream) {
    scene_devices(&scene, (const struct scene_device[]){{"/a", "/pair 1 1", "1"},
                                                        {"/b", "/pair 1 2", "2"},
                                                        {"/c", "/pair 2 1", "3"},
                                                        {0}});
    scene_master(&scene, "/pcie", NULL);
    scene_map(&scene, "0 /pair 0 0x100");
    scene_function(&scene, "pci/f1", 1, "4", NULL);
    scene_function(&scene, "pci/f3", 3, "5", NULL);
    ck_assert_ptr_nonnull(strstr(scene_findings(&scene, true),
                                 "critical split: a b f1 (/pair 0x1, /pair 0x1 0x1, /pair 0x1 0x2)"));
    ck_assert_str_eq(scene_sets(&scene), "a b f1; c; f3");
}
END_TEST

/* ---- Many ------------------------------------------------------------------------------------- */

enum { MANY = 4096 };

static struct tree_master master = {.node = (char *)"/m", .enabled = true};
static struct tree_stream streams[MANY];
static struct isolation_member members[MANY];

/* One member for each stream /v2 ID MASK. Returns how many pairs were compared. */
static size_t join(uint32_t (*id)(uint32_t), uint32_t (*mask)(uint32_t), size_t n_sets) {
    struct joined_streams joined = {0};

    for (uint32_t i = 0; i < MANY; i++) {
        streams[i] = (struct tree_stream){.iommu = 1, .n_cells = 2, .cells = {id(i), mask(i)}};
        tree_stream_set(&scene.iommus[1], &streams[i]);
        members[i] = (struct isolation_member){
            .master = &master, .streams = &streams[i], .n_streams = 1};
    }
    ck_assert_int_eq(isolation_join(&scene.tree, members, MANY, &joined), 0);
    ck_assert_uint_eq(joined.n_sets, n_sets);
    free(joined.places);
    return joined.n_compared;
}

static uint32_t zero(uint32_t i) {
    return 0;
}

static uint32_t same(uint32_t i) {
    return 0x123;
}

static uint32_t number(uint32_t i) {
    return i;
}

static uint32_t number_by_16(uint32_t i) {
    return i << 4;
}

static uint32_t low_bits(uint32_t i) {
    return 0xf;
}

/* Every sixteenth has a mask. */
static uint32_t some_bits(uint32_t i) {
    return i % 16 == 0 ? 0xf : 0;
}

START_TEST(test_many) {
    ck_assert_uint_eq(join(same, zero, 1), 0);
    ck_assert_uint_eq(join(number, zero, MANY), 0);
    ck_assert_uint_eq(join(number, low_bits, MANY / 16), 0);
    ck_assert_uint_eq(join(number_by_16, low_bits, MANY), 0);
    /* Those with a mask against those without. */
    ck_assert_uint_le(join(number, some_bits, MANY / 16), MANY / 16 * MANY);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("isolation sets");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, test_sets, 0, ELEMENTS_OF(cases));
    tcase_add_test(all, test_short_stream);
    tcase_add_test(all, test_many);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
