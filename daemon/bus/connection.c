/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd-bus on libev. Before each sleep the library is asked again what it waits for: its fd changes
 * while it connects, and messages that it has read already show as a time-out of 0 and not on the
 * fd. The one file that knows both libraries' loops. */
#include "bus/bus.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <syslog.h>

#include "bus/call.h"
#include "bus/identity.h"
#include "bus/modules.h"
#include "bus/units.h"

#define MESSAGES_PER_TURN 32
#define NAME_IS_OURS 1 /* RequestName: primary owner */
#define RECONNECT_SECONDS_MIN 0.1
#define RECONNECT_SECONDS_MAX 10.

static void stop_watching(struct bus *bus) {
    ev_io_stop(bus->loop, &bus->input);
    ev_timer_stop(bus->loop, &bus->timer);
}

/* Leases of connections are judged when it is known whether it is the same bus again. */
static void disconnect(struct bus *bus, bool flush) {
    stop_watching(bus);
    bus->named = false;
    calls_drop_all(bus);
    identities_drop_all(bus);
    modules_drop_all(bus);
    units_drop_all(bus);
    bus->units_asked = NULL;
    if (!bus->connection)
        return;
    /* A bus that does not read would block a flush. */
    if (flush)
        sd_bus_flush_close_unref(TAKE_POINTER(bus->connection));
    else
        sd_bus_close_unref(TAKE_POINTER(bus->connection));
}

static void fail(struct bus *bus, int error) {
    disconnect(bus, false);
    if (bus->ready) {
        bus_ready *ready = TAKE_POINTER(bus->ready);
        ready(error, bus->ready_data);
        return;
    }
    log_message(LOG_WARNING, "The bus is gone (%s); trying to come back.", strerror(-error));
    ev_timer_set(&bus->reconnect, bus->reconnect_seconds, 0.);
    ev_timer_start(bus->loop, &bus->reconnect);
    if (bus->reconnect_seconds < RECONNECT_SECONDS_MAX)
        bus->reconnect_seconds *= 2;
}

/* At most so many messages a turn, so that kernel events and timers get their turn in a flood. What
 * is left makes the next time-out 0. */
static void drain(struct bus *bus) {
    for (unsigned i = 0; i < MESSAGES_PER_TURN && bus->connection; i++) {
        int r = sd_bus_process(bus->connection, NULL);
        if (r < 0 || bus->failed) {
            bus->failed = false;
            fail(bus, r < 0 ? r : -ECONNRESET);
            return;
        }
        if (r == 0)
            return;
    }
}

static void on_input(struct ev_loop *loop, ev_io *watcher, int events) {
    drain(watcher->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events) {
    drain(watcher->data);
}

static void watch_fd(struct bus *bus, int fd, int wanted) {
    int events = (wanted & POLLIN ? EV_READ : 0) | (wanted & POLLOUT ? EV_WRITE : 0);

    if (ev_is_active(&bus->input) && bus->input.fd == fd &&
        (bus->input.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(bus->loop, &bus->input);
    if (!events)
        return;
    ev_io_set(&bus->input, fd, events);
    ev_io_start(bus->loop, &bus->input);
}

static void watch_time(struct bus *bus, uint64_t until) {
    uint64_t now = now_monotonic();

    ev_timer_stop(bus->loop, &bus->timer);
    if (until == UINT64_MAX)
        return;
    /* In the past means now, not never. */
    double seconds = until > now ? (double)(until - now) / 1e6 : 0.;
    ev_now_update(bus->loop);
    ev_timer_set(&bus->timer, seconds, 0.);
    ev_timer_start(bus->loop, &bus->timer);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents) {
    struct bus *bus = watcher->data;
    uint64_t until = UINT64_MAX;

    if (!bus->connection)
        return;
    int fd = sd_bus_get_fd(bus->connection);
    int wanted = sd_bus_get_events(bus->connection);
    int r = sd_bus_get_timeout(bus->connection, &until);
    if (fd < 0 || wanted < 0 || r < 0) {
        fail(bus, fd < 0 ? fd : wanted < 0 ? wanted : r);
        return;
    }
    watch_fd(bus, fd, wanted);
    watch_time(bus, until);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct bus *bus = userdata;

    bus->failed = true;
    return 1;
}

static int error_of(sd_bus_message *reply) {
    return -sd_bus_message_get_errno(reply);
}

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const sd_bus_error *refusal = sd_bus_message_get_error(reply);
    struct bus *bus = userdata;
    uint32_t answer = 0;

    if (!refusal)
        (void)sd_bus_message_read(reply, "u", &answer);
    if (answer != NAME_IS_OURS) {
        log_message(LOG_ERR, "The name %s can not be had: %s", BUS_NAME,
                    refusal ? refusal->message : "another dmaownd has it.");
        bus->failed = true;
        return 1;
    }
    bus->named = true;
    bus->reconnect_seconds = RECONNECT_SECONDS_MIN;
    if (bus->ready) {
        bus_ready *ready = TAKE_POINTER(bus->ready);
        ready(0, bus->ready_data);
    } else {
        log_message(LOG_NOTICE, "Back on the bus.");
    }
    return 1;
}

/* Claimants that waited on another bus are gone; of the others the bus is asked. */
static void judge_connection_leases(struct bus *bus) {
    struct lease *lease, *next;

    HASH_ITER(by_id, bus->manager->leases.leases, lease, next) {
        if (lease->lifetime != POLICY_LIFETIME_CONNECTION || lease->state != LEASE_ACTIVE)
            continue;
        if (strcmp(lease->bus_id, bus->bus_id) != 0 || identity_ask(bus, lease->sender) < 0)
            manager_end_lease(bus->manager, lease, LEASE_END_DISCONNECTED);
    }
}

/* A unit that ended while nobody looked is found at once. */
static void watch_units(struct bus *bus) {
    struct lease *lease, *next;

    HASH_ITER(by_id, bus->manager->leases.leases, lease, next) {
        bus_watch_unit_of(bus, lease);
    }
}

static void request_name(struct bus *bus) {
    int r = sd_bus_request_name_async(bus->connection, NULL, BUS_NAME, 0, on_name, bus);

    if (r < 0)
        bus->failed = true;
}

/* The bus answers in order: when the name is ours, it is known which claimants are left; and systemd
 * was asked before. */
static int on_bus_id(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct bus *bus = userdata;
    const char *id = NULL;

    if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "s", &id) < 0) {
        log_message(LOG_ERR, "The bus does not say its id: %s.", strerror(-error_of(reply)));
        bus->failed = true;
        return 1;
    }
    snprintf(bus->bus_id, sizeof(bus->bus_id), "%s", id);
    judge_connection_leases(bus);
    watch_units(bus);
    units_when_asked(bus, request_name);
    return 1;
}

static int add_objects(struct bus *bus) {
    int r = sd_bus_add_object_manager(bus->connection, NULL, BUS_PATH);

    if (r >= 0)
        r = bus_add_manager(bus);
    if (r >= 0)
        r = bus_add_groups(bus);
    if (r >= 0)
        r = bus_add_devices(bus);
    if (r >= 0)
        r = bus_add_leases(bus);
    return r < 0 ? r : 0;
}

static int open_connection(struct bus *bus) {
    int r;

    if (bus->address) {
        r = sd_bus_new(&bus->connection);
        if (r >= 0)
            r = sd_bus_set_address(bus->connection, bus->address);
        if (r >= 0)
            r = sd_bus_set_bus_client(bus->connection, true);
        if (r >= 0)
            r = sd_bus_start(bus->connection);
    } else {
        r = sd_bus_open_system(&bus->connection);
    }
    return r < 0 ? r : 0;
}

static int connect_bus(struct bus *bus) {
    int r = open_connection(bus);

    if (r >= 0)
        r = sd_bus_match_signal(bus->connection, NULL, "org.freedesktop.DBus.Local",
                                "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, bus);
    if (r >= 0)
        r = identities_watch(bus);
    if (r >= 0)
        r = add_objects(bus);
    if (r >= 0)
        r = sd_bus_call_method_async(bus->connection, NULL, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId",
                                     on_bus_id, bus, NULL);
    return r < 0 ? r : 0;
}

static void on_reconnect(struct ev_loop *loop, ev_timer *watcher, int events) {
    struct bus *bus = watcher->data;
    int r = connect_bus(bus);

    if (r < 0)
        fail(bus, r);
}

int bus_new(struct manager *manager, const char *address, bus_ready *ready, void *userdata,
            struct bus **ret) {
    _cleanup_(bus_freep) struct bus *bus = calloc(1, sizeof(*bus));

    if (!bus)
        return -ENOMEM;
    bus->manager = manager;
    bus->loop = manager->loop;
    bus->address = address;
    bus->reconnect_seconds = RECONNECT_SECONDS_MIN;
    ev_init(&bus->input, on_input);
    ev_init(&bus->timer, on_timer);
    ev_init(&bus->reconnect, on_reconnect);
    ev_prepare_init(&bus->prepare, on_prepare);
    bus->input.data = bus->timer.data = bus->reconnect.data = bus->prepare.data = bus;
    int r = connect_bus(bus);
    if (r < 0)
        return r;
    bus->ready = ready;
    bus->ready_data = userdata;
    ev_prepare_start(bus->loop, &bus->prepare);
    manager->listener = &bus_listener;
    manager->listener_data = bus;
    *ret = TAKE_POINTER(bus);
    return 0;
}

struct bus *bus_free(struct bus *bus) {
    if (!bus)
        return NULL;
    bus->manager->listener = NULL;
    disconnect(bus, true);
    ev_timer_stop(bus->loop, &bus->reconnect);
    ev_prepare_stop(bus->loop, &bus->prepare);
    free(bus->last_switch_text);
    free(bus);
    return NULL;
}
