/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Services of the system that dmaownd asks: polkit and the service manager. */
#include "caller.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    const char *answer = userdata, *kind, *key, *name, *action;

    if (!sd_bus_message_is_method_call(m, NULL, "CheckAuthorization"))
        return 0;
    if (sd_bus_message_enter_container(m, 'r', "sa{sv}") < 0 ||
        sd_bus_message_read(m, "s", &kind) < 0 ||
        sd_bus_message_read(m, "a{sv}", 1, &key, "s", &name) < 0 ||
        sd_bus_message_exit_container(m) < 0 || sd_bus_message_read(m, "s", &action) < 0)
        return -EINVAL;
    printf("asked %s\n", action);
    fflush(stdout);
    if (strcmp(answer, "hang") == 0)
        return 1;
    return sd_bus_reply_method_return(m, "(bba{ss})", strcmp(answer, "yes") == 0, 0, 0);
}

int polkit(sd_bus *bus, const char *answer) {
    int r = sd_bus_add_object(bus, NULL, "/org/freedesktop/PolicyKit1/Authority", on_check,
                              (void *) answer);

    if (r >= 0)
        r = sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0);
    if (r < 0)
        return fail(r, "polkit");
    printf("polkit\n");
    return until_input_ends(bus);
}

#define SYSTEMD "org.freedesktop.systemd1"
#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"
#define UNITS 32

static struct unit {
    char name[256], alias[256], state[32];
    uint32_t job;
} units[UNITS];
static int unit_count;
static bool hangs;
static sd_bus_track *subscribers;

static struct unit *unit_named(const char *name) {
    for (int i = 0; i < unit_count; i++)
        if (strcmp(units[i].name, name) == 0 || strcmp(units[i].alias, name) == 0)
            return &units[i];
    return NULL;
}

static const char *sub_state(const char *state) {
    static const char *const known[][2] = {{"active", "running"},         {"inactive", "dead"},
                                           {"failed", "failed"},          {"activating", "start"},
                                           {"deactivating", "stop-sigterm"}, {"reloading", "reload"}};

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(known[i][0], state) == 0)
            return known[i][1];
    return "dead";
}

static int append_job(sd_bus_message *m, const struct unit *unit) {
    char path[64] = "/";

    if (unit && unit->job)
        snprintf(path, sizeof(path), "/org/freedesktop/systemd1/job/%u", unit->job);
    return sd_bus_message_append(m, "(uo)", unit ? unit->job : 0, path);
}

/* The value alone, as a variant; 0 for a property that there is not. */
static int append_property(sd_bus_message *m, const char *name, const struct unit *unit,
                           const char *asked) {
    const char *state = unit ? unit->state : "inactive", *id = unit ? unit->name : asked;
    int r;

    if (strcmp(name, "Id") == 0)
        return sd_bus_message_append(m, "v", "s", id);
    if (strcmp(name, "LoadState") == 0)
        return sd_bus_message_append(m, "v", "s", unit ? "loaded" : "not-found");
    if (strcmp(name, "ActiveState") == 0)
        return sd_bus_message_append(m, "v", "s", state);
    if (strcmp(name, "SubState") == 0)
        return sd_bus_message_append(m, "v", "s", sub_state(state));
    if (strcmp(name, "Names") == 0 && unit && *unit->alias)
        return sd_bus_message_append(m, "v", "as", 2, id, unit->alias);
    if (strcmp(name, "Names") == 0)
        return sd_bus_message_append(m, "v", "as", 1, id);
    if (strcmp(name, "Job") != 0)
        return 0;
    r = sd_bus_message_open_container(m, 'v', "(uo)");
    if (r >= 0)
        r = append_job(m, unit);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : 1;
}

static int append_properties(sd_bus_message *m, const char *const *names, const struct unit *unit,
                             const char *asked) {
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    for (; r >= 0 && *names; names++) {
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
            r = sd_bus_message_append(m, "s", *names);
        if (r >= 0)
            r = append_property(m, *names, unit, asked);
        if (r >= 0)
            r = sd_bus_message_close_container(m);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int reply_properties(sd_bus_message *m, const char *asked) {
    static const char *const all[] = {"Id",       "Names", "LoadState", "ActiveState",
                                      "SubState", "Job",   NULL};
    const struct unit *unit = unit_named(asked);
    const char *interface, *name;
    sd_bus_message *reply = NULL;
    int r = sd_bus_message_read(m, "s", &interface);

    if (r >= 0)
        r = sd_bus_message_new_method_return(m, &reply);
    if (r < 0)
        return r;
    if (sd_bus_message_is_method_call(m, NULL, "GetAll")) {
        r = append_properties(reply, all, unit, asked);
    } else {
        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
            r = append_property(reply, name, unit, asked);
        if (r == 0)
            return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_PROPERTY, "No %s.", name);
    }
    r = r < 0 ? r : sd_bus_send(NULL, reply, NULL);
    sd_bus_message_unref(reply);
    return r < 0 ? r : 1;
}

static int reply_unit(sd_bus_message *m, bool load) {
    const char *name;
    char *path = NULL;
    int r = sd_bus_message_read(m, "s", &name);

    if (r < 0)
        return r;
    if (!load && !unit_named(name))
        return sd_bus_reply_method_errorf(m, SYSTEMD ".NoSuchUnit", "Unit %s not loaded.", name);
    r = sd_bus_path_encode(UNIT_PREFIX, name, &path);
    if (r >= 0)
        r = sd_bus_reply_method_return(m, "o", path);
    free(path);
    return r;
}

static int on_manager(sd_bus_message *m) {
    if (sd_bus_message_is_method_call(m, NULL, "Subscribe")) {
        if (sd_bus_track_count_sender(subscribers, m) > 0)
            return sd_bus_reply_method_errorf(m, SYSTEMD ".AlreadySubscribed", "Subscribed already.");
        sd_bus_track_add_sender(subscribers, m);
        return sd_bus_reply_method_return(m, NULL);
    }
    if (sd_bus_message_is_method_call(m, NULL, "Unsubscribe")) {
        sd_bus_track_remove_sender(subscribers, m);
        return sd_bus_reply_method_return(m, NULL);
    }
    if (sd_bus_message_is_method_call(m, NULL, "StartUnit"))
        return jobs_start_unit(m);
    if (sd_bus_message_is_method_call(m, NULL, "GetUnit"))
        return reply_unit(m, false);
    return sd_bus_message_is_method_call(m, NULL, "LoadUnit") ? reply_unit(m, true) : 0;
}

static int on_systemd(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    char *name = NULL;
    int r;

    printf("asked %s %s\n", sd_bus_message_get_member(m), sd_bus_message_get_path(m));
    fflush(stdout);
    if (hangs)
        return 1;
    if (sd_bus_message_is_method_call(m, SYSTEMD ".Manager", NULL))
        return on_manager(m);
    if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", NULL))
        return 0;
    if (sd_bus_path_decode(sd_bus_message_get_path(m), UNIT_PREFIX, &name) <= 0)
        return 0;
    r = reply_properties(m, name);
    free(name);
    return r;
}

/* As systemd: to subscribers, on the object of the unit's own name. */
static int emit_changed(sd_bus *bus, const struct unit *unit) {
    static const char *const changing[] = {"ActiveState", "SubState", "Job", NULL};
    sd_bus_message *m = NULL;
    char *path = NULL;
    int r;

    if (sd_bus_track_count(subscribers) == 0)
        return 0;
    r = sd_bus_path_encode(UNIT_PREFIX, unit->name, &path);
    if (r >= 0)
        r = sd_bus_message_new_signal(bus, &m, path, "org.freedesktop.DBus.Properties",
                                      "PropertiesChanged");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", SYSTEMD ".Unit");
    if (r >= 0)
        r = append_properties(m, changing, unit, unit->name);
    if (r >= 0)
        r = sd_bus_message_append(m, "as", 0);
    if (r >= 0)
        r = sd_bus_send(bus, m, NULL);
    sd_bus_message_unref(m);
    free(path);
    return r;
}

static int emit_job_removed(sd_bus *bus, const struct unit *unit, uint32_t job) {
    char path[64];

    if (job == 0 || sd_bus_track_count(subscribers) == 0)
        return 0;
    snprintf(path, sizeof(path), "/org/freedesktop/systemd1/job/%u", job);
    return sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved",
                              "uoss", job, path, unit->name, "done");
}

static int set_unit(sd_bus *bus, const char *name, const char *state, const char *job) {
    struct unit *unit = unit_named(name);
    uint32_t before;
    int r;

    if (!name || !state || (!unit && unit_count == UNITS))
        return -EINVAL;
    if (!unit) {
        unit = &units[unit_count++];
        snprintf(unit->name, sizeof(unit->name), "%s", name);
    }
    snprintf(unit->state, sizeof(unit->state), "%s", state);
    before = unit->job;
    unit->job = job ? (uint32_t) strtoul(job, NULL, 10) : 0;
    r = emit_changed(bus, unit);
    return r < 0 || before == unit->job ? r : emit_job_removed(bus, unit, before);
}

/* Of a job that is cancelled before it begins nothing is heard but this. */
static int cancel_job(sd_bus *bus, const char *name) {
    struct unit *unit = name ? unit_named(name) : NULL;
    uint32_t job;

    if (!unit)
        return -ENOENT;
    job = unit->job;
    unit->job = 0;
    return emit_job_removed(bus, unit, job);
}

static int forget_unit(sd_bus *bus, const char *name) {
    struct unit *unit = name ? unit_named(name) : NULL;
    char *path = NULL;
    int r;

    if (!unit)
        return -ENOENT;
    r = sd_bus_path_encode(UNIT_PREFIX, unit->name, &path);
    if (r >= 0 && sd_bus_track_count(subscribers) > 0)
        r = sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "UnitRemoved",
                               "so", unit->name, path);
    free(path);
    *unit = units[--unit_count];
    return r;
}

static int set_alias(const char *name, const char *alias) {
    struct unit *unit = name ? unit_named(name) : NULL;

    if (!unit || !alias)
        return -ENOENT;
    snprintf(unit->alias, sizeof(unit->alias), "%s", alias);
    return 0;
}

static int on_command(sd_bus *bus, char *line, void *userdata) {
    char *save = NULL, *verb = strtok_r(line, " ", &save), *a = strtok_r(NULL, " ", &save);
    char *b = strtok_r(NULL, " ", &save), *c = strtok_r(NULL, " ", &save);
    int r = -EINVAL;

    if (verb && strcmp(verb, "unit") == 0)
        r = set_unit(bus, a, b, c);
    else if (verb && strcmp(verb, "alias") == 0)
        r = set_alias(a, b);
    else if (verb && strcmp(verb, "forget") == 0)
        r = forget_unit(bus, a);
    else if (verb && strcmp(verb, "cancel") == 0)
        r = cancel_job(bus, a);
    else if (verb && (strcmp(verb, "hang") == 0 || strcmp(verb, "answer") == 0))
        r = hangs = *verb == 'h';
    else if (verb && strcmp(verb, "jobs") == 0)
        r = a ? jobs_hold(bus, strcmp(a, "hold") == 0) : -EINVAL;
    else if (verb && strcmp(verb, "gone") == 0)
        r = sd_bus_release_name(bus, SYSTEMD);
    else if (verb && strcmp(verb, "back") == 0)
        r = sd_bus_request_name(bus, SYSTEMD, 0);
    if (r >= 0)
        r = sd_bus_flush(bus);
    printf("%s %s\n", r < 0 ? strerror(-r) : "done", verb ? verb : "");
    return 0;
}

int service_manager(sd_bus *bus) {
    int r = sd_bus_track_new(bus, &subscribers, NULL, NULL);

    if (r >= 0)
        r = sd_bus_add_fallback(bus, NULL, "/org/freedesktop/systemd1", on_systemd, NULL);
    if (r >= 0)
        r = sd_bus_request_name(bus, SYSTEMD, 0);
    if (r < 0)
        return fail(r, "service manager");
    printf("systemd\n");
    return serve_lines(bus, on_command, NULL);
}
