/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records of what was moved: kept in step with the model, with the disk, and over a restart. */
#include "manager-switch.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "util/string.h"

/* ---- records */

int manager_save_detachment(struct manager *manager, struct detachment *detachment) {
    return state_save_detachment(manager->state, detachment);
}

void manager_link_detachments(struct manager *manager) {
    struct detachment *detachment, *next;

    for (struct device *device = manager->model.devices; device; device = device->by_path.next)
        device->detached = NULL;
    HASH_ITER(by_id, manager->detachments, detachment, next) {
        for (size_t i = 0; i < detachment->n_members; i++) {
            struct device *device = model_device(&manager->model, detachment->members[i].path);
            detachment->members[i].uid = detachment->uid;
            if (device && !detachment->members[i].gone)
                device->detached = &detachment->members[i];
        }
    }
}

int manager_add_detachment(struct manager *manager, struct detachment *detachment) {
    HASH_ADD(by_id, manager->detachments, id, sizeof(detachment->id), detachment);
    if (!detachment->by_id.tbl)
        return -ENOMEM;
    manager_link_detachments(manager);
    return 0;
}

void manager_drop_detachment(struct manager *manager, struct detachment *detachment) {
    manager_hold_groups(manager, detachment, false);
    int r = state_remove_detachment(manager->state, detachment->id);

    if (r < 0)
        log_message(LOG_ERR, "State of switch %llu can not be removed: %s.",
                    (unsigned long long)detachment->id, strerror(-r));
    HASH_DELETE(by_id, manager->detachments, detachment);
    detachment_free(detachment);
    manager_link_detachments(manager);
}

void manager_free_detachments(struct manager *manager) {
    struct detachment *detachment, *next;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        HASH_DELETE(by_id, manager->detachments, detachment);
        detachment_free(detachment);
    }
}

struct detachment *manager_find_detachment(const struct manager *manager, uint64_t id) {
    struct detachment *detachment;

    HASH_FIND(by_id, manager->detachments, &id, sizeof(id), detachment);
    return detachment;
}

struct detachment *manager_detachment_of(const struct manager *manager,
                                         const struct device *device) {
    struct detachment *detachment, *next;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        if (device->detached && detachment_find(detachment, device->path) == device->detached)
            return detachment;
    }
    return NULL;
}

void manager_record_switch(struct manager *manager, enum audit_kind kind,
                           const struct detachment *detachment, const char *reason,
                           const char *message) {
    _cleanup_(freep) const char **devices = calloc(detachment->n_members + 1, sizeof(*devices));
    size_t n_groups = 0;
    _cleanup_(freep) uint32_t *groups = detachment_list_groups(detachment, &n_groups);

    for (size_t i = 0; devices && i < detachment->n_members; i++)
        devices[i] = path_basename(detachment->members[i].path);
    audit_write(manager->audit, &(struct audit_event){.kind = kind,
                                                      .message = message,
                                                      .groups = groups,
                                                      .n_groups = n_groups,
                                                      .devices = devices,
                                                      .uid = detachment->uid,
                                                      .claimant_uid = detachment->uid,
                                                      .rule = detachment->rule,
                                                      .reason = reason});
}

/* The members of one group in a record of their own, so that each group can be given back alone. */
static int split_off(struct manager *manager, struct detachment *detachment, uint32_t group) {
    _cleanup_(detachment_freep) struct detachment *part = detachment_new(detachment->n_members);
    char *rule = strdup(detachment->rule);

    if (!part || !rule) {
        free(rule);
        return -ENOMEM;
    }
    free(part->rule);
    part->rule = rule;
    part->uid = detachment->uid;
    part->state = detachment->state;
    part->pending = detachment->pending;
    part->unreset = detachment->unreset;
    part->return_at = detachment->return_at;
    int r = state_next_id(manager->state, &part->id);
    for (size_t i = 0; r >= 0 && i < detachment->n_members;) {
        if (detachment->members[i].group != group) {
            i++;
            continue;
        }
        part->members[part->n_members++] = detachment->members[i];
        detachment->members[i] = (struct detachment_member){0};
        detachment_remove(detachment, i);
    }
    if (r >= 0)
        r = manager_add_detachment(manager, part);
    return r < 0 ? r : manager_save_detachment(manager, TAKE_POINTER(part));
}

/* A crash in between leaves members in two records that say the same, of which one is kept. */
void manager_split_detachment(struct manager *manager, struct detachment *detachment) {
    size_t n_groups = 0;
    _cleanup_(freep) uint32_t *groups = detachment_list_groups(detachment, &n_groups);
    int r = 0;

    if (n_groups < 2)
        return;
    for (size_t i = 1; r >= 0 && i < n_groups; i++)
        r = split_off(manager, detachment, groups[i]);
    if (r >= 0)
        r = manager_save_detachment(manager, detachment);
    if (r < 0)
        log_message(LOG_ERR, "Records of groups that were detached together can not be written: %s.",
                    strerror(-r));
    manager_link_detachments(manager);
}

void manager_hold_groups(struct manager *manager, const struct detachment *detachment, bool hold) {
    for (size_t i = 0; hold && i < detachment->n_members; i++) {
        struct group *group = model_group(&manager->model, detachment->members[i].group);
        if (group)
            group->held_for = detachment->id;
    }
    /* Also of members that have left the record since. */
    for (struct group *group = manager->model.groups; group && !hold; group = group->by_id.next)
        if (group->held_for == detachment->id)
            group->held_for = 0;
}

/* What is moved again is on the newer record, with what the older one knew of it. */
void manager_take_over_members(struct manager *manager, const struct detachment *newer) {
    struct detachment *older, *next;

    HASH_ITER(by_id, manager->detachments, older, next) {
        bool lost = false;
        for (size_t i = 0; older != newer && i < older->n_members;) {
            bool taken = detachment_find(newer, older->members[i].path) != NULL;
            if (taken)
                detachment_remove(older, i);
            else
                i++;
            lost = lost || taken;
        }
        if (lost && older->n_members)
            (void)manager_save_detachment(manager, older);
        else if (lost)
            manager_drop_detachment(manager, older);
    }
    manager_link_detachments(manager);
}

/* ---- what happens to members */

/* A member that is gone, or that somebody else has moved, is not moved back. */
static void forget_member(struct manager *manager, struct detachment *detachment,
                          struct detachment_member *member, const char *why) {
    log_message(LOG_NOTICE, "Device %s of group %u, which dmaownd detached, %s; it is not given back.",
                path_basename(member->path), member->group, why);
    detachment_remove(detachment, (size_t)(member - detachment->members));
    if (!detachment->n_members) {
        manager_drop_detachment(manager, detachment);
        return;
    }
    (void)manager_save_detachment(manager, detachment);
    manager_link_detachments(manager);
}

static struct detachment *find_member(const struct manager *manager, const char *path,
                                      struct detachment_member **ret) {
    struct detachment *detachment, *next;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        *ret = detachment_find(detachment, path);
        if (*ret)
            return detachment;
    }
    return NULL;
}

void manager_note_removed(struct manager *manager, const char *path) {
    struct detachment_member *member;
    struct detachment *detachment = manager->detachments ? find_member(manager, path, &member) : NULL;

    if (detachment && transaction_find(manager, detachment->id))
        member->gone = true;
    else if (detachment)
        forget_member(manager, detachment, member, "is gone");
}

/* Between unbind and bind, and while a lease of it drains, a device has no driver for a moment. */
static bool was_moved(const struct detachment_member *member, const struct device *device) {
    if (!device->driver)
        return false;
    if (!*member->target)
        return device->role == ROLE_KERNEL; /* a pin that somebody has lifted */
    return !string_equal(device->driver, member->target) && device->role != ROLE_USER;
}

void manager_check_detached(struct manager *manager, struct device *device) {
    const struct detachment_member *member = device->detached;
    struct detachment *detachment = member ? manager_detachment_of(manager, device) : NULL;

    if (!detachment || transaction_find(manager, detachment->id) || !was_moved(member, device))
        return;
    bool was_users = member->move == MOVE_TO_USER;
    _cleanup_(freep) char *why = string_format("was bound to %s by somebody else", device->driver);
    device->moved_by_hand = true;
    forget_member(manager, detachment, (struct detachment_member *)member, why ?: "was moved");
    struct lease *lease = device->group ? device->group->lease : NULL;
    if (was_users && lease && lease->state == LEASE_ACTIVE)
        manager_end_lease(manager, lease, LEASE_END_DEVICE_GONE);
}

/* ---- after a restart */

static int take_loaded(struct detachment *detachment, void *userdata) {
    struct manager *manager = userdata;
    struct detachment_member *other;

    /* A crash between two writes leaves a member in two records: the one that is on its way has it. */
    for (size_t i = 0; i < detachment->n_members;) {
        struct detachment *also = find_member(manager, detachment->members[i].path, &other);
        if (also && detachment->state == DETACHMENT_DETACHED)
            detachment_remove(detachment, i);
        else if (also)
            detachment_remove(also, (size_t)(other - also->members));
        else
            i++;
    }
    int r = manager_add_detachment(manager, detachment);
    if (r < 0)
        detachment_free(detachment);
    return r;
}

int manager_load_detachments(struct manager *manager) {
    unsigned bad = 0;
    int r = state_load_detachments(manager->state, take_loaded, manager, &bad);

    if (r < 0)
        log_message(LOG_ERR, "Records of switched drivers can not be read: %s.", strerror(-r));
    else if (bad)
        log_message(LOG_ERR, "%u records of switched drivers were not readable and are set aside as "
                             "*.bad; their devices stay where they are.",
                    bad);
    return r;
}

static void forget_gone_members(struct manager *manager, struct detachment *detachment) {
    for (size_t i = 0; i < detachment->n_members;) {
        const struct device *device = model_device(&manager->model, detachment->members[i].path);
        if (device && !detachment->members[i].gone) {
            if (device->group && !detachment->guard)
                detachment->members[i].group = device->group->id; /* numbers are reused */
            i++;
        } else {
            detachment_remove(detachment, i);
        }
    }
}

bool manager_tidy_detachment(struct manager *manager, struct detachment *detachment) {
    size_t before = detachment->n_members;

    forget_gone_members(manager, detachment);
    if (detachment->n_members && detachment->n_members != before)
        (void)manager_save_detachment(manager, detachment);
    if (detachment->n_members)
        return true;
    manager_drop_detachment(manager, detachment);
    return false;
}

static void go_on_after_crash(struct manager *manager, struct detachment *detachment) {
    bool reattaching = detachment->state == DETACHMENT_REATTACHING;
    struct transaction *transaction = transaction_new(manager, detachment);

    if (!transaction)
        return;
    transaction->returns = true;
    transaction->way = reattaching ? WAY_BACK_PROBED : WAY_BACK_EXACT;
    for (size_t i = 0; i < transaction->n_runs; i++) {
        struct device *device = model_device(&manager->model, transaction->runs[i].path);
        transaction->runs[i].recovered = transaction->runs[i].after_crash = true;
        transaction->runs[i].unreset = detachment->unreset;
        transaction->runs[i].soiled = device && device->soiled_by != UID_NONE;
    }
    if (!reattaching)
        transaction_fail(transaction, OUTCOME_SWITCH_FAILED,
                         "A switch to userspace was cut short by the end of the daemon.");
    log_message(LOG_NOTICE, "A switch of drivers was cut short by the end of the daemon; it is being "
                            "%s.",
                reattaching ? "finished" : "undone");
    detachment->state = reattaching ? DETACHMENT_REATTACHING : DETACHMENT_UNDOING;
    transaction_go_on(transaction);
}

/* A lease that is on disk was granted: what was moved for it stays, answered or not. */
static bool is_leased(struct manager *manager, const struct detachment *detachment) {
    for (size_t i = 0; i < detachment->n_members; i++) {
        const struct group *group = model_group(&manager->model, detachment->members[i].group);
        if (group && group->lease)
            return true;
    }
    return false;
}

static void recover_detachment(struct manager *manager, struct detachment *detachment) {
    if (!manager_tidy_detachment(manager, detachment))
        return;
    if (detachment->pending && is_leased(manager, detachment)) {
        detachment->pending = false;
        (void)manager_save_detachment(manager, detachment);
    }
    if (detachment->state == DETACHMENT_DETACHED && !detachment->pending)
        manager_split_detachment(manager, detachment);
    else if (!transaction_find(manager, detachment->id))
        go_on_after_crash(manager, detachment);
}

void manager_recover_detachments(struct manager *manager) {
    struct detachment *detachment, *next;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        recover_detachment(manager, detachment);
    }
    manager_link_detachments(manager);
}
