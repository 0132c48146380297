/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What leases live with: pipes and processes, and both again after a restart. */
#include "manager-fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "kernel/process.h"

static struct lease_fds fds;

static pid_t start_process(void) {
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void end_process(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int open_process(pid_t pid) {
    int pidfd = -1;

    ck_assert_int_eq(process_open(pid, &pidfd), 0);
    return pidfd;
}

/* The loop would be woken. */
static bool is_awake(void) {
    struct pollfd item = {.fd = manager->keepers_ended, .events = POLLIN};

    return poll(&item, 1, 0) > 0;
}

static bool is_there(uint64_t id) {
    const struct lease *lease = lease_book_find(&manager->leases, id);

    return lease && lease->state == LEASE_ACTIVE;
}

static void set_up(void) {
    set_up_outside();
    make_group(5);
    make_group(6);
    listen_for_notifications();
    ck_assert_int_eq(start_manager(), 0);
}

static void tear_down(void) {
    lease_fds_done(&fds);
    stop_manager();
    tear_down_outside();
}

/* ---- Pipes */

static int keep_by_fd(uint64_t id) {
    ck_assert_int_eq(manager_keep(manager, add_lease(id, POLICY_LIFETIME_FD), -1, &fds), 0);
    ck_assert_str_eq(fds.list[fds.n - 1].key, "lease");
    return fds.list[fds.n - 1].fd;
}

START_TEST(test_pipe) {
    int fd = keep_by_fd(5);

    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
    ck_assert_str_eq(told(), "+lease-5 ");
    int copy = dup(fd);
    lease_fds_done(&fds);
    ck_assert(!is_awake());
    ck_assert(is_there(5));
    close(copy);
    ck_assert(is_awake());
    run_until_heard("ended 5 fd-closed; ");
    ck_assert(!is_awake());
    ck_assert_str_eq(told(), "-lease-5 ");
    ck_assert_ptr_null(lease_book_find(&manager->leases, 5));
    ck_assert_ptr_null(model_group(&manager->model, 5)->lease);
}
END_TEST

/* Whoever writes into it wakes nobody, and does not keep it beyond its end. */
START_TEST(test_pipe_is_not_read) {
    char page[4096] = "";
    int fd = keep_by_fd(5);

    for (int i = 0; i < 16; i++)
        ck_assert_int_eq(write(fd, page, sizeof(page)), sizeof(page));
    ck_assert(!is_awake());
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert(is_there(5));
    lease_fds_done(&fds);
    run_until_heard("ended 5 fd-closed; ");
}
END_TEST

START_TEST(test_copy) {
    struct lease_fds again = {0};

    keep_by_fd(5);
    const struct lease *lease = lease_book_find(&manager->leases, 5);
    ck_assert_int_eq(manager_copy_keeper(manager, lease, &again), 0);
    ck_assert_str_eq(again.list[0].key, "lease");
    ck_assert_int_eq(fcntl(again.list[0].fd, F_GETFL) & O_ACCMODE, O_WRONLY);
    lease_fds_done(&fds);
    ck_assert(!is_awake());
    lease_fds_done(&again);
    ck_assert(is_awake());
    manager_stop_keeping(manager, lease);
    ck_assert_int_eq(manager_copy_keeper(manager, lease, &again), -EBADF);
    ck_assert_uint_eq(again.n, 0);
}
END_TEST

/* The service manager lets go of its copy later than the daemon. */
START_TEST(test_released_pipe) {
    keep_by_fd(5);
    manager_end_lease(manager, lease_book_find(&manager->leases, 5), LEASE_END_RELEASED);
    ck_assert_str_eq(heard, "ended 5 released; ");
    lease_fds_done(&fds);
    ck_assert(!is_awake());
    ck_assert_str_eq(told(), "+lease-5 -lease-5 ");
}
END_TEST

/* ---- Processes */

static void keep_by_process(uint64_t id, pid_t pid, int pidfd) {
    struct lease *lease = add_lease(id, POLICY_LIFETIME_PROCESS);

    lease->kept_pid = pid;
    ck_assert_int_eq(manager_keep(manager, lease, pidfd, &fds), 0);
    ck_assert_uint_eq(fds.n, 0);
}

START_TEST(test_process) {
    pid_t pid = start_process();
    int pidfd = open_process(pid);

    keep_by_process(5, pid, pidfd);
    close(pidfd);
    keep_by_fd(6);
    ck_assert_str_eq(told(), "+lease-5 +lease-6 ");
    ck_assert(!is_awake());
    end_process(pid);
    run_until_heard("ended 5 process-exited; ");
    ck_assert(is_there(6));
    ck_assert(!is_awake());
    ck_assert_str_eq(told(), "-lease-5 ");
}
END_TEST

/* An fd that the claimant passed is still the claimant's too: what became of the process must not
 * wake the loop, again and again, when the lease is over. */
START_TEST(test_shared_pidfd) {
    pid_t pid = start_process();
    int pidfd = open_process(pid);

    keep_by_process(5, pid, pidfd);
    if (_i)
        manager_end_lease(manager, lease_book_find(&manager->leases, 5), LEASE_END_RELEASED);
    end_process(pid);
    if (!_i)
        run_until_heard("ended 5 process-exited; ");
    ck_assert(!is_awake());
    close(pidfd);
}
END_TEST

START_TEST(test_process_ended_before) {
    pid_t pid = start_process();
    int pidfd = open_process(pid);

    end_process(pid);
    keep_by_process(5, pid, pidfd);
    close(pidfd);
    run_until_heard("ended 5 process-exited; ");
}
END_TEST

START_TEST(test_others_are_not_kept) {
    static const unsigned lifetimes[] = {POLICY_LIFETIME_CONNECTION, POLICY_LIFETIME_UNIT,
                                         POLICY_LIFETIME_PERSISTENT};
    enum lease_end end;

    for (size_t i = 0; i < ELEMENTS_OF(lifetimes); i++) {
        struct lease *lease = add_lease(5, lifetimes[i]);
        ck_assert_int_eq(manager_keep(manager, lease, -1, &fds), 0);
        ck_assert(!manager_keeper_is_lost(manager, lease, &end));
        manager_end_lease(manager, lease, LEASE_END_RELEASED);
    }
    ck_assert_uint_eq(fds.n, 0);
    ck_assert_str_eq(told(), "");
}
END_TEST

/* More than the service manager keeps would be lost at the next restart. */
START_TEST(test_limit) {
    struct rlimit limit;
    struct lease lease = {.lifetime = POLICY_LIFETIME_FD};

    ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < KEEPERS_MAX + 64)
        return;
    for (lease.id = 100; lease.id < 100 + KEEPERS_MAX; lease.id++) {
        ck_assert_int_eq(manager_keep(manager, &lease, -1, &fds), 0);
        lease_fds_done(&fds);
    }
    ck_assert_int_eq(manager_keep(manager, &lease, -1, &fds), -EUSERS);
    ck_assert_uint_eq(fds.n, 0);
    manager_stop_keeping(manager, &(struct lease){.id = 100, .lifetime = POLICY_LIFETIME_FD});
    ck_assert_int_eq(manager_keep(manager, &lease, -1, &fds), 0);
}
END_TEST

/* A reply has room for so many: then nothing is kept. */
START_TEST(test_no_room_in_reply) {
    struct lease *lease = add_lease(5, POLICY_LIFETIME_FD);

    for (int i = 0; i < LEASE_FDS_MAX; i++)
        ck_assert_int_eq(lease_fds_add(&fds, dup(0), "group:%d", i), 0);
    ck_assert_int_eq(manager_keep(manager, lease, -1, &fds), -E2BIG);
    ck_assert_uint_eq(fds.n, LEASE_FDS_MAX);
    ck_assert_str_eq(told(), "-lease-5 ");
    ck_assert_int_eq(manager_copy_keeper(manager, lease, &fds), -EBADF);
}
END_TEST

/* ---- After a restart: in a child, since what was kept comes as fd 3 and those behind it */

static struct {
    const char *name;
    int fd;
} stored[16];
static int n_stored;

static void store(const char *name, int fd) {
    ck_assert_int_ge(fd, 0);
    stored[n_stored].name = name;
    stored[n_stored++].fd = fd;
}

static void hand_back(void) {
    char names[512] = "", number[16];
    int high[ELEMENTS_OF(stored)];

    for (int i = 0; i < n_stored; i++)
        high[i] = fcntl(stored[i].fd, F_DUPFD_CLOEXEC, 200);
    for (int i = 0; i < n_stored; i++) {
        dup2(high[i], 3 + i);
        close(high[i]);
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ":" : "",
                 stored[i].name);
    }
    snprintf(number, sizeof(number), "%d", getpid());
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof(number), "%d", n_stored);
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

/* The same pieces, in whatever order the leases were read. */
static bool same_pieces(const char *text, const char *expected, const char *end) {
    size_t length = strlen(end);

    for (const char *at = expected, *stop; *at; at = stop + length) {
        char piece[64];
        stop = strstr(at, end);
        snprintf(piece, sizeof(piece), "%.*s%s", (int)(stop - at), at, end);
        if (!strstr(text, piece))
            return false;
    }
    return strlen(text) == strlen(expected);
}

/* What was put in is not taken out behind that. */
static bool stays_stored(const char *text) {
    for (const char *at = strchr(text, '+'); at; at = strchr(at + 1, '+')) {
        char taken[64];
        snprintf(taken, sizeof(taken), "-%.*s", (int)strcspn(at + 1, " ") + 1, at + 1);
        if (strstr(at, taken))
            return false;
    }
    return true;
}

static int recover(const char *expected, const char *expected_told) {
    notify = fcntl(notify, F_DUPFD_CLOEXEC, 300);
    hand_back();
    if (start_manager() < 0)
        return 1;
    manager_recover(manager);
    if (!same_pieces(heard, expected, "; "))
        return 2;
    const char *text = told();
    if (!same_pieces(text, expected_told, " ") || !stays_stored(text))
        return 3;
    ev_run(loop, EVRUN_NOWAIT);
    return is_awake() ? 4 : same_pieces(heard, expected, "; ") ? 0 : 5;
}

/* Leases end with what is heard, and the service manager is told this. */
static void assert_recovers(const char *expected, const char *expected_told) {
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(recover(expected, expected_told));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static void recovery_set_up(void) {
    set_up_outside();
    for (uint32_t id = 5; id <= 9; id++)
        make_group(id);
    listen_for_notifications();
}

static void save_process(uint64_t id, pid_t pid, uint64_t start) {
    struct lease *lease = make_lease(id, POLICY_LIFETIME_PROCESS);

    lease->kept_pid = pid;
    lease->kept_start = start;
    save_lease(lease);
}

static uint64_t start_of(pid_t pid) {
    uint64_t start = 0;

    ck_assert_int_eq(process_start_time(pid, &start), 0);
    return start;
}

START_TEST(test_recover_pipes) {
    int ends[3][2];

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pipe2(ends[i], O_CLOEXEC), 0);
    close(ends[1][1]);
    for (uint64_t id = 5; id <= 8; id++)
        save_lease(make_lease(id, POLICY_LIFETIME_FD));
    store("lease-5", ends[0][0]);
    store("lease-6", ends[1][0]); /* all copies were closed meanwhile */
    store("lease-8", ends[2][1]); /* the wrong end */
    assert_recovers("ended 7 not-recovered; ended 8 not-recovered; ended 6 fd-closed; ",
                    "-lease-8 -lease-7 -lease-8 -lease-6 ");
}
END_TEST

START_TEST(test_recover_processes) {
    pid_t living = start_process(), ended = start_process(), other = start_process();
    int pidfd = open_process(ended);

    end_process(ended);
    save_process(5, living, start_of(living));
    save_process(6, ended, 1);
    save_process(7, living, start_of(living));     /* its fd was not stored */
    save_process(8, living, start_of(living) + 1); /* a number that was reused */
    save_process(9, living, start_of(living));
    store("lease-5", open_process(living));
    store("lease-6", pidfd);
    store("lease-9", open_process(other)); /* of another process */
    assert_recovers("ended 8 process-exited; ended 6 process-exited; ",
                    "-lease-9 +lease-7 -lease-8 +lease-9 -lease-6 ");
    end_process(living);
    end_process(other);
}
END_TEST

/* What belongs to no lease, or to one that lives with something else, is closed and taken out. */
START_TEST(test_recover_strangers) {
    struct lease *draining = make_lease(6, POLICY_LIFETIME_FD);
    pid_t ended = start_process();
    int ends[2], pidfd = open_process(ended);

    end_process(ended);
    draining->state = LEASE_DRAINING;
    save_lease(draining);
    save_lease(make_lease(5, POLICY_LIFETIME_PERSISTENT));
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    store("lease-5", pidfd);
    store("lease-6", ends[0]);
    store("lease-99", ends[0]);
    store("lease-05", tree.fd);
    store("", tree.fd);
    store("stored", tree.fd);
    assert_recovers("ended 6 released; ",
                    "-lease-5 -lease-6 -lease-99 -lease-05 - -stored ");
}
END_TEST

/* Of two under one name the second is the stranger. Taking it out takes both, so that the lease's own
 * is put in again. */
START_TEST(test_recover_twins) {
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    save_lease(make_lease(5, POLICY_LIFETIME_FD));
    store("lease-5", ends[0]);
    store("lease-5", tree.fd);
    assert_recovers("", "-lease-5 +lease-5 ");
}
END_TEST

static void add_living(Suite *suite) {
    TCase *all = tree_case("living");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_pipe);
    tcase_add_test(all, test_pipe_is_not_read);
    tcase_add_test(all, test_copy);
    tcase_add_test(all, test_released_pipe);
    tcase_add_test(all, test_process);
    tcase_add_loop_test(all, test_shared_pidfd, 0, 2);
    tcase_add_test(all, test_process_ended_before);
    tcase_add_test(all, test_others_are_not_kept);
    tcase_add_test(all, test_limit);
    tcase_add_test(all, test_no_room_in_reply);
    suite_add_tcase(suite, all);
}

static void add_recovery(Suite *suite) {
    TCase *all = tree_case("recovery");

    tcase_add_checked_fixture(all, recovery_set_up, tear_down_outside);
    tcase_add_test(all, test_recover_pipes);
    tcase_add_test(all, test_recover_processes);
    tcase_add_test(all, test_recover_strangers);
    tcase_add_test(all, test_recover_twins);
    suite_add_tcase(suite, all);
}

int main(void) {
    Suite *suite = suite_create("keepers");

    add_living(suite);
    add_recovery(suite);
    return tree_main(suite);
}
