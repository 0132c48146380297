/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After a restart: leases of this boot are found again by their devices, since group numbers are
 * reused, and come back with their access or end with a record. */
#include "manager.h"

#include <errno.h>
#include <syslog.h>

#include "util/string.h"

/* How many of the lease's devices are in group now. */
static size_t count_members(struct manager *manager, const struct lease_group *granted,
                            const struct group *group) {
    size_t n = 0;

    for (char **path = granted->devices; path && *path; path++) {
        const struct device *device = model_device(&manager->model, *path);
        n += device && device->group == group;
    }
    return n;
}

/* The group that most of them are in, if it is nobody's and has no one else in it: a group that was
 * formed anew was judged by nobody. */
static struct group *find_by_members(struct manager *manager, const struct lease_group *granted) {
    struct group *best = NULL;
    size_t most = 0;

    for (char **path = granted->devices; path && *path; path++) {
        struct device *device = model_device(&manager->model, *path);
        struct group *group = device ? device->group : NULL;
        size_t n = group && !group->lease ? count_members(manager, granted, group) : 0;
        if (n > most && n == group->n_members)
            most = n, best = group;
    }
    return best;
}

/* A group that kept its number and a member is the lease's own, wherever the others went. */
static void place_same(struct manager *manager, struct lease *lease) {
    for (size_t i = 0; i < lease->n_groups; i++) {
        struct group *group = model_group(&manager->model, lease->groups[i].id);
        if (group && !lease->groups[i].lost && !group->lease &&
            count_members(manager, &lease->groups[i], group))
            model_set_lease(&manager->model, group, lease);
    }
}

static void place_moved(struct manager *manager, struct lease *lease, struct lease_group *granted) {
    struct group *group = model_group(&manager->model, granted->id);

    if (granted->lost || (group && group->lease == lease))
        return;
    group = find_by_members(manager, granted);
    granted->lost = !group;
    if (!group)
        return;
    log_message(LOG_NOTICE, "Group %u of lease %llu is group %u now.", granted->id,
                (unsigned long long)lease->id, group->id);
    granted->id = group->id;
    model_set_lease(&manager->model, group, lease);
}

static bool any_lost(const struct lease *lease) {
    for (size_t i = 0; i < lease->n_groups; i++)
        if (lease->groups[i].lost)
            return true;
    return false;
}

static void recover_lease(struct manager *manager, struct lease *lease) {
    enum lease_end end;

    for (size_t i = 0; i < lease->n_groups; i++)
        place_moved(manager, lease, &lease->groups[i]);
    _cleanup_(freep) char *message =
        string_format("Lease %llu of uid %u was found again after a restart (%s).",
                      (unsigned long long)lease->id, lease->holder,
                      lease_state_to_string(lease->state));
    manager_record_lease(manager, AUDIT_RECOVERED, lease, NULL, message);
    if (lease->state != LEASE_ACTIVE) {
        /* The crash may have come between the state and the access. */
        manager_go_on_draining(manager, lease);
    } else if (any_lost(lease)) {
        manager_end_lease(manager, lease, LEASE_END_DEVICE_GONE);
    } else if (manager_keeper_is_lost(manager, lease, &end)) {
        manager_end_lease(manager, lease, end);
    }
}

static void record_orphan(struct manager *manager, const struct group *group,
                          const struct node_facts *node, const struct node_name *name,
                          bool withdrawn) {
    const struct node_entry *entry = &node->entries[0];
    _cleanup_(freep) char *text = string_format(
        "Group %u: a lease whose state was lost ended; its access to %s was %s.", group->id,
        name->path, withdrawn ? "taken back" : "found and could not be taken back");

    audit_write(manager->audit,
                &(struct audit_event){.kind = AUDIT_ENDED,
                                      .message = text,
                                      .groups = &group->id,
                                      .n_groups = 1,
                                      .uid = entry->is_group ? AUDIT_UID_NONE : entry->id,
                                      .claimant_uid = AUDIT_UID_NONE,
                                      .reason = lease_end_to_string(LEASE_END_NOT_RECOVERED)});
}

/* The node has an entry for somebody, and no lease says so. */
static bool withdraw_orphan(struct manager *manager, const struct node_name *name,
                            const struct node_facts *node) {
    int r = node_withdraw(manager->sysfs, name);

    for (unsigned i = 0; i < node->n_entries; i++)
        if (!node->entries[i].is_group)
            (void)manager_withdraw_iommu_node(manager, node->entries[i].id);
    return r >= 0;
}

static void withdraw_orphans_of(struct manager *manager, struct group *group) {
    struct node_name name = node_of_group(group->id);

    if (group->node.present && group->node.n_entries)
        record_orphan(manager, group, &group->node, &name,
                      withdraw_orphan(manager, &name, &group->node));
    for (struct device *member = group->members; member; member = member->next_member) {
        if (!member->cdev || !member->cdev->n_entries)
            continue;
        name = node_of_cdev(member->path, member->vfio_device);
        record_orphan(manager, group, member->cdev, &name,
                      withdraw_orphan(manager, &name, member->cdev));
    }
}

/* Where the state of a lease was lost, its access is left over: a named user on a node that no lease
 * covers. */
static void withdraw_orphans(struct manager *manager) {
    for (struct group *group = manager->model.groups; group; group = group->by_id.next) {
        if (group->lease)
            continue;
        withdraw_orphans_of(manager, group);
        manager_refresh_node(manager, group);
    }
}

/* A device that two leases knew is the newer one's: it had left the older one's group. */
static int compare_newest(const struct lease *a, const struct lease *b) {
    return (a->id < b->id) - (a->id > b->id);
}

void manager_recover(struct manager *manager) {
    struct lease *lease, *next;

    HASH_SRT(by_id, manager->leases.leases, compare_newest);
    /* What is held comes before what was given back. */
    for (lease = manager->leases.leases; lease; lease = lease->by_id.next)
        if (lease->state == LEASE_ACTIVE)
            place_same(manager, lease);
    for (lease = manager->leases.leases; lease; lease = lease->by_id.next)
        if (lease->state != LEASE_ACTIVE)
            place_same(manager, lease);
    manager_recover_detachments(manager);
    manager_adopt_reserved(manager);
    manager_recover_keepers(manager);
    HASH_ITER(by_id, manager->leases.leases, lease, next) {
        recover_lease(manager, lease);
    }
    manager_check_keepers(manager);
    manager_end_overdue(manager);
    if (manager->lost_leases)
        withdraw_orphans(manager);
    /* What is left is held to its terms: a VFIO driver, the holder's access, no one beside it. */
    manager_settle(manager);
    for (struct group *group = manager->model.groups; group; group = group->by_id.next)
        if (!group->lease)
            manager_end_guard(manager, group);
    manager_check_iommu_node(manager);
    manager_return_due(manager);
    manager_arm_deadline(manager);
}
