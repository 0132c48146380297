/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each reason on its own, what its sentence says, and which of several answers. */
#include "verdict-fixture.h"

/* ---- The ways to spoil the scene, each on its own and all together --------------------------- */

static void policy_denied(void) {
    scene.before = "{\"name\": \"boot\", \"effect\": \"deny\","
                   " \"match\": {\"name\": \"0000:00:05.0\"}},";
}

static void no_rule(void) {
    struct device_facts facts = nic_facts(PCI("05.2"), NULL, 7);

    facts.class = 0x0c0330;
    put(&scene.model, &facts);
    scene.match = "{\"class\": \"0x02****\"}";
}

static void mode_denied(void) {
    scene.modes = "[\"fd\"]";
}

static void lifetime_denied(void) {
    scene.lifetimes = "[\"process\", \"unit\"]";
}

static void ttl_denied(void) {
    scene.max_ttl = "3600";
    scene.request.ttl = 3601;
}

static void delegate_denied(void) {
    scene.request.holder.uid = QEMU;
}

static void draining(void) {
    scene.owner.state = LEASE_DRAINING;
    model_set_lease(&scene.model, scene.groups[0], &scene.owner);
}

static void leased(void) {
    model_set_lease(&scene.model, scene.groups[0], &scene.owner);
}

static void open_elsewhere(void) {
    model_set_open(&scene.model, scene.groups[0], true);
}

static void kernel_driver(void) {
    put_nic(&scene.model, PCI("05.1"), "e1000e", 7);
}

static void unsafe_uio(void) {
    put_nic(&scene.model, PCI("05.3"), "uio_pci_generic", 7);
}

static void no_group(void) {
    scene.groupless[0] = put_nic(&scene.model, PCI("1f.6"), "e1000e", GROUP_NONE);
    scene.request.n_groupless = 1;
}

static void no_vfio_driver(void) {
    put_nic(&scene.model, PCI("05.0"), NULL, 7);
}

static void no_node(void) {
    model_update_node(&scene.model, scene.groups[0], &(struct node_facts){.mismatched = true});
}

static void node_open(void) {
    scene.groups[0]->node.other_access = true;
}

static void kernel_disagrees(void) {
    scene.groups[0]->kernel_disagrees = true;
}

static void direct_region(void) {
    model_update_group_facts(&scene.model, scene.groups[0],
                             &(struct group_facts){.type = "DMA", .direct_region = true});
}

static void no_iommu(void) {
    scene.host.has_iommu = scene.host.enforces = false;
}

static void not_enforced(void) {
    put_other(&scene.model, "devices/cdx-00/cdx-00:00", "cdx", NULL, 7);
}

static void not_enforced_vmbus(void) {
    put_other(&scene.model, "devices/vmbus/4487b255", "vmbus", NULL, 7);
}

static void old_kernel(void) {
    scene.host.enforces = false;
}

static void no_reset(void) {
    struct device_facts facts = nic_facts(PCI("05.0"), "vfio-pci", 7);

    facts.reset_methods = "pm bus";
    put(&scene.model, &facts);
    scene.require = "[\"reset\", \"interrupt-remapping\"]";
}

static void no_interrupt_remapping(void) {
    scene.host.remaps_interrupts = false;
    scene.require = "[\"interrupt-remapping\"]";
}

static void quota(void) {
    for (uint64_t id = 1; id <= 16; id++)
        add_lease(id, DPDK, "others");
}

static void quota_of_rule(void) {
    scene.max_leases = "2";
    add_lease(101, DPDK, "nics");
    add_lease(102, DPDK, "gpus,nics");
}

/* In the order of the contract; what each finds where nothing else is wrong, and what its sentence
 * must say. */
static const struct {
    void (*spoil)(void);
    enum reason reason;
    const char *blocks, *says[4];
} cases[] = {
    {policy_denied, REASON_POLICY_DENIED, "policy-denied/05.0",
     {"Device 0000:00:05.0 in group 7", "denied", "\"boot\"", "uid 900"}},
    {no_rule, REASON_NO_RULE, "no-rule/05.2",
     {"Device 0000:00:05.2 in group 7", "no rule", "uid 900"}},
    {mode_denied, REASON_MODE_DENIED, "mode-denied", {"\"nics\"", "mode path"}},
    {lifetime_denied, REASON_LIFETIME_DENIED, "lifetime-denied",
     {"\"nics\"", "lifetime persistent"}},
    {ttl_denied, REASON_LIFETIME_DENIED, "lifetime-denied",
     {"\"nics\"", "3600 seconds"}},
    {delegate_denied, REASON_DELEGATE_DENIED, "delegate-denied/05.0",
     {"Device 0000:00:05.0 in group 7", "uid 900", "uid 64055", "\"nics\" does not name"}},
    {draining, REASON_DRAINING, "draining", {"Group 7", "uid 1000", "still has it open"}},
    {leased, REASON_LEASED, "leased", {"Group 7", "uid 1000", "lease 12"}},
    {open_elsewhere, REASON_OPEN_ELSEWHERE, "open-elsewhere", {"Group 7", "/dev/vfio/7"}},
    {kernel_driver, REASON_KERNEL_DRIVER, "kernel-driver/05.1",
     {"Device 0000:00:05.1 in group 7", "e1000e", "unbind"}},
    {unsafe_uio, REASON_UNSAFE_UIO, "unsafe-uio/05.3",
     {"Device 0000:00:05.3 in group 7", "uio_pci_generic", "unbind"}},
    {no_group, REASON_NO_GROUP, "no-group/1f.6", {"Device 0000:00:1f.6", "no IOMMU group"}},
    {no_vfio_driver, REASON_NO_VFIO_DRIVER, "no-vfio-driver", {"Group 7", "vfio-pci"}},
    {no_node, REASON_NO_NODE, "no-node", {"Group 7", "/dev/vfio/7"}},
    {node_open, REASON_NODE_OPEN_TO_OTHERS, "node-open-to-others",
     {"Group 7", "/dev/vfio/7", "0600"}},
    {kernel_disagrees, REASON_KERNEL_DISAGREES, "kernel-disagrees", {"Group 7", "kernel"}},
    {direct_region, REASON_DIRECT_REGION, "direct-region", {"Group 7", "direct"}},
    {no_iommu, REASON_NO_IOMMU, "no-iommu", {"Group 7", "IOMMU"}},
    {not_enforced, REASON_NOT_ENFORCED, "not-enforced/0:00",
     {"Device cdx-00:00 in group 7", "bus cdx"}},
    {not_enforced_vmbus, REASON_NOT_ENFORCED, "not-enforced/b255",
     {"Device 4487b255 in group 7", "bus vmbus"}},
    {old_kernel, REASON_OLD_KERNEL, "old-kernel", {"Group 7", "5.19"}},
    {no_reset, REASON_NO_RESET, "no-reset/05.0", {"Device 0000:00:05.0 in group 7", "reset"}},
    {no_interrupt_remapping, REASON_NO_INTERRUPT_REMAPPING, "no-interrupt-remapping",
     {"Group 7", "interrupt remapping"}},
    {quota, REASON_QUOTA, "quota", {"Uid 900", "16 leases", "release one"}},
    {quota_of_rule, REASON_QUOTA, "quota", {"Uid 900", "2 leases", "\"nics\""}},
};

START_TEST(test_alone) {
    cases[_i].spoil();
    assert_blocks(cases[_i].blocks);
    const struct finding *first = verdict_first_finding(&scene.verdict);
    ck_assert_int_eq(first->reason, cases[_i].reason);
    _cleanup_(freep) char *text = finding_text(first, &scene.request);
    for (size_t i = 0; i < ELEMENTS_OF(cases[_i].says) && cases[_i].says[i]; i++)
        ck_assert_msg(strstr(text, cases[_i].says[i]), "\"%s\" does not say \"%s\"", text,
                      cases[_i].says[i]);
}
END_TEST

/* From the last reason to the first, each on top of those before: the new one answers. */
START_TEST(test_order) {
    for (size_t i = ELEMENTS_OF(cases); i-- > 0;) {
        cases[i].spoil();
        judge();
        ck_assert_int_eq(scene.verdict.first, cases[i].reason);
    }
}
END_TEST

/* Every pair of reasons: the one that is earlier in the contract answers. Which was found first
 * makes no difference. */
START_TEST(test_pairs) {
    for (size_t other = 0; other < ELEMENTS_OF(cases); other++) {
        enum reason first = cases[_i].reason < cases[other].reason ? cases[_i].reason
                                                                    : cases[other].reason;
        tear_down();
        set_up();
        cases[other > (size_t)_i ? other : (size_t)_i].spoil();
        if (other != (size_t)_i)
            cases[other > (size_t)_i ? (size_t)_i : other].spoil();
        judge();
        ck_assert_int_eq(scene.verdict.first, first);
    }
}
END_TEST

/* ---- Grants, and what is only said ----------------------------------------------------------- */

START_TEST(test_grantable) {
    assert_blocks("");
    ck_assert(scene.verdict.grantable);
    ck_assert_str_eq(findings(false), "user-driver/05.0");
    ck_assert_uint_eq(scene.verdict.n_rules, 1);
    ck_assert_str_eq(scene.verdict.rules[0]->name, "nics");
}
END_TEST

START_TEST(test_information) {
    struct device_facts leaving = nic_facts(PCI("05.4"), NULL, 7);

    leaving.vfio_device = "vfio1"; /* unbound in this moment */
    put(&scene.model, &leaving);
    put_nic(&scene.model, PCI("05.1"), NULL, 7);
    put_nic(&scene.model, PCI("05.2"), "pci-stub", 7);
    put_bridge(&scene.model, PCI("1c.0"), NULL, 7);
    put_bridge(&scene.model, PCI("1c.1"), "pcieport", 7);
    assert_blocks("");
    ck_assert_str_eq(findings(false), "free/05.1 user-driver/05.0 user-driver/05.4 passive/05.2 "
                                      "passive/1c.0 passive/1c.1");
    static const struct {
        const char *device, *says;
    } texts[] = {
        {"0000:00:05.0", "Device 0000:00:05.0 in group 7 is on the VFIO driver vfio-pci."},
        {"0000:00:05.4", "Device 0000:00:05.4 in group 7 is on the VFIO driver (leaving)."},
        {"0000:00:05.1", "Device 0000:00:05.1 in group 7 has no driver; it comes with the group."},
        {"0000:00:05.2",
         "Device 0000:00:05.2 in group 7 is on pci-stub, which coexists with a user."},
        {"0000:00:1c.0", "Device 0000:00:1c.0 in group 7 is a bridge without a driver."},
        {"0000:00:1c.1",
         "Device 0000:00:1c.1 in group 7 is on pcieport, which coexists with a user."},
    };
    for (size_t i = 0; i < scene.verdict.n_findings; i++) {
        const struct finding *finding = &scene.verdict.findings[i];
        _cleanup_(freep) char *text = finding_text(finding, &scene.request);
        for (size_t k = 0; k < ELEMENTS_OF(texts); k++)
            if (strcmp(finding->device->name, texts[k].device) == 0)
                ck_assert_str_eq(text, texts[k].says);
    }
}
END_TEST

/* More findings than the first room for them. */
START_TEST(test_many) {
    for (unsigned i = 0; i < 100; i++) {
        char path[64];
        snprintf(path, sizeof(path), "devices/pci0000:00/0000:%02x:00.0", i + 1);
        put_nic(&scene.model, path, "e1000e", 7);
    }
    judge();
    ck_assert_uint_eq(scene.verdict.n_findings, 101);
    ck_assert_int_eq(scene.verdict.first, REASON_KERNEL_DRIVER);
    ck_assert_str_eq(verdict_first_finding(&scene.verdict)->device->name, "0000:01:00.0");
}
END_TEST

/* Of several groups, each blocks for all, under its own number. */
START_TEST(test_several_groups) {
    put_nic(&scene.model, PCI("06.0"), "vfio-pci", 8);
    put_nic(&scene.model, PCI("06.1"), "e1000e", 8);
    put_nic(&scene.model, PCI("07.0"), "vfio-pci", 9);
    allow_node(ask_for(8));
    allow_node(ask_for(9));
    assert_blocks("kernel-driver/06.1");
    ck_assert_uint_eq(verdict_first_finding(&scene.verdict)->group->id, 8);
    put_nic(&scene.model, PCI("06.1"), NULL, 8);
    assert_blocks("");
    model_set_lease(&scene.model, model_group(&scene.model, 9), &scene.owner);
    assert_blocks("leased");
    ck_assert_uint_eq(verdict_first_finding(&scene.verdict)->group->id, 9);
}
END_TEST

START_TEST(test_other_role_beside) {
    put_bridge(&scene.model, PCI("1c.0"), "shpchp", 7); /* a counted driver on a bridge */
    assert_blocks("kernel-driver/1c.0");
    put_bridge(&scene.model, PCI("1c.0"), "pcieport", 7);
    put_nic(&scene.model, PCI("05.0"), "uio_pci_generic", 7); /* the only device: no VFIO either */
    assert_blocks("unsafe-uio/05.0 no-vfio-driver");
    put_nic(&scene.model, PCI("05.0"), "pci-stub", 7); /* coexists, but gives nothing */
    assert_blocks("no-vfio-driver");
}
END_TEST

/* ---- The vocabulary -------------------------------------------------------------------------- */

START_TEST(test_reasons_in_order) {
    for (int reason = 1; reason < REASON_MAX; reason++) {
        enum outcome outcome = reason_outcome(reason);
        ck_assert_str_ne(reason_to_string(reason), "");
        ck_assert_int_eq(outcome == OUTCOME_OK, reason >= REASON_FREE);
        if (reason > 1 && reason < REASON_FREE)
            ck_assert_int_le(reason_outcome(reason - 1), outcome);
    }
    ck_assert_str_eq(reason_to_string(REASON_NONE), "");
    for (int outcome = 0; outcome < OUTCOME_MAX; outcome++)
        ck_assert_ptr_nonnull(outcome_error_name(outcome));
    ck_assert_str_eq(outcome_error_name(reason_outcome(REASON_UNSAFE_UIO)),
                     "org.dmaownd1.Error.KernelHeld");
    ck_assert_str_eq(outcome_error_name(reason_outcome(REASON_OPEN_ELSEWHERE)),
                     "org.dmaownd1.Error.ForeignOwner");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("verdict");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, test_alone, 0, ELEMENTS_OF(cases));
    tcase_add_test(all, test_order);
    tcase_add_loop_test(all, test_pairs, 0, ELEMENTS_OF(cases));
    tcase_add_test(all, test_grantable);
    tcase_add_test(all, test_information);
    tcase_add_test(all, test_many);
    tcase_add_test(all, test_several_groups);
    tcase_add_test(all, test_other_role_beside);
    tcase_add_test(all, test_reasons_in_order);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
