/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One device tree, judged: that of a file, or that of this machine with its devices. */

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#include "kernel/devicetree.h"
#include "model/isolation.h"
#include "model/model.h"

struct audit {
    struct device_tree *tree; /* of the machine: the model's; NULL without */
    struct isolation_member *members;
    size_t n_members;
    struct isolation isolation;
    struct model model; /* of the machine; a file has none */
    bool is_live;
};

void audit_done(struct audit *audit);

/* Reads and judges a .dtb file. *ret must be zeroed, and is to be freed also after an error.
 * Negative errno of devicetree_read_file(), with a text of the caller's that may be NULL. */
int audit_file(const char *path, struct audit *ret, char **ret_text);

/* The same for the machine whose sysfs this is: the devices that have a node and streams in the
 * tree, with the groups that the kernel gave them. -ENOENT where it has no device tree. */
int audit_live(int sysfs, struct audit *ret, char **ret_text);

/* The group that Linux would put each member of a file in, if drivers bind in the order of the
 * members: numbers from 0 over all IOMMUs, GROUP_NONE where it would be refused or has no IOMMU.
 * *ret: n_members numbers, the caller's. 0 or -ENOMEM. */
int audit_predict(const struct audit *audit, int64_t **ret);

/* "smmu-v2", "smmu-v3", "by-stream", "single" or "per-device". */
const char *grouping_to_string(enum tree_grouping grouping);

/* What --json prints: file (NULL: none), iommus, sets and how many masters are in them, maps,
 * findings, mistakes. 0 or -ENOMEM. */
int audit_to_json(const struct audit *audit, const char *file, json_object **ret);

/* The same keys, all of them empty. */
int audit_empty_json(const char *file, json_object **ret);

/* Prints the graph of IOMMUs, sets and masters in the language of Graphviz; without a tree, an empty
 * one. 0 or -ENOMEM. */
int audit_print_dot(const struct audit *audit, const char *title);
