/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a draining lease waits for. A group has drained when its node opens for an instant. A cdev
 * opens for everybody with access, at any time, and one that is open and bound to nothing would let
 * its last holder in again: so nobody may have it open, and then its VFIO driver lets go of the device
 * and takes it again, which makes a new cdev. A revocation with `unbind` takes the drivers away
 * whoever has what open: the kernel then asks for it (VFIO's request interrupt).
 *
 * Looking through /proc, unbinding and binding take long or hang, so workers do it. */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <syslog.h>

#include "kernel/driver-switch.h"
#include "kernel/openers.h"
#include "util/fd.h"
#include "util/string.h"

/* Workers at a time for one lease; each has one device. */
#define SWITCHES_MAX 16
/* Attempts between two looks through /proc, at the most. */
#define PAUSE_MAX 16

struct device_switch {
    struct drain *drain;
    const char *path; /* the lease's */
    struct worker *worker;
    bool started, done;
};

struct drain {
    UT_hash_handle hh;
    uint64_t lease;
    struct manager *manager;
    struct worker *look;
    bool nobody; /* had it open at the last look */
    unsigned pause, paused;
    dev_t *nodes; /* that are looked for */
    size_t n_nodes;
    struct device_switch *switches; /* NULL until they begin */
    size_t n_switches, running;
    bool rebind;
};

static struct drain *find_drain(const struct manager *manager, uint64_t lease) {
    struct drain *drain;

    HASH_FIND(hh, manager->drains, &lease, sizeof(lease), drain);
    return drain;
}

static struct drain *obtain_drain(struct manager *manager, uint64_t lease) {
    struct drain *drain = find_drain(manager, lease);

    if (drain)
        return drain;
    drain = calloc(1, sizeof(*drain));
    if (!drain)
        return NULL;
    drain->lease = lease;
    drain->manager = manager;
    HASH_ADD(hh, manager->drains, lease, sizeof(drain->lease), drain);
    if (drain->hh.tbl)
        return drain;
    free(drain);
    return NULL;
}

static void free_drain(struct drain *drain) {
    HASH_DEL(drain->manager->drains, drain);
    worker_free(drain->look);
    for (size_t i = 0; i < drain->n_switches; i++)
        worker_free(drain->switches[i].worker);
    free(drain->switches);
    free(drain->nodes);
    free(drain);
}

void manager_stop_draining(struct manager *manager, const struct lease *lease) {
    struct drain *drain = find_drain(manager, lease->id);

    if (drain)
        free_drain(drain);
}

void manager_free_drains(struct manager *manager) {
    struct drain *drain, *next;

    HASH_ITER(hh, manager->drains, drain, next) {
        free_drain(drain);
    }
}

/* ---- who has it open */

static void add_node(struct drain *drain, const struct node_name *name) {
    dev_t number;

    if (node_device(drain->manager->sysfs, name, &number) < 0)
        return;
    dev_t *grown = reallocarray(drain->nodes, drain->n_nodes + 1, sizeof(*grown));
    if (!grown)
        return;
    drain->nodes = grown;
    grown[drain->n_nodes++] = number;
}

static void add_cdevs(struct drain *drain, const struct lease_group *group) {
    for (char **path = group->devices; path && *path; path++) {
        const struct device *device = model_device(&drain->manager->model, *path);
        if (!device || !device->vfio_device)
            continue;
        struct node_name name = node_of_cdev(device->vfio_device);
        add_node(drain, &name);
    }
}

static void collect_nodes(struct drain *drain, const struct lease *lease) {
    drain->n_nodes = 0;
    for (size_t i = 0; i < lease->n_groups; i++) {
        if (lease->groups[i].lost)
            continue;
        struct node_name name = node_of_group(lease->groups[i].id);
        if (lease->interface == LEASE_INTERFACE_CDEV)
            add_cdevs(drain, &lease->groups[i]);
        else
            add_node(drain, &name);
    }
}

static int look(int output, void *userdata) {
    const struct drain *drain = userdata;

    return openers_write(output, drain->nodes, drain->n_nodes);
}

static void note_openers(struct manager *manager, struct lease *lease, char **openers) {
    if (strings_equal(lease->openers, openers)) {
        strings_free(openers);
        return;
    }
    strings_free(lease->openers);
    lease->openers = openers;
    for (char **opener = openers; opener && *opener; opener++)
        log_message(LOG_NOTICE, "Lease %llu drains: %s is still open in %s.",
                    (unsigned long long)lease->id,
                    lease->n_groups == 1 ? "its group" : "a group of it", *opener);
    if (manager->listener)
        manager->listener->lease_changed(lease, manager->listener_data);
}

static void on_look(int result, const char *output, size_t size, void *userdata) {
    struct drain *drain = userdata;
    struct manager *manager = drain->manager;
    struct lease *lease = lease_book_find(&manager->leases, drain->lease);
    char **openers = NULL;
    bool certain = false;

    drain->look = NULL;
    if (result >= 0)
        result = openers_read(output, &openers, &certain);
    if (result < 0 || !lease) {
        log_message(LOG_WARNING, "Who has lease %llu open can not be seen: %s.",
                    (unsigned long long)drain->lease, strerror(-result));
        return;
    }
    drain->nobody = !certain;
    note_openers(manager, lease, openers);
    if (lease->interface == LEASE_INTERFACE_CDEV && drain->nobody)
        manager_try_draining(manager);
}

/* Seldom, and less often the longer it takes: /proc is large. */
static void look_again(struct drain *drain, const struct lease *lease) {
    if (drain->look || drain->paused++ < drain->pause)
        return;
    drain->paused = 0;
    drain->pause = drain->pause ? drain->pause * 2 : 1;
    if (drain->pause > PAUSE_MAX)
        drain->pause = PAUSE_MAX;
    collect_nodes(drain, lease);
    int r = worker_start(drain->manager->loop, look, on_look, drain, &drain->look);
    if (r < 0)
        log_message(LOG_WARNING, "Who has lease %llu open can not be looked for: %s.",
                    (unsigned long long)lease->id, strerror(-r));
}

void manager_look_soon(struct manager *manager) {
    for (struct drain *drain = manager->drains; drain; drain = drain->hh.next)
        drain->pause = drain->paused = 0;
}

/* ---- drivers */

static int switch_driver(int output, void *userdata) {
    const struct device_switch *device = userdata;
    const struct drain *drain = device->drain;
    _cleanup_(fd_closep) int sysfs =
        fd_open_directory(AT_FDCWD, drain->manager->options.sysfs_directory);

    if (sysfs < 0)
        return sysfs;
    return drain->rebind ? driver_rebind(sysfs, device->path) : driver_unbind(sysfs, device->path);
}

static void start_switches(struct drain *drain);

static void on_switched(int result, const char *output, size_t size, void *userdata) {
    struct device_switch *device = userdata;
    struct drain *drain = device->drain;

    device->worker = NULL;
    device->done = true;
    drain->running--;
    if (result < 0 && result != -ENODEV && result != -ENOENT)
        log_message(LOG_ERR, "Device %s of lease %llu could not be %s: %s.",
                    path_basename(device->path), (unsigned long long)drain->lease,
                    drain->rebind ? "bound to its VFIO driver again" : "unbound",
                    strerror(-result));
    start_switches(drain);
    manager_try_draining(drain->manager);
}

static void start_switches(struct drain *drain) {
    for (size_t i = 0; i < drain->n_switches && drain->running < SWITCHES_MAX; i++) {
        struct device_switch *device = &drain->switches[i];
        if (device->started)
            continue;
        device->started = true;
        int r = worker_start_unlimited(drain->manager->loop, switch_driver, on_switched, device,
                                       &device->worker);
        if (r < 0) {
            device->started = false; /* tried again with the next attempt to drain */
            return;
        }
        drain->running++;
    }
}

static size_t count_switches(const struct drain *drain, const struct lease *lease,
                             struct device_switch *ret) {
    size_t n = 0;

    for (size_t i = 0; i < lease->n_groups; i++)
        for (char **path = lease->groups[i].devices; path && *path; path++) {
            const struct device *device = model_device(&drain->manager->model, *path);
            if (!device || device->role != ROLE_USER || !device->driver)
                continue;
            if (ret)
                ret[n] = (struct device_switch){.drain = (struct drain *)drain, .path = *path};
            n++;
        }
    return n;
}

/* True when all are done. */
static bool switch_drivers(struct drain *drain, const struct lease *lease, bool rebind) {
    if (!drain->switches) {
        size_t n = count_switches(drain, lease, NULL);
        drain->switches = calloc(n + 1, sizeof(*drain->switches));
        if (!drain->switches)
            return false;
        drain->rebind = rebind;
        drain->n_switches = count_switches(drain, lease, drain->switches);
    }
    start_switches(drain);
    for (size_t i = 0; i < drain->n_switches; i++)
        if (!drain->switches[i].done)
            return false;
    return true;
}

/* ---- both interfaces */

/* Nobody has the group open any more. It stays so: access is gone, and each question is an open of
 * its own, which would come back as an event. */
static bool group_has_drained(struct manager *manager, struct lease_group *group) {
    const struct group *known = model_group(&manager->model, group->id);

    if (group->lost || group->drained)
        return true;
    /* Somebody was seen to open it and not to close it: no need to ask, and no open of ours in the
     * way of the device's reset. */
    if (known && known->open)
        return false;
    int status = manager_ask_kernel(manager, group->id);
    if (status < 0 && !group->complained) {
        group->complained = true;
        log_message(LOG_WARNING, "Whether group %u has drained can not be seen: %s.", group->id,
                    strerror(-status));
    }
    group->drained = status >= 0 && status != NODE_OPEN;
    return group->drained;
}

static bool groups_have_drained(struct manager *manager, struct lease *lease) {
    bool drained = true;

    for (size_t i = 0; i < lease->n_groups; i++)
        drained = group_has_drained(manager, &lease->groups[i]) && drained;
    return drained;
}

static bool cdevs_have_drained(struct drain *drain, const struct lease *lease) {
    return drain->nobody && switch_drivers(drain, lease, true);
}

bool manager_drain(struct manager *manager, struct lease *lease) {
    bool group = lease->interface == LEASE_INTERFACE_GROUP;

    if (!manager_withdraw_access(manager, lease))
        return false;
    if (group && !lease->unbind && groups_have_drained(manager, lease))
        return true;
    struct drain *drain = obtain_drain(manager, lease->id);
    if (!drain)
        return false;
    bool drained = lease->unbind ? switch_drivers(drain, lease, false) : true;
    if (group)
        drained = drained && groups_have_drained(manager, lease);
    else if (!lease->unbind)
        drained = cdevs_have_drained(drain, lease);
    if (!drained)
        look_again(drain, lease);
    return drained;
}
