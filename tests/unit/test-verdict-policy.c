/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict where the policy is what matters: every member, bridges, terms, quotas, the holder;
 * and who may open the node. */
#include "verdict-fixture.h"

/* ---- Every member ---------------------------------------------------------------------------- */

START_TEST(test_no_policy) {
    scene.no_policy = true;
    put_bridge(&scene.model, PCI("1c.0"), NULL, 7);
    put_nic(&scene.model, PCI("05.1"), NULL, 7);
    for (uint64_t id = 1; id < 40; id++)
        add_lease(id, DPDK, "nics"); /* without a policy there is no quota to be over */
    assert_blocks("no-rule/05.0 no-rule/05.1");
    scene.request.caller.uid = scene.request.holder.uid = 0;
    assert_blocks("no-rule/05.0 no-rule/05.1"); /* root needs one too */
}
END_TEST

START_TEST(test_no_rules) {
    scene.no_policy = true;
    scene.policy = test_policy(&test_strict, RULES());
    scene.request.policy = scene.policy;
    assert_blocks("no-rule/05.0");
}
END_TEST

START_TEST(test_other_caller) {
    scene.request.caller.uid = scene.request.holder.uid = ALICE;
    assert_blocks("no-rule/05.0");
}
END_TEST

/* One member that no rule matches, one of another class, one denied: each denies the group. */
START_TEST(test_one_member) {
    struct device_facts usb = nic_facts(PCI("05.2"), NULL, 7);

    usb.class = 0x0c0330;
    scene.match = "{\"bus\": \"pci\", \"class\": \"0x02****\"}";
    put_nic(&scene.model, PCI("05.1"), NULL, 7);
    assert_blocks("");
    put(&scene.model, &usb);
    assert_blocks("no-rule/05.2");
    model_remove_device(&scene.model, model_device(&scene.model, PCI("05.2")));
    put_other(&scene.model, "devices/platform/dma", "platform", NULL, 7);
    assert_blocks("no-rule/dma");
    model_remove_device(&scene.model, model_device(&scene.model, "devices/platform/dma"));
    scene.before = "{\"name\": \"not-this\", \"effect\": \"deny\","
                   " \"match\": {\"name\": \"*:05.1\"}},";
    assert_blocks("policy-denied/05.1");
    ck_assert_str_eq(verdict_first_finding(&scene.verdict)->rule->name, "not-this");
    model_remove_device(&scene.model, model_device(&scene.model, PCI("05.1")));
    assert_blocks("");
}
END_TEST

START_TEST(test_groupless) {
    scene.request.n_groups = 0;
    scene.groupless[0] = put_nic(&scene.model, PCI("1f.6"), NULL, GROUP_NONE);
    scene.groupless[1] = put_bridge(&scene.model, PCI("1f.0"), NULL, GROUP_NONE);
    scene.request.n_groupless = 2;
    assert_blocks("no-group/1f.6 no-group/1f.0");
    scene.match = "{\"class\": \"0x02****\"}"; /* a bridge is exempt in a group only */
    assert_blocks("no-rule/1f.0 no-group/1f.6 no-group/1f.0");
}
END_TEST

/* ---- Bridges --------------------------------------------------------------------------------- */

static const struct {
    const char *driver, *blocks;
} bridges[] = {
    {NULL, ""},
    {"pcieport", ""},
    {"pci-stub", "no-rule/1c.0"},
    {"vfio-pci", "no-rule/1c.0"},
    {"shpchp", "no-rule/1c.0 kernel-driver/1c.0"},
};

START_TEST(test_bridge) {
    scene.match = "{\"class\": \"0x02****\"}";
    put_bridge(&scene.model, PCI("1c.0"), bridges[_i].driver, 7);
    assert_blocks(bridges[_i].blocks);
}
END_TEST

/* What is exempt is a bridge, not what is on a bridge's driver. */
START_TEST(test_no_bridge) {
    scene.match = "{\"name\": \"*:05.0\"}";
    put_nic(&scene.model, PCI("05.1"), "pcieport", 7);
    assert_blocks("no-rule/05.1");
    put_nic(&scene.model, PCI("05.1"), NULL, 7);
    assert_blocks("no-rule/05.1");
}
END_TEST

/* Somebody must have decided on the group, even where a rule would match its bridges. */
START_TEST(test_only_bridges) {
    put_bridge(&scene.model, PCI("1c.0"), NULL, 8);
    put_bridge(&scene.model, PCI("1c.1"), "pcieport", 8);
    scene.request.n_groups = 0;
    ask_for(8);
    assert_blocks("no-rule/1c.0 no-vfio-driver");
    put_bridge(&scene.model, PCI("1c.1"), "vfio-pci", 8);
    allow_node(scene.groups[0]);
    assert_blocks("");
    scene.request.n_groups = 0;
    put_bridge(&scene.model, PCI("1c.1"), NULL, 8);
    ask_for(7);
    ask_for(8); /* nor does the rule of another group speak for it */
    assert_blocks("no-rule/1c.0 no-vfio-driver");
}
END_TEST

/* A bridge has no reset of its own to offer. */
START_TEST(test_bridge_reset) {
    struct device_facts sibling = nic_facts(PCI("05.1"), NULL, 7);

    sibling.reset_methods = "pm bus";
    scene.require = "[\"reset\"]";
    put_bridge(&scene.model, PCI("1c.0"), "pcieport", 7);
    assert_blocks("");
    put(&scene.model, &sibling);
    assert_blocks("no-reset/05.1");
    scene.require = NULL;
    assert_blocks("");
    scene.host.remaps_interrupts = false;
    assert_blocks("");
}
END_TEST

/* ---- Terms ----------------------------------------------------------------------------------- */

static const struct {
    unsigned lifetime;
    const char *lifetimes;
    uint64_t ttl;
    const char *max_ttl, *blocks;
} lifetimes[] = {
    {POLICY_LIFETIME_CONNECTION, "[\"connection\"]", 0, NULL, ""},
    {POLICY_LIFETIME_PERSISTENT, "[\"connection\"]", 0, NULL, "lifetime-denied"},
    {POLICY_LIFETIME_PERSISTENT, "[\"fd\", \"persistent\"]", 0, NULL, ""},
    {0, "[\"fd\"]", 0, NULL, ""}, /* any that the rules allow */
    {POLICY_LIFETIME_PERSISTENT, NULL, 3600, "3600", ""},
    {POLICY_LIFETIME_PERSISTENT, NULL, 3601, "3600", "lifetime-denied"},
    {POLICY_LIFETIME_PERSISTENT, NULL, UINT64_MAX, "3600", "lifetime-denied"},
    {POLICY_LIFETIME_PERSISTENT, NULL, 0x100000001, "3600", "lifetime-denied"},
    {POLICY_LIFETIME_PERSISTENT, NULL, UINT64_MAX, NULL, ""},
    {POLICY_LIFETIME_PERSISTENT, "[\"fd\"]", 3601, "3600", "lifetime-denied"}, /* said once */
};

START_TEST(test_lifetime) {
    scene.request.lifetime = lifetimes[_i].lifetime;
    scene.request.ttl = lifetimes[_i].ttl;
    scene.lifetimes = lifetimes[_i].lifetimes;
    scene.max_ttl = lifetimes[_i].max_ttl;
    assert_blocks(lifetimes[_i].blocks);
}
END_TEST

START_TEST(test_mode) {
    scene.modes = "[\"path\"]";
    assert_blocks("");
    scene.request.mode = POLICY_MODE_FD;
    assert_blocks("mode-denied");
    scene.modes = NULL;
    assert_blocks("");
}
END_TEST

/* Two members under two rules: the tightest of both holds, and each rule that says no is named. */
START_TEST(test_terms_combine) {
    put_nic(&scene.model, PCI("05.1"), NULL, 7);
    put_nic(&scene.model, PCI("05.2"), NULL, 7);
    scene.before = "{\"name\": \"second\", \"effect\": \"allow\","
                   " \"match\": {\"name\": \"*:05.1\"},"
                   " \"subjects\": {\"users\": [\"dpdk\"]}, \"modes\": [\"fd\"],"
                   " \"lifetimes\": [\"persistent\"], \"require\": [\"reset\"]},";
    scene.lifetimes = "[\"connection\"]";
    assert_blocks("mode-denied lifetime-denied");
    ck_assert_uint_eq(scene.verdict.n_rules, 2); /* "nics" decided on two */
    for (size_t i = 0; i < scene.verdict.n_findings; i++) {
        const struct finding *finding = &scene.verdict.findings[i];
        if (finding->blocks)
            ck_assert_str_eq(finding->rule->name,
                             finding->reason == REASON_MODE_DENIED ? "second" : "nics");
    }
    ck_assert_uint_eq(scene.verdict.terms.modes, POLICY_MODE_FD);
    ck_assert_uint_eq(scene.verdict.terms.lifetimes, 0);
    ck_assert_uint_eq(scene.verdict.terms.require, POLICY_REQUIRE_ISOLATED | POLICY_REQUIRE_RESET);
    scene.request.mode = POLICY_MODE_FD;
    scene.request.lifetime = POLICY_LIFETIME_CONNECTION;
    assert_blocks("lifetime-denied");
    ck_assert_str_eq(verdict_first_finding(&scene.verdict)->rule->name, "second");
}
END_TEST

/* Each device under a rule of its own: the last one counts as much as the first. */
START_TEST(test_many_rules) {
    static char before[8192];
    size_t used = 0;

    for (unsigned i = 1; i <= 20; i++) {
        char path[64];
        snprintf(path, sizeof(path), "devices/pci0000:00/0000:%02x:00.0", i);
        put_nic(&scene.model, path, NULL, 7);
        used += (size_t)snprintf(before + used, sizeof(before) - used,
                                 "{\"name\": \"rule-%u\", \"effect\": \"allow\","
                                 " \"subjects\": {\"users\": [\"dpdk\"]},"
                                 " \"match\": {\"name\": \"0000:%02x:00.0\"}%s},",
                                 i, i, i == 20 ? ", \"modes\": [\"fd\"], \"max_leases\": 1" : "");
    }
    scene.before = before;
    assert_blocks("mode-denied");
    ck_assert_str_eq(verdict_first_finding(&scene.verdict)->rule->name, "rule-20");
    ck_assert_uint_eq(scene.verdict.n_rules, 21);
    scene.request.mode = POLICY_MODE_FD;
    assert_blocks("");
    add_lease(1, DPDK, "rule-20");
    assert_blocks("quota");
}
END_TEST

/* ---- Quotas ---------------------------------------------------------------------------------- */

START_TEST(test_quota) {
    scene.limits = "{\"leases_per_uid\": 3}";
    add_lease(1, DPDK, "others");
    add_lease(2, DPDK, "nics")->state = LEASE_DRAINING;
    for (uint64_t id = 10; id < 40; id++)
        add_lease(id, ALICE, "nics"); /* another's */
    assert_blocks("");
    struct lease *third = add_lease(3, DPDK, "");
    assert_blocks("quota");
    lease_book_remove(&scene.book, third);
    lease_free(third);
    assert_blocks("");
}
END_TEST

/* Quotas count who asked, not who holds. */
START_TEST(test_quota_of_claimant) {
    scene.max_leases = "2";
    scene.delegate = "[\"libvirt-qemu\"]";
    scene.request.holder.uid = QEMU;
    add_lease(1, QEMU, "nics");
    add_lease(2, QEMU, "nics");
    add_lease(3, DPDK, "nics")->holder = QEMU;
    assert_blocks("");
    add_lease(4, DPDK, "a,nics")->state = LEASE_DRAINING;
    assert_blocks("quota");
    ck_assert_ptr_null(verdict_first_finding(&scene.verdict)->device);
}
END_TEST

START_TEST(test_both_quotas) {
    scene.max_leases = "1";
    scene.limits = "{\"leases_per_uid\": 1}";
    add_lease(1, DPDK, "nics");
    assert_blocks("quota quota");
}
END_TEST

/* ---- The holder ------------------------------------------------------------------------------ */

static const struct {
    uid_t holder;
    const char *delegate, *before, *blocks;
} holders[] = {
    {DPDK, NULL, NULL, ""},
    {QEMU, NULL, NULL, "delegate-denied/05.0"},
    {QEMU, "[\"alice\"]", NULL, "delegate-denied/05.0"},
    {QEMU, "[\"libvirt-qemu\"]", NULL, ""},
    {0, "[\"libvirt-qemu\"]", NULL, "delegate-denied/05.0"},
    {QEMU, "[\"libvirt-qemu\"]",
     "{\"name\": \"never\", \"effect\": \"deny\", \"match\": {\"class\": \"0x02****\"},"
     " \"subjects\": {\"users\": [\"libvirt-qemu\"]}},",
     "delegate-denied/05.0"},
    {QEMU, "[\"libvirt-qemu\"]",
     "{\"name\": \"never\", \"effect\": \"deny\", \"match\": {\"class\": \"0x03****\"},"
     " \"subjects\": {\"users\": [\"libvirt-qemu\"]}},",
     ""},
};

START_TEST(test_holder) {
    scene.request.holder.uid = holders[_i].holder;
    scene.delegate = holders[_i].delegate;
    scene.before = holders[_i].before;
    assert_blocks(holders[_i].blocks);
    if (!holders[_i].before || !*holders[_i].blocks)
        return;
    _cleanup_(freep) char *text =
        finding_text(verdict_first_finding(&scene.verdict), &scene.request);
    ck_assert_ptr_nonnull(strstr(text, "\"never\" denies it to that user"));
}
END_TEST

/* ---- The node -------------------------------------------------------------------------------- */

#define USER_ENTRY(uid, may) {.id = (uid), .access = (may), .full = (may)}
#define GROUP_ENTRY(gid, may) {.is_group = true, .id = (gid), .access = (may)}
#define ENTRIES(...) .entries = {__VA_ARGS__}

/* Is the node open to others than root and the holder, who is dpdk; and is it open to dpdk? */
static const struct {
    struct node_facts node;
    bool others, holder;
} nodes[] = {
    {{.owner_access = true}, false, false},
    {{0}, false, false},
    {{.owner_access = true, .owner = DPDK}, false, true},
    {{.owner = DPDK}, false, false},
    {{.owner_access = true, .owner = ALICE}, true, false},
    {{.owner = ALICE}, false, false},
    {{.owner_access = true, .group_access = true}, true, false},
    {{.owner_access = true, .other_access = true}, true, false},
    {{.too_many_entries = true}, true, false},
    {{.n_entries = 1, ENTRIES(USER_ENTRY(DPDK, true))}, false, true},
    {{.n_entries = 1, ENTRIES(USER_ENTRY(DPDK, false))}, false, false},
    {{.n_entries = 1, ENTRIES(USER_ENTRY(0, true))}, false, false},
    {{.n_entries = 1, ENTRIES(USER_ENTRY(ALICE, true))}, true, false},
    {{.n_entries = 1, ENTRIES(USER_ENTRY(ALICE, false))}, false, false},
    {{.n_entries = 1, ENTRIES(GROUP_ENTRY(DPDK, true))}, true, false},
    {{.n_entries = 1, ENTRIES(GROUP_ENTRY(0, true))}, true, false},
    {{.n_entries = 1, ENTRIES(GROUP_ENTRY(901, false))}, false, false},
    {{.n_entries = 2, ENTRIES(USER_ENTRY(DPDK, true), USER_ENTRY(ALICE, true))}, true, true},
    {{.n_entries = 2, ENTRIES(USER_ENTRY(ALICE, false), USER_ENTRY(DPDK, true))}, false, true},
    {{.n_entries = 2, ENTRIES(GROUP_ENTRY(DPDK, false), USER_ENTRY(DPDK, true))}, false, true},
    {{.n_entries = 1, ENTRIES(USER_ENTRY(DPDK, true), USER_ENTRY(ALICE, true))}, false, true},
};

START_TEST(test_node) {
    struct node_facts node = nodes[_i].node;

    node.present = true;
    ck_assert_int_eq(node_open_to_others(&node, DPDK), nodes[_i].others);
    ck_assert_int_eq(node_open_to(&node, DPDK), nodes[_i].holder);
    ck_assert(node_open_to(&node, 0));
    model_update_node(&scene.model, scene.groups[0], &node);
    assert_blocks(nodes[_i].others ? "node-open-to-others" : "");
}
END_TEST

/* It is the holder who may have an entry, not the claimant; and a lease's own entry is no fault. */
START_TEST(test_node_of_holder) {
    struct node_facts node = {.present = true, .n_entries = 1, ENTRIES(USER_ENTRY(QEMU, true))};

    scene.delegate = "[\"libvirt-qemu\"]";
    model_update_node(&scene.model, scene.groups[0], &node);
    assert_blocks("node-open-to-others");
    scene.request.holder.uid = QEMU;
    assert_blocks("");
    scene.request.holder.uid = DPDK;
    model_set_lease(&scene.model, scene.groups[0], &scene.owner);
    assert_blocks("leased");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("verdict-policy");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_no_policy);
    tcase_add_test(all, test_no_rules);
    tcase_add_test(all, test_other_caller);
    tcase_add_test(all, test_one_member);
    tcase_add_test(all, test_groupless);
    tcase_add_loop_test(all, test_bridge, 0, ELEMENTS_OF(bridges));
    tcase_add_test(all, test_no_bridge);
    tcase_add_test(all, test_only_bridges);
    tcase_add_test(all, test_bridge_reset);
    tcase_add_loop_test(all, test_lifetime, 0, ELEMENTS_OF(lifetimes));
    tcase_add_test(all, test_mode);
    tcase_add_test(all, test_terms_combine);
    tcase_add_test(all, test_many_rules);
    tcase_add_test(all, test_quota);
    tcase_add_test(all, test_quota_of_claimant);
    tcase_add_test(all, test_both_quotas);
    tcase_add_loop_test(all, test_holder, 0, ELEMENTS_OF(holders));
    tcase_add_loop_test(all, test_node, 0, ELEMENTS_OF(nodes));
    tcase_add_test(all, test_node_of_holder);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
