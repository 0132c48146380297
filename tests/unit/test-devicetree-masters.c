/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which nodes look like masters, and which only seem to. */
#include "devicetree-fixture.h"
#include "tree.h"

static void set_up(void) {
    blob_begin();
    bus_begin("soc");
}

static void tear_down(void) {
    forget();
}

/* A node on the bus, with reg. */
static void device(const char *name, const char *property) {
    node_begin(name);
    cells("reg", 0x1000);
    if (property)
        cells(property, 1);
    node_end();
}

static void read_bus(void) {
    node_end();
    read_tree();
    ck_assert_uint_eq(made.tree->n_mistakes, 0);
}

static void check_looks(const char *node) {
    ck_assert(master(node)->looks_like_master);
    ck_assert(!master(node)->has_iommus && !master(node)->has_map);
}

static void check_does_not(const char *node) {
    const struct tree_master *found = device_tree_master(made.tree, node);

    ck_assert(!found || !found->looks_like_master);
}

START_TEST(test_properties) {
    device("one@1", "#dma-cells");
    device("two@2", "dma-coherent");
    device("three@3", "dma-ranges");
    device("four@4", NULL);
    node_begin("five@5");
    text("device_type", "network");
    cells("reg", 5);
    node_end();
    read_bus();
    check_looks("/soc/one@1");
    check_looks("/soc/two@2");
    check_looks("/soc/three@3");
    check_does_not("/soc/four@4");
    check_looks("/soc/five@5");
    ck_assert_uint_eq(made.tree->n_masters, 4);
}
END_TEST

static const struct {
    const char *name;
    bool looks;
} names[] = {
    {"ethernet@1", true},     {"usb@1", true},         {"mmc@1", true},       {"sdhci@1", true},
    {"gpu@1", true},          {"sata@1", true},        {"ufshc@1", true},     {"display-controller@1", true},
    {"video-codec@1", true},  {"dma-controller", true}, {"crypto@1", true},   {"virtio_mmio@1", true},
    {"ethernet-phy@1", false}, {"usb-phy@1", false},   {"serial@1", false},   {"i2c@1", false},
    {"usbc", false},          {"us@1", false},         {"clock-controller@1", false},
};

START_TEST(test_names) {
    device(names[_i].name, NULL);
    read_bus();
    ck_assert_uint_eq(made.tree->n_masters, names[_i].looks ? 1 : 0);
}
END_TEST

/* Called as masters are, and known to be none; others of the name are. */
START_TEST(test_known_not_to_be) {
    static const char two[] = "smsc,lan9118\0smsc,lan9115";

    node_begin("ethernet@1");
    cells("reg", 1);
    data("compatible", two, sizeof(two));
    node_end();
    node_begin("crypto@2");
    cells("reg", 2);
    text("compatible", "qcom,inline-crypto-engine");
    node_end();
    node_begin("crypto@3");
    cells("reg", 3);
    text("compatible", "qcom,inline-crypto-engine-2");
    node_end();
    /* It ends in the middle. */
    node_begin("dma@4");
    cells("reg", 4);
    data("compatible", "qcom,dcc", 7);
    node_end();
    /* What it says of itself stands above. */
    node_begin("dma@5");
    cells("reg", 5);
    flag("dma-coherent");
    text("compatible", "qcom,dcc");
    node_end();
    read_bus();
    check_does_not("/soc/ethernet@1");
    check_does_not("/soc/crypto@2");
    check_looks("/soc/crypto@3");
    check_looks("/soc/dma@4");
    check_looks("/soc/dma@5");
}
END_TEST

/* A client of a DMA controller is no master; a controller that is another's client is. */
START_TEST(test_channels) {
    node_begin("crypto@1");
    cells("reg", 1);
    cells("dmas", 1, 2);
    node_end();
    node_begin("dma-controller@2");
    cells("reg", 2);
    cells("dmas", 1, 2);
    cells("#dma-cells", 1);
    node_end();
    read_bus();
    check_does_not("/soc/crypto@1");
    check_looks("/soc/dma-controller@2");
}
END_TEST

/* What has a property that others have when they do DMA. */
START_TEST(test_no_masters) {
    static const char *const properties[] = {"#iommu-cells", "interrupt-controller", "msi-controller",
                                             "dma-masters", "dmas"};
    static const char *const types[] = {"cpu", "memory"};

    for (size_t i = 0; i < ELEMENTS_OF(properties); i++) {
        char name[16];
        snprintf(name, sizeof(name), "usb@%zx", i);
        node_begin(name);
        cells("reg", 1);
        flag("dma-coherent");
        cells(properties[i], 1);
        node_end();
    }
    for (size_t i = 0; i < ELEMENTS_OF(types); i++) {
        node_begin(types[i]);
        cells("reg", 1);
        flag("dma-coherent");
        text("device_type", types[i]);
        node_end();
    }
    read_bus();
    ck_assert_uint_eq(made.tree->n_masters, 0);
}
END_TEST

START_TEST(test_without_registers) {
    node_begin("usb");
    flag("dma-coherent");
    node_end();
    read_bus();
    ck_assert_uint_eq(made.tree->n_masters, 0);
}
END_TEST

/* A bus whose children are not memory-mapped: what is on it does no DMA of its own. */
START_TEST(test_below_other_bus) {
    node_begin("i2c@1");
    cells("reg", 1);
    device("usb@2d", NULL);
    node_end();
    node_begin("usb@2");
    cells("reg", 2);
    device("ethernet@1", NULL);
    node_end();
    read_bus();
    check_does_not("/soc/i2c@1/usb@2d");
    check_looks("/soc/usb@2");
    check_does_not("/soc/usb@2/ethernet@1");
}
END_TEST

START_TEST(test_bus) {
    bus_begin("usb@1");
    cells("reg", 1);
    flag("dma-ranges");
    device("usb@2", NULL);
    node_end();
    read_bus();
    check_does_not("/soc/usb@1");
    check_looks("/soc/usb@1/usb@2");
}
END_TEST

START_TEST(test_reserved_memory) {
    node_end();
    bus_begin("reserved-memory");
    device("gpu@1", NULL);
    read_bus();
    ck_assert_uint_eq(made.tree->n_masters, 0);
}
END_TEST

START_TEST(test_pci) {
    bus_begin("pcie@1");
    text("device_type", "pci");
    bus_begin("pcie@0,0");
    text("device_type", "pci");
    device("ethernet@0,0", "dma-coherent");
    node_end();
    node_end();
    read_bus();
    check_looks("/soc/pcie@1");
    ck_assert_uint_eq(made.tree->n_masters, 1);
}
END_TEST

/* Of a complex with a part that names an IOMMU nothing is said of the others. */
START_TEST(test_complex) {
    iommu("smmu", "arm,mmu-500", 1, 1);
    node_begin("usb@1");
    cells("reg", 1);
    node_begin("glue");
    flag("ranges");
    node_begin("usb@2");
    cells("reg", 2);
    cells("iommus", 1, 2);
    flag("ranges");
    device("usb@3", NULL);
    node_end();
    node_end();
    node_end();
    device("usb@4", NULL);
    read_bus();
    check_does_not("/soc/usb@1");
    ck_assert(master("/soc/usb@1/glue/usb@2")->has_iommus);
    check_does_not("/soc/usb@1/glue/usb@2/usb@3");
    check_looks("/soc/usb@4");
}
END_TEST

START_TEST(test_master_with_iommu) {
    iommu("smmu", "arm,mmu-500", 1, 1);
    node_begin("gpu@1");
    cells("reg", 1);
    cells("iommus", 1, 2);
    node_end();
    node_begin("odd@2");
    cells("iommus", 1, 3);
    node_end();
    read_bus();
    ck_assert(master("/soc/gpu@1")->looks_like_master);
    ck_assert(!master("/soc/odd@2")->looks_like_master);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("masters of a device tree");
    TCase *tests = tree_case("looks");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_properties);
    tcase_add_loop_test(tests, test_names, 0, ELEMENTS_OF(names));
    tcase_add_test(tests, test_known_not_to_be);
    tcase_add_test(tests, test_channels);
    tcase_add_test(tests, test_no_masters);
    tcase_add_test(tests, test_without_registers);
    tcase_add_test(tests, test_below_other_bus);
    tcase_add_test(tests, test_bus);
    tcase_add_test(tests, test_reserved_memory);
    tcase_add_test(tests, test_pci);
    tcase_add_test(tests, test_complex);
    tcase_add_test(tests, test_master_with_iommu);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
