/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name of a node proves nothing: anyone with the right to write to /dev can put something else
 * there, and a node may be left over from a group that had the number before. So a node is opened
 * with O_PATH, which opens no device, compared with the number in sysfs, and from then on only used
 * through that fd. */
#include "kernel/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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

/* ---- names */

/* Names come from sysfs: one that is too long leads nowhere, and not to what a part of it names. */
_printf_(3, 4) static void name_format(char *ret, size_t size, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(ret, size, format, arguments) >= (int)size)
        ret[0] = 0;
    va_end(arguments);
}

struct node_name node_of_group(uint32_t id) {
    struct node_name name;

    name_format(name.path, sizeof(name.path), "%s/%u", nodes_folder, id);
    snprintf(name.number, sizeof(name.number), "class/vfio/%u/dev", id);
    return name;
}

struct node_name node_of_cdev(const char *device_path, const char *vfio_device) {
    struct node_name name;

    name_format(name.path, sizeof(name.path), "%s/devices/%s", nodes_folder, vfio_device);
    name_format(name.number, sizeof(name.number), "%s/vfio-dev/%s/dev", device_path, vfio_device);
    if (!*name.number)
        *name.path = 0;
    return name;
}

struct node_name node_of_iommu(void) {
    struct node_name name = {.number = "class/misc/iommu/dev"};
    const char *slash = strrchr(nodes_folder, '/');

    name_format(name.path, sizeof(name.path), "%.*s/iommu", (int)(slash - nodes_folder), nodes_folder);
    return name;
}

struct node_name node_of_container(void) {
    struct node_name name = {.number = "class/misc/vfio/dev"};

    name_format(name.path, sizeof(name.path), "%s/vfio", nodes_folder);
    return name;
}

/* ---- access */

/* The node as an O_PATH fd. -ENOENT: nothing has its name. -ENODEV: something else has. */
static int take_node(int sysfs, const struct node_name *name, struct stat *ret_status) {
    unsigned number_major, number_minor;
    _cleanup_(fd_closep) int node = open(name->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (node < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    int r = sysfs_read_number(sysfs, name->number, &number_major, &number_minor);
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

int node_read(int sysfs, const struct node_name *name, struct node_facts *ret) {
    struct stat status;
    _cleanup_(fd_closep) int node = take_node(sysfs, name, &status);

    if (node == -ENOENT || node == -ENODEV) {
        *ret = (struct node_facts){.mismatched = node == -ENODEV};
        return 0;
    }
    return node < 0 ? node : read_facts(node, &status, ret);
}

bool node_settled(int sysfs, const struct node_name *name) {
    char path[PATH_MAX];
    unsigned number_major, number_minor;

    snprintf(path, sizeof(path), "%s/control", udev_folder);
    if (access(path, F_OK) < 0)
        return true;
    if (sysfs_read_number(sysfs, name->number, &number_major, &number_minor) < 0)
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

int node_grant(int sysfs, const struct node_name *name, uid_t uid) {
    struct stat status;
    _cleanup_(fd_closep) int node = take_node(sysfs, name, &status);

    if (node < 0)
        return node == -ENOENT ? -ENODEV : node;
    int r = uid ? node_acl_grant(node, status.st_uid, uid) : node_acl_clear(node, status.st_uid);
    return r < 0 ? r : verify(node, uid);
}

/* A name that is left over, of something that has no node any more, opens nothing. */
static bool node_is_gone(int sysfs, const struct node_name *name, int error) {
    unsigned number_major, number_minor;

    return error == -ENOENT ||
           (error == -ENODEV && sysfs_read_number(sysfs, name->number, &number_major,
                                                  &number_minor) == -ENOENT);
}

int node_withdraw(int sysfs, const struct node_name *name) {
    struct stat status;
    _cleanup_(fd_closep) int node = take_node(sysfs, name, &status);

    if (node < 0)
        return node_is_gone(sysfs, name, node) ? 0 : node;
    int r = node_acl_clear(node, status.st_uid);
    return r < 0 ? r : verify(node, 0);
}

static int verify_share(int node, uid_t uid, bool wanted) {
    struct node_facts facts;
    struct stat status;

    if (fstat(node, &status) < 0)
        return -errno;
    int r = read_facts(node, &status, &facts);
    if (r < 0)
        return r;
    return facts.too_many_entries || node_open_to(&facts, uid) == wanted ? 0 : -EIO;
}

int node_share(int sysfs, const struct node_name *name, uid_t uid) {
    struct stat status;
    _cleanup_(fd_closep) int node = take_node(sysfs, name, &status);

    if (node < 0)
        return node == -ENOENT ? -ENODEV : node;
    if (uid == 0)
        return 0;
    int r = node_acl_add(node, uid);
    return r < 0 ? r : verify_share(node, uid, true);
}

int node_unshare(int sysfs, const struct node_name *name, uid_t uid) {
    struct stat status;
    _cleanup_(fd_closep) int node = take_node(sysfs, name, &status);

    if (node < 0)
        return node_is_gone(sysfs, name, node) ? 0 : node;
    if (uid == 0)
        return 0;
    int r = node_acl_remove(node, uid);
    return r < 0 || status.st_uid == uid ? r : verify_share(node, uid, false);
}

/* ---- opening */

int node_device(int sysfs, const struct node_name *name, dev_t *ret) {
    struct stat status;
    _cleanup_(fd_closep) int node = take_node(sysfs, name, &status);

    if (node < 0)
        return node;
    *ret = status.st_rdev;
    return 0;
}

int node_open(int sysfs, const struct node_name *name) {
    char path[32];
    struct stat status;
    _cleanup_(fd_closep) int node = take_node(sysfs, name, &status);

    if (node < 0)
        return node;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
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

int node_ask_kernel(int sysfs, uint32_t id, int *ret_fd) {
    struct vfio_group_status group_status = {.argsz = sizeof(group_status)};
    struct node_name name = node_of_group(id);
    _cleanup_(fd_closep) int group = node_open(sysfs, &name);

    if (group < 0)
        return open_outcome(-group);
    if (ioctl(group, VFIO_GROUP_GET_STATUS, &group_status) < 0)
        return open_outcome(errno);
    if (!(group_status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return NODE_NOT_VIABLE;
    if (ret_fd)
        *ret_fd = TAKE_FD(group);
    return NODE_VIABLE;
}

int node_attach(int group, int container) {
    return ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0 ? -errno : 0;
}
