/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A JSON text with the place of every value and key (private to the policy layer). */

#include <json-c/json.h>

#include "policy/report.h"

static inline void json_object_putp(struct json_object **object) {
    if (*object)
        (void)json_object_put(*object);
}

/* Parses data (NUL terminated behind size), strictly: RFC 8259, no duplicate key at any level, no
 * null, no NUL and no control character in a string, at most POLICY_DEPTH_MAX deep. Faults go to
 * the report. Returns 0, POLICY_INVALID or -ENOMEM. */
int document_parse(const char *file, const char *data, size_t size, struct policy_report *report,
                   struct json_object **ret);

/* Where a value of a parsed document begins, and the key that it belongs to. */
struct location document_value_location(struct json_object *value);
struct location document_key_location(struct json_object *value);
