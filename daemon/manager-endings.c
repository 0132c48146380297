/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking back. A crash at any point is mended at the next start: state (draining), access, and when
 * nobody has the groups open any more: record, and the state removed. */
#include "manager.h"

#include <string.h>
#include <syslog.h>

#include "util/string.h"

/* A copy of a node elsewhere gives no event when it is closed, so a draining group is tried. */
#define DRAIN_RETRY_SECONDS 1.0

static void withdraw_group(struct manager *manager, struct lease_group *group) {
    if (group->lost || group->withdrawn)
        return;
    int r = node_withdraw(manager->sysfs, group->id);
    group->withdrawn = r >= 0;
    if (r < 0 && !group->complained) {
        group->complained = true;
        log_message(LOG_ERR, "Access to /dev/vfio/%u could not be taken back, trying again: %s.",
                    group->id, strerror(-r));
    }
}

bool manager_withdraw_access(struct manager *manager, struct lease *lease) {
    bool withdrawn = true;

    for (size_t i = 0; i < lease->n_groups; i++) {
        withdraw_group(manager, &lease->groups[i]);
        withdrawn = withdrawn && (lease->groups[i].lost || lease->groups[i].withdrawn);
    }
    return withdrawn;
}

/* The opens and closes that come of the question itself are nobody's. */
int manager_ask_kernel(struct manager *manager, uint32_t id) {
    int status = node_ask_kernel(manager->sysfs, id);

    if (status == NODE_VIABLE || status == NODE_NOT_VIABLE)
        node_watch_skip(manager->nodes, id);
    return status;
}

/* Nobody has the group open any more. It stays so: access is gone, and each question is an open of
 * its own, which would come back as an event. */
static bool group_has_drained(struct manager *manager, struct lease_group *group) {
    const struct group *known = model_group(&manager->model, group->id);

    if (group->lost || group->drained)
        return true;
    withdraw_group(manager, group);
    /* Somebody was seen to open it and not to close it: no need to ask, and no open of ours in the
     * way of the device's reset. */
    if (!group->withdrawn || (known && known->open))
        return false;
    int status = manager_ask_kernel(manager, group->id);
    if (status < 0 && !group->complained) {
        group->complained = true;
        log_message(LOG_WARNING, "Whether group %u has drained can not be seen: %s.", group->id,
                    strerror(-status));
    }
    group->drained = status >= 0 && status != NODE_OPEN;
    return group->drained;
}

static bool lease_has_drained(struct manager *manager, struct lease *lease) {
    bool drained = true;

    for (size_t i = 0; i < lease->n_groups; i++)
        drained = group_has_drained(manager, &lease->groups[i]) && drained;
    return drained;
}

static void record_end(struct manager *manager, const struct lease *lease) {
    const char *end = lease_end_to_string(lease->end);
    char groups[256];

    lease_describe_groups(lease, groups, sizeof(groups));
    _cleanup_(freep) char *message = string_format(
        "%s: lease %llu of uid %u ended (%s).", groups, (unsigned long long)lease->id,
        lease->holder, end);
    manager_record_lease(manager, AUDIT_ENDED, lease, end, message);
}

/* Nobody has it any more: the groups can be granted again. */
static void finish_lease(struct manager *manager, struct lease *lease) {
    for (size_t i = 0; i < lease->n_groups; i++) {
        struct group *group =
            lease->groups[i].lost ? NULL : model_group(&manager->model, lease->groups[i].id);
        if (!group || group->lease != lease)
            continue;
        model_set_lease(&manager->model, group, NULL);
        model_set_open(&manager->model, group, false);
        manager_refresh_node(manager, group);
    }
    /* Groups that are gone, but not forgotten yet. */
    for (struct group *gone = manager->model.removed_groups; gone; gone = gone->next_dirty)
        if (gone->lease == lease)
            gone->lease = NULL;
    record_end(manager, lease);
    int r = state_remove(manager->state, lease->id);
    if (r < 0)
        log_message(LOG_ERR, "State of lease %llu can not be removed: %s.",
                    (unsigned long long)lease->id, strerror(-r));
    lease_book_remove(&manager->leases, lease);
    if (manager->listener)
        manager->listener->lease_ended(lease, manager->listener_data);
    lease_free(lease);
}

static void arm_drain(struct manager *manager) {
    ev_timer_stop(manager->loop, &manager->drain);
    ev_timer_set(&manager->drain, DRAIN_RETRY_SECONDS, 0.);
    ev_timer_start(manager->loop, &manager->drain);
}

void manager_try_draining(struct manager *manager) {
    struct lease *lease, *next;
    bool waiting = false;

    HASH_ITER(by_id, manager->leases.leases, lease, next) {
        if (lease->state != LEASE_DRAINING)
            continue;
        if (lease_has_drained(manager, lease))
            finish_lease(manager, lease);
        else
            waiting = true;
    }
    ev_timer_stop(manager->loop, &manager->drain);
    if (waiting)
        arm_drain(manager);
}

void manager_start_draining(struct manager *manager, struct lease *lease, enum lease_end end) {
    lease->state = LEASE_DRAINING;
    lease->end = end;
    int r = state_save(manager->state, lease);
    if (r < 0)
        log_message(LOG_ERR, "State of lease %llu can not be written: %s.",
                    (unsigned long long)lease->id, strerror(-r));
    arm_drain(manager);
}

void manager_end_lease(struct manager *manager, struct lease *lease, enum lease_end end) {
    if (lease->state == LEASE_DRAINING)
        return;
    manager_start_draining(manager, lease, end);
    manager_arm_expiry(manager);
    if (lease_has_drained(manager, lease))
        finish_lease(manager, lease);
    else if (manager->listener)
        manager->listener->lease_changed(lease, manager->listener_data);
}

void manager_sender_gone(struct manager *manager, const char *sender, const char *bus_id) {
    struct lease *lease, *next;

    HASH_ITER(by_id, manager->leases.leases, lease, next) {
        if (lease->state == LEASE_ACTIVE && lease->lifetime == POLICY_LIFETIME_CONNECTION &&
            string_equal(lease->sender, sender) && string_equal(lease->bus_id, bus_id))
            manager_end_lease(manager, lease, LEASE_END_DISCONNECTED);
    }
}

void manager_arm_expiry(struct manager *manager) {
    uint64_t next = lease_book_next_expiry(&manager->leases), now = now_boottime();

    ev_timer_stop(manager->loop, &manager->expiry);
    if (!next)
        return;
    double seconds = next > now ? (double)(next - now) / 1e6 : 0.;
    /* The loop's clock stands still in suspend, the leases' does not. */
    ev_timer_set(&manager->expiry, seconds > 60. ? 60. : seconds, 0.);
    ev_timer_start(manager->loop, &manager->expiry);
}
