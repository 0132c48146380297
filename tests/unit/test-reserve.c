/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dmaownd --reserve-device on a tree that stands for sysfs. */
#include "reserve-fixture.h"

/* The group's other member is seen to in the same run, the port above is none of its business. */
START_TEST(test_group) {
    _cleanup_(freep) char *marker = NULL, *wanted = NULL;

    set_policy(RULE(NICS, ""));
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_reserved(NIC);
    expect_reserved(SIBLING);
    ck_assert_str_eq(line_of(at(PORT, "driver_override")), "(null)");
    wanted = string_format("%s\n\n" HOST NIC "\n", boot_id);
    ck_assert_int_eq(file_read(tree.fd, "state/reserved-" NIC, 1000, &marker, NULL), 0);
    ck_assert_str_eq(marker, wanted);
    struct stat status;
    ck_assert_int_eq(fstatat(tree.fd, "state", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
}
END_TEST

/* Later only the device that was added is looked at. */
START_TEST(test_later_device) {
    set_policy(RULE("{\"product\":\"0xffff\"}", ""));
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    ck_assert_str_eq(line_of("state/reserve-scan"), boot_id);
    expect_untouched(NIC);
    set_policy(RULE(NICS, ""));
    ck_assert_int_eq(reserve("/" HOST SIBLING), 0);
    expect_untouched(NIC);
    expect_reserved(SIBLING);
    /* It joins a group that is reserved already. */
    ck_assert_int_eq(reserve(HOST NIC), 0);
    expect_reserved(NIC);
    /* The mark of another boot is none. */
    tree_file(&tree, "state/reserve-scan", "01234567-89ab-cdef-0123-456789abcdef\n\n\n");
    tree_unlink(&tree, at(NIC, "driver"));
    tree_unlink(&tree, at(SIBLING, "driver"));
    ck_assert_int_eq(reserve("/" HOST SIBLING), 0);
    expect_reserved(NIC);
}
END_TEST

START_TEST(test_not_the_whole_group) {
    set_policy(RULE("{\"name\":\"" NIC "\"}", ""));
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
    expect_untouched(SIBLING);
    /* A bridge with a driver of its own is a member like others. */
    set_policy(RULE(NICS, ""));
    tree_unlink(&tree, at(PORT, "driver"));
    give_driver(PORT, "shpchp");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
}
END_TEST

/* What a host driver has is the daemon's matter, which looks whether it is in use. */
START_TEST(test_host_driver) {
    set_policy(RULE(NICS, ""));
    give_driver(SIBLING, "e1000e");
    ck_assert_int_eq(reserve("/" HOST SIBLING), 0);
    expect_untouched(NIC);
    ck_assert_str_eq(line_of(at(SIBLING, "driver_override")), "(null)");
    /* A driver that hands a device to userspace is none. */
    tree_unlink(&tree, at(SIBLING, "driver"));
    give_driver(SIBLING, "pci-stub");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_reserved(NIC);
}
END_TEST

static const char *const nothing[] = {
    "{\"version\":1,\"rules\":[]}",
    "{\"version\":1,\"rules\":[{\"name\":\"a\",\"effect\":\"allow\",\"match\":{}}]}",
    "no JSON",
};

/* No policy that could reserve anything: nothing is even opened. */
START_TEST(test_nothing_to_do) {
    set_policy(nothing[_i]);
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    ck_assert(!exists("state"));
    expect_untouched(NIC);
    tree_unlink(&tree, "etc/policy.json");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    ck_assert(!exists("state"));
}
END_TEST

START_TEST(test_faulty_policy) {
    set_policy(RULE(NICS, ",\"no-such-key\":true"));
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
    ck_assert(!exists("state"));
    /* One without "reserve" spoils the whole. */
    set_policy(RULE(NICS, ""));
    tree_file(&tree, "etc/policy.d/bad.json", "{");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
}
END_TEST

START_TEST(test_drop_in) {
    tree_file(&tree, "etc/policy.d/nics.json", RULE(NICS, ""));
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_reserved(NIC);
}
END_TEST

/* The user database need not be there. */
START_TEST(test_unknown_names) {
    set_policy("{\"version\":1,\"rules\":["
               "{\"name\":\"no\",\"effect\":\"deny\",\"match\":" NICS ","
               "\"subjects\":{\"users\":[\"no-such-a\"]}},"
               "{\"name\":\"yes\",\"effect\":\"allow\",\"match\":" NICS ",\"reserve\":true,"
               "\"subjects\":{\"users\":[\"no-such-b\"],\"groups\":[\"no-such-a\"]}}]}");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_reserved(NIC);
    tree_unlink(&tree, at(NIC, "driver"));
    tree_file(&tree, at(NIC, "driver_override"), "(null)\n");
    tree_unlink(&tree, "state/reserved-" NIC);
    /* The same who is denied before. */
    set_policy("{\"version\":1,\"rules\":["
               "{\"name\":\"no\",\"effect\":\"deny\",\"match\":{\"bus\":\"pci\"},\"subjects\":"
               "{\"users\":[\"no-such-a\",\"no-such-b\"]}},"
               "{\"name\":\"yes\",\"effect\":\"allow\",\"match\":{\"vendor\":\"0x8086\"},\"reserve\":true,"
               "\"subjects\":{\"users\":[\"no-such-b\"]}}]}");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
}
END_TEST

START_TEST(test_others_override) {
    set_policy(RULE(NICS, ""));
    tree_file(&tree, at(NIC, "driver_override"), "dmaownd-held\n");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    ck_assert_str_eq(line_of(at(NIC, "driver_override")), "dmaownd-held");
    ck_assert(!exists("state/reserved-" NIC));
    expect_reserved(SIBLING);
}
END_TEST

START_TEST(test_module_fails) {
    set_policy(RULE(NICS, ""));
    load_result = -ENOEXEC;
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    ck_assert(!exists(at(NIC, "driver")));
    ck_assert_str_eq(line_of(at(NIC, "driver_override")), ""); /* cleared */
    ck_assert(!exists("state/reserved-" NIC));
    /* Whoever would have had it is asked for again. */
    ck_assert_ptr_nonnull(strstr(line_of("sys/bus/pci/drivers_probe"), "0000:00:05."));
}
END_TEST

START_TEST(test_module_blacklisted) {
    set_policy(RULE(NICS, ""));
    tree_file(&tree, "modprobe.d/test.conf", "blacklist vfio_pci\n");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
    ck_assert_str_eq(line_of("sys/bus/pci/drivers_probe"), "");
}
END_TEST

/* A driver that is there and does not take the device. */
START_TEST(test_driver_refuses) {
    set_policy(RULE(NICS, ""));
    tree_folder(&tree, "sys/module/vfio_pci");
    tree_file(&tree, "sys/bus/pci/drivers/vfio-pci/bind", "");
    tree_file(&tree, "sys/bus/pci/drivers/vfio-pci/unbind", "");
    bind_result = -EINVAL;
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    ck_assert(!exists(at(NIC, "driver")));
    ck_assert_str_eq(line_of(at(NIC, "driver_override")), "");
    ck_assert(!exists("state/reserved-" NIC));
}
END_TEST

static void make_pf(void) {
    add(PF, NIC_ALIAS, "8");
    give_driver(PF, "ixgbe");
    tree_file(&tree, at(PF, "sriov_vf_device"), "10ed\n");
    tree_file(&tree, at(PF, "sriov_drivers_autoprobe"), "1\n");
}

START_TEST(test_virtual_functions) {
    set_policy(RULE("{\"vendor\":\"0x8086\",\"product\":\"0x10ed\",\"class\":\"0x02****\"}", ""));
    make_pf();
    ck_assert_int_eq(reserve("/" HOST PF), 0);
    ck_assert_str_eq(line_of(at(PF, "sriov_drivers_autoprobe")), "0");
    ck_assert_str_eq(line_of("state/autoprobe-" PF), boot_id);
    expect_untouched(NIC);
    /* Once is enough. */
    tree_unlink(&tree, "state/autoprobe-" PF);
    ck_assert_int_eq(reserve("/" HOST PF), 0);
    ck_assert(!exists("state/autoprobe-" PF));
}
END_TEST

START_TEST(test_other_virtual_functions) {
    set_policy(RULE("{\"vendor\":\"0x8086\",\"product\":\"0x10d3\"}", ""));
    make_pf();
    ck_assert_int_eq(reserve("/" HOST PF), 0);
    ck_assert_str_eq(line_of(at(PF, "sriov_drivers_autoprobe")), "1");
    ck_assert(!exists("state/autoprobe-" PF));
    /* Their subsystem can not be known yet. */
    set_policy(RULE("{\"product\":\"0x10ed\",\"subsystem_vendor\":\"0x8086\"}", ""));
    ck_assert_int_eq(reserve("/" HOST PF), 0);
    ck_assert_str_eq(line_of(at(PF, "sriov_drivers_autoprobe")), "1");
}
END_TEST

static const char *const vf_patterns[] = {
    "{\"name\":\"0000:00:16.4\"}",
    "{\"path\":\"/sys/" HOST "0000:00:16.[2-6]\"}",
};

/* Where they will be can be told: from 10.0 on, every second number. */
START_TEST(test_places_of_virtual_functions) {
    set_policy(RULE("{\"name\":\"0000:00:1[01].1\"}", ""));
    make_pf();
    tree_file(&tree, at(PF, "sriov_offset"), "80\n");
    tree_file(&tree, at(PF, "sriov_stride"), "2\n");
    tree_file(&tree, at(PF, "sriov_totalvfs"), "63\n");
    ck_assert_int_eq(reserve("/" HOST PF), 0);
    ck_assert_str_eq(line_of(at(PF, "sriov_drivers_autoprobe")), "1");
    set_policy(RULE("{\"name\":\"" PF "\"}", ""));
    ck_assert_int_eq(reserve("/" HOST PF), 0);
    ck_assert_str_eq(line_of(at(PF, "sriov_drivers_autoprobe")), "1");
    _cleanup_(freep) char *policy = string_format(RULE("%s", ""), vf_patterns[_i]);
    set_policy(policy);
    ck_assert_int_eq(reserve("/" HOST PF), 0);
    ck_assert_str_eq(line_of(at(PF, "sriov_drivers_autoprobe")), "0");
}
END_TEST

/* Groups that form when a driver probes. */
static void leave_group(void) {
    tree_unlink(&tree, at(NIC, "iommu_group"));
    tree_unlink(&tree, "sys/kernel/iommu_groups/7/devices/" NIC);
}

START_TEST(test_without_iommu) {
    set_policy(RULE(NICS, ""));
    leave_group();
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
}
END_TEST

START_TEST(test_late_group) {
    set_policy(RULE(NICS, ""));
    leave_group();
    tree_folder(&tree, "sys/class/iommu/dmar0");
    late_group = "7";
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_reserved(NIC);
    expect_reserved(SIBLING);
}
END_TEST

/* In the group that it gets is one that policy does not reserve. */
START_TEST(test_late_group_is_wrong) {
    set_policy(RULE(NICS, ""));
    leave_group();
    tree_folder(&tree, "sys/class/iommu/dmar0");
    add("0000:00:07.0", "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00\n", "9");
    late_group = "9";
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    ck_assert_str_eq(line_of("sys/bus/pci/drivers/vfio-pci/unbind"), NIC);
    ck_assert_str_eq(line_of(at(NIC, "driver_override")), "");
    ck_assert(!exists("state/reserved-" NIC));
}
END_TEST

START_TEST(test_leased_group) {
    const char *top = getenv("top_srcdir") ?: "../..";
    _cleanup_(freep) char *file = string_format("%s/tests/fuzz/corpus/state/active", top);
    _cleanup_(freep) char *lease = NULL;

    set_policy(RULE(NICS, ""));
    ck_assert_int_eq(file_read(AT_FDCWD, file, 100000, &lease, NULL), 0);
    char *boot = strstr(lease, "01234567-89ab-cdef-0123-456789abcdef");
    ck_assert_ptr_nonnull(boot);
    memcpy(boot, boot_id, 36);
    tree_file(&tree, "state/lease-12.json", lease);
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
}
END_TEST

START_TEST(test_boot_display) {
    set_policy(RULE(NICS, ""));
    tree_folder(&tree, "sys/devices/platform/efi-framebuffer.0/driver");
    tree_file(&tree, at(NIC, "boot_vga"), "1\n");
    tree_file(&tree, at(NIC, "modalias"), "pci:v00008086d000010D3sv00008086sd00000000bc03sc00i00\n");
    ck_assert_int_eq(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
}
END_TEST

START_TEST(test_paths) {
    set_policy(RULE(NICS, ""));
    ck_assert_int_eq(reserve(""), -EINVAL);
    ck_assert_int_eq(reserve("/sys/" HOST NIC), -EINVAL);
    ck_assert_int_eq(reserve("bus/pci/devices/" NIC), -EINVAL);
    /* One that has gone again, and one that leads elsewhere. */
    ck_assert_int_eq(reserve("/" HOST "0000:00:1f.0"), 0);
    ck_assert_int_eq(reserve("/devices/../../etc"), 0);
}
END_TEST

/* A state folder that somebody else could have made. */
START_TEST(test_state_folder) {
    set_policy(RULE(NICS, ""));
    tree_link(&tree, "state", "/tmp");
    ck_assert_int_lt(reserve("/" HOST NIC), 0);
    expect_untouched(NIC);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reserve");
    TCase *tests = tree_case("reserve");

    tcase_add_unchecked_fixture(tests, make_modules, remove_modules);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_group);
    tcase_add_test(tests, test_later_device);
    tcase_add_test(tests, test_not_the_whole_group);
    tcase_add_test(tests, test_host_driver);
    tcase_add_loop_test(tests, test_nothing_to_do, 0, (int)ELEMENTS_OF(nothing));
    tcase_add_test(tests, test_faulty_policy);
    tcase_add_test(tests, test_drop_in);
    tcase_add_test(tests, test_unknown_names);
    tcase_add_test(tests, test_others_override);
    tcase_add_test(tests, test_module_fails);
    tcase_add_test(tests, test_module_blacklisted);
    tcase_add_test(tests, test_driver_refuses);
    tcase_add_test(tests, test_virtual_functions);
    tcase_add_test(tests, test_other_virtual_functions);
    tcase_add_loop_test(tests, test_places_of_virtual_functions, 0, (int)ELEMENTS_OF(vf_patterns));
    tcase_add_test(tests, test_without_iommu);
    tcase_add_test(tests, test_late_group);
    tcase_add_test(tests, test_late_group_is_wrong);
    tcase_add_test(tests, test_leased_group);
    tcase_add_test(tests, test_boot_display);
    tcase_add_test(tests, test_paths);
    tcase_add_test(tests, test_state_folder);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
