/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The live model: every device that can be a DMA master and every IOMMU group. Facts go in, changes
 * and answers come out. Pure: no system call, no clock, no log. Devices are keyed by their sysfs
 * path, since names repeat across buses and group numbers are reused. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/device-tree.h"
#include "model/device.h"
#include "model/group.h"
#include "util/intern.h"

/* What changed of a device or a group since the last model_forget_changes. */
enum device_change {
    DEVICE_ADDED = 1 << 0,
    DEVICE_DRIVER = 1 << 1,
    DEVICE_ROLE = 1 << 2,
    DEVICE_GROUP = 1 << 3,
    DEVICE_VFIO = 1 << 4,
    DEVICE_RESET = 1 << 5,
    DEVICE_USES = 1 << 6,
};

struct model {
    struct device *devices; /* by path */
    struct device *names;   /* by name */
    struct group *groups;   /* by id */
    size_t n_devices, n_groups;
    size_t n_vfs; /* devices that have a PF */
    struct intern strings;
    struct device_tree *tree; /* NULL without: see model/device-streams.h */
    bool tree_is_unreadable;  /* the machine has one, but what it says is not known */
    bool node_is_missing;     /* … or not of a device that names an IOMMU: an overlay's, perhaps */
    bool sets_are_stale;      /* devices with streams came or went: see model_find_sets */

    struct device *dirty_devices;
    struct group *dirty_groups;
    struct device *removed_devices; /* out of the tables; freed by model_forget_changes */
    struct group *removed_groups;
};

void model_init(struct model *model);
void model_done(struct model *model);

struct device *model_device(const struct model *model, const char *path);
/* The device whose vfio_device has this name ("vfio0"). */
struct device *model_vfio_device(const struct model *model, const char *vfio_device);
/* Another group's device is on the same bus (below the same bridge), and nothing but a reset of that
 * bus resets this one. */
bool device_reset_spans_groups(const struct model *model, const struct device *device);
struct group *model_group(const struct model *model, uint32_t id);

/* Takes a reading of a device in: adds or updates it, and moves it between groups (a group that is
 * not known yet appears, one that lost its last member vanishes). ret_device may be NULL.
 * 0 or -ENOMEM, and then nothing changed. */
int model_update_device(struct model *model, const struct device_facts *facts,
                        struct device **ret_device);
/* Takes the device out. It stays readable on removed_devices until changes are forgotten. */
void model_remove_device(struct model *model, struct device *device);

void model_update_group_facts(struct model *model, struct group *group,
                              const struct group_facts *facts);
void model_update_node(struct model *model, struct group *group, const struct node_facts *node);
/* The node of the device's VFIO character device. 0 or -ENOMEM, and then nothing changed. */
int model_update_cdev(struct model *model, struct device *device, const struct node_facts *node);
/* What a look at the device found; survey becomes the model's. */
void model_take_survey(struct model *model, struct device *device, struct survey *survey);
void model_set_open(struct model *model, struct group *group, bool open);
void model_set_lease(struct model *model, struct group *group, struct lease *lease);
/* Puts the group on the list of changes. */
void model_touch_group(struct model *model, struct group *group);

/* For a scan of everything: clears every seen mark; then what was not marked goes. */
void model_begin_scan(struct model *model);
void model_end_scan(struct model *model);

/* Empties the lists of changes and frees what was removed. */
void model_forget_changes(struct model *model);
static inline bool model_has_changes(const struct model *model) {
    return model->dirty_devices || model->dirty_groups || model->removed_devices ||
           model->removed_groups;
}

enum target_outcome { TARGET_FOUND = 0, TARGET_UNKNOWN = 1, TARGET_AMBIGUOUS = 2 };

/* What a caller's target names: a decimal group id, a device name, bus/name, a path below /sys, or
 * /dev/vfio/N. Text only, nothing is opened. A device without a group gives *ret_group NULL; a
 * group as such gives *ret_device NULL. */
enum target_outcome model_find_target(const struct model *model, const char *target,
                                      struct group **ret_group, struct device **ret_device);
