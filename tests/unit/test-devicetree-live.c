/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree that a machine runs with, in all the ways that sysfs shows it, and from a device to its
 * node. As root a file that is not readable is a folder here: it cannot be read either. */
#include "devicetree-fixture.h"
#include "tree.h"

#define BASE "firmware/devicetree/base"

static struct tree sys;

/* Cells of a property as a file. */
#define cells_file(path, ...)                                                                      \
    do {                                                                                           \
        uint32_t values[] = {__VA_ARGS__};                                                         \
        for (size_t i = 0; i < ELEMENTS_OF(values); i++)                                           \
            values[i] = cpu_to_fdt32(values[i]);                                                   \
        tree_data(&sys, path, values, sizeof(values));                                             \
    } while (0)

static void add_folders(void) {
    tree_data(&sys, BASE "/name", "", 1);
    tree_data(&sys, BASE "/smmu@1000/compatible", "arm,mmu-500", 12);
    cells_file(BASE "/smmu@1000/#iommu-cells", 1);
    cells_file(BASE "/smmu@1000/phandle", 1);
    tree_data(&sys, BASE "/soc/ranges", "", 0);
    tree_data(&sys, BASE "/soc/dma@2000/compatible", "vendor,dma\0dma", 15);
    cells_file(BASE "/soc/dma@2000/iommus", 1, 0x200);
    tree_data(&sys, BASE "/soc/dma@3000/status", "disabled", 9);
    cells_file(BASE "/soc/dma@3000/iommus", 1, 0x300);
}

static void add_blob(void) {
    blob_begin();
    iommu("smmu@9000", "arm,smmu-v3", 1, 1);
    node_begin("blob");
    cells("iommus", 1, 5);
    node_end();
    blob_end();
    tree_data(&sys, "firmware/fdt", made.blob, made.size);
}

/* A file of nothing but zeroes, which take no room on the disk. */
static void add_large(const char *path, off_t size) {
    tree_data(&sys, path, NULL, 0);
    ck_assert_int_eq(truncate(tree_path(&sys, path), size), 0);
}

static int read_live(void) {
    return devicetree_read_live(sys.fd, &made.tree, &made.text);
}

static void check_live(void) {
    int r = read_live();

    ck_assert_msg(r == 0, "%d: %s", r, made.text ? made.text : "(no text)");
    ck_assert_ptr_null(made.text);
}

static void check_folders(void) {
    check_live();
    ck_assert_uint_eq(made.tree->n_iommus, 1);
    ck_assert_str_eq(made.tree->iommus[0].node, "/smmu@1000");
    ck_assert_int_eq(made.tree->iommus[0].grouping, TREE_GROUP_SMMU_V2);
    ck_assert_uint_eq(made.tree->n_masters, 2);
    ck_assert_str_eq(master("/soc/dma@2000")->compatible[1], "dma");
    check_stream(&master("/soc/dma@2000")->streams[0], 0, 0x200, 0);
    ck_assert(!master("/soc/dma@3000")->enabled);
    ck_assert_uint_eq(made.tree->n_mistakes, 0);
}

START_TEST(test_no_tree) {
    ck_assert_int_eq(read_live(), -ENOENT);
    ck_assert_str_eq(made.text, "This machine was not started with a device tree.");
    forget();
    /* an ACPI boot leaves these */
    add_blob();
    tree_folder(&sys, "firmware/devicetree");
    ck_assert_int_eq(read_live(), -ENOENT);
}
END_TEST

START_TEST(test_blob_first) {
    add_folders();
    add_blob();
    check_live();
    ck_assert_ptr_nonnull(device_tree_master(made.tree, "/blob"));
}
END_TEST

START_TEST(test_folders) {
    add_folders();
    check_folders();
}
END_TEST

START_TEST(test_blob_not_readable) {
    add_folders();
    add_blob();
    ck_assert_int_eq(fchmodat(sys.fd, "firmware/fdt", 0, 0), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(access(tree_path(&sys, ""), F_OK), 0);
    int fd = openat(sys.fd, "firmware/fdt", O_RDONLY);
    ck_assert(fd < 0 && errno == EACCES);
    check_folders();
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(test_damaged_blob) {
    add_folders();
    tree_file(&sys, "firmware/fdt", "nothing of the kind, and of forty bytes in all");
    ck_assert_int_eq(read_live(), -EBADMSG);
    ck_assert_str_eq(made.text, "The magic number of a device tree is missing (46 bytes).");
    forget();
    add_large("firmware/fdt", DEVICETREE_SIZE_MAX + 1);
    ck_assert_int_eq(read_live(), -E2BIG);
    ck_assert_str_eq(made.text, "It has more than 16777216 bytes.");
}
END_TEST

/* Links are none of the kernel's; what they lead to is not read, nor is what is no file. */
START_TEST(test_odd_entries) {
    add_folders();
    tree_file(&sys, "outside/secret/iommus", "1234");
    tree_link(&sys, BASE "/away", "../../../outside");
    tree_link(&sys, BASE "/soc/loop", "..");
    tree_link(&sys, BASE "/soc/dma@2000/memory-region", "../../../../../outside/secret/iommus");
    ck_assert_int_eq(mkfifoat(sys.fd, BASE "/soc/dma@2000/fifo", 0644), 0);
    check_folders();
    ck_assert_ptr_null(master("/soc/dma@2000")->memory);
}
END_TEST

START_TEST(test_base_is_a_link) {
    add_folders();
    ck_assert_int_eq(renameat(sys.fd, BASE, sys.fd, "elsewhere"), 0);
    tree_link(&sys, BASE, "../../elsewhere");
    ck_assert_int_lt(read_live(), 0);
    ck_assert_ptr_nonnull(made.text);
}
END_TEST

START_TEST(test_large_property) {
    add_folders();
    add_large(BASE "/soc/blob", 1024 * 1024 + 1);
    ck_assert_int_eq(read_live(), -E2BIG);
    ck_assert_str_eq(made.text, "Property blob of the live tree cannot be read: File too large.");
}
END_TEST

START_TEST(test_large_tree) {
    add_folders();
    for (int i = 0; i < 16; i++) {
        char path[64];
        snprintf(path, sizeof(path), BASE "/soc/blob%d", i);
        add_large(path, 1024 * 1024);
    }
    ck_assert_int_eq(read_live(), -E2BIG);
    ck_assert_str_eq(made.text, "The live tree has more than 16777216 bytes.");
}
END_TEST

START_TEST(test_deep_tree) {
    char path[256] = BASE;

    add_folders();
    for (int i = 0; i < DEVICETREE_DEPTH_MAX; i++)
        strcat(path, "/n");
    tree_folder(&sys, path);
    ck_assert_int_eq(read_live(), -E2BIG);
    ck_assert_str_eq(made.text, "The live tree has more than 65536 nodes, or is deeper than 64.");
}
END_TEST

/* ---- From a device to its node --------------------------------------------------------------- */

#define PLATFORM "devices/platform/soc/2000.dma"
#define PCIE "devices/platform/4010000000.pcie"

static const struct {
    const char *path;
    int r;
    const char *node;
} devices[] = {
    {PLATFORM, 0, "/soc/dma@2000"},
    {"devices/platform/root", 0, "/"},
    {"devices/platform/none", -ENOENT, NULL},
    {"devices/platform/elsewhere", -ENOENT, NULL},
    {"devices/platform/like", -ENOENT, NULL},
    {"devices/platform/above", -EXDEV, NULL},
    {"devices/platform/file", -ENOENT, NULL},
    {"devices/platform/gone", -ENOENT, NULL},
    {PCIE, 0, "/pcie@10000000"},
    {PCIE "/pci0000:00/0000:00:01.0", 0, "/pcie@10000000"},
    {PCIE "/pci0000:00/0000:00:02.0", 0, "/pcie@10000000"},
    {PCIE "/pci0000:00/0000:00:02.0/0000:01:00.7", 0, "/pcie@10000000"},
    {PCIE "/pci0000:00/0000:00:02.0/usb1", -ENOENT, NULL},
    {PCIE "/pci0000:00/0000:00:02.0/pci10000:e0/10000:e0:06.0", 0, "/own"},
    {"devices/pci0000:00/0000:00:01.0", -ENOENT, NULL},
    {"0000:00:01.0", -ENOENT, NULL},
    {"pci0000:00/0000:00:01.0", -ENOENT, NULL},
};

static void add_devices(void) {
    tree_link(&sys, PLATFORM "/of_node", "../../../../" BASE "/soc/dma@2000");
    tree_link(&sys, "devices/platform/root/of_node", "../../../" BASE);
    tree_folder(&sys, "devices/platform/none");
    tree_link(&sys, "devices/platform/elsewhere/of_node", "../../../firmware/acpi/base");
    tree_link(&sys, "devices/platform/like/of_node", "../../../" BASE "line/soc");
    tree_link(&sys, "devices/platform/above/of_node", "../../../../" BASE);
    tree_file(&sys, "devices/platform/file/of_node", "");
    tree_link(&sys, PCIE "/of_node", "../../../" BASE "/pcie@10000000");
    tree_folder(&sys, PCIE "/pci0000:00/0000:00:01.0");
    tree_link(&sys, PCIE "/pci0000:00/0000:00:02.0/of_node", "../../../../../" BASE "/own");
    tree_folder(&sys, PCIE "/pci0000:00/0000:00:02.0/0000:01:00.7");
    tree_folder(&sys, PCIE "/pci0000:00/0000:00:02.0/usb1");
}

START_TEST(test_node_of) {
    char node[64] = "untouched";

    ck_assert_int_eq(devicetree_node_of(sys.fd, devices[_i].path, node, sizeof(node)), devices[_i].r);
    ck_assert_str_eq(node, devices[_i].node ? devices[_i].node : "untouched");
}
END_TEST

START_TEST(test_node_without_room) {
    char node[13];

    ck_assert_int_eq(devicetree_node_of(sys.fd, PLATFORM, node, sizeof(node)), -ENAMETOOLONG);
    ck_assert_int_eq(devicetree_node_of(sys.fd, "devices/platform/root", node, 2), 0);
    ck_assert_int_eq(devicetree_node_of(sys.fd, "devices/platform/root", node, 1), -ENAMETOOLONG);
}
END_TEST

/* As the facts name it. */
START_TEST(test_odd_name) {
    char node[64];

    tree_link(&sys, "devices/odd/of_node", "../../" BASE "/so\033c/d\377");
    ck_assert_int_eq(devicetree_node_of(sys.fd, "devices/odd", node, sizeof(node)), 0);
    ck_assert_str_eq(node, "/so?c/d?");
}
END_TEST

static void set_up(void) {
    tree_begin(&sys);
    fchmod(sys.fd, 0755);
    add_devices();
}

static void tear_down(void) {
    forget();
    tree_end(&sys);
}

static void add_nodes(Suite *suite) {
    TCase *nodes = tree_case("nodes");

    tcase_add_checked_fixture(nodes, set_up, tear_down);
    tcase_add_loop_test(nodes, test_node_of, 0, ELEMENTS_OF(devices));
    tcase_add_test(nodes, test_node_without_room);
    tcase_add_test(nodes, test_odd_name);
    suite_add_tcase(suite, nodes);
}

int main(void) {
    Suite *suite = suite_create("live device tree");
    TCase *live = tree_case("live");

    tcase_add_checked_fixture(live, set_up, tear_down);
    tcase_add_test(live, test_no_tree);
    tcase_add_test(live, test_blob_first);
    tcase_add_test(live, test_folders);
    tcase_add_test(live, test_blob_not_readable);
    tcase_add_test(live, test_damaged_blob);
    tcase_add_test(live, test_odd_entries);
    tcase_add_test(live, test_base_is_a_link);
    tcase_add_test(live, test_large_property);
    tcase_add_test(live, test_large_tree);
    tcase_add_test(live, test_deep_tree);
    suite_add_tcase(suite, live);
    add_nodes(suite);
    return tree_main(suite);
}
