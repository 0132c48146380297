/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user may have left running: noted when the lease ends, over a restart, and until a reset. */
#include "switch-fixture.h"

static struct lease *lease;
static int cleaned; /* what manager_clean told; 1 before it did */

static void set_up(void) {
    set_up_switch();
    make_group(5);
    make_group(6);
    put_on(5, "vfio-pci", "e1000e");
    put_on(6, "vfio-pci", "e1000e");
    put_file(below_device(5, "reset_method"), "flr bus\n");
    put_file(below_device(5, "reset"), "");
    start_switch();
    lease = add_lease(5, POLICY_LIFETIME_PERSISTENT);
    cleaned = 1;
}

static void tear_down(void) {
    stop_manager();
    tear_down_switch();
}

static void end_lease(void) {
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    run_until_heard("ended 5 released; ");
}

static bool is_saved(const char *line) {
    _cleanup_(freep) char *text = NULL;

    return file_read(tree.fd, "state/soiled", 65536, &text, NULL) >= 0 && strstr(text, line);
}

static void restart(void) {
    stop_manager();
    ck_assert_int_eq(start_manager(), 0);
}

/* ---- Who is taken to have had it open */

START_TEST(test_soiled_at_end) {
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
    end_lease();
    ck_assert_uint_eq(device_of(5)->soiled_by, 1000);
    ck_assert(!device_of(5)->reset_failed);
    ck_assert_uint_eq(device_of(6)->soiled_by, UID_NONE);
    ck_assert(is_saved("\n1000 0 devices/pci0000:00/0000:00:05.0\n"));
}
END_TEST

/* By path somebody has to be seen with the node open; a cdev's opens are seen by nobody. */
START_TEST(test_opened) {
    static const struct {
        unsigned mode;
        enum lease_interface interface;
        bool opened, soils;
    } cases[] = {
        {POLICY_MODE_FD, LEASE_INTERFACE_GROUP, false, true},
        {POLICY_MODE_PATH, LEASE_INTERFACE_GROUP, false, false},
        {POLICY_MODE_PATH, LEASE_INTERFACE_GROUP, true, true},
        {POLICY_MODE_PATH, LEASE_INTERFACE_CDEV, false, true},
    };

    lease->mode = cases[_i].mode;
    lease->interface = cases[_i].interface;
    lease->groups[0].opened = cases[_i].opened;
    manager_note_soiled(manager, lease);
    ck_assert_int_eq(device_of(5)->soiled_by != UID_NONE, cases[_i].soils);
    ck_assert_int_eq(is_saved("1000 0 "), cases[_i].soils);
}
END_TEST

/* Root's own dirt is nobody's business. */
START_TEST(test_root) {
    lease->holder = 0;
    end_lease();
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
    ck_assert(!is_saved("devices"));
}
END_TEST

/* Only what was on a VFIO driver could be opened; one that was taken from it by a revocation could. */
START_TEST(test_drivers) {
    static const struct {
        const char *driver;
        bool lent, unbind, soils;
    } cases[] = {
        {"e1000e", false, false, false}, {"", false, false, false}, {"", false, true, true},
        {"", true, false, true},         {"e1000e", true, false, true}, {"vfio-pci", false, false, true},
    };

    kernel_set_driver(name_of(5), cases[_i].driver);
    ck_assert_int_eq(manager_refresh_group(manager, 5), 0);
    device_of(5)->lent = cases[_i].lent;
    lease->unbind = cases[_i].unbind;
    manager_note_soiled(manager, lease);
    ck_assert_int_eq(device_of(5)->soiled_by != UID_NONE, cases[_i].soils);
    ck_assert(!device_of(5)->lent);
}
END_TEST

START_TEST(test_lost_group) {
    lease->groups[0].lost = true;
    manager_note_soiled(manager, lease);
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
    lease->groups[0].lost = false;
}
END_TEST

/* The last one counts, and his reset is still to be tried. */
START_TEST(test_another_user) {
    device_of(5)->soiled_by = 900;
    device_of(5)->reset_failed = true;
    manager_note_soiled(manager, lease);
    ck_assert_uint_eq(device_of(5)->soiled_by, 1000);
    ck_assert(!device_of(5)->reset_failed);
    ck_assert(is_saved("1000 0 devices"));
}
END_TEST

/* ---- Over a restart */

START_TEST(test_restart) {
    end_lease();
    device_of(5)->reset_failed = _i;
    manager_note_clean(manager, device_path(6)); /* was clean, and writes nothing */
    ck_assert(is_saved("1000 0 devices"));
    restart();
    ck_assert_uint_eq(device_of(5)->soiled_by, 1000);
    ck_assert(!device_of(5)->reset_failed);
    manager_note_clean(manager, device_path(5));
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
    ck_assert(!is_saved("devices"));
    restart();
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
}
END_TEST

/* In the file's second line and later stands what a daemon wrote; what it did not is passed over. */
START_TEST(test_hostile_file) {
    static const char *const lines[] = {
        "", "\n\n", "x 0 PATH", "-1 0 PATH", "4294967296 0 PATH", "1000", "1000 ", "1000 0", "1000 0 ",
        "1000 0 devices/no/such", "1000 0  PATH", " 1000 0 PATH",
    };
    char boot_id[37], text[256];
    const char *line = lines[_i];
    const char *place = strstr(line, "PATH");

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    snprintf(text, sizeof(text), "%s\n%.*s%s\n1000 1 %s\n", boot_id,
             (int)(place ? place - line : (ssize_t)strlen(line)), line,
             place ? "devices/pci0000:00/0000:00:06.0" : "", device_path(5));
    tree_file(&tree, "state/soiled", text);
    restart();
    ck_assert_uint_eq(device_of(6)->soiled_by, UID_NONE);
    ck_assert_uint_eq(device_of(5)->soiled_by, 1000);
    ck_assert(device_of(5)->reset_failed);
}
END_TEST

START_TEST(test_file_of_another_boot) {
    tree_file(&tree, "state/soiled",
              "11111111-2222-3333-4444-555555555555\n1000 0 devices/pci0000:00/0000:00:05.0\n");
    restart();
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
}
END_TEST

/* ---- Cleaning */

static void on_cleaned(int result, void *userdata) {
    ck_assert_ptr_eq(userdata, &cleaned);
    cleaned = result;
}

static struct claim claim_by(uid_t uid, struct group **group) {
    *group = model_group(&manager->model, 5);
    return (struct claim){.caller = {.uid = uid}, .holder = {.uid = uid}, .groups = group, .n_groups = 1,
                          .pidfd = -1};
}

static void clean_for(uid_t uid) {
    struct manager_cleaning *cleaning;
    struct group *group;
    struct claim claim = claim_by(uid, &group);

    ck_assert(manager_needs_cleaning(&claim));
    ck_assert_int_eq(manager_clean(manager, &claim, on_cleaned, &cleaned, &cleaning), 0);
    ck_assert_uint_eq(group->switching, 1); /* nobody else's meanwhile */
    while (cleaned == 1)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_int_eq(cleaned, 0);
    ck_assert_uint_eq(group->switching, 0);
}

START_TEST(test_clean) {
    struct group *group;

    end_lease();
    struct claim own = claim_by(1000, &group);
    ck_assert(!manager_needs_cleaning(&own));
    clean_for(900);
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
    ck_assert(!is_saved("devices"));
    ck_assert_ptr_nonnull(strstr(kernel_written(&tree), "reset 0000:00:05.0 1\n"));
}
END_TEST

/* Known from now on, also to the next daemon, and not tried again. */
START_TEST(test_clean_fails) {
    struct group *group;

    end_lease();
    kernel_fail(&tree, "reset", ENOTTY);
    clean_for(900);
    ck_assert_uint_eq(device_of(5)->soiled_by, 1000);
    ck_assert(device_of(5)->reset_failed);
    ck_assert(is_saved("1000 1 devices"));
    struct claim claim = claim_by(900, &group);
    ck_assert(!manager_needs_cleaning(&claim));
    restart();
    ck_assert(device_of(5)->reset_failed);
}
END_TEST

/* What has no reset is not written to. */
START_TEST(test_nothing_to_clean_with) {
    struct group *group = model_group(&manager->model, 6);
    struct claim claim = claim_by(900, &group);

    group = model_group(&manager->model, 6);
    device_of(6)->soiled_by = 1000;
    ck_assert(!manager_needs_cleaning(&claim));
}
END_TEST

/* The asker goes in the middle of it: the reset goes on, and the group is nobody's before it has ended. */
START_TEST(test_abandoned) {
    struct manager_cleaning *cleaning;
    struct group *group;

    end_lease();
    tree_unlink(&tree, below_device(5, "reset"));
    ck_assert_int_eq(mkfifoat(tree.fd, below_device(5, "reset"), 0600), 0);
    struct claim claim = claim_by(900, &group);
    ck_assert_int_eq(manager_clean(manager, &claim, on_cleaned, &cleaned, &cleaning), 0);
    manager_abandon_cleaning(cleaning);
    ck_assert_uint_eq(group->switching, 1);
    ck_assert_uint_eq(device_of(5)->soiled_by, 1000);
    int fd = openat(tree.fd, below_device(5, "reset"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    while (group->switching)
        ev_run(loop, EVRUN_ONCE);
    close(fd);
    ck_assert_int_eq(cleaned, 1); /* nobody was told */
    ck_assert_uint_eq(device_of(5)->soiled_by, UID_NONE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hygiene");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_soiled_at_end);
    tcase_add_loop_test(all, test_opened, 0, 4);
    tcase_add_test(all, test_root);
    tcase_add_loop_test(all, test_drivers, 0, 6);
    tcase_add_test(all, test_lost_group);
    tcase_add_test(all, test_another_user);
    tcase_add_loop_test(all, test_restart, 0, 2);
    tcase_add_loop_test(all, test_hostile_file, 0, 12);
    tcase_add_test(all, test_file_of_another_boot);
    tcase_add_test(all, test_clean);
    tcase_add_test(all, test_clean_fails);
    tcase_add_test(all, test_nothing_to_clean_with);
    tcase_add_test(all, test_abandoned);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
