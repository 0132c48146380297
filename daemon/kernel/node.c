/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name of a node proves nothing: anyone with the right to write to /dev can put something else
 * there, and a node may be left over from a group that had the number before. So a node is opened
 * with O_PATH, which opens no device, compared with the number in sysfs, and from then on only used
 * through that fd. */
#include "kernel/node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel/node-acl.h"
#include "kernel/sysfs.h"
#include "util/fd.h"

static const char *nodes_folder = "/dev/vfio";
static const char *udev_folder = "/run/udev";

void node_use_folders(const char *nodes, const char *udev) {
    nodes_folder = nodes;
    udev_folder = udev;
}

const char *node_folder(void) {
    return nodes_folder;
}

/* The group's node as an O_PATH fd. -ENOENT: nothing has its name. -ENODEV: something else has. */
static int node_open(int sysfs, uint32_t id, struct stat *ret_status) {
    char path[PATH_MAX];
    unsigned number_major, number_minor;

    snprintf(path, sizeof(path), "%s/%u", nodes_folder, id);
    _cleanup_(fd_closep) int node = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (node < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    int r = sysfs_read_node_number(sysfs, id, &number_major, &number_minor);
    if (r < 0)
        return r == -ENOENT ? -ENODEV : r;
    if (fstat(node, ret_status) < 0)
        return -errno;
    if (!S_ISCHR(ret_status->st_mode) ||
        ret_status->st_rdev != makedev(number_major, number_minor))
        return -ENODEV;
    return TAKE_FD(node);
}

static int read_facts(int node, const struct stat *status, struct node_facts *ret) {
    struct node_facts facts = {.present = true, .owner = status->st_uid};
    int r = node_acl_read(node, status->st_mode, &facts);

    if (r >= 0)
        *ret = facts;
    return r;
}

int node_read(int sysfs, uint32_t id, struct node_facts *ret) {
    struct stat status;
    _cleanup_(fd_closep) int node = node_open(sysfs, id, &status);

    if (node == -ENOENT || node == -ENODEV) {
        *ret = (struct node_facts){.mismatched = node == -ENODEV};
        return 0;
    }
    return node < 0 ? node : read_facts(node, &status, ret);
}

bool node_settled(int sysfs, uint32_t id) {
    char path[PATH_MAX];
    unsigned number_major, number_minor;

    snprintf(path, sizeof(path), "%s/control", udev_folder);
    if (access(path, F_OK) < 0)
        return true;
    if (sysfs_read_node_number(sysfs, id, &number_major, &number_minor) < 0)
        return false;
    snprintf(path, sizeof(path), "%s/data/c%u:%u", udev_folder, number_major, number_minor);
    return access(path, F_OK) == 0;
}

/* What was written is what holds: uid (or with 0 nobody but root) has access, and nobody else. */
static int verify(int node, uid_t uid) {
    struct node_facts facts;
    struct stat status;
    bool held = uid == 0;

    if (fstat(node, &status) < 0)
        return -errno;
    int r = read_facts(node, &status, &facts);
    if (r < 0)
        return r;
    if (facts.group_access || facts.other_access || facts.too_many_entries)
        return -EIO;
    for (size_t i = 0; i < facts.n_entries; i++) {
        if (!facts.entries[i].access)
            continue;
        if (facts.entries[i].is_group || facts.entries[i].id != uid)
            return -EIO;
        held = facts.entries[i].full;
    }
    return held ? 0 : -EIO;
}

int node_grant(int sysfs, uint32_t id, uid_t uid) {
    struct stat status;
    _cleanup_(fd_closep) int node = node_open(sysfs, id, &status);

    if (node < 0)
        return node == -ENOENT ? -ENODEV : node;
    int r = uid ? node_acl_grant(node, status.st_uid, uid) : node_acl_clear(node, status.st_uid);
    return r < 0 ? r : verify(node, uid);
}

int node_withdraw(int sysfs, uint32_t id) {
    struct stat status;
    _cleanup_(fd_closep) int node = node_open(sysfs, id, &status);
    unsigned number_major, number_minor;

    if (node == -ENOENT)
        return 0;
    /* A name that is left over from a group that has no node any more opens nothing. */
    if (node == -ENODEV &&
        sysfs_read_node_number(sysfs, id, &number_major, &number_minor) == -ENOENT)
        return 0;
    if (node < 0)
        return node;
    int r = node_acl_clear(node, status.st_uid);
    return r < 0 ? r : verify(node, 0);
}

static int open_outcome(int error) {
    switch (error) {
    case EBUSY:
        return NODE_OPEN;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return NODE_ABSENT;
    default:
        return -error;
    }
}

int node_ask_kernel(int sysfs, uint32_t id) {
    struct vfio_group_status group_status = {.argsz = sizeof(group_status)};
    char path[32];
    struct stat status;
    _cleanup_(fd_closep) int node = node_open(sysfs, id, &status);

    if (node < 0)
        return open_outcome(-node);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
    _cleanup_(fd_closep) int group = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (group < 0)
        return open_outcome(errno);
    if (ioctl(group, VFIO_GROUP_GET_STATUS, &group_status) < 0)
        return open_outcome(errno);
    return group_status.flags & VFIO_GROUP_FLAGS_VIABLE ? NODE_VIABLE : NODE_NOT_VIABLE;
}
