/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"
#include "uevent.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define NODE_MAJOR 1
#define POLL_NS (5 * 1000 * 1000)
#define KALLSYMS "/run/fakekernel/kallsyms"

static char node_folder[PATH_MAX];
static bool cdev;

void vfio_node_folder(const char *folder) {
    char path[PATH_MAX + 16];

    snprintf(node_folder, sizeof(node_folder), "%s", folder);
    snprintf(path, sizeof(path), "%s/vfio", folder);
    nodes_add(NODE_CONTAINER, path, 0, NULL);
}

/*
 * Nodes must open without a VFIO driver in the host's kernel: they are memory devices under another
 * name, and sysfs agrees. Not /dev/null, which everybody has open: who looks for openers by number
 * shall find none but those of VFIO, if of a few groups together.
 */
static unsigned node_minor(unsigned number) {
    static const unsigned minors[] = {5, 7, 8, 9}; /* zero, full, random, urandom */

    return minors[number % (sizeof(minors) / sizeof(*minors))];
}

static int make_node(const char *path, unsigned major, unsigned minor, unsigned mode) {
    unlink(path);
    if (mknod(path, S_IFCHR | mode, makedev(major, minor)) < 0)
        return -errno;
    return chmod(path, mode) < 0 ? -errno : 0;
}

int vfio_node_create(unsigned group, unsigned major, unsigned minor) {
    char path[PATH_MAX + 16];
    int r;

    if (!*node_folder)
        return 0;
    mkdir(node_folder, 0755);
    snprintf(path, sizeof(path), "%s/%u", node_folder, group);
    r = make_node(path, major ? major : NODE_MAJOR,
                  major ? minor : node_minor(group), 0600);
    if (r == 0)
        nodes_add(NODE_GROUP, path, group, NULL);
    return r;
}

void vfio_node_remove(unsigned group) {
    char path[PATH_MAX + 16];

    if (!*node_folder)
        return;
    snprintf(path, sizeof(path), "%s/%u", node_folder, group);
    unlink(path);
    nodes_forget(NODE_GROUP, group, NULL);
}

int vfio_node_copy(unsigned group, const char *path) {
    int r = make_node(path, NODE_MAJOR, node_minor(group), 0666);

    if (r == 0)
        nodes_add(NODE_GROUP, path, group, NULL);
    return r;
}

static void cdev_node(const struct device *device, bool add) {
    char path[PATH_MAX + 32];

    if (!*node_folder)
        return;
    snprintf(path, sizeof(path), "%s/devices", node_folder);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/devices/vfio%d", node_folder, device->vfio_id);
    if (add && make_node(path, NODE_MAJOR, node_minor((unsigned) device->vfio_id), 0600) == 0)
        nodes_add(NODE_CDEV, path, 0, device->name);
    if (add)
        return;
    unlink(path);
    nodes_forget(NODE_CDEV, 0, device->name);
}

static void class_event(const char *action, struct entry *entry, const char *subsystem,
                        const char *properties) {
    char *path = entry_path(entry);

    uevent_send(action, path, subsystem, properties);
    free(path);
}

static void group_class(struct group *group, bool add) {
    unsigned minor = node_minor(group->id);
    char name[32], text[128], number[16];
    struct entry *entry;

    snprintf(number, sizeof(number), "%u", group->id);
    snprintf(name, sizeof(name), "devices/virtual/vfio/%u", group->id);
    snprintf(text, sizeof(text), "MAJOR=%d\nMINOR=%u\nDEVNAME=vfio/%u\n", NODE_MAJOR, minor,
             group->id);
    entry = entry_directory(tree_root(), name);
    if (add) {
        entry_file(entry, "uevent", 0644, text);
        snprintf(name, sizeof(name), "%d:%u\n", NODE_MAJOR, minor);
        entry_file(entry, "dev", 0444, name);
        entry_link(entry, "subsystem", entry_directory(tree_root(), "class/vfio"));
        entry_link(entry_directory(tree_root(), "class/vfio"), number, entry);
        vfio_node_create(group->id, 0, 0);
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

/* What a cdev adds to the device's entry in sysfs: its number, and that in the event. */
static void cdev_files(const struct device *device, struct entry *entry, char *text, size_t size) {
    unsigned minor = node_minor((unsigned) device->vfio_id);
    char number[16];

    snprintf(number, sizeof(number), "%d:%u\n", NODE_MAJOR, minor);
    entry_file(entry, "dev", 0444, number);
    snprintf(text, size, "MAJOR=%d\nMINOR=%u\nDEVNAME=vfio/devices/vfio%d\n", NODE_MAJOR, minor,
             device->vfio_id);
    cdev_node(device, true);
}

static void device_class(struct device *device, bool add) {
    struct entry *class = entry_directory(tree_root(), "class/vfio-dev"), *entry;
    char name[48], text[128] = "";

    snprintf(name, sizeof(name), "vfio-dev/vfio%d", device->vfio_id);
    entry = entry_directory(device->directory, name);
    if (add) {
        entry_link(entry, "subsystem", class);
        if (cdev)
            cdev_files(device, entry, text, sizeof(text));
        entry_file(entry, "uevent", 0644, text);
        entry_link(class, name + strlen("vfio-dev/"), entry);
        class_event("add", entry, "vfio-dev", text);
        return;
    }
    if (cdev)
        cdev_node(device, false);
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
    group->container.set = false;
    group_class(group, false);
}

/* The members one after the other: *next is NULL at first. */
static struct device *member_next(const struct group *group, struct entry **next) {
    struct entry *members = entry_child(group->directory, "devices");
    struct device *device = NULL;

    while (members && !device) {
        *next = *next ? (*next)->hh.next : members->children;
        if (!*next)
            return NULL;
        device = device_find((*next)->name);
    }
    return device;
}

bool group_has_kernel_driver(const struct group *group) {
    struct entry *at = NULL;

    for (struct device *device; (device = member_next(group, &at));)
        if (device->driver && !device->driver->managed)
            return true;
    return false;
}

bool group_device_bound(const struct group *group, const struct node *iommufd) {
    struct entry *at = NULL;

    if (!cdev)
        return false;
    for (struct device *device; (device = member_next(group, &at));)
        if (device->vfio_id >= 0 && (!iommufd || device->iommufd != iommufd->inode) &&
            nodes_device_bound(device->name))
            return true;
    return false;
}

bool group_device_open(const struct group *group) {
    struct entry *at = NULL;

    for (struct device *device; (device = member_next(group, &at));)
        if (nodes_device_open(device->name))
            return true;
    return false;
}

/* A container's claim ends by itself with the last copy of the group's file. */
bool group_user_claimed(struct group *group) {
    if (group->container.set && !nodes_group_open(group->id))
        group->container.set = false;
    return group->claimed || group->container.set || group_device_bound(group, NULL);
}

static void all_cdevs(bool add) {
    for (struct group *group = NULL; (group = group_next(group));) {
        struct entry *at = NULL;

        for (struct device *device; (device = member_next(group, &at));) {
            if (device->vfio_id < 0)
                continue;
            cdev = !add;
            device_class(device, false);
            cdev = add;
            device_class(device, true);
        }
    }
    cdev = add;
}

/* The kernel's symbol, which a program may look for. */
static void cdev_symbol(void) {
    FILE *file = fopen(KALLSYMS, "ae");

    if (!file)
        return;
    fputs("0000000000000000 t vfio_df_ioctl_bind_iommufd\t[vfio]\n", file);
    fclose(file);
}

void vfio_cdev_enable(bool enable) {
    struct entry *class = entry_directory(tree_root(), "devices/virtual/misc/iommu");

    if (enable == cdev)
        return;
    all_cdevs(enable);
    if (!enable)
        return;
    entry_file(class, "dev", 0444, "1:3\n");
    entry_link(entry_directory(tree_root(), "class/misc"), "iommu", class);
    cdev_symbol();
    if (*node_folder && make_node("/dev/iommu", 1, 3, 0660) == 0)
        nodes_add(NODE_IOMMUFD, "/dev/iommu", 0, NULL);
}

/* The end of a file is no event: it is looked for. */
void vfio_wait_closed(const char *name) {
    while (!kernel_ends && nodes_device_open(name)) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += POLL_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&tree_changed, &tree_lock, &until);
    }
}
