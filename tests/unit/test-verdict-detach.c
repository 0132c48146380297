/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict where drivers are to be switched first. */
#include "verdict-fixture.h"

#include "model/detachment.h"
#include "model/survey.h"

/* A group with a NIC that the host drives, asked for with detach. */
static void set_up_detach(void) {
    set_up();
    put_nic(&scene.model, PCI("05.0"), "e1000e", 7);
    model_update_node(&scene.model, scene.groups[0], &(struct node_facts){.present = false});
    scene.request.model = &scene.model;
    ask_for_switch();
    scene.detach = "true";
}

static struct device *device_of(const char *path) {
    struct device *device = model_device(&scene.model, path);

    ck_assert_ptr_nonnull(device);
    return device;
}

static struct survey *survey_of(const char *path) {
    struct device *device = device_of(path);

    if (!device->survey)
        model_take_survey(&scene.model, device, survey_new());
    return device->survey;
}

static void use(const char *path, enum reason reason, const char *public_text, const char *text) {
    ck_assert_int_eq(survey_add_use(survey_of(path), reason, public_text, text), 0);
}

/* ---- Drivers of the host */

/* With detach they are no obstacle, but said; neither is the node that is not there yet. */
START_TEST(test_kernel_member) {
    put_bridge(&scene.model, PCI("1c.0"), "shpchp", 7);
    put_nic(&scene.model, PCI("05.1"), NULL, 7);
    put_nic(&scene.model, PCI("05.2"), "uio_pci_generic", 7);
    assert_blocks("");
    ck_assert_str_eq(findings(false), "kernel-driver/05.0 kernel-driver/1c.0 unsafe-uio/05.2 "
                                      "free/05.1");
    scene.request.detach = scene.request.before_switch = false;
    assert_blocks("kernel-driver/05.0 kernel-driver/1c.0 unsafe-uio/05.2 no-vfio-driver");
}
END_TEST

/* The drivers were switched: what is left of them is in the way of the grant, use or none. */
START_TEST(test_after_switch) {
    use(PCI("05.0"), REASON_ADDRESS, "public", "private");
    scene.request.before_switch = false;
    assert_blocks("kernel-driver/05.0 no-vfio-driver");
    put_nic(&scene.model, PCI("05.0"), "vfio-pci", 7);
    assert_blocks("no-node");
    allow_node(scene.groups[0]);
    assert_blocks("");
    scene.detach = NULL;
    assert_blocks("detach-denied");
}
END_TEST

/* Nothing is left to be moved: then there must be a node, as ever. */
START_TEST(test_nothing_to_move) {
    put_nic(&scene.model, PCI("05.0"), "vfio-pci", 7);
    assert_blocks("no-node");
    allow_node(scene.groups[0]);
    assert_blocks("");
}
END_TEST

START_TEST(test_detach_denied) {
    static const char *const values[] = {NULL, "false"};

    scene.detach = values[_i];
    assert_blocks("detach-denied");
    ck_assert_str_eq(text_of(REASON_DETACH_DENIED),
                     "Group 7: driver switching is not allowed by rule \"nics\".");
    scene.request.mode = 0; /* Detach asks for no lease */
    assert_blocks("detach-denied");
    scene.request.detach = scene.request.before_switch = false;
    assert_blocks("kernel-driver/05.0 no-vfio-driver");
}
END_TEST

/* Of several groups, the one that the rule is about is named. */
START_TEST(test_detach_denied_elsewhere) {
    scene.before = "{\"name\": \"fixed\", \"effect\": \"allow\","
                   "\"match\": {\"name\": \"0000:00:06.0\"}, \"subjects\": {\"users\": [900]}},";
    put_nic(&scene.model, PCI("06.0"), "e1000e", 8);
    ask_for(8);
    assert_blocks("detach-denied");
    ck_assert_str_eq(text_of(REASON_DETACH_DENIED),
                     "Group 8: driver switching is not allowed by rule \"fixed\".");
}
END_TEST

/* It must be in every rule that decides a member. */
START_TEST(test_detach_in_all_rules) {
    put_nic(&scene.model, PCI("05.1"), "e1000e", 7);
    scene.before = "{\"name\": \"first\", \"effect\": \"allow\","
                   " \"match\": {\"name\": \"*:05.0\"}, \"subjects\": {\"users\": [\"dpdk\"]}},";
    assert_blocks("detach-denied");
    ck_assert_str_eq(verdict_first_finding(&scene.verdict)->rule->name, "first");
    scene.before = "{\"name\": \"first\", \"effect\": \"allow\", \"detach\": true,"
                   " \"match\": {\"name\": \"*:05.0\"}, \"subjects\": {\"users\": [\"dpdk\"]}},";
    assert_blocks("");
    scene.detach = NULL;
    assert_blocks("detach-denied");
    ck_assert_str_eq(verdict_first_finding(&scene.verdict)->rule->name, "nics");
}
END_TEST

/* ---- What the host needs */

START_TEST(test_use) {
    use(PCI("05.0"), REASON_MOUNTED, "nvme0n1p2 is mounted, through dm-0",
        "nvme0n1p2 is mounted on /srv/secret, through dm-0");
    assert_blocks("mounted/05.0");
    ck_assert_int_eq(reason_outcome(scene.verdict.first), OUTCOME_DEVICE_IN_USE);
    ck_assert_str_eq(text_of(REASON_MOUNTED),
                     "Device 0000:00:05.0 in group 7: nvme0n1p2 is mounted, through dm-0; the host "
                     "needs it, free it first.");
    scene.request.caller.uid = 0;
    ck_assert_str_eq(text_of(REASON_MOUNTED),
                     "Device 0000:00:05.0 in group 7: nvme0n1p2 is mounted on /srv/secret, through "
                     "dm-0; the host needs it, free it first.");
}
END_TEST

/* It is said also where nothing would be switched, and is not in the way then. */
START_TEST(test_use_without_detach) {
    use(PCI("05.0"), REASON_ADDRESS, "eth0 has an address", "eth0 has the address 10.0.2.15/24");
    scene.request.detach = scene.request.before_switch = false;
    assert_blocks("kernel-driver/05.0 no-vfio-driver");
    judge();
    ck_assert_str_eq(findings(false), "address/05.0");
    ck_assert_ptr_null(strstr(text_of(REASON_ADDRESS), "10.0.2.15"));
}
END_TEST

/* An old look at a device that has left the host since. */
START_TEST(test_use_of_the_past) {
    use(PCI("05.0"), REASON_ADDRESS, "eth0 has an address", "eth0 has an address");
    put_nic(&scene.model, PCI("05.0"), "vfio-pci", 7);
    allow_node(scene.groups[0]);
    assert_blocks("");
    ck_assert_str_eq(findings(false), "user-driver/05.0");
}
END_TEST

/* Each reason of DeviceInUse blocks, and the first of the contract answers. */
START_TEST(test_every_use) {
    use(PCI("05.0"), REASON_DATA_ON_DISK, "nvme0n1 holds an ext4 file system",
        "nvme0n1 holds an ext4 file system");
    assert_blocks("");
    ck_assert_str_eq(text_of(REASON_DATA_ON_DISK),
                     "Device 0000:00:05.0 in group 7: nvme0n1 holds an ext4 file system.");
    for (int reason = REASON_VFS_IN_USE; reason >= REASON_MOUNTED; reason--) {
        use(PCI("05.0"), (enum reason)reason, "public", "private");
        judge();
        ck_assert_int_eq(scene.verdict.first, reason);
        assert_text_says((enum reason)reason, "public");
    }
    judge();
    ck_assert_str_eq(findings(false), "kernel-driver/05.0 data-on-disk/05.0");
}
END_TEST

/* Text from the host goes to a terminal. */
START_TEST(test_use_is_escaped) {
    use(PCI("05.0"), REASON_OPEN_NODE, "\x1b[2Jpublic", "x");
    judge(); /* looks at every text itself */
    assert_text_says(REASON_OPEN_NODE, "\\x1b[2Jpublic");
}
END_TEST

/* ---- Where it could go */

START_TEST(test_no_driver) {
    struct survey *survey = survey_of(PCI("05.0"));

    survey->problem = REASON_NO_VFIO_DRIVER;
    survey->problem_text = strdup("module vfio_pci is blacklisted");
    assert_blocks("no-vfio-driver/05.0");
    ck_assert_str_eq(text_of(REASON_NO_VFIO_DRIVER),
                     "Device 0000:00:05.0 in group 7 can not go to a VFIO driver: module vfio_pci is "
                     "blacklisted.");
    survey->problem = REASON_NO_RESET;
    free(survey->problem_text);
    survey->problem_text = strdup("vfio-platform has no reset for it");
    assert_blocks("no-reset/05.0");
    assert_text_says(REASON_NO_RESET, "vfio-platform has no reset for it");
    /* What stays where it is needs none. */
    put_nic(&scene.model, PCI("05.0"), NULL, 7);
    put_nic(&scene.model, PCI("05.1"), "e1000e", 7);
    assert_blocks("");
}
END_TEST

/* Whether a platform device has a reset shows when vfio-platform has taken it: before that only the look
 * at its drivers says so. */
START_TEST(test_platform_reset) {
    struct device *device =
        put_other(&scene.model, "devices/platform/fff51000.ethernet", "platform", "calxedaxgmac", 7);
    struct survey *survey = survey_new();

    model_remove_device(&scene.model, device_of(PCI("05.0")));
    scene.require = "[\"reset\"]";
    survey->vfio_reset = VFIO_RESET_HANDLER;
    model_take_survey(&scene.model, device, survey);
    assert_blocks("");
    device->vfio_reset = VFIO_RESET_IF_TAKEN;
    assert_blocks("");
    /* With reset_required=0, when nothing is in the way of its going there. */
    device->vfio_reset = VFIO_RESET_NONE;
    assert_blocks("no-reset/rnet");
    assert_text_says(REASON_NO_RESET, "has no reset of its own, which the policy requires");
    survey->problem = REASON_NO_RESET;
    survey->problem_text = strdup("vfio-platform has no reset for it");
    assert_blocks("no-reset/rnet");
}
END_TEST

START_TEST(test_nothing_to_use) {
    put_bridge(&scene.model, PCI("1c.0"), "shpchp", 7);
    put_bridge(&scene.model, PCI("1c.1"), NULL, 7);
    model_remove_device(&scene.model, device_of(PCI("05.0")));
    assert_blocks("no-vfio-driver");
    ck_assert_ptr_null(verdict_first_finding(&scene.verdict)->device);
}
END_TEST

/* A free member that was named leaves too, and so needs a driver. */
START_TEST(test_named) {
    static struct device *named[1];
    struct survey *survey;

    named[0] = put_nic(&scene.model, PCI("05.1"), NULL, 7);
    survey = survey_of(PCI("05.1"));
    survey->problem = REASON_NO_VFIO_DRIVER;
    survey->problem_text = strdup("no driver takes it");
    assert_blocks("");
    scene.request.named = named;
    scene.request.n_named = 1;
    assert_blocks("no-vfio-driver/05.1");
}
END_TEST

/* ---- Owners */

START_TEST(test_switching) {
    scene.groups[0]->switching = 1;
    assert_blocks("switching");
    ck_assert_int_eq(reason_outcome(scene.verdict.first), OUTCOME_BUSY);
    assert_text_says(REASON_SWITCHING, "wait");
    scene.owner.state = LEASE_DRAINING;
    model_set_lease(&scene.model, scene.groups[0], &scene.owner);
    judge();
    ck_assert_int_eq(scene.verdict.first, REASON_SWITCHING);
    scene.groups[0]->switching = 0;
    assert_blocks("draining");
}
END_TEST

/* ---- The policy's `driver` */

/* While dmaownd has moved the device, rules see the host's driver. */
START_TEST(test_driver_while_detached) {
    struct detachment_member member = {
        .path = (char *)PCI("05.0"), .driver = (char *)"e1000e", .move = MOVE_TO_USER};

    scene.match = "{\"driver\": \"e1000e\"}";
    assert_blocks("");
    put_nic(&scene.model, PCI("05.0"), "vfio-pci", 7);
    allow_node(scene.groups[0]);
    assert_blocks("no-rule/05.0");
    device_of(PCI("05.0"))->detached = &member;
    assert_blocks("");
    member.driver = (char *)"";
    assert_blocks("no-rule/05.0");
    scene.match = "{\"driver\": \"vfio-pci\"}";
    assert_blocks("no-rule/05.0");
    device_of(PCI("05.0"))->detached = NULL;
    assert_blocks("");
}
END_TEST

/* ---- The order */

static void in_use(void) {
    use(PCI("05.0"), REASON_HELD, "p", "t");
}

static void deny_detach(void) {
    scene.detach = NULL;
}

static void deny_mode(void) {
    scene.modes = "[\"fd\"]";
}

static void busy(void) {
    scene.groups[0]->switching = 1;
}

static void leased(void) {
    scene.owner.claimant = ALICE;
    model_set_lease(&scene.model, scene.groups[0], &scene.owner);
}

static void no_driver(void) {
    struct survey *survey = survey_of(PCI("05.0"));

    survey->problem = REASON_NO_VFIO_DRIVER;
    survey->problem_text = strdup("no");
}

static void dirty(void) {
    struct device_facts facts = nic_facts(PCI("05.9"), "vfio-pci", 7);

    facts.reset_methods = "";
    put(&scene.model, &facts)->soiled_by = ALICE;
}

/* From the last of the contract to the first, each on top of those before. */
START_TEST(test_order) {
    static const struct {
        void (*spoil)(void);
        enum reason first;
    } cases[] = {
        {dirty, REASON_NOT_RESET}, {no_driver, REASON_NO_VFIO_DRIVER}, {in_use, REASON_HELD},
        {leased, REASON_LEASED},   {busy, REASON_SWITCHING},
        {deny_detach, REASON_DETACH_DENIED},
        {deny_mode, REASON_MODE_DENIED},
    };

    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        cases[i].spoil();
        judge();
        ck_assert_int_eq(scene.verdict.first, cases[i].first);
    }
}
END_TEST

static void add_tests(TCase *all) {
    tcase_add_test(all, test_kernel_member);
    tcase_add_test(all, test_after_switch);
    tcase_add_test(all, test_nothing_to_move);
    tcase_add_loop_test(all, test_detach_denied, 0, 2);
    tcase_add_test(all, test_detach_denied_elsewhere);
    tcase_add_test(all, test_detach_in_all_rules);
    tcase_add_test(all, test_use);
    tcase_add_test(all, test_use_without_detach);
    tcase_add_test(all, test_use_of_the_past);
    tcase_add_test(all, test_every_use);
    tcase_add_test(all, test_use_is_escaped);
    tcase_add_test(all, test_no_driver);
    tcase_add_test(all, test_platform_reset);
    tcase_add_test(all, test_nothing_to_use);
    tcase_add_test(all, test_named);
    tcase_add_test(all, test_switching);
}

int main(void) {
    Suite *suite = suite_create("verdict-detach");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up_detach, tear_down);
    add_tests(all);
    tcase_add_test(all, test_driver_while_detached);
    tcase_add_test(all, test_order);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
