/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups: how they appear, grow, shrink and vanish, and what is known of them. */
#include "model-fixture.h"

/* ---- Groups ---------------------------------------------------------------------------------- */

START_TEST(test_members_sorted) {
    static const char *const paths[] = {PCI("05.3"), PCI("05.1"), PCI("05.4"), PCI("05.0"),
                                        PCI("05.2")};

    for (size_t i = 0; i < ELEMENTS_OF(paths); i++)
        put_nic(&model, paths[i], NULL, 7);
    ck_assert_str_eq(members_of(7), "01234");
    model_remove_device(&model, model_device(&model, PCI("05.0")));
    ck_assert_str_eq(members_of(7), "1234");
    model_remove_device(&model, model_device(&model, PCI("05.4")));
    model_remove_device(&model, model_device(&model, PCI("05.2")));
    ck_assert_str_eq(members_of(7), "13");
    put_nic(&model, PCI("05.2"), NULL, 7);
    ck_assert_str_eq(members_of(7), "123");
}
END_TEST

START_TEST(test_grow_and_shrink) {
    put_nic(&model, PCI("05.0"), NULL, 7);
    struct group *group = model_group(&model, 7);
    model_forget_changes(&model);
    put_nic(&model, PCI("05.1"), NULL, 7);
    ck_assert(group_listed(7));
    ck_assert_ptr_eq(model_group(&model, 7), group);
    model_forget_changes(&model);
    model_remove_device(&model, model_device(&model, PCI("05.0")));
    ck_assert(group_listed(7));
    ck_assert(!group_removed(7));
    ck_assert_str_eq(members_of(7), "1");
    ck_assert_uint_eq(model.n_groups, 1);
}
END_TEST

START_TEST(test_move) {
    struct device *device = put_nic(&model, PCI("05.0"), NULL, 7);

    put_nic(&model, PCI("05.1"), NULL, 7);
    put_nic(&model, PCI("06.2"), NULL, 8);
    model_forget_changes(&model);
    put_nic(&model, PCI("05.0"), NULL, 8);
    ck_assert_int_eq(changes_of(device), DEVICE_GROUP);
    ck_assert_str_eq(members_of(7), "1");
    ck_assert_str_eq(members_of(8), "02");
    ck_assert(group_listed(7));
    ck_assert(group_listed(8));
    model_forget_changes(&model);
    put_nic(&model, PCI("05.1"), NULL, 8); /* the last member goes */
    ck_assert_ptr_null(model_group(&model, 7));
    ck_assert(group_removed(7));
    ck_assert_str_eq(members_of(8), "012");
}
END_TEST

START_TEST(test_group_late_and_lost) {
    struct device *device = put_nic(&model, PCI("05.0"), NULL, GROUP_NONE);

    model_forget_changes(&model);
    put_nic(&model, PCI("05.0"), NULL, 0); /* 0 is a group like any other */
    ck_assert_int_eq(changes_of(device), DEVICE_GROUP);
    ck_assert_str_eq(members_of(0), "0");
    model_forget_changes(&model);
    put_nic(&model, PCI("05.0"), NULL, GROUP_NONE);
    ck_assert_int_eq(changes_of(device), DEVICE_GROUP);
    ck_assert(group_removed(0));
    ck_assert_ptr_null(device->group);
    model_forget_changes(&model);
    put_nic(&model, PCI("05.0"), NULL, UINT32_MAX);
    ck_assert_str_eq(members_of(UINT32_MAX), "0");
}
END_TEST

/* The number comes back with another device: nothing of the old group may cling to it. */
START_TEST(test_number_reused) {
    struct lease lease = {.id = 1};

    put_nic(&model, PCI("05.0"), "vfio-pci", 7);
    struct group *old = model_group(&model, 7);
    model_set_lease(&model, old, &lease);
    model_set_open(&model, old, true);
    model_update_node(&model, old, &(struct node_facts){.present = true});
    model_update_group_facts(&model, old, &(struct group_facts){.direct_region = true});
    old->kernel_disagrees = true;
    model_remove_device(&model, model_device(&model, PCI("05.0")));
    ck_assert_ptr_eq(old->lease, &lease); /* readable until the changes are forgotten */
    put_nic(&model, PCI("06.0"), "vfio-pci", 7);
    struct group *group = model_group(&model, 7);
    ck_assert_ptr_ne(group, old);
    ck_assert_ptr_null(group->lease);
    ck_assert(!group->open && !group->node.present && !group->facts.direct_region);
    ck_assert(!group->was_leased && !group->kernel_disagrees);
    ck_assert_int_eq(group_owner(group), OWNER_NONE);
    model_forget_changes(&model);
    ck_assert_ptr_eq(model_group(&model, 7), group);
}
END_TEST

START_TEST(test_renumbered) {
    struct device *device = put_nic(&model, PCI("05.0"), NULL, 7);

    put_nic(&model, PCI("06.1"), NULL, 8);
    model_forget_changes(&model);
    put_nic(&model, PCI("06.1"), NULL, 7); /* the readings come one by one: shared for a moment */
    put_nic(&model, PCI("05.0"), NULL, 8);
    ck_assert_str_eq(members_of(7), "1");
    ck_assert_str_eq(members_of(8), "0");
    ck_assert_ptr_eq(device->group, model_group(&model, 8));
    ck_assert_uint_eq(model.n_groups, 2);
}
END_TEST

/* ---- Facts of a group ------------------------------------------------------------------------ */

START_TEST(test_group_facts) {
    struct lease lease = {.id = 1};
    struct node_facts node;

    memset(&node, 0, sizeof(node));
    node.present = true;
    put_nic(&model, PCI("05.0"), "vfio-pci", 7);
    struct group *group = model_group(&model, 7);
    model_forget_changes(&model);
    model_update_node(&model, group, &node);
    ck_assert(group_listed(7));
    model_forget_changes(&model);
    model_update_node(&model, group, &node);
    model_set_open(&model, group, false);
    model_update_group_facts(&model, group, &(struct group_facts){.type = ""});
    ck_assert(!model_has_changes(&model)); /* nothing that was not so before */
    model_update_group_facts(&model, group, &(struct group_facts){.type = "DMA-FQ"});
    ck_assert(group_listed(7));
    model_forget_changes(&model);
    model_set_lease(&model, group, &lease);
    ck_assert(group_listed(7) && group->was_leased);
    model_forget_changes(&model);
    model_set_lease(&model, group, NULL);
    ck_assert(group_listed(7) && group->was_leased);
    model_forget_changes(&model);
    model_set_open(&model, group, true);
    ck_assert(group_listed(7));
    node.present = false;
    model_update_node(&model, group, &node);
    ck_assert(group->open); /* the name is gone, which closes nothing */
    ck_assert(!group->was_leased);
}
END_TEST

START_TEST(test_owner_and_viable) {
    struct lease lease = {.id = 1};
    struct device *device = put_nic(&model, PCI("05.0"), NULL, 7);
    struct group *group = device->group;

    ck_assert_int_eq(group_owner(group), OWNER_NONE);
    ck_assert(!group_viable(group)); /* no VFIO driver */
    put_nic(&model, PCI("05.0"), "vfio-pci", 7);
    put_nic(&model, PCI("05.1"), "pci-stub", 7);
    put_nic(&model, PCI("05.2"), NULL, 7);
    ck_assert(group_viable(group));
    model_set_open(&model, group, true);
    ck_assert_int_eq(group_owner(group), OWNER_FOREIGN);
    put_nic(&model, PCI("05.2"), "e1000e", 7);
    ck_assert_int_eq(group_owner(group), OWNER_KERNEL);
    ck_assert(!group_viable(group));
    model_set_lease(&model, group, &lease);
    ck_assert_int_eq(group_owner(group), OWNER_USER);
    model_set_lease(&model, group, NULL);
    put_nic(&model, PCI("05.2"), NULL, 7);
    group->kernel_disagrees = true;
    ck_assert(!group_viable(group));
    put_nic(&model, PCI("05.2"), NULL, 7);
    ck_assert(group->kernel_disagrees); /* nothing changed, nothing to ask again */
    put_nic(&model, PCI("05.1"), NULL, 7);
    ck_assert(group_viable(group));
    ck_assert_str_eq(owner_to_string(OWNER_NONE), "none");
    ck_assert_str_eq(owner_to_string(OWNER_KERNEL), "kernel");
    ck_assert_str_eq(owner_to_string(OWNER_USER), "user");
    ck_assert_str_eq(owner_to_string(OWNER_FOREIGN), "foreign");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model-group");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_members_sorted);
    tcase_add_test(all, test_grow_and_shrink);
    tcase_add_test(all, test_move);
    tcase_add_test(all, test_group_late_and_lost);
    tcase_add_test(all, test_number_reused);
    tcase_add_test(all, test_renumbered);
    tcase_add_test(all, test_group_facts);
    tcase_add_test(all, test_owner_and_viable);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
