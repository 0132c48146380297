/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes by their names, an entry among others in a node's ACL, and opening.
 * Nodes and ACLs are real ones, as in test-node.c, so root must run this. */
#include "kernel/node.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "util/string.h"

#include "tree.h"

#define HOLDER 12345
#define OTHER 12346

#define DEVICE "devices/pci0000:00/0000:00:05.0"

static struct tree tree;
static char nodes[128], udev[128];

static void make_node(const char *path, mode_t mode, unsigned number_minor) {
    tree_parents(&tree, path);
    ck_assert_int_eq(mknodat(tree.fd, path, S_IFCHR | mode, makedev(1, number_minor)), 0);
    ck_assert_int_eq(fchmodat(tree.fd, path, mode, 0), 0);
}

/* /dev/iommu is /dev/null, /dev/vfio/devices/vfio0 is /dev/zero. */
static void set_up(void) {
    tree_begin(&tree);
    snprintf(nodes, sizeof(nodes), "%s/dev/vfio", tree.path);
    snprintf(udev, sizeof(udev), "%s/run/udev", tree.path);
    node_use_folders(nodes, udev);
    tree_folder(&tree, "dev/vfio");
    tree_file(&tree, "class/misc/iommu/dev", "1:3\n");
    make_node("dev/iommu", 0600, 3);
    tree_file(&tree, DEVICE "/vfio-dev/vfio0/dev", "1:5\n");
    make_node("dev/vfio/devices/vfio0", 0600, 5);
}

static void tear_down(void) {
    tree_end(&tree);
}

static void run(const char *command) {
    char line[512];

    snprintf(line, sizeof(line), "cd %s/dev && %s", tree.path, command);
    ck_assert_msg(system(line) == 0, "%s", command);
}

/* The ACL of /dev/iommu, or its mode where it has none, is this text. */
static void assert_acl(const char *expected) {
    char line[256];

    snprintf(line, sizeof(line),
             "test \"$(getfacl -n -c -E iommu | tr -s '\\n' ' ')\" = '%s ' || "
             "{ getfacl -n -c -E iommu; false; }",
             expected);
    run(line);
}

static void assert_no_acl(unsigned mode) {
    struct stat status;

    ck_assert_int_lt(
        lgetxattr(tree_path(&tree, "dev/iommu"), "system.posix_acl_access", NULL, 0), 0);
    ck_assert_int_eq(errno, ENODATA);
    ck_assert_int_eq(fstatat(tree.fd, "dev/iommu", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode, S_IFCHR | mode);
}

static int share(uid_t uid) {
    struct node_name name = node_of_iommu();

    return node_share(tree.fd, &name, uid);
}

static int unshare_node(uid_t uid) {
    struct node_name name = node_of_iommu();

    return node_unshare(tree.fd, &name, uid);
}

/* ---- Names */

START_TEST(test_names) {
    struct node_name name = node_of_group(4294967295);

    ck_assert_str_eq(name.path, tree_path(&tree, "dev/vfio/4294967295"));
    ck_assert_str_eq(name.number, "class/vfio/4294967295/dev");
    name = node_of_cdev(DEVICE, "vfio0");
    ck_assert_str_eq(name.path, tree_path(&tree, "dev/vfio/devices/vfio0"));
    ck_assert_str_eq(name.number, DEVICE "/vfio-dev/vfio0/dev");
    name = node_of_iommu();
    ck_assert_str_eq(name.path, tree_path(&tree, "dev/iommu"));
    ck_assert_str_eq(name.number, "class/misc/iommu/dev");
    name = node_of_container();
    ck_assert_str_eq(name.path, tree_path(&tree, "dev/vfio/vfio"));
    ck_assert_str_eq(name.number, "class/misc/vfio/dev");
}
END_TEST

/* Cut short, a name would be another's, in /dev or in sysfs. */
START_TEST(test_long_name) {
    char device[200] = "";

    for (size_t length = 1; length < sizeof(device); length++) {
        device[length - 1] = 'v';
        struct node_name name = node_of_cdev(DEVICE, device);
        const char *path = strrchr(name.path, '/'), *number = string_after(name.number,
                                                                           DEVICE "/vfio-dev/");
        if (!path) {
            ck_assert_uint_gt(length, 60);
            ck_assert_str_eq(name.path, "");
            continue;
        }
        ck_assert_str_eq(path + 1, device);
        ck_assert(strncmp(number, device, length) == 0);
        ck_assert_str_eq(number + length, "/dev");
    }
}
END_TEST

START_TEST(test_long_name_leads_nowhere) {
    char device[101], path[256];
    struct node_facts facts = {.present = true};
    dev_t number;

    memset(device, 'v', 100);
    device[100] = 0;
    snprintf(path, sizeof(path), DEVICE "/vfio-dev/%.60s/dev", device); /* another device's */
    tree_file(&tree, path, "1:3\n");
    snprintf(path, sizeof(path), "dev/vfio/devices/%s", device);
    make_node(path, 0600, 3);
    node_use_folders("/dev/../dev/vfio", udev); /* short, so that all of it fits */
    struct node_name name = node_of_cdev(DEVICE, device);
    ck_assert_int_eq(node_read(tree.fd, &name, &facts), 0);
    ck_assert(!facts.present);
    ck_assert_int_lt(node_open(tree.fd, &name), 0);
    ck_assert_int_lt(node_device(tree.fd, &name, &number), 0);
    ck_assert_int_eq(node_withdraw(tree.fd, &name), 0);
    ck_assert_int_eq(node_grant(tree.fd, &name, HOLDER), -ENODEV);
}
END_TEST

/* A device without a cdev, and names that would leave the folder. */
static const char *const odd_names[] = {"", ".", "..", "../vfio", "vfio0/..", "vfio0/"};

START_TEST(test_odd_names) {
    struct node_name name = node_of_cdev(DEVICE, odd_names[_i]);
    struct node_facts facts = {.present = true};

    ck_assert_int_eq(node_read(tree.fd, &name, &facts), 0);
    ck_assert(!facts.present);
    ck_assert_int_lt(node_open(tree.fd, &name), 0);
}
END_TEST

/* ---- Sharing */

START_TEST(test_share) {
    ck_assert_int_eq(share(HOLDER), 0);
    assert_acl("user::rw- user:12345:rw- group::--- mask::rw- other::---");
    ck_assert_int_eq(share(HOLDER), 0); /* again: once is enough */
    assert_acl("user::rw- user:12345:rw- group::--- mask::rw- other::---");
    ck_assert_int_eq(share(OTHER), 0);
    assert_acl("user::rw- user:12345:rw- user:12346:rw- group::--- mask::rw- other::---");
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_acl("user::rw- user:12346:rw- group::--- mask::rw- other::---");
    ck_assert_int_eq(unshare_node(HOLDER), 0); /* it has none any more */
    assert_acl("user::rw- user:12346:rw- group::--- mask::rw- other::---");
    ck_assert_int_eq(unshare_node(OTHER), 0);
    assert_no_acl(0600);
}
END_TEST

/* The bits as they were before, whatever the distribution gives to a group. */
static const unsigned modes[] = {0600, 0660, 0640, 0666, 0604, 0000};

START_TEST(test_mode_stays) {
    run("chown 0:77 iommu");
    ck_assert_int_eq(fchmodat(tree.fd, "dev/iommu", modes[_i], 0), 0);
    ck_assert_int_eq(share(HOLDER), 0);
    ck_assert_int_eq(share(OTHER), 0);
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    ck_assert_int_eq(unshare_node(OTHER), 0);
    assert_no_acl(modes[_i]);
}
END_TEST

START_TEST(test_entries_of_others_stay) {
    run("setfacl -m u:1:r,g:77:rw iommu");
    ck_assert_int_eq(share(HOLDER), 0);
    assert_acl("user::rw- user:1:r-- user:12345:rw- group::--- group:77:rw- mask::rw- other::---");
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_acl("user::rw- user:1:r-- group::--- group:77:rw- mask::rw- other::---");
    run("setfacl -x g:77 iommu"); /* calculates the mask */
    ck_assert_int_eq(share(HOLDER), 0);
    assert_acl("user::rw- user:1:r-- user:12345:rw- group::--- mask::rw- other::---");
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_acl("user::rw- user:1:r-- group::--- mask::r-- other::---");
}
END_TEST

START_TEST(test_group_of_others_stays) {
    run("setfacl -m g:77:r iommu");
    ck_assert_int_eq(share(HOLDER), 0);
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_acl("user::rw- group::--- group:77:r-- mask::r-- other::---");
}
END_TEST

/* Somebody gave the holder less. */
START_TEST(test_own_entry_is_completed) {
    run("setfacl -m u:12345:r iommu");
    ck_assert_int_eq(share(HOLDER), 0);
    assert_acl("user::rw- user:12345:rw- group::--- mask::rw- other::---");
}
END_TEST

/* After a chmod the entries are there and give nothing. They must not come to life with the mask
 * that a holder needs, nor the group with the mask that goes. */
START_TEST(test_masked_entries) {
    run("chmod 0660 iommu && setfacl -m u:12346:rw,g:77:rw iommu && chmod 0600 iommu");
    ck_assert_int_eq(share(HOLDER), 0);
    assert_acl("user::rw- user:12345:rw- user:12346:--- group::--- group:77:--- mask::rw- "
               "other::---");
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_acl("user::rw- user:12346:--- group::--- group:77:--- mask::--- other::---");
}
END_TEST

START_TEST(test_masked_group) {
    run("chmod 0660 iommu");
    ck_assert_int_eq(share(HOLDER), 0);
    run("chmod 0600 iommu");
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_no_acl(0600);
}
END_TEST

START_TEST(test_mask_was_cut) {
    ck_assert_int_eq(share(HOLDER), 0);
    run("chmod 0640 iommu");
    ck_assert_int_eq(share(HOLDER), 0);
    assert_acl("user::rw- user:12345:rw- group::--- mask::rw- other::---");
}
END_TEST

START_TEST(test_root_needs_none) {
    ck_assert_int_eq(share(0), 0);
    assert_no_acl(0600);
    run("setfacl -m u:12346:rw iommu");
    ck_assert_int_eq(share(0), 0);
    ck_assert_int_eq(unshare_node(0), 0);
    assert_acl("user::rw- user:12346:rw- group::--- mask::rw- other::---");
}
END_TEST

START_TEST(test_owner_keeps_his) {
    run("chown 12345 iommu");
    ck_assert_int_eq(share(HOLDER), 0);
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_no_acl(0600);
}
END_TEST

START_TEST(test_many_entries) {
    run("for i in $(seq 20); do setfacl -m u:$i:rw iommu; done");
    ck_assert_int_eq(share(HOLDER), 0);
    run("getfacl -n iommu 2>/dev/null | grep -q '^user:12345:rw-$'");
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    run("test \"$(getfacl -n iommu 2>/dev/null | grep -c '^user:[0-9]')\" = 20");
}
END_TEST

START_TEST(test_gone) {
    tree_unlink(&tree, "dev/iommu");
    ck_assert_int_eq(share(HOLDER), -ENODEV);
    ck_assert_int_eq(share(0), -ENODEV);
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    make_node("dev/iommu", 0600, 3);
    tree_unlink(&tree, "class/misc/iommu/dev"); /* the module went */
    ck_assert_int_eq(share(HOLDER), -ENODEV);
    ck_assert_int_eq(unshare_node(HOLDER), 0);
    assert_no_acl(0600);
}
END_TEST

/* ---- What is not the node */

static const char *const impostors[] = {
    "mknod $N c 1 9",      "mknod $N b 1 5", "touch $N",       "mkdir $N",
    "mkfifo $N",           "ln -s /dev/zero $N", "ln -s ../../iommu $N",
};

START_TEST(test_impostor) {
    struct node_name name = node_of_cdev(DEVICE, "vfio0");
    char line[128];
    dev_t number = 77;

    tree_unlink(&tree, "dev/vfio/devices/vfio0");
    snprintf(line, sizeof(line), "N=vfio/devices/vfio0; %s", impostors[_i]);
    run(line);
    ck_assert_int_eq(node_open(tree.fd, &name), -ENODEV);
    ck_assert_int_eq(node_device(tree.fd, &name, &number), -ENODEV);
    ck_assert_uint_eq(number, 77);
    ck_assert_int_eq(node_share(tree.fd, &name, HOLDER), -ENODEV);
    ck_assert_int_eq(node_unshare(tree.fd, &name, HOLDER), -ENODEV);
    run("test -z \"$(getfacl -n -c vfio/devices/vfio0 iommu 2>/dev/null | grep 12345)\"");
}
END_TEST

START_TEST(test_open) {
    struct node_name name = node_of_cdev(DEVICE, "vfio0");
    dev_t number = 0;
    char byte = 'x';

    ck_assert_int_eq(node_device(tree.fd, &name, &number), 0);
    ck_assert_uint_eq(number, makedev(1, 5));
    int fd = node_open(tree.fd, &name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & (O_ACCMODE | O_PATH), O_RDWR);
    ck_assert_int_eq(read(fd, &byte, 1), 1);
    ck_assert_int_eq(byte, 0);
    close(fd);
    tree_unlink(&tree, "dev/vfio/devices/vfio0");
    ck_assert_int_eq(node_open(tree.fd, &name), -ENOENT);
    ck_assert_int_eq(node_device(tree.fd, &name, &number), -ENOENT);
    tree_file(&tree, DEVICE "/vfio-dev/vfio0/dev", "259:12345\n");
    ck_assert_int_eq(
        mknodat(tree.fd, "dev/vfio/devices/vfio0", S_IFCHR | 0600, makedev(259, 12345)), 0);
    ck_assert_int_eq(node_open(tree.fd, &name), -ENXIO); /* no driver has the number */
}
END_TEST

START_TEST(test_odd_number) {
    static const char *const numbers[] = {"", "1", "1:", ":5", "1:5:", "1:0x5", "x:5", "-1:5"};
    struct node_name name = node_of_cdev(DEVICE, "vfio0");

    for (size_t i = 0; i < ELEMENTS_OF(numbers); i++) {
        tree_file(&tree, DEVICE "/vfio-dev/vfio0/dev", numbers[i]);
        ck_assert_int_lt(node_open(tree.fd, &name), 0);
    }
}
END_TEST

static void add_nodes(Suite *suite) {
    TCase *all = tree_case("nodes");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_names);
    tcase_add_test(all, test_long_name);
    tcase_add_test(all, test_long_name_leads_nowhere);
    tcase_add_loop_test(all, test_odd_names, 0, ELEMENTS_OF(odd_names));
    tcase_add_loop_test(all, test_impostor, 0, ELEMENTS_OF(impostors));
    tcase_add_test(all, test_open);
    tcase_add_test(all, test_odd_number);
    suite_add_tcase(suite, all);
}

static void add_sharing(Suite *suite) {
    TCase *all = tree_case("sharing");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_share);
    tcase_add_loop_test(all, test_mode_stays, 0, ELEMENTS_OF(modes));
    tcase_add_test(all, test_entries_of_others_stay);
    tcase_add_test(all, test_group_of_others_stays);
    tcase_add_test(all, test_own_entry_is_completed);
    tcase_add_test(all, test_masked_entries);
    tcase_add_test(all, test_masked_group);
    tcase_add_test(all, test_mask_was_cut);
    tcase_add_test(all, test_root_needs_none);
    tcase_add_test(all, test_owner_keeps_his);
    tcase_add_test(all, test_many_entries);
    tcase_add_test(all, test_gone);
    suite_add_tcase(suite, all);
}

int main(void) {
    Suite *suite = suite_create("node-share");

    if (geteuid() != 0) {
        printf("1..0 # SKIP only root can make device nodes\n");
        return EXIT_SUCCESS;
    }
    add_nodes(suite);
    add_sharing(suite);
    return tree_main(suite);
}
