/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The questions to a compiled policy: pure, and without an allocation. */

#include "policy/rule.h"
#include "util/string.h"

/* The device texts are large and mostly unused: only their flags are set. */
static void texts_init(struct device_texts *texts, const struct policy_device *device) {
    texts->device = device;
    texts->has_class = false;
    texts->has_path = false;
}

const struct policy_rule *policy_decide(const struct policy *policy,
                                        const struct policy_device *device,
                                        const struct policy_subject *subject) {
    struct device_texts texts;

    texts_init(&texts, device);
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (match_holds(rule->match, &texts) && subjects_hold(rule, subject))
            return rule;
    }
    return NULL;
}

/* A deny rule that stands against everyone leaves alone a delegate that an earlier rule names. */
static bool denies_after_grant(const struct policy_rule *rule, const struct policy_rule *granted) {
    return !rule->subjects->named && granted && rule->index > granted->index;
}

const struct policy_rule *policy_denies_holder(const struct policy *policy,
                                               const struct policy_device *device,
                                               const struct policy_subject *holder,
                                               const struct policy_rule *granted) {
    struct device_texts texts;

    texts_init(&texts, device);
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (!match_holds(rule->match, &texts) || !subjects_hold(rule, holder))
            continue;
        if (rule->effect == POLICY_ALLOW)
            return NULL;
        if (!denies_after_grant(rule, granted))
            return rule;
    }
    return NULL;
}

/* Names that are unknown may be known later: only who speaks of everyone speaks of these too. */
static bool speaks_of_nobody(const struct policy_rule *rule) {
    const struct policy_subjects *subjects = rule->subjects;

    return subjects->incomplete && subjects->n_users == 0 && subjects->n_groups == 0;
}

/* Of a deny rule. */
static bool denies_everyone(const struct policy_rule *rule) {
    return !rule->subjects->named && rule->subjects->n_units == 0;
}

/* True if a rule before this one denies the device to all whom this one speaks of. */
static bool is_denied_before(const struct policy *policy, const struct policy_rule *rule,
                             struct device_texts *texts) {
    for (size_t i = 0; i < rule->index; i++) {
        const struct policy_rule *earlier = &policy->rules[i];
        if (earlier->effect == POLICY_DENY && match_holds(earlier->match, texts) &&
            (denies_everyone(earlier) ||
             (!speaks_of_nobody(rule) && subjects_cover(earlier, rule))))
            return true;
    }
    return false;
}

const struct policy_rule *policy_reserves(const struct policy *policy,
                                          const struct policy_device *device) {
    struct device_texts texts;

    texts_init(&texts, device);
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (rule->reserve && match_holds(rule->match, &texts) &&
            !is_denied_before(policy, rule, &texts))
            return rule;
    }
    return NULL;
}

bool policy_rule_delegates(const struct policy_rule *rule, uid_t uid) {
    for (size_t i = 0; i < rule->n_delegates; i++)
        if (rule->delegates[i] == uid)
            return true;
    return false;
}

void policy_terms_init(struct policy_terms *terms, uid_t holder) {
    *terms = (struct policy_terms){
        .holder = holder,
        .modes = POLICY_MODE_ALL,
        .lifetimes = POLICY_LIFETIME_ALL,
        .detach = true,
        .reserve = true,
        .reattach_unreset = true,
        .delegated = true,
    };
}

/* The smaller of two limits of which 0 is none. */
static uint32_t limit_tighten(uint32_t limit, uint32_t other) {
    return other && (!limit || other < limit) ? other : limit;
}

void policy_terms_add(struct policy_terms *terms, const struct policy_rule *rule) {
    uint32_t max_leases = limit_tighten(terms->max_leases, rule->max_leases);

    terms->modes &= rule->modes;
    terms->lifetimes &= rule->lifetimes;
    terms->require |= rule->require;
    terms->detach = terms->detach && rule->detach;
    terms->reserve = terms->reserve && rule->reserve;
    terms->reattach_unreset = terms->reattach_unreset && rule->reattach_unreset;
    terms->delegated = terms->delegated && policy_rule_delegates(rule, terms->holder);
    terms->max_ttl = limit_tighten(terms->max_ttl, rule->max_ttl);
    if (max_leases != terms->max_leases)
        terms->max_leases_rule = rule;
    terms->max_leases = max_leases;
    terms->n_rules++;
}

const struct policy_limits *policy_limits(const struct policy *policy) {
    return &policy->limits;
}

size_t policy_rule_count(const struct policy *policy) {
    return policy->n_rules;
}

const struct policy_rule *policy_rule_at(const struct policy *policy, size_t index) {
    return index < policy->n_rules ? &policy->rules[index] : NULL;
}

const struct policy_rule *policy_rule_find(const struct policy *policy, const char *name) {
    for (size_t i = 0; i < policy->n_rules; i++)
        if (string_equal(policy->rules[i].name, name))
            return &policy->rules[i];
    return NULL;
}

const char *const *policy_files(const struct policy *policy) {
    static const char *const none[] = { NULL };

    return policy->files ? (const char *const *)policy->files : none;
}

bool policy_uses_units(const struct policy *policy) {
    return policy->uses_units;
}
