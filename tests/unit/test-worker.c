/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers are real processes here. What the tests wait for is an event, never a time. */
#include "util/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "util/fd.h"

#include "model-test.h"

static struct ev_loop *loop;
static struct worker *worker;

/* What done was called with. */
static struct {
    unsigned calls;
    int result;
    size_t size;
    char *output;
    void *userdata;
} answer;

static void set_up(void) {
    loop = ev_loop_new(EVFLAG_NOENV | EVFLAG_AUTO);
    ck_assert_ptr_nonnull(loop);
    memset(&answer, 0, sizeof(answer));
}

static void tear_down(void) {
    free(answer.output);
    ev_loop_destroy(loop);
}

static void note(int result, const char *output, size_t size, void *userdata) {
    ck_assert_uint_eq(output[size], 0);
    answer.calls++;
    answer.result = result;
    answer.size = size;
    answer.userdata = userdata;
    answer.output = malloc(size + 1);
    memcpy(answer.output, output, size + 1);
}

static void start(worker_function *run, void *userdata) {
    ck_assert_int_eq(worker_start(loop, run, note, userdata, &worker), 0);
    ck_assert_ptr_nonnull(worker);
    ck_assert_uint_eq(answer.calls, 0);
}

/* The loop has nothing left to do when the worker is done and freed. */
static void run_to_end(worker_function *run, void *userdata) {
    start(run, userdata);
    ev_run(loop, 0);
    ck_assert_uint_eq(answer.calls, 1);
    ck_assert_ptr_eq(answer.userdata, userdata);
}

static void assert_no_children(void) {
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* ---- What a worker says ---------------------------------------------------------------------- */

static int say(int output, void *userdata) {
    return fd_write_all(output, userdata, strlen(userdata));
}

START_TEST(test_output) {
    run_to_end(say, (void *)"1000 27 901\n");
    ck_assert_int_eq(answer.result, 0);
    ck_assert_str_eq(answer.output, "1000 27 901\n");
    assert_no_children();
}
END_TEST

START_TEST(test_no_output) {
    run_to_end(say, (void *)"");
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.size, 0);
}
END_TEST

static int say_bytes(int output, void *userdata) {
    return fd_write_all(output, "a\0b", 3);
}

START_TEST(test_bytes) {
    run_to_end(say_bytes, NULL);
    ck_assert_uint_eq(answer.size, 3);
    ck_assert_mem_eq(answer.output, "a\0b", 4);
}
END_TEST

static int say_much(int output, void *userdata) {
    _cleanup_(freep) char *text = malloc(*(size_t *)userdata);

    memset(text, 'x', *(size_t *)userdata);
    return fd_write_all(output, text, *(size_t *)userdata);
}

START_TEST(test_most_output) {
    size_t size = WORKER_OUTPUT_MAX;

    run_to_end(say_much, &size);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.size, size);
    ck_assert_uint_eq(strspn(answer.output, "x"), size);
}
END_TEST

/* Far more than the pipe holds: it is killed while it writes. */
START_TEST(test_too_much_output) {
    size_t size = WORKER_OUTPUT_MAX * 2;

    run_to_end(say_much, &size);
    ck_assert_int_lt(answer.result, 0);
    ck_assert_uint_le(answer.size, WORKER_OUTPUT_MAX);
    assert_no_children();
}
END_TEST

/* One byte too many, from a worker that has ended well before the byte is read. */
static int say_at_once(int output, void *userdata) {
    if (fcntl(output, F_SETPIPE_SZ, WORKER_OUTPUT_MAX) < 0)
        return -errno;
    return say_much(output, userdata);
}

START_TEST(test_one_byte_too_much) {
    size_t size = WORKER_OUTPUT_MAX + 1;
    siginfo_t status;

    start(say_at_once, &size);
    ev_run(loop, EVRUN_ONCE); /* makes room for the rest */
    ck_assert_int_eq(waitid(P_ALL, 0, &status, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(status.si_status, 0);
    ev_run(loop, 0);
    ck_assert_uint_eq(answer.calls, 1);
    ck_assert_int_lt(answer.result, 0);
    assert_no_children();
}
END_TEST

/* ---- How a worker ends ----------------------------------------------------------------------- */

static int break_off(int output, void *userdata) {
    (void)fd_write_all(output, "half", 4);
    return *(int *)userdata;
}

START_TEST(test_failure) {
    static const int results[] = {-ENOENT, -EPERM, -EIO, -ETIMEDOUT};
    int result = results[_i];

    run_to_end(break_off, &result);
    ck_assert_int_eq(answer.result, result);
    ck_assert_str_eq(answer.output, "half");
    assert_no_children();
}
END_TEST

/* A positive return is no failure. */
START_TEST(test_positive) {
    int result = 7;

    run_to_end(break_off, &result);
    ck_assert_int_eq(answer.result, 0);
}
END_TEST

static int die(int output, void *userdata) {
    (void)fd_write_all(output, "half", 4);
    (void)signal(*(int *)userdata, SIG_DFL); /* a sanitizer may have taken it */
    (void)raise(*(int *)userdata);
    return 0;
}

START_TEST(test_killed) {
    static const int signals[] = {SIGKILL, SIGTERM, SIGINT, SIGALRM};
    int number = signals[_i];

    run_to_end(die, &number);
    ck_assert_int_lt(answer.result, 0);
    assert_no_children();
}
END_TEST

/* ---- What a worker has of the daemon --------------------------------------------------------- */

/* Writes the numbers of its fds, but those of standard input, output and errors. */
static int list_fds(int output, void *userdata) {
    DIR *directory = opendir("/proc/self/fd");
    int own = dirfd(directory);
    struct dirent *entry;

    while ((entry = readdir(directory))) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd < 1024 && fd != own && fd != output) /* valgrind has its own above */
            (void)dprintf(output, "%d\n", fd);
    }
    closedir(directory);
    return 0;
}

START_TEST(test_keeps_no_fd) {
    int inherited = fcntl(STDOUT_FILENO, F_DUPFD, 200), high = fcntl(STDOUT_FILENO, F_DUPFD, 1000);

    ck_assert_int_ge(inherited, 200);
    ck_assert_int_ge(high, 1000);
    run_to_end(list_fds, NULL);
    ck_assert_str_eq(answer.output, "");
}
END_TEST

/* What the daemon blocks or handles must not make a worker that cannot be ended. */
static int list_signals(int output, void *userdata) {
    sigset_t blocked;
    struct sigaction action;

    (void)sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < 32; number++)
        if (sigismember(&blocked, number))
            (void)dprintf(output, "blocked %d\n", number);
    (void)sigaction(SIGTERM, NULL, &action);
    (void)dprintf(output, "SIGTERM %s\n", action.sa_handler == SIG_DFL ? "default" : "handled");
    return 0;
}

START_TEST(test_signals) {
    sigset_t all;

    sigfillset(&all);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, NULL), 0);
    (void)signal(SIGTERM, SIG_IGN);
    run_to_end(list_signals, NULL);
    ck_assert_str_eq(answer.output, "SIGTERM default\n");
}
END_TEST

/* Its memory is a copy. */
static int change(int output, void *userdata) {
    *(int *)userdata = 1;
    return 0;
}

START_TEST(test_memory) {
    int value = 0;

    run_to_end(change, &value);
    ck_assert_int_eq(value, 0);
}
END_TEST

/* ---- Several, and one that is given up ------------------------------------------------------- */

static unsigned n_done;

static void count(int result, const char *output, size_t size, void *userdata) {
    ck_assert_int_eq(result, 0);
    ck_assert_str_eq(output, userdata);
    n_done++;
}

START_TEST(test_several) {
    static const char *const texts[] = {"a", "bb", "", "dddd", "eeeee", "f", "g", "h"};
    struct worker *workers[ELEMENTS_OF(texts)];

    for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
        ck_assert_int_eq(worker_start(loop, say, count, (void *)texts[i], &workers[i]), 0);
    ev_run(loop, 0);
    ck_assert_uint_eq(n_done, ELEMENTS_OF(texts));
    assert_no_children();
}
END_TEST

static _Noreturn int hang(int output, void *userdata) {
    (void)fd_write_all(output, "half", 4);
    for (;;)
        (void)pause();
}

/* worker_free while it runs: done is never called, the process ends, and no fd stays open. */
START_TEST(test_free_while_it_runs) {
    siginfo_t status;
    int before = dup(STDOUT_FILENO);

    close(before);
    start(hang, NULL);
    if (_i)
        ev_run(loop, EVRUN_ONCE); /* its output has come */
    ck_assert_ptr_null(worker_free(worker));
    ev_run(loop, 0);
    ck_assert_uint_eq(answer.calls, 0);
    if (waitid(P_ALL, 0, &status, WEXITED) == 0)
        ck_assert_int_eq(status.si_status, SIGKILL);
    int after = dup(STDOUT_FILENO);
    ck_assert_int_eq(after, before);
    close(after);
}
END_TEST

/* A worker that was given up leaves no zombie, or only until the next one is started: callers that
 * go in mid-call can be many. */
START_TEST(test_free_leaves_no_zombie) {
    siginfo_t status;

    for (int i = 0; i < 20; i++) {
        start(hang, NULL);
        ck_assert_ptr_null(worker_free(worker));
    }
    for (int rounds = 0; waitid(P_ALL, 0, &status, WEXITED | WNOWAIT) == 0; rounds++) {
        ck_assert_int_lt(rounds, 100);
        ck_assert_int_eq(worker_start(loop, say, count, (void *)"", &worker), 0);
        ev_run(loop, 0);
    }
    assert_no_children();
}
END_TEST

/* Without a limit the loop waits for nothing but its output: were there a timer, the loop would go on
 * for it. */
START_TEST(test_unlimited) {
    siginfo_t status;

    ck_assert_int_eq(worker_start_unlimited(loop, hang, note, NULL, &worker), 0);
    ev_run(loop, EVRUN_ONCE); /* its output has come */
    ev_unref(loop);
    ev_run(loop, 0);
    ev_ref(loop);
    ck_assert_uint_eq(answer.calls, 0);
    ck_assert_ptr_null(worker_free(worker));
    ev_run(loop, 0);
    ck_assert_uint_eq(answer.calls, 0);
    if (waitid(P_ALL, 0, &status, WEXITED) == 0)
        ck_assert_int_eq(status.si_status, SIGKILL);
}
END_TEST

START_TEST(test_unlimited_output) {
    ck_assert_int_eq(worker_start_unlimited(loop, say, note, (void *)"done", &worker), 0);
    ev_run(loop, 0);
    ck_assert_uint_eq(answer.calls, 1);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_str_eq(answer.output, "done");
    assert_no_children();
}
END_TEST

START_TEST(test_free_none) {
    ck_assert_ptr_null(worker_free(NULL));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("worker");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_output);
    tcase_add_test(all, test_no_output);
    tcase_add_test(all, test_bytes);
    tcase_add_test(all, test_most_output);
    tcase_add_test(all, test_too_much_output);
    tcase_add_test(all, test_one_byte_too_much);
    tcase_add_loop_test(all, test_failure, 0, 4);
    tcase_add_test(all, test_positive);
    tcase_add_loop_test(all, test_killed, 0, 4);
    tcase_add_test(all, test_keeps_no_fd);
    tcase_add_test(all, test_signals);
    tcase_add_test(all, test_memory);
    tcase_add_test(all, test_several);
    tcase_add_loop_test(all, test_free_while_it_runs, 0, 2);
    tcase_add_test(all, test_free_leaves_no_zombie);
    tcase_add_test(all, test_unlimited);
    tcase_add_test(all, test_unlimited_output);
    tcase_add_test(all, test_free_none);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
