/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nodes of a lease: entries in their ACLs (mode path), or opened (mode fd). */
#include "manager.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "util/fd.h"
#include "util/string.h"

/* ---- which nodes */

/* A device that moved to another group is that group's, whose lease may be another one; and a group
 * that was lost does not come back with its number. */
struct device *manager_next_device(const struct manager *manager, const struct lease *lease,
                                   const struct lease_group *group, char ***at) {
    while (!group->lost && *at && **at) {
        struct device *device = model_device(&manager->model, *(*at)++);
        const struct group *now = device ? device->group : NULL;
        if (now && now->id == group->id && (!now->lease || now->lease == lease))
            return device;
    }
    return NULL;
}

typedef int node_action(struct manager *manager, const struct node_name *node, uid_t uid);

/* For each cdev of the group as it is now; a device that came anew has a new one. All are tried; the
 * first error is returned. */
static int for_each_cdev(struct manager *manager, const struct lease *lease,
                         const struct lease_group *group, node_action *action) {
    char **at = group->devices;
    const struct device *device;
    int result = 0;

    while ((device = manager_next_device(manager, lease, group, &at))) {
        if (!device->vfio_device || !device->cdev)
            continue;
        struct node_name node = node_of_cdev(device->path, device->vfio_device);
        int r = action(manager, &node, lease_node_user(lease));
        if (r < 0 && result >= 0)
            result = r;
    }
    return result;
}

static int for_each_node(struct manager *manager, const struct lease *lease,
                         const struct lease_group *group, node_action *action) {
    if (lease->interface == LEASE_INTERFACE_CDEV)
        return for_each_cdev(manager, lease, group, action);
    struct node_name node = node_of_group(group->id);
    return action(manager, &node, lease_node_user(lease));
}

static int grant_node(struct manager *manager, const struct node_name *node, uid_t uid) {
    return node_grant(manager->sysfs, node, uid);
}

static int withdraw_node(struct manager *manager, const struct node_name *node, uid_t uid) {
    return node_withdraw(manager->sysfs, node);
}

/* ---- mode path */

static bool uses_iommu_node(const struct lease *lease) {
    return lease->interface == LEASE_INTERFACE_CDEV && lease->mode == POLICY_MODE_PATH;
}

/* /dev/iommu is shared: its entry is taken away with the user's last such lease. */
static bool user_needs_iommu_node(const struct manager *manager, uid_t user) {
    for (const struct lease *lease = manager->leases.leases; lease; lease = lease->by_id.next)
        if (lease->state == LEASE_ACTIVE && uses_iommu_node(lease) && lease->holder == user)
            return true;
    return false;
}

int manager_give_iommu_node(struct manager *manager, const struct lease *lease) {
    struct node_name node = node_of_iommu();

    return uses_iommu_node(lease) ? node_share(manager->sysfs, &node, lease->holder) : 0;
}

int manager_withdraw_iommu_node(struct manager *manager, uid_t user) {
    struct node_name node = node_of_iommu();

    return user_needs_iommu_node(manager, user) ? 0
                                                : node_unshare(manager->sysfs, &node, user);
}

bool manager_iommu_node_is_in_order(struct manager *manager, const struct lease *lease) {
    struct node_name node = node_of_iommu();
    struct node_facts facts;

    if (lease->state != LEASE_ACTIVE || !uses_iommu_node(lease) ||
        node_read(manager->sysfs, &node, &facts) < 0)
        return true;
    return !facts.present || node_open_to(&facts, lease->holder);
}

/* Once: what somebody else gives the user later is not the lease's. */
static bool withdraw_iommu_node(struct manager *manager, struct lease *lease) {
    if (!uses_iommu_node(lease) || lease->iommu_withdrawn)
        return true;
    int r = manager_withdraw_iommu_node(manager, lease->holder);
    if (r < 0)
        log_message(LOG_ERR, "Access of uid %u to /dev/iommu could not be taken back, trying again: "
                             "%s.",
                    lease->holder, strerror(-r));
    lease->iommu_withdrawn = r >= 0;
    return r >= 0;
}

int manager_give_access(struct manager *manager, const struct lease *lease) {
    if (lease->mode == POLICY_MODE_FD)
        return 0;
    for (size_t i = 0; i < lease->n_groups; i++) {
        int r = for_each_node(manager, lease, &lease->groups[i], grant_node);
        if (r < 0)
            return r;
    }
    return manager_give_iommu_node(manager, lease);
}

int manager_restore_access(struct manager *manager, const struct lease *lease, uint32_t group) {
    for (size_t i = 0; i < lease->n_groups; i++)
        if (lease->groups[i].id == group && !lease->groups[i].lost) {
            int r = for_each_node(manager, lease, &lease->groups[i], grant_node);
            return r;
        }
    return -ENOENT;
}

static bool withdraw_group(struct manager *manager, const struct lease *lease,
                           struct lease_group *group) {
    if (group->lost || group->withdrawn)
        return true;
    int r = for_each_node(manager, lease, group, withdraw_node);
    group->withdrawn = r >= 0;
    if (r < 0 && !group->complained) {
        group->complained = true;
        log_message(LOG_ERR, "Access to group %u could not be taken back, trying again: %s.",
                    group->id, strerror(-r));
    }
    return group->withdrawn;
}

bool manager_withdraw_access(struct manager *manager, struct lease *lease) {
    bool withdrawn = true;

    for (size_t i = 0; i < lease->n_groups; i++)
        withdrawn = withdraw_group(manager, lease, &lease->groups[i]) && withdrawn;
    return withdraw_iommu_node(manager, lease) && withdrawn;
}

static bool node_is_in_order(const struct node_facts *node, uid_t user) {
    return !node->present || (node_open_to(node, user) && !node_open_to_others(node, user));
}

bool manager_access_is_in_order(const struct group *group) {
    uid_t user = lease_node_user(group->lease);

    if (group->lease->interface == LEASE_INTERFACE_GROUP)
        return node_is_in_order(&group->node, user);
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->cdev && !node_is_in_order(member->cdev, user))
            return false;
    return true;
}

/* ---- mode fd */

void lease_fds_done(struct lease_fds *fds) {
    for (size_t i = 0; i < fds->n; i++) {
        free(fds->list[i].key);
        fd_close(fds->list[i].fd);
    }
    fds->n = 0;
}

/* Takes fd over, also on failure. */
int lease_fds_add(struct lease_fds *fds, int fd, const char *format, ...) {
    char *key = NULL;
    va_list arguments;

    va_start(arguments, format);
    int r = vasprintf(&key, format, arguments) < 0 ? -ENOMEM : 0;
    va_end(arguments);
    if (r >= 0 && fds->n == LEASE_FDS_MAX) {
        free(key);
        r = -E2BIG;
    }
    if (r < 0) {
        fd_close(fd);
        return r;
    }
    fds->list[fds->n++] = (struct lease_fd){.key = key, .fd = fd};
    return 0;
}

/* What is being opened, for the sentence if it fails. */
static const char *note_node(const struct node_name *node) {
    static char path[sizeof(node->path)];

    snprintf(path, sizeof(path), "%s", node->path);
    return path;
}

static int open_group(const struct lease_group *group, struct manager *manager,
                      struct lease_fds *fds) {
    int fd = -1, status = node_ask_kernel(manager->sysfs, group->id, &fd);

    switch (status) {
    case NODE_VIABLE:
        return lease_fds_add(fds, fd, "group:%u", group->id);
    case NODE_NOT_VIABLE:
        return -EPERM;
    case NODE_OPEN:
        return -EBUSY;
    case NODE_ABSENT:
        return -ENODEV;
    default:
        return status;
    }
}

/* The container first, so that it is the last to be closed if a group does not attach. */
static int open_container(struct manager *manager, struct lease_fds *fds) {
    struct node_name node = node_of_container();
    int fd = node_open(manager->sysfs, &node);

    return fd < 0 ? fd : lease_fds_add(fds, fd, "container");
}

static int open_groups(struct manager *manager, const struct lease *lease, bool container,
                       struct lease_fds *fds, const char **ret_node) {
    struct node_name node = node_of_container();
    int r = container ? open_container(manager, fds) : 0;

    *ret_node = note_node(&node);
    int container_fd = container && r >= 0 ? fds->list[fds->n - 1].fd : -1;
    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++) {
        node = node_of_group(lease->groups[i].id);
        *ret_node = note_node(&node);
        r = open_group(&lease->groups[i], manager, fds);
        if (r >= 0 && container)
            r = node_attach(fds->list[fds->n - 1].fd, container_fd);
    }
    return r;
}

static int open_cdevs_of(struct manager *manager, const struct lease *lease,
                         const struct lease_group *group, struct lease_fds *fds,
                         const char **ret_node) {
    char **at = group->devices;
    const struct device *device;
    int r = 0;

    while (r >= 0 && (device = manager_next_device(manager, lease, group, &at))) {
        if (!device->vfio_device || !device->cdev)
            continue;
        struct node_name node = node_of_cdev(device->path, device->vfio_device);
        *ret_node = note_node(&node);
        r = node_open(manager->sysfs, &node);
        if (r >= 0)
            r = lease_fds_add(fds, r, "device:%s", device->name);
    }
    return r;
}

static int open_cdevs(struct manager *manager, const struct lease *lease, struct lease_fds *fds,
                      const char **ret_node) {
    struct node_name node = node_of_iommu();
    int r = node_open(manager->sysfs, &node);

    *ret_node = note_node(&node);
    if (r >= 0)
        r = lease_fds_add(fds, r, "iommufd");
    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++)
        r = open_cdevs_of(manager, lease, &lease->groups[i], fds, ret_node);
    return r;
}

int manager_open_lease(struct manager *manager, const struct lease *lease, bool container,
                       struct lease_fds *fds, const char **ret_node) {
    return lease->interface == LEASE_INTERFACE_CDEV
               ? open_cdevs(manager, lease, fds, ret_node)
               : open_groups(manager, lease, container, fds, ret_node);
}

static size_t count_cdevs(const struct group *group) {
    size_t n = 0;

    for (const struct device *member = group->members; member; member = member->next_member)
        n += member->cdev != NULL;
    return n;
}

size_t manager_count_fds(const struct verdict_request *request, bool container) {
    size_t n = request->lifetime == POLICY_LIFETIME_FD;

    if (request->mode != POLICY_MODE_FD)
        return n;
    if (verdict_interface(request) == LEASE_INTERFACE_GROUP)
        return n + request->n_groups + container;
    for (size_t i = 0; i < request->n_groups; i++)
        n += count_cdevs(request->groups[i]);
    return n + 1;
}
