/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reattach: whole groups back to their host drivers, and who has to wait. */
#include "switch-scene.h"

START_TEST(test_reattach) {
    detach_one();
    ck_assert_int_eq(manager_judge_reattach(manager, &claim, &refusal), OUTCOME_OK);
    ck_assert_int_eq(manager_reattach(manager, only_record(), WAY_BACK_PROBED, false), 0);
    ck_assert(record_says(1, "\"state\":\"reattaching\""));
    run_until_heard(WELL);
    assert_driver(5, "e1000e");
    assert_override(5, "");
    ck_assert_str_eq(kernel_written(&tree), "unbind vfio-pci 0000:00:05.0\n"
                                            "driver_override 0000:00:05.0 \n"
                                            "drivers_probe pci 0000:00:05.0\n");
    assert_nothing_left();
}
END_TEST

START_TEST(test_reattach_resets) {
    put_file(below_device(5, "reset"), "");
    detach_one();
    device_of(5)->soiled_by = 1000;
    reattach(WAY_BACK_PROBED, false, WELL);
    ck_assert_ptr_nonnull(string_after(kernel_written(&tree), "reset 0000:00:05.0 1\nunbind vfio-pci "));
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
    assert_nothing_left();
}
END_TEST

/* What can not be reset is no host driver's; and then it is, if that was said. */
START_TEST(test_reattach_unreset) {
    detach_one();
    device_of(5)->soiled_by = 1000;
    reattach(WAY_BACK_PROBED, false, "switched 1 NotViable; ");
    ck_assert_ptr_nonnull(strstr(switched_text, "uid 1000"));
    ck_assert_ptr_nonnull(strstr(switched_text, "reattach_unreset"));
    assert_driver(5, "");
    assert_override(5, PIN_DRIVER);
    ck_assert(device_of(5)->reset_failed);
    ck_assert(record_says(1, "\"state\":\"detached\""));
    kernel_probe("0000:00:05.0");
    assert_driver(5, "");
    reattach(WAY_BACK_PROBED, true, WELL);
    assert_driver(5, "e1000e");
    assert_override(5, "");
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
    assert_nothing_left();
}
END_TEST

/* It was unplugged meanwhile, unseen: nothing is left to be done. */
START_TEST(test_reattach_what_is_gone) {
    detach_one();
    tree_unlink(&tree, "kernel/iommu_groups/5/devices/0000:00:05.0");
    ck_assert_int_eq(renameat(tree.fd, device_path(5), tree.fd, "gone"), 0);
    ck_assert_int_eq(manager_reattach(manager, only_record(), WAY_BACK_PROBED, false), 0);
    run_until_heard("switched 1");
    ck_assert_str_eq(heard, WELL);
    ck_assert_ptr_null(manager->detachments);
    ck_assert(!record_exists(1));
}
END_TEST

/* Bound to another VFIO driver by hand: it goes back all the same. */
START_TEST(test_reattach_from_another_vfio_driver) {
    make_driver("mlx5_vfio_pci");
    detach_one();
    kernel_set_driver("0000:00:05.0", "mlx5_vfio_pci");
    ck_assert_int_eq(manager_refresh_group(manager, 5), 0);
    reattach(WAY_BACK_PROBED, false, WELL);
    assert_driver(5, "e1000e");
}
END_TEST

START_TEST(test_judge_reattach) {
    static const enum outcome outcomes[] = {OUTCOME_BUSY, OUTCOME_BUSY, OUTCOME_ALREADY_OWNED,
                                            OUTCOME_FOREIGN_OWNER};
    struct lease *lease;

    detach_one();
    if (_i == 0)
        groups[0]->switching = 1;
    if (_i == 1 || _i == 2)
        lease = add_lease(5, POLICY_LIFETIME_PERSISTENT);
    if (_i == 1)
        lease->state = LEASE_DRAINING;
    if (_i == 3)
        model_set_open(&manager->model, groups[0], true);
    ck_assert_int_eq(manager_judge_reattach(manager, &claim, &refusal), outcomes[_i]);
    ck_assert_ptr_nonnull(strstr(refusal.text, "roup 5"));
}
END_TEST

/* Never detached: on VFIO by somebody else it has nowhere to go back to; with the host all is well. */
START_TEST(test_judge_reattach_of_others) {
    ask_for(_i ? 7 : 5);
    ck_assert_int_eq(manager_judge_reattach(manager, &claim, &refusal),
                     _i ? OUTCOME_NO_SUCH_TARGET : OUTCOME_OK);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("switch-back");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_reattach);
    tcase_add_test(all, test_reattach_resets);
    tcase_add_test(all, test_reattach_unreset);
    tcase_add_test(all, test_reattach_what_is_gone);
    tcase_add_test(all, test_reattach_from_another_vfio_driver);
    tcase_add_loop_test(all, test_judge_reattach, 0, 4);
    tcase_add_loop_test(all, test_judge_reattach_of_others, 0, 2);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
