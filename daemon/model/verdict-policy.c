/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the rules of the policy say. */
#include "model/verdict-internal.h"

#include <stdlib.h>

#include "util/string.h"

/* A bridge that the kernel runs for the bus, not for its own DMA, needs no rule. */
static bool needs_no_rule(const struct device *device) {
    return device_is_bridge(device) &&
           (!device->driver || string_equal(device->driver, "pcieport"));
}

static bool grow_rules(struct verdict *verdict) {
    size_t room = verdict->rules_room ? verdict->rules_room * 2 : 4;
    const struct policy_rule **grown = reallocarray(verdict->rules, room, sizeof(*grown));

    if (!grown) {
        verdict->out_of_memory = true;
        return false;
    }
    verdict->rules = grown;
    verdict->rules_room = room;
    return true;
}

static void note_rule(struct verdict *verdict, const struct policy_rule *rule) {
    for (size_t i = 0; i < verdict->n_rules; i++)
        if (verdict->rules[i] == rule)
            return;
    if (verdict->n_rules == verdict->rules_room && !grow_rules(verdict))
        return;
    verdict->rules[verdict->n_rules++] = rule;
}

static void judge_holder(struct court *court, const struct device *device,
                         const struct policy_device *view, const struct policy_rule *rule) {
    const struct verdict_request *request = court->request;
    struct finding finding = {
        .reason = REASON_DELEGATE_DENIED, .blocks = true, .group = device->group, .device = device};

    if (request->holder.uid == request->caller.uid)
        return;
    finding.rule = policy_denies_holder(request->policy, view, &request->holder, rule);
    if (!finding.rule && !policy_rule_delegates(rule, request->holder.uid))
        finding.rule = rule;
    if (finding.rule)
        court_find(court, &finding);
}

static const struct policy_rule *decide(const struct verdict_request *request,
                                        const struct policy_device *view) {
    if (!request->policy)
        return NULL;
    return request->reserve ? policy_reserves(request->policy, view)
                            : policy_decide(request->policy, view, &request->caller);
}

bool judge_device_policy(struct court *court, const struct device *device) {
    const struct verdict_request *request = court->request;
    struct policy_device view = verdict_policy_view(device);
    const struct policy_rule *rule = decide(request, &view);

    if (!rule || rule->effect == POLICY_DENY) {
        court_find(court, &(struct finding){.reason = rule ? REASON_POLICY_DENIED : REASON_NO_RULE,
                                            .blocks = true,
                                            .group = device->group,
                                            .device = device,
                                            .rule = rule});
        return false;
    }
    policy_terms_add(&court->verdict->terms, rule);
    note_rule(court->verdict, rule);
    if (!request->reserve)
        judge_holder(court, device, &view, rule);
    return true;
}

/* The first one that the rule decides about. */
static const struct group *find_group_of_rule(const struct verdict_request *request,
                                              const struct policy_rule *rule) {
    for (size_t i = 0; i < request->n_groups; i++)
        for (struct device *member = request->groups[i]->members; member; member = member->next_member) {
            struct policy_device view = verdict_policy_view(member);
            if (!needs_no_rule(member) && decide(request, &view) == rule)
                return request->groups[i];
        }
    return NULL;
}

static void find_term(struct court *court, const struct policy_rule *rule, enum reason reason) {
    court_find(court, &(struct finding){.reason = reason,
                                        .blocks = true,
                                        .rule = rule,
                                        .group = find_group_of_rule(court->request, rule)});
}

/* Mode and lifetime are each rule's own, so the finding names the rule that says no. */
void judge_terms(struct court *court) {
    const struct verdict_request *request = court->request;

    for (size_t i = 0; i < court->verdict->n_rules; i++) {
        const struct policy_rule *rule = court->verdict->rules[i];
        if (request->mode && !(rule->modes & request->mode))
            find_term(court, rule, REASON_MODE_DENIED);
        if (request->detach && !rule->detach && !request->reserve)
            find_term(court, rule, REASON_DETACH_DENIED);
        bool lifetime = !request->lifetime || rule->lifetimes & request->lifetime;
        if (!lifetime || (rule->max_ttl && request->ttl > rule->max_ttl))
            find_term(court, rule, REASON_LIFETIME_DENIED);
    }
}

/* Rules that leave no lifetime in common allow no claim, whatever it asks for. */
void judge_common_lifetime(struct court *court) {
    const struct verdict_request *request = court->request;
    const struct verdict *verdict = court->verdict;

    if (!request->lifetime && verdict->n_rules && !verdict->terms.lifetimes)
        court_find(court, &(struct finding){.reason = REASON_LIFETIME_DENIED,
                                            .blocks = true,
                                            .group = request->n_groups ? request->groups[0] : NULL,
                                            .rule = verdict->rules[0]});
}

void judge_group_policy(struct court *court, const struct group *group) {
    bool decided = false;

    for (const struct device *member = group->members; member; member = member->next_member) {
        if (needs_no_rule(member))
            continue;
        judge_device_policy(court, member);
        decided = true;
    }
    if (!decided)
        court_find_block(court, REASON_NO_RULE, group, group->members);
}
