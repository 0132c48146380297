/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO and IOMMUFD, as measured on 6.1 and 6.12: who may claim what, and with which errno not. */
#include "calls.h"
#include "bind-iommufd.h"
#include "model.h"
#include "remote.h"

#include <errno.h>
#include <string.h>

int calls_open(const struct node *node) {
    struct group *group;

    if (node->kind != NODE_GROUP)
        return 0;
    if (nodes_group_open(node->group))
        return -EBUSY;
    group = group_find(node->group);
    /* A container's claim went with its opener, whoever has not asked since. */
    if (group)
        group->container.set = false;
    return group && group_device_bound(group, NULL) ? -EBUSY : 0;
}

static int group_status(const struct vfio_call *call, struct group *group) {
    struct vfio_group_status status = {sizeof(status), 0};

    if (group_user_claimed(group))
        status.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
    else if (!group->disagrees && !group_has_kernel_driver(group))
        status.flags |= VFIO_GROUP_FLAGS_VIABLE;
    return remote_write(call->pid, call->argument, &status, sizeof(status)) ? 0 : -EFAULT;
}

static int set_container(const struct vfio_call *call, struct group *group) {
    const struct node *node;
    int fd;

    if (!remote_read(call->pid, call->argument, &fd, sizeof(fd)))
        return -EFAULT;
    if (fd < 0)
        return -EINVAL;
    if (!remote_has_fd(call->pid, fd))
        return -EBADF;
    node = nodes_of_fd(call->pid, fd);
    if (!node || node->kind != NODE_CONTAINER)
        return kernel_6_1 ? -EINVAL : -EBADFD;
    if (group_user_claimed(group))
        return -EINVAL;
    if (group->fail_container)
        return -group->fail_container;
    if (group->disagrees || group_has_kernel_driver(group))
        return -EPERM;
    group->container = (struct container_claim){true, node->device, node->inode};
    group->iommu = node->iommu;
    return 0;
}

static bool is_container_of(const struct group *group, const struct node *node) {
    return group->container.set && group->container.device == node->device &&
           group->container.inode == node->inode;
}

static int get_device(const struct vfio_call *call, struct group *group, int *ret_fd) {
    char name[64] = "";
    struct device *device;

    if (!remote_read(call->pid, call->argument, name, sizeof(name) - 1))
        return -EFAULT;
    if (!group_user_claimed(group) || !group->container.set || !group->iommu)
        return -EINVAL;
    device = device_find(name);
    if (!device || device->group != group || device->vfio_id < 0)
        return -ENODEV;
    *ret_fd = nodes_open_device(group->id, name);
    return *ret_fd < 0 ? *ret_fd : 0;
}

static int group_call(const struct vfio_call *call, struct group *group, int *ret_fd) {
    switch (call->command) {
    case VFIO_GROUP_GET_STATUS:
        return group_status(call, group);
    case VFIO_GROUP_SET_CONTAINER:
        return set_container(call, group);
    case VFIO_GROUP_UNSET_CONTAINER:
        if (!group->container.set)
            return -EINVAL;
        if (group_device_open(group))
            return -EBUSY;
        group->container.set = false;
        return 0;
    case VFIO_GROUP_GET_DEVICE_FD:
        return get_device(call, group, ret_fd);
    default:
        return -ENOTTY;
    }
}

/* On 6.12 nothing says that the interrupts of a device without MSIs are isolated. */
static bool has_isolated_interrupts(const struct group *group) {
    struct entry *unsafe = tree_walk("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");

    if (kernel_6_1 || (unsafe && unsafe->text[0] == 'Y'))
        return true;
    for (struct device *d = device_next(NULL); d; d = device_next(d))
        if (d->group == group && d->node >= 0)
            return false;
    return true;
}

static int set_iommu(struct node *node) {
    int count = 0;

    for (struct group *group = NULL; (group = group_next(group));)
        if (is_container_of(group, node) && !has_isolated_interrupts(group))
            return -EPERM;
    for (struct group *group = NULL; (group = group_next(group));)
        if (is_container_of(group, node) && group_user_claimed(group)) {
            group->iommu = true;
            count++;
        }
    node->iommu |= count > 0;
    return count ? 0 : -EINVAL;
}

static int container_call(const struct vfio_call *call, struct node *node) {
    switch (call->command) {
    case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
        return call->argument == VFIO_TYPE1_IOMMU || call->argument == VFIO_TYPE1v2_IOMMU;
    case VFIO_SET_IOMMU:
        return set_iommu(node);
    default:
        return -ENOTTY;
    }
}

/* The claim of a cdev: of the whole group, for this iommufd. */
static int bind_device(const struct vfio_call *call, struct device *device) {
    struct vfio_device_bind_iommufd bind = {0};
    const struct node *iommufd;
    int r;

    if (!remote_read(call->pid, call->argument, &bind, sizeof(bind)))
        return -EFAULT;
    if (bind.argsz < sizeof(bind) || bind.flags || bind.iommufd < 0)
        return -EINVAL;
    if (nodes_group_open(device->group->id))
        return -EBUSY;
    if (nodes_device_bound(device->name))
        return -EINVAL;
    iommufd = nodes_of_fd(call->pid, bind.iommufd);
    if (!iommufd || iommufd->kind != NODE_IOMMUFD)
        return remote_has_fd(call->pid, bind.iommufd) ? -EBADFD : -EBADF;
    if (device->group->claimed || device->group->disagrees ||
        group_has_kernel_driver(device->group) || group_device_bound(device->group, iommufd))
        return -EPERM;
    r = nodes_bind(call->pid, call->fd);
    if (r < 0)
        return r;
    device->iommufd = iommufd->inode;
    bind.out_devid = (unsigned) device->vfio_id + 1;
    return remote_write(call->pid, call->argument, &bind, sizeof(bind)) ? 0 : -EFAULT;
}

static int cdev_call(const struct vfio_call *call, const struct node *node) {
    struct device *device = device_find(node->name);

    if (!device || !device->group || device->vfio_id < 0)
        return -ENODEV;
    return call->command == VFIO_DEVICE_BIND_IOMMUFD ? bind_device(call, device) : -ENOTTY;
}

int calls_answer(struct node *node, const struct vfio_call *call, int *ret_fd) {
    struct group *group;

    *ret_fd = -1;
    if (node->dead)
        return -ENODEV;
    switch (node->kind) {
    case NODE_GROUP:
        group = group_find(node->group);
        return group ? group_call(call, group, ret_fd) : -ENODEV;
    case NODE_CONTAINER:
        return container_call(call, node);
    case NODE_CDEV:
        return cdev_call(call, node);
    default:
        return -ENOTTY;
    }
}
