/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The specification of devices that container engines read, after the Container Device Interface (CDI)
 * 0.5.0: one entry for each device, with its group's node and the hooks that claim and release the group.
 * Pure: what dmaownd says in, text out. */

#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "util/cleanup.h"

#define CDI_KIND "dmaownd.org/group"

/* Longer names are no device's. */
#define CDI_NAME_LENGTH_MAX 128

struct cdi_device {
    char *name; /* as in sysfs */
    char *node; /* "/dev/vfio/7" */
};

struct cdi {
    struct cdi_device *devices;
    size_t n_devices;
};

/* A group as ListGroups shows it and as Explain judges it for a claim by a container's process: first is the
 * first reason, findings an array of JSON objects. Adds those of its devices that a VFIO driver has, unless
 * policy has denied the group. A group without a node, or a device whose name cannot stand in a
 * specification, is left out. 0 or -ENOMEM. */
int cdi_add_group(struct cdi *cdi, uint32_t group, const char *node, const char *first,
                  json_object *findings);

/* Adds what *known has of the group with this node, for a group that cannot be judged now. 0 or -ENOMEM. */
int cdi_add_known(struct cdi *cdi, const struct cdi *known, const char *node);

/* The specification, sorted by name; hook is the path of the hooks' program. A name that stands for devices
 * of two groups is left out. *ret is the caller's; NULL when there is no device, which no reader allows.
 * 0 or -ENOMEM. */
int cdi_format(struct cdi *cdi, const char *hook, char **ret);

void cdi_done(struct cdi *cdi);
