/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/identity.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include <systemd/sd-login.h>

#include "bus/call.h"
#include "model/outcome.h"
#include "util/string.h"
#include "util/user.h"

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
    return identity && lease_is_visible_to(lease, identity->uid);
}

static void identity_free(struct identity *identity) {
    for (size_t i = 0; i < identity->n_held; i++)
        sd_bus_message_unref(identity->held[i]);
    worker_free(identity->worker);
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

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct bus *bus = userdata;
    const char *name, *old_owner, *new_owner;

    if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) < 0 || *new_owner)
        return 0;
    struct identity *identity = find(bus, name);
    if (identity)
        forget(identity);
    manager_sender_gone(bus->manager, name, bus->bus_id);
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
            (void)sd_bus_reply_method_errno(identity->held[i], r, NULL);
        sd_bus_message_unref(identity->held[i]);
    }
    identity->n_held = 0;
}

static void become_known(struct identity *identity) {
    find_unit(identity);
    identity->known = true;
    handle_held(identity);
}

/* Nothing is known of the caller: its calls are refused, and the next one asks again. */
static void give_up(struct identity *identity, const char *why) {
    log_message(LOG_WARNING, "Who %s is can not be found out: %s.", identity->name, why);
    refuse_held(identity, "Who you are can not be found out; try again.");
    forget(identity);
}

static int look_up_gids(int output, void *userdata) {
    const struct identity *identity = userdata;

    return user_groups_write(identity->uid, output);
}

static void on_gids(int result, const char *output, size_t size, void *userdata) {
    struct identity *identity = userdata;

    identity->worker = NULL;
    if (result >= 0)
        result = user_groups_read(output, &identity->gids, &identity->n_gids);
    if (result < 0)
        give_up(identity, strerror(-result));
    else
        become_known(identity);
}

static int on_no_credentials(struct identity *identity, const sd_bus_error *error) {
    struct bus *bus = identity->bus;

    if (!sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
        give_up(identity, error->message ?: error->name);
        return 1;
    }
    manager_sender_gone(bus->manager, identity->name, bus->bus_id);
    forget(identity);
    return 1;
}

static int on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct identity *identity = userdata;

    if (sd_bus_message_is_method_error(reply, NULL))
        return on_no_credentials(identity, sd_bus_message_get_error(reply));
    int r = read_credentials(reply, identity);
    if (r >= 0 && !identity->gids)
        r = worker_start(identity->bus->loop, look_up_gids, on_gids, identity, &identity->worker);
    if (r < 0)
        give_up(identity, strerror(-r));
    else if (!identity->worker)
        become_known(identity);
    return 1;
}

static int look_up(struct identity *identity) {
    return sd_bus_call_method_async(identity->bus->connection, &identity->lookup,
                                    "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                    "org.freedesktop.DBus", "GetConnectionCredentials",
                                    on_credentials, identity, "s", identity->name);
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

int identity_ask(struct bus *bus, const char *name) {
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

int identities_watch(struct bus *bus) {
    int r = sd_bus_add_match_async(bus->connection, NULL,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                                   "member='NameOwnerChanged',arg2=''",
                                   on_owner_changed, NULL, bus);

    return r < 0 ? r : sd_bus_add_filter(bus->connection, NULL, hold_unknown, bus);
}
