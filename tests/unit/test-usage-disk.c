/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks, in a made up host. */
#include "usage-fixture.h"

#define MOUNT_ROOT(number) "30 1 " number " / / rw,relatime shared:1 - ext4 /dev/root rw\n"
#define DM0 "devices/virtual/block/dm-0"
#define DM1 "devices/virtual/block/dm-1"
#define MD0 "devices/virtual/block/md0"

/* sda with two partitions, of which nothing is in use. */
static void add_sda(void) {
    add_block(SDA, "8:0\n");
    add_partition(SDA "/sda1", "8:1\n");
    add_partition(SDA "/sda2", "8:2\n");
    tree_folder(&sys, SDA "/holders");
    tree_folder(&sys, SDA "/sda2/holders");
}

/* ---- Direct uses */

START_TEST(test_free) {
    add_sda();
    expect_free(DISK);
    expect_free(NIC);
    expect_free("devices/pci0000:00/0000:00:1f.0"); /* there is no such device */
}
END_TEST

START_TEST(test_mounted) {
    add_sda();
    set_mounts(MOUNT_ROOT("8:2"));
    expect(DISK, "mounted|sda2 is mounted|sda2 is mounted on /");
    expect_free(NIC);
}
END_TEST

START_TEST(test_whole_disk_mounted) {
    add_sda();
    set_mounts(MOUNT_ROOT("8:0"));
    expect(DISK, "mounted|sda is mounted|sda is mounted on /");
}
END_TEST

/* Names lie: only the number counts. */
START_TEST(test_other_number) {
    add_sda();
    set_mounts("30 1 9:2 / / rw shared:1 - ext4 /dev/sda2 rw\n");
    expect_free(DISK);
}
END_TEST

START_TEST(test_mounted_more_than_once) {
    add_sda();
    set_mounts(MOUNT_ROOT("8:2") "31 30 8:2 /srv /mnt\\040a rw - ext4 /dev/sda2 rw\n");
    expect(DISK, "mounted|sda2 is mounted|sda2 is mounted on / (and 1 more)");
}
END_TEST

START_TEST(test_hostile_target) {
    add_sda();
    set_mounts("31 30 8:2 / /a\\011b\\012use\\0110 rw - ext4 /dev/sda2 rw\n");
    expect(DISK, "mounted|sda2 is mounted|sda2 is mounted on /a\\x09b\\x0ause\\x090");
}
END_TEST

START_TEST(test_swap) {
    add_sda();
    set_swaps("/dev/sda1                               partition\t1000\t0\t-2\n"
              "/swapfile                               file\t1000\t0\t-3\n");
    expect(DISK, "swap|sda1 is swap space");
}
END_TEST

/* The kernel gives it no number of a device; sysfs knows the second disk. */
START_TEST(test_btrfs) {
    static const char uuid[] = "fs/btrfs/6f0e7a3a-0000-4000-8000-000000000000/devices/";
    char link[128];

    add_sda();
    set_mounts("40 30 0:40 / /srv rw - btrfs /dev/sda2 rw\n");
    expect(DISK, "mounted|sda2 is mounted|sda2 is mounted on /srv");
    /* With a colon in the name; the node is missing, but not in sysfs. */
    set_mounts("40 30 0:40 / /srv rw - btrfs /dev/by-path/pci-0000:00:06.0/sda2 rw\n");
    expect(DISK, "mounted|sda2 is mounted|sda2 is mounted on /srv");
    snprintf(link, sizeof(link), "%ssda2", uuid);
    tree_link(&sys, link, "../../../../" SDA "/sda2");
    snprintf(link, sizeof(link), "%ssda1", uuid);
    tree_link(&sys, link, "../../../../" SDA "/sda1");
    expect_lines(DISK, 2);
    has("mounted|sda1 is mounted|sda1 is mounted on /srv");
    has("mounted|sda2 is mounted|sda2 is mounted on /srv");
}
END_TEST

START_TEST(test_bcachefs) {
    add_sda();
    set_mounts("40 30 0:40 / /srv rw - bcachefs /dev/sdz:/dev/sda1 rw\n");
    expect(DISK, "mounted|sda1 is mounted|sda1 is mounted on /srv");
}
END_TEST

/* ---- Stacks */

START_TEST(test_held) {
    add_sda();
    add_block(DM0, "253:0\n");
    add_holder(SDA "/sda2", DM0);
    expect(DISK, "held|sda2 is held by dm-0");
    set_mounts(MOUNT_ROOT("253:0"));
    expect(DISK, "mounted|sda2 is mounted, through dm-0|sda2 is mounted on /, through dm-0");
}
END_TEST

START_TEST(test_two_levels) {
    add_sda();
    add_block(MD0, "9:0\n");
    add_block(DM0, "253:0\n");
    add_block(DM1, "253:1\n");
    add_holder(SDA "/sda1", MD0);
    add_holder(MD0, DM0);
    add_holder(MD0, DM1);
    set_mounts(MOUNT_ROOT("253:0"));
    set_swaps("/dev/dm-1 partition\t1000\t0\t-2\n");
    expect_lines(DISK, 2);
    has("mounted|sda1 is mounted, through md0, dm-0|sda1 is mounted on /, through md0, dm-0");
    has("swap|sda1 is swap space, through md0, dm-1");
    set_swaps("");
    expect_lines(DISK, 2);
    has("held|sda1 is held by dm-1, through md0");
}
END_TEST

START_TEST(test_partition_of_holder) {
    add_sda();
    add_block(MD0, "9:0\n");
    add_partition(MD0 "/md0p1", "259:0\n");
    add_holder(SDA, MD0);
    set_mounts(MOUNT_ROOT("259:0"));
    expect(DISK, "mounted|sda is mounted, through md0p1|sda is mounted on /, through md0p1");
}
END_TEST

/* A mirror over both partitions counts for both, and once each; a ring ends. */
START_TEST(test_two_ways) {
    add_sda();
    add_block(DM0, "253:0\n");
    add_block(DM1, "253:1\n");
    add_block(MD0, "9:0\n");
    add_holder(SDA "/sda2", DM0);
    add_holder(SDA "/sda2", DM1);
    add_holder(DM0, MD0);
    add_holder(DM1, MD0);
    add_holder(MD0, DM0);
    set_mounts(MOUNT_ROOT("9:0"));
    ask(DISK);
    ck_assert_uint_eq(count_lines(), 1);
}
END_TEST

START_TEST(test_loop) {
    add_sda();
    add_block("devices/virtual/block/loop0", "7:0\n");
    add_block("devices/virtual/block/loop1", "7:1\n");
    add_block("devices/virtual/block/loop2", "7:2\n"); /* of no file */
    tree_file(&sys, "devices/virtual/block/loop0/loop/backing_file", "/dev/sda1\n");
    tree_file(&sys, "devices/virtual/block/loop1/loop/backing_file", "/srv/sda2\n");
    expect(DISK, "held|sda1 is held by loop0");
    set_mounts(MOUNT_ROOT("7:0"));
    expect(DISK, "mounted|sda1 is mounted, through loop0|sda1 is mounted on /, through loop0");
}
END_TEST

START_TEST(test_tall_stack) {
    char below[PATH_MAX] = SDA, above[PATH_MAX], number[16];

    add_block(SDA, "8:0\n");
    for (int i = 0; i < USAGE_STACK_MAX + 2; i++) {
        snprintf(above, sizeof(above), "devices/virtual/block/dm-%d", i);
        snprintf(number, sizeof(number), "253:%d\n", i);
        add_block(above, number);
        add_holder(below, above);
        strcpy(below, above);
    }
    expect(DISK, "held|sda is held by more than can be followed|"
                 "sda is held by more than can be followed, such as dm-16");
}
END_TEST

START_TEST(test_many_holders) {
    char path[128], number[16];

    add_block(SDA, "8:0\n");
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "devices/virtual/block/dm-%d", i);
        snprintf(number, sizeof(number), "253:%d\n", i);
        add_block(path, number);
        add_holder(SDA, path);
    }
    expect_lines(DISK, USAGE_LINES_MAX + 1);
    has("held|the host uses it for more than this");
}
END_TEST

/* ---- What only an exclusive open tells */

START_TEST(test_busy) {
    static const char text[] = "held|sda1 is held by something that sysfs does not show: a mount in "
                               "another mount namespace, or a driver such as ZFS";

    add_sda();
    set_disk("sda1", -EBUSY, NULL, 0, 0);
    set_disk("sda", -EBUSY, NULL, 0, 0); /* that is why */
    expect(DISK, text);
}
END_TEST

/* Who has it is looked for among all processes. */
START_TEST(test_mounted_elsewhere) {
    add_sda();
    set_disk("sda1", -EBUSY, NULL, 0, 0);
    tree_link(&proc, "1/ns/mnt", "mnt:[1]");
    tree_link(&proc, "99999901/ns/mnt", "mnt:[1]");
    tree_file(&proc, "99999901/mountinfo", MOUNT_OF_PROC);
    tree_link(&proc, "99999902/ns/mnt", "mnt:[2]");
    tree_file(&proc, "99999902/mountinfo",
              MOUNT_OF_PROC "50 22 8:1 / /data rw - ext4 /dev/hidden rw\n");
    tree_link(&proc, "99999902/exe", "/usr/bin/a b");
    tree_folder(&proc, "99999903");
    expect(DISK, "mounted|sda1 is mounted in another mount namespace|"
                 "sda1 is mounted in another mount namespace, on /data for pid 99999902 (/usr/bin/a b)");
}
END_TEST

START_TEST(test_busy_whole) {
    add_sda();
    set_disk("sda", -EBUSY, NULL, 0, 0);
    expect_lines(DISK, 1);
    ck_assert_ptr_nonnull(strstr(answer, "use\t0\theld\tsda is held by something"));
}
END_TEST

START_TEST(test_can_not_be_opened) {
    add_sda();
    set_disk("sda2", -EACCES, NULL, 0, 0);
    expect(DISK, "held|whether sda2 is held could not be found out: Permission denied");
}
END_TEST

START_TEST(test_no_medium) {
    add_block(SDA, "8:0\n");
    set_disk("sda", -ENOMEDIUM, NULL, 0, 0);
    expect_free(DISK);
}
END_TEST

/* Without a node there is no knowing; a thing of that name is not opened. */
START_TEST(test_real_open) {
    const struct usage_host host = {.dev = dev.path};

    ck_assert_int_eq(usage_open_disk(&host, "sda", 8 << 8), -ENOENT);
    tree_file(&dev, "sda", "");
    ck_assert_int_eq(usage_open_disk(&host, "sda", 8 << 8), -ENOENT);
    tree_unlink(&dev, "sda");
    tree_link(&dev, "sda", "/dev/null");
    ck_assert_int_eq(usage_open_disk(&host, "sda", 8 << 8), -ENOENT);
}
END_TEST

START_TEST(test_data) {
    static const struct {
        const char *data;
        size_t size, offset;
        const char *text;
    } cases[] = {
        {"LUKS\xba\xbe\0\1", 8, 0, "data-on-disk|sda holds encrypted data (crypto_LUKS)"},
        {"-rom1fs-\0\0\2\0\0\0\0\0vol", 20, 0,
         "data-on-disk|sda holds a file system that is not mounted (romfs)"},
        {"\x80\1\1\0\x83\2\2\2\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x55\xaa", 66, 446,
         "data-on-disk|sda holds a partition table (dos)"},
    };

    add_block(SDA, "8:0\n");
    set_disk("sda", 0, cases[_i].data, cases[_i].size, cases[_i].offset);
    expect(DISK, cases[_i].text);
    tree_file(&sys, SDA "/size", "0\n");
    expect_free(DISK);
}
END_TEST

/* ---- Where they are */

/* The mounted disk belongs to the subsystem; below the controller is a path to it. */
START_TEST(test_nvme_multipath) {
    static const char head[] = "devices/virtual/nvme-subsystem/nvme-subsys3/nvme3n1";

    add_class(DISK "/nvme/nvme0/nvme3c0n1", "block", NULL);
    add_block(head, "259:0\n");
    add_partition("devices/virtual/nvme-subsystem/nvme-subsys3/nvme3n1/nvme3n1p1", "259:1\n");
    expect_free(DISK);
    set_mounts(MOUNT_ROOT("259:1"));
    expect(DISK, "mounted|nvme3n1p1 is mounted|nvme3n1p1 is mounted on /");
}
END_TEST

/* What is behind a bridge is there without the bridge's driver; what a driver has made is not. */
START_TEST(test_bridge) {
    static const char behind[] = NIC "/0000:01:00.0", made[] = NIC "/pci10000:e0/10000:e0:06.0";

    add_class(behind, "pci", NULL);
    add_block(NIC "/0000:01:00.0/virtio1/block/vda", "254:0\n");
    set_mounts(MOUNT_ROOT("254:0"));
    expect_free(NIC);
    expect(behind, "mounted|vda is mounted|vda is mounted on /");
    add_class(made, "pci", NULL);
    add_block(NIC "/pci10000:e0/10000:e0:06.0/nvme/nvme0/nvme0n1", "259:0\n");
    set_mounts(MOUNT_ROOT("259:0"));
    expect(NIC, "mounted|nvme0n1 is mounted|nvme0n1 is mounted on /");
}
END_TEST

START_TEST(test_deep) {
    char path[PATH_MAX] = DISK;

    for (int i = 0; i < USAGE_DEPTH_MAX + 1; i++)
        strcat(path, "/a");
    tree_folder(&sys, path);
    expect(DISK, "held|there is more below it than can be looked at");
}
END_TEST

/* ---- What can not be found out */

START_TEST(test_no_mounts) {
    add_sda();
    tree_unlink(&proc, "1/mountinfo");
    expect(DISK, "mounted|what is mounted could not be found out: No such file or directory");
    tree_file(&proc, "1/mountinfo", "");
    expect(DISK, "mounted|what is mounted could not be found out: No data available");
    expect_free(NIC);
}
END_TEST

START_TEST(test_no_swaps) {
    add_sda();
    tree_unlink(&proc, "swaps");
    expect_free(DISK);
    tree_folder(&proc, "swaps");
    ask(DISK);
    ck_assert_uint_eq(count_lines(), 1);
    ck_assert_ptr_nonnull(strstr(answer, "\tswap\twhat is swap space could not be found out: "));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("usage-disk");
    TCase *tests = tree_case("disk");

    tcase_add_checked_fixture(tests, usage_set_up, usage_tear_down);
    tcase_add_test(tests, test_free);
    tcase_add_test(tests, test_mounted);
    tcase_add_test(tests, test_whole_disk_mounted);
    tcase_add_test(tests, test_other_number);
    tcase_add_test(tests, test_mounted_more_than_once);
    tcase_add_test(tests, test_hostile_target);
    tcase_add_test(tests, test_swap);
    tcase_add_test(tests, test_btrfs);
    tcase_add_test(tests, test_bcachefs);
    tcase_add_test(tests, test_held);
    tcase_add_test(tests, test_two_levels);
    tcase_add_test(tests, test_partition_of_holder);
    tcase_add_test(tests, test_two_ways);
    tcase_add_test(tests, test_loop);
    tcase_add_test(tests, test_tall_stack);
    tcase_add_test(tests, test_many_holders);
    tcase_add_test(tests, test_busy);
    tcase_add_test(tests, test_mounted_elsewhere);
    tcase_add_test(tests, test_busy_whole);
    tcase_add_test(tests, test_can_not_be_opened);
    tcase_add_test(tests, test_no_medium);
    tcase_add_test(tests, test_real_open);
    tcase_add_loop_test(tests, test_data, 0, 3);
    tcase_add_test(tests, test_nvme_multipath);
    tcase_add_test(tests, test_bridge);
    tcase_add_test(tests, test_deep);
    tcase_add_test(tests, test_no_mounts);
    tcase_add_test(tests, test_no_swaps);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
