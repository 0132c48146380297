/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A scene that is grantable: group 7 with one NIC on vfio-pci, asked for by uid 900 (dpdk) under
 * one rule that allows it. A test spoils what it is about, and then asks for the verdict. */

#include "model/verdict.h"

#include "model-test.h"
#include "policy-test.h"

#define DPDK 900
#define ALICE 1000
#define QEMU 64055

static struct scene {
    struct model model;
    struct lease_book book;
    struct verdict_host host;
    struct lease owner;
    struct group *groups[16];
    struct device *groupless[4];
    struct verdict_request request;
    struct verdict verdict;
    struct policy *policy;
    /* Of the policy, as JSON: rules before the one that allows, its match and terms, the limits. */
    const char *before, *match, *modes, *lifetimes, *max_ttl, *delegate, *require, *max_leases;
    const char *detach, *reattach_unreset;
    const char *limits;
    bool no_policy;
} scene;

static inline void allow_node(struct group *group) {
    struct node_facts node;

    memset(&node, 0, sizeof(node));
    node.present = node.owner_access = true;
    model_update_node(&scene.model, group, &node);
}

static inline struct group *ask_for(uint32_t id) {
    struct group *group = model_group(&scene.model, id);

    ck_assert_ptr_nonnull(group);
    ck_assert_uint_lt(scene.request.n_groups, ELEMENTS_OF(scene.groups));
    scene.groups[scene.request.n_groups++] = group;
    return group;
}

static void set_up(void) {
    memset(&scene, 0, sizeof(scene));
    model_init(&scene.model);
    scene.host = (struct verdict_host){
        .has_iommu = true, .enforces = true, .remaps_interrupts = true};
    scene.match = "{}";
    scene.owner.id = 12;
    scene.owner.holder = ALICE;
    scene.request = (struct verdict_request){
        .host = &scene.host,
        .leases = &scene.book,
        .caller = {.uid = DPDK},
        .holder = {.uid = DPDK},
        .mode = POLICY_MODE_PATH,
        .lifetime = POLICY_LIFETIME_PERSISTENT,
        .groups = scene.groups,
        .groupless = scene.groupless,
    };
    put_nic(&scene.model, PCI("05.0"), "vfio-pci", 7);
    allow_node(ask_for(7));
}

static void tear_down(void) {
    verdict_done(&scene.verdict);
    policy_free(scene.policy);
    lease_book_done(&scene.book);
    model_done(&scene.model);
}

/* ", \"KEY\": VALUE", or nothing. */
static inline void add_key(char *text, size_t size, const char *key, const char *value) {
    size_t used = strlen(text);

    if (value)
        snprintf(text + used, size - used, ", \"%s\": %s", key, value);
}

static inline void make_policy(void) {
    char rule[1024] = "", limits[128] = "", text[4096];

    add_key(rule, sizeof(rule), "match", scene.match);
    add_key(rule, sizeof(rule), "modes", scene.modes);
    add_key(rule, sizeof(rule), "lifetimes", scene.lifetimes);
    add_key(rule, sizeof(rule), "max_ttl", scene.max_ttl);
    add_key(rule, sizeof(rule), "delegate", scene.delegate);
    add_key(rule, sizeof(rule), "require", scene.require);
    add_key(rule, sizeof(rule), "max_leases", scene.max_leases);
    add_key(rule, sizeof(rule), "detach", scene.detach);
    add_key(rule, sizeof(rule), "reattach_unreset", scene.reattach_unreset);
    add_key(limits, sizeof(limits), "limits", scene.limits);
    snprintf(text, sizeof(text),
             "{\"version\": 1, \"rules\": [%s{\"name\": \"nics\", \"effect\": \"allow\", "
             "\"subjects\": {\"users\": [\"dpdk\"]}%s}]%s}",
             scene.before ?: "", rule, limits);
    policy_free(scene.policy);
    scene.policy = test_policy(&test_strict, text);
    scene.request.policy = scene.policy;
}

/* In the way; but not what a switch of drivers takes away, nor what it alone would disturb, nor what a
 * rule lets pass. */
static inline bool is_to_block(const struct finding *finding) {
    enum outcome outcome = reason_outcome(finding->reason);

    if (outcome == OUTCOME_KERNEL_HELD)
        return !scene.request.before_switch;
    if (outcome == OUTCOME_DEVICE_IN_USE && finding->use)
        return scene.request.before_switch;
    if (finding->reason == REASON_NOT_RESET)
        return !scene.reattach_unreset;
    if (finding->reason == REASON_SPLIT || finding->reason == REASON_HALF)
        return !finding->group || !scene.require || strstr(scene.require, "isolated");
    if (finding->reason == REASON_NO_INTERRUPT_REMAPPING && finding->device)
        return scene.require && strstr(scene.require, "interrupt-remapping");
    return outcome != OUTCOME_OK;
}

/* What is so for every verdict. */
static inline void check_verdict(const struct verdict *verdict) {
    const struct finding *first = verdict_first_finding(verdict);
    enum reason smallest = REASON_NONE;

    for (size_t i = 0; i < verdict->n_findings; i++) {
        const struct finding *finding = &verdict->findings[i];
        _cleanup_(freep) char *text = finding_text(finding, &scene.request);
        ck_assert_int_eq(finding->blocks, is_to_block(finding));
        ck_assert(text_is_printable(text));
        ck_assert_int_eq(text[strlen(text) - 1], '.');
        ck_assert_ptr_null(strstr(text, "(null)"));
        if (finding->blocks && (!smallest || finding->reason < smallest))
            smallest = finding->reason;
    }
    ck_assert_int_eq(verdict->first, smallest);
    ck_assert_int_eq(verdict->grantable, smallest == REASON_NONE);
    if (smallest)
        ck_assert_int_eq(first->reason, smallest);
    else
        ck_assert_ptr_null(first);
    ck_assert_int_eq(verdict_first_reason(&scene.request), smallest);
}

static inline void judge(void) {
    verdict_done(&scene.verdict);
    if (!scene.no_policy)
        make_policy();
    verdict_reach(&scene.request, &scene.verdict);
    check_verdict(&scene.verdict);
}

/* The findings of a verdict in the order of their reasons, as "REASON/DEVICE …", the device by the
 * end of its name. One at a time. */
static inline const char *findings(bool blocking) {
    static char text[2048];
    size_t used = 0;

    text[0] = 0;
    for (int reason = 1; reason < REASON_MAX; reason++) {
        for (size_t i = 0; i < scene.verdict.n_findings; i++) {
            const struct finding *finding = &scene.verdict.findings[i];
            if ((int)finding->reason != reason || finding->blocks != blocking)
                continue;
            const char *name = finding->device ? finding->device->name : "";
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s%s", used ? " " : "",
                                     reason_to_string(reason), *name ? "/" : "",
                                     strlen(name) > 4 ? name + strlen(name) - 4 : name);
        }
    }
    return text;
}

/* The verdict's blocking findings are these, no more and no less; "" for a grant. */
static inline void assert_blocks(const char *expected) {
    judge();
    ck_assert_str_eq(findings(true), expected);
}

/* A lease in the book, under these rules. */
static inline struct lease *add_lease(uint64_t id, uid_t claimant, const char *rules) {
    struct lease *lease = lease_new(1);

    lease->id = id;
    lease->claimant = lease->holder = claimant;
    lease->rule = strdup(rules);
    ck_assert_int_eq(lease_book_add(&scene.book, lease), 0);
    return lease;
}

/* The sentence of the finding with this reason; one at a time. */
static inline const char *text_of(enum reason reason) {
    static char text[512];

    for (size_t i = 0; i < scene.verdict.n_findings; i++) {
        if (scene.verdict.findings[i].reason != reason)
            continue;
        _cleanup_(freep) char *made = finding_text(&scene.verdict.findings[i], &scene.request);
        snprintf(text, sizeof(text), "%s", made);
        return text;
    }
    ck_abort_msg("no finding %s", reason_to_string(reason));
}

static inline void assert_text_says(enum reason reason, const char *says) {
    const char *text = text_of(reason);

    ck_assert_msg(strstr(text, says), "\"%s\" does not say \"%s\"", text, says);
}

static inline void ask_for_switch(void) {
    scene.request.detach = scene.request.before_switch = true;
}
