/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Granting. The order is what makes a crash harmless: state, access, record. */
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

/* ---- granting */

struct verdict_request manager_request(struct manager *manager, const struct claim *claim) {
    manager->host.has_iommu = manager->model.n_groups > 0;
    manager->host.enforces = manager->kernel_model == KERNEL_MODEL_CLAIM;
    return (struct verdict_request){
        .host = &manager->host,
        .policy = manager->policy,
        .leases = &manager->leases,
        .caller = claim->caller,
        .holder = claim->holder,
        .mode = claim->mode,
        .lifetime = claim->lifetime,
        .ttl = claim->ttl,
        .detach = claim->detach,
        .groups = claim->groups,
        .n_groups = claim->n_groups,
        .groupless = claim->groupless,
        .n_groupless = claim->n_groupless,
    };
}

/* The claim's groups by number: the model may have replaced them meanwhile. */
static bool find_groups_again(struct manager *manager, struct claim *claim, const uint32_t *ids) {
    for (size_t i = 0; i < claim->n_groups; i++)
        if (!(claim->groups[i] = model_group(&manager->model, ids[i])))
            return false;
    return true;
}

/* An opener that was met and not seen has a copy of the node, whose close gives no event. */
static void reconsider_opener(struct manager *manager, struct group *group) {
    if (!group->open || !group->open_unseen || group->lease)
        return;
    bool open = manager_ask_kernel(manager, group->id) == NODE_OPEN;
    model_set_open(&manager->model, group, open);
    group->open_unseen = open;
}

static enum outcome read_facts_again(struct manager *manager, struct claim *claim,
                                     struct refusal *refusal) {
    uint32_t ids[CLAIM_GROUPS_MAX];

    for (size_t i = 0; i < claim->n_groups; i++)
        ids[i] = claim->groups[i]->id;
    manager_catch_up(manager);
    bool had_changes = model_has_changes(&manager->model);
    for (size_t i = 0; i < claim->n_groups; i++) {
        int r = manager_refresh_group(manager, ids[i]);
        if (r < 0)
            return refuse(refusal, OUTCOME_NOT_VIABLE, "Group %u can not be read from sysfs: %s.",
                          ids[i], strerror(-r));
    }
    bool found = find_groups_again(manager, claim, ids);
    for (size_t i = 0; found && i < claim->n_groups; i++) {
        reconsider_opener(manager, claim->groups[i]);
        claim->groups[i]->kernel_disagrees = false; /* it is asked again */
    }
    manager_settle(manager);
    if (!found)
        return refuse(refusal, OUTCOME_NO_SUCH_TARGET, "The group went away meanwhile.");
    if (!had_changes && model_has_changes(&manager->model))
        log_message(LOG_NOTICE, "Group %u: sysfs said something else than the model; the model was "
                                "mended before the claim was judged.",
                    ids[0]);
    return OUTCOME_OK;
}

static enum outcome refuse_by_verdict(struct manager *manager, const struct claim *claim,
                                      const struct verdict_request *request,
                                      const struct verdict *verdict, struct refusal *refusal) {
    const struct finding *finding = verdict_first_finding(verdict);
    _cleanup_(freep) char *text = finding ? finding_text(finding, request) : NULL;
    const char *rule = finding && finding->rule ? finding->rule->name : NULL;

    manager_record_denial(manager, claim, verdict->first, rule, text ?: "A claim was refused.");
    return refuse(refusal, reason_outcome(verdict->first), "%s", text ?: "Not granted.");
}

/* What the node said, taken into the model, so that the verdict says why. */
static void take_kernel_answer(struct manager *manager, struct group *group, int status) {
    if (status == NODE_NOT_VIABLE) {
        group->kernel_disagrees = true;
        model_touch_group(&manager->model, group);
        log_message(LOG_WARNING, "The kernel says that group %u is not viable, the model says it is.",
                    group->id);
    } else if (status == NODE_OPEN) {
        bool unseen = !group->open || group->open_unseen;
        model_set_open(&manager->model, group, true);
        group->open_unseen = unseen;
    } else if (status == NODE_ABSENT) {
        model_update_node(&manager->model, group, &(struct node_facts){0});
    }
}

/* Asks each node. OUTCOME_OK, or NOT_VIABLE where the model has to be judged again. */
static int ask_kernel(struct manager *manager, struct claim *claim, struct refusal *refusal) {
    for (size_t i = 0; i < claim->n_groups; i++) {
        struct group *group = claim->groups[i];
        int status = manager_ask_kernel(manager, group->id);
        if (status < 0)
            return refuse(refusal, OUTCOME_NOT_VIABLE,
                          "Node /dev/vfio/%u of group %u can not be opened: %s.", group->id,
                          group->id, strerror(-status));
        if (status != NODE_VIABLE) {
            take_kernel_answer(manager, group, status);
            return OUTCOME_NOT_VIABLE;
        }
    }
    return OUTCOME_OK;
}

static int describe_lease_group(const struct group *group, struct lease_group *ret) {
    ret->id = group->id;
    for (const struct device *member = group->members; member; member = member->next_member) {
        int r = strings_append(&ret->devices, member->path);
        if (r < 0)
            return r;
    }
    return 0;
}

static char *join_rules(const struct verdict *verdict) {
    char *joined = strdup("");

    for (size_t i = 0; joined && i < verdict->n_rules; i++) {
        char *longer = string_format("%s%s%s", joined, i ? "," : "", verdict->rules[i]->name);
        free(joined);
        joined = longer;
    }
    return joined;
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

static struct lease *make_lease(const struct claim *claim, const struct verdict *verdict) {
    _cleanup_(lease_freep) struct lease *lease = lease_new(claim->n_groups);

    if (!lease || copy_gids(lease, &claim->caller) < 0)
        return NULL;
    lease->claimant = claim->caller.uid;
    lease->holder = claim->holder.uid;
    lease->pid = claim->pid;
    lease->unit = strdup(claim->unit ?: "");
    lease->sender = strdup(claim->sender ?: "");
    lease->bus_id = strdup(claim->bus_id ?: "");
    lease->key = strdup(claim->key ?: "");
    lease->comment = strdup(claim->comment ?: "");
    lease->rule = join_rules(verdict);
    if (!lease->unit || !lease->sender || !lease->bus_id || !lease->key || !lease->comment ||
        !lease->rule)
        return NULL;
    lease->mode = claim->mode;
    lease->lifetime = claim->lifetime;
    lease->since = now_realtime();
    lease->expires = expiry_of(claim, &verdict->terms);
    for (size_t i = 0; i < claim->n_groups; i++)
        if (describe_lease_group(claim->groups[i], &lease->groups[i]) < 0)
            return NULL;
    return TAKE_POINTER(lease);
}

static int give_access(struct manager *manager, const struct lease *lease) {
    for (size_t i = 0; i < lease->n_groups; i++) {
        int r = node_grant(manager->sysfs, lease->groups[i].id, lease->holder);
        if (r < 0)
            return r;
    }
    return 0;
}

static void refresh_lease_nodes(struct manager *manager, const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        manager_refresh_node(manager, claim->groups[i]);
}

static void record_grant(struct manager *manager, const struct lease *lease) {
    char groups[256];

    lease_describe_groups(lease, groups, sizeof(groups));
    _cleanup_(freep) char *message =
        string_format("%s granted to uid %u (lease %llu, %s) by rule %s.", groups, lease->holder,
                      (unsigned long long)lease->id, policy_lifetime_to_string(lease->lifetime),
                      lease->rule);
    manager_record_lease(manager, AUDIT_GRANTED, lease, NULL, message);
}

/* Access was given in part: it is taken back before anybody hears of the lease; where even that
 * fails, the lease stays as one that drains. */
static void undo_grant(struct manager *manager, struct lease *lease) {
    bool withdrawn = manager_withdraw_access(manager, lease);

    for (size_t i = 0; i < lease->n_groups; i++) {
        struct group *group = model_group(&manager->model, lease->groups[i].id);
        if (group)
            model_set_lease(&manager->model, group, withdrawn ? NULL : lease);
    }
    if (!withdrawn) {
        record_grant(manager, lease);
        if (manager->listener)
            manager->listener->lease_added(lease, manager->listener_data);
        manager_start_draining(manager, lease, LEASE_END_RELEASED);
        return;
    }
    (void)state_remove(manager->state, lease->id);
    lease_book_remove(&manager->leases, lease);
    lease_free(lease);
}

/* State first, then access: a crash in between leaves a lease without access, and not the other way
 * round. The lease is the book's when 0 is returned. */
static int keep_lease(struct manager *manager, struct lease *lease) {
    int r = state_next_id(manager->state, &lease->id);

    if (r >= 0)
        r = state_save(manager->state, lease);
    if (r < 0)
        return r;
    r = lease_book_add(&manager->leases, lease);
    if (r < 0)
        (void)state_remove(manager->state, lease->id);
    return r;
}

static int grant(struct manager *manager, struct claim *claim, const struct verdict *verdict,
                 struct lease **ret) {
    _cleanup_(lease_freep) struct lease *made = make_lease(claim, verdict);
    int r = made ? keep_lease(manager, made) : -ENOMEM;

    if (r < 0)
        return r;
    struct lease *lease = TAKE_POINTER(made);
    r = give_access(manager, lease);
    if (r < 0) {
        undo_grant(manager, lease);
        return r;
    }
    for (size_t i = 0; i < claim->n_groups; i++)
        model_set_lease(&manager->model, claim->groups[i], lease);
    refresh_lease_nodes(manager, claim);
    record_grant(manager, lease);
    manager_arm_expiry(manager);
    if (manager->listener)
        manager->listener->lease_added(lease, manager->listener_data);
    *ret = lease;
    return 0;
}

static bool nodes_are_settled(struct manager *manager, const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        if (claim->groups[i]->node.present && !node_settled(manager->sysfs, claim->groups[i]->id))
            return false;
    return true;
}

static int grant_or_refuse(struct manager *manager, struct claim *claim,
                           const struct verdict *verdict, struct lease **ret_lease,
                           struct refusal *refusal) {
    int r = grant(manager, claim, verdict, ret_lease);

    if (r >= 0)
        return OUTCOME_OK;
    refuse(refusal, OUTCOME_NOT_VIABLE, "Access could not be given: %s.", strerror(-r));
    log_message(LOG_ERR, "%s", refusal->text ?: "Access could not be given.");
    manager_record_denial(manager, claim, REASON_NONE, NULL, refusal->text);
    return refusal->outcome;
}

int manager_claim(struct manager *manager, struct claim *claim, struct lease **ret_lease,
                  struct refusal *refusal) {
    int r = read_facts_again(manager, claim, refusal);

    if (r != OUTCOME_OK) {
        /* The groups may be gone: the record goes without them. */
        struct claim unread = *claim;
        unread.n_groups = 0;
        manager_record_denial(manager, &unread, REASON_NONE, NULL, refusal->text);
        return r;
    }
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        struct verdict_request request = manager_request(manager, claim);
        _cleanup_(verdict_done) struct verdict verdict = {0};
        verdict_reach(&request, &verdict);
        if (verdict.out_of_memory)
            return -ENOMEM;
        if (!verdict.grantable)
            return refuse_by_verdict(manager, claim, &request, &verdict, refusal);
        if (!nodes_are_settled(manager, claim))
            return -EAGAIN;
        r = ask_kernel(manager, claim, refusal);
        if (r == OUTCOME_OK)
            return grant_or_refuse(manager, claim, &verdict, ret_lease, refusal);
        if (refusal->outcome)
            break;
        manager_settle(manager);
    }
    if (!refusal->text)
        refuse(refusal, OUTCOME_NOT_VIABLE, "The kernel does not agree with the model; try again.");
    manager_record_denial(manager, claim, REASON_NONE, NULL, refusal->text);
    return refusal->outcome;
}
