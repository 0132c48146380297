/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes are real ones, made with the numbers of /dev/null in a folder of the test's, so root must
 * run this; their ACLs are real too. */
#include "kernel/node.h"

#include <errno.h>
#include <poll.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "util/string.h"

#include "tree.h"

#define HOLDER 12345
#define OTHER 12346

static struct tree tree;
static struct node_facts facts;
static char nodes[128], udev[128];

static void make_node(const char *path, mode_t mode, unsigned number_minor) {
    tree_parents(&tree, path);
    ck_assert_int_eq(mknodat(tree.fd, path, S_IFCHR | mode, makedev(1, number_minor)), 0);
    ck_assert_int_eq(fchmodat(tree.fd, path, mode, 0), 0);
}

static const struct node_name *group_node(uint32_t id) {
    static struct node_name name;

    name = node_of_group(id);
    return &name;
}

static void set_up(void) {
    tree_begin(&tree);
    snprintf(nodes, sizeof(nodes), "%s/dev/vfio", tree.path);
    snprintf(udev, sizeof(udev), "%s/run/udev", tree.path);
    node_use_folders(nodes, udev);
    tree_file(&tree, "class/vfio/7/dev", "1:3\n");
    make_node("dev/vfio/7", 0600, 3);
}

static void tear_down(void) {
    tree_end(&tree);
}

static void run(const char *command) {
    char line[256];

    snprintf(line, sizeof(line), "cd %s/dev/vfio && %s", tree.path, command);
    ck_assert_int_eq(system(line), 0);
}

static const struct node_entry *entry_of(uint32_t id) {
    for (size_t i = 0; i < facts.n_entries; i++)
        if (facts.entries[i].id == id)
            return &facts.entries[i];
    return NULL;
}

static void read_node(void) {
    ck_assert_int_eq(node_read(tree.fd, group_node(7), &facts), 0);
}

/* Nobody but root gets in, and the mode says so without help of an ACL. */
static void assert_closed(void) {
    struct stat status;

    read_node();
    ck_assert(facts.present && !facts.group_access && !facts.other_access);
    for (size_t i = 0; i < facts.n_entries; i++)
        ck_assert(!facts.entries[i].access);
    ck_assert_int_eq(fstatat(tree.fd, "dev/vfio/7", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode, S_IFCHR | 0600);
}

START_TEST(test_read) {
    read_node();
    ck_assert(facts.present && !facts.mismatched);
    ck_assert(facts.owner_access && !facts.group_access && !facts.other_access);
    ck_assert_uint_eq(facts.owner, 0);
    ck_assert_uint_eq(facts.n_entries, 0);
    run("chmod 0406 7 && chown 5:6 7");
    read_node();
    ck_assert(facts.owner_access && !facts.group_access && facts.other_access);
    ck_assert_uint_eq(facts.owner, 5);
    run("chmod 0020 7");
    read_node();
    ck_assert(!facts.owner_access && facts.group_access && !facts.other_access);
}
END_TEST

START_TEST(test_read_entries) {
    run("setfacl -m u:12345:rw,u:12346:x,g:77:r 7");
    read_node();
    ck_assert_uint_eq(facts.n_entries, 3);
    ck_assert(entry_of(HOLDER)->access && !entry_of(HOLDER)->is_group);
    ck_assert(!entry_of(OTHER)->access);
    ck_assert(entry_of(77)->access && entry_of(77)->is_group);
    ck_assert(!facts.group_access);
    /* A chmod of the group's bits sets the mask; the entries are there and give nothing. */
    run("chmod 0600 7");
    read_node();
    ck_assert_uint_eq(facts.n_entries, 3);
    ck_assert(!entry_of(HOLDER)->access && !entry_of(77)->access);
}
END_TEST

START_TEST(test_too_many_entries) {
    run("for i in $(seq 17); do setfacl -m u:$i:rw 7; done");
    read_node();
    ck_assert(facts.too_many_entries);
    ck_assert_uint_eq(facts.n_entries, NODE_ENTRIES_MAX);
}
END_TEST

/* What has the node's name without being the group's node. */
static const char *const impostors[] = {
    "mknod 7 c 1 5",  "mknod 7 b 1 3", "touch 7",      "mkdir 7",
    "mkfifo 7",       "ln -s /dev/null 7", "mknod 8 c 1 3 && ln -s 8 7",
};

START_TEST(test_impostor) {
    tree_unlink(&tree, "dev/vfio/7");
    run(impostors[_i]);
    read_node();
    ck_assert(!facts.present && facts.mismatched);
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), -ENODEV);
    ck_assert_int_eq(node_withdraw(tree.fd, group_node(7)), -ENODEV);
    ck_assert_int_eq(node_ask_kernel(tree.fd, 7, NULL), NODE_ABSENT);
    run("test -z \"$(getfacl -n -c 7 2>/dev/null | grep 12345)\"");
}
END_TEST

START_TEST(test_missing) {
    tree_unlink(&tree, "dev/vfio/7");
    read_node();
    ck_assert(!facts.present && !facts.mismatched);
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), -ENODEV);
    ck_assert_int_eq(node_withdraw(tree.fd, group_node(7)), 0);
    ck_assert_int_eq(node_ask_kernel(tree.fd, 7, NULL), NODE_ABSENT);
    node_use_folders("/nonexistent/vfio", udev);
    read_node();
    ck_assert(!facts.present && !facts.mismatched);
    ck_assert_int_eq(node_withdraw(tree.fd, group_node(7)), 0);
}
END_TEST

/* A name that is left over from a group whose device is gone. */
START_TEST(test_stale) {
    tree_unlink(&tree, "class/vfio/7/dev");
    read_node();
    ck_assert(!facts.present && facts.mismatched);
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), -ENODEV);
    ck_assert_int_eq(node_withdraw(tree.fd, group_node(7)), 0);
}
END_TEST

START_TEST(test_grant) {
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), 0);
    read_node();
    ck_assert_uint_eq(facts.n_entries, 1);
    ck_assert(entry_of(HOLDER)->access);
    ck_assert(facts.owner_access && !facts.group_access && !facts.other_access);
    run("test \"$(getfacl -n -c -E 7 | tr -d '\\n')\" = "
        "user::rw-user:12345:rw-group::---mask::rw-other::---");
    /* As udev does where a rule sets MODE. */
    run("chmod 0600 7");
    read_node();
    ck_assert(!entry_of(HOLDER)->access);
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), 0);
    read_node();
    ck_assert(entry_of(HOLDER)->access);
    ck_assert_int_eq(node_withdraw(tree.fd, group_node(7)), 0);
    assert_closed();
}
END_TEST

/* Entries that the mask held back must not come to life with the new mask. */
START_TEST(test_grant_over_masked_entries) {
    run("setfacl -m u:12346:rw,g:77:rw 7 && chmod 0600 7");
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), 0);
    read_node();
    ck_assert(entry_of(HOLDER)->access);
    ck_assert_ptr_null(entry_of(OTHER));
    ck_assert_ptr_null(entry_of(77));
}
END_TEST

START_TEST(test_grant_with_owner) {
    run("chown 12346 7 && chmod 0000 7");
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), 0);
    read_node();
    ck_assert(entry_of(HOLDER)->access && !facts.owner_access);
    run("setfacl -b 7 && chown 12345 7 && chmod 0600 7");
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), HOLDER), 0);
    read_node();
    ck_assert(entry_of(HOLDER)->access && facts.owner_access);
}
END_TEST

START_TEST(test_grant_to_root) {
    ck_assert_int_eq(node_grant(tree.fd, group_node(7), 0), 0);
    read_node();
    ck_assert_uint_eq(facts.n_entries, 0);
    assert_closed();
}
END_TEST

static const char *const dirt[] = {
    "true", "chmod 0666 7", "setfacl -m u:12346:rw,g:77:rw 7", "setfacl -m u:12345:rw,m::--- 7",
    "setfacl -m m::rw 7",
};

START_TEST(test_withdraw) {
    run(dirt[_i]);
    ck_assert_int_eq(node_withdraw(tree.fd, group_node(7)), 0);
    assert_closed();
    ck_assert_int_lt(lgetxattr(tree_path(&tree, "dev/vfio/7"), "system.posix_acl_access", NULL, 0),
                     0);
    ck_assert_int_eq(errno, ENODATA);
}
END_TEST

START_TEST(test_settled) {
    ck_assert(node_settled(tree.fd, group_node(7))); /* no udev */
    tree_file(&tree, "run/udev/control", "");
    ck_assert(!node_settled(tree.fd, group_node(7)));
    tree_file(&tree, "run/udev/data/c1:4", "");
    ck_assert(!node_settled(tree.fd, group_node(7)));
    tree_file(&tree, "run/udev/data/c1:3", "");
    ck_assert(node_settled(tree.fd, group_node(7)));
    tree_unlink(&tree, "class/vfio/7/dev");
    ck_assert(!node_settled(tree.fd, group_node(7)));
}
END_TEST

/* /dev/null can be opened, but is no VFIO group: that is said as it is. */
START_TEST(test_ask_kernel) {
    ck_assert_int_eq(node_ask_kernel(tree.fd, 7, NULL), -ENOTTY);
    tree_file(&tree, "class/vfio/8/dev", "259:12345\n");
    ck_assert_int_eq(mknodat(tree.fd, "dev/vfio/8", S_IFCHR | 0600, makedev(259, 12345)), 0);
    ck_assert_int_eq(node_ask_kernel(tree.fd, 8, NULL), NODE_ABSENT);
}
END_TEST

/* ---- The watch ------------------------------------------------------------------------------ */

static struct node_watch *watch;
static char log_of_events[1024];
static unsigned n_lost;

static void note(enum node_event event, uint32_t id, const char *vfio_device, void *userdata) {
    static const char letters[] = {
        [NODE_EVENT_OPENED] = 'o',
        [NODE_EVENT_CLOSED] = 'c',
        [NODE_EVENT_CHANGED] = 'x',
        [NODE_EVENT_LOST] = 'L',
    };
    size_t used = strlen(log_of_events);

    n_lost += event == NODE_EVENT_LOST;
    if (vfio_device)
        snprintf(log_of_events + used, sizeof(log_of_events) - used, "%c%s ", letters[event],
                 vfio_device);
    else
        snprintf(log_of_events + used, sizeof(log_of_events) - used, "%c%u ", letters[event], id);
}

/* The events that wait are exactly these. */
static void assert_events(const char *expected) {
    log_of_events[0] = 0;
    ck_assert_int_eq(node_watch_receive(watch, note, NULL), 0);
    ck_assert_str_eq(log_of_events, expected);
}

static void watch_set_up(void) {
    set_up();
    ck_assert_int_eq(node_watch_new(&watch), 0);
    assert_events("");
}

static void watch_tear_down(void) {
    watch = node_watch_free(watch);
    tear_down();
}

static void open_and_close(const char *path, int flags) {
    int fd = openat(tree.fd, path, flags | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(test_watch_opens) {
    open_and_close("dev/vfio/7", O_RDONLY);
    assert_events("o7 c7 ");
    int fd = openat(tree.fd, "dev/vfio/7", O_RDWR | O_CLOEXEC);
    assert_events("o7 ");
    close(fd);
    assert_events("c7 ");
    make_node("dev/vfio/vfio", 0666, 3);
    make_node("dev/vfio/07", 0666, 3);
    tree_folder(&tree, "dev/vfio/devices");
    open_and_close("dev/vfio/vfio", O_RDWR);
    open_and_close("dev/vfio/07", O_RDWR);
    open_and_close("dev/vfio", O_RDONLY);
    assert_events("");
}
END_TEST

START_TEST(test_watch_changes) {
    make_node("dev/vfio/12", 0600, 3); /* made, and given its mode */
    assert_events("x12 x12 ");
    run("chmod 0666 7");
    assert_events("x7 ");
    run("setfacl -m u:12345:rw 7");
    assert_events("x7 ");
    run("mv 7 8");
    assert_events("x7 x8 ");
    run("rm 8"); /* its link count, then its name */
    log_of_events[0] = 0;
    ck_assert_int_eq(node_watch_receive(watch, note, NULL), 0);
    ck_assert_ptr_nonnull(strstr(log_of_events, "x8 "));
}
END_TEST

/* The looks of the daemon itself change nothing, and make no event that it would look at again. */
START_TEST(test_watch_reading) {
    read_node();
    ck_assert(node_settled(tree.fd, group_node(7)));
    assert_events("");
}
END_TEST

START_TEST(test_watch_skips_own_open) {
    open_and_close("dev/vfio/7", O_RDWR);
    ck_assert_int_eq(node_ask_kernel(tree.fd, 7, NULL), -ENOTTY);
    ck_assert_int_eq(node_watch_skip(watch, 7), 0);
    assert_events("o7 c7 ");
    ck_assert_int_eq(node_ask_kernel(tree.fd, 7, NULL), -ENOTTY);
    ck_assert_int_eq(node_watch_skip(watch, 7), 0);
    assert_events("");
    open_and_close("dev/vfio/7", O_RDWR);
    assert_events("o7 c7 ");
    /* Without own events in the queue, nothing of others' is kept back later. */
    ck_assert_int_eq(node_watch_skip(watch, 7), 0);
    ck_assert_int_eq(node_watch_skip(watch, 8), 0);
    assert_events("");
    open_and_close("dev/vfio/7", O_RDWR);
    assert_events("o7 c7 ");
}
END_TEST

START_TEST(test_watch_folder_goes_and_comes) {
    run("rm 7 && rmdir ../vfio");
    log_of_events[0] = 0;
    ck_assert_int_eq(node_watch_receive(watch, note, NULL), 0);
    ck_assert_ptr_nonnull(strstr(log_of_events, "L0 "));
    tree_folder(&tree, "dev/other");
    assert_events("");
    tree_folder(&tree, "dev/vfio");
    assert_events("L0 ");
    make_node("dev/vfio/9", 0600, 3);
    assert_events("x9 x9 ");
    tree_folder(&tree, "dev/more"); /* the parent is not watched any more */
    struct pollfd item = {.fd = node_watch_fd(watch), .events = POLLIN};
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    ck_assert_int_eq(renameat(tree.fd, "dev/vfio", tree.fd, "dev/old"), 0);
    assert_events("L0 ");
    make_node("dev/old/10", 0600, 3);
    assert_events("");
    ck_assert_int_eq(renameat(tree.fd, "dev/old", tree.fd, "dev/vfio"), 0);
    assert_events("L0 ");
    open_and_close("dev/vfio/10", O_RDWR);
    assert_events("o10 c10 ");
}
END_TEST

START_TEST(test_watch_without_folder) {
    watch = node_watch_free(watch);
    run("rm 7 && rmdir ../vfio");
    ck_assert_int_eq(node_watch_new(&watch), 0);
    make_node("dev/vfio/7", 0600, 3);
    assert_events("L0 ");
    run("chmod 0666 7");
    assert_events("x7 ");
}
END_TEST

START_TEST(test_watch_overrun) {
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    unsigned n = 0;

    ck_assert_ptr_nonnull(limit);
    ck_assert_int_eq(fscanf(limit, "%u", &n), 1);
    fclose(limit);
    for (unsigned i = 0; i < n / 2 + 16; i++)
        open_and_close("dev/vfio/7", O_RDWR);
    do {
        log_of_events[0] = 0;
        ck_assert_int_eq(node_watch_receive(watch, note, NULL), 0);
    } while (log_of_events[0]);
    ck_assert_uint_eq(n_lost, 1);
    open_and_close("dev/vfio/7", O_RDWR);
    assert_events("o7 c7 ");
}
END_TEST

static void add_nodes(Suite *suite) {
    TCase *all = tree_case("nodes");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_read);
    tcase_add_test(all, test_read_entries);
    tcase_add_test(all, test_too_many_entries);
    tcase_add_loop_test(all, test_impostor, 0, ELEMENTS_OF(impostors));
    tcase_add_test(all, test_missing);
    tcase_add_test(all, test_stale);
    tcase_add_test(all, test_grant);
    tcase_add_test(all, test_grant_over_masked_entries);
    tcase_add_test(all, test_grant_with_owner);
    tcase_add_test(all, test_grant_to_root);
    tcase_add_loop_test(all, test_withdraw, 0, ELEMENTS_OF(dirt));
    tcase_add_test(all, test_settled);
    tcase_add_test(all, test_ask_kernel);
    suite_add_tcase(suite, all);
}

static void add_watch(Suite *suite) {
    TCase *all = tree_case("watch");

    tcase_add_checked_fixture(all, watch_set_up, watch_tear_down);
    tcase_add_test(all, test_watch_opens);
    tcase_add_test(all, test_watch_changes);
    tcase_add_test(all, test_watch_reading);
    tcase_add_test(all, test_watch_skips_own_open);
    tcase_add_test(all, test_watch_folder_goes_and_comes);
    tcase_add_test(all, test_watch_without_folder);
    tcase_add_test(all, test_watch_overrun);
    suite_add_tcase(suite, all);
}

int main(void) {
    Suite *suite = suite_create("node");

    if (geteuid() != 0) {
        printf("1..0 # SKIP only root can make device nodes\n");
        return EXIT_SUCCESS;
    }
    add_nodes(suite);
    add_watch(suite);
    return tree_main(suite);
}
