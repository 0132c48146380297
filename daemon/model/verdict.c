/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings are collected in the order of the contract's table only as far as that is cheap; the
 * enum of reasons carries the order, and the smallest blocking one is the first. */
#include "model/verdict-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/detachment.h"
#include "model/device-streams.h"
#include "model/survey.h"
#include "util/string.h"

static bool verdict_grow(struct verdict *verdict) {
    size_t room = verdict->room ? verdict->room * 2 : 8;
    struct finding *grown = reallocarray(verdict->findings, room, sizeof(*grown));

    if (!grown) {
        verdict->out_of_memory = true;
        return false;
    }
    verdict->findings = grown;
    verdict->room = room;
    return true;
}

void court_find(struct court *court, const struct finding *finding) {
    struct verdict *verdict = court->verdict;
    bool first = finding->blocks && (!verdict->first || finding->reason < verdict->first);

    if (first)
        verdict->first = finding->reason;
    if (!court->keep)
        return;
    if (verdict->n_findings == verdict->room && !verdict_grow(verdict))
        return;
    if (first)
        verdict->first_index = verdict->n_findings;
    verdict->findings[verdict->n_findings++] = *finding;
}

void court_find_block(struct court *court, enum reason reason, const struct group *group,
                      const struct device *device) {
    court_find(court, &(struct finding){
                          .reason = reason, .blocks = true, .group = group, .device = device});
}

struct policy_device verdict_policy_view(const struct device *device) {
    return (struct policy_device){
        .bus = device->bus,
        .name = device->name,
        .path = device->path,
        .driver = device_host_driver(device),
        .modalias = device->modalias,
        .compatible = (const char *const *)device->compatible,
        .has_ids = device->has_ids,
        .vendor = device->vendor,
        .product = device->product,
        .subsystem_vendor = device->subsystem_vendor,
        .subsystem_product = device->subsystem_product,
        .class = device->class,
        .numa_node = device->numa_node,
        .removable = device->removable,
    };
}

/* What the host needs the device for: in the way only of whoever wants to take it from its driver. */
static void judge_uses(struct court *court, const struct device *device) {
    const struct survey *survey = device->survey;

    if (device->role != ROLE_KERNEL)
        return;
    for (size_t i = 0; survey && i < survey->n_uses; i++) {
        bool needed = reason_outcome(survey->uses[i].reason) == OUTCOME_DEVICE_IN_USE;
        court_find(court, &(struct finding){.reason = survey->uses[i].reason,
                                            .blocks = needed && court->request->before_switch,
                                            .group = device->group,
                                            .device = device,
                                            .use = &survey->uses[i]});
    }
}

/* With `detach`, the driver goes: the policy's leave for that is judged with the terms. */
static void judge_kernel_member(struct court *court, const struct group *group,
                                const struct device *member) {
    bool unsafe = driver_is_unsafe_uio(member->driver);

    court_find(court, &(struct finding){.reason = unsafe ? REASON_UNSAFE_UIO : REASON_KERNEL_DRIVER,
                                        .blocks = !court->request->before_switch,
                                        .group = group,
                                        .device = member});
    judge_uses(court, member);
}

static void judge_members(struct court *court, const struct group *group) {
    static const enum reason information[] = {
        [ROLE_FREE] = REASON_FREE, [ROLE_USER] = REASON_USER_DRIVER, [ROLE_PASSIVE] = REASON_PASSIVE};

    for (const struct device *member = group->members; member; member = member->next_member) {
        if (string_equal(member->bus, "cdx") || string_equal(member->bus, "vmbus"))
            court_find_block(court, REASON_NOT_ENFORCED, group, member);
        if (member->role == ROLE_KERNEL)
            judge_kernel_member(court, group, member);
        else if (court->keep)
            court_find(court, &(struct finding){.reason = information[member->role],
                                                .group = group,
                                                .device = member});
    }
}

/* A member that the guard pins right now makes only who would move it wait. */
static bool is_switching(const struct court *court, const struct group *group) {
    for (const struct device *member = group->members; court->request->before_switch && member;
         member = member->next_member)
        if (member->switching)
            return true;
    return group->switching;
}

static void judge_owner(struct court *court, const struct group *group) {
    if (is_switching(court, group) || (group->held_for && group->held_for != court->request->held))
        court_find_block(court, REASON_SWITCHING, group, NULL);
    if (group->lease)
        court_find_block(court,
                         group->lease->state == LEASE_DRAINING ? REASON_DRAINING : REASON_LEASED, group,
                         NULL);
    else if (group->open)
        court_find_block(court, REASON_OPEN_ELSEWHERE, group, NULL);
}

static bool has_cdev(const struct group *group) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->cdev)
            return true;
    return false;
}

enum lease_interface verdict_interface(const struct verdict_request *request) {
    if (request->interface != LEASE_INTERFACE_DEFAULT)
        return request->interface;
    for (size_t i = 0; i < request->n_groups; i++)
        if (!request->groups[i]->node.present && has_cdev(request->groups[i]))
            return LEASE_INTERFACE_CDEV;
    return LEASE_INTERFACE_GROUP;
}

/* Every member on a VFIO driver has a cdev; the others have nothing to be opened. */
static void judge_cdevs(struct court *court, const struct group *group) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->role == ROLE_USER && !member->cdev)
            court_find_block(court, REASON_NO_NODE, group, member);
}

/* Of either kind, whichever is asked for: each leads to the same devices. */
static void judge_access(struct court *court, const struct group *group) {
    uid_t holder = court->request->holder.uid;

    if (group->lease)
        return;
    if (group->node.present && node_open_to_others(&group->node, holder))
        court_find_block(court, REASON_NODE_OPEN_TO_OTHERS, group, NULL);
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->cdev && node_open_to_others(member->cdev, holder))
            court_find_block(court, REASON_NODE_OPEN_TO_OTHERS, group, member);
}

/* Drivers are to be switched, and something is left to be switched. */
static bool moves_away(const struct verdict_request *request, const struct group *group) {
    if (!request->before_switch)
        return false;
    for (const struct device *member = group->members; member; member = member->next_member)
        if (device_move(member, request->named, request->n_named) != MOVE_STAYS)
            return true;
    return false;
}

/* The node comes with the driver; whether there is a driver is known by now. */
static void judge_targets(struct court *court, const struct group *group) {
    const struct verdict_request *request = court->request;

    if (!group_has_user_afterwards(group, request->named, request->n_named))
        court_find_block(court, REASON_NO_VFIO_DRIVER, group, NULL);
    for (const struct device *member = group->members; member; member = member->next_member)
        if (device_move(member, request->named, request->n_named) == MOVE_TO_USER &&
            member->survey && member->survey->problem)
            court_find_block(court, member->survey->problem, group, member);
}

static void judge_node(struct court *court, const struct group *group) {
    if (moves_away(court->request, group))
        judge_targets(court, group);
    else if (!group_has_role(group, ROLE_USER))
        court_find_block(court, REASON_NO_VFIO_DRIVER, group, NULL);
    else if (verdict_interface(court->request) == LEASE_INTERFACE_CDEV)
        judge_cdevs(court, group);
    else if (!group->node.present)
        court_find_block(court, REASON_NO_NODE, group, NULL);
    judge_access(court, group);
    if (group->kernel_disagrees)
        court_find_block(court, REASON_KERNEL_DISAGREES, group, NULL);
    if (group->facts.direct_region)
        court_find_block(court, REASON_DIRECT_REGION, group, NULL);
}

static void judge_host(struct court *court, const struct group *group) {
    const struct verdict_host *host = court->request->host;

    if (!host->has_iommu)
        court_find_block(court, REASON_NO_IOMMU, group, NULL);
    else if (!host->enforces)
        court_find_block(court, REASON_OLD_KERNEL, group, NULL);
}

/* Of a platform device that is yet to be moved, the look at its drivers has told; and where that says that
 * it can not be moved, it is said once. */
static bool has_reset(const struct verdict_request *request, const struct device *device) {
    bool moves = request->before_switch &&
                 device_move(device, request->named, request->n_named) == MOVE_TO_USER;

    if (moves && !device->has_ids)
        return device->vfio_reset == VFIO_RESET_HANDLER || device->vfio_reset == VFIO_RESET_IF_TAKEN ||
               (device->survey && device->survey->problem == REASON_NO_RESET);
    return device_has_function_reset(device, &request->host->vfio);
}

/* What VFIO refuses when the group is put to use is said before it is granted. */
static void judge_interrupts(struct court *court, const struct group *group, bool required) {
    const struct verdict_host *host = court->request->host;
    bool cdev = verdict_interface(court->request) == LEASE_INTERFACE_CDEV;
    bool lax = cdev ? host->vfio.iommufd_is_lax : host->vfio.type1_is_lax;
    const struct device *unsafe = host->vfio.asks_each_device ? group_find_unsafe(group) : NULL;

    if (required && !host->remaps_interrupts)
        court_find_block(court, REASON_NO_INTERRUPT_REMAPPING, group, NULL);
    else if (unsafe && (required || !lax))
        court_find(court, &(struct finding){.reason = REASON_NO_INTERRUPT_REMAPPING, .blocks = required,
                                            .group = group, .device = unsafe});
}

static void judge_requirements(struct court *court, const struct group *group) {
    unsigned require = court->verdict->terms.n_rules ? court->verdict->terms.require : 0;

    judge_interrupts(court, group, require & POLICY_REQUIRE_INTERRUPT_REMAPPING);
    if (!(require & POLICY_REQUIRE_RESET))
        return;
    for (const struct device *member = group->members; member; member = member->next_member)
        if (!device_is_bridge(member) && !has_reset(court->request, member))
            court_find_block(court, REASON_NO_RESET, group, member);
}

static void judge_quota(struct court *court) {
    const struct verdict_request *request = court->request;
    const struct policy_limits *limits = request->policy ? policy_limits(request->policy) : NULL;
    uid_t claimant = request->caller.uid;

    if (limits && lease_book_count(request->leases, claimant, NULL) >= limits->leases_per_uid)
        court_find_block(court, REASON_QUOTA, NULL, NULL);
    for (size_t i = 0; i < court->verdict->n_rules; i++) {
        const struct policy_rule *rule = court->verdict->rules[i];
        if (rule->max_leases &&
            lease_book_count(request->leases, claimant, rule->name) >= rule->max_leases)
            court_find(court, &(struct finding){.reason = REASON_QUOTA, .blocks = true, .rule = rule});
    }
}

/* A group forms when a driver first probes the device (Linux up to 6.14 on arm64, virtio-iommu); one that
 * a driver has probed without any gets none from the next, unless a device tree names its IOMMU. */
static bool may_form_group(const struct device *device) {
    return device->role == ROLE_FREE || device_has_streams(device);
}

/* It would join what somebody has. */
static void judge_peers(struct court *court, const struct device *device) {
    for (const struct device *other = device->streams ? device->streams->next_in_set : device;
         other != device; other = other->streams->next_in_set)
        if (other->group ? other->group->switching > 0 : device_is_leaving(other))
            court_find_block(court, REASON_SWITCHING, other->group, other);
        else if (other->group && (other->group->lease || other->group->open || other->group->held_for))
            court_find(court, &(struct finding){.reason = REASON_SPLIT,
                                                .blocks = true,
                                                .device = device,
                                                .other = other});
}

/* Of the group that forms nothing is known yet: it is judged in full when it is there. */
static void judge_pending(struct court *court, const struct device *device) {
    const struct survey *survey = device->survey;

    court_find(court, &(struct finding){.reason = REASON_PENDING, .device = device});
    if (device->role == ROLE_KERNEL)
        judge_kernel_member(court, NULL, device);
    if (survey && survey->problem)
        court_find_block(court, survey->problem, NULL, device);
    judge_peers(court, device);
}

static void judge_groupless(struct court *court, const struct device *device) {
    const struct verdict_request *request = court->request;

    if (device->switching)
        court_find_block(court, REASON_SWITCHING, NULL, device);
    if (!request->host->has_iommu)
        court_find_block(court, REASON_NO_IOMMU, NULL, device);
    else if (!request->host->enforces)
        court_find_block(court, REASON_OLD_KERNEL, NULL, device);
    if (request->before_switch && may_form_group(device))
        judge_pending(court, device);
    else
        court_find_block(court, REASON_NO_GROUP, NULL, device);
}

static void judge(struct court *court) {
    const struct verdict_request *request = court->request;
    struct verdict *verdict = court->verdict;

    policy_terms_init(&verdict->terms, request->holder.uid);
    for (size_t i = 0; i < request->n_groups; i++)
        judge_group_policy(court, request->groups[i]);
    for (size_t i = 0; i < request->n_groupless; i++)
        judge_device_policy(court, request->groupless[i]);
    judge_terms(court);
    judge_common_lifetime(court);
    for (size_t i = 0; i < request->n_groups; i++) {
        judge_owner(court, request->groups[i]);
        judge_members(court, request->groups[i]);
        judge_node(court, request->groups[i]);
        judge_host(court, request->groups[i]);
        judge_requirements(court, request->groups[i]);
        judge_isolation(court, request->groups[i]);
        judge_functions(court, request->groups[i]);
        judge_hygiene(court, request->groups[i]);
        judge_reset_span(court, request->groups[i]);
    }
    for (size_t i = 0; i < request->n_groupless; i++)
        judge_groupless(court, request->groupless[i]);
    if (request->mode)
        judge_quota(court);
    verdict->grantable = !verdict->first && !verdict->out_of_memory;
}

void verdict_reach(const struct verdict_request *request, struct verdict *ret) {
    struct court court = {.request = request, .verdict = ret, .keep = true};

    judge(&court);
}

enum reason verdict_first_reason(const struct verdict_request *request) {
    struct verdict verdict = {0};
    struct court court = {.request = request, .verdict = &verdict};

    judge(&court);
    enum reason first = verdict.out_of_memory && !verdict.first ? REASON_QUOTA : verdict.first;
    verdict_done(&verdict);
    return first;
}

const struct finding *verdict_first_finding(const struct verdict *verdict) {
    return verdict->first && verdict->n_findings ? &verdict->findings[verdict->first_index] : NULL;
}

char *verdict_join_rules(const struct verdict *verdict) {
    char *joined = strdup("");

    for (size_t i = 0; joined && i < verdict->n_rules; i++) {
        char *longer = string_format("%s%s%s", joined, i ? "," : "", verdict->rules[i]->name);
        free(joined);
        joined = longer;
    }
    return joined;
}

void verdict_done(struct verdict *verdict) {
    free(verdict->findings);
    free(verdict->rules);
    *verdict = (struct verdict){0};
}
