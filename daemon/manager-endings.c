/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking back. A crash at any point is mended at the next start: state (draining), access, and when
 * nobody has the groups open any more: record, and the state removed. */
#include "manager.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "util/string.h"

/* A copy of a node elsewhere gives no event when it is closed, so a draining group is tried. */
#define DRAIN_RETRY_SECONDS 1.0

/* The opens and closes that come of the question itself are nobody's. */
int manager_ask_kernel(struct manager *manager, uint32_t id) {
    int status = node_ask_kernel(manager->sysfs, id, NULL);

    if (status == NODE_VIABLE || status == NODE_NOT_VIABLE)
        node_watch_skip(manager->nodes, id);
    return status;
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

void manager_finish_lease(struct manager *manager, struct lease *lease) {
    uint32_t ended[CLAIM_GROUPS_MAX];
    size_t n_ended = 0;

    manager_note_soiled(manager, lease);
    for (size_t i = 0; i < lease->n_groups; i++) {
        struct group *group = model_group(&manager->model, lease->groups[i].id);
        if (!group || group->lease != lease)
            continue;
        /* Whoever has opened it since it drained has it open still. */
        model_set_lease(&manager->model, group, NULL);
        manager_refresh_node(manager, group);
        ended[n_ended++] = group->id;
    }
    /* Groups that are gone, but not forgotten yet. */
    for (struct group *gone = manager->model.removed_groups; gone; gone = gone->next_dirty)
        if (gone->lease == lease)
            gone->lease = NULL;
    manager_stop_draining(manager, lease);
    record_end(manager, lease);
    if (lease->reattach)
        manager_announce_return(manager, lease);
    int r = state_remove(manager->state, lease->id);
    if (r < 0)
        log_message(LOG_ERR, "State of lease %llu can not be removed: %s.",
                    (unsigned long long)lease->id, strerror(-r));
    lease_book_remove(&manager->leases, lease);
    if (manager->listener)
        manager->listener->lease_ended(lease, manager->listener_data);
    if (lease->reattach && !lease->reattach_after)
        manager_give_back(manager, lease);
    for (size_t i = 0; i < n_ended; i++) {
        struct group *group = model_group(&manager->model, ended[i]);
        if (group && !group->switching)
            manager_end_guard(manager, group);
    }
    lease_free(lease);
    manager_return_due(manager);
    manager_arm_deadline(manager);
}

static void arm_drain(struct manager *manager) {
    ev_timer_stop(manager->loop, &manager->drain);
    ev_timer_set(&manager->drain, DRAIN_RETRY_SECONDS, 0.);
    ev_timer_start(manager->loop, &manager->drain);
}

void manager_save_lease(struct manager *manager, struct lease *lease) {
    int r = state_save(manager->state, lease);

    if (r < 0 && !lease->unsaved)
        log_message(LOG_ERR, "State of lease %llu can not be written, trying again: %s.",
                    (unsigned long long)lease->id, strerror(-r));
    lease->unsaved = r < 0;
}

void manager_try_draining(struct manager *manager) {
    struct lease *lease, *next;
    bool waiting = false;

    HASH_ITER(by_id, manager->leases.leases, lease, next) {
        if (lease->state != LEASE_DRAINING)
            continue;
        if (lease->unsaved)
            manager_save_lease(manager, lease);
        if (manager_drain(manager, lease))
            manager_finish_lease(manager, lease);
        else
            waiting = true;
    }
    ev_timer_stop(manager->loop, &manager->drain);
    if (waiting)
        arm_drain(manager);
}

void manager_start_draining(struct manager *manager, struct lease *lease, enum lease_end end) {
    manager_sample_opens(manager, lease);
    lease->state = LEASE_DRAINING;
    lease->end = end;
    manager_save_lease(manager, lease);
    manager_stop_keeping(manager, lease);
    arm_drain(manager);
}

/* A holder that goes by itself before a revocation's time is over is not asked by the kernel too. */
void manager_end_lease(struct manager *manager, struct lease *lease, enum lease_end end) {
    if (lease->state == LEASE_DRAINING)
        return;
    if (end != LEASE_END_REVOKED)
        lease->unbind = false;
    manager_start_draining(manager, lease, end);
    manager_arm_deadline(manager);
    manager_go_on_draining(manager, lease);
}

void manager_go_on_draining(struct manager *manager, struct lease *lease) {
    arm_drain(manager);
    if (manager_drain(manager, lease))
        manager_finish_lease(manager, lease);
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

void manager_unit_stopped(struct manager *manager, const char *unit) {
    struct lease *lease, *next;

    HASH_ITER(by_id, manager->leases.leases, lease, next) {
        if (lease->state == LEASE_ACTIVE && lease->lifetime == POLICY_LIFETIME_UNIT &&
            string_equal(lease->kept_unit, unit))
            manager_end_lease(manager, lease, LEASE_END_UNIT_STOPPED);
    }
}

/* On disk before anybody is told: what was announced happens, also after a restart. A later
 * revocation may be sooner, never later, and says what is left. */
void manager_revoke(struct manager *manager, struct lease *lease, uint64_t seconds, bool unbind) {
    uint64_t now = now_boottime(), at = now + seconds * 1000000;

    lease->unbind = lease->unbind || unbind;
    if (lease->state == LEASE_ACTIVE && (!lease->revoke_at || at < lease->revoke_at))
        lease->revoke_at = at;
    manager_save_lease(manager, lease);
    if (lease->state == LEASE_DRAINING) {
        manager_try_draining(manager);
        return;
    }
    seconds = lease->revoke_at > now ? (lease->revoke_at - now + 999999) / 1000000 : 0;
    log_message(LOG_NOTICE, "Lease %llu of uid %u is revoked and ends in %llu s.",
                (unsigned long long)lease->id, lease->holder, (unsigned long long)seconds);
    if (manager->listener)
        manager->listener->lease_revoking(lease, seconds, manager->listener_data);
    if (seconds == 0)
        manager_end_lease(manager, lease, LEASE_END_REVOKED);
    else
        manager_arm_deadline(manager);
}

void manager_end_overdue(struct manager *manager) {
    struct lease *lease, *next;
    uint64_t now = now_boottime();

    HASH_ITER(by_id, manager->leases.leases, lease, next) {
        uint64_t deadline = lease_deadline(lease);
        if (deadline && deadline <= now)
            manager_end_lease(manager, lease,
                              deadline == lease->expires ? LEASE_END_EXPIRED : LEASE_END_REVOKED);
    }
}

void manager_arm_deadline(struct manager *manager) {
    uint64_t next = lease_book_next_deadline(&manager->leases), now = now_boottime();
    uint64_t back = manager_next_return(manager);

    if (back && (!next || back < next))
        next = back;
    ev_timer_stop(manager->loop, &manager->deadline);
    if (!next)
        return;
    double seconds = next > now ? (double)(next - now) / 1e6 : 0.;
    /* The loop's clock stands still in suspend, the leases' does not. */
    ev_timer_set(&manager->deadline, seconds > 60. ? 60. : seconds, 0.);
    ev_timer_start(manager->loop, &manager->deadline);
}
