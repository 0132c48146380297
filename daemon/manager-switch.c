/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-switch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "util/string.h"

/* Workers at a time for one transaction; each has one device. */
#define WORKERS_MAX 16

/* ---- a transaction's life */

struct transaction *transaction_find(const struct manager *manager, uint64_t id) {
    struct transaction *transaction;

    HASH_FIND(hh, manager->transactions, &id, sizeof(id), transaction);
    return transaction;
}

static void mark_groups(struct transaction *transaction, bool switching) {
    const struct detachment *detachment = transaction->detachment;
    struct model *model = &transaction->manager->model;

    for (size_t i = 0; transaction->marked && i < detachment->n_members; i++) {
        struct group *group = model_group(model, detachment->members[i].group);
        if (!group)
            continue;
        if (switching)
            group->switching++;
        else if (group->switching)
            group->switching--;
        model_touch_group(model, group);
    }
}

static void mark_devices(struct transaction *transaction, bool switching) {
    for (size_t i = 0; i < transaction->n_runs; i++) {
        const char *path = transaction->runs[i].path;
        struct device *device = path ? model_device(&transaction->manager->model, path) : NULL;
        if (device && switching)
            device->switching++;
        else if (device && device->switching) /* another one may have come in its place */
            device->switching--;
    }
}

static void free_run(struct member_run *run) {
    worker_free(run->worker);
    free(run->path);
    for (size_t i = 0; i < run->n_candidates; i++) {
        free(run->candidates[i].driver);
        free(run->candidates[i].module);
    }
}

void transaction_free(struct transaction *transaction) {
    HASH_DEL(transaction->manager->transactions, transaction);
    holders_free(transaction->holders);
    mark_groups(transaction, false);
    mark_devices(transaction, false);
    for (size_t i = 0; i < transaction->n_runs; i++)
        free_run(&transaction->runs[i]);
    free(transaction->runs);
    strings_free(transaction->modules);
    free(transaction->failure);
    free(transaction);
}

static int add_runs(struct transaction *transaction) {
    const struct detachment *detachment = transaction->detachment;

    transaction->runs = calloc(detachment->n_members, sizeof(*transaction->runs));
    if (!transaction->runs)
        return -ENOMEM;
    for (size_t i = 0; i < detachment->n_members; i++) {
        struct member_run *run = &transaction->runs[transaction->n_runs++];
        run->transaction = transaction;
        run->path = strdup(detachment->members[i].path);
        if (!run->path)
            return -ENOMEM;
    }
    return 0;
}

struct transaction *transaction_new(struct manager *manager, struct detachment *detachment) {
    struct transaction *transaction = calloc(1, sizeof(*transaction));

    if (!transaction)
        return NULL;
    transaction->id = detachment->id;
    transaction->manager = manager;
    transaction->detachment = detachment;
    transaction->began = now_realtime();
    HASH_ADD(hh, manager->transactions, id, sizeof(transaction->id), transaction);
    if (!transaction->hh.tbl) {
        free(transaction);
        return NULL;
    }
    transaction->marked = !detachment->guard || detachment->state != DETACHMENT_DETACHING;
    mark_groups(transaction, true);
    int r = add_runs(transaction);
    mark_devices(transaction, true);
    if (r >= 0) {
        holders_new(transaction);
        return transaction;
    }
    transaction_free(transaction);
    return NULL;
}

void manager_free_transactions(struct manager *manager) {
    while (manager->transactions)
        transaction_free(manager->transactions);
}

/* ---- what it has come to */

static void save_or_complain(struct manager *manager, struct detachment *detachment) {
    int r = manager_save_detachment(manager, detachment);

    if (r < 0)
        log_message(LOG_ERR, "State of switch %llu can not be written: %s.",
                    (unsigned long long)detachment->id, strerror(-r));
}

void transaction_fail(struct transaction *transaction, enum outcome outcome, const char *format,
                      ...) {
    va_list arguments;

    if (!transaction->failure) {
        va_start(arguments, format);
        if (vasprintf(&transaction->failure, format, arguments) < 0)
            transaction->failure = NULL;
        va_end(arguments);
        transaction->outcome = outcome;
    }
    if (transaction->returns)
        return;
    transaction->returns = true;
    transaction->way = WAY_BACK_EXACT;
    transaction->detachment->state = DETACHMENT_UNDOING;
    save_or_complain(transaction->manager, transaction->detachment);
}

/* A host driver may have been on its way to the device: that is undone, and the guard looks again at
 * what is a device with a driver by now. */
static void check_pin(struct transaction *transaction, const struct detachment_member *member) {
    const struct device *device = model_device(&transaction->manager->model, member->path);

    if (member->move != MOVE_PINNED || !device || device->role != ROLE_KERNEL)
        return;
    transaction->overtaken = true;
    transaction_fail(transaction, OUTCOME_SWITCH_FAILED, "The driver %s took device %s before it was pinned.",
                     device->driver, device->name);
}

/* A device that had no group got one when its driver probed it. Until then the record on disk has none: it is
 * found by its path after a restart, as all are. */
static void find_new_groups(struct transaction *transaction) {
    struct detachment *detachment = transaction->detachment;

    for (size_t i = 0; i < detachment->n_members; i++) {
        struct detachment_member *member = &detachment->members[i];
        struct device *device = NULL;
        if (member->group != DETACHMENT_NO_GROUP || detachment->guard)
            continue;
        (void)manager_refresh_device(transaction->manager, member->path, &device);
        if (device && device->group) {
            member->group = device->group->id;
            device->group->switching += transaction->marked;
            transaction->formed = true;
        } else {
            transaction_fail(transaction, OUTCOME_SWITCH_FAILED,
                             "Device %s is on %s, and no IOMMU group formed: it is behind no IOMMU, or its "
                             "stream is another device's.",
                             path_basename(member->path), member->target);
        }
    }
}

/* The kernel may have more to say than that each link is right: a device that joined meanwhile. */
static void check_groups(struct transaction *transaction) {
    struct manager *manager = transaction->manager;
    const struct detachment *detachment = transaction->detachment;

    find_new_groups(transaction);
    for (size_t i = 0; i < detachment->n_members; i++) {
        uint32_t id = detachment->members[i].group;
        if (id != DETACHMENT_NO_GROUP && !detachment_begins_group(detachment, i))
            continue;
        (void)manager_refresh_group(manager, id);
        if (detachment->guard) {
            check_pin(transaction, &detachment->members[i]);
            continue;
        }
        const struct group *group = model_group(&manager->model, id);
        if (id == DETACHMENT_NO_GROUP)
            continue;
        if (!group)
            transaction_fail(transaction, OUTCOME_SWITCH_FAILED,
                             "Group %u went away while its drivers were switched.", id);
        else if (group_has_role(group, ROLE_KERNEL) && !transaction->formed)
            transaction_fail(transaction, OUTCOME_SWITCH_FAILED,
                             "Group %u has a device on a kernel driver still: one joined it, or was "
                             "bound, while drivers were switched.",
                             id);
    }
    manager_settle(manager);
}

static void tell(struct manager *manager, uint64_t id, enum outcome outcome, const char *text) {
    if (manager->listener)
        manager->listener->switched(id, outcome, text, manager->listener_data);
}

/* "Group 7", "Groups 7, 8"; "Device 700a0000.dma" where none has formed. */
static char *describe_groups(const struct detachment *detachment) {
    size_t n = 0;
    _cleanup_(freep) uint32_t *groups = detachment_list_groups(detachment, &n);
    char *text = n == 0 && detachment->n_members
                     ? string_format("Device %s", path_basename(detachment->members[0].path))
                     : string_format("Group%s", n == 1 ? "" : "s");

    for (size_t i = 0; text && i < n; i++) {
        char *longer = string_format("%s%s %u", text, i ? "," : "", groups[i]);
        free(text);
        text = longer;
    }
    return text;
}

static void refresh_groups(struct transaction *transaction) {
    const struct detachment *detachment = transaction->detachment;
    struct device *device;

    for (size_t i = 0; i < detachment->n_members; i++)
        if (detachment->members[i].group == DETACHMENT_NO_GROUP)
            (void)manager_refresh_device(transaction->manager, detachment->members[i].path, &device);
        else if (detachment_begins_group(detachment, i))
            (void)manager_refresh_group(transaction->manager, detachment->members[i].group);
    manager_settle(transaction->manager);
}

/* What joined a group while its drivers were switched was left alone until now. */
static void guard_groups(struct manager *manager, const uint32_t *groups, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct group *group = model_group(&manager->model, groups[i]);
        for (struct device *member = group ? group->members : NULL; member;
             member = member->next_member)
            manager_guard(manager, member);
        if (group)
            manager_guard_peers(manager, group);
        if (group && !group->lease)
            manager_end_guard(manager, group);
    }
}

/* A pin is no change of ownership: what joined a group is on record as a conflict. */
static void record_end(struct manager *manager, const struct detachment *detachment,
                       enum audit_kind kind, const char *reason, const char *text) {
    if (detachment->guard && kind != AUDIT_SWITCH_FAILED)
        log_message(LOG_NOTICE, "%s", text);
    else
        manager_record_switch(manager, kind, detachment, reason, text);
}

static char *describe_detach(const struct detachment *detachment, const char *groups) {
    if (detachment->guard)
        return string_format("Device %s joined a group that userspace has, or shares a stream with it "
                             "(%s), and is pinned: no driver takes it.",
                             path_basename(detachment->members[0].path), groups);
    return string_format("%s went from host drivers to userspace, for uid %u%s%s.", groups,
                         detachment->uid, *detachment->rule ? " by rule " : "", detachment->rule);
}

static void end_detached(struct transaction *transaction) {
    struct manager *manager = transaction->manager;
    struct detachment *detachment = transaction->detachment;
    _cleanup_(freep) char *groups = describe_groups(detachment);
    _cleanup_(freep) char *text = describe_detach(detachment, groups ?: "Groups");
    uint64_t id = transaction->id;
    size_t n = 0;
    _cleanup_(freep) uint32_t *numbers = detachment_list_groups(detachment, &n);

    record_end(manager, detachment, AUDIT_DETACHED, NULL, text ?: "Detached.");
    transaction_free(transaction);
    manager_hold_groups(manager, detachment, detachment->pending);
    if (manager_tidy_detachment(manager, detachment) && !detachment->pending)
        manager_split_detachment(manager, detachment);
    manager_link_detachments(manager);
    guard_groups(manager, numbers, n);
    tell(manager, id, OUTCOME_OK, "");
}

static void forget_returned(struct transaction *transaction) {
    struct detachment *detachment = transaction->detachment;

    for (size_t i = 0; i < transaction->n_runs; i++) {
        const struct member_run *run = &transaction->runs[i];
        struct detachment_member *member = detachment_find(detachment, run->path);
        if (run->state == RUN_BACK && member)
            detachment_remove(detachment, (size_t)(member - detachment->members));
    }
}

/* What could not be taken back stays on record, so that it can be tried again. */
static char *describe_return(const struct transaction *transaction, const char *groups,
                             bool complete) {
    const char *failure = transaction->failure;

    if (transaction->detachment->guard && !failure)
        return string_format("Device %s is not pinned any more.",
                             path_basename(transaction->detachment->members[0].path));
    if (transaction->way == WAY_BACK_PROBED && !failure)
        return string_format("%s went back to host drivers.", groups);
    if (transaction->way == WAY_BACK_PROBED)
        return string_format("%s The rest of %s went back.", failure, groups);
    return string_format("%s %s", failure ?: "A switch was undone.",
                         complete ? "Everything was put back."
                                  : "Not everything could be put back; see the journal.");
}

/* What had no group may be beside one that somebody else has by now. */
static char **list_groupless(const struct detachment *detachment) {
    char **paths = NULL;

    for (size_t i = 0; i < detachment->n_members; i++)
        if (detachment->members[i].group == DETACHMENT_NO_GROUP)
            (void)strings_append(&paths, detachment->members[i].path);
    return paths;
}

static void guard_returned(struct manager *manager, char **paths) {
    for (; paths && *paths; paths++) {
        struct device *device = model_device(&manager->model, *paths);
        if (device)
            manager_guard(manager, device);
    }
}

static bool is_after_crash(const struct transaction *transaction) {
    return transaction->n_runs && transaction->runs[0].after_crash;
}

static void end_returned(struct transaction *transaction) {
    struct manager *manager = transaction->manager;
    struct detachment *detachment = transaction->detachment;
    bool again = detachment->guard && is_after_crash(transaction); /* it is pinned anew */
    bool good = transaction->overtaken || again ||
                (transaction->way == WAY_BACK_PROBED && !transaction->failure);
    enum outcome outcome = good ? OUTCOME_OK : transaction->outcome ?: OUTCOME_SWITCH_FAILED;
    _cleanup_(freep) char *groups = describe_groups(detachment);
    uint64_t id = transaction->id;
    size_t n = 0;
    _cleanup_(freep) uint32_t *numbers = detachment_list_groups(detachment, &n);
    _cleanup_(strings_freep) char **paths = list_groupless(detachment);

    refresh_groups(transaction);
    if (detachment->guard && transaction->failure && !good)
        manager_note_guard_failed(manager, detachment);
    bool complete = true;
    for (size_t i = 0; i < transaction->n_runs; i++)
        complete = complete && transaction->runs[i].state == RUN_BACK;
    _cleanup_(freep) char *text = describe_return(transaction, groups ?: "Groups", complete);
    record_end(manager, detachment, good ? AUDIT_REATTACHED : AUDIT_SWITCH_FAILED,
               outcome == OUTCOME_NOT_VIABLE ? reason_to_string(REASON_NOT_RESET) : NULL,
               text ?: "Switched.");
    mark_groups(transaction, false);
    forget_returned(transaction);
    detachment->state = DETACHMENT_DETACHED;
    detachment->pending = false;
    mark_groups(transaction, true); /* of those that are left: freeing takes them back */
    transaction_free(transaction);
    if (manager_tidy_detachment(manager, detachment))
        save_or_complain(manager, detachment);
    manager_link_detachments(manager);
    guard_groups(manager, numbers, n);
    guard_returned(manager, paths);
    tell(manager, id, outcome, text ?: "");
}

static void end_away(struct transaction *transaction) {
    check_groups(transaction);
    if (!transaction->returns) {
        transaction->detachment->state = DETACHMENT_DETACHED;
        int r = manager_save_detachment(transaction->manager, transaction->detachment);
        if (r < 0)
            transaction_fail(transaction, OUTCOME_SWITCH_FAILED,
                             "The record of the switch can not be written: %s.", strerror(-r));
    }
    if (transaction->returns)
        transaction_go_on(transaction);
    else
        end_detached(transaction);
}

/* ---- its course */

static bool wants_start(const struct transaction *transaction, const struct member_run *run) {
    if (run->worker)
        return false;
    if (transaction->returns)
        return run->state == RUN_WAITS || run->state == RUN_AWAY || run->state == RUN_FAILED;
    return run->state == RUN_WAITS;
}

static bool is_settled(const struct transaction *transaction, const struct member_run *run) {
    if (run->worker)
        return false;
    return transaction->returns ? run->state == RUN_BACK || run->state == RUN_LEFT
                                : run->state == RUN_AWAY;
}

static size_t count_workers(const struct transaction *transaction) {
    size_t n = 0;

    for (size_t i = 0; i < transaction->n_runs; i++)
        n += transaction->runs[i].worker != NULL;
    return n;
}

/* A member that has not left has nothing to be taken back. */
static void start_run(struct transaction *transaction, struct member_run *run) {
    bool untouched = run->state == RUN_WAITS && transaction->way == WAY_BACK_EXACT &&
                     transaction->detachment->state == DETACHMENT_UNDOING && !run->recovered;

    const struct detachment_member *member = detachment_find(transaction->detachment, run->path);

    if (transaction->returns && (untouched || !member || member->gone)) {
        run->state = RUN_BACK;
        return;
    }
    int r = member_start(run, transaction->returns);
    if (r >= 0)
        return;
    run->state = transaction->returns ? RUN_LEFT : RUN_FAILED;
    transaction_fail(transaction, OUTCOME_SWITCH_FAILED,
                     "No process can be started for device %s: %s.", path_basename(run->path),
                     strerror(-r));
}

void transaction_go_on(struct transaction *transaction) {
    bool settled = true, returned = transaction->returns;

    if (transaction->loading)
        return;
    for (size_t i = 0; i < transaction->n_runs; i++)
        if (count_workers(transaction) < WORKERS_MAX &&
            wants_start(transaction, &transaction->runs[i]))
            start_run(transaction, &transaction->runs[i]);
    if (returned != transaction->returns) {
        transaction_go_on(transaction);
        return;
    }
    for (size_t i = 0; i < transaction->n_runs; i++)
        settled = settled && is_settled(transaction, &transaction->runs[i]);
    if (!settled)
        return;
    if (transaction->returns)
        end_returned(transaction);
    else
        end_away(transaction);
}
