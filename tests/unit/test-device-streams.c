/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices of the model and what the device tree says of them: who shares a stream with a group, what the
 * verdict makes of it, and that it follows what comes, goes and moves. */
#include "verdict-fixture.h"

#include "model/detachment.h"
#include "model/device-streams.h"

/* ---- A tree, made by hand */

static struct device_tree *tree;

static void add_iommu(const char *node, enum tree_grouping grouping) {
    tree->iommus = reallocarray(tree->iommus, tree->n_iommus + 1, sizeof(*tree->iommus));
    tree->iommus[tree->n_iommus++] = (struct tree_iommu){.node = strdup(node),
                                                         .compatible = strdup("arm,smmu"),
                                                         .grouping = grouping,
                                                         .enabled = true,
                                                         .n_cells = 1};
}

/* Masters are added in the order of their nodes. */
static struct tree_master *add_master(const char *node) {
    tree->masters = reallocarray(tree->masters, tree->n_masters + 1, sizeof(*tree->masters));
    struct tree_master *master = &tree->masters[tree->n_masters++];
    *master = (struct tree_master){.node = strdup(node), .enabled = true, .map_mask = UINT32_MAX};
    return master;
}

static struct tree_stream stream(size_t iommu, uint32_t id) {
    return (struct tree_stream){.iommu = iommu, .cells = {id}, .n_cells = 1, .id = id};
}

static void add_streams(const char *node, size_t iommu, uint32_t id, uint32_t other) {
    struct tree_master *master = add_master(node);

    master->has_iommus = true;
    master->streams = calloc(2, sizeof(*master->streams));
    master->streams[master->n_streams++] = stream(iommu, id);
    if (other)
        master->streams[master->n_streams++] = stream(iommu, other);
}

static void add_map(const char *node, uint32_t requester, uint32_t length, size_t iommu, uint32_t id) {
    struct tree_master *master = add_master(node);

    master->has_map = true;
    master->maps = calloc(1, sizeof(*master->maps));
    master->maps[master->n_maps++] = (struct tree_map){
        .requester = requester, .length = length, .iommu = iommu, .id = id};
}

/* Two devices on stream 0x200 of the first IOMMU, one alone, one that ties 0x300 to 0x301, and PCI
 * functions whose ids are mapped to 0x200 and further. */
static void set_up_tree(void) {
    set_up();
    scene.request.model = &scene.model;
    tree = calloc(1, sizeof(*tree));
    add_iommu("/smmu@0", TREE_GROUP_SMMU_V3);
    add_map("/pcie@0", 0, 0x100, 0, 0x500);
    add_streams("/soc/alone@1", 0, 0x100, 0);
    add_streams("/soc/bridge@4", 0, 0x300, 0x301);
    add_streams("/soc/function@7", 0, 0x508, 0);
    add_streams("/soc/left@5", 0, 0x300, 0);
    add_streams("/soc/right@6", 0, 0x301, 0);
    add_streams("/soc/same@2", 0, 0x200, 0);
    add_streams("/soc/same@3", 0, 0x200, 0);
    ck_assert_int_eq(model_set_tree(&scene.model, tree, false), 0);
}

static const char *path_of(const char *node) {
    static char path[128];

    snprintf(path, sizeof(path), "devices/platform/%s", path_basename(node));
    return path;
}

static struct device *put_device(const char *node, const char *driver, int64_t group) {
    struct device_facts facts = other_facts(path_of(node), "platform", driver, group);

    facts.tree_node = node;
    struct device *device = put(&scene.model, &facts);
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    return device;
}

static void drop(const char *node) {
    model_remove_device(&scene.model, model_device(&scene.model, path_of(node)));
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
}

/* The claim is for this group instead of the fixture's. */
static struct group *ask_instead(uint32_t id) {
    scene.request.n_groups = 0;
    struct group *group = ask_for(id);

    allow_node(group);
    return group;
}

/* ---- Tests */

START_TEST(test_alone) {
    put_device("/soc/alone@1", "vfio-platform", 1);
    struct group *group = ask_instead(1);
    ck_assert_int_eq(group_sharing(&scene.model, group), SHARING_NONE);
    ck_assert(group_is_isolated(&scene.model, group));
    assert_blocks("");
}
END_TEST

START_TEST(test_split) {
    put_device("/soc/same@2", "vfio-platform", 1);
    put_device("/soc/same@3", NULL, 2);
    struct group *group = ask_instead(1);
    ck_assert_int_eq(group_sharing(&scene.model, group), SHARING_SPLIT);
    assert_blocks("split/me@2");
    assert_text_says(REASON_SPLIT, "same@3 in group 2");
    scene.require = "[\"interrupt-remapping\"]";
    assert_blocks("");
    scene.require = "[]";
    assert_blocks("");
    ck_assert_ptr_nonnull(strstr(findings(false), "split/me@2"));
}
END_TEST

/* The same two in one group are what the hardware says. */
START_TEST(test_coarse_group) {
    put_device("/soc/same@2", "vfio-platform", 1);
    put_device("/soc/same@3", "vfio-platform", 1);
    put_device("/soc/alone@1", "vfio-platform", 1);
    ask_instead(1);
    assert_blocks("");
}
END_TEST

START_TEST(test_half_and_pending) {
    put_device("/soc/same@2", "vfio-platform", 1);
    put_device("/soc/same@3", "host", GROUP_NONE);
    struct group *group = ask_instead(1);
    ck_assert_int_eq(group_sharing(&scene.model, group), SHARING_HALF);
    assert_blocks("half/me@2");
    assert_text_says(REASON_HALF, "driver host");
    model_forget_changes(&scene.model);
    put_device("/soc/same@3", NULL, GROUP_NONE);
    ck_assert_ptr_eq(scene.model.dirty_groups, group); /* Isolated changed */
    ck_assert_int_eq(group_sharing(&scene.model, group), SHARING_PENDING);
    assert_blocks("");
    assert_text_says(REASON_PENDING, "same@3");
    put_device("/soc/same@3", "host", 1);
    ck_assert_int_eq(group_sharing(&scene.model, group), SHARING_NONE);
}
END_TEST

/* Left and right have nothing in common but a third; when that goes they are apart. */
START_TEST(test_through_a_third) {
    put_device("/soc/left@5", "vfio-platform", 1);
    put_device("/soc/right@6", "vfio-platform", 2);
    struct group *left = ask_instead(1), *right = model_group(&scene.model, 2);
    ck_assert(group_is_isolated(&scene.model, left));
    put_device("/soc/bridge@4", "vfio-platform", 2);
    ck_assert_int_eq(group_sharing(&scene.model, left), SHARING_SPLIT);
    ck_assert_int_eq(group_sharing(&scene.model, right), SHARING_SPLIT);
    assert_blocks("split/ft@5 split/ft@5"); /* one for each that is outside */
    model_forget_changes(&scene.model);
    drop("/soc/bridge@4");
    ck_assert(left->listed && right->listed);
    ck_assert(group_is_isolated(&scene.model, left));
    ck_assert(group_is_isolated(&scene.model, right));
}
END_TEST

static struct device *put_function(uint32_t requester, uint32_t alias, const char *driver, int64_t group) {
    char path[64];

    snprintf(path, sizeof(path), PCI("%02x.%x"), requester >> 3, requester & 7);
    struct device_facts facts = nic_facts(path, driver, group);
    facts.tree_node = "/pcie@0";
    facts.requesters[facts.n_requesters++] = requester;
    if (alias)
        facts.requesters[facts.n_requesters++] = alias;
    struct device *device = put(&scene.model, &facts);
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    return device;
}

START_TEST(test_function_and_platform_device) {
    put_function(0x08, 0, "vfio-pci", 1);
    put_device("/soc/function@7", "host", 2);
    ask_instead(1);
    assert_blocks("split/01.0");
    put_device("/soc/function@7", "vfio-platform", 1);
    assert_blocks("");
}
END_TEST

/* A bridge puts its own id in the place of those behind it. */
START_TEST(test_aliases) {
    put_function(0x10, 0, "vfio-pci", 1);
    put_function(0x18, 0, "vfio-pci", 2);
    ask_instead(1);
    assert_blocks("");
    model_remove_device(&scene.model, model_device(&scene.model, PCI("03.0")));
    put_function(0x18, 0x10, "vfio-pci", 2);
    assert_blocks("split/02.0");
    put_function(0x300, 0, "vfio-pci", 3); /* outside of the map */
    assert_blocks("split/02.0");
}
END_TEST

START_TEST(test_unreadable_tree) {
    put_device("/soc/alone@1", "vfio-platform", 1);
    struct group *group = ask_instead(1);
    ck_assert_int_eq(model_set_tree(&scene.model, NULL, true), 0);
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    ck_assert_int_eq(group_sharing(&scene.model, group), SHARING_SPLIT);
    assert_blocks("split");
    assert_text_says(REASON_SPLIT, "can not be read");
    scene.require = "[]";
    assert_blocks("");
    scene.require = NULL;
    ask_instead(7); /* not in the tree */
    assert_blocks("");
    ck_assert_int_eq(model_set_tree(&scene.model, NULL, false), 0);
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    ck_assert(group_is_isolated(&scene.model, group));
}
END_TEST

/* The kernel has a node that the tree which was read has not. */
START_TEST(test_node_of_an_overlay) {
    struct device_facts facts = other_facts(path_of("/soc/new@8"), "platform", "vfio-platform", 1);

    facts.tree_node = "/soc/new@8";
    put(&scene.model, &facts);
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    ask_instead(1);
    assert_blocks("");
    facts.path = "devices/platform/new@9";
    facts.tree_node = "/soc/new@9";
    facts.names_iommus = true;
    facts.group = 2;
    put(&scene.model, &facts);
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    assert_blocks("split"); /* it may be beside anybody */
    ask_instead(2);
    assert_blocks("split");
    ask_instead(7); /* not in the tree */
    assert_blocks("");
    model_remove_device(&scene.model, model_device(&scene.model, "devices/platform/new@9"));
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    ask_instead(1);
    assert_blocks("");
}
END_TEST

START_TEST(test_stale_sets_are_unknown) {
    struct device_facts facts = other_facts(path_of("/soc/alone@1"), "platform", "vfio-platform", 1);

    facts.tree_node = "/soc/alone@1";
    put(&scene.model, &facts);
    ask_instead(1);
    assert_blocks("split");
    ck_assert_int_eq(model_find_sets(&scene.model), 0);
    assert_blocks("");
}
END_TEST

/* ---- Devices without a group */

static void ask_for_groupless(struct device *device) {
    scene.request.n_groups = 0;
    scene.groupless[0] = device;
    scene.request.n_groupless = 1;
    scene.request.named = scene.groupless;
    scene.request.n_named = 1;
}

START_TEST(test_groupless) {
    struct device *device = put_device("/soc/same@2", NULL, GROUP_NONE);

    scene.detach = "true";
    ask_for_groupless(device);
    assert_blocks("no-group/me@2");
    ask_for_switch();
    assert_blocks("");
    assert_text_says(REASON_PENDING, "no IOMMU group yet");
    scene.host.has_iommu = false;
    assert_blocks("no-iommu/me@2");
    scene.host.has_iommu = true;
    ask_for_groupless(put_other(&scene.model, "devices/platform/bare", "platform", NULL, GROUP_NONE));
    assert_blocks("");
    ask_for_groupless(put_other(&scene.model, "devices/platform/bare", "platform", "host", GROUP_NONE));
    assert_blocks("no-group/bare"); /* its driver has probed it, and no group formed */
}
END_TEST

START_TEST(test_groupless_beside_an_owner) {
    struct device *device = put_device("/soc/same@2", NULL, GROUP_NONE);

    put_device("/soc/same@3", "vfio-platform", 3);
    scene.detach = "true";
    ask_for_groupless(device);
    ask_for_switch();
    assert_blocks("");
    model_set_lease(&scene.model, model_group(&scene.model, 3), &scene.owner);
    assert_blocks("split/me@2");
    assert_text_says(REASON_SPLIT, "same@3");
    model_set_lease(&scene.model, model_group(&scene.model, 3), NULL);
    assert_blocks("");
}
END_TEST

/* On its way to userspace it is in nobody's group, and beside everybody who shares its stream. */
START_TEST(test_beside_one_on_its_way) {
    struct detachment_member member = {.move = MOVE_TO_USER, .driver = (char *)""};
    struct device *device = put_device("/soc/same@2", NULL, GROUP_NONE);

    put_device("/soc/same@3", "vfio-platform", 3);
    ask_instead(3);
    assert_blocks("");
    device->detached = &member;
    assert_blocks(""); /* what is left of an undo that failed */
    device->switching = 1;
    assert_blocks("switching/me@2");
    assert_text_says(REASON_SWITCHING, "same@2");
    scene.detach = "true";
    ask_for_groupless(device);
    ask_for_switch();
    assert_blocks("switching/me@2");
    device->detached = NULL;
    device->switching = 1; /* a pin */
    assert_blocks("switching/me@2");
    device->switching = 0;
    model_group(&scene.model, 3)->switching = 1;
    assert_blocks("switching/me@3");
    model_group(&scene.model, 3)->switching = 0;
    assert_blocks("");
}
END_TEST

/* Not a conflict: it was so when the lease was granted. */
START_TEST(test_known_driver_beside) {
    put_device("/soc/same@2", "vfio-platform", 1);
    struct device *other = put_device("/soc/same@3", "host", GROUP_NONE);

    ck_assert_ptr_null(other->conflict_driver);
    model_set_lease(&scene.model, model_group(&scene.model, 1), &scene.owner);
    ck_assert_str_eq(other->conflict_driver, "host");
    put_device("/soc/same@3", "another", GROUP_NONE);
    ck_assert_ptr_null(other->conflict_driver);
    model_set_lease(&scene.model, model_group(&scene.model, 1), NULL);
}
END_TEST

START_TEST(test_members_for_the_audit) {
    struct isolation_member *members;
    size_t n;

    put_device("/soc/same@3", "host", GROUP_NONE);
    put_device("/soc/alone@1", "vfio-platform", 4);
    put_device("/soc/unknown@9", NULL, GROUP_NONE); /* the tree has no such master */
    put_function(0x08, 0, "vfio-pci", 1);
    ck_assert_int_eq(model_isolation_members(&scene.model, &members, &n), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(members[0].device, "pci/0000:00:01.0");
    ck_assert(members[0].is_function && members[0].n_streams == 1);
    ck_assert_uint_eq(members[0].streams[0].id, 0x508);
    ck_assert_str_eq(members[1].device, "platform/alone@1");
    ck_assert_int_eq(members[1].group, 4);
    ck_assert_str_eq(members[2].driver, "host");
    isolation_members_done(members, n);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("device-streams");
    TCase *tests = tcase_create("device-streams");

    tcase_add_checked_fixture(tests, set_up_tree, tear_down);
    tcase_add_test(tests, test_alone);
    tcase_add_test(tests, test_split);
    tcase_add_test(tests, test_coarse_group);
    tcase_add_test(tests, test_half_and_pending);
    tcase_add_test(tests, test_through_a_third);
    tcase_add_test(tests, test_function_and_platform_device);
    tcase_add_test(tests, test_aliases);
    tcase_add_test(tests, test_unreadable_tree);
    tcase_add_test(tests, test_node_of_an_overlay);
    tcase_add_test(tests, test_stale_sets_are_unknown);
    tcase_add_test(tests, test_groupless);
    tcase_add_test(tests, test_groupless_beside_an_owner);
    tcase_add_test(tests, test_beside_one_on_its_way);
    tcase_add_test(tests, test_known_driver_beside);
    tcase_add_test(tests, test_members_for_the_audit);
    suite_add_tcase(suite, tests);
    return model_main(suite);
}
