/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* modprobe@.service succeeds also where modprobe did not, so what counts is whether the module is there
 * when its job has ended. */
#include "bus/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "util/string.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD_NAME ".Manager"

/* Modules have initialised by then, or something is wrong. */
#define LOAD_SECONDS 10.
#define MODULE_NAME_MAX 55 /* the kernel's */

struct module_load {
    struct bus *bus;
    uint64_t id;
    char unit[MODULE_NAME_MAX + 32];
    char name[MODULE_NAME_MAX + 1];
    sd_bus_slot *call, *jobs;
    ev_timer limit;
    struct module_load *next; /* bus::modules */
};

static void forget(struct module_load *load) {
    struct module_load **at = &load->bus->modules;

    while (*at && *at != load)
        at = &(*at)->next;
    if (*at)
        *at = load->next;
    ev_timer_stop(load->bus->loop, &load->limit);
    sd_bus_slot_unref(load->call);
    sd_bus_slot_unref(load->jobs);
    free(load);
}

static bool is_there(const struct module_load *load) {
    char path[MODULE_NAME_MAX + 16];

    snprintf(path, sizeof(path), "module/%s", load->name);
    return faccessat(load->bus->manager->sysfs, path, F_OK, 0) == 0;
}

static void finish(struct module_load *load, int error) {
    struct manager *manager = load->bus->manager;
    struct module_load copy = *load;

    forget(load);
    manager_module_loaded(manager, copy.id, copy.name, error);
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct module_load *load = userdata;
    const char *unit;

    if (sd_bus_message_read(message, "uoss", NULL, NULL, &unit, NULL) >= 0 &&
        string_equal(unit, load->unit))
        finish(load, is_there(load) ? 0 : -ENOENT);
    return 0;
}

static int on_started(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct module_load *load = userdata;

    if (sd_bus_message_is_method_error(reply, NULL)) {
        int r = sd_bus_message_get_errno(reply);
        finish(load, r > 0 ? -r : -EIO);
    } else if (is_there(load)) {
        finish(load, 0);
    }
    return 1;
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int events) {
    struct module_load *load = timer->data;

    finish(load, is_there(load) ? 0 : -ETIMEDOUT);
}

static bool name_is_valid(const char *name) {
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

    return *name && strlen(name) <= MODULE_NAME_MAX && !name[strspn(name, characters)];
}

/* Without a subscriber, systemd says nothing of jobs; that somebody subscribed before is no error. */
static int ask(struct module_load *load) {
    sd_bus *connection = load->bus->connection;
    int r = sd_bus_match_signal_async(connection, &load->jobs, SYSTEMD_NAME, SYSTEMD_PATH,
                                      SYSTEMD_MANAGER, "JobRemoved", on_job_removed, NULL, load);

    if (r >= 0)
        r = sd_bus_call_method_async(connection, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                     "Subscribe", NULL, NULL, NULL);
    if (r >= 0)
        r = sd_bus_call_method_async(connection, &load->call, SYSTEMD_NAME, SYSTEMD_PATH,
                                     SYSTEMD_MANAGER, "StartUnit", on_started, load, "ss",
                                     load->unit, "replace");
    return r;
}

int module_load(struct bus *bus, const char *module, uint64_t id) {
    if (!name_is_valid(module))
        return -EINVAL;
    if (!bus->connection)
        return -ENOTCONN;
    struct module_load *load = calloc(1, sizeof(*load));
    if (!load)
        return -ENOMEM;
    load->bus = bus;
    load->id = id;
    strcpy(load->name, module);
    snprintf(load->unit, sizeof(load->unit), "modprobe@%s.service", module);
    load->next = bus->modules;
    bus->modules = load;
    ev_timer_init(&load->limit, on_limit, LOAD_SECONDS, 0.);
    load->limit.data = load;
    ev_timer_start(bus->loop, &load->limit);
    int r = ask(load);
    if (r < 0)
        forget(load);
    return r < 0 ? r : 0;
}

void modules_drop_all(struct bus *bus) {
    while (bus->modules)
        finish(bus->modules, -ENOTCONN);
}
