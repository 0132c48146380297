/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verdict says of devices that are not PCI: their reset, their interrupts, and groups that
 * drivers share by design. */
#include <limits.h>

#include "model/survey.h"

#include "verdict-fixture.h"

#define ETHERNET "devices/platform/soc/fff51000.ethernet"
#define CLOCK "devices/platform/soc/9010000.pl031"
#define DISPLAY "devices/platform/50000000.host1x/"

static const char *const ethernet[] = {"calxeda,hb-xgmac", NULL};
static const char *const clock_names[] = {"arm,pl031", "arm,primecell", NULL};

static struct device_facts platform_facts(const char *path, const char *bus, const char *driver,
                                          const char *const *compatible) {
    struct device_facts facts = other_facts(path, bus, driver, 7);

    facts.compatible = compatible;
    return facts;
}

/* The NIC is out of the way: group 7 has a platform device alone. */
static struct device *put_alone(const struct device_facts *facts) {
    model_remove_device(&scene.model, model_device(&scene.model, PCI("05.0")));
    struct device *device = put(&scene.model, facts);
    scene.groups[0] = device->group;
    allow_node(device->group);
    return device;
}

/* ---- Reset ----------------------------------------------------------------------------------- */

START_TEST(test_reset_on_vfio) {
    struct device_facts facts = platform_facts(ETHERNET, "platform", "vfio-platform", ethernet);
    struct device *device = put_alone(&facts);

    scene.require = "[\"reset\"]";
    scene.host.vfio.reset_required = true;
    assert_blocks("");
    /* reset_required=0: it may be there without one. */
    scene.host.vfio.reset_required = false;
    assert_blocks("no-reset/rnet");
    assert_text_says(REASON_NO_RESET, "Device fff51000.ethernet in group 7 has no reset, which the policy "
                                      "requires: no module for vfio-reset:calxeda,hb-xgmac is known of.");
    device->vfio_reset = VFIO_RESET_NONE;
    assert_blocks("no-reset/rnet");
    device->vfio_reset = VFIO_RESET_HANDLER;
    assert_blocks("");
    scene.require = NULL;
    device->vfio_reset = VFIO_RESET_NONE;
    assert_blocks("");
}
END_TEST

/* What a look found stays with the device when its driver changes. */
START_TEST(test_reset_after_switch) {
    struct device_facts facts = platform_facts(CLOCK, "amba", "rtc-pl031", clock_names);
    struct device *device = put_alone(&facts);
    struct survey *survey = survey_new();

    survey->vfio_reset = VFIO_RESET_HANDLER;
    model_take_survey(&scene.model, device, survey);
    ask_for_switch();
    scene.require = "[\"reset\"]";
    scene.detach = "true";
    assert_blocks("");
    facts.driver = "vfio-amba";
    device = put(&scene.model, &facts);
    ck_assert_ptr_null(device->survey);
    scene.request.before_switch = false;
    assert_blocks("");
    /* A look at uses alone says nothing of it. */
    model_take_survey(&scene.model, device, survey_new());
    assert_blocks("");
}
END_TEST

/* ---- Interrupts ------------------------------------------------------------------------------ */

static const struct {
    const char *bus;
    bool asks, compatible, msi_parent, lax, finding;
} interrupts[] = {
    {"platform", true, true, false, false, true},
    {"amba", true, true, false, false, true},
    {"amba", true, true, true, false, true},       /* only platform devices are asked for it */
    {"platform", true, true, true, false, false},
    {"platform", true, true, false, true, false},  /* the administrator has said yes */
    {"platform", false, true, false, false, false}, /* before 6.3 */
    {"platform", true, false, false, false, false}, /* ACPI: it does not show */
    {"fsl-mc", true, true, false, false, false},
};

START_TEST(test_interrupts) {
    struct device_facts facts = platform_facts(ETHERNET, interrupts[_i].bus, NULL,
                                               interrupts[_i].compatible ? ethernet : NULL);
    const char *expected = interrupts[_i].finding ? "no-interrupt-remapping/rnet" : "";

    facts.has_msi_parent = interrupts[_i].msi_parent;
    put(&scene.model, &facts);
    scene.host.vfio.asks_each_device = interrupts[_i].asks;
    scene.host.vfio.type1_is_lax = interrupts[_i].lax;
    /* Beside a PCI function as well: the kernel takes the strictest member for the group. */
    assert_blocks("");
    ck_assert_int_eq(strstr(findings(false), "no-interrupt-remapping/rnet") != NULL,
                     interrupts[_i].finding);
    if (*expected)
        assert_text_says(REASON_NO_INTERRUPT_REMAPPING,
                         "VFIO_SET_IOMMU will fail with EPERM: set the parameter "
                         "allow_unsafe_interrupts of module vfio_iommu_type1");
    /* A rule can ask for what the administrator does without. */
    scene.require = "[\"interrupt-remapping\"]";
    assert_blocks(*expected || interrupts[_i].lax ? "no-interrupt-remapping/rnet" : "");
    if (*expected)
        assert_text_says(REASON_NO_INTERRUPT_REMAPPING, "the policy requires interrupt-remapping");
}
END_TEST

START_TEST(test_interrupts_of_iommufd) {
    struct device_facts facts = platform_facts(ETHERNET, "platform", NULL, ethernet);

    put(&scene.model, &facts);
    scene.host.vfio.asks_each_device = scene.host.vfio.type1_is_lax = true;
    scene.request.interface = LEASE_INTERFACE_CDEV;
    judge();
    assert_text_says(REASON_NO_INTERRUPT_REMAPPING, "the bind to an iommufd will fail with EPERM");
    assert_text_says(REASON_NO_INTERRUPT_REMAPPING, "of module iommufd");
    scene.host.vfio.type1_is_lax = false;
    scene.host.vfio.iommufd_is_lax = true;
    judge();
    ck_assert_ptr_null(strstr(findings(false), "no-interrupt-remapping"));
}
END_TEST

/* ---- Shared by design ------------------------------------------------------------------------ */

static const char *const names[] = {"54200000.dc",  "54240000.dc",  "54340000.vic", "54140000.gr2d",
                                    "54180000.gr3d", "54380000.nvdec", "54300000.dsi", "54280000.hdmi",
                                    "54580000.sor",  "545c0000.dpaux", "54400000.dsi"};

static struct device *put_display(size_t n, const char *driver) {
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s%s", DISPLAY, names[n]);
    struct device_facts facts = platform_facts(path, "platform", driver, ethernet);
    return put(&scene.model, &facts);
}

static const char *refusal(void) {
    static char text[1024];
    _cleanup_(freep) char *made = verdict_text(&scene.verdict, &scene.request);

    snprintf(text, sizeof(text), "%s", made ?: "");
    return text;
}

/* A display complex under one context: each driver that is bound is in the way, and each is named. */
START_TEST(test_shared_by_design) {
    model_remove_device(&scene.model, model_device(&scene.model, PCI("05.0")));
    scene.groups[0] = put_display(0, "tegra-dc")->group;
    put_display(1, "tegra-dc");
    put_display(2, "tegra-vic");
    allow_node(scene.groups[0]);
    assert_blocks("kernel-driver/0.dc kernel-driver/0.dc kernel-driver/.vic no-vfio-driver");
    ck_assert_str_eq(refusal(), "Device 54200000.dc in group 7 is held by the kernel driver tegra-dc; unbind "
                                "it or bind it to a VFIO driver. Also held: 54240000.dc (tegra-dc), "
                                "54340000.vic (tegra-vic).");
    /* Mixed use: what is on VFIO or free does not take the others along. */
    put_display(2, "vfio-platform");
    put_display(0, NULL);
    assert_blocks("kernel-driver/0.dc");
    ck_assert_str_eq(refusal(), "Device 54240000.dc in group 7 is held by the kernel driver tegra-dc; unbind "
                                "it or bind it to a VFIO driver.");
    put_display(1, "vfio-platform");
    assert_blocks("");
    ck_assert_str_eq(refusal(), "");
}
END_TEST

START_TEST(test_many_are_named) {
    for (size_t n = 0; n < ELEMENTS_OF(names); n++)
        put_display(n, n == 3 ? "uio_pdrv_genirq" : "tegra");
    judge();
    ck_assert_uint_eq(scene.verdict.first, REASON_KERNEL_DRIVER);
    ck_assert_ptr_nonnull(strstr(refusal(), "54140000.gr2d (uio_pdrv_genirq), "));
    ck_assert_ptr_nonnull(strstr(refusal(), " and 2 more."));
    /* With leave to move them, nothing is held. */
    ask_for_switch();
    scene.detach = "true";
    judge();
    ck_assert_str_eq(refusal(), "");
}
END_TEST

/* Another reason comes first: then the drivers are none of the sentence's. */
START_TEST(test_other_reason_first) {
    put_display(0, "tegra-dc");
    put_display(1, "tegra-dc");
    scene.groups[0]->lease = &scene.owner;
    judge();
    ck_assert_ptr_null(strstr(refusal(), "Also held"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("verdict-platform");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_reset_on_vfio);
    tcase_add_test(all, test_reset_after_switch);
    tcase_add_loop_test(all, test_interrupts, 0, ELEMENTS_OF(interrupts));
    tcase_add_test(all, test_interrupts_of_iommufd);
    tcase_add_test(all, test_shared_by_design);
    tcase_add_test(all, test_many_are_named);
    tcase_add_test(all, test_other_reason_first);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
