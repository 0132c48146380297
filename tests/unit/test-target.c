/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One model, and everything that a caller may write to mean a part of it. */
#include "model-test.h"

static struct model model;

/* Group 7: a NIC and its sibling; 8: a device of a name that is on two buses, both in it; 9 and 12:
 * the same, but in two groups; 10: a device whose name is a number; "lonely" is in no group. */
static void set_up(void) {
    model_init(&model);
    put_nic(&model, PCI("05.0"), "vfio-pci", 7);
    put_nic(&model, PCI("05.1"), NULL, 7);
    put_other(&model, "devices/platform/shared", "platform", NULL, 8);
    put_other(&model, "devices/amba/shared", "amba", NULL, 8);
    put_other(&model, "devices/platform/split", "platform", NULL, 9);
    put_other(&model, "devices/amba/split", "amba", NULL, 12);
    put_other(&model, "devices/platform/11", "platform", NULL, 10);
    put_other(&model, "devices/platform/7", "platform", NULL, 10);
    put_other(&model, "devices/platform/lonely", "platform", NULL, GROUP_NONE);
    put_other(&model, "devices/platform/twins", "platform", NULL, GROUP_NONE);
    put_other(&model, "devices/amba/twins", "amba", NULL, GROUP_NONE);
    put_other(&model, "devices/platform/half", "platform", NULL, 10);
    put_other(&model, "devices/amba/half", "amba", NULL, GROUP_NONE);
    put_other(&model, "devices/pci", "fsl-mc", NULL, 10);
    put_nic(&model, "devices/pci0000:00/0000:00:1c.0/0000:01:00.0", NULL, 4294967295);
}

static void tear_down(void) {
    model_done(&model);
}

/* What a target names: the path of a device, or NULL for a group as such; and the group. */
static const struct {
    const char *target, *path;
    int64_t group;
} found[] = {
    /* A group. */
    {"7", NULL, 7},
    {"10", NULL, 10},
    {"4294967295", NULL, 4294967295},
    {"/dev/vfio/7", NULL, 7},
    {"/dev/vfio/4294967295", NULL, 4294967295},
    {"/sys/kernel/iommu_groups/7", NULL, 7},
    /* A name. */
    {"0000:00:05.0", PCI("05.0"), 7},
    {"0000:00:05.1", PCI("05.1"), 7},
    {"0000:01:00.0", "devices/pci0000:00/0000:00:1c.0/0000:01:00.0", 4294967295},
    {"lonely", "devices/platform/lonely", GROUP_NONE},
    {"11", "devices/platform/11", 10}, /* there is no group 11 */
    {"pci", "devices/pci", 10},
    /* A name on a bus. */
    {"pci/0000:00:05.0", PCI("05.0"), 7},
    {"platform/split", "devices/platform/split", 9},
    {"amba/split", "devices/amba/split", 12},
    {"platform/shared", "devices/platform/shared", 8},
    {"amba/shared", "devices/amba/shared", 8},
    {"platform/twins", "devices/platform/twins", GROUP_NONE},
    {"amba/half", "devices/amba/half", GROUP_NONE},
    {"platform/7", "devices/platform/7", 10}, /* where the number alone is the group */
    {"fsl-mc/pci", "devices/pci", 10},
    /* A path of sysfs. */
    {"/sys/" PCI("05.0"), PCI("05.0"), 7},
    {"/sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0",
     "devices/pci0000:00/0000:00:1c.0/0000:01:00.0", 4294967295},
    {"/sys/devices/platform/7", "devices/platform/7", 10},
    {"/sys/devices/amba/twins", "devices/amba/twins", GROUP_NONE},
    {"/sys/bus/pci/devices/0000:00:05.1", PCI("05.1"), 7},
    {"/sys/bus/amba/devices/split", "devices/amba/split", 12},
};

static void assert_found_case(size_t n) {
    struct group *group = (struct group *)&model;
    struct device *device = (struct device *)&model;

    ck_assert_msg(model_find_target(&model, found[n].target, &group, &device) == TARGET_FOUND,
                  "\"%s\" was not found", found[n].target);
    ck_assert_ptr_eq(device, found[n].path ? model_device(&model, found[n].path) : NULL);
    ck_assert(!found[n].path || device);
    if (found[n].group == GROUP_NONE)
        ck_assert_ptr_null(group);
    else
        ck_assert_ptr_eq(group, model_group(&model, (uint32_t)found[n].group));
    ck_assert(found[n].group == GROUP_NONE || group);
}

START_TEST(test_found) {
    for (size_t n = 0; n < ELEMENTS_OF(found); n++)
        assert_found_case(n);
}
END_TEST

/* One name in one group is not ambiguous, whichever device it stands for. */
START_TEST(test_shared_name) {
    struct group *group;
    struct device *device;

    ck_assert_int_eq(model_find_target(&model, "shared", &group, &device), TARGET_FOUND);
    ck_assert_uint_eq(group->id, 8);
    ck_assert_str_eq(device->name, "shared");
}
END_TEST

static const char *const ambiguous[] = {"split", "twins", "half"};

START_TEST(test_ambiguous) {
    struct group *group = (struct group *)&model;
    struct device *device = (struct device *)&model;

    ck_assert_int_eq(model_find_target(&model, ambiguous[_i], &group, &device), TARGET_AMBIGUOUS);
    ck_assert_ptr_eq(group, &model);
    ck_assert_ptr_eq(device, &model);
}
END_TEST

static const char *const unknown[] = {
    "", " ", "/", "//", ".", "..",
    /* Numbers that are none, and groups that are not there. */
    "0", "99", "07", "+7", "-7", " 7", "7 ", "7\n", "0x7", "7.0", "4294967303",
    "18446744073709551623",
    "99999999999999999999999999999999",
    "/dev/vfio/", "/dev/vfio/vfio", "/dev/vfio/99", "/dev/vfio/07", "/dev/vfio/7/",
    "/dev/vfio//7", "/dev/vfio/noiommu-7", "/dev/vfio/devices/vfio0", "/dev/vfio", "dev/vfio/7",
    "/dev/../dev/vfio/7", "/dev/vfio/11",
    "/sys/kernel/iommu_groups/", "/sys/kernel/iommu_groups/99", "/sys/kernel/iommu_groups/7/",
    "/sys/kernel/iommu_groups/07", "/sys/kernel/iommu_groups",
    /* Names that are only nearly one. */
    "0000:00:05", "0000:00:05.", "0000:00:05.00", "000:00:05.0", "00:05.0", "0000:00:05.0 ",
    "0000:00:05.0\n", "0000:00:05.2", "LONELY", "lonel", "lonely2", "*", "0000:00:05.*",
    /* The wrong bus, no bus, too many. */
    "platform/0000:00:05.0", "pc/0000:00:05.0", "pcie/0000:00:05.0", "PCI/0000:00:05.0",
    "/0000:00:05.0", "pci//0000:00:05.0", "pci/", "pci/0000:00:05.0/", "a/pci/0000:00:05.0",
    "amba/lonely", "/lonely", "platform/", "platform/99",
    /* Paths: text, so nothing is normalised. */
    "/sys", "/sys/", "/sys/devices", "/sys/devices/", "/sys/devices/pci0000:00",
    "/sys/" PCI("05.0") "/", "/sys//" PCI("05.0"), "/sys/./" PCI("05.0"), PCI("05.0"),
    "/" PCI("05.0"),
    "/sys/" PCI("05.0") "/../0000:00:05.1", "/sys/devices/platform/../platform/lonely",
    "/sys/" PCI("05.0") "/driver", "/sys/devices/platform/LONELY",
    "/sys/bus", "/sys/bus/", "/sys/bus/pci", "/sys/bus/pci/", "/sys/bus/pci/devices",
    "/sys/bus/pci/devices/", "/sys/bus/pci/devices/0000:00:05.0/",
    "/sys/bus/pci/drivers/vfio-pci/0000:00:05.0", "/sys/bus/platform/devices/0000:00:05.0",
    "/sys/bus/pc/devices/0000:00:05.0", "/sys/bus//devices/0000:00:05.0",
    "/sys/bus/pci/device/0000:00:05.0", "/sys/class/net/eth0",
    "\xff\xfe", "\x1b[31m", "%s%n",
};

static void assert_unknown_case(size_t n) {
    struct group *group = (struct group *)&model;
    struct device *device = (struct device *)&model;

    ck_assert_msg(model_find_target(&model, unknown[n], &group, &device) == TARGET_UNKNOWN,
                  "\"%s\" was taken for something", unknown[n]);
    ck_assert_ptr_eq(group, &model);
    ck_assert_ptr_eq(device, &model);
}

START_TEST(test_unknown) {
    for (size_t n = 0; n < ELEMENTS_OF(unknown); n++)
        assert_unknown_case(n);
}
END_TEST

/* A megabyte of one character behind each beginning that a target can have. */
START_TEST(test_very_long) {
    static const char *const beginnings[] = {
        "", "7", "pci/", "/sys/", "/sys/bus/", "/sys/bus/pci/devices/", "/dev/vfio/",
        "/sys/kernel/iommu_groups/", "0000:00:05.0", "lonely",
    };
    static const char fillings[] = "70a/.-\n";
    const size_t size = 1024 * 1024;
    struct group *group = NULL;
    struct device *device = NULL;
    _cleanup_(freep) char *target = malloc(size + 1);

    memset(target, fillings[_i], size);
    target[size] = 0;
    for (size_t i = 0; i < ELEMENTS_OF(beginnings); i++) {
        memcpy(target, beginnings[i], strlen(beginnings[i]));
        ck_assert_int_eq(model_find_target(&model, target, &group, &device), TARGET_UNKNOWN);
        memset(target, fillings[_i], strlen(beginnings[i]));
    }
}
END_TEST

/* A target stops naming what is gone, at once. */
START_TEST(test_gone) {
    struct group *group;
    struct device *device;

    model_remove_device(&model, model_device(&model, "devices/amba/split"));
    ck_assert_int_eq(model_find_target(&model, "split", &group, &device), TARGET_FOUND);
    ck_assert_uint_eq(group->id, 9);
    model_remove_device(&model, model_device(&model, PCI("05.0")));
    ck_assert_int_eq(model_find_target(&model, "0000:00:05.0", &group, &device), TARGET_UNKNOWN);
    ck_assert_int_eq(model_find_target(&model, "7", &group, &device), TARGET_FOUND);
    model_remove_device(&model, model_device(&model, PCI("05.1")));
    ck_assert_int_eq(model_find_target(&model, "/dev/vfio/7", &group, &device), TARGET_UNKNOWN);
    /* Without the group, the number is a name. */
    ck_assert_int_eq(model_find_target(&model, "7", &group, &device), TARGET_FOUND);
    ck_assert_str_eq(device->path, "devices/platform/7");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("target");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_found);
    tcase_add_test(all, test_shared_name);
    tcase_add_loop_test(all, test_ambiguous, 0, ELEMENTS_OF(ambiguous));
    tcase_add_test(all, test_unknown);
    tcase_add_loop_test(all, test_very_long, 0, 7);
    tcase_add_test(all, test_gone);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
