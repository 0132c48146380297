/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The D-Bus API: org.dmaownd1 on the system bus. Adapters only; what they say is the manager's. */

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>
#include <systemd/sd-bus.h>

#include "manager.h"

#define BUS_NAME "org.dmaownd1"
#define BUS_PATH "/org/dmaownd1"
#define BUS_GROUP_PREFIX BUS_PATH "/group"
#define BUS_DEVICE_PREFIX BUS_PATH "/device"
#define BUS_LEASE_PREFIX BUS_PATH "/lease"
#define BUS_MANAGER_INTERFACE BUS_NAME ".Manager"
#define BUS_GROUP_INTERFACE BUS_NAME ".Group"
#define BUS_DEVICE_INTERFACE BUS_NAME ".Device"
#define BUS_LEASE_INTERFACE BUS_NAME ".Lease"
#define BUS_MANAGE_ACTION BUS_NAME ".manage"

/* With more devices than these the object manager leaves them out. */
#define BUS_DEVICES_MAX 4096

struct bus;
struct call;
struct identity;
struct units;

typedef void units_asked(struct bus *bus);

/* Called once when the name is ours for the first time (0), or could not be had (negative errno). */
typedef void bus_ready(int result, void *userdata);

struct bus {
    struct manager *manager;
    struct ev_loop *loop;
    const char *address; /* NULL: the system bus */
    sd_bus *connection;  /* NULL while the bus is away */
    ev_prepare prepare;
    ev_io input;
    ev_timer timer;
    ev_timer reconnect;
    double reconnect_seconds;
    bool named;          /* the name is ours: somebody may listen */
    bool failed;         /* to be torn down once the library is not on the stack */
    char bus_id[64];     /* GetId of the bus; "" until it is known */

    struct identity *identities;
    struct call *calls;  /* those that wait for something */
    struct module_load *modules; /* that are being loaded */
    uint64_t last_switch;        /* that ended: a call may hear of its number only now */
    enum outcome last_switch_outcome;
    char *last_switch_text;
    struct units *units; /* NULL while no unit is watched */
    units_asked *units_asked; /* what waits for units_when_asked */
    bool announcing;            /* what is read goes to everybody, whoever called */
    struct lease *viewed_lease;   /* whose properties are read right now */
    struct device *viewed_device;

    bus_ready *ready;
    void *ready_data;
    uint32_t published_groups, published_leases; /* counts that the bus was told last */
    enum kernel_model published_model;
};

/* Connects and asks for the name, all asynchronously; the result goes to ready. */
int bus_new(struct manager *manager, const char *address, bus_ready *ready, void *userdata,
            struct bus **ret);
struct bus *bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus *, bus_free)

/* ---- object paths (paths.c) */

#define BUS_PATH_MAX 64
const char *bus_group_path(uint32_t id, char buffer[static BUS_PATH_MAX]);
const char *bus_lease_path(uint64_t id, char buffer[static BUS_PATH_MAX]);
/* "/" for no lease. */
const char *bus_lease_path_or_root(const struct lease *lease, char buffer[static BUS_PATH_MAX]);
/* The caller's; NULL when out of memory. */
char *bus_device_path(const struct device *device);
/* A name from sysfs as D-Bus can carry it: escaped where it is not printable UTF-8. */
int bus_append_name(sd_bus_message *message, const char *name);
struct group *bus_find_group(const struct manager *manager, const char *path);
struct device *bus_find_device(const struct manager *manager, const char *path);
struct lease *bus_find_lease(const struct manager *manager, const char *path);

/* ---- interfaces: each adds its objects to a new connection */

int bus_add_manager(struct bus *bus);
int bus_add_groups(struct bus *bus);
int bus_add_devices(struct bus *bus);
int bus_add_leases(struct bus *bus);

/* Head of a property's getter, in sd-bus's signature: get_NAME. */
#define GETTER(name)                                                                               \
    static int get_##name(sd_bus *connection, const char *path, const char *interface,             \
                          const char *property, sd_bus_message *reply, void *userdata,             \
                          sd_bus_error *error)

/* ---- what changed (publish.c) */

extern const struct manager_listener bus_listener;
/* Watches the unit that the lease lives with while an active lease does. */
void bus_watch_unit_of(struct bus *bus, const struct lease *lease);
/* A signal of the manager object; a failure is logged. */
void bus_emit(struct bus *bus, const char *member, const char *types, ...);
