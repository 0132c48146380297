/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way back of what a lease was granted: when it has ended, or some time later, for who has something to
 * do with the devices before the host has them again. Then it waits for whoever has the group meanwhile. */
#include "manager-switch.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

/* As long as a claim that is on its way can take. */
#define PUT_OFF_USEC (60 * UINT64_C(1000000))

/* ---- of one lease */

static bool is_concerned(const struct detachment *detachment, const struct lease *lease) {
    for (size_t i = 0; i < lease->n_groups; i++)
        if (detachment_has_group(detachment, lease->groups[i].id))
            return detachment->uid == lease->claimant && detachment->state == DETACHMENT_DETACHED;
    return false;
}

/* A record that cannot be written is tried again with the tick: a restart is not to forget it. */
static void save(struct manager *manager, struct detachment *detachment) {
    bool before = detachment->unsaved;
    int r = manager_save_detachment(manager, detachment);

    detachment->unsaved = r < 0;
    if (r < 0 && !before)
        log_message(LOG_ERR, "When devices go back to the host can not be noted, it is tried again: %s.",
                    strerror(-r));
}

static void announce_later(struct manager *manager, struct detachment *detachment, uint64_t at) {
    detachment->return_at = at;
    if (manager->policy)
        detachment->unreset = manager_rules_allow_unreset(manager, detachment);
    save(manager, detachment);
}

void manager_announce_return(struct manager *manager, const struct lease *lease) {
    uint64_t at = now_boottime() + lease->reattach_after * UINT64_C(1000000);
    struct detachment *detachment, *next;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        if (!is_concerned(detachment, lease))
            continue;
        if (lease->reattach_after)
            announce_later(manager, detachment, at);
        else
            (void)manager_announce_reattach(manager, detachment);
    }
}

static void give_back_record(struct manager *manager, const struct lease *lease, uint64_t id) {
    struct detachment *detachment = manager_find_detachment(manager, id);

    if (!detachment || (detachment->uid != lease->claimant && !detachment->guard))
        return; /* theirs to give back who detached it */
    int r = manager_reattach(manager, detachment, WAY_BACK_PROBED, false);
    if (r < 0 && r != -EBUSY)
        log_message(LOG_ERR, "What lease %llu was granted can not be given back: %s.",
                    (unsigned long long)lease->id, strerror(-r));
}

/* By number: one that ends at once may take another record with it. */
void manager_give_back(struct manager *manager, const struct lease *lease) {
    struct detachment *found[DETACHMENTS_MAX];
    struct group *groups[CLAIM_GROUPS_MAX];
    struct claim claim = {.groups = groups};
    uint64_t ids[DETACHMENTS_MAX];

    for (size_t i = 0; i < lease->n_groups; i++) {
        struct group *group = model_group(&manager->model, lease->groups[i].id);
        if (group && !lease->groups[i].lost)
            groups[claim.n_groups++] = group;
    }
    size_t n = manager_find_detachments(manager, &claim, found);
    for (size_t i = 0; i < n; i++)
        ids[i] = found[i]->id;
    for (size_t i = 0; i < n; i++)
        give_back_record(manager, lease, ids[i]);
}

/* ---- later */

static bool is_due(const struct detachment *detachment, uint64_t now) {
    return detachment->return_at && detachment->return_at <= now;
}

static bool is_anybodys(struct manager *manager, struct group *group) {
    return group->lease || group->switching || group->held_for || manager_is_open(manager, group);
}

/* Nobody has it, also nobody without a lease: an unbind would hang. */
static bool may_return(struct manager *manager, const struct detachment *detachment) {
    if (detachment->state != DETACHMENT_DETACHED || transaction_find(manager, detachment->id))
        return false;
    for (size_t i = 0; i < detachment->n_members; i++) {
        struct group *group = model_group(&manager->model, detachment->members[i].group);
        if (group && is_anybodys(manager, group))
            return false;
    }
    return true;
}

void manager_return_due(struct manager *manager) {
    struct detachment *detachment, *next;
    uint64_t ids[DETACHMENTS_MAX], now = now_boottime();
    size_t n = 0;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        if (detachment->unsaved)
            save(manager, detachment);
        bool due = n < DETACHMENTS_MAX && is_due(detachment, now);
        detachment->waits = due && !may_return(manager, detachment);
        if (due && !detachment->waits)
            ids[n++] = detachment->id;
    }
    for (size_t i = 0; i < n; i++) {
        detachment = manager_find_detachment(manager, ids[i]);
        int r = detachment ? manager_reattach(manager, detachment, WAY_BACK_PROBED, false) : 0;
        if (r < 0)
            detachment->waits = true; /* for the tick: tried at once it would fail at once */
        if (r < 0 && r != -EBUSY)
            log_message(LOG_ERR, "What was to be given back by now can not be: %s.", strerror(-r));
    }
}

/* What waits for somebody has no time any more. */
uint64_t manager_next_return(const struct manager *manager) {
    struct detachment *detachment, *next;
    uint64_t first = 0;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        uint64_t at = detachment->waits ? 0 : detachment->return_at;
        if (at && (!first || at < first))
            first = at;
    }
    return first;
}

static void set_return(struct manager *manager, const struct claim *claim, uint64_t from, uint64_t at) {
    struct detachment *found[DETACHMENTS_MAX];
    size_t n = manager_find_detachments(manager, claim, found);

    for (size_t i = 0; i < n; i++)
        if (found[i]->return_at && found[i]->return_at < from) {
            found[i]->return_at = at;
            save(manager, found[i]);
        }
}

void manager_put_off_return(struct manager *manager, const struct claim *claim) {
    uint64_t later = now_boottime() + PUT_OFF_USEC;

    set_return(manager, claim, later, later);
    manager_arm_deadline(manager);
}

void manager_cancel_return(struct manager *manager, const struct claim *claim) {
    set_return(manager, claim, UINT64_MAX, 0);
}
