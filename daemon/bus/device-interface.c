/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.dmaownd1.Device: properties of one device, straight from the model. */
#include <errno.h>

#include "bus/bus.h"
#include "bus/identity.h"
#include "model/survey.h"
#include "util/string.h"

static int find_device(sd_bus *connection, const char *path, const char *interface, void *userdata,
                       void **ret_found, sd_bus_error *error) {
    struct bus *bus = userdata;

    bus->viewed_device = bus_find_device(bus->manager, path);
    *ret_found = bus;
    return bus->viewed_device != NULL;
}

/* A getter is called right after its object was found. */
static const struct device *viewed(const void *userdata) {
    return ((const struct bus *)userdata)->viewed_device;
}

/* Where things are mounted, and by which process a node is open, is for root. */
static bool shown(const void *userdata) {
    const struct bus *bus = userdata;
    const struct identity *identity = identity_of_current(bus);

    return !bus->announcing && identity && identity->uid == 0;
}

GETTER(name) {
    const struct device *device = viewed(userdata);

    return bus_append_name(reply, device->name);
}

GETTER(bus) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "s", device->bus);
}

GETTER(sysfs_path) {
    const struct device *device = viewed(userdata);
    _cleanup_(freep) char *full = string_format("/sys/%s", device->path);

    return full ? bus_append_name(reply, full) : -ENOMEM;
}

GETTER(driver) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "s", device->driver ?: "");
}

GETTER(role) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "s", role_to_string(device->role));
}

GETTER(group) {
    const struct device *device = viewed(userdata);
    char group_path[BUS_PATH_MAX];

    return sd_bus_message_append(
        reply, "o", device->group ? bus_group_path(device->group->id, group_path) : "/");
}

GETTER(modalias) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "s", device->modalias);
}

GETTER(vendor) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "u", device->vendor);
}

GETTER(product) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "u", device->product);
}

GETTER(class) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "u", device->class);
}

GETTER(compatible) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append_strv(reply, device->compatible);
}

GETTER(numa_node) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "i", device->numa_node);
}

GETTER(reset_methods) {
    const struct device *device = viewed(userdata);
    _cleanup_(freep) char *copy = strdup(device->reset_methods);
    char *rest = copy, *method;
    int r = copy ? sd_bus_message_open_container(reply, 'a', "s") : -ENOMEM;

    while (r >= 0 && (method = strsep(&rest, " ")))
        if (*method)
            r = sd_bus_message_append(reply, "s", method);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* By the last look. */
GETTER(used_by) {
    const struct device *device = viewed(userdata);
    const struct survey *survey = device->role == ROLE_KERNEL ? device->survey : NULL;
    bool privileged = shown(userdata);
    int r = sd_bus_message_open_container(reply, 'a', "s");

    for (size_t i = 0; r >= 0 && survey && i < survey->n_uses; i++) {
        const struct device_use *use = &survey->uses[i];
        if (reason_outcome(use->reason) == OUTCOME_DEVICE_IN_USE)
            r = sd_bus_message_append(reply, "s", privileged ? use->text : use->public_text);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(vfio_device) {
    const struct device *device = viewed(userdata);

    return sd_bus_message_append(reply, "s", device->vfio_device ?: "");
}

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable device_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Name", "s", get_name, 0, CONSTANT),
    SD_BUS_PROPERTY("Bus", "s", get_bus, 0, CONSTANT),
    SD_BUS_PROPERTY("SysfsPath", "s", get_sysfs_path, 0, CONSTANT),
    SD_BUS_PROPERTY("Driver", "s", get_driver, 0, CHANGES),
    SD_BUS_PROPERTY("Role", "s", get_role, 0, CHANGES),
    SD_BUS_PROPERTY("Group", "o", get_group, 0, CHANGES),
    SD_BUS_PROPERTY("Modalias", "s", get_modalias, 0, CONSTANT),
    SD_BUS_PROPERTY("Vendor", "u", get_vendor, 0, CONSTANT),
    SD_BUS_PROPERTY("Product", "u", get_product, 0, CONSTANT),
    SD_BUS_PROPERTY("Class", "u", get_class, 0, CONSTANT),
    SD_BUS_PROPERTY("Compatible", "as", get_compatible, 0, CONSTANT),
    SD_BUS_PROPERTY("NumaNode", "i", get_numa_node, 0, CONSTANT),
    SD_BUS_PROPERTY("ResetMethods", "as", get_reset_methods, 0, CHANGES),
    SD_BUS_PROPERTY("UsedBy", "as", get_used_by, 0, CHANGES),
    SD_BUS_PROPERTY("VfioDevice", "s", get_vfio_device, 0, CHANGES),
    SD_BUS_VTABLE_END,
};

static int list_devices(sd_bus *connection, const char *prefix, void *userdata, char ***ret_nodes,
                        sd_bus_error *error) {
    const struct bus *bus = userdata;
    const struct model *model = &bus->manager->model;
    size_t room = model->n_devices <= BUS_DEVICES_MAX ? model->n_devices : 0, n = 0;
    _cleanup_(strings_freep) char **nodes = calloc(room + 1, sizeof(*nodes));

    for (const struct device *device = model->devices; nodes && device && n < room;
         device = device->by_path.next)
        if (!(nodes[n++] = bus_device_path(device)))
            return -ENOMEM;
    *ret_nodes = TAKE_POINTER(nodes);
    return *ret_nodes ? 0 : -ENOMEM;
}

int bus_add_devices(struct bus *bus) {
    int r = sd_bus_add_fallback_vtable(bus->connection, NULL, BUS_DEVICE_PREFIX,
                                       BUS_DEVICE_INTERFACE, device_vtable, find_device, bus);

    if (r >= 0)
        r = sd_bus_add_node_enumerator(bus->connection, NULL, BUS_DEVICE_PREFIX, list_devices, bus);
    return r < 0 ? r : 0;
}
