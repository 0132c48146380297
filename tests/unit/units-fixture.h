/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemd is played at the other end of a socket pair, by the library itself and without a bus
 * between: names have no owners here, and a signal's sender is what the test says. */

#include "bus/units.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "util/string.h"

#include "tree.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNIT_PATH MANAGER_PATH "/unit/"

static struct bus bus;
static sd_bus *peer;

/* What systemd says of each unit, and what it was asked. */
static struct {
    const char *id, *load, *active, *error;
    unsigned job;
    bool holds; /* the answer, until let_go() */
    sd_bus_message *held[4];
    unsigned n_held, asked, subscribed, unsubscribed;
    char path[256];
} systemd;

/* ---- Helpers */

static inline void answer(sd_bus_message *call) {
    int r = systemd.error ? sd_bus_reply_method_errorf(call, systemd.error, "A sentence.")
                          : sd_bus_reply_method_return(
                                call, "a{sv}", 6, "Names", "as", 2, systemd.id, "alias.service", "Id",
                                "s", systemd.id, "LoadState", "s", systemd.load, "ActiveState", "s",
                                systemd.active, "Job", "(uo)", systemd.job, "/", "Following", "s", "");

    ck_assert_int_ge(r, 0);
}

static inline void let_go(void) {
    systemd.holds = false;
    for (unsigned i = 0; i < systemd.n_held; i++) {
        answer(systemd.held[i]);
        sd_bus_message_unref(systemd.held[i]);
    }
    systemd.n_held = 0;
}

static inline int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    const char *interface;

    if (sd_bus_message_is_method_call(call, SYSTEMD ".Manager", "Subscribe")) {
        systemd.subscribed++;
        return sd_bus_reply_method_return(call, NULL);
    }
    if (sd_bus_message_is_method_call(call, SYSTEMD ".Manager", "Unsubscribe")) {
        systemd.unsubscribed++;
        return sd_bus_reply_method_return(call, NULL);
    }
    if (!sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "GetAll"))
        return 0;
    ck_assert_int_gt(sd_bus_message_read(call, "s", &interface), 0);
    ck_assert_str_eq(interface, SYSTEMD ".Unit");
    ck_assert_str_eq(sd_bus_message_get_destination(call), SYSTEMD);
    ck_assert_int_eq(sd_bus_message_get_auto_start(call), 0);
    systemd.asked++;
    snprintf(systemd.path, sizeof(systemd.path), "%s", sd_bus_message_get_path(call));
    if (systemd.holds)
        systemd.held[systemd.n_held++] = sd_bus_message_ref(call);
    else
        answer(call);
    return 1;
}

/* Until neither side has anything left to read or write. */
static inline void pump(void) {
    int ours, theirs;

    do {
        ours = bus.connection ? sd_bus_process(bus.connection, NULL) : 0;
        theirs = sd_bus_process(peer, NULL);
        ck_assert_int_ge(theirs, 0);
    } while (ours > 0 || theirs > 0);
}

static inline void wait_ready(void) {
    for (int rounds = 0; sd_bus_is_ready(bus.connection) <= 0 || sd_bus_is_ready(peer) <= 0; rounds++) {
        ck_assert_int_lt(rounds, 1000);
        ck_assert_int_ge(sd_bus_process(bus.connection, NULL), 0);
        ck_assert_int_ge(sd_bus_process(peer, NULL), 0);
    }
}

static inline void set_up(void) {
    sd_id128_t id;
    int ends[2];

    memset(&bus, 0, sizeof(bus));
    bus.loop = ev_loop_new(EVFLAG_NOENV | EVFLAG_AUTO);
    ck_assert_int_eq(sd_id128_randomize(&id), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    ck_assert_int_ge(sd_bus_new(&bus.connection), 0);
    ck_assert_int_ge(sd_bus_set_fd(bus.connection, ends[0], ends[0]), 0);
    ck_assert_int_ge(sd_bus_new(&peer), 0);
    ck_assert_int_ge(sd_bus_set_fd(peer, ends[1], ends[1]), 0);
    ck_assert_int_ge(sd_bus_set_server(peer, 1, id), 0);
    ck_assert_int_ge(sd_bus_add_filter(peer, NULL, on_call, NULL), 0);
    ck_assert_int_ge(sd_bus_start(peer), 0);
    ck_assert_int_ge(sd_bus_start(bus.connection), 0);
    wait_ready();
    memset(&systemd, 0, sizeof(systemd));
    systemd.id = "a.service";
    systemd.load = "loaded";
    systemd.active = "active";
}

static inline void tear_down(void) {
    units_drop_all(&bus);
    ck_assert_ptr_null(bus.units);
    for (unsigned i = 0; i < systemd.n_held; i++)
        sd_bus_message_unref(systemd.held[i]);
    sd_bus_close_unref(bus.connection);
    sd_bus_close_unref(peer);
    ev_loop_destroy(bus.loop);
}
