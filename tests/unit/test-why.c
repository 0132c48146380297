/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* show --why over a tree that stands for sysfs. */

#include "client/topology-read.h"
#include "client/why.h"
#include "topology-fixture.h"
#include "tree.h"
#include "util/string.h"

static struct tree tree;
static struct space space;

static void begin(void) {
    tree_begin(&tree);
}

static void end(void) {
    tree_end(&tree);
}

/* The bytes of `space` as the configuration space of the device in the folder path. */
static void place(const char *path) {
    _cleanup_(freep) char *file = string_format("%s/config", path);

    tree_data(&tree, file, space.bytes, space.length);
}

static void add(json_object *devices, const char *bus, const char *path) {
    _cleanup_(freep) char *full = string_format("/sys/%s", path);
    json_object *device = json_object_new_object();

    ck_assert_int_eq(json_set_text(device, "name", path_basename(path)), 0);
    ck_assert_int_eq(json_set_text(device, "bus", bus), 0);
    ck_assert_int_eq(json_set_text(device, "sysfs_path", full), 0);
    ck_assert_int_eq(json_append(devices, device), 0);
}

/* The answer, with the sentences left out. */
static void check(json_object *devices, const char *wanted) {
    _cleanup_(json_putp) json_object *entries = NULL;

    ck_assert_int_eq(why_explain(tree.fd, devices, &entries), 0);
    for (size_t i = 0; i < json_length(entries); i++) {
        json_object *entry = json_object_array_get_idx(entries, i);
        ck_assert(*json_text(entry, "text"));
        json_object_object_del(entry, "text");
        json_object_object_del(entry, "way_out");
    }
    ck_assert_str_eq(json_object_to_json_string_ext(entries, JSON_C_TO_STRING_PLAIN), wanted);
}

#define PORT "devices/pci0000:00/0000:00:08.0"
#define BRIDGE PORT "/0000:01:00.0"

/* A port, a bridge without ACS, three devices behind it: one entry. */
START_TEST(test_bridge) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    space_express(&space, 1, PCI_EXP_TYPE_ROOT_PORT);
    space_acs(&space, ACS_ALL, ACS_KERNEL);
    place(PORT);
    space_express(&space, 1, PCI_EXP_TYPE_PCI_BRIDGE);
    place(BRIDGE);
    space_conventional(&space, 0);
    place(BRIDGE "/0000:02:01.0");
    place(BRIDGE "/0000:02:02.0");
    place(BRIDGE "/0000:02:03.0");
    add(devices, "pci", BRIDGE);
    check(devices, "[]");
    add(devices, "pci", BRIDGE "/0000:02:01.0");
    add(devices, "pci", BRIDGE "/0000:02:02.0");
    add(devices, "pci", BRIDGE "/0000:02:03.0");
    check(devices, "[{\"reason\":\"pcie-to-pci-bridge\",\"causes\":[\"0000:01:00.0\"],\"devices\":"
                   "[\"0000:01:00.0\",\"0000:02:01.0\",\"0000:02:02.0\",\"0000:02:03.0\"],"
                   "\"missing\":[]}]");
}
END_TEST

START_TEST(test_port_off) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    space_express(&space, 1, PCI_EXP_TYPE_ROOT_PORT);
    space_acs(&space, ACS_ALL, TOPOLOGY_ACS_SOURCE_VALIDATION);
    place(PORT);
    space_express(&space, 0, PCI_EXP_TYPE_ENDPOINT);
    place(BRIDGE);
    add(devices, "pci", PORT);
    add(devices, "pci", BRIDGE);
    check(devices, "[{\"reason\":\"port-acs-off\",\"causes\":[\"0000:00:08.0\"],\"devices\":"
                   "[\"0000:00:08.0\",\"0000:01:00.0\"],\"missing\":[\"request-redirect\","
                   "\"completion-redirect\",\"upstream-forwarding\"]}]");
    _cleanup_(json_putp) json_object *entries = NULL;
    ck_assert_int_eq(why_explain(tree.fd, devices, &entries), 0);
    ck_assert(!why_needs_root(entries));
}
END_TEST

/* Others than root read 64 bytes; and what is not there reads as none. */
START_TEST(test_needs_root) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array(), *entries = NULL;

    add(devices, "pci", PORT);
    add(devices, "pci", BRIDGE);
    ck_assert_int_eq(why_explain(tree.fd, devices, &entries), 0);
    ck_assert(why_needs_root(entries));
    space_express(&space, 1, PCI_EXP_TYPE_ROOT_PORT);
    space.length = 64;
    place(PORT);
    check(devices, "[{\"reason\":\"needs-root\",\"causes\":[\"0000:00:08.0\"],\"devices\":"
                   "[\"0000:00:08.0\",\"0000:01:00.0\"],\"missing\":[]}]");
}
END_TEST

/* A VF is not one of several functions of its slot. */
START_TEST(test_virtual_function) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    space_express(&space, 0x80, PCI_EXP_TYPE_ENDPOINT);
    place("devices/pci0000:00/0000:00:05.0");
    place("devices/pci0000:00/0000:00:05.1");
    tree_link(&tree, "devices/pci0000:00/0000:00:05.1/physfn", "../0000:00:05.0");
    add(devices, "pci", "devices/pci0000:00/0000:00:05.0");
    add(devices, "pci", "devices/pci0000:00/0000:00:05.1");
    check(devices, "[{\"reason\":\"unknown\",\"causes\":[],\"devices\":[\"0000:00:05.0\","
                   "\"0000:00:05.1\"],\"missing\":[]}]");
    tree_unlink(&tree, "devices/pci0000:00/0000:00:05.1/physfn");
    check(devices, "[{\"reason\":\"multifunction-without-acs\",\"causes\":[\"0000:00:05.0\","
                   "\"0000:00:05.1\"],\"devices\":[\"0000:00:05.0\",\"0000:00:05.1\"],"
                   "\"missing\":[]}]");
}
END_TEST

START_TEST(test_platform) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    tree_data(&tree, "devices/platform/a/of_node/iommus", "\0\0\0\1\0\0\0\5", 8);
    tree_data(&tree, "devices/platform/b/of_node/iommus", "\0\0\0\1\0\0\0\5", 8);
    tree_data(&tree, "devices/platform/c/of_node/iommus", "\0\0\0\1\0\0\0\6", 8);
    add(devices, "platform", "devices/platform/a");
    add(devices, "platform", "devices/platform/b");
    check(devices, "[{\"reason\":\"same-stream\",\"causes\":[],\"devices\":[\"a\",\"b\"],"
                   "\"missing\":[]}]");
    add(devices, "platform", "devices/platform/c");
    add(devices, "platform", "../../etc");
    check(devices, "[{\"reason\":\"same-stream\",\"causes\":[],\"devices\":[\"a\",\"b\"],"
                   "\"missing\":[]},{\"reason\":\"unknown\",\"causes\":[],\"devices\":[\"a\",\"c\","
                   "\"etc\"],\"missing\":[]}]");
}
END_TEST

START_TEST(test_mixture) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    space_conventional(&space, 0x80);
    place("devices/pci0000:00/0000:00:05.0");
    place("devices/pci0000:00/0000:00:05.1");
    add(devices, "platform", "devices/platform/MSFT0201:00");
    add(devices, "pci", "devices/pci0000:00/0000:00:05.0");
    add(devices, "pci", "devices/pci0000:00/0000:00:05.1");
    check(devices, "[{\"reason\":\"multifunction-without-acs\",\"causes\":[\"0000:00:05.0\","
                   "\"0000:00:05.1\"],\"devices\":[\"0000:00:05.0\",\"0000:00:05.1\"],"
                   "\"missing\":[]},{\"reason\":\"unknown\",\"causes\":[],\"devices\":"
                   "[\"MSFT0201:00\",\"0000:00:05.0\"],\"missing\":[]}]");
}
END_TEST

START_TEST(test_container) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    add(devices, "fsl-mc", "devices/platform/soc/80c000000.fsl-mc/dprc.1/dpni.0");
    add(devices, "fsl-mc", "devices/platform/soc/80c000000.fsl-mc/dprc.1/dpbp.0");
    add(devices, "fsl-mc", "devices/platform/soc/80c000000.fsl-mc/dprc.2/dpbp.0");
    check(devices, "[{\"reason\":\"same-container\",\"causes\":[],\"devices\":[\"dpni.0\",\"dpbp.0\"],"
                   "\"missing\":[]},{\"reason\":\"unknown\",\"causes\":[],\"devices\":[\"dpni.0\","
                   "\"dpbp.0\"],\"missing\":[]}]");
}
END_TEST

START_TEST(test_names) {
    static const char *const good[] = {"0000:00:05.0", "10000:e0:06.7", "ffff:ff:1f.7"};
    static const char *const bad[] = {"", "0000:00:05", "0000:00:05.8", "000:00:05.0", "0000:00:05.0x",
                                      "pci0000:00", "0000:0:005.0", "0000-00:05.0", "0000:00:05,0"};

    for (size_t i = 0; i < ELEMENTS_OF(good); i++)
        ck_assert_msg(pci_name_is_valid(good[i], strlen(good[i])), "%s", good[i]);
    for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
        ck_assert_msg(!pci_name_is_valid(bad[i], strlen(bad[i])), "%s", bad[i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("why");
    TCase *tests = tree_case("why");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, test_bridge);
    tcase_add_test(tests, test_port_off);
    tcase_add_test(tests, test_needs_root);
    tcase_add_test(tests, test_virtual_function);
    tcase_add_test(tests, test_platform);
    tcase_add_test(tests, test_mixture);
    tcase_add_test(tests, test_container);
    tcase_add_test(tests, test_names);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
