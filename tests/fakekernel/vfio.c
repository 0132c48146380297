/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"
#include "uevent.h"
#include "nodes.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/*
 * Nodes must open without a VFIO driver in the host's kernel: they are /dev/null under another name,
 * and class/vfio/N/dev agrees.
 */
#define NODE_MAJOR 1
#define NODE_MINOR 3

static char node_folder[PATH_MAX];

void vfio_node_folder(const char *folder) {
    snprintf(node_folder, sizeof(node_folder), "%s", folder);
}

int vfio_node_create(unsigned group, unsigned major, unsigned minor) {
    char path[PATH_MAX + 16];

    if (!*node_folder)
        return 0;
    mkdir(node_folder, 0755);
    snprintf(path, sizeof(path), "%s/%u", node_folder, group);
    unlink(path);
    if (mknod(path, S_IFCHR | 0600, makedev(major, minor)) < 0)
        return -errno;
    chmod(path, 0600);
    nodes_add(path, group);
    return 0;
}

void vfio_node_remove(unsigned group) {
    char path[PATH_MAX + 16];

    if (!*node_folder)
        return;
    snprintf(path, sizeof(path), "%s/%u", node_folder, group);
    unlink(path);
    nodes_forget(group);
}

static void class_event(const char *action, struct entry *entry, const char *subsystem,
                        const char *properties) {
    char *path = entry_path(entry);

    uevent_send(action, path, subsystem, properties);
    free(path);
}

static void group_class(struct group *group, bool add) {
    char name[32], text[128], number[16];
    struct entry *entry;

    snprintf(number, sizeof(number), "%u", group->id);
    snprintf(name, sizeof(name), "devices/virtual/vfio/%u", group->id);
    snprintf(text, sizeof(text), "MAJOR=%d\nMINOR=%d\nDEVNAME=vfio/%u\n", NODE_MAJOR, NODE_MINOR,
             group->id);
    entry = entry_directory(tree_root(), name);
    if (add) {
        entry_file(entry, "uevent", 0644, text);
        snprintf(name, sizeof(name), "%d:%d\n", NODE_MAJOR, NODE_MINOR);
        entry_file(entry, "dev", 0444, name);
        entry_link(entry, "subsystem", entry_directory(tree_root(), "class/vfio"));
        entry_link(entry_directory(tree_root(), "class/vfio"), number, entry);
        vfio_node_create(group->id, NODE_MAJOR, NODE_MINOR);
        class_event("add", entry, "vfio", text);
        return;
    }
    vfio_node_remove(group->id);
    entry_remove_child(entry_directory(tree_root(), "class/vfio"), number);
    class_event("remove", entry, "vfio", text);
    entry_remove(entry);
}

static int free_vfio_id(void) {
    struct entry *class = entry_directory(tree_root(), "class/vfio-dev");
    char name[32];
    int id = 0;

    for (;; id++) {
        snprintf(name, sizeof(name), "vfio%d", id);
        if (!entry_child(class, name))
            return id;
    }
}

static void device_class(struct device *device, bool add) {
    struct entry *class = entry_directory(tree_root(), "class/vfio-dev"), *entry;
    char name[48];

    snprintf(name, sizeof(name), "vfio-dev/vfio%d", device->vfio_id);
    entry = entry_directory(device->directory, name);
    if (add) {
        entry_link(entry, "subsystem", class);
        entry_file(entry, "uevent", 0644, "");
        entry_link(class, name + strlen("vfio-dev/"), entry);
        class_event("add", entry, "vfio-dev", "");
        return;
    }
    entry_remove_child(class, name + strlen("vfio-dev/"));
    class_event("remove", entry, "vfio-dev", "");
    entry_remove_child(device->directory, "vfio-dev");
}

int vfio_attach(struct device *device) {
    if (!device->group)
        return -EINVAL;
    if (device->group->vfio_members++ == 0)
        group_class(device->group, true);
    device->vfio_id = free_vfio_id();
    device_class(device, true);
    return 0;
}

void vfio_detach_device(struct device *device) {
    if (device->vfio_id < 0)
        return;
    device_class(device, false);
    device->vfio_id = -1;
}

void vfio_detach_group(struct device *device) {
    struct group *group = device->group;

    if (!group || group->vfio_members == 0 || --group->vfio_members > 0)
        return;
    group->container = false;
    group_class(group, false);
}

bool group_has_kernel_driver(const struct group *group) {
    struct entry *members = entry_child(group->directory, "devices"), *child, *next;

    if (!members)
        return false;
    HASH_ITER(hh, members->children, child, next) {
        struct device *device = device_find(child->name);

        if (device && device->driver && !device->driver->managed)
            return true;
    }
    return false;
}

/* A container claim ends by itself with the last copy of the group's file. */
bool group_user_claimed(struct group *group) {
    if (group->container && !nodes_open(group->id))
        group->container = false;
    return group->claimed || group->container;
}
