/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real processes that hold /dev/full, which hardly anybody does; and a made up /proc for what takes a
 * device, or names that no test can give to a process. */
#include "kernel/openers.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

#define FULL makedev(1, 7)
#define WANTED (const dev_t[]){makedev(240, 7), FULL}

static struct tree proc;

/* ---- Helpers */

/* The texts for what has one of the wanted devices open. */
static bool certain; /* of the last answer */

static char **find(void) {
    int output = memfd_create("answer", 0);
    _cleanup_(freep) char *text = NULL;
    char **texts = NULL;
    char path[64];

    ck_assert_int_eq(openers_write(output, WANTED, 2), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", output);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
    close(output);
    ck_assert_int_eq(openers_read(text, &texts, &certain), 0);
    return texts;
}

static bool finds(pid_t pid) {
    _cleanup_(strings_freep) char **texts = find();
    char begin[64];

    snprintf(begin, sizeof(begin), "process %d (", pid);
    for (char **text = texts; text && *text; text++)
        if (string_after(*text, begin))
            return true;
    return false;
}

/* A child with path open. */
static pid_t start_holder(const char *path, int flags) {
    int ends[2];
    char ready;

    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(path, flags);
        ck_assert_int_eq(write(ends[1], fd < 0 ? "n" : "y", 1), 1);
        for (;;)
            pause();
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &ready, 1), 1);
    ck_assert_int_eq(ready, 'y');
    close(ends[0]);
    return pid;
}

static void end_holder(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* ---- Real processes */

START_TEST(test_holder) {
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK};
    pid_t holder = start_holder("/dev/full", flags[_i]);

    ck_assert(finds(holder));
    end_holder(holder);
    ck_assert(!finds(holder));
}
END_TEST

START_TEST(test_program) {
    pid_t holder = start_holder("/dev/full", O_RDONLY);
    _cleanup_(strings_freep) char **texts = find();
    char own[PATH_MAX], begin[PATH_MAX + 64];
    bool found = false;

    ck_assert_int_gt(link_read(AT_FDCWD, "/proc/self/exe", own, sizeof(own)), 0);
    snprintf(begin, sizeof(begin), "process %d (%s", holder, own);
    for (char **text = texts; *text; text++)
        found |= string_after(*text, begin) && (*text)[strlen(*text) - 1] == ')';
    ck_assert(found);
    end_holder(holder);
}
END_TEST

/* Opens nothing: an fd that only names the node, another device, the same name elsewhere. */
START_TEST(test_no_holder) {
    static const struct {
        const char *path;
        int flags;
    } cases[] = {{"/dev/full", O_PATH}, {"/dev/null", O_RDWR}, {"/proc/self/status", O_RDONLY}};
    pid_t holder = start_holder(cases[_i].path, cases[_i].flags);

    ck_assert(!finds(holder));
    end_holder(holder);
}
END_TEST

/* Neither the one who looks nor the one who started it. */
START_TEST(test_not_itself) {
    _cleanup_(fd_closep) int fd = open("/dev/full", O_RDONLY);
    int ends[2], status;

    ck_assert_int_ge(fd, 0);
    ck_assert(!finds(getpid()));
    ck_assert_int_eq(pipe(ends), 0);
    pid_t worker = fork();
    if (worker == 0)
        _exit(finds(getppid()) || finds(getpid()));
    waitpid(worker, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* A zombie has nothing open. */
START_TEST(test_zombie) {
    pid_t holder = start_holder("/dev/full", O_RDONLY);
    siginfo_t status;

    kill(holder, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)holder, &status, WEXITED | WNOWAIT), 0);
    ck_assert(!finds(holder));
    waitpid(holder, NULL, 0);
}
END_TEST

START_TEST(test_limit) {
    pid_t holders[OPENERS_MAX + 2];

    for (size_t i = 0; i < ELEMENTS_OF(holders); i++)
        holders[i] = start_holder("/dev/full", O_RDONLY);
    _cleanup_(strings_freep) char **texts = find();
    ck_assert_uint_eq(strings_length(texts), OPENERS_MAX);
    for (size_t i = 0; i < ELEMENTS_OF(holders); i++)
        end_holder(holders[i]);
}
END_TEST

/* A node elsewhere than in /dev, as container runtimes make. */
START_TEST(test_copy) {
    struct tree tree;

    if (geteuid() != 0)
        return;
    tree_begin(&tree);
    if (mknodat(tree.fd, "vfio-7", S_IFCHR | 0600, FULL) < 0) {
        ck_assert_int_eq(errno, EPERM);
    } else if (access("/dev/full", R_OK) == 0) {
        int fd = openat(tree.fd, "vfio-7", O_RDONLY);
        if (fd >= 0) { /* not mounted with nodev */
            close(fd);
            pid_t holder = start_holder(tree_path(&tree, "vfio-7"), O_RDONLY);
            ck_assert(finds(holder));
            end_holder(holder);
        }
    }
    tree_end(&tree);
}
END_TEST

/* ---- A made up /proc. Its numbers are no processes, so that none has a unit. */

static void set_up(void) {
    tree_begin(&proc);
    openers_use_folder(proc.path);
}

static void tear_down(void) {
    tree_end(&proc);
}

/* A process with fd 5 on target. */
static void add(const char *pid, const char *exe, const char *target, const char *flags) {
    char path[128], text[64];

    snprintf(path, sizeof(path), "%s/fd/5", pid);
    tree_link(&proc, path, target);
    snprintf(path, sizeof(path), "%s/fdinfo/5", pid);
    snprintf(text, sizeof(text), "pos:\t0\nflags:\t%s\nmnt_id:\t15\n", flags);
    tree_file(&proc, path, text);
    snprintf(path, sizeof(path), "%s/comm", pid);
    tree_file(&proc, path, "a name\n");
    snprintf(path, sizeof(path), "%s/exe", pid);
    if (exe)
        tree_link(&proc, path, exe);
}

static void expect(const char *text) {
    _cleanup_(strings_freep) char **texts = find();

    if (!text)
        ck_assert_ptr_null(texts);
    else {
        ck_assert_uint_eq(strings_length(texts), 1);
        ck_assert_str_eq(texts[0], text);
    }
}

START_TEST(test_device) {
    add("99999901", "/usr/bin/qemu", "anon_inode:[vfio-device]", "02");
    expect("process 99999901 (/usr/bin/qemu), which has a VFIO device open");
    /* One that is known for sure makes the guess needless. */
    add("99999902", "/usr/bin/dpdk", "/dev/full", "02");
    expect("process 99999902 (/usr/bin/dpdk)");
}
END_TEST

START_TEST(test_other_anonymous) {
    add("99999901", "/bin/a", "anon_inode:[eventfd]", "02");
    add("99999902", "/bin/b", "anon_inode:[vfio-device]x", "02");
    add("99999903", "/bin/c", "/tmp/anon_inode:[vfio-device]", "02");
    expect(NULL);
}
END_TEST

START_TEST(test_device_limit) {
    char pid[32];

    for (int i = 0; i < OPENERS_MAX + 3; i++) {
        snprintf(pid, sizeof(pid), "%d", 99999900 + i);
        add(pid, "/bin/a", "anon_inode:[vfio-device]", "02");
    }
    _cleanup_(strings_freep) char **texts = find();
    ck_assert_uint_eq(strings_length(texts), OPENERS_MAX);
}
END_TEST

START_TEST(test_hostile_name) {
    static const char *const names[][2] = {
        {"/tmp/a b", "/tmp/a b"},
        {"/tmp/a\nnode 1 - /sbin/init", "/tmp/a\\x0anode 1 - /sbin/init"},
        {"/tmp/\x1b[31m\\", "/tmp/\\x1b[31m\\\\"},
        {"/tmp/\xff", "/tmp/\\xff"},
        {" ", " "},
        {NULL, "a name"},
    };
    char expected[128];

    add("99999901", names[_i][0], "/dev/full", "02");
    snprintf(expected, sizeof(expected), "process 99999901 (%s)", names[_i][1]);
    expect(expected);
}
END_TEST

START_TEST(test_path_only) {
    add("99999901", "/bin/a", "/dev/full", "012000000");
    expect(NULL);
}
END_TEST

/* Not asked about: the test sees it by its being found if it were. */
START_TEST(test_not_asked) {
    struct tree elsewhere;

    tree_begin(&elsewhere);
    tree_link(&elsewhere, "full", "/dev/full");
    tree_link(&elsewhere, "iommu", "/dev/full");
    add("99999901", "/bin/a", tree_path(&elsewhere, "full"), "02");
    expect(NULL);
    add("99999902", "/bin/b", tree_path(&elsewhere, "iommu"), "02");
    expect("process 99999902 (/bin/b)");
    tree_end(&elsewhere);
}
END_TEST

/* What is no process, or has ended by the time it is looked at. */
START_TEST(test_odd_entries) {
    tree_folder(&proc, "sys");
    tree_folder(&proc, "99999901");
    tree_folder(&proc, "99999902");
    tree_folder(&proc, "99999902/fd");
    tree_file(&proc, "99999903", "");
    tree_link(&proc, "99999904/fd/1", "/dev/full"); /* no fdinfo, no name */
    tree_link(&proc, "99999905/fd/1", "/dev/gone");
    tree_link(&proc, "self/fd/1", "/dev/full");
    tree_link(&proc, "0x12/fd/1", "/dev/full");
    expect(NULL);
}
END_TEST

/* A folder that can not be read is an error, as is an answer that can not be written. */
START_TEST(test_errors) {
    add("99999901", "/bin/a", "/dev/full", "02");
    ck_assert_int_eq(openers_write(-1, WANTED, 2), -EBADF);
    ck_assert_int_eq(openers_write(-1, WANTED, 0), 0);
    openers_use_folder("/nothing/here");
    ck_assert_int_eq(openers_write(-1, WANTED, 2), -ENOENT);
}
END_TEST

/* ---- The answer as text */

START_TEST(test_read) {
    static const char output[] = "node 812 machine-a.scope /usr/bin/qemu-system-x86_64\n"
                                 "node 813 - /bin/b c\n"
                                 "device 814 d.service /bin/d\n";
    _cleanup_(strings_freep) char **texts = NULL;

    ck_assert_int_eq(openers_read(output, &texts, &certain), 0);
    ck_assert(certain);
    ck_assert_uint_eq(strings_length(texts), 3);
    ck_assert_str_eq(texts[0], "process 812 (/usr/bin/qemu-system-x86_64, unit machine-a.scope)");
    ck_assert_str_eq(texts[1], "process 813 (/bin/b c)");
    ck_assert_str_eq(texts[2], "process 814 (/bin/d, unit d.service), which has a VFIO device open");
}
END_TEST

START_TEST(test_read_broken) {
    static const char *const outputs[] = {
        "node 812 - /bin/a",      "node 812 -\n",        "node 812\n", "node\n",
        "node x - /bin/a\n",      "other 812 - /bin/a\n", " 812 - a\n", "node  - /bin/a\n",
        "node 99999999999 - a\n", "node 812  /bin/a\n",
    };
    char *untouched[] = {NULL}, **texts = untouched;

    for (size_t i = 0; i < ELEMENTS_OF(outputs); i++)
        ck_assert_int_eq(openers_read(outputs[i], &texts, &certain), -EBADMSG);
    ck_assert_ptr_eq(texts, untouched);
}
END_TEST

START_TEST(test_read_nothing) {
    char *untouched[] = {NULL}, **texts = untouched;

    ck_assert_int_eq(openers_read("", &texts, &certain), 0);
    ck_assert_ptr_null(texts);
    ck_assert(!certain);
    ck_assert_int_eq(openers_read("device 814 - /bin/d\n", &texts, &certain), 0);
    ck_assert(!certain);
    strings_free(texts);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("openers");
    TCase *real = tree_case("real"), *made = tree_case("made"), *text = tree_case("text");

    tcase_add_loop_test(real, test_holder, 0, 3);
    tcase_add_test(real, test_program);
    tcase_add_loop_test(real, test_no_holder, 0, 3);
    tcase_add_test(real, test_not_itself);
    tcase_add_test(real, test_zombie);
    tcase_add_test(real, test_limit);
    tcase_add_test(real, test_copy);
    suite_add_tcase(suite, real);
    tcase_add_checked_fixture(made, set_up, tear_down);
    tcase_add_test(made, test_device);
    tcase_add_test(made, test_other_anonymous);
    tcase_add_test(made, test_device_limit);
    tcase_add_loop_test(made, test_hostile_name, 0, 6);
    tcase_add_test(made, test_path_only);
    tcase_add_test(made, test_not_asked);
    tcase_add_test(made, test_odd_entries);
    tcase_add_test(made, test_errors);
    suite_add_tcase(suite, made);
    tcase_add_test(text, test_read);
    tcase_add_test(text, test_read_broken);
    tcase_add_test(text, test_read_nothing);
    suite_add_tcase(suite, text);
    return tree_main(suite);
}
