/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes are real ones; what the tests wait for is their end. */
#include "kernel/process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "util/fd.h"

#include "tree.h"

/* A child that says it is ready (with what prepare did) and then waits to be killed. */
static pid_t start_child(void (*prepare)(void)) {
    int ends[2];
    char ready;

    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (prepare)
            prepare();
        ck_assert_int_eq(write(ends[1], "r", 1), 1);
        for (;;)
            pause();
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &ready, 1), 1);
    close(ends[0]);
    return pid;
}

static void wait_ended(int pidfd) {
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};

    ck_assert_int_eq(poll(&wait, 1, 60000), 1);
}

static int open_process(pid_t pid) {
    int pidfd = -1;

    ck_assert_int_eq(process_open(pid, &pidfd), 0);
    ck_assert_int_ge(pidfd, 0);
    return pidfd;
}

START_TEST(test_open) {
    pid_t child = start_child(NULL), pid = 0;
    int pidfd = open_process(child), untouched = 77;

    ck_assert_int_eq(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(process_of_pidfd(pidfd, &pid), 0);
    ck_assert_int_eq(pid, child);
    kill(child, SIGKILL);
    wait_ended(pidfd);
    waitpid(child, NULL, 0);
    ck_assert_int_eq(process_open(child, &untouched), -ESRCH);
    ck_assert_int_eq(untouched, 77);
    ck_assert_int_eq(process_of_pidfd(pidfd, &pid), -ESRCH);
    close(pidfd);
}
END_TEST

START_TEST(test_open_nothing) {
    static const pid_t numbers[] = {0, -1, INT_MIN, INT_MAX};
    int pidfd;

    ck_assert_int_eq(process_open(numbers[_i], &pidfd), -ESRCH);
}
END_TEST

static void *open_own_thread(void *result) {
    *(int *)result = process_open((pid_t)syscall(SYS_gettid), &(int){-1});
    return NULL;
}

START_TEST(test_open_thread) {
    pthread_t thread;
    int result = 0;

    ck_assert_int_eq(pthread_create(&thread, NULL, open_own_thread, &result), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(result, -ESRCH);
}
END_TEST

START_TEST(test_no_pidfd) {
    _cleanup_(fd_closep) int null = open("/dev/null", O_RDONLY);
    _cleanup_(fd_closep) int folder = open("/proc/self", O_RDONLY);
    _cleanup_(fd_closep) int path = open("/proc/self", O_PATH);
    pid_t pid = 77;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    const int fds[] = {null, folder, path, ends[0], ends[1], -1, INT_MIN, 100000};
    for (size_t i = 0; i < ELEMENTS_OF(fds); i++)
        ck_assert_int_eq(process_of_pidfd(fds[i], &pid), -EBADF);
    ck_assert_int_eq(pid, 77);
}
END_TEST

/* More in fdinfo than any pidfd has. */
START_TEST(test_large_fdinfo) {
    int epoll = epoll_create1(0), ends[2];
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    for (int i = 0; i < 300; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, dup(ends[0]), &event), 0);
    }
    ck_assert_int_eq(process_of_pidfd(epoll, &pid), -EBADF);
}
END_TEST

static void become_other(void) {
    ck_assert_int_eq(syscall(SYS_setresuid, 2001, 2002, 2003), 0);
}

START_TEST(test_owner) {
    pid_t child = start_child(geteuid() == 0 ? become_other : NULL);
    int pidfd = open_process(child);
    uid_t euid = 77;

    ck_assert_int_eq(process_owner(pidfd, child, &euid), 0);
    ck_assert_uint_eq(euid, geteuid() == 0 ? 2002 : geteuid());
    kill(child, SIGKILL);
    wait_ended(pidfd);
    /* A zombie has ended, though it has its number still. */
    euid = 77;
    ck_assert_int_eq(process_owner(pidfd, child, &euid), -ESRCH);
    waitpid(child, NULL, 0);
    ck_assert_int_eq(process_owner(pidfd, child, &euid), -ESRCH);
    /* As if another had the number by now. */
    ck_assert_int_eq(process_owner(pidfd, getpid(), &euid), -ESRCH);
    ck_assert_uint_eq(euid, 77);
    close(pidfd);
}
END_TEST

static uint64_t start_time(pid_t pid) {
    uint64_t ticks = 0;

    ck_assert_int_eq(process_start_time(pid, &ticks), 0);
    ck_assert_uint_gt(ticks, 0);
    return ticks;
}

/* The name of a command changes; the time of its start does not. */
START_TEST(test_start_time) {
    static const char *const names[] = {"a b", "1 2 3 4 5 6 7 8", ") S 1 1 1", "((()))", "a\nb\n",
                                        ")", "", " ", "\xff\xfe)"};
    uint64_t ticks = start_time(getpid());

    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        ck_assert_int_eq(prctl(PR_SET_NAME, names[i]), 0);
        ck_assert_uint_eq(start_time(getpid()), ticks);
    }
    ck_assert_uint_ge(ticks, start_time(1));
}
END_TEST

/* The same number as in the kernel's own words, by another way of counting. */
START_TEST(test_start_time_field) {
    _cleanup_(freep) char *text = NULL;
    unsigned long long expected;

    ck_assert_int_eq(prctl(PR_SET_NAME, "plain"), 0);
    ck_assert_int_eq(file_read(AT_FDCWD, "/proc/self/stat", 4096, &text, NULL), 0);
    ck_assert_int_eq(sscanf(text,
                            "%*d (plain) %*c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d "
                            "%*d %*d %*d %*d %*d %llu",
                            &expected),
                     1);
    ck_assert_uint_eq(start_time(getpid()), expected);
}
END_TEST

START_TEST(test_start_time_none) {
    static const pid_t numbers[] = {0, -1, INT_MAX};
    uint64_t ticks = 77;

    for (size_t i = 0; i < ELEMENTS_OF(numbers); i++)
        ck_assert_int_eq(process_start_time(numbers[i], &ticks), -ESRCH);
    ck_assert_uint_eq(ticks, 77);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("process");
    TCase *all = tree_case("all");

    tcase_add_test(all, test_open);
    tcase_add_loop_test(all, test_open_nothing, 0, 4);
    tcase_add_test(all, test_open_thread);
    tcase_add_test(all, test_no_pidfd);
    tcase_add_test(all, test_large_fdinfo);
    tcase_add_test(all, test_owner);
    tcase_add_test(all, test_start_time);
    tcase_add_test(all, test_start_time_field);
    tcase_add_test(all, test_start_time_none);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
