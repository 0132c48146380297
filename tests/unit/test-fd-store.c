/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The service manager is played by a datagram socket of the test's; what it kept is handed back to a
 * child, as the real one does it. */
#include "record/fd-store.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

static struct tree tree;
static int notify = -1;

static void set_up(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    tree_begin(&tree);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", tree.path);
    notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(notify, 0);
    ck_assert_int_eq(bind(notify, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
}

static void tear_down(void) {
    notify = fd_close(notify);
    tree_end(&tree);
}

/* The message that waits, and the fd that came with it or -1. */
static int receive(char *text, size_t size) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = text, .iov_len = size - 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(notify, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd = -1;

    ck_assert_int_ge(length, 0);
    text[length] = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        ck_assert_uint_eq(at->cmsg_len, CMSG_LEN(sizeof(int))); /* one, not more */
        ck_assert_int_eq(fd, -1);
        memcpy(&fd, CMSG_DATA(at), sizeof(fd));
    }
    return fd;
}

static void assert_silent(void) {
    struct pollfd item = {.fd = notify, .events = POLLIN};

    ck_assert_int_eq(poll(&item, 1, 0), 0);
}

/* ---- Names */

START_TEST(test_names) {
    char buffer[FD_STORE_NAME_MAX];

    ck_assert_str_eq(fd_store_lease_name(12, buffer), "lease-12");
    ck_assert_uint_eq(fd_store_lease_of(buffer), 12);
    ck_assert_str_eq(fd_store_lease_name(UINT64_MAX, buffer), "lease-18446744073709551615");
    ck_assert_uint_eq(fd_store_lease_of(buffer), UINT64_MAX);
}
END_TEST

START_TEST(test_other_names) {
    static const char *const names[] = {
        "", "lease", "lease-", "lease-0", "lease-012", "lease--1", "lease-+1", "lease-1 ",
        "lease- 1", "lease-1x", "Lease-1", "xlease-1", "1", "stored", "unknown", "lease-0x1",
        "lease-18446744073709551616",
    };

    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        ck_assert_msg(fd_store_lease_of(names[i]) == 0, "%s", names[i]);
}
END_TEST

/* ---- Putting in and taking out */

START_TEST(test_put) {
    struct stat ours, theirs;
    char text[256];
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(fd_store_put("lease-12", ends[0]), 0);
    int fd = receive(text, sizeof(text));
    ck_assert_str_eq(text, "FDSTORE=1\nFDNAME=lease-12\nFDPOLL=0");
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(ends[0], &ours), 0); /* still open here: a copy went */
    ck_assert_int_eq(fstat(fd, &theirs), 0);
    ck_assert_uint_eq(ours.st_ino, theirs.st_ino);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_silent();
}
END_TEST

START_TEST(test_remove) {
    char text[256];

    fd_store_remove("lease-12");
    ck_assert_int_eq(receive(text, sizeof(text)), -1);
    ck_assert_str_eq(text, "FDSTOREREMOVE=1\nFDNAME=lease-12");
    assert_silent();
}
END_TEST

/* The service manager has more to hear from here. */
START_TEST(test_put_again) {
    char text[256];

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fd_store_put("lease-1", notify), 0);
        int fd = receive(text, sizeof(text));
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    ck_assert_ptr_nonnull(getenv("NOTIFY_SOCKET"));
}
END_TEST

START_TEST(test_without_service_manager) {
    ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
    ck_assert_int_eq(fd_store_put("lease-12", notify), 0);
    fd_store_remove("lease-12");
    assert_silent();
}
END_TEST

START_TEST(test_failures) {
    ck_assert_int_eq(fd_store_put("lease-12", 9999), -EBADF);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", tree_path(&tree, "nobody"), 1), 0);
    ck_assert_int_eq(fd_store_put("lease-12", notify), -ENOENT);
    fd_store_remove("lease-12");
    assert_silent();
}
END_TEST

/* ---- What was kept */

static char taken[512];

static void note(const char *name, int fd, void *userdata) {
    size_t used = strlen(taken);
    struct stat status = {0};

    ck_assert_ptr_eq(userdata, taken);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fstat(fd, &status), 0);
    snprintf(taken + used, sizeof(taken) - used, "%s=%d%s ", name, fd,
             S_ISFIFO(status.st_mode) ? "p" : "f");
    close(fd);
}

static void set_number(const char *name, long value) {
    char text[32];

    snprintf(text, sizeof(text), "%ld", value);
    setenv(name, text, 1);
}

/* Puts a pipe in place of fd 3 and the folder in place of those behind it, as systemd does. */
static void place_fds(int n) {
    int ends[2];

    if (pipe(ends) < 0 || dup2(ends[0], 100) < 0)
        _exit(90);
    for (int i = 0; i < n; i++)
        if (dup2(i == 0 ? 100 : tree.fd, 3 + i) < 0)
            _exit(91);
}

static const struct {
    const char *names;
    int n, result;
    const char *taken;
} kept[] = {
    {NULL, 0, 0, ""},
    {"lease-1", 1, 0, "lease-1=3p "},
    {"lease-1:stored:lease-2", 3, 0, "lease-1=3p stored=4f lease-2=5f "},
    {"lease-1::lease-1", 3, 0, "lease-1=3p =4f lease-1=5f "},
    {"lease 2:\xff", 2, 0, "lease 2=3p \xff=4f "},
    {NULL, 2, 0, "unknown=3p unknown=4f "},
    {"lease-1", 2, -EINVAL, ""}, /* more fds than names: whose they are is not known */
};

static int take_in_child(int index) {
    place_fds(kept[index].n);
    if (kept[index].n) {
        set_number("LISTEN_PID", getpid());
        set_number("LISTEN_FDS", kept[index].n);
    }
    if (kept[index].names)
        setenv("LISTEN_FDNAMES", kept[index].names, 1);
    if (fd_store_take(note, taken) != kept[index].result)
        return 1;
    /* Once, and for no child of the daemon's. */
    return strcmp(taken, kept[index].taken) != 0   ? 2
           : getenv("LISTEN_FDS")                  ? 3
           : getenv("LISTEN_FDNAMES")              ? 4
           : getenv("LISTEN_PID")                  ? 5
           : fd_store_take(note, taken) != 0       ? 6
           : strcmp(taken, kept[index].taken) != 0 ? 7
                                                   : 0;
}

START_TEST(test_take) {
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(take_in_child(_i));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* What was meant for another process is not touched. */
START_TEST(test_take_not_ours) {
    set_number("LISTEN_PID", getppid());
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", "lease-1", 1);
    ck_assert_int_eq(fd_store_take(note, taken), 0);
    ck_assert_str_eq(taken, "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fd-store");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_names);
    tcase_add_test(all, test_other_names);
    tcase_add_test(all, test_put);
    tcase_add_test(all, test_remove);
    tcase_add_test(all, test_put_again);
    tcase_add_test(all, test_without_service_manager);
    tcase_add_test(all, test_failures);
    tcase_add_loop_test(all, test_take, 0, ELEMENTS_OF(kept));
    tcase_add_test(all, test_take_not_ours);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
