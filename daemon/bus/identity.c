/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/identity.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include <systemd/sd-login.h>

#include "bus/call.h"
#include "model/outcome.h"
#include "util/string.h"

#define GIDS_MAX 65536

static struct identity *find(const struct bus *bus, const char *name) {
    struct identity *identity = NULL;

    if (name)
        HASH_FIND_STR(bus->identities, name, identity);
    return identity;
}

const struct identity *identity_find(const struct bus *bus, const char *name) {
    struct identity *identity = find(bus, name);

    return identity && identity->known ? identity : NULL;
}

const struct identity *identity_of_current(const struct bus *bus) {
    sd_bus_message *message = sd_bus_get_current_message(bus->connection);

    return message ? identity_find(bus, sd_bus_message_get_sender(message)) : NULL;
}

bool identity_may_see(const struct identity *identity, const struct lease *lease) {
    return identity && (identity->uid == 0 || identity->uid == lease->claimant ||
                        identity->uid == lease->holder);
}

static void identity_free(struct identity *identity) {
    for (size_t i = 0; i < identity->n_held; i++)
        sd_bus_message_unref(identity->held[i]);
    sd_bus_slot_unref(identity->watch);
    sd_bus_slot_unref(identity->lookup);
    free(identity->name);
    free(identity->gids);
    free(identity->unit);
    free(identity);
}

static void forget(struct identity *identity) {
    HASH_DEL(identity->bus->identities, identity);
    calls_drop_of(identity->bus, identity);
    identity_free(identity);
}

void identities_drop_all(struct bus *bus) {
    struct identity *identity, *next;

    HASH_ITER(hh, bus->identities, identity, next) {
        forget(identity);
    }
}

static void name_is_gone(struct identity *identity) {
    struct bus *bus = identity->bus;

    manager_sender_gone(bus->manager, identity->name, bus->bus_id);
    forget(identity);
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct identity *identity = userdata;
    const char *name, *old_owner, *new_owner;

    if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) >= 0 && !*new_owner)
        name_is_gone(identity);
    return 0;
}

static int read_gids(sd_bus_message *reply, struct identity *identity) {
    const void *data;
    size_t size;
    int r = sd_bus_message_enter_container(reply, 'v', "au");

    if (r >= 0)
        r = sd_bus_message_read_array(reply, 'u', &data, &size);
    if (r < 0)
        return r;
    if (size > GIDS_MAX * sizeof(gid_t))
        return -E2BIG;
    identity->gids = malloc(size ?: 1);
    if (!identity->gids)
        return -ENOMEM;
    memcpy(identity->gids, data, size);
    identity->n_gids = size / sizeof(gid_t);
    return sd_bus_message_exit_container(reply);
}

static int read_credential(sd_bus_message *reply, struct identity *identity, bool *has_uid) {
    const char *key;
    uint32_t value;
    int r = sd_bus_message_read(reply, "s", &key);

    if (r < 0)
        return r;
    if (string_equal(key, "UnixUserID")) {
        r = sd_bus_message_read(reply, "v", "u", &value);
        identity->uid = value;
        *has_uid = r >= 0;
    } else if (string_equal(key, "ProcessID")) {
        r = sd_bus_message_read(reply, "v", "u", &value);
        identity->pid = (pid_t)value;
    } else if (string_equal(key, "UnixGroupIDs")) {
        r = read_gids(reply, identity);
    } else {
        r = sd_bus_message_skip(reply, "v");
    }
    return r;
}

static int read_credentials(sd_bus_message *reply, struct identity *identity) {
    bool has_uid = false;
    int r = sd_bus_message_enter_container(reply, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
        r = read_credential(reply, identity, &has_uid);
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    if (r < 0)
        return r;
    return has_uid ? 0 : -ENODATA;
}

/* A pid can be reused: the unit narrows what the uid is allowed, and never adds to it. */
static void find_unit(struct identity *identity) {
    char *unit = NULL;

    if (identity->pid > 0 && sd_pid_get_unit(identity->pid, &unit) < 0)
        unit = NULL;
    identity->unit = unit ?: strdup("");
}

static void refuse_held(struct identity *identity, const char *text) {
    for (size_t i = 0; i < identity->n_held; i++)
        (void)sd_bus_reply_method_errorf(identity->held[i],
                                         outcome_error_name(OUTCOME_ACCESS_DENIED), "%s", text);
}

/* Handed back to the library, which has nothing else read at this point: order is kept. */
static void handle_held(struct identity *identity) {
    for (size_t i = 0; i < identity->n_held; i++) {
        (void)sd_bus_message_rewind(identity->held[i], true);
        int r = sd_bus_enqueue_for_read(identity->bus->connection, identity->held[i]);
        if (r < 0)
            log_message(LOG_ERR, "A call could not be handled: %s.", strerror(-r));
        sd_bus_message_unref(identity->held[i]);
    }
    identity->n_held = 0;
}

static int on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct identity *identity = userdata;

    if (sd_bus_message_is_method_error(reply, NULL)) {
        name_is_gone(identity);
        return 1;
    }
    int r = read_credentials(reply, identity);
    if (r < 0) {
        log_message(LOG_ERR, "The bus does not say who %s is: %s.", identity->name, strerror(-r));
        refuse_held(identity, "The bus does not say who you are.");
        name_is_gone(identity);
        return 1;
    }
    find_unit(identity);
    identity->known = true;
    handle_held(identity);
    return 1;
}

/* The watch first: a name that goes in between is not missed. */
static int look_up(struct identity *identity) {
    sd_bus *connection = identity->bus->connection;
    _cleanup_(freep) char *match = string_format(
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='%s'",
        identity->name);

    if (!match)
        return -ENOMEM;
    int r = sd_bus_add_match_async(connection, &identity->watch, match, on_owner_changed, NULL,
                                   identity);
    if (r < 0)
        return r;
    return sd_bus_call_method_async(connection, &identity->lookup, "org.freedesktop.DBus",
                                    "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                    "GetConnectionCredentials", on_credentials, identity, "s",
                                    identity->name);
}

static struct identity *identity_new(struct bus *bus, const char *name) {
    struct identity *identity = calloc(1, sizeof(*identity));

    if (!identity)
        return NULL;
    identity->bus = bus;
    identity->name = strdup(name);
    if (identity->name)
        HASH_ADD_KEYPTR(hh, bus->identities, identity->name, strlen(name), identity);
    if (!identity->name || !identity->hh.tbl) {
        identity_free(identity);
        return NULL;
    }
    if (look_up(identity) >= 0)
        return identity;
    forget(identity);
    return NULL;
}

int identity_watch(struct bus *bus, const char *name) {
    return find(bus, name) || identity_new(bus, name) ? 0 : -ENOMEM;
}

static int refuse_call(sd_bus_message *message, enum outcome outcome, const char *text) {
    (void)sd_bus_reply_method_errorf(message, outcome_error_name(outcome), "%s", text);
    return 1;
}

/* Runs before any handler. 1: the message is dealt with for now. */
static int hold_unknown(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct bus *bus = userdata;
    const char *sender = sd_bus_message_get_sender(message);
    uint8_t type;

    if (sd_bus_message_get_type(message, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
        return 0;
    if (!sender || *sender != ':')
        return refuse_call(message, OUTCOME_ACCESS_DENIED, "Calls are taken from a bus only.");
    struct identity *identity = find(bus, sender) ?: identity_new(bus, sender);
    if (!identity)
        return refuse_call(message, OUTCOME_QUOTA_EXCEEDED, "Out of memory; try again.");
    if (identity->known)
        return 0;
    if (identity->n_held == IDENTITY_HELD_MAX)
        return refuse_call(message, OUTCOME_QUOTA_EXCEEDED,
                           "Too many calls before the first was answered; wait for answers.");
    identity->held[identity->n_held++] = sd_bus_message_ref(message);
    return 1;
}

int identities_add_filter(struct bus *bus) {
    return sd_bus_add_filter(bus->connection, NULL, hold_unknown, bus);
}
