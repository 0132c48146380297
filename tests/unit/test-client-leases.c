/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Not a test: the leases of the stand-in for dmaownd. Lease 3 is always there. Lease 4 is every
 * grant; with lifetime fd or connection it is an object until it ends, which is told on standard
 * output. Fds are files that contain their own key, in an order that is nobody's. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test-client-daemon.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "util/string.h"

#define KEPT ROOT "/lease/4"

static struct lease {
    uint64_t id, since;
    uint32_t uid, pid;
    const char *state, *lifetime, *unit, *comment;
    char groups[TARGETS_MAX][64];
    size_t n_groups;
} always = {
    .id = 3,
    .since = 1637586000000000,
    .state = "active",
    .lifetime = "unit",
    .unit = "machine-a.scope",
    .comment = "two\nlines",
    .groups = {ROOT "/group/12"},
    .n_groups = 1,
};

/* The last grant, while it lasts. */
static struct {
    struct lease lease;
    sd_bus_slot *slot; /* NULL: there is none */
    sd_event_source *source;
    int pipe; /* read end; -1: none */
    sd_bus_message *revoke;
} kept = {.pipe = -1};

static int get_groups(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct lease *lease = userdata;
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++)
        r = sd_bus_message_append(reply, "o", lease->groups[i]);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_openers(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    return sd_bus_message_append(reply, "as", 2, "process 812 (/usr/bin/qemu, unit a.scope)",
                                 "process 9 (/bin/\033[31m)");
}

static int lease_release(sd_bus_message *call, void *userdata, sd_bus_error *error);

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Release", "", "", lease_release, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Id", "t", NULL, offsetof(struct lease, id), SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Since", "t", NULL, offsetof(struct lease, since),
                    SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Groups", "ao", get_groups, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Uid", "u", NULL, offsetof(struct lease, uid), SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("ClaimantUid", "u", NULL, offsetof(struct lease, uid),
                    SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Pid", "u", NULL, offsetof(struct lease, pid), SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Unit", "s", NULL, offsetof(struct lease, unit), SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("State", "s", NULL, offsetof(struct lease, state),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Openers", "as", get_openers, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Lifetime", "s", NULL, offsetof(struct lease, lifetime),
                    SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Comment", "s", NULL, offsetof(struct lease, comment),
                    SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_VTABLE_END,
};

static void tell(const char *text) {
    puts(text);
    (void)fflush(stdout);
}

static int keep_begin(sd_bus *bus, const char *lifetime) {
    kept.lease.id = 4;
    kept.lease.state = "active";
    kept.lease.lifetime = strcmp(lifetime, "fd") == 0 ? "fd" : "connection";
    kept.lease.unit = kept.lease.comment = "";
    return sd_bus_add_object_vtable(bus, &kept.slot, KEPT, "org.dmaownd1.Lease", vtable,
                                    &kept.lease);
}

static void keep_end(sd_bus *bus, const char *reason) {
    kept.slot = sd_bus_slot_unref(kept.slot);
    kept.source = sd_event_source_unref(kept.source);
    kept.pipe = fd_close(kept.pipe);
    (void)sd_bus_emit_signal(bus, ROOT, "org.dmaownd1.Manager", "LeaseEnded", "oaus", KEPT, 1, 7,
                             reason);
    if (kept.revoke)
        (void)sd_bus_reply_method_return(kept.revoke, NULL);
    kept.revoke = sd_bus_message_unref(kept.revoke);
    tell(reason);
}

static int on_closed(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    keep_end(userdata, "fd-closed");
    return 0;
}

/* ---- Claim --------------------------------------------------------------------------------- */

struct wanted {
    bool fds, cdev, container;
    char lifetime[16];
};

static int read_wanted(sd_bus_message *call, struct wanted *ret) {
    struct option option;
    int r = sd_bus_message_enter_container(call, 'a', "{sv}");

    while (r >= 0 && (r = read_option(call, &option)) > 0) {
        if (strcmp(option.name, "mode") == 0)
            ret->fds = string_equal(option.text, "fd");
        else if (strcmp(option.name, "interface") == 0)
            ret->cdev = string_equal(option.text, "cdev");
        else if (strcmp(option.name, "container") == 0)
            ret->container = option.number;
        else if (strcmp(option.name, "lifetime") == 0 && option.text)
            (void)snprintf(ret->lifetime, sizeof(ret->lifetime), "%s", option.text);
    }
    return r;
}

/* A file with its own key in it. */
static int append_file(sd_bus_message *reply, const char *key) {
    _cleanup_(fd_closep) int fd = memfd_create("test-client", MFD_CLOEXEC);

    if (fd < 0 || pwrite(fd, key, strlen(key), 0) < 0)
        return -errno;
    return sd_bus_message_append(reply, "{sh}", key, fd);
}

static int append_files(sd_bus_message *reply, const struct wanted *wanted) {
    char key[32];
    int r = 0;

    if (!wanted->fds)
        return 0;
    if (wanted->cdev) {
        r = append_file(reply, "device:0000:00:05.1");
        if (r >= 0)
            r = append_file(reply, "iommufd");
        return r < 0 ? r : append_file(reply, "device:0000:00:05.0");
    }
    for (size_t i = 0; r >= 0 && i < kept.lease.n_groups; i++) {
        (void)snprintf(key, sizeof(key), "group:%.20s", path_basename(kept.lease.groups[i]));
        r = append_file(reply, key);
    }
    return r < 0 || !wanted->container ? r : append_file(reply, "container");
}

static int append_lease(sd_bus_message *reply, const struct wanted *wanted) {
    sd_bus *bus = sd_bus_message_get_bus(reply);
    int ends[2];

    if (strcmp(wanted->lifetime, "fd") != 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    kept.pipe = ends[0];
    int r = sd_bus_message_append(reply, "{sh}", "lease", ends[1]);
    fd_close(ends[1]);
    return r < 0 ? r
                 : sd_event_add_io(sd_bus_get_event(bus), &kept.source, kept.pipe, EPOLLHUP,
                                   on_closed, bus);
}

static int grant(sd_bus_message *call, const struct wanted *wanted) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    bool kept_here =
        strcmp(wanted->lifetime, "fd") == 0 || strcmp(wanted->lifetime, "connection") == 0;
    int r = sd_bus_message_new_method_return(call, &reply);

    if (r >= 0)
        r = sd_bus_message_append(reply, "o", KEPT);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sh}");
    if (r >= 0)
        r = append_files(reply, wanted);
    if (r >= 0)
        r = append_lease(reply, wanted);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0 && kept_here)
        r = keep_begin(sd_bus_message_get_bus(call), wanted->lifetime);
    return r < 0 ? r : sd_bus_message_send(reply);
}

int leases_claim(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    struct targets targets;
    struct wanted wanted = {0};
    int r = read_targets(call, &targets, error);

    if (r >= 0)
        r = read_wanted(call, &wanted);
    if (r < 0)
        return r;
    if (strcmp(targets.words[0], "never") == 0) {
        tell("no answer");
        return 1;
    }
    if (kept.slot)
        return steer("error:Busy", error);
    kept.lease.n_groups = targets.n_words;
    for (size_t i = 0; i < targets.n_words; i++)
        (void)snprintf(kept.lease.groups[i], sizeof(kept.lease.groups[i]), ROOT "/group/%.20s",
                       targets.words[i]);
    return grant(call, &wanted);
}

/* ---- Release and Revoke -------------------------------------------------------------------- */

static int lease_release(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    if (userdata == &kept.lease)
        keep_end(sd_bus_message_get_bus(call), "released");
    return sd_bus_reply_method_return(call, NULL);
}

int leases_release(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    const char *path;
    int r = sd_bus_message_read(call, "o", &path);

    if (r < 0)
        return r;
    if (strcmp(path, ROOT "/lease/3") == 0)
        return sd_bus_reply_method_return(call, NULL);
    if (kept.slot && strcmp(path, KEPT) == 0)
        return lease_release(call, &kept.lease, error);
    return steer("error:NoSuchLease", error);
}

/* Lease 4 ends when its holder goes; with a timeout of 0, at once. Lease 5 stays busy. */
int leases_revoke(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    struct option option = {0};
    uint64_t seconds = 0;
    const char *path;
    int r = sd_bus_message_read(call, "o", &path);

    if (r < 0)
        return r;
    if (strcmp(path, ROOT "/lease/5") == 0)
        return echo(call, "org.dmaownd1.Error.Busy", error);
    if (strcmp(path, ROOT "/lease/3") == 0)
        return sd_bus_reply_method_return(call, NULL);
    if (!kept.slot || strcmp(path, KEPT) != 0)
        return steer("error:NoSuchLease", error);
    r = sd_bus_message_enter_container(call, 'a', "{sv}");
    while (r >= 0 && (r = read_option(call, &option)) > 0)
        if (strcmp(option.name, "timeout") == 0)
            seconds = option.number;
    if (r < 0)
        return r;
    sd_bus *bus = sd_bus_message_get_bus(call);
    (void)sd_bus_emit_signal(bus, ROOT, "org.dmaownd1.Manager", "LeaseRevoking", "ot", KEPT,
                             seconds);
    kept.revoke = sd_bus_message_ref(call);
    if (seconds == 0)
        keep_end(bus, "revoked");
    return 1;
}

/* ---- Start --------------------------------------------------------------------------------- */

int leases_add(sd_bus *bus, bool keep) {
    int r =
        sd_bus_add_object_vtable(bus, NULL, ROOT "/lease/3", "org.dmaownd1.Lease", vtable, &always);

    return r < 0 || !keep ? r : keep_begin(bus, "connection");
}
