/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What changed goes out: at most one PropertiesChanged an object and loop turn, with the properties
 * that really changed, and objects that came and went. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

#include "bus/bus.h"
#include "bus/call.h"
#include "bus/modules.h"
#include "bus/switch.h"
#include "bus/units.h"
#include "model/device-streams.h"
#include "util/string.h"

#define PROPERTIES_MAX 16

/* Names of properties for one PropertiesChanged. */
struct names {
    char *list[PROPERTIES_MAX + 1];
    size_t n;
};

static void add_name(struct names *names, bool changed, const char *name) {
    if (changed)
        names->list[names->n++] = (char *)name;
}

static void emit_changes(struct bus *bus, const char *path, const char *interface,
                         struct names *names) {
    if (!names->n || !bus->named)
        return;
    bus->announcing = true;
    int r = sd_bus_emit_properties_changed_strv(bus->connection, path, interface, names->list);
    bus->announcing = false;
    if (r < 0)
        log_message(LOG_WARNING, "Changes of %s could not be sent: %s.", path, strerror(-r));
}

static void emit_added(struct bus *bus, const char *path, const char *interface) {
    if (!bus->named)
        return;
    bus->announcing = true;
    (void)sd_bus_emit_interfaces_added(bus->connection, path, interface, NULL);
    bus->announcing = false;
}

static void emit_removed(struct bus *bus, const char *path, const char *interface) {
    if (bus->named)
        (void)sd_bus_emit_interfaces_removed(bus->connection, path, interface, NULL);
}

static int send_signal(struct bus *bus, const char *member, const char *types, va_list arguments) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    int r = sd_bus_message_new_signal(bus->connection, &signal, BUS_PATH, BUS_MANAGER_INTERFACE,
                                      member);

    if (r >= 0)
        r = sd_bus_message_appendv(signal, types, arguments);
    return r < 0 ? r : sd_bus_send(bus->connection, signal, NULL);
}

void bus_emit(struct bus *bus, const char *member, const char *types, ...) {
    va_list arguments;

    if (!bus->named)
        return;
    va_start(arguments, types);
    int r = send_signal(bus, member, types, arguments);
    va_end(arguments);
    if (r < 0)
        log_message(LOG_WARNING, "Signal %s could not be sent: %s.", member, strerror(-r));
}

/* ---- groups */

static uint64_t mix(uint64_t hash, uint64_t value) {
    return (hash ^ value) * 0x100000001b3;
}

/* FNV-1a: only ever compared with the same group's earlier value. */
static uint64_t mix_text(uint64_t hash, const char *text) {
    for (; *text; text++)
        hash = mix(hash, (unsigned char)*text);
    return mix(hash, 0);
}

static struct group_published group_state(const struct model *model, const struct group *group) {
    struct group_published state = {
        .owner = group_owner(group),
        .viable = group_viable(group),
        .node = group->node.present,
        .isolated = group_is_isolated(model, group),
        .lease = group->lease ? group->lease->id : 0,
        .type = mix_text(0, group->facts.type),
    };

    for (const struct device *member = group->members; member; member = member->next_member) {
        state.members = mix_text(state.members, member->path);
        if (device_blocks(member))
            state.blockers = mix_text(mix_text(state.blockers, member->path), member->driver);
    }
    return state;
}

static void publish_group(struct bus *bus, struct group *group) {
    struct group_published now = group_state(&bus->manager->model, group), was = group->published;
    char path[BUS_PATH_MAX];
    struct names names = {0};

    group->published = now; /* what is sent is read from it */
    bus_group_path(group->id, path);
    if (!group->exported) {
        group->exported = true;
        emit_added(bus, path, BUS_GROUP_INTERFACE);
    } else {
        add_name(&names, now.owner != was.owner, "Owner");
        add_name(&names, now.viable != was.viable, "Viable");
        add_name(&names, now.members != was.members, "Devices");
        add_name(&names, now.blockers != was.blockers, "Blockers");
        add_name(&names, now.lease != was.lease, "Lease");
        add_name(&names, now.node != was.node, "Node");
        add_name(&names, now.type != was.type, "DomainType");
        add_name(&names, now.isolated != was.isolated, "Isolated");
        emit_changes(bus, path, BUS_GROUP_INTERFACE, &names);
    }
}

/* ---- devices */

static void publish_device(struct bus *bus, struct device *device) {
    _cleanup_(freep) char *path = bus_device_path(device);
    struct names names = {0};

    if (!path)
        return;
    if (!device->exported) {
        device->exported = true;
        if (bus->manager->model.n_devices <= BUS_DEVICES_MAX)
            emit_added(bus, path, BUS_DEVICE_INTERFACE);
        return;
    }
    add_name(&names, device->changes & DEVICE_DRIVER, "Driver");
    add_name(&names, device->changes & DEVICE_ROLE, "Role");
    add_name(&names, device->changes & DEVICE_GROUP, "Group");
    add_name(&names, device->changes & DEVICE_VFIO, "VfioDevice");
    add_name(&names, device->changes & DEVICE_RESET, "ResetMethods");
    add_name(&names, device->changes & DEVICE_USES, "UsedBy");
    emit_changes(bus, path, BUS_DEVICE_INTERFACE, &names);
}

static void publish_removed_device(struct bus *bus, struct device *device) {
    _cleanup_(freep) char *path = device->exported ? bus_device_path(device) : NULL;

    if (path)
        emit_removed(bus, path, BUS_DEVICE_INTERFACE);
}

static void publish_removed_group(struct bus *bus, const struct group *group) {
    char path[BUS_PATH_MAX];

    /* Its number may belong to a new group by now. */
    if (group->exported)
        emit_removed(bus, bus_group_path(group->id, path), BUS_GROUP_INTERFACE);
}

/* ---- the manager object */

static void publish_counts(struct bus *bus) {
    const struct manager *manager = bus->manager;
    enum kernel_model kernel_model = manager_kernel_model(manager);
    uint32_t groups = (uint32_t)manager->model.n_groups;
    uint32_t leases = (uint32_t)manager->leases.n_leases;
    struct names names = {0};

    add_name(&names, groups != bus->published_groups, "GroupCount");
    add_name(&names, leases != bus->published_leases, "LeaseCount");
    add_name(&names, kernel_model != bus->published_model, "KernelModel");
    bus->published_groups = groups;
    bus->published_leases = leases;
    bus->published_model = kernel_model;
    emit_changes(bus, BUS_PATH, BUS_MANAGER_INTERFACE, &names);
}

static void publish(void *userdata) {
    struct bus *bus = userdata;
    struct model *model = &bus->manager->model;

    for (struct device *device = model->removed_devices; device; device = device->next_dirty)
        publish_removed_device(bus, device);
    for (struct group *group = model->removed_groups; group; group = group->next_dirty)
        publish_removed_group(bus, group);
    for (struct group *group = model->dirty_groups; group; group = group->next_dirty)
        publish_group(bus, group);
    for (struct device *device = model->dirty_devices; device; device = device->next_dirty)
        publish_device(bus, device);
    publish_counts(bus);
}

/* ---- leases and the rest */

static void unit_is_over(struct bus *bus, const char *id) {
    manager_unit_stopped(bus->manager, id);
}

static bool any_lives_with(const struct manager *manager, const char *unit) {
    for (const struct lease *lease = manager->leases.leases; lease; lease = lease->by_id.next)
        if (lease->state == LEASE_ACTIVE && string_equal(lease->kept_unit, unit))
            return true;
    return false;
}

static void watch_unit(struct bus *bus, const char *unit) {
    if (!*unit || !bus->connection)
        return;
    if (!any_lives_with(bus->manager, unit)) {
        units_unwatch(bus, unit);
        return;
    }
    int r = units_watch(bus, unit, unit_is_over);
    if (r < 0)
        log_message(LOG_ERR, "Unit %s can not be watched: %s.", unit, strerror(-r));
}

void bus_watch_unit_of(struct bus *bus, const struct lease *lease) {
    watch_unit(bus, lease->kept_unit ?: "");
}

static int append_group_numbers(sd_bus_message *signal, const struct lease *lease) {
    int r = sd_bus_message_open_container(signal, 'a', "u");

    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++)
        r = sd_bus_message_append(signal, "u", lease->groups[i].id);
    return r < 0 ? r : sd_bus_message_close_container(signal);
}

/* LeaseGranted ends with the holder, LeaseEnded with the reason. */
static int send_lease_signal(struct bus *bus, const struct lease *lease, bool granted) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    char path[BUS_PATH_MAX];
    int r = sd_bus_message_new_signal(bus->connection, &signal, BUS_PATH, BUS_MANAGER_INTERFACE,
                                      granted ? "LeaseGranted" : "LeaseEnded");

    if (r >= 0)
        r = sd_bus_message_append(signal, "o", bus_lease_path(lease->id, path));
    if (r >= 0)
        r = append_group_numbers(signal, lease);
    if (r >= 0)
        r = granted ? sd_bus_message_append(signal, "u", (uint32_t)lease->holder)
                    : sd_bus_message_append(signal, "s", lease_end_to_string(lease->end));
    return r < 0 ? r : sd_bus_send(bus->connection, signal, NULL);
}

static void emit_lease_signal(struct bus *bus, const struct lease *lease, bool granted) {
    int r = bus->named ? send_lease_signal(bus, lease, granted) : 0;

    if (r < 0)
        log_message(LOG_WARNING, "A signal about lease %llu could not be sent: %s.",
                    (unsigned long long)lease->id, strerror(-r));
}

static void lease_added(struct lease *lease, void *userdata) {
    struct bus *bus = userdata;
    char path[BUS_PATH_MAX];

    emit_added(bus, bus_lease_path(lease->id, path), BUS_LEASE_INTERFACE);
    emit_lease_signal(bus, lease, true);
    bus_watch_unit_of(bus, lease);
}

static void lease_changed(struct lease *lease, void *userdata) {
    struct bus *bus = userdata;
    char path[BUS_PATH_MAX];
    struct names names = {
        .list = {(char *)"State", (char *)"PolicyStale", (char *)"Openers"}, .n = 3};

    emit_changes(bus, bus_lease_path(lease->id, path), BUS_LEASE_INTERFACE, &names);
    bus_watch_unit_of(bus, lease);
    calls_lease_changed(bus, lease->id);
}

static void lease_lifetime_changed(const struct lease *lease, const char *unit, void *userdata) {
    struct bus *bus = userdata;
    char path[BUS_PATH_MAX];
    struct names names = {
        .list = {(char *)"Lifetime", (char *)"Unit", (char *)"Pid", (char *)"PolicyStale"}, .n = 4};

    emit_changes(bus, bus_lease_path(lease->id, path), BUS_LEASE_INTERFACE, &names);
    bus_watch_unit_of(bus, lease);
    watch_unit(bus, unit);
}

static void lease_revoking(const struct lease *lease, uint64_t seconds, void *userdata) {
    char path[BUS_PATH_MAX];

    bus_emit(userdata, "LeaseRevoking", "ot", bus_lease_path(lease->id, path), seconds);
}

static void lease_ended(struct lease *lease, void *userdata) {
    struct bus *bus = userdata;
    char path[BUS_PATH_MAX];

    emit_lease_signal(bus, lease, false);
    emit_removed(bus, bus_lease_path(lease->id, path), BUS_LEASE_INTERFACE);
    bus_watch_unit_of(bus, lease);
    calls_lease_changed(bus, lease->id);
}

static void switched(uint64_t id, enum outcome outcome, const char *text, void *userdata) {
    calls_switched(userdata, id, outcome, text);
}

static int load_module(const char *module, uint64_t id, void *userdata) {
    return module_load(userdata, module, id);
}

static void conflict(const struct group *group, const char *device, const char *driver,
                     const char *text, void *userdata) {
    _cleanup_(freep) char *shown_device = text_escape(device);
    _cleanup_(freep) char *shown_text = text_is_printable(text) ? strdup(text) : text_escape(text);

    bus_emit(userdata, "Conflict", "usss", group->id, shown_device ?: "", driver, shown_text ?: "");
}

static void policy_reloaded(bool ok, const char *text, void *userdata) {
    struct bus *bus = userdata;
    struct names names = {0};

    add_name(&names, ok, "PolicyGeneration");
    add_name(&names, ok, "PolicyFiles");
    emit_changes(bus, BUS_PATH, BUS_MANAGER_INTERFACE, &names);
    bus_emit(bus, "PolicyReloaded", "tbs", bus->manager->policy_generation, ok, text);
    calls_answer_policy(bus, ok, text);
}

const struct manager_listener bus_listener = {
    .publish = publish,
    .switched = switched,
    .load_module = load_module,
    .lease_added = lease_added,
    .lease_changed = lease_changed,
    .lease_lifetime_changed = lease_lifetime_changed,
    .lease_revoking = lease_revoking,
    .lease_ended = lease_ended,
    .conflict = conflict,
    .policy_reloaded = policy_reloaded,
};
