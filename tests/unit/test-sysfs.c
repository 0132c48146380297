/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/sysfs.h"

#include <errno.h>

#include "kernel/path.h"
#include "util/string.h"

#include "tree.h"

#define NIC "devices/pci0000:00/0000:00:05.0"
#define NIC_MODALIAS "pci:v00008086d000010D3sv00001AF4sd00001100bc02sc00i00\n"
#define UART "devices/platform/soc/4000000.serial"

static struct tree sys;
static struct device_reading reading;

/* A NIC with driver in group 7, reached in all the ways that sysfs has. */
static void add_nic(void) {
    tree_file(&sys, NIC "/modalias", NIC_MODALIAS);
    tree_file(&sys, NIC "/numa_node", "1\n");
    tree_file(&sys, NIC "/removable", "fixed\n");
    tree_file(&sys, NIC "/reset_method", "flr bus\n");
    tree_link(&sys, NIC "/subsystem", "../../../bus/pci");
    tree_link(&sys, NIC "/driver", "../../../bus/pci/drivers/e1000e");
    tree_link(&sys, NIC "/iommu_group", "../../../kernel/iommu_groups/7");
    tree_link(&sys, "bus/pci/devices/0000:00:05.0", "../../../" NIC);
    tree_link(&sys, "kernel/iommu_groups/7/devices/0000:00:05.0", "../../../../" NIC);
    tree_file(&sys, "kernel/iommu_groups/7/type", "DMA-FQ\n");
}

static void add_uart(void) {
    static const char compatible[] = "arm,pl011\0arm,primecell";

    tree_file(&sys, UART "/modalias", "of:NserialT(null)Carm,pl011Carm,primecell\n");
    tree_link(&sys, UART "/subsystem", "../../../../bus/platform");
    tree_link(&sys, UART "/of_node", "../../../../firmware/devicetree/base/soc/serial");
    tree_data(&sys, "firmware/devicetree/base/soc/serial/compatible", compatible,
              sizeof(compatible));
    tree_link(&sys, "bus/platform/devices/4000000.serial", "../../../" UART);
}

static void set_up(void) {
    tree_begin(&sys);
    add_nic();
    add_uart();
}

static void tear_down(void) {
    tree_end(&sys);
}

static void relink(const char *path, const char *target) {
    tree_unlink(&sys, path);
    tree_link(&sys, path, target);
}

START_TEST(test_pci_device) {
    const struct device_facts *facts = &reading.facts;

    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert_str_eq(facts->path, NIC);
    ck_assert_str_eq(facts->bus, "pci");
    ck_assert_str_eq(facts->driver, "e1000e");
    ck_assert_str_eq(facts->modalias, "pci:v00008086d000010D3sv00001AF4sd00001100bc02sc00i00");
    ck_assert_ptr_null(facts->vfio_device);
    ck_assert_ptr_null(facts->compatible);
    ck_assert_str_eq(facts->removable, "fixed");
    ck_assert_str_eq(facts->reset_methods, "flr bus");
    ck_assert_int_eq(facts->group, 7);
    ck_assert_int_eq(facts->numa_node, 1);
    ck_assert(facts->has_ids);
    ck_assert_uint_eq(facts->vendor, 0x8086);
    ck_assert_uint_eq(facts->product, 0x10d3);
    ck_assert_uint_eq(facts->subsystem_vendor, 0x1af4);
    ck_assert_uint_eq(facts->subsystem_product, 0x1100);
    ck_assert_uint_eq(facts->class, 0x020000);
}
END_TEST

START_TEST(test_platform_device) {
    const struct device_facts *facts = &reading.facts;

    ck_assert_int_eq(sysfs_read_device(sys.fd, UART, &reading), 0);
    ck_assert_str_eq(facts->bus, "platform");
    ck_assert_ptr_null(facts->driver);
    ck_assert_ptr_null(facts->removable);
    ck_assert_str_eq(facts->reset_methods, "");
    ck_assert_int_eq(facts->group, GROUP_NONE);
    ck_assert_int_eq(facts->numa_node, -1);
    ck_assert(!facts->has_ids);
    ck_assert_str_eq(facts->compatible[0], "arm,pl011");
    ck_assert_str_eq(facts->compatible[1], "arm,primecell");
    ck_assert_ptr_null(facts->compatible[2]);
    ck_assert(!facts->has_msi_parent);
    tree_data(&sys, "firmware/devicetree/base/soc/serial/msi-parent", "\0\0\0\1", 4);
    ck_assert_int_eq(sysfs_read_device(sys.fd, UART, &reading), 0);
    ck_assert(facts->has_msi_parent);
}
END_TEST

static const char *const ways[] = {
    NIC,
    "/devices/pci0000:00/0000:00:05.0",
    "devices//pci0000:00/./0000:00:05.0/",
    "bus/pci/devices/0000:00:05.0",
    "bus/pci/devices/../devices/0000:00:05.0",
    "kernel/iommu_groups/7/devices/0000:00:05.0",
};

START_TEST(test_ways_to_a_device) {
    int r = sysfs_read_device(sys.fd, ways[_i], &reading);

    if (ways[_i][0] == '/') {
        ck_assert_int_eq(r, -EXDEV);
        return;
    }
    ck_assert_int_eq(r, 0);
    ck_assert_str_eq(reading.facts.path, NIC);
}
END_TEST

START_TEST(test_missing_device) {
    tree_link(&sys, "bus/pci/devices/0000:00:06.0", "../../../devices/pci0000:00/0000:00:06.0");
    tree_link(&sys, "bus/pci/devices/outside", "../../../../../../etc");
    tree_link(&sys, "bus/pci/devices/absolute", "/etc");
    ck_assert_int_eq(sysfs_read_device(sys.fd, "devices/none", &reading), -ENOENT);
    ck_assert_int_eq(sysfs_read_device(sys.fd, "bus/pci/devices/none", &reading), -ENOENT);
    ck_assert_int_eq(sysfs_read_device(sys.fd, "bus/pci/devices/0000:00:06.0", &reading), -ENOENT);
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC "/modalias", &reading), -ENOENT);
    ck_assert_int_eq(sysfs_read_device(sys.fd, "bus/pci/devices/outside", &reading), -EXDEV);
    ck_assert_int_eq(sysfs_read_device(sys.fd, "bus/pci/devices/absolute", &reading), -EXDEV);
    ck_assert_int_eq(sysfs_read_device(sys.fd, "../etc", &reading), -EXDEV);
}
END_TEST

/* The link "subsystem" is the first that goes: without it what was read is of half a device. */
START_TEST(test_device_goes_while_read) {
    tree_unlink(&sys, NIC "/subsystem");
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), -ENOENT);
}
END_TEST

static const char *const no_groups[] = {
    "../../../kernel/iommu_groups/8", /* dangling */
    "../../../kernel/iommu_groups/x",
    "../../../kernel/iommu_groups/07",
    "../../../kernel/iommu_groups/-1",
    "../../../kernel/iommu_groups/99999999999",
    "../../../kernel/iommu_groups/",
    "../../../kernel/other/7",
    "7",
    "/",
};

START_TEST(test_link_to_no_group) {
    relink(NIC "/iommu_group", no_groups[_i]);
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert_int_eq(reading.facts.group, GROUP_NONE);
}
END_TEST

static const struct {
    const char *target, *driver;
} drivers[] = {
    {"../../../bus/pci/drivers/a driver: \"odd\"", "a driver: \"odd\""},
    {"../../../bus/pci/drivers/caf\xc3\xa9", "caf\xc3\xa9"},
    {"../../../bus/pci/drivers/bell\a\n", "bell??"},
    {"../../../bus/pci/drivers/\xff", "?"},
    {"vfio-pci", "vfio-pci"},
    {"../../../bus/pci/drivers/", "?"},
};

START_TEST(test_odd_driver) {
    relink(NIC "/driver", drivers[_i].target);
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert_str_eq(reading.facts.driver, drivers[_i].driver);
}
END_TEST

START_TEST(test_physfn) {
    tree_link(&sys, NIC "/physfn", "../0000:00:04.0");
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert_str_eq(reading.facts.physfn, "devices/pci0000:00/0000:00:04.0");
    relink(NIC "/physfn", "../../../"); /* the root: no device */
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert_ptr_null(reading.facts.physfn);
    relink(NIC "/physfn", "../../../../etc");
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), -EXDEV);
}
END_TEST

/* What stands where the link should be is not taken for "no driver". */
START_TEST(test_driver_that_is_no_link) {
    char target[3000];

    tree_unlink(&sys, NIC "/driver");
    tree_file(&sys, NIC "/driver", "");
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert_str_eq(reading.facts.driver, "?");
    memset(target, 'x', sizeof(target) - 1);
    target[sizeof(target) - 1] = 0;
    relink(NIC "/driver", target);
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert_uint_eq(strlen(reading.facts.driver), sizeof(reading.driver) - 1);
}
END_TEST

static const char *const no_ids[] = {
    "", "pci:", "pci:v00008086", "pci:v0000808Gd000010D3sv00001AF4sd00001100bc02sc00i00",
    "pci:v00008086d000010D3sv00001AF4sd00001100bc02sc00i0", "usb:v8086",
};

START_TEST(test_modalias_without_ids) {
    tree_file(&sys, NIC "/modalias", no_ids[_i]);
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    ck_assert(!reading.facts.has_ids);
    ck_assert_str_eq(reading.facts.modalias, no_ids[_i]);
}
END_TEST

START_TEST(test_long_attributes) {
    char text[8192];

    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 0;
    tree_file(&sys, UART "/modalias", text);
    tree_data(&sys, "firmware/devicetree/base/soc/serial/compatible", text, sizeof(text));
    ck_assert_int_eq(sysfs_read_device(sys.fd, UART, &reading), 0);
    ck_assert_str_eq(reading.facts.modalias, "");
    ck_assert_uint_eq(strlen(reading.facts.compatible[0]), sizeof(reading.compatible_text) - 1);
    ck_assert_ptr_null(reading.facts.compatible[1]);
}
END_TEST

START_TEST(test_many_compatible) {
    char text[200];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? 0 : 'c';
    tree_data(&sys, "firmware/devicetree/base/soc/serial/compatible", text, sizeof(text));
    ck_assert_int_eq(sysfs_read_device(sys.fd, UART, &reading), 0);
    ck_assert_uint_eq(strings_length((char *const *)reading.facts.compatible), 32);
}
END_TEST

START_TEST(test_refresh) {
    ck_assert_int_eq(sysfs_read_device(sys.fd, NIC, &reading), 0);
    relink(NIC "/driver", "../../../bus/pci/drivers/vfio-pci");
    tree_folder(&sys, NIC "/vfio-dev/vfio3");
    tree_file(&sys, NIC "/reset_method", "pm\n");
    tree_unlink(&sys, NIC "/iommu_group");
    ck_assert_int_eq(sysfs_refresh_device(sys.fd, &reading), 0);
    ck_assert_str_eq(reading.facts.driver, "vfio-pci");
    ck_assert_str_eq(reading.facts.vfio_device, "vfio3");
    ck_assert_str_eq(reading.facts.reset_methods, "pm");
    ck_assert_int_eq(reading.facts.group, GROUP_NONE);
    tree_unlink(&sys, NIC "/driver");
    ck_assert_int_eq(sysfs_refresh_device(sys.fd, &reading), 0);
    ck_assert_ptr_null(reading.facts.driver);
    ck_assert_ptr_null(reading.facts.vfio_device);
    ck_assert_uint_eq(reading.facts.vendor, 0x8086);
    tree_unlink(&sys, NIC "/subsystem");
    ck_assert_int_eq(sysfs_refresh_device(sys.fd, &reading), -ENOENT);
}
END_TEST

START_TEST(test_group) {
    struct group_facts facts;

    ck_assert_int_eq(sysfs_read_group(sys.fd, 8, &facts), -ENOENT);
    ck_assert_int_eq(sysfs_read_group(sys.fd, 7, &facts), 0);
    ck_assert_str_eq(facts.type, "DMA-FQ");
    ck_assert(!facts.direct_region);
    tree_file(&sys, "kernel/iommu_groups/7/reserved_regions",
              "0x00000000fee00000 0x00000000feefffff msi\n"
              "0x0000000000001000 0x0000000000001fff direct-relaxable\n");
    ck_assert_int_eq(sysfs_read_group(sys.fd, 7, &facts), 0);
    ck_assert(!facts.direct_region);
    tree_file(&sys, "kernel/iommu_groups/7/reserved_regions",
              "0x00000000fee00000 0x00000000feefffff msi\n"
              "0x0000000000001000 0x0000000000001fff direct\n");
    tree_file(&sys, "kernel/iommu_groups/7/type", "a type that no kernel has ever had\n");
    ck_assert_int_eq(sysfs_read_group(sys.fd, 7, &facts), 0);
    ck_assert(facts.direct_region);
    ck_assert_str_eq(facts.type, "");
}
END_TEST

struct listing {
    unsigned n, stop_at;
    char last[PATH_MAX];
    uint64_t numbers;
};

static int take_path(const char *path, void *userdata) {
    struct listing *listing = userdata;

    snprintf(listing->last, sizeof(listing->last), "%s", path);
    return ++listing->n == listing->stop_at ? -ECANCELED : 0;
}

static int take_group(uint32_t id, void *userdata) {
    struct listing *listing = userdata;

    listing->n++;
    listing->numbers |= UINT64_C(1) << id;
    return 0;
}

START_TEST(test_members) {
    struct listing listing = {};

    ck_assert_int_eq(sysfs_list_members(sys.fd, 8, take_path, &listing), -ENOENT);
    ck_assert_int_eq(sysfs_list_members(sys.fd, 7, take_path, &listing), 0);
    ck_assert_uint_eq(listing.n, 1);
    ck_assert_str_eq(listing.last, NIC);
    /* A second device of the same name on another bus gets a suffix; the link tells. */
    tree_unlink(&sys, "kernel/iommu_groups/7/devices/0000:00:05.0");
    tree_link(&sys, "kernel/iommu_groups/7/devices/4000000.serial.1", "../../../../" UART);
    tree_link(&sys, "kernel/iommu_groups/7/devices/outside", "../../../../../../etc");
    tree_file(&sys, "kernel/iommu_groups/7/devices/file", "");
    listing.n = 0;
    ck_assert_int_eq(sysfs_list_members(sys.fd, 7, take_path, &listing), 0);
    ck_assert_uint_eq(listing.n, 1);
    ck_assert_str_eq(listing.last, UART);
}
END_TEST

START_TEST(test_groups) {
    struct listing listing = {};

    tree_folder(&sys, "kernel/iommu_groups/31");
    tree_folder(&sys, "kernel/iommu_groups/x");
    tree_folder(&sys, "kernel/iommu_groups/007");
    ck_assert_int_eq(sysfs_list_groups(sys.fd, take_group, &listing), 0);
    ck_assert_uint_eq(listing.n, 2);
    ck_assert_uint_eq(listing.numbers, UINT64_C(1) << 7 | UINT64_C(1) << 31);
}
END_TEST

START_TEST(test_bus_devices) {
    struct listing listing = {};

    ck_assert_int_eq(sysfs_list_bus_devices(sys.fd, take_path, &listing), 0);
    ck_assert_uint_eq(listing.n, 2);
    listing = (struct listing){.stop_at = 1};
    ck_assert_int_eq(sysfs_list_bus_devices(sys.fd, take_path, &listing), -ECANCELED);
    ck_assert_uint_eq(listing.n, 1);
    ck_assert_str_eq(listing.last, NIC);
}
END_TEST

START_TEST(test_empty_sysfs) {
    struct listing listing = {};
    struct tree empty;

    tree_begin(&empty);
    ck_assert_int_eq(sysfs_list_groups(empty.fd, take_group, &listing), 0);
    ck_assert_int_eq(sysfs_list_bus_devices(empty.fd, take_path, &listing), 0);
    ck_assert_uint_eq(listing.n, 0);
    tree_end(&empty);
}
END_TEST

static const struct {
    const char *text;
    int result;
} numbers[] = {
    {"243:5\n", 0},       {"243\n", -EINVAL}, {"x:5\n", -EINVAL},
    {"243:-5\n", -EINVAL}, {"\n", -EINVAL},   {"99999999999:1\n", -EINVAL},
};

START_TEST(test_node_number) {
    unsigned number_major = 0, number_minor = 0;

    ck_assert_int_eq(sysfs_read_number(sys.fd, "class/vfio/7/dev", &number_major, &number_minor), -ENOENT);
    tree_file(&sys, "class/vfio/7/dev", numbers[_i].text);
    ck_assert_int_eq(sysfs_read_number(sys.fd, "class/vfio/7/dev", &number_major, &number_minor),
                     numbers[_i].result);
    ck_assert_uint_eq(number_major, numbers[_i].result ? 0 : 243);
    ck_assert_uint_eq(number_minor, numbers[_i].result ? 0 : 5);
}
END_TEST

static const struct {
    const char *base, *target, *path;
    size_t size;
    int result;
} paths[] = {
    {"a/b", "../c", "a/c", 64, 0},
    {"a/b", "../../c", "c", 64, 0},
    {"a/b", "../..", "", 64, 0},
    {"a/b", "../../..", NULL, 64, -EXDEV},
    {"", "a//b/./c/", "a/b/c", 64, 0},
    {"a", "/b", NULL, 64, -EXDEV},
    {"/a", "b", NULL, 64, -EXDEV},
    {"a", "...", "a/...", 64, 0},
    {"ab", "cd", "ab/cd", 6, 0},
    {"ab", "cd", NULL, 5, -ENAMETOOLONG},
    {"ab", "cd/../e", NULL, 5, -ENAMETOOLONG},
    {"abcd", "../e", "e", 5, 0},
};

START_TEST(test_path) {
    char path[64];
    int r = path_resolve(paths[_i].base, paths[_i].target, path, paths[_i].size);

    ck_assert_int_eq(r, paths[_i].result);
    if (r == 0)
        ck_assert_str_eq(path, paths[_i].path);
}
END_TEST

static void add_devices(Suite *suite) {
    TCase *devices = tree_case("devices");

    tcase_add_checked_fixture(devices, set_up, tear_down);
    tcase_add_test(devices, test_pci_device);
    tcase_add_test(devices, test_platform_device);
    tcase_add_loop_test(devices, test_ways_to_a_device, 0, ELEMENTS_OF(ways));
    tcase_add_test(devices, test_missing_device);
    tcase_add_test(devices, test_device_goes_while_read);
    tcase_add_loop_test(devices, test_link_to_no_group, 0, ELEMENTS_OF(no_groups));
    tcase_add_loop_test(devices, test_odd_driver, 0, ELEMENTS_OF(drivers));
    tcase_add_test(devices, test_physfn);
    tcase_add_test(devices, test_driver_that_is_no_link);
    tcase_add_loop_test(devices, test_modalias_without_ids, 0, ELEMENTS_OF(no_ids));
    tcase_add_test(devices, test_long_attributes);
    tcase_add_test(devices, test_many_compatible);
    tcase_add_test(devices, test_refresh);
    suite_add_tcase(suite, devices);
}

static void add_lists(Suite *suite) {
    TCase *lists = tree_case("lists");

    tcase_add_checked_fixture(lists, set_up, tear_down);
    tcase_add_test(lists, test_group);
    tcase_add_test(lists, test_members);
    tcase_add_test(lists, test_groups);
    tcase_add_test(lists, test_bus_devices);
    tcase_add_test(lists, test_empty_sysfs);
    tcase_add_loop_test(lists, test_node_number, 0, ELEMENTS_OF(numbers));
    suite_add_tcase(suite, lists);
}

int main(void) {
    Suite *suite = suite_create("sysfs");
    TCase *text = tree_case("paths");

    add_devices(suite);
    add_lists(suite);
    tcase_add_loop_test(text, test_path, 0, ELEMENTS_OF(paths));
    suite_add_tcase(suite, text);
    return tree_main(suite);
}
