/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole switches to userspace, and what fails on the way: in real workers, on a tree in which a kernel
 * moves drivers. */
#include "switch-scene.h"

/* ---- There */

START_TEST(test_detach) {
    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    uint64_t id = start_detach();
    ck_assert_uint_eq(groups[0]->switching, 1);
    ck_assert(record_says(id, "\"state\":\"detaching\""));
    run_until_heard(WELL);
    assert_driver(5, "vfio-pci");
    assert_override(5, "vfio-pci");
    ck_assert_uint_eq(groups[0]->switching, 0);
    ck_assert_int_eq(device_of(5)->role, ROLE_USER); /* read again */
    ck_assert_str_eq(device_of(5)->detached->driver, "e1000e");
    ck_assert_str_eq(verdict_policy_view(device_of(5)).driver, "e1000e");
    ck_assert(record_says(id, "\"state\":\"detached\"") && record_says(id, "\"uid\":1000"));
    ck_assert_str_eq(kernel_written(&tree), "driver_override 0000:00:05.0 vfio-pci\n"
                                            "unbind e1000e 0000:00:05.0\n"
                                            "drivers_probe pci 0000:00:05.0\n");
}
END_TEST

/* Nothing to be moved: nothing to be heard of. */
START_TEST(test_detach_what_is_away) {
    ask_for(7);
    ck_assert(!manager_needs_detach(&claim));
    ck_assert_uint_eq(start_detach(), 0);
    assert_nothing_left();
}
END_TEST

/* The free one beside it is only kept from drivers; named, it goes along. */
START_TEST(test_group) {
    struct device *named[] = {device_of(9)};

    look_at(8, "vfio-pci", "vfio_pci", true);
    look_at(9, "vfio-pci", "vfio_pci", true);
    ask_for(8);
    claim.named = named;
    claim.n_named = (size_t)_i;
    detach(WELL);
    assert_driver(8, "vfio-pci");
    assert_driver(9, _i ? "vfio-pci" : "");
    assert_override(9, _i ? "vfio-pci" : PIN_DRIVER);
    kernel_probe("0000:00:09.0");
    assert_driver(9, _i ? "vfio-pci" : "");
    reattach(WAY_BACK_PROBED, false, WELL);
    assert_driver(8, "e1000e");
    assert_driver(9, "e1000e"); /* the kernel was asked */
    assert_override(9, "");
    assert_nothing_left();
}
END_TEST

/* One that was pinned goes along later, and comes back as it was before it was pinned. */
START_TEST(test_pinned_and_named_later) {
    struct device *named[] = {device_of(9)};

    look_at(8, "vfio-pci", "vfio_pci", true);
    look_at(9, "vfio-pci", "vfio_pci", true);
    ask_for(8);
    detach(WELL);
    free(device_of(9)->survey->override);
    device_of(9)->survey->override = strdup(PIN_DRIVER); /* as a look would find it now */
    claim.named = named;
    claim.n_named = 1;
    uint64_t id = start_detach();
    run_until_heard("switched 2 well; ");
    assert_driver(9, "vfio-pci");
    heard[0] = 0;
    struct detachment *found[DETACHMENTS_MAX];
    ck_assert_uint_eq(manager_find_detachments(manager, &claim, found), 2);
    ck_assert(!record_says(1, "09.0") && record_says(id, "09.0"));
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(manager_reattach(manager, found[i], WAY_BACK_PROBED, false), 0);
    run_until_heard(WELL);
    run_until_heard("switched 2 well; ");
    assert_driver(8, "e1000e");
    assert_driver(9, "e1000e");
    assert_override(9, "");
    assert_nothing_left();
}
END_TEST

/* Each group can be given back alone. */
START_TEST(test_two_groups) {
    look_at(5, "vfio-pci", "vfio_pci", true);
    look_at(6, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    ask_for(6);
    detach(WELL);
    ck_assert_uint_eq(HASH_CNT(by_id, manager->detachments), 2);
    ck_assert(record_says(1, "05.0") && !record_says(1, "06.0"));
    ck_assert(record_says(2, "06.0") && !record_says(2, "05.0") && record_says(2, "\"rule\":\"nics\""));
    claim.n_groups = 1;
    struct detachment *found[DETACHMENTS_MAX];
    ck_assert_uint_eq(manager_find_detachments(manager, &claim, found), 1);
    ck_assert_int_eq(manager_reattach(manager, found[0], WAY_BACK_PROBED, false), 0);
    run_until_heard(WELL);
    assert_driver(5, "e1000e");
    assert_driver(6, "vfio-pci");
    ck_assert(!record_exists(1) && record_exists(2));
}
END_TEST

/* VFs go before their PF's driver, which would not let them, and come when it is back. */
START_TEST(test_virtual_functions) {
    put_file(below_device(5, "sriov_numvfs"), "4\n");
    put_file(below_device(5, "sriov_drivers_autoprobe"), "1\n");
    struct survey *survey = look_at(5, "vfio-pci", "vfio_pci", true);
    survey->vfs = 4;
    survey->autoprobe = 1;
    ask_for(5);
    detach(WELL);
    ck_assert_ptr_nonnull(string_after(kernel_written(&tree), "sriov_numvfs 0000:00:05.0 0\n"
                                                              "sriov_drivers_autoprobe 0000:00:05.0 0\n"
                                                              "driver_override "));
    ck_assert(record_says(1, "\"vfs\":4"));
    reattach(WAY_BACK_PROBED, false, WELL);
    const char *written = kernel_written(&tree);
    ck_assert_ptr_nonnull(string_after(written, "sriov_drivers_autoprobe 0000:00:05.0 1\n"));
    ck_assert_ptr_nonnull(strstr(written, "drivers_probe pci 0000:00:05.0\n"
                                          "sriov_numvfs 0000:00:05.0 4\n"));
    assert_nothing_left();
}
END_TEST

/* Until its caller has been answered it is undone by a restart; then it is his. */
START_TEST(test_pending) {
    uint64_t id = 0;

    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    ck_assert_int_eq(manager_detach(manager, &claim, "nics", true, &id, &refusal), OUTCOME_OK);
    run_until_heard(WELL);
    ck_assert(record_says(id, "\"pending\":true"));
    if (_i == 0)
        claim.caller.uid = 900; /* somebody else's call ends */
    manager_confirm_detach(manager, &claim);
    ck_assert_int_eq(record_says(id, "\"pending\":true"), _i == 0);
}
END_TEST

/* ---- It fails */

/* The record comes first: where it can not be written, nothing is touched. */
START_TEST(test_no_record) {
    uint64_t id = 0;

    tree_file(&tree, "state/switch-1.json/in-the-way", "");
    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    ck_assert_int_eq(manager_detach(manager, &claim, "nics", false, &id, &refusal),
                     OUTCOME_SWITCH_FAILED);
    ck_assert_ptr_nonnull(strstr(refusal.text, "nothing was moved"));
    ck_assert_str_eq(kernel_written(&tree), "");
    ck_assert_str_eq(heard, "");
    assert_nothing_left();
}
END_TEST

/* Every step that can fail: it is named, with the kernel's error, and all is as it was. */
START_TEST(test_step_fails) {
    static const struct {
        const char *what;
        int error;
        const char *says;
    } cases[] = {
        {"driver_override", EINVAL, "Step override of device 0000:00:05.0 to vfio-pci failed: "
                                    "Invalid argument (EINVAL)"},
        {"unbind", EBUSY, "Step unbind of device 0000:00:05.0 from e1000e failed: Device or resource "
                          "busy (EBUSY)"},
        {"bind-vfio-pci", EPERM, "Step bind of device 0000:00:05.0 to vfio-pci failed: Operation not "
                                 "permitted (EPERM)"},
    };

    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    kernel_fail(&tree, cases[_i].what, cases[_i].error);
    detach(FAILED);
    ck_assert_msg(strstr(switched_text, cases[_i].says), "%s", switched_text);
    ck_assert_ptr_nonnull(strstr(switched_text, "Everything was put back."));
    assert_driver(5, "e1000e");
    assert_override(5, "");
    assert_nothing_left();
}
END_TEST

/* All or nothing: the other groups go back too. */
START_TEST(test_one_of_two_fails) {
    make_driver("mlx5_vfio_pci");
    look_at(5, "vfio-pci", "vfio_pci", true);
    look_at(6, "mlx5_vfio_pci", "mlx5_vfio_pci", true);
    kernel_fail(&tree, "bind-mlx5_vfio_pci", ENODEV);
    ask_for(5);
    ask_for(6);
    detach(FAILED);
    for (uint32_t id = 5; id <= 6; id++) {
        assert_driver(id, "e1000e");
        assert_override(id, "");
    }
    assert_nothing_left();
}
END_TEST

/* A variant that refuses the device leaves it to the next. */
START_TEST(test_next_candidate) {
    make_driver("mlx5_vfio_pci");
    struct survey *survey = look_at(5, "mlx5-vfio-pci", "mlx5_vfio_pci", true);
    ck_assert_int_eq(survey_add_candidate(survey, "vfio-pci", "vfio_pci", true), 0);
    kernel_fail(&tree, "bind-mlx5_vfio_pci", ENODEV);
    ask_for(5);
    detach(WELL);
    assert_driver(5, "vfio-pci");
    ck_assert(record_says(1, "\"target\":\"vfio-pci\""));
    reattach(WAY_BACK_PROBED, false, WELL);
    assert_driver(5, "e1000e");
    assert_nothing_left();
}
END_TEST

START_TEST(test_nowhere_to_go) {
    survey_free(device_of(5)->survey);
    device_of(5)->survey = NULL; /* never looked at */
    ask_for(5);
    detach(FAILED);
    assert_driver(5, "e1000e");
    ck_assert_str_eq(kernel_written(&tree), "");
    assert_nothing_left();
}
END_TEST

/* The way back fails too: that is said, and the record stays for another try. */
START_TEST(test_nothing_works) {
    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    kernel_fail(&tree, "bind-vfio-pci", EIO);
    kernel_fail(&tree, "bind-e1000e", ENOMEM);
    detach(FAILED);
    ck_assert_ptr_nonnull(strstr(switched_text, "Step bind of device 0000:00:05.0 to vfio-pci failed"));
    ck_assert_ptr_nonnull(strstr(switched_text, "Not everything could be put back"));
    assert_driver(5, "");
    ck_assert(record_says(1, "\"state\":\"detached\""));
    ck_assert_uint_eq(groups[0]->switching, 0);
    kernel_fail(&tree, "bind-e1000e", 0);
    reattach(WAY_BACK_PROBED, false, WELL);
    assert_driver(5, "e1000e");
    assert_nothing_left();
}
END_TEST

/* A device joins the group meanwhile, and the host has it: nobody gets the group. */
START_TEST(test_somebody_joins) {
    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    (void)start_detach();
    kernel_plays = false;
    put_in_group(10, 5);
    put_on(10, "e1000e", "e1000e");
    kernel_plays = true;
    run_until_heard(FAILED);
    ck_assert_ptr_nonnull(strstr(switched_text, "Group 5 has a device on a kernel driver still"));
    assert_driver(5, "e1000e");
    assert_driver(10, "e1000e");
    assert_nothing_left();
}
END_TEST

/* Unplugged in the middle of it. */
START_TEST(test_device_goes) {
    look_at(5, "vfio-pci", "vfio_pci", false);
    ask_for(5);
    uint64_t id = start_detach();
    tree_unlink(&tree, "kernel/iommu_groups/5/devices/0000:00:05.0");
    ck_assert_int_eq(unlinkat(tree.fd, "kernel/iommu_groups/5/devices", AT_REMOVEDIR), 0);
    ck_assert_int_eq(unlinkat(tree.fd, "kernel/iommu_groups/5", AT_REMOVEDIR), 0);
    ck_assert_int_eq(renameat(tree.fd, device_path(5), tree.fd, "gone"), 0);
    ck_assert_int_eq(manager_scan(manager), 0);
    manager_module_loaded(manager, id, "vfio_pci", 0);
    run_until_heard(FAILED);
    ck_assert_ptr_null(manager->detachments);
    ck_assert_ptr_null(manager->transactions);
    ck_assert(!record_exists(1));
}
END_TEST

/* ---- Modules */

START_TEST(test_module) {
    look_at(5, "vfio-pci", "vfio_pci", false);
    look_at(6, "vfio-pci", "vfio_pci", false);
    ask_for(5);
    ask_for(6);
    uint64_t id = start_detach();
    ck_assert_str_eq(heard, "load vfio_pci; "); /* once */
    ck_assert_str_eq(kernel_written(&tree), "");
    manager_module_loaded(manager, id, "vfio_pci", 0);
    run_until_heard(WELL);
    assert_driver(5, "vfio-pci");
    assert_driver(6, "vfio-pci");
}
END_TEST

/* It can not be loaded, or not even be asked for: nothing is touched. */
START_TEST(test_module_fails) {
    uint64_t id = 0;

    load_error = _i ? -EOPNOTSUPP : 0;
    look_at(5, "vfio-pci", "vfio_pci", false);
    ask_for(5);
    ck_assert_int_eq(manager_detach(manager, &claim, "nics", false, &id, &refusal), OUTCOME_OK);
    if (!_i)
        manager_module_loaded(manager, id, "vfio_pci", -ENOEXEC);
    run_until_heard(FAILED);
    ck_assert_ptr_nonnull(strstr(switched_text, "Step load of module vfio_pci for device 0000:00:05.0"));
    ck_assert_str_eq(kernel_written(&tree), "");
    assert_driver(5, "e1000e");
    assert_nothing_left();
}
END_TEST

/* The variant's can not: then the general one does. */
START_TEST(test_module_of_variant_fails) {
    struct survey *survey = look_at(5, "mlx5-vfio-pci", "mlx5_vfio_pci", false);

    ck_assert_int_eq(survey_add_candidate(survey, "vfio-pci", "vfio_pci", true), 0);
    ask_for(5);
    uint64_t id = start_detach();
    manager_module_loaded(manager, id, "mlx5_vfio_pci", -ENOENT);
    run_until_heard(WELL);
    assert_driver(5, "vfio-pci");
}
END_TEST

/* Given up while it is waited for; what comes too late is no harm. */
START_TEST(test_module_is_not_waited_for) {
    look_at(5, "vfio-pci", "vfio_pci", false);
    ask_for(5);
    uint64_t id = start_detach();
    _cleanup_(freep) char *text = manager_undo_detach(manager, id, "was given up");
    ck_assert_str_eq(text, "The switch of drivers was given up.");
    run_until_heard(FAILED);
    manager_module_loaded(manager, id, "vfio_pci", 0);
    ck_assert_str_eq(kernel_written(&tree), "");
    assert_nothing_left();
}
END_TEST

/* ---- It hangs */

#define UNBIND "bus/pci/drivers/e1000e/unbind"

/* Until the fd that is returned is there. */
static void make_hanging(void) {
    tree_unlink(&tree, UNBIND);
    ck_assert_int_eq(mkfifoat(tree.fd, UNBIND, 0600), 0);
}

static void wait_for_step(uint64_t id, const char *step) {
    _cleanup_(freep) char *text = NULL;

    while (!text || !strstr(text, step)) {
        free(text);
        ev_run(loop, EVRUN_ONCE);
        text = manager_describe_switch(manager, id);
        ck_assert_ptr_nonnull(text);
    }
}

/* The step is named while it hangs, and undone when it comes to an end. */
START_TEST(test_hangs) {
    make_hanging();
    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    uint64_t id = start_detach();
    wait_for_step(id, "Step unbind of device 0000:00:05.0 from e1000e");
    _cleanup_(freep) char *text = manager_undo_detach(manager, id, "took too long");
    ck_assert_ptr_nonnull(strstr(text, "Step unbind of device 0000:00:05.0 from e1000e"));
    ck_assert_ptr_nonnull(strstr(text, "took too long"));
    ck_assert(record_says(id, "\"state\":\"undoing\""));
    ck_assert_uint_eq(groups[0]->switching, 1);
    ck_assert_int_eq(manager_reattach(manager, only_record(), WAY_BACK_PROBED, false), -EBUSY);
    int fd = openat(tree.fd, UNBIND, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    run_until_heard(FAILED);
    close(fd);
    assert_driver(5, "e1000e");
    assert_override(5, "");
    assert_nothing_left();
}
END_TEST

/* The daemon ends meanwhile; the next one undoes it. */
START_TEST(test_end_while_hanging) {
    make_hanging();
    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    wait_for_step(start_detach(), "unbind");
    stop_manager();
    tree_unlink(&tree, UNBIND);
    put_file(UNBIND, "");
    ck_assert_int_eq(start_manager(), 0);
    ck_assert(record_says(1, "\"state\":\"detaching\""));
    manager_recover(manager);
    run_until_heard(FAILED);
    assert_driver(5, "e1000e");
    assert_override(5, "");
    assert_nothing_left();
}
END_TEST

static void add_failures(TCase *all) {
    tcase_add_test(all, test_no_record);
    tcase_add_loop_test(all, test_step_fails, 0, 3);
    tcase_add_test(all, test_one_of_two_fails);
    tcase_add_test(all, test_next_candidate);
    tcase_add_test(all, test_nowhere_to_go);
    tcase_add_test(all, test_nothing_works);
    tcase_add_test(all, test_somebody_joins);
    tcase_add_test(all, test_device_goes);
    tcase_add_test(all, test_module);
    tcase_add_loop_test(all, test_module_fails, 0, 2);
    tcase_add_test(all, test_module_of_variant_fails);
    tcase_add_test(all, test_module_is_not_waited_for);
    tcase_add_test(all, test_hangs);
    tcase_add_test(all, test_end_while_hanging);
}

int main(void) {
    Suite *suite = suite_create("switch");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_detach);
    tcase_add_test(all, test_detach_what_is_away);
    tcase_add_loop_test(all, test_group, 0, 2);
    tcase_add_test(all, test_pinned_and_named_later);
    tcase_add_test(all, test_two_groups);
    tcase_add_test(all, test_virtual_functions);
    tcase_add_loop_test(all, test_pending, 0, 2);
    add_failures(all);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
