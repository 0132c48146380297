/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Refusals, leases as a claim makes them, and their entries in the journal. */
#include "manager.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "util/string.h"

#define DENIED_DEVICES_MAX 64

void refusal_done(struct refusal *refusal) {
    free(refusal->text);
    *refusal = (struct refusal){0};
}

enum outcome refuse(struct refusal *refusal, enum outcome outcome, const char *format, ...) {
    va_list arguments;

    refusal_done(refusal);
    refusal->outcome = outcome;
    va_start(arguments, format);
    if (vasprintf(&refusal->text, format, arguments) < 0)
        refusal->text = NULL;
    va_end(arguments);
    return outcome;
}

/* ---- records */

static void collect_groups(const struct lease *lease, uint32_t *ret) {
    for (size_t i = 0; i < lease->n_groups; i++)
        ret[i] = lease->groups[i].id;
}

/* Borrowed names of all devices of the lease; the array is the caller's. */
static const char **collect_devices(const struct lease *lease) {
    size_t n = 0;

    for (size_t i = 0; i < lease->n_groups; i++)
        n += strings_length(lease->groups[i].devices);
    const char **names = calloc(n + 1, sizeof(*names));
    n = 0;
    for (size_t i = 0; names && i < lease->n_groups; i++)
        for (char **device = lease->groups[i].devices; device && *device; device++)
            names[n++] = path_basename(*device);
    return names;
}

void manager_record_lease(struct manager *manager, enum audit_kind kind, const struct lease *lease,
                          const char *reason, const char *message) {
    _cleanup_(freep) uint32_t *groups = calloc(lease->n_groups ?: 1, sizeof(*groups));
    _cleanup_(freep) const char **devices = collect_devices(lease);

    if (groups)
        collect_groups(lease, groups);
    audit_write(manager->audit, &(struct audit_event){
                                    .kind = kind,
                                    .message = message,
                                    .groups = groups,
                                    .n_groups = groups ? lease->n_groups : 0,
                                    .devices = devices,
                                    .lease = lease->id,
                                    .uid = lease->holder,
                                    .claimant_uid = lease->claimant,
                                    .pid = lease->pid,
                                    .unit = lease->unit,
                                    .sender = lease->sender,
                                    .rule = lease->rule,
                                    .reason = reason,
                                });
}

/* Devices that a refused claim was about, as many as say what it was; the array is the caller's. */
static const char **claimed_devices(const struct claim *claim) {
    const char **names = calloc(DENIED_DEVICES_MAX + 1, sizeof(*names));
    size_t n = 0;

    for (size_t i = 0; names && i < claim->n_groups; i++)
        for (struct device *member = claim->groups[i]->members; member && n < DENIED_DEVICES_MAX;
             member = member->next_member)
            names[n++] = member->name;
    for (size_t i = 0; names && i < claim->n_groupless && n < DENIED_DEVICES_MAX; i++)
        names[n++] = claim->groupless[i]->name;
    return names;
}

void manager_record_denial(struct manager *manager, const struct claim *claim, enum reason reason,
                           const char *rule, const char *message) {
    _cleanup_(freep) const char **devices = claimed_devices(claim);
    uint32_t groups[CLAIM_GROUPS_MAX];

    for (size_t i = 0; i < claim->n_groups; i++)
        groups[i] = claim->groups[i]->id;
    audit_write_denial(manager->audit,
                       &(struct audit_event){.kind = AUDIT_DENIED,
                                             .message = message,
                                             .groups = groups,
                                             .n_groups = claim->n_groups,
                                             .devices = devices,
                                             .uid = claim->holder.uid,
                                             .claimant_uid = claim->caller.uid,
                                             .pid = claim->pid,
                                             .unit = claim->unit,
                                             .sender = claim->sender,
                                             .rule = rule,
                                             .reason = reason_to_string(reason)},
                       now_monotonic());
}

/* ---- the lease itself */

static int describe_lease_group(const struct group *group, struct lease_group *ret) {
    ret->id = group->id;
    for (const struct device *member = group->members; member; member = member->next_member) {
        int r = strings_append(&ret->devices, member->path);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_gids(struct lease *lease, const struct policy_subject *subject) {
    if (!subject->n_gids)
        return 0;
    lease->gids = reallocarray(NULL, subject->n_gids, sizeof(gid_t));
    if (!lease->gids)
        return -ENOMEM;
    memcpy(lease->gids, subject->gids, subject->n_gids * sizeof(gid_t));
    lease->n_gids = subject->n_gids;
    return 0;
}

/* The rules' longest ttl holds for a claim that names none. */
static uint64_t expiry_of(const struct claim *claim, const struct policy_terms *terms) {
    uint64_t ttl = claim->ttl ?: terms->max_ttl;

    return ttl ? now_boottime() + ttl * 1000000 : 0;
}

static bool copy_text(char **ret, const char *text) {
    *ret = strdup(text ?: "");
    return *ret != NULL;
}

static bool copy_texts(struct lease *lease, const struct claim *claim,
                       const struct verdict *verdict) {
    lease->rule = verdict_join_rules(verdict);
    return lease->rule && copy_text(&lease->unit, claim->unit) &&
           copy_text(&lease->sender, claim->sender) && copy_text(&lease->bus_id, claim->bus_id) &&
           copy_text(&lease->key, claim->key) && copy_text(&lease->comment, claim->comment) &&
           copy_text(&lease->kept_unit, claim->kept_unit);
}

struct lease *manager_make_lease(const struct claim *claim, const struct verdict *verdict) {
    _cleanup_(lease_freep) struct lease *lease = lease_new(claim->n_groups);

    if (!lease || copy_gids(lease, &claim->caller) < 0 || !copy_texts(lease, claim, verdict))
        return NULL;
    lease->claimant = claim->caller.uid;
    lease->holder = claim->holder.uid;
    lease->pid = claim->pid;
    lease->mode = claim->mode;
    lease->interface = claim->interface;
    lease->container = claim->container;
    lease->reattach = claim->reattach;
    lease->reattach_after = claim->reattach_after;
    lease->lifetime = claim->lifetime;
    lease->kept_pid = claim->kept_pid;
    lease->kept_start = claim->kept_start;
    lease->since = now_realtime();
    lease->expires = expiry_of(claim, &verdict->terms);
    for (size_t i = 0; i < claim->n_groups; i++)
        if (describe_lease_group(claim->groups[i], &lease->groups[i]) < 0)
            return NULL;
    return TAKE_POINTER(lease);
}

struct claim manager_claim_of(const struct manager *manager, const struct lease *lease,
                              struct group **groups) {
    struct claim claim = {
        .caller = {.uid = lease->claimant,
                   .gids = lease->gids,
                   .n_gids = lease->n_gids,
                   .unit = *lease->unit ? lease->unit : NULL},
        .holder = {.uid = lease->holder},
        .pidfd = -1,
        .mode = lease->mode,
        .lifetime = lease->lifetime,
        .groups = groups,
    };

    if (lease->holder == lease->claimant)
        claim.holder = claim.caller;
    for (size_t i = 0; i < lease->n_groups && claim.n_groups < CLAIM_GROUPS_MAX; i++) {
        struct group *group = model_group(&manager->model, lease->groups[i].id);
        if (group && !lease->groups[i].lost)
            groups[claim.n_groups++] = group;
    }
    return claim;
}
