/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>

#include "bus/bus.h"
#include "util/string.h"

const char *bus_group_path(uint32_t id, char buffer[static BUS_PATH_MAX]) {
    snprintf(buffer, BUS_PATH_MAX, BUS_GROUP_PREFIX "/%u", id);
    return buffer;
}

const char *bus_lease_path(uint64_t id, char buffer[static BUS_PATH_MAX]) {
    snprintf(buffer, BUS_PATH_MAX, BUS_LEASE_PREFIX "/%llu", (unsigned long long)id);
    return buffer;
}

const char *bus_lease_path_or_root(const struct lease *lease, char buffer[static BUS_PATH_MAX]) {
    return lease ? bus_lease_path(lease->id, buffer) : "/";
}

char *bus_device_path(const struct device *device) {
    _cleanup_(freep) char *name = string_format("%s/%s", device->bus, device->name);
    char *path;

    if (!name || sd_bus_path_encode(BUS_DEVICE_PREFIX, name, &path) < 0)
        return NULL;
    return path;
}

int bus_append_name(sd_bus_message *message, const char *name) {
    if (text_is_printable(name))
        return sd_bus_message_append(message, "s", name);
    _cleanup_(freep) char *escaped = text_escape(name);
    return escaped ? sd_bus_message_append(message, "s", escaped) : -ENOMEM;
}

struct group *bus_find_group(const struct manager *manager, const char *path) {
    const char *text = string_after(path, BUS_GROUP_PREFIX "/");
    uint32_t id;

    return text && parse_u32(text, &id) >= 0 ? model_group(&manager->model, id) : NULL;
}

struct device *bus_find_device(const struct manager *manager, const char *path) {
    _cleanup_(freep) char *name = NULL;
    struct group *group;
    struct device *device;

    if (sd_bus_path_decode(path, BUS_DEVICE_PREFIX, &name) <= 0 || *name == '/' ||
        !strchr(name, '/'))
        return NULL;
    if (model_find_target(&manager->model, name, &group, &device) != TARGET_FOUND)
        return NULL;
    return device;
}

struct lease *bus_find_lease(const struct manager *manager, const char *path) {
    const char *text = string_after(path, BUS_LEASE_PREFIX "/");
    uint64_t id;

    return text && parse_u64(text, &id) >= 0 ? lease_book_find(&manager->leases, id) : NULL;
}
