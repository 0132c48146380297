/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the kernel into the model: the scan, one group again, uevents, and what happens to nodes. */
#include "manager.h"

#include <errno.h>
#include <syslog.h>

#include "kernel/sysfs.h"
#include "record/audit.h"
#include "util/string.h"

/* Reads one device and takes it in. A device that is gone by now is no error. */
static int take_device(struct manager *manager, const char *path, struct device **ret) {
    struct device_reading reading;
    int r = sysfs_read_device(manager->sysfs, path, &reading);

    if (r < 0)
        return r == -ENOENT || r == -ENODEV ? 0 : r;
    return model_update_device(&manager->model, &reading.facts, ret);
}

/* Of a device that a group listed already, nothing new is to be read. */
static int scan_bus_device(const char *path, void *userdata) {
    struct manager *manager = userdata;
    struct device *device = model_device(&manager->model, path);

    return device && device->seen ? 0 : take_device(manager, path, NULL);
}

static int scan_member(const char *path, void *userdata) {
    return take_device(userdata, path, NULL);
}

void manager_refresh_node(struct manager *manager, struct group *group) {
    struct node_facts node;
    int r = node_read(manager->sysfs, group->id, &node);

    if (r < 0)
        log_message(LOG_WARNING, "Node of group %u can not be read: %s.", group->id, strerror(-r));
    else
        model_update_node(&manager->model, group, &node);
}

static int scan_group(uint32_t id, void *userdata) {
    struct manager *manager = userdata;
    struct group_facts facts;
    int r = sysfs_list_members(manager->sysfs, id, scan_member, manager);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    struct group *group = model_group(&manager->model, id);
    if (!group)
        return 0;
    if (sysfs_read_group(manager->sysfs, id, &facts) >= 0)
        model_update_group_facts(&manager->model, group, &facts);
    manager_refresh_node(manager, group);
    return 0;
}

int manager_scan(struct manager *manager) {
    model_begin_scan(&manager->model);
    int r = sysfs_list_groups(manager->sysfs, scan_group, manager);
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
        if (r < 0)
            return r;
        if (!read)
            model_remove_device(&manager->model, member);
    }
}

int manager_refresh_group(struct manager *manager, uint32_t id) {
    struct group *group = model_group(&manager->model, id);

    if (!group)
        return 0;
    for (struct device *member = group->members; member; member = member->next_member)
        member->seen = false;
    int r = scan_group(id, manager);
    return r < 0 ? r : reread_unseen(manager, id);
}

/* A group whose members are looked through. */
struct listing {
    struct manager *manager;
    uint32_t id;
};

/* Reads a member only where the model has it elsewhere, or not at all. */
static int check_member(const char *path, void *userdata) {
    struct listing *listing = userdata;
    struct device *device = model_device(&listing->manager->model, path);

    if (device)
        device->seen = true;
    if (device && device->group && device->group->id == listing->id)
        return 0;
    return take_device(listing->manager, path, NULL);
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

/* A class event of vfio or vfio-dev says nothing of the device that it is about but by its path. */
static void handle_vfio_event(struct manager *manager, const struct uevent *event) {
    uint32_t id;

    if (!string_equal(event->subsystem, "vfio") || parse_u32(event->name, &id) < 0)
        return;
    struct group *group = model_group(&manager->model, id);
    if (!group)
        return;
    /* The kernel drops a user's claim without a word when the last VFIO device goes. */
    if (event->action == UEVENT_REMOVE && group->lease && group->lease->state == LEASE_ACTIVE)
        manager_end_lease(manager, group->lease, LEASE_END_DEVICE_GONE);
    (void)manager_refresh_group(manager, id);
}

/* .../0000:00:05.0/vfio-dev/vfio0: the device above changed. */
static void handle_vfio_device_event(struct manager *manager, const struct uevent *event) {
    char path[1024];
    const char *end = strstr(event->path, "/vfio-dev/");

    if (!end || (size_t)(end - event->path) >= sizeof(path))
        return;
    memcpy(path, event->path, (size_t)(end - event->path));
    path[end - event->path] = 0;
    (void)take_device(manager, path, NULL);
}

static void handle_device_event(struct manager *manager, const struct uevent *event) {
    struct device *device = model_device(&manager->model, event->path);
    /* On unbind and remove sysfs is already ahead: the group is the one that the model knows. */
    bool had_group = device && device->group;
    uint32_t id = had_group ? device->group->id : 0;
    struct device *read = NULL;

    if (event->action == UEVENT_BIND && device && event->driver)
        manager_note_bind(manager, device, event->driver);
    if (take_device(manager, event->path, &read) < 0)
        return;
    if (!read && device)
        model_remove_device(&manager->model, device);
    if (had_group)
        (void)manager_refresh_group(manager, id);
    if (read && read->group && !(had_group && read->group->id == id))
        (void)manager_refresh_group(manager, read->group->id);
}

void manager_handle_uevent(const struct uevent *event, void *userdata) {
    struct manager *manager = userdata;

    if (string_equal(event->subsystem, "vfio"))
        handle_vfio_event(manager, event);
    else if (string_equal(event->subsystem, "vfio-dev"))
        handle_vfio_device_event(manager, event);
    else
        handle_device_event(manager, event);
    manager_settle(manager);
}

static void refresh_all_nodes(struct manager *manager) {
    for (struct group *group = manager->model.groups; group; group = group->by_id.next)
        manager_refresh_node(manager, group);
}

void manager_handle_node_event(enum node_event event, uint32_t id, void *userdata) {
    struct manager *manager = userdata;
    struct group *group = model_group(&manager->model, id);

    if (event == NODE_EVENT_LOST) {
        refresh_all_nodes(manager);
        return;
    }
    if (!group)
        return;
    if (event == NODE_EVENT_CHANGED)
        manager_refresh_node(manager, group);
    else
        model_set_open(&manager->model, group, event == NODE_EVENT_OPENED);
}
