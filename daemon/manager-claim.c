/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Granting. The order is what makes a crash harmless: state, access, record. */
#include "manager.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "model/device-streams.h"
#include "util/string.h"

/* ---- granting */

static bool is_platform(const struct device *device) {
    return string_equal(device->bus, "platform") || string_equal(device->bus, "amba");
}

static bool is_about_platform(const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        for (const struct device *member = claim->groups[i]->members; member; member = member->next_member)
            if (is_platform(member))
                return true;
    for (size_t i = 0; i < claim->n_groupless; i++)
        if (is_platform(claim->groupless[i]))
            return true;
    return false;
}

void manager_read_demands(struct manager *manager, const struct claim *claim) {
    if (is_about_platform(claim))
        vfio_demands_read(manager->sysfs, NULL, &manager->host.vfio);
}

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
        .interface = claim->interface,
        .ttl = claim->ttl,
        .model = &manager->model,
        .detach = claim->detach,
        .before_switch = claim->detach,
        .held = claim->held,
        .named = claim->named,
        .n_named = claim->n_named,
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
    (void)manager_is_open(manager, group);
}

void manager_reconsider_openers(struct manager *manager, const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        reconsider_opener(manager, claim->groups[i]);
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
    if (found)
        manager_reconsider_openers(manager, claim);
    for (size_t i = 0; found && i < claim->n_groups; i++) {
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

enum outcome manager_refuse_by_verdict(struct manager *manager, const struct claim *claim,
                                       const struct verdict_request *request,
                                       const struct verdict *verdict, struct refusal *refusal) {
    const struct finding *finding = verdict_first_finding(verdict);
    struct verdict_request for_record = *request;
    const char *rule = finding && finding->rule ? finding->rule->name : NULL;

    for_record.on_record = true;
    _cleanup_(freep) char *recorded = verdict_text(verdict, &for_record);
    _cleanup_(freep) char *text = verdict_text(verdict, request);
    manager_record_denial(manager, claim, verdict->first, rule, recorded ?: "A claim was refused.");
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
        int status = group->node.present ? manager_ask_kernel(manager, group->id) : NODE_VIABLE;
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

/* udev has finished with the nodes that the lease is about. */
static bool group_nodes_are_settled(struct manager *manager, const struct group *group) {
    struct node_name node = node_of_group(group->id);

    if (group->node.present && !node_settled(manager->sysfs, &node))
        return false;
    for (const struct device *member = group->members; member; member = member->next_member) {
        node = node_of_cdev(member->path, member->vfio_device ?: "");
        if (member->cdev && !node_settled(manager->sysfs, &node))
            return false;
    }
    return true;
}

static void refresh_lease_nodes(struct manager *manager, const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        manager_refresh_node(manager, claim->groups[i]);
}

/* "path, persistent" or "fd through cdevs, process 812". */
static char *describe_terms(const struct lease *lease) {
    const char *mode = policy_mode_to_string(lease->mode);
    const char *through = lease->interface == LEASE_INTERFACE_CDEV ? " through cdevs" : "";
    const char *lifetime = policy_lifetime_to_string(lease->lifetime);

    if (lease->lifetime == POLICY_LIFETIME_PROCESS)
        return string_format("%s%s, %s %d", mode, through, lifetime, lease->kept_pid);
    if (lease->lifetime == POLICY_LIFETIME_UNIT)
        return string_format("%s%s, %s %s", mode, through, lifetime, lease->kept_unit);
    return string_format("%s%s, %s", mode, through, lifetime);
}

/* Of all its groups, how near somebody else on the same stream is. */
static enum sharing lease_sharing(const struct manager *manager, const struct lease *lease) {
    enum sharing nearest = SHARING_NONE;

    for (size_t i = 0; i < lease->n_groups; i++) {
        const struct group *group = model_group(&manager->model, lease->groups[i].id);
        enum sharing sharing = group ? group_sharing(&manager->model, group) : SHARING_NONE;
        nearest = sharing > nearest ? sharing : nearest;
    }
    return nearest;
}

static void record_grant(struct manager *manager, const struct lease *lease) {
    _cleanup_(freep) char *terms = describe_terms(lease);
    char groups[256];

    enum sharing sharing = lease_sharing(manager, lease);
    bool shared = sharing > SHARING_PENDING;

    lease_describe_groups(lease, groups, sizeof(groups));
    _cleanup_(freep) char *message = string_format(
        "%s granted to uid %u (lease %llu, %s) by rule %s%s.", groups, lease->holder,
        (unsigned long long)lease->id, terms ?: "", lease->rule,
        shared ? ", though not isolated, which it does not require" : "");
    /* A rule that does not require isolation let it happen: the record says so. */
    manager_record_lease(manager, AUDIT_GRANTED, lease,
                         shared ? reason_to_string(sharing_reason(sharing)) : NULL, message);
}

/* The lease is to be forgotten before anybody hears of it. Where access that was given in part can
 * not be taken back, it stays as one that drains. */
static void undo_grant(struct manager *manager, struct lease *lease) {
    bool withdrawn = manager_withdraw_access(manager, lease);

    manager_stop_keeping(manager, lease);
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
        if (manager->listener)
            manager->listener->lease_changed(lease, manager->listener_data);
        return;
    }
    (void)state_remove(manager->state, lease->id);
    lease_book_remove(&manager->leases, lease);
    lease_free(lease);
}

/* State first, then access: a crash in between leaves a lease without access, and not the other way
 * round. The lease is the book's when 0 is returned. */
static int add_lease(struct manager *manager, struct lease *lease) {
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

static void announce_grant(struct manager *manager, const struct claim *claim,
                           struct lease *lease) {
    for (size_t i = 0; i < claim->n_groups; i++) {
        model_set_lease(&manager->model, claim->groups[i], lease);
        for (struct device *member = claim->groups[i]->members; member;
             member = member->next_member)
            member->lent = member->role == ROLE_USER;
        manager_guard_peers(manager, claim->groups[i]);
    }
    refresh_lease_nodes(manager, claim);
    record_grant(manager, lease);
    manager_arm_deadline(manager);
    if (manager->listener)
        manager->listener->lease_added(lease, manager->listener_data);
}

/* An attempt to grant what the verdict allows: what failed, for a sentence. */
struct attempt {
    bool opening;
    const char *node;
};

/* What was opened is nobody's access before it is passed on, so it may come before the state: what can
 * not be opened leaves no trace. */
static int grant(struct manager *manager, struct claim *claim, const struct verdict *verdict,
                 struct lease **ret, struct lease_fds *fds, struct attempt *attempt) {
    _cleanup_(lease_freep) struct lease *made = manager_make_lease(claim, verdict);
    int r = made ? 0 : -ENOMEM;

    attempt->opening = true;
    if (r >= 0 && made->mode == POLICY_MODE_FD)
        r = manager_open_lease(manager, made, claim->container, fds, &attempt->node);
    if (r < 0)
        return r;
    attempt->opening = false;
    r = add_lease(manager, made);
    if (r < 0)
        return r;
    struct lease *lease = TAKE_POINTER(made);
    r = manager_keep(manager, lease, claim->pidfd, fds);
    if (r >= 0)
        r = manager_give_access(manager, lease);
    if (r < 0) {
        undo_grant(manager, lease);
        return r;
    }
    announce_grant(manager, claim, lease);
    *ret = lease;
    return 0;
}

/* EBUSY from a node is an opener; EPERM of a group a driver that sysfs did not show. */
static enum outcome refuse_open(struct refusal *refusal, const struct attempt *attempt,
                                enum lease_interface interface, int error) {
    if (error == -EBUSY)
        return refuse(refusal, OUTCOME_FOREIGN_OWNER,
                      "%s is open in another process; close that first.", attempt->node);
    if (error == -EPERM && interface == LEASE_INTERFACE_GROUP)
        return refuse(refusal, OUTCOME_NOT_VIABLE,
                      "The kernel does not give %s away (EPERM): a kernel driver holds a device of "
                      "its group.",
                      attempt->node);
    return refuse(refusal, OUTCOME_NOT_VIABLE, "%s could not be opened: %s.",
                  attempt->node ?: "The group", strerror(-error));
}

static enum outcome refuse_grant(struct refusal *refusal, const struct attempt *attempt,
                                 enum lease_interface interface, int error) {
    if (error == -EUSERS)
        return refuse(refusal, OUTCOME_QUOTA_EXCEEDED,
                      "%d leases live with an fd or a process, the most that can be kept; release "
                      "one.",
                      KEEPERS_MAX);
    if (attempt->opening)
        return refuse_open(refusal, attempt, interface, error);
    return refuse(refusal, OUTCOME_NOT_VIABLE, "Access could not be given: %s.", strerror(-error));
}

static bool nodes_are_settled(struct manager *manager, const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        if (!group_nodes_are_settled(manager, claim->groups[i]))
            return false;
    return true;
}

static int grant_or_refuse(struct manager *manager, struct claim *claim,
                           const struct verdict *verdict, struct lease **ret_lease,
                           struct lease_fds *fds, struct refusal *refusal) {
    struct attempt attempt = {0};
    int r = grant(manager, claim, verdict, ret_lease, fds, &attempt);

    if (r >= 0)
        return OUTCOME_OK;
    lease_fds_done(fds);
    refuse_grant(refusal, &attempt, claim->interface, r);
    log_message(LOG_ERR, "%s", refusal->text ?: "Access could not be given.");
    manager_record_denial(manager, claim, REASON_NONE, NULL, refusal->text);
    return refusal->outcome;
}

int manager_claim(struct manager *manager, struct claim *claim, struct lease **ret_lease,
                  struct lease_fds *fds, struct refusal *refusal) {
    enum lease_interface asked = claim->interface;
    int r = read_facts_again(manager, claim, refusal);

    if (r != OUTCOME_OK) {
        /* The groups may be gone: the record goes without them. */
        struct claim unread = *claim;
        unread.n_groups = 0;
        manager_record_denial(manager, &unread, REASON_NONE, NULL, refusal->text);
        return r;
    }
    manager_read_demands(manager, claim);
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        claim->interface = asked;
        struct verdict_request request = manager_request(manager, claim);
        _cleanup_(verdict_done) struct verdict verdict = {0};
        request.before_switch = false; /* whatever was to be switched is by now */
        verdict_reach(&request, &verdict);
        if (verdict.out_of_memory)
            return -ENOMEM;
        if (!verdict.grantable)
            return manager_refuse_by_verdict(manager, claim, &request, &verdict, refusal);
        claim->interface = verdict_interface(&request);
        if (!nodes_are_settled(manager, claim) || manager_needs_cleaning(claim))
            return -EAGAIN;
        r = ask_kernel(manager, claim, refusal);
        if (r == OUTCOME_OK)
            return grant_or_refuse(manager, claim, &verdict, ret_lease, fds, refusal);
        if (refusal->outcome)
            break;
        manager_settle(manager);
    }
    if (!refusal->text)
        refuse(refusal, OUTCOME_NOT_VIABLE, "The kernel does not agree with the model; try again.");
    manager_record_denial(manager, claim, REASON_NONE, NULL, refusal->text);
    return refusal->outcome;
}
