/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/event.h"
#include "client/json.h"
#include "client/text.h"
#include "client/verbs-groups.h"
#include "util/string.h"

/* Prints what the daemon signals. The last known properties of every object are kept, so that a
 * change can be told with what was before. */
struct monitor {
    struct client *client;
    json_object *objects; /* as objects_read() has them */
    char *owner;          /* unique name of the daemon; NULL while it is gone */
    bool broken;          /* standard output cannot be written any more */
};

/* Signals of the manager, with names for their arguments. */
static const struct {
    const char *member, *event;
    const char *keys[4];
} manager_signals[] = {
    {"LeaseGranted", "lease-granted", {"object", "groups", "uid"}},
    {"LeaseRevoking", "lease-revoking", {"object", "seconds"}},
    {"LeaseEnded", "lease-ended", {"object", "groups", "reason"}},
    {"Conflict", "conflict", {"group", "device", "driver", "text"}},
    {"PolicyReloaded", "policy-reloaded", {"generation", "ok", "text"}},
};

/* Takes event over. */
static int monitor_print(struct monitor *monitor, json_object *event) {
    _cleanup_(json_putp) json_object *taken = event;
    _cleanup_(freep) char *line = NULL;

    if (monitor->client->json) {
        if (json_print(taken, true) < 0)
            return -ENOMEM;
    } else {
        int r = event_format(taken, &line);
        if (r < 0)
            return r;
        if (line)
            puts(line);
    }
    if (fflush(stdout) != 0)
        monitor->broken = true;
    return 0;
}

/* The lease of an event that has one, by number too. */
static int add_lease_number(json_object *event) {
    const char *path = json_text(event, "object");
    uint64_t id;

    if (parse_u64(path_basename(path), &id) < 0)
        return 0;
    return json_set(event, "lease", json_object_new_uint64(id));
}

static int read_manager_signal(struct monitor *monitor, sd_bus_message *signal, size_t index) {
    json_object *value, *event = event_new(manager_signals[index].event);
    int r = event ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(manager_signals[index].keys); i++) {
        const char *key = manager_signals[index].keys[i];
        if (!key)
            break;
        r = json_from_message(signal, &value);
        if (r >= 0)
            r = json_set(event, key, value);
    }
    if (r >= 0)
        r = add_lease_number(event);
    if (r < 0) {
        json_object_put(event);
        return r;
    }
    return monitor_print(monitor, event);
}

/* Properties of interface at path as they are known; made where there are none. Borrowed. */
static json_object *known_properties(struct monitor *monitor, const char *path,
                                     const char *interface) {
    json_object *interfaces = json_member(monitor->objects, path), *properties;

    if (!interfaces) {
        interfaces = json_object_new_object();
        if (json_set(monitor->objects, path, interfaces) < 0)
            return NULL;
    }
    properties = json_member(interfaces, interface);
    if (!properties) {
        properties = json_object_new_object();
        if (json_set(interfaces, interface, properties) < 0)
            return NULL;
    }
    return properties;
}

/* PropertiesChanged: s interface, a{sv} changed, as invalidated. */
static int read_changes(struct monitor *monitor, sd_bus_message *signal) {
    const char *interface, *path = sd_bus_message_get_path(signal);
    _cleanup_(json_putp) json_object *changes = NULL, *before = json_object_new_object();
    json_object *event, *known;
    int r = sd_bus_message_read(signal, "s", &interface);

    if (r >= 0)
        r = json_from_message(signal, &changes);
    if (r < 0)
        return r;
    known = known_properties(monitor, path, interface);
    event = event_new("changed");
    if (!known || !event || !before || event_set_object(event, path, interface, known) < 0) {
        json_object_put(event);
        return -ENOMEM;
    }
    json_object_object_foreach(changes, key, value) {
        json_object *old = json_member(known, key);
        if (old)
            (void)json_object_object_add(before, key, json_object_get(old));
        (void)json_object_object_add(known, key, json_object_get(value));
    }
    (void)json_object_object_add(event, "before", TAKE_POINTER(before));
    (void)json_object_object_add(event, "changes", TAKE_POINTER(changes));
    return monitor_print(monitor, event);
}

/* InterfacesAdded: o path, a{sa{sv}} interfaces. */
static int read_added(struct monitor *monitor, sd_bus_message *signal) {
    const char *path;
    json_object *interfaces;
    int r = sd_bus_message_read(signal, "o", &path);

    if (r >= 0)
        r = json_from_message(signal, &interfaces);
    if (r >= 0)
        r = json_set(monitor->objects, path, interfaces);
    if (r < 0)
        return r;
    json_object_object_foreach(interfaces, interface, properties) {
        if (!event_kind(interface))
            continue;
        json_object *event = event_new("added");
        if (!event || event_set_object(event, path, interface, properties) < 0) {
            json_object_put(event);
            return -ENOMEM;
        }
        (void)json_object_object_add(event, "properties", json_object_get(properties));
        return monitor_print(monitor, event);
    }
    return 0;
}

/* InterfacesRemoved: o path, as interfaces. */
static int read_removed(struct monitor *monitor, sd_bus_message *signal) {
    _cleanup_(json_putp) json_object *interfaces = NULL;
    const char *path;
    int r = sd_bus_message_read(signal, "o", &path);

    if (r >= 0)
        r = json_from_message(signal, &interfaces);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_length(interfaces); i++) {
        json_object *name = json_object_array_get_idx(interfaces, i);
        const char *interface = json_object_get_string(name);
        if (!interface || !event_kind(interface))
            continue;
        json_object *event = event_new("removed");
        json_object *known = known_properties(monitor, path, interface);
        if (!event || event_set_object(event, path, interface, known) < 0) {
            json_object_put(event);
            return -ENOMEM;
        }
        json_object_object_del(monitor->objects, path);
        return monitor_print(monitor, event);
    }
    return 0;
}

static int read_signal(struct monitor *monitor, sd_bus_message *signal) {
    if (sd_bus_message_is_signal(signal, "org.freedesktop.DBus.Properties", "PropertiesChanged"))
        return read_changes(monitor, signal);
    if (sd_bus_message_is_signal(signal, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded"))
        return read_added(monitor, signal);
    if (sd_bus_message_is_signal(signal, "org.freedesktop.DBus.ObjectManager",
                                 "InterfacesRemoved"))
        return read_removed(monitor, signal);
    for (size_t i = 0; i < ELEMENTS_OF(manager_signals); i++)
        if (sd_bus_message_is_signal(signal, MANAGER_INTERFACE, manager_signals[i].member))
            return read_manager_signal(monitor, signal, i);
    return 0;
}

static int on_signal(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
    struct monitor *monitor = userdata;
    const char *sender = sd_bus_message_get_sender(signal);

    /* Anybody can send a signal to our own name: only the daemon's count. */
    if (!sender || !monitor->owner || strcmp(sender, monitor->owner) != 0)
        return 0;
    int r = read_signal(monitor, signal);
    if (r < 0)
        (void)client_fail(monitor->client, STATUS_ERROR, "a signal of dmaownd cannot be read: %s",
                          strerror(-r));
    return 0;
}

/* Learns who the daemon is and what there is. */
static enum exit_status monitor_refresh(struct monitor *monitor) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    json_object *objects;
    const char *owner;

    enum exit_status status = objects_read(monitor->client, &objects);
    if (status != STATUS_DONE)
        return status;
    json_object_put(monitor->objects);
    monitor->objects = objects;
    int r = sd_bus_call_method(monitor->client->bus, "org.freedesktop.DBus",
                               "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
                               &error, &reply, "s", DAEMON_NAME);
    if (r >= 0)
        r = sd_bus_message_read(reply, "s", &owner);
    if (r < 0)
        return client_fail_call(monitor->client, &error, r);
    free(monitor->owner);
    monitor->owner = strdup(owner);
    return monitor->owner ? STATUS_DONE : client_fail_memory(monitor->client);
}

static int on_owner_changed(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
    struct monitor *monitor = userdata;
    const char *sender = sd_bus_message_get_sender(signal), *name, *old, *new;

    if (!sender || strcmp(sender, "org.freedesktop.DBus") != 0 ||
        sd_bus_message_read(signal, "sss", &name, &old, &new) < 0)
        return 0;
    if (string_equal(monitor->owner, new))
        return 0; /* the start that our own first call made */
    free(TAKE_POINTER(monitor->owner));
    if (*new && monitor_refresh(monitor) != STATUS_DONE)
        return 0;
    json_object *event = event_new(*new ? "daemon-appeared" : "daemon-vanished");
    return event ? monitor_print(monitor, event) : -ENOMEM;
}

static enum exit_status monitor_subscribe(struct monitor *monitor) {
    sd_bus *bus = monitor->client->bus;
    int r = sd_bus_add_match(bus, NULL,
                             "type='signal',sender='" DAEMON_NAME
                             "',path_namespace='" DAEMON_PATH "'",
                             on_signal, monitor);

    if (r >= 0)
        r = sd_bus_add_match(bus, NULL,
                             "type='signal',sender='org.freedesktop.DBus',"
                             "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                             "arg0='" DAEMON_NAME "'",
                             on_owner_changed, monitor);
    if (r < 0)
        return client_fail(monitor->client, STATUS_ERROR, "the bus takes no subscription: %s",
                           strerror(-r));
    return monitor_refresh(monitor);
}

static enum exit_status monitor_loop(struct monitor *monitor) {
    while (!monitor->broken) {
        int r = sd_bus_process(monitor->client->bus, NULL);
        if (r == 0)
            r = sd_bus_wait(monitor->client->bus, UINT64_MAX);
        if (r < 0 && r != -EINTR)
            return client_fail(monitor->client, STATUS_UNREACHABLE, "the bus is gone: %s",
                               strerror(-r));
    }
    return STATUS_ERROR; /* main() says why */
}

static enum exit_status monitor_run(struct client *client, const struct arguments *arguments) {
    struct monitor monitor = {.client = client};
    enum exit_status status = client_connect(client);

    if (status == STATUS_DONE)
        status = monitor_subscribe(&monitor);
    if (status == STATUS_DONE) {
        fprintf(stderr, "monitoring\n");
        status = monitor_loop(&monitor);
    }
    json_object_put(monitor.objects);
    free(monitor.owner);
    return status;
}

const struct verb verb_monitor = {
    .name = "monitor",
    .synopsis = "",
    .summary = "Prints leases, conflicts and changes as they happen",
    .help = "One line an event (with --json one object), each flushed at once. Says\n"
            "'monitoring' on standard error when nothing can be missed any more, and goes on\n"
            "over a restart of the daemon. Ends with a signal or with the bus.\n",
    .json = true,
    .run = monitor_run,
};
