/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.dmaownd1.Group: properties of one group, straight from the model. */
#include <errno.h>

#include "bus/bus.h"

static int find_group(sd_bus *connection, const char *path, const char *interface, void *userdata,
                      void **ret_found, sd_bus_error *error) {
    const struct bus *bus = userdata;

    *ret_found = bus_find_group(bus->manager, path);
    return *ret_found != NULL;
}

GETTER(id) {
    const struct group *group = userdata;

    return sd_bus_message_append(reply, "u", group->id);
}

GETTER(owner) {
    return sd_bus_message_append(reply, "s", owner_to_string(group_owner(userdata)));
}

GETTER(viable) {
    return sd_bus_message_append(reply, "b", group_viable(userdata));
}

GETTER(devices) {
    const struct group *group = userdata;
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (const struct device *member = group->members; r >= 0 && member;
         member = member->next_member) {
        _cleanup_(freep) char *member_path = bus_device_path(member);
        r = member_path ? sd_bus_message_append(reply, "o", member_path) : -ENOMEM;
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_blocker(sd_bus_message *reply, const struct device *member) {
    int r = sd_bus_message_open_container(reply, 'r', "ss");

    if (r >= 0)
        r = bus_append_name(reply, member->name);
    if (r >= 0)
        r = sd_bus_message_append(reply, "s", member->driver);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(blockers) {
    const struct group *group = userdata;
    int r = sd_bus_message_open_container(reply, 'a', "(ss)");

    for (const struct device *member = group->members; r >= 0 && member;
         member = member->next_member)
        if (device_blocks(member))
            r = append_blocker(reply, member);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(lease) {
    const struct group *group = userdata;
    char lease_path[BUS_PATH_MAX];

    return sd_bus_message_append(reply, "o", bus_lease_path_or_root(group->lease, lease_path));
}

GETTER(node) {
    const struct group *group = userdata;
    char node[32] = "";

    if (group->node.present)
        snprintf(node, sizeof(node), "/dev/vfio/%u", group->id);
    return sd_bus_message_append(reply, "s", node);
}

GETTER(domain_type) {
    const struct group *group = userdata;

    return sd_bus_message_append(reply, "s", group->facts.type);
}

/* What goes with every change to whom this group shares a stream with. */
GETTER(isolated) {
    const struct group *group = userdata;

    return sd_bus_message_append(reply, "b", group->published.isolated);
}

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable group_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Id", "u", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Owner", "s", get_owner, 0, CHANGES),
    SD_BUS_PROPERTY("Viable", "b", get_viable, 0, CHANGES),
    SD_BUS_PROPERTY("Devices", "ao", get_devices, 0, CHANGES),
    SD_BUS_PROPERTY("Blockers", "a(ss)", get_blockers, 0, CHANGES),
    SD_BUS_PROPERTY("Lease", "o", get_lease, 0, CHANGES),
    SD_BUS_PROPERTY("Node", "s", get_node, 0, CHANGES),
    SD_BUS_PROPERTY("DomainType", "s", get_domain_type, 0, CHANGES),
    SD_BUS_PROPERTY("Isolated", "b", get_isolated, 0, CHANGES),
    SD_BUS_VTABLE_END,
};

static int list_groups(sd_bus *connection, const char *prefix, void *userdata, char ***ret_nodes,
                       sd_bus_error *error) {
    const struct bus *bus = userdata;
    const struct model *model = &bus->manager->model;
    _cleanup_(strings_freep) char **nodes = calloc(model->n_groups + 1, sizeof(*nodes));
    char path[BUS_PATH_MAX];
    size_t n = 0;

    for (const struct group *group = model->groups; nodes && group; group = group->by_id.next)
        if (!(nodes[n++] = strdup(bus_group_path(group->id, path))))
            return -ENOMEM;
    *ret_nodes = TAKE_POINTER(nodes);
    return *ret_nodes ? 0 : -ENOMEM;
}

int bus_add_groups(struct bus *bus) {
    int r = sd_bus_add_fallback_vtable(bus->connection, NULL, BUS_GROUP_PREFIX,
                                       BUS_GROUP_INTERFACE, group_vtable, find_group, bus);

    if (r >= 0)
        r = sd_bus_add_node_enumerator(bus->connection, NULL, BUS_GROUP_PREFIX, list_groups, bus);
    return r < 0 ? r : 0;
}
