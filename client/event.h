/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What dmaownctl monitor prints: an event is a JSON object, and a line for people is made from it.
 * Members: event, and those of its signal; for "added", "changed" and "removed": kind (group,
 * device, lease or manager), name, object, and properties, or changes and before. */

#include "client/json.h"

/* "group" for org.dmaownd1.Group and so on; NULL for interfaces that are none of these. */
const char *event_kind(const char *interface);

/* An event of this name, the caller's; NULL when out of memory. */
json_object *event_new(const char *name);

/* Says which object an event is about; properties (may be NULL) may know a better name for it than
 * its path. 0 or -ENOMEM. */
int event_set_object(json_object *event, const char *path, const char *interface,
                     json_object *properties);

/* The line, escaped, the caller's; NULL if people need not hear of it. 0 or -ENOMEM. */
int event_format(json_object *event, char **ret);
