/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks that may block, and what the manager does by itself after one: pins what joins a group that
 * userspace has, and detaches what policy keeps for userspace. */
#include "switch-fixture.h"

#include "policy-test.h"

/* Groups 5 and 6 have one device each; 0000:00:09.0 is to join group 5. */
#define JOINER 9

static int surveyed; /* what manager_survey told; 1 before it did */

static void set_up(void) {
    set_up_switch();
    make_group(5);
    make_group(6);
    put_on(5, "vfio-pci", "e1000e");
    put_on(6, "e1000e", "e1000e");
    surveyed = 1;
}

static void tear_down(void) {
    stop_manager();
    tear_down_switch();
}

static void use_policy(const char *rules) {
    _cleanup_(freep) char *text = string_format("{\"version\": 1, \"rules\": [%s]}", rules);

    policy_free(manager->policy);
    manager->policy = test_policy(&test_strict, text);
}

/* ---- A look */

static void on_surveyed(int result, void *userdata) {
    ck_assert_ptr_eq(userdata, &surveyed);
    surveyed = result;
}

static const struct survey *look(uint32_t id, bool with_drivers) {
    static const struct policy_subject root = {0};
    struct device *device = device_of(id);
    struct manager_survey *survey;

    surveyed = 1;
    ck_assert_int_eq(manager_survey(manager, &device, 1, with_drivers ? &root : NULL, on_surveyed,
                                    &surveyed, &survey),
                     0);
    while (surveyed == 1)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_int_eq(surveyed, 0);
    return device->survey;
}

START_TEST(test_look) {
    put_file(below_device(6, "sriov_numvfs"), "4\n");
    put_file(below_device(6, "sriov_drivers_autoprobe"), "1\n");
    put_file(below_device(6, "driver_override"), "igb\n");
    start_switch();
    const struct survey *survey = look(6, true);
    ck_assert(survey->asked_for_drivers);
    ck_assert_str_eq(survey->override, "igb");
    ck_assert_int_eq(survey->vfs, 4);
    ck_assert_int_eq(survey->autoprobe, 1);
    ck_assert_uint_ge(survey->n_candidates, 1);
    ck_assert_str_eq(survey->candidates[survey->n_candidates - 1].driver, "vfio-pci");
    ck_assert(survey->candidates[survey->n_candidates - 1].loaded);
    ck_assert_int_eq(survey->problem, REASON_NONE);
    /* The next one does not ask for drivers, and keeps what is known of them. */
    put_file(below_device(6, "driver_override"), "other\n");
    survey = look(6, false);
    ck_assert_str_eq(survey->override, "igb");
    ck_assert_uint_ge(survey->n_candidates, 1);
}
END_TEST

START_TEST(test_look_at_little) {
    tree_unlink(&tree, below_device(6, "driver_override"));
    start_switch();
    const struct survey *survey = look(6, true);
    ck_assert_ptr_null(survey->override); /* a bus without */
    ck_assert_int_eq(survey->vfs, -1);
    ck_assert_int_eq(survey->autoprobe, -1);
}
END_TEST

/* The rule's own driver is the first choice. */
START_TEST(test_look_by_rule) {
    make_driver("my-vfio-pci");
    start_switch();
    use_policy("{\"name\": \"r\", \"effect\": \"allow\", \"match\": {}, \"detach\": true,"
               " \"vfio_driver\": \"my-vfio-pci\"}");
    ck_assert_str_eq(look(6, true)->candidates[0].driver, "my-vfio-pci");
}
END_TEST

/* The asker is gone before the answer comes. */
START_TEST(test_look_given_up) {
    struct manager_survey *survey;

    start_switch();
    struct device *device = device_of(6);
    ck_assert_int_eq(manager_survey(manager, &device, 1, NULL, on_surveyed, &surveyed, &survey), 0);
    manager_survey_free(survey);
    for (int i = 0; i < 50; i++) {
        ev_run(loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    ck_assert_int_eq(surveyed, 1);
    ck_assert_ptr_null(device->survey);
}
END_TEST

/* ---- The guard */

static void put_joiner(const char *driver) {
    _cleanup_(freep) char *member =
        string_format("kernel/iommu_groups/5/devices/%s", name_of(JOINER));
    _cleanup_(freep) char *target = string_format("../../../../%s", device_path(JOINER));

    kernel_plays = false;
    put_on(JOINER, driver, "e1000e");
    tree_link(&tree, below_device(JOINER, "subsystem"), "../../../bus/pci");
    tree_link(&tree, below_device(JOINER, "iommu_group"), "../../../kernel/iommu_groups/5");
    tree_link(&tree, member, target);
    kernel_plays = true;
}

static void join(const char *driver) {
    put_joiner(driver);
    ck_assert_int_eq(manager_scan(manager), 0);
    ck_assert_ptr_nonnull(device_of(JOINER));
}

/* Lets the looks and the switches that are under way come to their end. */
static void settle(void) {
    for (int i = 0; manager->guards || manager->reservations || manager->transactions; i++) {
        ck_assert_msg(i < 1000, "it never ends: %.200s", heard);
        ev_run(loop, EVRUN_ONCE);
    }
}

static void assert_pinned(void) {
    ck_assert_str_eq(heard + strlen(heard) - strlen(" well; "), " well; ");
    assert_driver(JOINER, "");
    assert_override(JOINER, PIN_DRIVER);
    ck_assert_ptr_nonnull(device_of(JOINER)->detached);
    ck_assert(manager_detachment_of(manager, device_of(JOINER))->guard);
    kernel_probe(name_of(JOINER));
    assert_driver(JOINER, "");
}

static void assert_left_alone(const char *driver) {
    assert_driver(JOINER, driver);
    assert_override(JOINER, "");
    ck_assert_ptr_null(device_of(JOINER)->detached);
    ck_assert_ptr_null(manager->detachments);
}

/* Beside a lease it is pinned, and with the lease the pin goes. */
START_TEST(test_joins_lease) {
    start_switch();
    struct lease *lease = add_lease(5, POLICY_LIFETIME_PERSISTENT);
    join("");
    settle();
    assert_pinned();
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    run_until_heard("ended 5 released; ");
    settle();
    assert_left_alone("e1000e"); /* the kernel was asked */
}
END_TEST

START_TEST(test_joins_nobody) {
    start_switch();
    join("");
    ck_assert_ptr_null(manager->guards);
    settle();
    assert_left_alone("");
}
END_TEST

/* Beside what was detached: until that goes back. */
START_TEST(test_joins_detached) {
    leave_record(make_detachment(12, 5, DETACHMENT_DETACHED));
    start_switch();
    join("");
    settle();
    assert_pinned();
}
END_TEST

/* The record of a pin was lost: the pin is nobody's override. */
START_TEST(test_joins_with_a_pin) {
    start_switch();
    struct lease *lease = add_lease(5, POLICY_LIFETIME_PERSISTENT);
    put_joiner("");
    put_file(below_device(JOINER, "driver_override"), PIN_DRIVER "\n");
    ck_assert_int_eq(manager_scan(manager), 0);
    settle();
    assert_pinned();
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    run_until_heard("ended 5 released; ");
    settle();
    assert_left_alone("e1000e");
}
END_TEST

/* A pin that the end of a daemon cut short is made anew, and at once. */
START_TEST(test_pin_after_crash) {
    struct detachment *pin = make_detachment(13, JOINER, DETACHMENT_DETACHING);

    pin->guard = true;
    pin->members[0].group = 5;
    pin->members[0].move = MOVE_PINNED;
    *pin->members[0].driver = *pin->members[0].target = 0;
    leave_record(make_detachment(12, 5, DETACHMENT_DETACHED));
    leave_record(pin);
    put_joiner("");
    kernel_plays = false;
    start_switch();
    manager_recover_detachments(manager);
    settle();
    ck_assert(!device_of(JOINER)->guard_failed);
    assert_pinned();
}
END_TEST

static unsigned times_heard(const char *text) {
    unsigned times = 0;

    for (const char *at = heard; (at = strstr(at, text)); at++)
        times++;
    return times;
}

/* What can not be pinned is tried with the tick again, not at once; the group is not taken up by it. */
START_TEST(test_pin_fails) {
    start_switch();
    add_lease(5, POLICY_LIFETIME_PERSISTENT);
    kernel_fail(&tree, "driver_override", EROFS);
    join("");
    settle();
    ck_assert_uint_eq(times_heard(" SwitchFailed; "), 1);
    assert_left_alone("");
    ck_assert_uint_eq(device_of(JOINER)->group->switching, 0);
    ck_assert_int_eq(manager_refresh_group(manager, 5), 0);
    manager_guard(manager, device_of(JOINER));
    settle();
    manager_guard_again(manager); /* fails again, once */
    settle();
    ck_assert_uint_eq(times_heard(" SwitchFailed; "), 2);
    kernel_fail(&tree, "driver_override", 0);
    manager_guard_again(manager);
    settle();
    assert_pinned();
}
END_TEST

/* The same of a pin that can not be taken away. */
START_TEST(test_pin_stays) {
    start_switch();
    struct lease *lease = add_lease(5, POLICY_LIFETIME_PERSISTENT);
    join("");
    settle();
    assert_pinned();
    kernel_fail(&tree, "driver_override", EROFS);
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    run_until_heard("ended 5 released; ");
    settle();
    ck_assert_uint_eq(times_heard(" SwitchFailed; "), 1);
    assert_override(JOINER, PIN_DRIVER);
    ck_assert_ptr_nonnull(device_of(JOINER)->detached);
    ck_assert_uint_eq(device_of(JOINER)->group->switching, 0);
    manager_guard_again(manager);
    settle();
    ck_assert_uint_eq(times_heard(" SwitchFailed; "), 2);
    kernel_fail(&tree, "driver_override", 0);
    manager_guard_again(manager);
    settle();
    assert_left_alone("e1000e");
}
END_TEST

#define ALLOW(terms) "{\"name\": \"nics\", \"effect\": \"allow\", \"match\": {}" terms "}"
#define ALICE ", \"subjects\": {\"users\": [\"alice\"]}"

/* A host driver was faster: it is taken away only where policy lets the group's user switch drivers. */
START_TEST(test_host_driver_was_faster) {
    static const struct {
        const char *rules;
        bool pins;
    } cases[] = {
        {"", false},
        {ALLOW(ALICE), false},
        {"{\"name\": \"r\", \"effect\": \"deny\", \"match\": {}}", false},
        {ALLOW(", \"detach\": true"), false}, /* root's alone */
        {ALLOW(", \"detach\": true" ALICE), true},
        {"{\"name\": \"other\", \"effect\": \"allow\", \"match\": {}, \"detach\": true" ALICE "}", false},
    };

    start_switch();
    use_policy(cases[_i].rules);
    add_lease(5, POLICY_LIFETIME_PERSISTENT);
    join("e1000e");
    ck_assert_ptr_nonnull(strstr(heard, "conflict 5; "));
    settle();
    if (cases[_i].pins)
        assert_pinned();
    else
        assert_left_alone("e1000e");
}
END_TEST

/* It was on its way when the device was pinned as one without a driver. The same rules hold. */
START_TEST(test_host_driver_was_on_its_way) {
    start_switch();
    use_policy(_i ? ALLOW(", \"detach\": true" ALICE) : ALLOW(ALICE));
    add_lease(5, POLICY_LIFETIME_PERSISTENT);
    join("");
    while (!manager->transactions)
        ev_run(loop, EVRUN_ONCE);
    kernel_plays = false;
    tree_link(&tree, below_device(JOINER, "driver"), "../../../bus/pci/drivers/e1000e");
    kernel_plays = true;
    settle();
    if (_i)
        assert_pinned();
    else
        assert_left_alone("e1000e");
}
END_TEST

/* ---- What policy keeps for userspace */

#define RESERVE "{\"name\": \"kept\", \"effect\": \"allow\", \"match\": {\"name\": \"*:06.0\"}," \
                " \"reserve\": true}"

START_TEST(test_reserve) {
    start_switch();
    use_policy(RESERVE);
    manager_reserve_anew(manager);
    settle();
    assert_driver(6, "vfio-pci");
    assert_driver(5, "vfio-pci");
    ck_assert_ptr_nonnull(strstr(heard, " well; "));
    ck_assert_uint_eq(HASH_CNT(by_id, manager->detachments), 1);
    ck_assert_uint_eq(manager->detachments->uid, 0);
    ck_assert_str_eq(manager->detachments->rule, "kept");
    ck_assert_str_eq(verdict_policy_view(device_of(6)).driver, "e1000e");
    heard[0] = 0;
    manager_reserve_anew(manager); /* it is so already */
    settle();
    ck_assert_str_eq(heard, "");
}
END_TEST

START_TEST(test_not_reserved) {
    static const char *const rules[] = {
        "",
        "{\"name\": \"r\", \"effect\": \"allow\", \"match\": {\"name\": \"*:06.0\"}, \"detach\": true}",
        ("{\"name\": \"no\", \"effect\": \"deny\", \"match\": {\"driver\": \"e1000e\"}}," RESERVE),
    };

    start_switch();
    use_policy(rules[_i]);
    manager_reserve_anew(manager);
    settle();
    assert_driver(6, "e1000e");
    ck_assert_str_eq(heard, "");
    ck_assert_ptr_null(manager->detachments);
}
END_TEST

/* It fails, and stays with the host; the next reload tries it again. */
START_TEST(test_reserve_fails) {
    start_switch();
    use_policy(RESERVE);
    kernel_fail(&tree, "bind-vfio-pci", EIO);
    manager_reserve_anew(manager);
    settle();
    ck_assert_ptr_nonnull(strstr(heard, " SwitchFailed; "));
    assert_driver(6, "e1000e");
    kernel_fail(&tree, "bind-vfio-pci", 0);
    manager_reserve(manager); /* not anew: it was looked at */
    settle();
    assert_driver(6, "e1000e");
    manager_reserve_anew(manager);
    settle();
    assert_driver(6, "vfio-pci");
}
END_TEST

static void leave_marker(const char *boot, const char *override, const char *path) {
    _cleanup_(freep) char *text = string_format("%s\n%s\n%s\n", boot, override, path);

    tree_file(&tree, "state/reserved-0000:00:05.0", text);
}

static bool marker_exists(void) {
    return faccessat(tree.fd, "state/reserved-0000:00:05.0", F_OK, 0) == 0;
}

/* What the boot has reserved is on record from then on, and can be given back. */
START_TEST(test_adopt) {
    char boot_id[37];

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    leave_marker(boot_id, "", device_path(5));
    start_switch();
    manager_adopt_reserved(manager);
    ck_assert(!marker_exists());
    ck_assert_uint_eq(HASH_CNT(by_id, manager->detachments), 1);
    ck_assert_ptr_nonnull(device_of(5)->detached);
    ck_assert(record_says(manager->detachments->id, "\"state\":\"detached\""));
    ck_assert_int_eq(manager_reattach(manager, manager->detachments, WAY_BACK_PROBED, false), 0);
    settle();
    assert_driver(5, "e1000e");
    ck_assert_ptr_null(manager->detachments);
}
END_TEST

START_TEST(test_adopt_nothing) {
    static const struct {
        const char *boot, *path;
    } markers[] = {
        {NULL, "devices/pci0000:00/0000:00:06.0"}, /* with the host again */
        {NULL, "devices/pci0000:00/0000:00:07.0"},
        {NULL, "../../etc/passwd"},
        {NULL, ""},
        {"11111111-2222-3333-4444-555555555555", "devices/pci0000:00/0000:00:05.0"},
        {"", "devices/pci0000:00/0000:00:05.0"},
    };
    char boot_id[37];

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    leave_marker(markers[_i].boot ?: boot_id, "", markers[_i].path);
    start_switch();
    manager_adopt_reserved(manager);
    ck_assert(!marker_exists());
    ck_assert_ptr_null(manager->detachments);
    manager_adopt_reserved(manager);
}
END_TEST

/* Detached by somebody since: that record knows more. */
START_TEST(test_adopt_what_is_on_record) {
    char boot_id[37];

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    leave_marker(boot_id, "", device_path(5));
    leave_record(make_detachment(12, 5, DETACHMENT_DETACHED));
    start_switch();
    manager_adopt_reserved(manager);
    ck_assert_uint_eq(HASH_CNT(by_id, manager->detachments), 1);
    ck_assert_uint_eq(manager->detachments->id, 12);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("guard");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_look);
    tcase_add_test(all, test_look_at_little);
    tcase_add_test(all, test_look_by_rule);
    tcase_add_test(all, test_look_given_up);
    tcase_add_test(all, test_joins_lease);
    tcase_add_test(all, test_joins_nobody);
    tcase_add_test(all, test_joins_detached);
    tcase_add_test(all, test_joins_with_a_pin);
    tcase_add_test(all, test_pin_after_crash);
    tcase_add_test(all, test_pin_fails);
    tcase_add_test(all, test_pin_stays);
    tcase_add_loop_test(all, test_host_driver_was_on_its_way, 0, 2);
    tcase_add_loop_test(all, test_host_driver_was_faster, 0, 6);
    tcase_add_test(all, test_reserve);
    tcase_add_loop_test(all, test_not_reserved, 0, 3);
    tcase_add_test(all, test_reserve_fails);
    tcase_add_test(all, test_adopt);
    tcase_add_loop_test(all, test_adopt_nothing, 0, 6);
    tcase_add_test(all, test_adopt_what_is_on_record);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
