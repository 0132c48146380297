/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.dmaownd1.Lease: properties of one lease, and its Release. What could tell strangers about a
 * claimant is shown to claimant, holder and root only. */
#include <errno.h>

#include "bus/bus.h"
#include "bus/claim.h"
#include "bus/identity.h"

/* Getters need the lease and the bus, and sd-bus hands over one pointer: the lease that was found
 * last is kept in the bus. */
static int find_lease(sd_bus *connection, const char *path, const char *interface, void *userdata,
                      void **ret_found, sd_bus_error *error) {
    struct bus *bus = userdata;
    struct lease *lease = bus_find_lease(bus->manager, path);

    if (!lease)
        return 0;
    bus->viewed_lease = lease;
    *ret_found = bus;
    return 1;
}

static const struct lease *viewed(const void *userdata) {
    return ((const struct bus *)userdata)->viewed_lease;
}

static bool shown(const void *userdata) {
    const struct bus *bus = userdata;

    return !bus->announcing && identity_may_see(identity_of_current(userdata), viewed(userdata));
}

GETTER(id) {
    return sd_bus_message_append(reply, "t", viewed(userdata)->id);
}

GETTER(groups) {
    const struct lease *lease = viewed(userdata);
    char group_path[BUS_PATH_MAX];
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++)
        r = sd_bus_message_append(reply, "o", bus_group_path(lease->groups[i].id, group_path));
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(uid) {
    return sd_bus_message_append(reply, "u", (uint32_t)viewed(userdata)->holder);
}

GETTER(claimant_uid) {
    return sd_bus_message_append(reply, "u", (uint32_t)viewed(userdata)->claimant);
}

/* What the lease lives with, if that is a process or a unit; else the claimant's. */
GETTER(pid) {
    const struct lease *lease = viewed(userdata);
    pid_t pid = lease->kept_pid ?: lease->pid;

    return sd_bus_message_append(reply, "u", shown(userdata) ? (uint32_t)pid : 0);
}

GETTER(unit) {
    const struct lease *lease = viewed(userdata);
    const char *kept = lease->kept_unit ?: "";

    return sd_bus_message_append(reply, "s", *kept ? kept : lease->unit);
}

GETTER(sender) {
    return sd_bus_message_append(reply, "s", shown(userdata) ? viewed(userdata)->sender : "");
}

GETTER(mode) {
    return sd_bus_message_append(reply, "s", policy_mode_to_string(viewed(userdata)->mode));
}

GETTER(interface) {
    return sd_bus_message_append(reply, "s",
                                 lease_interface_to_string(viewed(userdata)->interface));
}

GETTER(lifetime) {
    return sd_bus_message_append(reply, "s", policy_lifetime_to_string(viewed(userdata)->lifetime));
}

GETTER(since) {
    return sd_bus_message_append(reply, "t", viewed(userdata)->since);
}

GETTER(state) {
    return sd_bus_message_append(reply, "s", lease_state_to_string(viewed(userdata)->state));
}

GETTER(rule) {
    return sd_bus_message_append(reply, "s", viewed(userdata)->rule);
}

GETTER(comment) {
    return sd_bus_message_append(reply, "s", shown(userdata) ? viewed(userdata)->comment : "");
}

GETTER(openers) {
    return sd_bus_message_append_strv(reply, shown(userdata) ? viewed(userdata)->openers : NULL);
}

GETTER(policy_stale) {
    return sd_bus_message_append(reply, "b", viewed(userdata)->policy_stale);
}

static int run_release(struct call *call) {
    const char *path = sd_bus_message_get_path(call->message);

    return call_release(call, bus_find_lease(call->bus->manager, path));
}

static int method_release(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    return call_start(userdata, message, run_release);
}

static int run_set_lifetime(struct call *call) {
    const char *path = sd_bus_message_get_path(call->message);

    return call_set_lifetime(call, bus_find_lease(call->bus->manager, path));
}

static int method_set_lifetime(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    return call_start(userdata, message, run_set_lifetime);
}

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define INVALIDATES SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable lease_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_release,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SetLifetime", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                            method_set_lifetime, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Id", "t", get_id, 0, CONSTANT),
    SD_BUS_PROPERTY("Groups", "ao", get_groups, 0, CHANGES),
    SD_BUS_PROPERTY("Uid", "u", get_uid, 0, CONSTANT),
    SD_BUS_PROPERTY("ClaimantUid", "u", get_claimant_uid, 0, CONSTANT),
    SD_BUS_PROPERTY("Pid", "u", get_pid, 0, INVALIDATES),
    SD_BUS_PROPERTY("Unit", "s", get_unit, 0, CHANGES),
    SD_BUS_PROPERTY("Sender", "s", get_sender, 0, CONSTANT),
    SD_BUS_PROPERTY("Mode", "s", get_mode, 0, CONSTANT),
    SD_BUS_PROPERTY("Interface", "s", get_interface, 0, CONSTANT),
    SD_BUS_PROPERTY("Lifetime", "s", get_lifetime, 0, CHANGES),
    SD_BUS_PROPERTY("Since", "t", get_since, 0, CONSTANT),
    SD_BUS_PROPERTY("State", "s", get_state, 0, CHANGES),
    SD_BUS_PROPERTY("Rule", "s", get_rule, 0, CONSTANT),
    SD_BUS_PROPERTY("Comment", "s", get_comment, 0, CONSTANT),
    SD_BUS_PROPERTY("Openers", "as", get_openers, 0, INVALIDATES),
    SD_BUS_PROPERTY("PolicyStale", "b", get_policy_stale, 0, CHANGES),
    SD_BUS_VTABLE_END,
};

static int list_leases(sd_bus *connection, const char *prefix, void *userdata, char ***ret_nodes,
                       sd_bus_error *error) {
    const struct bus *bus = userdata;
    const struct lease_book *book = &bus->manager->leases;
    _cleanup_(strings_freep) char **nodes = calloc(book->n_leases + 1, sizeof(*nodes));
    char path[BUS_PATH_MAX];
    size_t n = 0;

    for (const struct lease *lease = book->leases; nodes && lease; lease = lease->by_id.next)
        if (!(nodes[n++] = strdup(bus_lease_path(lease->id, path))))
            return -ENOMEM;
    *ret_nodes = TAKE_POINTER(nodes);
    return *ret_nodes ? 0 : -ENOMEM;
}

int bus_add_leases(struct bus *bus) {
    int r = sd_bus_add_fallback_vtable(bus->connection, NULL, BUS_LEASE_PREFIX,
                                       BUS_LEASE_INTERFACE, lease_vtable, find_lease, bus);

    if (r >= 0)
        r = sd_bus_add_node_enumerator(bus->connection, NULL, BUS_LEASE_PREFIX, list_leases, bus);
    return r < 0 ? r : 0;
}
