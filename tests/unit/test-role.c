/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/driver-role.h"

#include "model-test.h"

/* A driver by its name alone, on a device that is no bridge. */
static const struct {
    const char *driver;
    enum role role;
} drivers[] = {
    {NULL, ROLE_FREE},
    /* Every driver of Linux 5.19 to 6.12 that hands devices to userspace through VFIO, as its
     * driver or its module is called. */
    {"vfio-pci", ROLE_USER},
    {"vfio_pci", ROLE_USER},
    {"vfio-platform", ROLE_USER},
    {"vfio_platform", ROLE_USER},
    {"vfio-amba", ROLE_USER},
    {"vfio_amba", ROLE_USER},
    {"vfio-fsl-mc", ROLE_USER},
    {"vfio_fsl_mc", ROLE_USER},
    {"vfio-fsl_mc", ROLE_USER},
    {"vfio-cdx", ROLE_USER},
    {"vfio_cdx", ROLE_USER},
    {"mlx5-vfio-pci", ROLE_USER},
    {"mlx5_vfio_pci", ROLE_USER},
    {"hisi-acc-vfio-pci", ROLE_USER},
    {"hisi_acc_vfio_pci", ROLE_USER},
    {"virtio-vfio-pci", ROLE_USER},
    {"virtio_vfio_pci", ROLE_USER},
    {"pds-vfio-pci", ROLE_USER},
    {"pds_vfio_pci", ROLE_USER},
    {"qat-vfio-pci", ROLE_USER},
    {"qat_vfio_pci", ROLE_USER},
    {"nvgrace-gpu-vfio-pci", ROLE_USER},
    {"nvgrace_gpu_vfio_pci", ROLE_USER},
    {"vfio-mdev", ROLE_USER},
    /* Later ones. */
    {"xe-vfio-pci", ROLE_USER},
    {"xe_vfio_pci", ROLE_USER},
    {"ism-vfio-pci", ROLE_USER},
    {"ism_vfio_pci", ROLE_USER},
    /* Those that coexist with a user. */
    {"pcieport", ROLE_PASSIVE},
    {"pci-stub", ROLE_PASSIVE},
    {"pci_stub", ROLE_PASSIVE},
    /* Every other. */
    {"e1000e", ROLE_KERNEL},
    {"nvme", ROLE_KERNEL},
    {"shpchp", ROLE_KERNEL},
    {"snd_hda_intel", ROLE_KERNEL},
    {"uio_pci_generic", ROLE_KERNEL},
    {"igb_uio", ROLE_KERNEL},
    {"virtio-pci", ROLE_KERNEL},
    {"arm-smmu", ROLE_KERNEL},
    /* These run a bus, and are counted nevertheless. */
    {"simple-pm-bus", ROLE_KERNEL},
    {"fsl_mc_dprc", ROLE_KERNEL},
    {"pci-host-generic", ROLE_KERNEL},
    {"tegra194-pcie", ROLE_KERNEL},
    /* Nearly a name of the table. */
    {"", ROLE_KERNEL},
    {"vfio", ROLE_KERNEL},
    {"vfio-pc", ROLE_KERNEL},
    {"vfio-pci2", ROLE_KERNEL},
    {"vfio-pci-", ROLE_KERNEL},
    {"vfiopci", ROLE_KERNEL},
    {"vfio pci", ROLE_KERNEL},
    {"vfio.pci", ROLE_KERNEL},
    {"VFIO-PCI", ROLE_KERNEL},
    {"-vfio-pci", ROLE_KERNEL},
    {"pcieport2", ROLE_KERNEL},
    {"pci-stubs", ROLE_KERNEL},
    {"pcistub", ROLE_KERNEL},
    {"_", ROLE_KERNEL},
    {"vfio-pci\n", ROLE_KERNEL},
};

static void assert_driver_case(size_t n) {
    ck_assert_msg(driver_role(drivers[n].driver, false, false) == drivers[n].role,
                  "driver \"%s\" is not %s", drivers[n].driver ?: "",
                  role_to_string(drivers[n].role));
}

START_TEST(test_driver) {
    for (size_t n = 0; n < ELEMENTS_OF(drivers); n++)
        assert_driver_case(n);
}
END_TEST

/* Only a VFIO driver makes a vfio-dev folder, so it says more than the name; a variant that is not
 * in the table is known by it. */
static void assert_vfio_device_case(size_t n) {
    ck_assert_int_eq(driver_role(drivers[n].driver, true, false), ROLE_USER);
    ck_assert_int_eq(driver_role(drivers[n].driver, true, true), ROLE_USER);
}

START_TEST(test_vfio_device) {
    for (size_t n = 0; n < ELEMENTS_OF(drivers); n++)
        assert_vfio_device_case(n);
}
END_TEST

static void assert_bridge_case(size_t n) {
    enum role role = drivers[n].driver ? drivers[n].role : ROLE_PASSIVE;

    ck_assert_int_eq(driver_role(drivers[n].driver, false, true), role);
}

START_TEST(test_bridge) {
    for (size_t n = 0; n < ELEMENTS_OF(drivers); n++)
        assert_bridge_case(n);
}
END_TEST

static const struct {
    const char *driver;
    bool unsafe;
} uio_drivers[] = {
    {"uio_pci_generic", true}, {"igb_uio", true},  {"uio_hv_generic", true},
    {"uio_pdrv_genirq", true},
    {"uio_dmem_genirq", true}, {"vfio-pci", false}, {"e1000e", false},       {"uio", false},
    {"igb", false},            {"igb_uio2", false}, {"my_uio_driver", false}, {"", false},
    {NULL, false},
};

static void assert_uio_case(size_t n) {
    ck_assert_int_eq(driver_is_unsafe_uio(uio_drivers[n].driver), uio_drivers[n].unsafe);
}

START_TEST(test_uio) {
    for (size_t n = 0; n < ELEMENTS_OF(uio_drivers); n++)
        assert_uio_case(n);
}
END_TEST

START_TEST(test_names) {
    ck_assert_str_eq(role_to_string(ROLE_FREE), "free");
    ck_assert_str_eq(role_to_string(ROLE_USER), "user");
    ck_assert_str_eq(role_to_string(ROLE_PASSIVE), "passive");
    ck_assert_str_eq(role_to_string(ROLE_KERNEL), "kernel");
}
END_TEST

/* ---- By the device's own facts --------------------------------------------------------------- */

static const struct {
    uint32_t class;
    bool has_ids, bridge;
} classes[] = {
    {0x060400, true, true},  {0x060000, true, true},  {0x060401, true, true},
    {0x060700, true, true},  {0x060900, true, true},  {0x060100, true, false},
    {0x068000, true, false}, {0x06ffff, true, false}, {0x020000, true, false},
    {0x050400, true, false}, {0x070000, true, false}, {0x000604, true, false},
    {0x160400, true, false}, {0x060400, false, false}, {0, false, false},
};

static void assert_class_case(size_t n) {
    struct device device = {.has_ids = classes[n].has_ids, .class = classes[n].class};

    ck_assert_int_eq(device_is_bridge(&device), classes[n].bridge);
}

START_TEST(test_class) {
    for (size_t n = 0; n < ELEMENTS_OF(classes); n++)
        assert_class_case(n);
}
END_TEST

/* The model gives each device its role, from the reading that it is updated with. */
START_TEST(test_in_model) {
    struct model model;
    struct device_facts variant = nic_facts(PCI("07.0"), "new-variant", 7);

    model_init(&model);
    variant.vfio_device = "vfio3";
    ck_assert_int_eq(put_bridge(&model, PCI("1c.0"), NULL, 7)->role, ROLE_PASSIVE);
    ck_assert_int_eq(put_bridge(&model, PCI("1c.1"), "pcieport", 7)->role, ROLE_PASSIVE);
    ck_assert_int_eq(put_bridge(&model, PCI("1c.2"), "shpchp", 7)->role, ROLE_KERNEL);
    ck_assert_int_eq(put_nic(&model, PCI("05.0"), NULL, 7)->role, ROLE_FREE);
    ck_assert_int_eq(put_nic(&model, PCI("06.0"), "vfio-pci", 7)->role, ROLE_USER);
    ck_assert_int_eq(put(&model, &variant)->role, ROLE_USER);
    ck_assert(device_blocks(model_device(&model, PCI("1c.2"))));
    ck_assert(!device_blocks(model_device(&model, PCI("1c.1"))));
    model_done(&model);
}
END_TEST

static const struct {
    const char *methods, *driver;
    bool pci, reset;
} resets[] = {
    {"flr", NULL, true, true},
    {"af_flr", NULL, true, true},
    {"acpi", NULL, true, true},
    {"device_specific", NULL, true, true},
    {"pm flr bus", NULL, true, true},
    {"bus flr", NULL, true, true},
    {"pm bus", NULL, true, false},
    {"pm", NULL, true, false},
    {"bus", NULL, true, false},
    {"cxl_bus", NULL, true, false},
    {"", NULL, true, false},
    {"flr2", NULL, true, false},
    {"xflr", NULL, true, false},
    {"xflr flr", NULL, true, true},
    {"flr_x acpi", NULL, true, true},
    {"acpi_bus device_specifics", NULL, true, false},
    {"", "vfio-platform", true, false},
    {"", "calxeda", false, false},
    {"", NULL, false, false},
};

static void assert_reset_case(size_t n) {
    struct device device = {.has_ids = resets[n].pci, .driver = resets[n].driver,
                            .reset_methods = resets[n].methods};

    ck_assert_int_eq(device_has_function_reset(&device, &(struct vfio_demands){.reset_always = true}),
                     resets[n].reset);
}

START_TEST(test_reset) {
    for (size_t n = 0; n < ELEMENTS_OF(resets); n++)
        assert_reset_case(n);
}
END_TEST

/* Of devices that are not PCI: who has them, what is known of a handler, what the kernel asks for. */
static const struct {
    const char *driver;
    enum vfio_reset known;
    bool always, required, reset, asked;
} vfio_resets[] = {
    /* By being bound, it shows that it has one. */
    {"vfio-platform", VFIO_RESET_UNKNOWN, false, true, true, false},
    {"vfio-platform", VFIO_RESET_UNKNOWN, true, false, true, false},
    {"vfio-platform", VFIO_RESET_IF_TAKEN, false, true, true, false},
    {"vfio-amba", VFIO_RESET_UNKNOWN, true, true, true, false},
    /* reset_required=0 where that holds: nothing is shown. */
    {"vfio-platform", VFIO_RESET_UNKNOWN, false, false, false, true},
    {"vfio-platform", VFIO_RESET_NONE, false, false, false, false},
    {"vfio-platform", VFIO_RESET_HANDLER, false, false, true, false},
    {"vfio-platform", VFIO_RESET_IF_TAKEN, false, false, false, false},
    /* AMBA is never asked for one, since 6.3. */
    {"vfio-amba", VFIO_RESET_UNKNOWN, false, true, false, true},
    {"vfio-amba", VFIO_RESET_NONE, false, true, false, false},
    {"vfio-amba", VFIO_RESET_HANDLER, false, true, true, false},
    /* A handler is those two drivers' alone. */
    {"vfio-fsl-mc", VFIO_RESET_HANDLER, true, true, false, false},
    {"calxedaxgmac", VFIO_RESET_HANDLER, true, true, false, false},
    {NULL, VFIO_RESET_HANDLER, true, true, false, false},
};

START_TEST(test_vfio_reset) {
    for (size_t n = 0; n < ELEMENTS_OF(vfio_resets); n++) {
        const struct vfio_demands demands = {.reset_always = vfio_resets[n].always,
                                             .reset_required = vfio_resets[n].required};
        const struct device device = {
            .driver = vfio_resets[n].driver, .reset_methods = "", .vfio_reset = vfio_resets[n].known};
        ck_assert_msg(device_has_function_reset(&device, &demands) == vfio_resets[n].reset, "case %zu", n);
        ck_assert_msg(device_reset_is_unknown(&device, &demands) == vfio_resets[n].asked, "case %zu", n);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("role");
    TCase *all = tcase_create("all");

    tcase_add_test(all, test_driver);
    tcase_add_test(all, test_vfio_device);
    tcase_add_test(all, test_bridge);
    tcase_add_test(all, test_uio);
    tcase_add_test(all, test_names);
    tcase_add_test(all, test_class);
    tcase_add_test(all, test_in_model);
    tcase_add_test(all, test_reset);
    tcase_add_test(all, test_vfio_reset);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
