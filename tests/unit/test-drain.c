/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ends by time, by revocation and with a unit, and what a lease drains through: drivers that are
 * unbound, or bound again, by workers. */
#include "manager-fixture.h"

#include "kernel/openers.h"

#define NAME "0000:00:05.0"
#define UNBIND "bus/pci/drivers/vfio-pci/unbind"
#define BIND "bus/pci/drivers/vfio-pci/bind"

static struct lease *lease;
static char processes[128];

static void set_up(void) {
    set_up_outside();
    make_group(5);
    make_group(6);
    tree_folder(&tree, below_device(5, "vfio-dev/vfio5"));
    tree_folder(&tree, "proc"); /* nobody has anything open */
    snprintf(processes, sizeof(processes), "%s/proc", tree.path);
    openers_use_folder(processes);
    ck_assert_int_eq(start_manager(), 0);
    lease = add_lease(5, POLICY_LIFETIME_PERSISTENT);
}

static void tear_down(void) {
    stop_manager();
    tear_down_outside();
}

static void expect_written(const char *path, const char *text) {
    _cleanup_(freep) char *found = NULL;

    ck_assert_int_eq(file_read(tree.fd, path, 100, &found, NULL), 0);
    ck_assert_str_eq(found, text);
}

/* As the file says that a restart would read. */
static bool is_saved(const char *text) {
    _cleanup_(freep) char *found = NULL;

    ck_assert_int_eq(file_read(tree.fd, "state/lease-5.json", 65536, &found, NULL), 0);
    return strstr(found, text);
}

/* ---- Revocation */

START_TEST(test_revoke_at_once) {
    manager_revoke(manager, lease, 0, false);
    ck_assert_str_eq(heard, "revoking 5 0; ended 5 revoked; ");
    expect_written(UNBIND, "");
    ck_assert_int_eq(faccessat(tree.fd, "state/lease-5.json", F_OK, 0), -1);
}
END_TEST

START_TEST(test_revoke_in_time) {
    uint64_t before = now_boottime();

    manager_revoke(manager, lease, 3600, false);
    ck_assert_str_eq(heard, "revoking 5 3600; ");
    ck_assert_int_eq(lease->state, LEASE_ACTIVE);
    ck_assert_uint_ge(lease->revoke_at, before + 3600000000);
    ck_assert_uint_le(lease->revoke_at, now_boottime() + 3600000000);
    ck_assert(ev_is_active(&manager->deadline));
    ck_assert(is_saved("\"revoke_at\""));
    ck_assert(!is_saved("\"unbind\""));
}
END_TEST

/* What the holder was told stays true: it may be sooner, not later, and no unbinding is taken back. */
START_TEST(test_revoke_again) {
    unsigned seconds = 0;

    manager_revoke(manager, lease, 1000, true);
    uint64_t first = lease->revoke_at;
    manager_revoke(manager, lease, 3600, false);
    ck_assert_uint_eq(lease->revoke_at, first);
    ck_assert(lease->unbind && is_saved("\"unbind\":true"));
    ck_assert_int_eq(sscanf(heard, "revoking 5 1000; revoking 5 %u; ", &seconds), 1);
    ck_assert_uint_le(seconds, 1000); /* what is left by then */
    ck_assert_uint_gt(seconds, 500);
    manager_revoke(manager, lease, 500, false);
    ck_assert_uint_lt(lease->revoke_at, first);
    ck_assert_ptr_nonnull(strstr(heard, "revoking 5 500; "));
    ck_assert_int_eq(lease->state, LEASE_ACTIVE);
}
END_TEST

START_TEST(test_time_is_over) {
    uint64_t now = now_boottime();

    lease->revoke_at = _i ? now + 1 : now + 3600000000;
    lease->expires = _i ? now + 3600000000 : now + 1;
    manager_arm_deadline(manager);
    run_until_heard("ended 5");
    ck_assert_str_eq(heard, _i ? "ended 5 revoked; " : "ended 5 expired; ");
}
END_TEST

/* Released before: then nobody has to be asked by the kernel any more. */
START_TEST(test_released_before) {
    manager_revoke(manager, lease, 3600, true);
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    run_until_heard("ended 5 released; ");
    expect_written(UNBIND, "");
}
END_TEST

START_TEST(test_revoked_before_restart) {
    struct lease *other = make_lease(6, POLICY_LIFETIME_PERSISTENT);

    lease->revoke_at = 1;
    ck_assert_int_eq(state_save(manager->state, lease), 0);
    stop_manager();
    other->revoke_at = now_boottime() + 3600000000;
    save_lease(other);
    ck_assert_int_eq(start_manager(), 0);
    manager_recover(manager);
    ck_assert_str_eq(heard, "ended 5 revoked; ");
    ck_assert_ptr_nonnull(lease_book_find(&manager->leases, 6));
    ck_assert(ev_is_active(&manager->deadline));
}
END_TEST

/* ---- Units */

START_TEST(test_unit_stopped) {
    struct lease *other = add_lease(6, POLICY_LIFETIME_UNIT);

    lease->kept_unit = strdup("a.service"); /* it does not live with it */
    other->kept_unit = strdup("a.service");
    manager_unit_stopped(manager, "b.service");
    ck_assert_str_eq(heard, "");
    manager_unit_stopped(manager, "a.service");
    ck_assert_str_eq(heard, "ended 6 unit-stopped; ");
}
END_TEST

/* ---- Drivers */

/* An attribute whose write hangs, as the kernel's does: until the fd that is returned is there. */
static void make_hanging(const char *path) {
    tree_unlink(&tree, path);
    ck_assert_int_eq(mkfifoat(tree.fd, path, 0600), 0);
}

static int let_go(const char *path) {
    int fd = openat(tree.fd, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(test_unbind) {
    lease->interface = _i ? LEASE_INTERFACE_CDEV : LEASE_INTERFACE_GROUP;
    manager_revoke(manager, lease, 0, true);
    ck_assert_ptr_null(strstr(heard, "ended"));
    run_until_heard("ended 5 revoked; ");
    expect_written(UNBIND, NAME);
    expect_written(BIND, "");
}
END_TEST

/* An unbound cdev fd that somebody kept would let him in again, so it is made anew. */
START_TEST(test_cdev_is_made_anew) {
    lease->interface = LEASE_INTERFACE_CDEV;
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    ck_assert_str_eq(heard, "changed 5; ");
    run_until_heard("ended 5 released; ");
    expect_written(UNBIND, NAME);
    expect_written(BIND, NAME);
}
END_TEST

START_TEST(test_group_is_left_to_its_driver) {
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    ck_assert_str_eq(heard, "ended 5 released; ");
    expect_written(UNBIND, "");
}
END_TEST

static bool is_unbinding(void) {
    _cleanup_(freep) char *found = NULL;

    ck_assert_int_eq(file_read(tree.fd, UNBIND, 100, &found, NULL), 0);
    return *found;
}

/* Revoked with unbind while the driver is on its way back: what was asked for is done. */
START_TEST(test_unbind_while_rebinding) {
    char text[64] = "";

    make_hanging(BIND);
    lease->interface = LEASE_INTERFACE_CDEV;
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    while (!is_unbinding())
        ev_run(loop, EVRUN_ONCE);
    tree_file(&tree, UNBIND, "");
    manager_revoke(manager, lease, 0, true);
    ck_assert(is_saved("\"unbind\":true"));
    ck_assert(!is_unbinding());
    int fd = let_go(BIND);
    run_until_heard("ended 5 released; ");
    ck_assert_int_eq(read(fd, text, sizeof(text) - 1), strlen(NAME)); /* one after the other */
    ck_assert_str_eq(text, NAME);
    expect_written(UNBIND, NAME);
    close(fd);
}
END_TEST

/* It is held up by nobody: the daemon ends while a worker hangs. */
START_TEST(test_end_while_hanging) {
    make_hanging(UNBIND);
    manager_revoke(manager, lease, 0, true);
    ck_assert_str_eq(heard, "revoking 5 0; changed 5; ");
    ck_assert(is_saved("\"state\":\"draining\""));
    ck_assert(is_saved("\"end\":\"revoked\""));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("drain");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_revoke_at_once);
    tcase_add_test(all, test_revoke_in_time);
    tcase_add_test(all, test_revoke_again);
    tcase_add_loop_test(all, test_time_is_over, 0, 2);
    tcase_add_test(all, test_released_before);
    tcase_add_test(all, test_revoked_before_restart);
    tcase_add_test(all, test_unit_stopped);
    tcase_add_loop_test(all, test_unbind, 0, 2);
    tcase_add_test(all, test_cdev_is_made_anew);
    tcase_add_test(all, test_group_is_left_to_its_driver);
    tcase_add_test(all, test_unbind_while_rebinding);
    tcase_add_test(all, test_end_while_hanging);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
