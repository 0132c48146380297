/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of what was moved: in step with devices that come, go and are moved by others, and over a
 * restart, which undoes or finishes what was cut short. */
#include "switch-fixture.h"

static void set_up(void) {
    set_up_switch();
    make_group(5);
    make_group(6);
    put_on(5, "vfio-pci", "e1000e");
    put_on(6, "vfio-pci", "e1000e");
}

static void tear_down(void) {
    if (manager)
        stop_manager();
    tear_down_switch();
}

/* With a record that it finds. */
static void start_with(struct detachment *detachment) {
    leave_record(detachment);
    start_switch();
}

static struct detachment *find_record(uint64_t id) {
    struct detachment *detachment;

    HASH_FIND(by_id, manager->detachments, &id, sizeof(id), detachment);
    return detachment;
}

static void add_second_member(struct detachment *detachment, uint32_t device, enum move move) {
    struct detachment *other = make_detachment(99, device, DETACHMENT_DETACHED);

    detachment->members[1] = other->members[0];
    detachment->members[1].move = move;
    if (move != MOVE_TO_USER)
        detachment->members[1].target[0] = 0;
    detachment->n_members = 2;
    other->n_members = 0;
    detachment_free(other);
}

static void remove_device(uint32_t id) {
    _cleanup_(freep) char *member =
        string_format("kernel/iommu_groups/%u/devices/%s", id, name_of(id));
    _cleanup_(freep) char *group = string_format("kernel/iommu_groups/%u", id);
    _cleanup_(freep) char *devices = string_format("%s/devices", group);
    _cleanup_(freep) char *gone = string_format("gone-%u", id);

    tree_unlink(&tree, member);
    ck_assert_int_eq(unlinkat(tree.fd, devices, AT_REMOVEDIR), 0);
    ck_assert_int_eq(unlinkat(tree.fd, group, AT_REMOVEDIR), 0);
    ck_assert_int_eq(renameat(tree.fd, device_path(id), tree.fd, gone), 0);
    ck_assert_int_eq(manager_scan(manager), 0);
    ck_assert_ptr_null(device_of(id));
}

static void move_by_hand(uint32_t id, const char *driver) {
    kernel_set_driver(name_of(id), driver);
    ck_assert_int_eq(manager_refresh_group(manager, id), 0);
    manager_settle(manager);
}

/* ---- Linked to the model */

START_TEST(test_loaded) {
    start_with(make_detachment(12, 5, DETACHMENT_DETACHED));
    manager_recover(manager);
    ck_assert_str_eq(heard, "");
    ck_assert_ptr_nonnull(find_record(12));
    ck_assert_ptr_eq(device_of(5)->detached, &find_record(12)->members[0]);
    ck_assert_ptr_eq(manager_detachment_of(manager, device_of(5)), find_record(12));
    ck_assert_ptr_null(device_of(6)->detached);
    ck_assert_ptr_null(manager_detachment_of(manager, device_of(6)));
    ck_assert_str_eq(kernel_written(&tree), "");
    assert_driver(5, "vfio-pci");
}
END_TEST

/* A rule goes by the host's driver, also for the next daemon. */
START_TEST(test_policy_driver) {
    start_with(make_detachment(12, 5, DETACHMENT_DETACHED));
    ck_assert_str_eq(verdict_policy_view(device_of(5)).driver, "e1000e");
    ck_assert_str_eq(verdict_policy_view(device_of(6)).driver, "vfio-pci");
}
END_TEST

START_TEST(test_last_member_gone) {
    start_with(make_detachment(12, 5, DETACHMENT_DETACHED));
    remove_device(5);
    ck_assert_ptr_null(find_record(12));
    ck_assert(!record_exists(12));
}
END_TEST

/* The others are still on record, and what they point to is right. */
START_TEST(test_first_member_gone) {
    struct detachment *detachment = make_detachment(12, 5, DETACHMENT_DETACHED);

    add_second_member(detachment, 6, MOVE_TO_USER);
    start_with(detachment);
    remove_device(5);
    ck_assert_uint_eq(find_record(12)->n_members, 1);
    ck_assert_ptr_eq(device_of(6)->detached, &find_record(12)->members[0]);
    ck_assert_str_eq(device_of(6)->detached->path, device_path(6));
    ck_assert(!record_says(12, "05.0") && record_says(12, "06.0"));
}
END_TEST

/* It went while no daemon ran. */
START_TEST(test_gone_before_restart) {
    struct detachment *detachment = make_detachment(12, 5, DETACHMENT_DETACHED);

    add_second_member(detachment, 6, MOVE_TO_USER);
    detachment->members[0].path[strlen(detachment->members[0].path) - 1] = '7';
    if (_i)
        detachment_remove(detachment, 1);
    start_with(detachment);
    manager_recover(manager);
    if (_i) {
        ck_assert_ptr_null(find_record(12));
        ck_assert(!record_exists(12));
        return;
    }
    ck_assert_uint_eq(find_record(12)->n_members, 1);
    ck_assert_ptr_eq(device_of(6)->detached, &find_record(12)->members[0]);
}
END_TEST

/* Numbers of groups are reused: the device says in which it is. */
START_TEST(test_group_has_another_number) {
    struct detachment *detachment = make_detachment(12, 5, DETACHMENT_DETACHED);

    detachment->members[0].group = 6;
    start_with(detachment);
    manager_recover(manager);
    ck_assert_uint_eq(find_record(12)->members[0].group, 5);
}
END_TEST

/* ---- Moved by somebody else */

/* It is his now: the lease ends, and it is not moved back. */
START_TEST(test_moved) {
    start_with(make_detachment(12, 5, DETACHMENT_DETACHED));
    add_lease(5, POLICY_LIFETIME_PERSISTENT);
    move_by_hand(5, "e1000e");
    run_until_heard("ended 5 device-gone; ");
    ck_assert_ptr_null(find_record(12));
    ck_assert(!record_exists(12));
    ck_assert_ptr_null(device_of(5)->detached);
    assert_driver(5, "e1000e");
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

/* Without a driver for a moment, or on another VFIO driver, it is still ours. */
START_TEST(test_not_moved) {
    static const char *const drivers[] = {"", "mlx5_vfio_pci"};

    start_with(make_detachment(12, 5, DETACHMENT_DETACHED));
    make_driver("mlx5_vfio_pci");
    move_by_hand(5, drivers[_i]);
    ck_assert_ptr_nonnull(find_record(12));
    ck_assert_ptr_nonnull(device_of(5)->detached);
    move_by_hand(5, "vfio-pci");
    ck_assert_ptr_nonnull(find_record(12));
}
END_TEST

/* ---- Cut short by the end of a daemon */

/* Each point at which a worker may have been killed: driver, override. */
static const struct {
    const char *driver, *override;
} points[] = {
    {"e1000e", "(null)\n"}, {"e1000e", "vfio-pci\n"}, {"", "vfio-pci\n"},
    {"vfio-pci", "vfio-pci\n"}, {"", "(null)\n"}, {"", "dmaownd-held\n"},
};

static void put_at_point(int point) {
    kernel_set_driver(name_of(5), points[point].driver);
    put_file(below_device(5, "driver_override"), points[point].override);
}

static void assert_is_back(uint64_t id) {
    assert_driver(5, "e1000e");
    assert_override(5, "");
    ck_assert_ptr_null(find_record(id));
    ck_assert(!record_exists(id));
    ck_assert_ptr_null(manager->transactions);
    ck_assert_uint_eq(device_of(5)->group->switching, 0);
}

START_TEST(test_undone) {
    put_at_point(_i);
    start_with(make_detachment(12, 5, DETACHMENT_DETACHING));
    manager_recover(manager);
    ck_assert(record_exists(12));
    ck_assert_uint_eq(device_of(5)->group->switching, 1);
    run_until_heard("switched 12 SwitchFailed; ");
    ck_assert_ptr_nonnull(strstr(switched_text, "cut short by the end of the daemon"));
    ck_assert_ptr_nonnull(strstr(switched_text, "Everything was put back."));
    assert_is_back(12);
}
END_TEST

START_TEST(test_undoing_is_finished) {
    put_at_point(_i);
    start_with(make_detachment(12, 5, DETACHMENT_UNDOING));
    manager_recover(manager);
    run_until_heard("switched 12 SwitchFailed; ");
    assert_is_back(12);
}
END_TEST

START_TEST(test_reattaching_is_finished) {
    put_at_point(_i);
    start_with(make_detachment(12, 5, DETACHMENT_REATTACHING));
    manager_recover(manager);
    run_until_heard("switched 12 well; ");
    assert_is_back(12);
}
END_TEST

/* Nobody was told that he has it: it is as if he had not asked. */
START_TEST(test_pending) {
    struct detachment *detachment = make_detachment(12, 5, DETACHMENT_DETACHED);

    detachment->pending = true;
    start_with(detachment);
    manager_recover(manager);
    run_until_heard("switched 12 SwitchFailed; ");
    assert_is_back(12);
}
END_TEST

/* A lease that is on disk was granted, to whomever: nothing goes back under it. */
START_TEST(test_pending_and_leased) {
    struct detachment *detachment = make_detachment(12, 5, DETACHMENT_DETACHED);

    detachment->pending = true;
    if (_i)
        detachment->uid = 900;
    put_on(5, "vfio-pci", "e1000e");
    save_lease(make_lease(5, POLICY_LIFETIME_PERSISTENT));
    start_with(detachment);
    manager_recover(manager);
    ck_assert_ptr_nonnull(device_of(5)->group->lease);
    ck_assert_ptr_null(manager->transactions);
    assert_driver(5, "vfio-pci");
    ck_assert(record_exists(12) && !record_says(12, "\"pending\":true"));
}
END_TEST

/* A device that had no driver: an undone switch leaves it so, a finished Reattach asks the kernel. */
START_TEST(test_free_before) {
    struct detachment *detachment =
        make_detachment(12, 5, _i ? DETACHMENT_REATTACHING : DETACHMENT_DETACHING);

    detachment->members[0].driver[0] = 0;
    start_with(detachment);
    manager_recover(manager);
    run_until_heard("switched 12 ");
    assert_driver(5, _i ? "e1000e" : "");
    assert_override(5, "");
    ck_assert(!record_exists(12));
}
END_TEST

/* The first choice of driver refused, and the daemon was killed before it could write down the second. */
START_TEST(test_undone_from_another_candidate) {
    struct detachment *detachment = make_detachment(12, 5, DETACHMENT_DETACHING);

    free(detachment->members[0].target);
    detachment->members[0].target = strdup("mlx5-vfio-pci");
    start_with(detachment);
    manager_recover(manager);
    run_until_heard("switched 12 ");
    assert_is_back(12);
}
END_TEST

/* What a user left running is reset before a host driver gets it, also by the next daemon. */
START_TEST(test_soiled) {
    char boot_id[37], text[128];

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    snprintf(text, sizeof(text), "%s\n1000 0 %s\n", boot_id, device_path(5));
    if (_i == 0)
        put_file(below_device(5, "reset"), "");
    leave_record(make_detachment(12, 5, DETACHMENT_REATTACHING));
    tree_file(&tree, "state/soiled", text);
    start_switch();
    manager_recover(manager);
    run_until_heard("switched 12 ");
    if (_i == 0) {
        ck_assert_ptr_nonnull(strstr(kernel_written(&tree), "reset 0000:00:05.0 1\n"));
        assert_is_back(12);
        ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
        return;
    }
    ck_assert_str_eq(heard, "switched 12 NotViable; ");
    assert_driver(5, "");
    assert_override(5, PIN_DRIVER);
    ck_assert_ptr_nonnull(find_record(12));
}
END_TEST

/* ---- Two records of one device */

START_TEST(test_in_two_records) {
    leave_record(make_detachment(12, 5, DETACHMENT_DETACHED));
    start_with(make_detachment(13, 5, _i ? DETACHMENT_REATTACHING : DETACHMENT_DETACHED));
    ck_assert_uint_eq((find_record(12) ? find_record(12)->n_members : 0) +
                          (find_record(13) ? find_record(13)->n_members : 0),
                      1);
    ck_assert_ptr_nonnull(device_of(5)->detached);
    manager_recover(manager);
    ck_assert_uint_eq(HASH_CNT(by_id, manager->detachments), 1);
    if (_i)
        run_until_heard("switched 13 well; ");
    ck_assert_int_eq(record_exists(12) + record_exists(13), _i ? 0 : 1);
}
END_TEST

/* A file that can not be read does not stop the daemon; its device stays where it is. */
START_TEST(test_hostile_file) {
    tree_file(&tree, "state/switch-12.json", "{\"boot\":");
    start_with(make_detachment(13, 6, DETACHMENT_DETACHED));
    manager_recover(manager);
    ck_assert_ptr_null(device_of(5)->detached);
    ck_assert_ptr_nonnull(device_of(6)->detached);
    ck_assert_int_eq(faccessat(tree.fd, "state/switch-12.json.bad", F_OK, 0), 0);
    assert_driver(5, "vfio-pci");
}
END_TEST

/* A device or a driver that no kernel has. */
START_TEST(test_strange_names) {
    struct detachment *detachment = make_detachment(12, 5, DETACHMENT_UNDOING);
    struct detachment_member *member = &detachment->members[0];

    free(member->driver);
    member->driver = strdup("../../../../etc");
    free(member->bus);
    member->bus = strdup("..");
    start_with(detachment);
    manager_recover(manager);
    run_until_heard("switched 12 SwitchFailed; ");
    ck_assert_ptr_nonnull(find_record(12)); /* for somebody to look into */
    ck_assert_int_eq(find_record(12)->state, DETACHMENT_DETACHED);
}
END_TEST

static void add_recovery(TCase *all) {
    tcase_add_loop_test(all, test_undone, 0, ELEMENTS_OF(points));
    tcase_add_loop_test(all, test_undoing_is_finished, 0, ELEMENTS_OF(points));
    tcase_add_loop_test(all, test_reattaching_is_finished, 0, ELEMENTS_OF(points));
    tcase_add_test(all, test_pending);
    tcase_add_loop_test(all, test_pending_and_leased, 0, 2);
    tcase_add_loop_test(all, test_free_before, 0, 2);
    tcase_add_test(all, test_undone_from_another_candidate);
    tcase_add_loop_test(all, test_soiled, 0, 2);
    tcase_add_loop_test(all, test_in_two_records, 0, 2);
    tcase_add_test(all, test_hostile_file);
    tcase_add_test(all, test_strange_names);
}

int main(void) {
    Suite *suite = suite_create("detachments");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_loaded);
    tcase_add_test(all, test_policy_driver);
    tcase_add_test(all, test_last_member_gone);
    tcase_add_test(all, test_first_member_gone);
    tcase_add_loop_test(all, test_gone_before_restart, 0, 2);
    tcase_add_test(all, test_group_has_another_number);
    tcase_add_test(all, test_moved);
    tcase_add_loop_test(all, test_not_moved, 0, 2);
    add_recovery(all);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
