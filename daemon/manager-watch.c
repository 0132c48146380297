/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What follows from changes in the model, for groups that somebody owns: ends, conflicts, repairs.
 * Runs after each batch of facts and before anybody is judged by them. */
#include "manager.h"

#include <syslog.h>

#include "model/device-streams.h"
#include "util/string.h"

/* Somebody who works against us again and again is reported, not fought without end. */
#define REPAIRS_PER_TICK 8

static void report_conflict(struct manager *manager, struct group *group, const char *device,
                            const char *driver, const char *reason, const char *text) {
    const struct lease *lease = group->lease;
    const char *devices[] = {device, NULL};

    audit_write(manager->audit, &(struct audit_event){
                                    .kind = AUDIT_CONFLICT,
                                    .message = text,
                                    .groups = &group->id,
                                    .n_groups = 1,
                                    .devices = device && *device ? devices : NULL,
                                    .lease = lease ? lease->id : 0,
                                    .uid = lease ? lease->holder : AUDIT_UID_NONE,
                                    .claimant_uid = lease ? lease->claimant : AUDIT_UID_NONE,
                                    .pid = lease ? lease->pid : 0,
                                    .unit = lease ? lease->unit : NULL,
                                    .sender = lease ? lease->sender : NULL,
                                    .rule = lease ? lease->rule : NULL,
                                    .reason = reason,
                                });
    if (manager->listener)
        manager->listener->conflict(group, device ?: "", driver ?: "", text,
                                    manager->listener_data);
}

/* group: the device's own, or one that it shares a stream with. */
static void note_bind_beside(struct manager *manager, struct group *group, struct device *device,
                             const char *driver) {
    if (!group || !group->lease || driver_role(driver, false, false) != ROLE_KERNEL)
        return;
    const char *interned = intern_string(&manager->model.strings, driver);
    if (!interned || device->conflict_driver == interned)
        return;
    device->conflict_driver = interned;
    bool inside = device->group == group;
    _cleanup_(freep) char *text = string_format(
        "Driver %s took device %s %s group %u beside its owner, uid %u (lease %llu); unbind it.", driver,
        device->name, inside ? "of" : "on the same stream as", group->id, group->lease->holder,
        (unsigned long long)group->lease->id);
    enum reason reason = inside ? REASON_KERNEL_DRIVER : sharing_reason(device_sharing(device, group));
    report_conflict(manager, group, device->name, driver, reason_to_string(reason), text ?: "");
}

void manager_note_bind(struct manager *manager, struct device *device, const char *driver) {
    note_bind_beside(manager, device->group, device, driver);
}

/* What shares a stream is as near as a member. */
static void check_outsiders(struct manager *manager, struct group *group) {
    const struct device *member = NULL, *other = NULL;

    while ((other = group_next_outsider(group, &member, other)))
        if (other->role == ROLE_KERNEL)
            note_bind_beside(manager, group, model_device(&manager->model, other->path),
                             other->driver);
}

static struct lease_group *lease_group_of(struct lease *lease, uint32_t id) {
    for (size_t i = 0; i < lease->n_groups; i++)
        if (lease->groups[i].id == id && !lease->groups[i].lost)
            return &lease->groups[i];
    return NULL;
}

static const char *role_reason(enum role role) {
    static const enum reason reasons[] = {
        [ROLE_FREE] = REASON_FREE,
        [ROLE_USER] = REASON_USER_DRIVER,
        [ROLE_PASSIVE] = REASON_PASSIVE,
        [ROLE_KERNEL] = REASON_KERNEL_DRIVER,
    };

    return reason_to_string(reasons[role]);
}

static void check_joined(struct manager *manager, struct group *group, struct device *member) {
    const struct lease_group *granted = lease_group_of(group->lease, group->id);

    if (member->join_reported || (granted && strings_contain(granted->devices, member->path)))
        return;
    member->join_reported = true;
    if (member->role == ROLE_KERNEL)
        member->conflict_driver = member->driver; /* said here, once */
    _cleanup_(freep) char *text = string_format(
        "Device %s joined group %u, which uid %u owns (lease %llu).", member->name, group->id,
        group->lease->holder, (unsigned long long)group->lease->id);
    report_conflict(manager, group, member->name, member->driver, role_reason(member->role),
                    text ?: "");
}

static bool is_member(const struct group *group, const char *path) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (string_equal(member->path, path))
            return true;
    return false;
}

/* What comes back was not granted. */
static void forget_granted(char **path) {
    free(*path);
    for (; *path; path++)
        path[0] = path[1];
}

static void check_left(struct manager *manager, struct group *group) {
    struct lease_group *granted = lease_group_of(group->lease, group->id);

    for (char **path = granted ? granted->devices : NULL; path && *path;) {
        if (is_member(group, *path)) {
            path++;
            continue;
        }
        _cleanup_(freep) char *text = string_format(
            "Device %s left group %u, which uid %u owns (lease %llu).", path_basename(*path),
            group->id, group->lease->holder, (unsigned long long)group->lease->id);
        report_conflict(manager, group, path_basename(*path), NULL, NULL, text ?: "");
        forget_granted(path);
        manager_save_lease(manager, group->lease);
    }
}

static void check_members(struct manager *manager, struct group *group) {
    check_left(manager, group);
    for (struct device *member = group->members; member; member = member->next_member) {
        check_joined(manager, group, member);
        if (member->role == ROLE_KERNEL)
            manager_note_bind(manager, member, member->driver);
    }
    check_outsiders(manager, group);
}

/* Somebody may be at it again before it is read back: their event then finds what is known already,
 * so it is tried again here. */
static bool mend_access(struct manager *manager, struct group *group) {
    while (group->repairs < REPAIRS_PER_TICK) {
        group->repairs++;
        int r = manager_restore_access(manager, group->lease, group->id);
        manager_refresh_node(manager, group);
        if (r >= 0 && manager_access_is_in_order(group))
            return true;
    }
    return false;
}

static void repair_node(struct manager *manager, struct group *group) {
    if (group->repairs >= REPAIRS_PER_TICK)
        return;
    bool mended = mend_access(manager, group);
    bool cdev = group->lease->interface == LEASE_INTERFACE_CDEV;
    _cleanup_(freep) char *text = string_format(
        "The access of uid %u to %s%u was changed by somebody%s.", lease_node_user(group->lease),
        cdev ? "the cdevs of group " : "/dev/vfio/", group->id,
        mended ? "; it was restored" : " and could not be restored");
    report_conflict(manager, group, NULL, NULL, reason_to_string(REASON_NODE_OPEN_TO_OTHERS),
                    text ?: "");
}

static void watch_leased(struct manager *manager, struct group *group) {
    check_members(manager, group);
    if (group->lease->state != LEASE_ACTIVE)
        return;
    if (!group_has_role(group, ROLE_USER))
        manager_end_lease(manager, group->lease, LEASE_END_DEVICE_GONE);
    else if (!manager_access_is_in_order(group))
        repair_node(manager, group);
}

/* Nothing tells of a change of /dev/iommu: it is looked at now and then. */
void manager_check_iommu_node(struct manager *manager) {
    for (struct lease *lease = manager->leases.leases; lease; lease = lease->by_id.next) {
        if (manager_iommu_node_is_in_order(manager, lease))
            continue;
        int r = manager_give_iommu_node(manager, lease);
        struct group *group = model_group(&manager->model, lease->groups[0].id);
        _cleanup_(freep) char *text = string_format(
            "The access of uid %u to /dev/iommu was changed by somebody%s.", lease->holder,
            r >= 0 ? "; it was restored" : " and could not be restored");
        if (group && group->lease == lease)
            report_conflict(manager, group, NULL, NULL,
                            reason_to_string(REASON_NODE_OPEN_TO_OTHERS), text ?: "");
    }
}

/* The group is gone, and with it the part of the lease that it was. */
static void watch_removed(struct manager *manager, struct group *group) {
    struct lease *lease = group->lease;

    if (!lease)
        return;
    group->lease = NULL;
    for (size_t i = 0; i < lease->n_groups; i++)
        if (lease->groups[i].id == group->id)
            lease->groups[i].lost = true;
    if (lease->state == LEASE_ACTIVE) {
        manager_end_lease(manager, lease, LEASE_END_DEVICE_GONE);
        return;
    }
    manager_save_lease(manager, lease); /* a restart is not to find the group again */
    manager_try_draining(manager);
}

static bool some_device_is_new(const struct model *model) {
    for (const struct device *device = model->dirty_devices; device; device = device->next_dirty)
        if (device->changes & DEVICE_ADDED)
            return true;
    return false;
}

/* Records of what was moved are of devices: they come, go and are moved by others. */
static void settle_detachments(struct manager *manager) {
    if (!manager->detachments)
        return;
    for (struct device *device = manager->model.removed_devices; device; device = device->next_dirty)
        manager_note_removed(manager, device->path);
    if (some_device_is_new(&manager->model))
        manager_link_detachments(manager);
    for (struct device *device = manager->model.dirty_devices; device; device = device->next_dirty)
        manager_check_detached(manager, device);
}

/* A host driver came or went: what it is used for is not known yet. */
static void settle_usage(struct manager *manager) {
    for (struct device *device = manager->model.dirty_devices; device; device = device->next_dirty)
        if (device->role == ROLE_KERNEL && device->changes & (DEVICE_ADDED | DEVICE_DRIVER) &&
            !device->survey) {
            manager_look_at_usage(manager);
            return;
        }
}

/* A group that is new, or has another member, may be one that policy keeps for userspace. */
static void settle_reserve(struct manager *manager) {
    bool any = false;

    for (struct device *device = manager->model.dirty_devices; device; device = device->next_dirty) {
        bool joined = device->changes & (DEVICE_ADDED | DEVICE_GROUP);
        if (device->group && joined)
            device->group->reserve_checked = false;
        /* One that went to VFIO on nobody's record may have been reserved by udev. */
        any = any || (device->group && (joined || (device->role == ROLE_USER && !device->detached)));
    }
    if (any)
        manager_reserve(manager);
}

static void settle_guard(struct manager *manager) {
    for (struct device *device = manager->model.dirty_devices; device; device = device->next_dirty)
        if (device->changes & (DEVICE_ADDED | DEVICE_GROUP | DEVICE_DRIVER))
            manager_guard(manager, device);
}

void manager_settle(struct manager *manager) {
    if (model_find_sets(&manager->model) < 0)
        log_message(LOG_ERR, "Which devices share a stream can not be found out: no memory.");
    settle_detachments(manager);
    for (struct group *group = manager->model.removed_groups; group; group = group->next_dirty)
        watch_removed(manager, group);
    for (struct group *group = manager->model.dirty_groups; group; group = group->next_dirty) {
        if (group->lease)
            watch_leased(manager, group);
        else
            manager_report_foreign(manager, group);
    }
    settle_guard(manager);
    settle_reserve(manager);
    settle_usage(manager);
}
