/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the device tree says of a device of the model: its streams, and with whom it shares them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/device-tree.h"
#include "model/device.h"
#include "model/isolation.h"

struct model;

struct device_streams {
    char *node;                       /* the device's own, or of its host bridge */
    uint32_t requesters[DEVICE_REQUESTERS_MAX];
    unsigned n_requesters;            /* 0: no PCI function */
    const struct tree_master *master; /* what the tree has at node; NULL if nothing of interest */
    struct tree_stream *streams;
    size_t n_streams;
    bool names_iommus;                /* the node that the kernel has says so */
    bool is_missing;                  /* … and the tree that was read does not: an overlay, perhaps */
    unsigned flags;                   /* enum isolation_flag bits */
    struct device *next_in_set;       /* a ring of devices that share streams; itself if alone */
};

/* How a device outside of a group stands to it. */
enum sharing {
    SHARING_NONE,    /* of another set, or of the same group */
    SHARING_PENDING, /* in no group and without a driver of its own: it does nothing, yet */
    SHARING_HALF,    /* in no group, but the host drives it */
    SHARING_SPLIT,   /* in another group */
};

/* The reason of a finding that says so; REASON_NONE for none. */
enum reason sharing_reason(enum sharing sharing);

/* How other, a device of the same set, stands to the group. */
enum sharing device_sharing(const struct device *other, const struct group *group);

/* The next device that shares a stream with a device of the group and is not in it. *member is that
 * device. Begin with *member and other NULL; NULL at the end. Each outsider is met once. */
const struct device *group_next_outsider(const struct group *group, const struct device **member,
                                         const struct device *other);

/* The device tree would say it, and can not be read, or lacks the node of some device that names an IOMMU,
 * or its sets could not be found. */
bool group_isolation_is_unknown(const struct model *model, const struct group *group);

/* How near the nearest device on the group's streams is: SPLIT before HALF before PENDING. SPLIT, too,
 * where that is unknown. */
enum sharing group_sharing(const struct model *model, const struct group *group);

/* No device outside of the group that somebody drives, or could be given, shares a stream with it. */
static inline bool group_is_isolated(const struct model *model, const struct group *group) {
    return group_sharing(model, group) <= SHARING_PENDING;
}

/* Takes the tree over, or that there is none (NULL), or that the machine has one that can not be
 * read (is_unreadable). 0 or -ENOMEM, and then some devices have no streams. */
int model_set_tree(struct model *model, struct device_tree *tree, bool is_unreadable);

/* True if the tree says something of a device with a node that devices have. */
static inline bool device_has_streams(const struct device *device) {
    return device->streams && device->streams->n_streams;
}

/* Finds the sets again, if devices with streams came or went. 0 or -ENOMEM: the sets are then taken to
 * be unknown. To be called before anybody is judged. */
int model_find_sets(struct model *model);

/* A member for each device that the tree knows, for isolation_reach. *ret is the caller's (free), its
 * contents borrowed but for member.device, which isolation_members_done frees with it. */
int model_isolation_members(const struct model *model, struct isolation_member **ret, size_t *ret_n);
void isolation_members_done(struct isolation_member *members, size_t n_members);

/* For the model: a device came (0 or -ENOMEM), goes, or changed so that others' groups may be
 * isolated no longer. */
int device_streams_add(struct model *model, struct device *device, const struct device_facts *facts);
void device_streams_remove(struct model *model, struct device *device);
void device_streams_changed(struct model *model, const struct device *device);
/* A lease of the group began or ended: who drives a device on its streams now was known then. */
void device_streams_leased(const struct group *group);
