/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "talk.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define NAME "org.dmaownd1"
#define ROOT "/org/dmaownd1"
#define MANAGER "org.dmaownd1.Manager"
#define CALL_TIMEOUT (20 * 1000000ull)

static sd_bus *slots[N_SLOTS], *watch;

static void die(const char *what, int r) {
    printf("Bail out! %s: %s\n", what, strerror(-r));
    exit(EXIT_FAILURE);
}

/* ---- Connections */

/* The bus takes the credentials of the moment. */
static sd_bus *connect_as(enum user user) {
    const gid_t dmaown = DMAOWN_GID;
    const char *name;
    sd_bus *bus;
    int r;

    if (setgroups(user == USER_ALICE, &dmaown) < 0 || setegid(user_ids[user]) < 0 ||
        seteuid(user_ids[user]) < 0)
        die("seteuid", -errno);
    r = sd_bus_open_system(&bus);
    if (r >= 0)
        r = sd_bus_get_unique_name(bus, &name);
    if (r < 0)
        die("system bus", r);
    if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0)
        die("seteuid", -errno);
    (void)sd_bus_set_method_call_timeout(bus, CALL_TIMEOUT);
    return bus;
}

void talk_reopen(unsigned slot) {
    if (slots[slot])
        sd_bus_flush_close_unref(slots[slot]);
    slots[slot] = connect_as(slot_users[slot]);
}

/* ---- Signals */

static struct {
    char lease[LEASE_NAME_MAX], why[24];
} ends[ENDED_MAX];
static unsigned n_ends;
static char conflicts[4 * ENDED_MAX][32];
static unsigned n_conflicts;

static int on_ended(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    const char *lease, *why;

    if (n_ends == ENDED_MAX || sd_bus_message_read(m, "o", &lease) < 0 ||
        sd_bus_message_skip(m, "au") < 0 || sd_bus_message_read(m, "s", &why) < 0)
        return 0;
    snprintf(ends[n_ends].lease, sizeof(ends[n_ends].lease), "%s", lease);
    snprintf(ends[n_ends].why, sizeof(ends[n_ends].why), "%s", *talk_ended(lease) ? "twice" : why);
    n_ends++;
    return 0;
}

static int on_conflict(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    const char *device;

    if (n_conflicts < 4 * ENDED_MAX && sd_bus_message_read(m, "us", NULL, &device) >= 0)
        snprintf(conflicts[n_conflicts++], sizeof(conflicts[0]), "%s", device);
    return 0;
}

const char *talk_ended(const char *lease) {
    const char *why = "";

    for (unsigned i = 0; i < n_ends; i++)
        if (strcmp(ends[i].lease, lease) == 0)
            why = ends[i].why;
    return why;
}

unsigned talk_conflicts(const char *device) {
    unsigned n = 0;

    for (unsigned i = 0; i < n_conflicts; i++)
        n += strcmp(conflicts[i], device) == 0;
    return n;
}

static void take_signals(void) {
    int r;

    while ((r = sd_bus_process(watch, NULL)) > 0)
        ;
    if (r < 0)
        die("system bus", r);
}

void talk_forget_signals(void) {
    take_signals();
    n_ends = n_conflicts = 0;
}

void talk_open_all(void) {
    int r;

    for (unsigned i = 0; i < N_SLOTS; i++)
        talk_reopen(i);
    watch = connect_as(USER_ROOT);
    r = sd_bus_match_signal(watch, NULL, NULL, ROOT, MANAGER, "LeaseEnded", on_ended, NULL);
    if (r >= 0)
        r = sd_bus_match_signal(watch, NULL, NULL, ROOT, MANAGER, "Conflict", on_conflict, NULL);
    if (r < 0)
        die("match", r);
}

/* ---- Calls */

/* Sends and unrefs m; what is asked is kept in memory that the next call takes. */
static const char *finish(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret_reply) {
    static char word[64];
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    int r = sd_bus_call(bus, m, CALL_TIMEOUT, &error, &reply);

    sd_bus_message_unref(m);
    const char *name = r >= 0 ? "" : error.name ?: "lost";
    snprintf(word, sizeof(word), "%s", strrchr(name, '.') ? strrchr(name, '.') + 1 : name);
    sd_bus_error_free(&error);
    if (ret_reply)
        *ret_reply = reply;
    else
        sd_bus_message_unref(reply);
    return word;
}

static sd_bus_message *new_call(sd_bus *bus, const char *path, const char *interface,
                                const char *member) {
    sd_bus_message *m;
    int r = sd_bus_message_new_method_call(bus, &m, NAME, path, interface, member);

    if (r < 0)
        die(member, r);
    return m;
}

static int append_targets(sd_bus_message *m, const struct event *event) {
    char number[16];
    int r = sd_bus_message_open_container(m, 'a', "s");

    for (int i = 0; r >= 0 && i < N_GROUPS; i++) {
        snprintf(number, sizeof(number), "%d", FIRST_GROUP + i);
        if (event->targets & 1u << i)
            r = sd_bus_message_append(m, "s", number);
    }
    if (r >= 0 && event->place != NO_PLACE)
        r = sd_bus_message_append(m, "s", places[event->place].name);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

const char *talk_lifetime_word(unsigned lifetime) {
    return lifetime == LIFETIME_CONNECTION ? "connection"
           : lifetime == LIFETIME_FD       ? "fd"
           : lifetime == LIFETIME_PROCESS  ? "process"
                                           : "persistent";
}

static int append_options(sd_bus_message *m, const struct event *event, pid_t pid) {
    char key[16];
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}", "lifetime", "s", talk_lifetime_word(event->lifetime));
    if (r >= 0 && event->lifetime == LIFETIME_PROCESS)
        r = sd_bus_message_append(m, "{sv}", "pid", "u", (uint32_t)pid);
    if (r >= 0 && event->mode == MODE_FD)
        r = sd_bus_message_append(m, "{sv}", "mode", "s", "fd");
    if (r >= 0 && event->mode == MODE_FD && event->container)
        r = sd_bus_message_append(m, "{sv}", "container", "b", 1);
    if (r >= 0 && event->ttl)
        r = sd_bus_message_append(m, "{sv}", "ttl", "t",
                                  (uint64_t)(event->ttl == TTL_BAD ? 0 : event->ttl));
    if (r >= 0 && event->holder != slot_users[event->slot])
        r = sd_bus_message_append(m, "{sv}", "uid", "u", user_ids[event->holder]);
    snprintf(key, sizeof(key), "key-%u", event->key);
    if (r >= 0 && event->key)
        r = sd_bus_message_append(m, "{sv}", "key", "s", key);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static const char *ask(const char *member, const struct event *event, pid_t pid,
                       sd_bus_message **ret_reply) {
    sd_bus *bus = slots[event->slot];
    sd_bus_message *m = new_call(bus, ROOT, MANAGER, member);
    int r = append_targets(m, event);

    if (r >= 0)
        r = append_options(m, event, pid);
    if (r < 0)
        die(member, r);
    return finish(bus, m, ret_reply);
}

static int group_of(const char *text);

/* "group:30", "container" or "lease". */
static int *file_of(struct granted *granted, const char *key) {
    if (strcmp(key, "container") == 0)
        return &granted->container;
    if (strcmp(key, "lease") == 0)
        return &granted->keeper;
    if (strncmp(key, "group:", 6) == 0 && group_of(key + 6) != NO_GROUP)
        return &granted->groups[group_of(key + 6)];
    return NULL;
}

static int take_files(sd_bus_message *reply, struct granted *granted) {
    const char *key;
    int fd, r = sd_bus_message_enter_container(reply, 'a', "{sh}");

    while (r >= 0 && (r = sd_bus_message_read(reply, "{sh}", &key, &fd)) > 0) {
        int *file = file_of(granted, key);
        granted->n_files++;
        if (!file || *file >= 0)
            return -EBADMSG;
        *file = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
    return r;
}

const char *talk_claim(const struct event *event, pid_t pid, struct granted *ret) {
    sd_bus_message *reply;
    const char *error = ask("Claim", event, pid, &reply), *lease = "";

    *ret = (struct granted){.container = -1, .keeper = -1};
    memset(ret->groups, -1, sizeof(ret->groups));
    if (!*error && (sd_bus_message_read(reply, "o", &lease) < 0 || take_files(reply, ret) < 0))
        error = "garbled";
    snprintf(ret->lease, sizeof(ret->lease), "%s", lease);
    sd_bus_message_unref(reply);
    return error;
}

const char *talk_explain(const struct event *event, pid_t pid, const char **ret_reason) {
    static char reason[32];
    sd_bus_message *reply;
    const char *error = ask("Explain", event, pid, &reply), *text = "";

    if (!*error && sd_bus_message_read(reply, "bs", NULL, &text) < 0)
        error = "garbled";
    snprintf(reason, sizeof(reason), "%s", text);
    *ret_reason = reason;
    sd_bus_message_unref(reply);
    return error;
}

const char *talk_release(const struct event *event, const char *lease) {
    sd_bus_message *m = new_call(slots[event->slot], ROOT, MANAGER,
                                 event->kind == EVENT_REVOKE ? "Revoke" : "Release");
    int r = event->kind == EVENT_REVOKE ? sd_bus_message_append(m, "oa{sv}", lease, 0)
                                        : sd_bus_message_append(m, "o", lease);

    if (r < 0)
        die("Release", r);
    return finish(slots[event->slot], m, NULL);
}

const char *talk_lifetime(const struct event *event, const char *lease, pid_t pid) {
    sd_bus_message *m = new_call(slots[event->slot], lease, NAME ".Lease", "SetLifetime");
    int r = append_options(m, event, pid);

    if (r < 0)
        die("SetLifetime", r);
    return finish(slots[event->slot], m, NULL);
}

const char *talk_reload(unsigned slot) {
    return finish(slots[slot], new_call(slots[slot], ROOT, MANAGER, "Reload"), NULL);
}

const char *talk_rescan(void) {
    return finish(watch, new_call(watch, ROOT, MANAGER, "Rescan"), NULL);
}

/* ---- Reading */

static int group_of(const char *text) {
    const char *slash = strrchr(text, '/');
    int group = atoi(slash ? slash + 1 : text) - FIRST_GROUP;

    return group >= 0 && group < N_GROUPS ? group : NO_GROUP;
}

static void copy(char *to, size_t size, const char *text) {
    snprintf(to, size, "%s", text);
}

bool talk_list(unsigned slot, struct listed ret[N_GROUPS]) {
    sd_bus_message *m = new_call(slots[slot], ROOT, MANAGER, "ListGroups"), *reply;
    const char *owner, *verdict, *node, *path;
    uint32_t id, members;
    int r;

    memset(ret, 0, N_GROUPS * sizeof(*ret));
    if (*finish(slots[slot], m, &reply)) {
        sd_bus_message_unref(reply);
        return false;
    }
    r = sd_bus_message_enter_container(reply, 'a', "(ussuso)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(ussuso)", &id, &owner, &verdict, &members,
                                              &node, &path)) > 0) {
        if (id < FIRST_GROUP || id >= FIRST_GROUP + N_GROUPS)
            continue;
        struct listed *group = &ret[id - FIRST_GROUP];
        group->there = true;
        group->members = members;
        copy(group->owner, sizeof(group->owner), owner);
        copy(group->verdict, sizeof(group->verdict), strcmp(verdict, "grantable") ? verdict : "");
    }
    sd_bus_message_unref(reply);
    return r >= 0;
}

/* One property that is read or passed over: a text, a number, a truth or a list of paths. */
struct value {
    const char *text;
    uint32_t number;
    int truth;
    unsigned groups;
};

static int read_groups(sd_bus_message *m, unsigned *ret) {
    const char *path;
    int r = sd_bus_message_enter_container(m, 'a', "o");

    while (r >= 0 && (r = sd_bus_message_read(m, "o", &path)) > 0)
        if (group_of(path) != NO_GROUP)
            *ret |= 1u << group_of(path);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_variant(sd_bus_message *m, struct value *ret) {
    const char *contents;
    char type;
    int r = sd_bus_message_peek_type(m, &type, &contents);

    *ret = (struct value){.text = ""};
    if (r < 0)
        return r;
    if (strcmp(contents, "s") && strcmp(contents, "o") && strcmp(contents, "u") &&
        strcmp(contents, "b") && strcmp(contents, "ao"))
        return sd_bus_message_skip(m, "v");
    r = sd_bus_message_enter_container(m, 'v', contents);
    if (r < 0)
        return r;
    if (*contents == 'a')
        r = read_groups(m, &ret->groups);
    else
        r = sd_bus_message_read_basic(m, *contents,
                                      *contents == 'u'   ? (void *)&ret->number
                                      : *contents == 'b' ? (void *)&ret->truth
                                                         : (void *)&ret->text);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static void take_lease(struct seen_lease *lease, const char *name, const struct value *value) {
    if (strcmp(name, "Uid") == 0)
        lease->holder = value->number;
    else if (strcmp(name, "ClaimantUid") == 0)
        lease->claimant = value->number;
    else if (strcmp(name, "Groups") == 0)
        lease->groups = value->groups;
    else if (strcmp(name, "State") == 0)
        copy(lease->state, sizeof(lease->state), value->text);
    else if (strcmp(name, "Mode") == 0)
        copy(lease->mode, sizeof(lease->mode), value->text);
    else if (strcmp(name, "Lifetime") == 0)
        copy(lease->lifetime, sizeof(lease->lifetime), value->text);
    else if (strcmp(name, "Rule") == 0)
        copy(lease->rule, sizeof(lease->rule), value->text);
}

/* A device as it is read: its name may come last. */
struct seen_device {
    char name[64], driver[32], role[16];
    int group;
};

static void take_property(struct seen *seen, struct seen_device *device, const char *path,
                          const char *interface, const char *name, const struct value *value) {
    int group = group_of(path);

    if (strcmp(interface, NAME ".Device") == 0) {
        if (strcmp(name, "Name") == 0)
            copy(device->name, sizeof(device->name), value->text);
        else if (strcmp(name, "Driver") == 0)
            copy(device->driver, sizeof(device->driver), value->text);
        else if (strcmp(name, "Role") == 0)
            copy(device->role, sizeof(device->role), value->text);
        else if (strcmp(name, "Group") == 0)
            device->group = strlen(value->text) > 1 ? group_of(value->text) : NO_GROUP;
    } else if (strcmp(interface, NAME ".Group") == 0 && group != NO_GROUP) {
        seen->groups[group].there = true;
        if (strcmp(name, "Owner") == 0)
            copy(seen->groups[group].owner, sizeof(seen->groups[group].owner), value->text);
        else if (strcmp(name, "Viable") == 0)
            seen->groups[group].viable = value->truth;
    } else if (strcmp(interface, NAME ".Lease") == 0 && seen->n_leases < 2 * LIVE_MAX) {
        struct seen_lease *lease = &seen->leases[seen->n_leases];
        copy(lease->name, sizeof(lease->name), path);
        take_lease(lease, name, value);
    }
}

static void take_device(struct seen *seen, const struct seen_device *device) {
    for (unsigned i = 0; i < N_PLACES; i++) {
        if (strcmp(places[i].name, device->name) != 0)
            continue;
        seen->places[i].present = true;
        seen->places[i].group = device->group;
        copy(seen->places[i].driver, sizeof(seen->places[i].driver), device->driver);
        copy(seen->places[i].role, sizeof(seen->places[i].role), device->role);
    }
}

static int read_interfaces(sd_bus_message *m, const char *path, struct seen *seen) {
    struct seen_device device = {.group = NO_GROUP};
    const char *interface, *name;
    struct value value;
    int r;

    while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
        r = sd_bus_message_read(m, "s", &interface);
        if (r >= 0)
            r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
            r = sd_bus_message_read(m, "s", &name);
            if (r >= 0)
                r = read_variant(m, &value);
            if (r >= 0)
                take_property(seen, &device, path, interface, name, &value);
            if (r >= 0)
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    take_device(seen, &device);
    return r;
}

bool talk_see(struct seen *ret) {
    sd_bus_message *reply;
    const char *path;
    int r;

    *ret = (struct seen){0};
    if (*finish(watch,
                new_call(watch, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
                &reply)) {
        sd_bus_message_unref(reply);
        return false;
    }
    r = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
        r = sd_bus_message_read(reply, "o", &path);
        if (r >= 0)
            r = sd_bus_message_enter_container(reply, 'a', "{sa{sv}}");
        if (r >= 0)
            r = read_interfaces(reply, path, ret);
        ret->n_leases += ret->n_leases < 2 * LIVE_MAX && *ret->leases[ret->n_leases].name;
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    sd_bus_message_unref(reply);
    take_signals();
    return r >= 0;
}
