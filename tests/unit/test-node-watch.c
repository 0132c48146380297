/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder of the cdevs in /dev/vfio, which comes and goes. Nodes are real ones, as in test-node.c,
 * so root must run this. */
#include "kernel/node.h"

#include <sys/sysmacros.h>

#include "tree.h"

static struct tree tree;
static char nodes[128];

static void make_node(const char *path, mode_t mode, unsigned number_minor) {
    tree_parents(&tree, path);
    ck_assert_int_eq(mknodat(tree.fd, path, S_IFCHR | mode, makedev(1, number_minor)), 0);
    ck_assert_int_eq(fchmodat(tree.fd, path, mode, 0), 0);
}

static void run(const char *command) {
    char line[256];

    snprintf(line, sizeof(line), "cd %s/dev && %s", tree.path, command);
    ck_assert_msg(system(line) == 0, "%s", command);
}

static struct node_watch *watch;
static char log_of_events[1024];

static void note(enum node_event event, uint32_t id, const char *vfio_device, void *userdata) {
    static const char letters[] = {
        [NODE_EVENT_OPENED] = 'o',
        [NODE_EVENT_CLOSED] = 'c',
        [NODE_EVENT_CHANGED] = 'x',
        [NODE_EVENT_LOST] = 'L',
    };
    size_t used = strlen(log_of_events);

    snprintf(log_of_events + used, sizeof(log_of_events) - used, "%c%s ", letters[event],
             vfio_device ?: "-");
}

static const char *events(void) {
    log_of_events[0] = 0;
    ck_assert_int_eq(node_watch_receive(watch, note, NULL), 0);
    return log_of_events;
}

static void set_up(void) {
    tree_begin(&tree);
    snprintf(nodes, sizeof(nodes), "%s/dev/vfio", tree.path);
    node_use_folders(nodes, "/nonexistent");
    make_node("dev/vfio/devices/vfio0", 0600, 5);
    ck_assert_int_eq(node_watch_new(&watch), 0);
    ck_assert_str_eq(events(), "");
}

static void tear_down(void) {
    watch = node_watch_free(watch);
    tree_end(&tree);
}

static void open_and_close(const char *path) {
    int fd = openat(tree.fd, path, O_RDWR | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(test_cdev) {
    open_and_close("dev/vfio/devices/vfio0");
    ck_assert_str_eq(events(), "ovfio0 cvfio0 ");
    run("chmod 0666 vfio/devices/vfio0");
    ck_assert_str_eq(events(), "xvfio0 ");
    run("setfacl -m u:12345:rw vfio/devices/vfio0");
    ck_assert_str_eq(events(), "xvfio0 ");
    make_node("dev/vfio/devices/vfio12", 0600, 3); /* made, and given its mode */
    ck_assert_str_eq(events(), "xvfio12 xvfio12 ");
    run("rm vfio/devices/vfio12");
    ck_assert_ptr_nonnull(strstr(events(), "xvfio12 "));
    /* A number in this folder is no group. */
    make_node("dev/vfio/devices/7", 0600, 3);
    ck_assert_str_eq(events(), "x7 x7 ");
}
END_TEST

/* What node_watch_skip leaves out is of a group. */
START_TEST(test_skip_is_of_groups) {
    make_node("dev/vfio/devices/7", 0600, 3);
    ck_assert_str_eq(events(), "x7 x7 ");
    ck_assert_int_eq(node_watch_skip(watch, 7), 0);
    open_and_close("dev/vfio/devices/7");
    ck_assert_str_eq(events(), "o7 c7 ");
}
END_TEST

static void remove_folder(void) {
    run("rm -r vfio/devices");
    (void)events();
}

START_TEST(test_folder_comes_later) {
    remove_folder();
    tree_folder(&tree, "dev/vfio/devices");
    ck_assert_str_eq(events(), "");
    make_node("dev/vfio/devices/vfio1", 0600, 3);
    ck_assert_str_eq(events(), "xvfio1 xvfio1 ");
    open_and_close("dev/vfio/devices/vfio1");
    ck_assert_str_eq(events(), "ovfio1 cvfio1 ");
}
END_TEST

/* What was put into it before it was watched is reported all the same. */
START_TEST(test_folder_comes_filled) {
    remove_folder();
    make_node("dev/vfio/devices/vfio1", 0600, 3);
    ck_assert_str_eq(events(), "xvfio1 ");
    run("chmod 0666 vfio/devices/vfio1");
    ck_assert_str_eq(events(), "xvfio1 ");
}
END_TEST

START_TEST(test_folder_again_and_again) {
    for (int i = 0; i < 3; i++) {
        run("rm -r vfio/devices && mkdir vfio/devices"); /* both before a look */
        (void)events();
        make_node("dev/vfio/devices/vfio1", 0600, 3);
        ck_assert_str_eq(events(), "xvfio1 xvfio1 ");
    }
    run("mv vfio/devices old");
    (void)events();
    run("chmod 0666 old/vfio1");
    ck_assert_str_eq(events(), "");
    run("mv old vfio/devices");
    ck_assert_str_eq(events(), "xvfio1 ");
    run("chmod 0600 vfio/devices/vfio1");
    ck_assert_str_eq(events(), "xvfio1 ");
}
END_TEST

START_TEST(test_all_of_it_goes) {
    run("rm -r vfio");
    ck_assert_ptr_nonnull(strstr(events(), "L- "));
    make_node("dev/vfio/devices/vfio2", 0600, 3);
    ck_assert_ptr_nonnull(strstr(events(), "L- "));
    open_and_close("dev/vfio/devices/vfio2");
    ck_assert_str_eq(events(), "ovfio2 cvfio2 ");
}
END_TEST

/* An overrun may have taken the news of the folder. */
START_TEST(test_overrun) {
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    unsigned n = 0;

    ck_assert_ptr_nonnull(limit);
    ck_assert_int_eq(fscanf(limit, "%u", &n), 1);
    fclose(limit);
    remove_folder();
    make_node("dev/vfio/7", 0600, 3);
    for (unsigned i = 0; i < n / 2 + 16; i++)
        open_and_close("dev/vfio/7");
    make_node("dev/vfio/devices/vfio1", 0600, 3);
    while (*events())
        ;
    open_and_close("dev/vfio/devices/vfio1");
    ck_assert_str_eq(events(), "ovfio1 cvfio1 ");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("node-watch");
    TCase *all = tree_case("all");

    if (geteuid() != 0) {
        printf("1..0 # SKIP only root can make device nodes\n");
        return EXIT_SUCCESS;
    }
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_cdev);
    tcase_add_test(all, test_skip_is_of_groups);
    tcase_add_test(all, test_folder_comes_later);
    tcase_add_test(all, test_folder_comes_filled);
    tcase_add_test(all, test_folder_again_and_again);
    tcase_add_test(all, test_all_of_it_goes);
    tcase_add_test(all, test_overrun);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
