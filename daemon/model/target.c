/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a caller means by a target. Text is compared with the model; nothing is opened. */
#include <stdio.h>

#include "model/model.h"
#include "util/string.h"

static struct device *first_of_name(const struct model *model, const char *name, size_t length) {
    struct device *device;

    HASH_FIND(by_name, model->names, name, length, device);
    return device;
}

static enum target_outcome found_device(struct device *device, struct group **ret_group,
                                        struct device **ret_device) {
    if (!device)
        return TARGET_UNKNOWN;
    *ret_group = device->group;
    *ret_device = device;
    return TARGET_FOUND;
}

static enum target_outcome found_group(struct group *group, struct group **ret_group,
                                       struct device **ret_device) {
    if (!group)
        return TARGET_UNKNOWN;
    *ret_group = group;
    *ret_device = NULL;
    return TARGET_FOUND;
}

static struct group *group_of_number(const struct model *model, const char *text) {
    uint32_t id;

    return parse_u32(text, &id) < 0 ? NULL : model_group(model, id);
}

/* "pci/0000:00:05.0" */
static struct device *device_on_bus(const struct model *model, const char *text) {
    const char *name = path_basename(text);
    struct device *device = first_of_name(model, name, strlen(name));
    size_t length = name == text ? 0 : (size_t)(name - text - 1);

    for (; device; device = device->next_same_name)
        if (strlen(device->bus) == length && strncmp(device->bus, text, length) == 0)
            return device;
    return NULL;
}

/* "bus/pci/devices/0000:00:05.0", the part of a /sys path behind bus/. */
static struct device *device_of_bus_link(const struct model *model, const char *text) {
    const char *slash = strchr(text, '/');
    const char *name = slash ? string_after(slash, "/devices/") : NULL;
    struct device *device = name ? first_of_name(model, name, strlen(name)) : NULL;

    for (; device; device = device->next_same_name)
        if (strlen(device->bus) == (size_t)(slash - text) &&
            strncmp(device->bus, text, strlen(device->bus)) == 0)
            return device;
    return NULL;
}

static enum target_outcome find_sysfs_path(const struct model *model, const char *path,
                                           struct group **ret_group, struct device **ret_device) {
    const char *rest;

    if ((rest = string_after(path, "kernel/iommu_groups/")))
        return found_group(group_of_number(model, rest), ret_group, ret_device);
    if ((rest = string_after(path, "bus/")))
        return found_device(device_of_bus_link(model, rest), ret_group, ret_device);
    return found_device(model_device(model, path), ret_group, ret_device);
}

static enum target_outcome find_name(const struct model *model, const char *name,
                                     struct group **ret_group, struct device **ret_device) {
    struct device *device = first_of_name(model, name, strlen(name));

    for (struct device *other = device; other; other = other->next_same_name)
        if (other != device && (other->group != device->group || !device->group))
            return TARGET_AMBIGUOUS;
    return found_device(device, ret_group, ret_device);
}

enum target_outcome model_find_target(const struct model *model, const char *target,
                                      struct group **ret_group, struct device **ret_device) {
    const char *rest;

    if ((rest = string_after(target, "/sys/")))
        return find_sysfs_path(model, rest, ret_group, ret_device);
    if ((rest = string_after(target, "/dev/vfio/")))
        return found_group(group_of_number(model, rest), ret_group, ret_device);
    struct group *group = group_of_number(model, target);
    if (group)
        return found_group(group, ret_group, ret_device);
    if (strchr(target, '/'))
        return found_device(device_on_bus(model, target), ret_group, ret_device);
    return find_name(model, target, ret_group, ret_device);
}
