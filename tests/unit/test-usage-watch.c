/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In namespaces of its own the test is process 1, and mounts and links are its own. */
#include "kernel/usage-watch.h"

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <ev.h>

#include "util/cleanup.h"

#include "tree.h"

static struct ev_loop *loop;
static unsigned n_changes;

static void changed(void *userdata) {
    n_changes++;
    ev_break(loop, EVBREAK_ALL);
}

static void give_up(struct ev_loop *own, ev_timer *timer, int events) {
    ev_break(own, EVBREAK_ALL);
}

/* Whether something was told within so many seconds. */
static bool is_told(double seconds) {
    unsigned before = n_changes;
    ev_timer timer;

    ev_timer_init(&timer, give_up, seconds, 0);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    ev_timer_stop(loop, &timer);
    return n_changes > before;
}

/* One change may be told more than once, but that ends. */
static bool is_quiet(void) {
    for (int i = 0; i < 20; i++)
        if (!is_told(0.1))
            return true;
    return false;
}

static void set_up_loopback(short flags) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = flags};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        _exit(10);
    close(fd);
}

/* Ends with 0, or with the number of the step that went wrong. */
_Noreturn static void run_mounts(const char *folder) {
    struct usage_watch *watch;

    if (usage_watch_new(loop, changed, NULL, &watch) < 0 || !is_quiet())
        _exit(1);
    if (n_changes > 1)
        _exit(2);
    if (mount("none", folder, "tmpfs", 0, NULL) < 0)
        _exit(3);
    if (!is_told(20) || !is_quiet())
        _exit(4);
    if (umount(folder) < 0)
        _exit(5);
    if (!is_told(20) || !is_quiet())
        _exit(6);
    usage_watch_free(watch);
    if (mount("none", folder, "tmpfs", 0, NULL) < 0 || is_told(0.1))
        _exit(7);
    _exit(0);
}

_Noreturn static void run_network(const char *folder) {
    struct usage_watch *watch;

    if (usage_watch_new(loop, changed, NULL, &watch) < 0 || !is_quiet())
        _exit(1);
    set_up_loopback(IFF_UP); /* with addresses and routes */
    if (!is_told(20) || !is_quiet())
        _exit(2);
    set_up_loopback(0);
    if (!is_told(20) || !is_quiet())
        _exit(3);
    usage_watch_free(watch);
    set_up_loopback(IFF_UP);
    _exit(is_told(0.1) ? 4 : 0);
}

/* Nobody reads meanwhile, so that the kernel has no more room: that is a change too. */
_Noreturn static void run_overrun(const char *folder) {
    struct usage_watch *watch;

    if (usage_watch_new(loop, changed, NULL, &watch) < 0 || !is_quiet())
        _exit(1);
    for (int i = 0; i < 2000; i++)
        set_up_loopback(i % 2 ? 0 : IFF_UP);
    if (!is_told(20) || !is_quiet())
        _exit(2);
    set_up_loopback(IFF_UP);
    _exit(is_told(20) ? 0 : 3);
}

typedef void runner(const char *folder);

_Noreturn static void run_first(runner *steps, const char *folder) {
    loop = ev_loop_new(EVFLAG_AUTO);
    if (!loop || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", 0, NULL) < 0)
        _exit(20);
    steps(folder);
    _exit(23);
}

static int wait_for(pid_t child) {
    int status;

    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : 21;
}

/* In a process that is number 1 of its namespace. Its parent can start no other one. */
static void run(runner *steps) {
    int own = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID;
    struct tree tree;

    tree_begin(&tree);
    pid_t parent = fork();
    if (parent == 0) {
        if (unshare(geteuid() == 0 ? own : own | CLONE_NEWUSER) < 0)
            _exit(22);
        pid_t child = fork();
        if (child == 0)
            run_first(steps, tree.path);
        _exit(wait_for(child));
    }
    ck_assert_int_eq(wait_for(parent), 0);
    tree_end(&tree);
}

START_TEST(test_mounts) {
    run(run_mounts);
}
END_TEST

START_TEST(test_network) {
    run(run_network);
}
END_TEST

START_TEST(test_overrun) {
    run(run_overrun);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("usage-watch");
    TCase *tests = tree_case("watch");

    tcase_add_test(tests, test_mounts);
    tcase_add_test(tests, test_network);
    tcase_add_test(tests, test_overrun);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
