/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict where another device, or another user, matters: PFs and VFs, what a former user may have
 * left running, a reset that takes others along. */
#include "verdict-fixture.h"

#include "model/detachment.h"

static void set_up_model(void) {
    set_up();
    scene.request.model = &scene.model;
}

/* ---- PFs and VFs */

static struct device *put_function(const char *path, const char *physfn, uint32_t group) {
    struct device_facts facts = nic_facts(path, "vfio-pci", group);

    facts.physfn = physfn;
    return put(&scene.model, &facts);
}

static void set_up_functions(void) {
    put_nic(&scene.model, PCI("05.0"), "vfio-pci", 7);
    allow_node(scene.groups[0]);
}

/* A VF whose PF another user has; one claimant may have both. */
START_TEST(test_pf_owned) {
    set_up_functions();
    put_nic(&scene.model, PCI("04.0"), "vfio-pci", 8);
    put_function(PCI("05.1"), PCI("04.0"), 7);
    assert_blocks("");
    scene.owner.claimant = ALICE;
    model_set_lease(&scene.model, model_group(&scene.model, 8), &scene.owner);
    assert_blocks("pf-owned/05.1");
    assert_text_says(REASON_PF_OWNED, "VF");
    scene.owner.claimant = DPDK;
    assert_blocks("");
    model_set_lease(&scene.model, model_group(&scene.model, 8), NULL);
    model_set_open(&scene.model, model_group(&scene.model, 8), true);
    assert_blocks("pf-owned/05.1"); /* nobody knows whose */
    scene.request.model = NULL;
    assert_blocks("");
}
END_TEST

/* The kernel links a VF to its PF only after it has told of it. */
START_TEST(test_pf_is_known_late) {
    set_up_functions();
    put_nic(&scene.model, PCI("04.0"), "vfio-pci", 8);
    put_function(PCI("05.1"), NULL, 7);
    scene.owner.claimant = ALICE;
    model_set_lease(&scene.model, model_group(&scene.model, 8), &scene.owner);
    assert_blocks("");
    put_function(PCI("05.1"), PCI("04.0"), 7);
    put_function(PCI("05.1"), PCI("04.0"), 7);
    assert_blocks("pf-owned/05.1");
    ck_assert_uint_eq(model_device(&scene.model, PCI("04.0"))->n_vfs, 1);
}
END_TEST

/* The PF is about to be another's, or was taken from the host by another who has no lease yet. */
START_TEST(test_pf_on_its_way) {
    struct detachment_member member = {.move = MOVE_TO_USER, .uid = ALICE};

    set_up_functions();
    struct device *pf = put_nic(&scene.model, PCI("04.0"), "vfio-pci", 8);
    put_function(PCI("05.1"), PCI("04.0"), 7);
    pf->group->switching = 1;
    assert_blocks("pf-owned/05.1");
    pf->group->switching = 0;
    pf->group->held_for = 1;
    assert_blocks("pf-owned/05.1");
    pf->group->held_for = 0;
    pf->detached = &member;
    assert_blocks("pf-owned/05.1");
    member.uid = DPDK;
    assert_blocks("");
    member = (struct detachment_member){.move = MOVE_PINNED, .uid = ALICE};
    assert_blocks("");
    pf->detached = NULL;
}
END_TEST

START_TEST(test_vfs_on_their_way) {
    set_up_functions();
    struct device *vf = put_function(PCI("05.1"), PCI("05.0"), 8);
    vf->group->switching = 1;
    assert_blocks("vfs-in-use/05.0");
    vf->group->switching = 0;
    vf->group->held_for = 1;
    assert_blocks("vfs-in-use/05.0");
    vf->group->held_for = 0;
    assert_blocks("");
}
END_TEST

START_TEST(test_vfs_in_use) {
    set_up_functions();
    put_function(PCI("05.1"), PCI("05.0"), 8);
    put_function(PCI("05.2"), PCI("05.0"), 9);
    assert_blocks("");
    scene.owner.claimant = ALICE;
    model_set_lease(&scene.model, model_group(&scene.model, 8), &scene.owner);
    model_set_open(&scene.model, model_group(&scene.model, 9), true);
    assert_blocks("vfs-in-use/05.0"); /* once */
    assert_text_says(REASON_VFS_IN_USE, "is a PF");
    scene.owner.claimant = DPDK;
    model_set_open(&scene.model, model_group(&scene.model, 9), false);
    assert_blocks("");
}
END_TEST

/* The same where the PF is the host's and is to be taken from it. */
START_TEST(test_vfs_in_use_with_detach) {
    put_nic(&scene.model, PCI("05.0"), "e1000e", 7);
    scene.detach = "true";
    ask_for_switch();
    put_function(PCI("05.1"), PCI("05.0"), 8);
    scene.owner.claimant = ALICE;
    model_set_lease(&scene.model, model_group(&scene.model, 8), &scene.owner);
    assert_blocks("vfs-in-use/05.0");
}
END_TEST

/* ---- Former users */

static struct device *soil(const char *reset_methods) {
    struct device_facts facts = nic_facts(PCI("05.0"), "vfio-pci", 7);

    facts.reset_methods = reset_methods;
    allow_node(scene.groups[0]);
    struct device *device = put(&scene.model, &facts);
    device->soiled_by = ALICE;
    return device;
}

START_TEST(test_not_reset) {
    struct device *device = soil("");

    assert_blocks("not-reset/05.0");
    ck_assert_str_eq(text_of(REASON_NOT_RESET),
                     "Device 0000:00:05.0 in group 7 was open to uid 1000 and has no reset since, so it "
                     "may still be running; power it off and on, or a rule with \"reattach_unreset\" "
                     "lets it go on as it is.");
    device->soiled_by = DPDK; /* his own dirt */
    assert_blocks("");
    device->soiled_by = ALICE;
    scene.request.holder.uid = ALICE;
    scene.delegate = "[\"alice\"]";
    assert_blocks(""); /* the holder's */
}
END_TEST

START_TEST(test_not_reset_is_allowed) {
    struct device *device = soil("");

    scene.reattach_unreset = "true";
    assert_blocks("");
    ck_assert_str_eq(findings(false), "not-reset/05.0 user-driver/05.0");
    assert_text_says(REASON_NOT_RESET, "here, a rule");
    device->soiled_by = UID_NONE;
    assert_blocks("");
    ck_assert_str_eq(findings(false), "user-driver/05.0");
}
END_TEST

/* With a reset it is reset at the claim, and only if that failed it is in the way. */
START_TEST(test_reset_failed) {
    struct device *device = soil("flr bus");

    assert_blocks("");
    device->reset_failed = true;
    assert_blocks("not-reset/05.0");
    assert_text_says(REASON_NOT_RESET, "could not be reset");
}
END_TEST

/* ---- Common buses */

static void put_below_bridge(const char *path, const char *reset_methods, uint32_t group) {
    struct device_facts facts = nic_facts(path, "vfio-pci", group);

    facts.reset_methods = reset_methods;
    put(&scene.model, &facts);
}

#define BRIDGE PCI("1c.0")

START_TEST(test_reset_spans_groups) {
    static const struct {
        const char *reset_methods;
        uint32_t other_group;
        bool spans;
    } cases[] = {
        {"bus", 8, true}, {"flr bus", 8, false}, {"", 8, false}, {"bus", 7, false},
    };

    set_up_functions();
    put_bridge(&scene.model, BRIDGE, "pcieport", 6);
    put_below_bridge(BRIDGE "/0000:01:00.0", cases[_i].reset_methods, 7);
    put_below_bridge(BRIDGE "/0000:01:01.0", "flr", cases[_i].other_group);
    assert_blocks("");
    ck_assert_int_eq(strstr(findings(false), "reset-spans-groups/00.0") != NULL, cases[_i].spans);
    if (cases[_i].spans)
        assert_text_says(REASON_RESET_SPANS_GROUPS, "other groups");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("verdict-others");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up_model, tear_down);
    tcase_add_test(all, test_pf_owned);
    tcase_add_test(all, test_pf_is_known_late);
    tcase_add_test(all, test_pf_on_its_way);
    tcase_add_test(all, test_vfs_on_their_way);
    tcase_add_test(all, test_vfs_in_use);
    tcase_add_test(all, test_vfs_in_use_with_detach);
    tcase_add_test(all, test_not_reset);
    tcase_add_test(all, test_not_reset_is_allowed);
    tcase_add_test(all, test_reset_failed);
    tcase_add_loop_test(all, test_reset_spans_groups, 0, 4);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
