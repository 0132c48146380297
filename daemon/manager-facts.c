/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the kernel into the model: the scan, one group again, uevents, and what happens to nodes. */
#include "manager.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <syslog.h>

#include "kernel/sysfs.h"
#include "record/audit.h"
#include "util/string.h"

/* Reads one device and takes it in. One that is gone by now is no error: *ret stays as it was. */
static int take_device(struct manager *manager, const char *path, struct device **ret) {
    struct device_reading reading;
    char node[PATH_MAX];
    int r = sysfs_read_device(manager->sysfs, path, &reading);

    if (r >= 0)
        r = manager_read_node(manager, &reading.facts, node, sizeof(node));
    if (r == -ENOENT || r == -ENODEV)
        return 0;
    if (r < 0)
        log_message(LOG_WARNING, "Device %s can not be read: %s.", path, strerror(-r));
    return r < 0 ? r : model_update_device(&manager->model, &reading.facts, ret);
}

/* One device that can not be read does not keep the others from being read. */
static int unless_fatal(int r) {
    return r == -ENOMEM ? r : 0;
}

/* Of a device that a group listed already, nothing new is to be read. */
static int scan_bus_device(const char *path, void *userdata) {
    struct manager *manager = userdata;
    struct device *device = model_device(&manager->model, path);

    return device && device->seen ? 0 : unless_fatal(take_device(manager, path, NULL));
}

/* A group whose members are looked through. */
struct listing {
    struct manager *manager;
    uint32_t id;
    int error; /* a member that is known could not be read again */
};

/* A member that nothing is known of stands against every grant: it has some driver. */
static int take_unreadable_member(struct listing *listing, const char *path, int error) {
    struct device *known = model_device(&listing->manager->model, path);
    struct device_facts facts = {.path = path,
                                 .bus = "unknown",
                                 .driver = "unreadable",
                                 .group = listing->id,
                                 .numa_node = -1};

    if (!known)
        return model_update_device(&listing->manager->model, &facts, NULL);
    known->seen = true;
    listing->error = error;
    return 0;
}

static int scan_member(const char *path, void *userdata) {
    struct listing *listing = userdata;
    int r = take_device(listing->manager, path, NULL);

    return r < 0 && r != -ENOMEM ? take_unreadable_member(listing, path, r) : r;
}

static void refresh_cdev(struct manager *manager, struct device *device) {
    struct node_facts node = {0};
    struct node_name name = node_of_cdev(device->path, device->vfio_device ?: "");
    int r = device->vfio_device ? node_read(manager->sysfs, &name, &node) : 0;

    if (r >= 0)
        r = model_update_cdev(&manager->model, device, &node);
    if (r < 0)
        log_message(LOG_WARNING, "The node of device %s can not be read: %s.", device->name,
                    strerror(-r));
}

void manager_refresh_node(struct manager *manager, struct group *group) {
    struct node_name name = node_of_group(group->id);
    struct node_facts node;
    int r = node_read(manager->sysfs, &name, &node);

    if (r < 0)
        log_message(LOG_WARNING, "Node of group %u can not be read: %s.", group->id, strerror(-r));
    else
        model_update_node(&manager->model, group, &node);
    for (struct device *member = group->members; member; member = member->next_member)
        refresh_cdev(manager, member);
}

/* A node whose name is gone may still be open; one that the kernel has taken away is not. */
static void forget_opener(struct manager *manager, struct group *group) {
    struct node_name name = node_of_group(group->id);
    unsigned number_major, number_minor;

    if (!group->node.present && sysfs_read_number(manager->sysfs, name.number, &number_major,
                                                  &number_minor) == -ENOENT)
        model_set_open(&manager->model, group, false);
}

static int read_group(struct manager *manager, uint32_t id) {
    struct listing listing = {.manager = manager, .id = id};
    struct group_facts facts;
    int r = sysfs_list_members(manager->sysfs, id, scan_member, &listing);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    struct group *group = model_group(&manager->model, id);
    if (!group)
        return 0;
    manager_refresh_node(manager, group);
    forget_opener(manager, group);
    r = sysfs_read_group(manager->sysfs, id, &facts);
    if (r >= 0)
        model_update_group_facts(&manager->model, group, &facts);
    else if (r != -ENOENT)
        log_message(LOG_WARNING, "Group %u can not be read: %s.", id, strerror(-r));
    return r < 0 && r != -ENOENT ? r : listing.error;
}

static int scan_group(uint32_t id, void *userdata) {
    return unless_fatal(read_group(userdata, id));
}

int manager_scan(struct manager *manager) {
    model_begin_scan(&manager->model);
    int r = manager_read_tree(manager);
    if (r >= 0)
        r = sysfs_list_groups(manager->sysfs, scan_group, manager);
    if (r >= 0)
        r = sysfs_list_bus_devices(manager->sysfs, scan_bus_device, manager);
    if (r < 0) {
        log_message(LOG_ERR, "Devices can not be read from sysfs: %s.", strerror(-r));
        return r;
    }
    model_end_scan(&manager->model);
    manager_settle(manager);
    return 0;
}

/* Members that the group's folder did not list: they moved, or went. */
static int reread_unseen(struct manager *manager, uint32_t id) {
    for (;;) {
        struct group *group = model_group(&manager->model, id);
        struct device *member = group ? group->members : NULL;
        struct device *read = NULL;

        while (member && member->seen)
            member = member->next_member;
        if (!member)
            return 0;
        member->seen = true;
        int r = take_device(manager, member->path, &read);
        if (r == -ENOMEM)
            return r;
        if (r >= 0 && !read)
            model_remove_device(&manager->model, member);
    }
}

int manager_refresh_group(struct manager *manager, uint32_t id) {
    struct group *group = model_group(&manager->model, id);

    if (!group)
        return 0;
    for (struct device *member = group->members; member; member = member->next_member)
        member->seen = false;
    int r = read_group(manager, id);
    return r < 0 ? r : reread_unseen(manager, id);
}

/* Reads a member only where the model has it elsewhere, or not at all. */
static int check_member(const char *path, void *userdata) {
    struct listing *listing = userdata;
    struct device *device = model_device(&listing->manager->model, path);

    if (device)
        device->seen = true;
    if (device && device->group && device->group->id == listing->id)
        return 0;
    return scan_member(path, userdata);
}

static int check_members(uint32_t id, void *userdata) {
    struct listing listing = {.manager = userdata, .id = id};
    struct group *group = model_group(&listing.manager->model, id);

    for (struct device *member = group ? group->members : NULL; member;
         member = member->next_member)
        member->seen = false;
    int r = sysfs_list_members(listing.manager->sysfs, id, check_member, &listing);
    if (r < 0 && r != -ENOENT)
        return r;
    return reread_unseen(listing.manager, id);
}

/* Groups of the model that have no folder any more. */
static int drop_vanished_groups(struct manager *manager) {
    struct group *group, *next;

    HASH_ITER(by_id, manager->model.groups, group, next) {
        int r = group->members && !group->members->seen ? reread_unseen(manager, group->id) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int manager_refresh_members(struct manager *manager) {
    model_begin_scan(&manager->model);
    int r = sysfs_list_groups(manager->sysfs, check_members, manager);
    if (r >= 0)
        r = drop_vanished_groups(manager);
    manager_settle(manager);
    return r;
}

/* ---- uevents
 *
 * A flood of events about one device costs one reading: an event marks what is to be read again,
 * and that happens once the batch was received. What must not be missed even if it is over by then (a
 * bind beside an owner, the end of a group's node) is acted on at once. */

struct stale {
    UT_hash_handle hh;
    bool is_group;
    uint32_t id;  /* of a group */
    char path[];  /* of a device; of a group its place in sysfs */
};

static void mark_stale(struct manager *manager, const char *path, bool is_group, uint32_t id) {
    struct stale *stale;

    HASH_FIND_STR(manager->stale, path, stale);
    if (stale)
        return;
    stale = calloc(1, sizeof(*stale) + strlen(path) + 1);
    if (!stale) {
        manager->lost = true;
        return;
    }
    stale->is_group = is_group;
    stale->id = id;
    strcpy(stale->path, path);
    HASH_ADD_STR(manager->stale, path, stale);
    if (!stale->hh.tbl) {
        free(stale);
        manager->lost = true;
    }
}

static void mark_group_stale(struct manager *manager, uint32_t id) {
    char path[64];

    snprintf(path, sizeof(path), "kernel/iommu_groups/%u", id);
    mark_stale(manager, path, true, id);
}

int manager_refresh_device(struct manager *manager, const char *path, struct device **ret) {
    struct device *read = NULL;
    int r = take_device(manager, path, &read);

    if (r < 0)
        return r;
    if (read && read->group)
        r = manager_refresh_group(manager, read->group->id);
    *ret = model_device(&manager->model, path);
    return r;
}

/* On unbind and remove sysfs is already ahead: the group is the one that the model knows. */
static void reread_device(struct manager *manager, const char *path) {
    struct device *device = model_device(&manager->model, path), *read = NULL;

    if (device && device->group)
        mark_group_stale(manager, device->group->id);
    if (take_device(manager, path, &read) < 0)
        return;
    if (!read && device)
        model_remove_device(&manager->model, device);
    if (read && read->group)
        mark_group_stale(manager, read->group->id);
}

static void forget_stale(struct manager *manager, struct stale *stale) {
    HASH_DEL(manager->stale, stale);
    free(stale);
}

/* Devices first: they say which groups are concerned. */
void manager_reread_stale(struct manager *manager) {
    struct stale *stale, *next;

    HASH_ITER(hh, manager->stale, stale, next) {
        if (stale->is_group)
            continue;
        reread_device(manager, stale->path);
        forget_stale(manager, stale);
    }
    HASH_ITER(hh, manager->stale, stale, next) {
        (void)manager_refresh_group(manager, stale->id);
        forget_stale(manager, stale);
    }
    if (manager->lost) {
        manager->lost = false;
        (void)manager_scan(manager);
    }
    manager_settle(manager);
}

/* A group's node came or went. */
static void handle_vfio_event(struct manager *manager, const struct uevent *event) {
    uint32_t id;

    if (parse_u32(event->name, &id) < 0)
        return;
    struct group *group = model_group(&manager->model, id);
    /* The kernel drops a user's claim without a word when the last VFIO device goes. */
    if (event->action == UEVENT_REMOVE && group)
        model_set_open(&manager->model, group, false);
    if (event->action == UEVENT_REMOVE && group && group->lease &&
        group->lease->state == LEASE_ACTIVE)
        manager_end_lease(manager, group->lease, LEASE_END_DEVICE_GONE);
    mark_group_stale(manager, id);
}

/* .../0000:00:05.0/vfio-dev/vfio0: the device above changed. */
static void handle_vfio_device_event(struct manager *manager, const struct uevent *event) {
    const char *end = strstr(event->path, "/vfio-dev/");
    _cleanup_(freep) char *path = end ? strndup(event->path, (size_t)(end - event->path)) : NULL;

    if (path)
        mark_stale(manager, path, false, 0);
}

/* What is bound now shows when it is read; what is gone by then is known from the event alone. */
static void handle_bind_beside_owner(struct manager *manager, struct device *device,
                                     const struct uevent *event) {
    struct device *read = NULL;

    if (!event->driver || take_device(manager, event->path, &read) < 0)
        return;
    if (read == device && !string_equal(device->driver, event->driver))
        manager_note_bind(manager, device, event->driver);
}

void manager_handle_uevent(const struct uevent *event, void *userdata) {
    struct manager *manager = userdata;

    if (string_equal(event->subsystem, "vfio")) {
        handle_vfio_event(manager, event);
    } else if (string_equal(event->subsystem, "vfio-dev")) {
        handle_vfio_device_event(manager, event);
    } else {
        struct device *device = model_device(&manager->model, event->path);
        if (event->action == UEVENT_BIND && device && device->group && device->group->lease)
            handle_bind_beside_owner(manager, device, event);
        mark_stale(manager, event->path, false, 0);
    }
}

/* Its holder may have opened it, and nobody was told. */
static void note_perhaps_opened(const struct group *group) {
    struct lease *lease = group->lease;

    for (size_t i = 0; lease && i < lease->n_groups; i++)
        if (lease->groups[i].id == group->id)
            lease->groups[i].opened = true;
}

static void refresh_all_nodes(struct manager *manager) {
    for (struct group *group = manager->model.groups; group; group = group->by_id.next) {
        manager_refresh_node(manager, group);
        /* Who opened or closed is not known any more: the next claim asks the kernel. */
        model_set_open(&manager->model, group, false);
        note_perhaps_opened(group);
    }
}

/* Of the cdevs, only their access and their being closed are of interest: an open cdev is nobody's
 * until it is bound, and then the group's node says so. */
static void handle_cdev_event(struct manager *manager, enum node_event event,
                              const char *vfio_device) {
    if (event == NODE_EVENT_CLOSED)
        manager_look_soon(manager);
    if (event != NODE_EVENT_CHANGED)
        return;
    struct device *device = model_vfio_device(&manager->model, vfio_device);
    if (device)
        refresh_cdev(manager, device);
}

static void note_open(struct manager *manager, struct group *group, bool open) {
    if (open)
        note_perhaps_opened(group);
    model_set_open(&manager->model, group, open);
}

void manager_handle_node_event(enum node_event event, uint32_t id, const char *vfio_device,
                               void *userdata) {
    struct manager *manager = userdata;
    struct group *group = vfio_device ? NULL : model_group(&manager->model, id);

    if (event == NODE_EVENT_LOST)
        refresh_all_nodes(manager);
    else if (vfio_device)
        handle_cdev_event(manager, event, vfio_device);
    else if (group && event == NODE_EVENT_CHANGED)
        manager_refresh_node(manager, group);
    /* An open that is heard of when the kernel has taken the node away would never be closed. */
    else if (group && (event == NODE_EVENT_CLOSED || group->node.present))
        note_open(manager, group, event == NODE_EVENT_OPENED);
}
