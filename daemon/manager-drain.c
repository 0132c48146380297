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
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "kernel/driver-switch.h"
#include "kernel/openers.h"
#include "util/fd.h"
#include "util/string.h"

/* Workers at a time for one lease; each has one device. */
#define SWITCHES_MAX 16
/* Between two looks through /proc: seldom, and less often the longer it takes, since /proc is large. */
#define PAUSE_MIN_US 1000000
#define PAUSE_MAX_US 16000000
/* After so many looks that failed, the drivers are asked instead: their unbind waits for openers. */
#define FAILED_LOOKS_MAX 3

struct device_switch {
    struct drain *drain;
    char *path;
    struct worker *worker;
    bool started, done, failed;
};

struct drain {
    UT_hash_handle hh;
    uint64_t lease;
    struct manager *manager;
    struct worker *look;
    bool nobody; /* had it open at the last look */
    unsigned failed_looks;
    uint64_t pause, next_look; /* µs, monotonic */
    dev_t *nodes; /* that are looked for */
    size_t n_nodes;
    struct device_switch *switches; /* NULL until they begin */
    size_t n_switches, running;
    bool rebind;
    int error; /* of the last switch that failed */
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

static void free_switches(struct drain *drain) {
    for (size_t i = 0; i < drain->n_switches; i++) {
        worker_free(drain->switches[i].worker);
        free(drain->switches[i].path);
    }
    drain->n_switches = 0;
    free(TAKE_POINTER(drain->switches));
}

static void free_drain(struct drain *drain) {
    HASH_DEL(drain->manager->drains, drain);
    worker_free(drain->look);
    free_switches(drain);
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

static void add_cdevs(struct drain *drain, const struct lease *lease,
                      const struct lease_group *group) {
    char **at = group->devices;
    const struct device *device;

    while ((device = manager_next_device(drain->manager, lease, group, &at))) {
        struct node_name name = node_of_cdev(device->path, device->vfio_device ?: "");
        if (device->vfio_device)
            add_node(drain, &name);
    }
}

static void collect_nodes(struct drain *drain, const struct lease *lease) {
    drain->n_nodes = 0;
    for (size_t i = 0; i < lease->n_groups; i++) {
        struct node_name name = node_of_group(lease->groups[i].id);
        if (lease->interface == LEASE_INTERFACE_CDEV)
            add_cdevs(drain, lease, &lease->groups[i]);
        else if (!lease->groups[i].lost)
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
    if (!lease)
        return;
    if (result < 0) {
        log_message(LOG_WARNING, "Who has lease %llu open can not be seen: %s.",
                    (unsigned long long)drain->lease, strerror(-result));
        drain->nobody = ++drain->failed_looks >= FAILED_LOOKS_MAX;
        return;
    }
    drain->nobody = !certain;
    note_openers(manager, lease, openers);
    if (lease->interface == LEASE_INTERFACE_CDEV && drain->nobody)
        manager_try_draining(manager);
}

static void look_again(struct drain *drain, const struct lease *lease) {
    uint64_t now = now_monotonic();

    if (drain->look || now < drain->next_look)
        return;
    drain->pause = drain->pause ? drain->pause * 2 : PAUSE_MIN_US;
    if (drain->pause > PAUSE_MAX_US)
        drain->pause = PAUSE_MAX_US;
    drain->next_look = now + drain->pause;
    collect_nodes(drain, lease);
    int r = worker_start(drain->manager->loop, look, on_look, drain, &drain->look);
    if (r < 0)
        log_message(LOG_WARNING, "Who has lease %llu open can not be looked for: %s.",
                    (unsigned long long)lease->id, strerror(-r));
}

/* Whoever opens and closes all the time makes nobody look all the time. */
void manager_look_soon(struct manager *manager) {
    for (struct drain *drain = manager->drains; drain; drain = drain->hh.next) {
        drain->next_look -= drain->pause > PAUSE_MIN_US ? drain->pause - PAUSE_MIN_US : 0;
        drain->pause = PAUSE_MIN_US;
    }
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

/* One that failed is done only if no driver has the device any more; else whoever has it open has
 * kept it. */
static bool has_no_driver(const struct drain *drain, const char *path) {
    char link[PATH_MAX], target[PATH_MAX];

    snprintf(link, sizeof(link), "%s/driver", path);
    return link_read(drain->manager->sysfs, link, target, sizeof(target)) == -ENOENT;
}

static void note_failure(struct device_switch *device, int error) {
    struct drain *drain = device->drain;

    device->done = has_no_driver(drain, device->path);
    if (device->done && (error == -ENODEV || error == -ENOENT))
        return;
    if (drain->error != error)
        log_message(LOG_ERR, "Device %s of lease %llu could not be %s%s: %s.",
                    path_basename(device->path), (unsigned long long)drain->lease,
                    drain->rebind ? "bound to its VFIO driver again" : "unbound",
                    device->done ? "" : ", trying again", strerror(-error));
    drain->error = error;
    device->failed = !device->done;
}

static void on_switched(int result, const char *output, size_t size, void *userdata) {
    struct device_switch *device = userdata;
    struct drain *drain = device->drain;

    device->worker = NULL;
    device->done = true;
    drain->running--;
    if (result < 0)
        note_failure(device, result);
    start_switches(drain);
    if (!device->failed)
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

/* One without a driver may have lost it to a rebind that a crash cut short. */
static bool wants_switch(const struct drain *drain, const struct device *device) {
    return device->driver ? device->role == ROLE_USER : drain->rebind;
}

static size_t count_switches(const struct drain *drain, const struct lease *lease) {
    const struct device *device;
    size_t n = 0;

    for (size_t i = 0; i < lease->n_groups; i++) {
        char **at = lease->groups[i].devices;
        while ((device = manager_next_device(drain->manager, lease, &lease->groups[i], &at)))
            n += wants_switch(drain, device);
    }
    return n;
}

static int add_switches(struct drain *drain, const struct lease *lease,
                        const struct lease_group *group) {
    char **at = group->devices;
    const struct device *device;

    while ((device = manager_next_device(drain->manager, lease, group, &at))) {
        if (!wants_switch(drain, device))
            continue;
        struct device_switch *added = &drain->switches[drain->n_switches];
        *added = (struct device_switch){.drain = drain, .path = strdup(device->path)};
        if (!added->path)
            return -ENOMEM;
        drain->n_switches++;
    }
    return 0;
}

static int begin_switches(struct drain *drain, const struct lease *lease, bool rebind) {
    int r = 0;

    drain->rebind = rebind;
    drain->switches = calloc(count_switches(drain, lease) + 1, sizeof(*drain->switches));
    if (!drain->switches)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++)
        r = add_switches(drain, lease, &lease->groups[i]);
    if (r < 0)
        free_switches(drain);
    return r;
}

/* A revocation with `unbind` came while drivers were on their way back: they are to let go again, and
 * the model may not have heard of them. False while one is still on its way. */
static bool turn_round(struct drain *drain, const struct lease *lease) {
    if (drain->running)
        return false;
    free_switches(drain);
    for (size_t i = 0; i < lease->n_groups; i++)
        if (!lease->groups[i].lost)
            (void)manager_refresh_group(drain->manager, lease->groups[i].id);
    return true;
}

/* True when all are done. What failed is tried again once an attempt. */
static bool switch_drivers(struct drain *drain, const struct lease *lease, bool rebind) {
    bool done = true;

    if (drain->switches && drain->rebind != rebind && !turn_round(drain, lease))
        return false;
    if (!drain->switches && begin_switches(drain, lease, rebind) < 0)
        return false;
    for (size_t i = 0; i < drain->n_switches; i++) {
        struct device_switch *device = &drain->switches[i];
        if (device->failed)
            device->failed = device->started = false;
        done = done && device->done;
    }
    start_switches(drain);
    return done;
}

int manager_drain_error(const struct manager *manager, const struct lease *lease) {
    const struct drain *drain = find_drain(manager, lease->id);

    return drain ? drain->error : 0;
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
    /* Not viable without a driver that makes it so: a device is open still (iommufd as container). */
    bool held = status == NODE_NOT_VIABLE && !(known && group_has_role(known, ROLE_KERNEL));
    group->drained = status >= 0 && status != NODE_OPEN && !held;
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
