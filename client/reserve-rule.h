/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The policy files that dmaownctl reserve writes: one rule for one group in a file of its own. */

#include <stdbool.h>

#include "client/json.h"

/* What the rule says beside its devices; lists end with NULL, everything is borrowed. */
struct reserve_terms {
    const char *const *users, *const *groups;
    const char *vfio_driver; /* or NULL */
};

/* Name of the file for a group whose first endpoint has this name: "reserve-NAME.json", with %xx for
 * what is odd in a file name. The caller's; NULL when out of memory. */
char *reserve_file_name(const char *device_name);
/* Name of the rule, with _ for what the policy's names do not allow (and a hash behind it where that
 * could be read in two ways, or is too long). As above. */
char *reserve_rule_name(const char *device_name);

/* The devices of a group (objects as device_read() has them) that the rule is for, sorted by name:
 * all but the bridges that no rule need allow. NULL when out of memory. */
json_object *reserve_endpoints(json_object *devices);

/* The document for endpoints, of which there is at least one. NULL when out of memory. */
json_object *reserve_document(json_object *endpoints, const struct reserve_terms *terms);

/* True if document is one of these, and its rule is for the device. bus may be NULL: on any. */
bool reserve_holds(json_object *document, const char *bus, const char *device_name);
