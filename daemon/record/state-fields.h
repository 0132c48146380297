/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What writing (state-json.c) and reading (state-read.c) of a lease agree on. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "record/json-fields.h"
#include "record/state-json.h"
#include "util/string.h"

static const struct text_field {
    const char *name;
    size_t offset, limit;
    bool optional; /* came later: a file of an earlier version has none, which means "" */
} text_fields[] = {
    {"unit", offsetof(struct lease, unit), STATE_TEXT_MAX, false},
    {"sender", offsetof(struct lease, sender), STATE_TEXT_MAX, false},
    {"bus_id", offsetof(struct lease, bus_id), STATE_TEXT_MAX, false},
    {"rule", offsetof(struct lease, rule), STATE_RULES_MAX, false},
    {"key", offsetof(struct lease, key), STATE_TEXT_MAX, false},
    {"comment", offsetof(struct lease, comment), STATE_TEXT_MAX, false},
    {"kept_unit", offsetof(struct lease, kept_unit), STATE_TEXT_MAX, true},
};

static inline char **text_of(const struct lease *lease, const struct text_field *field) {
    return (char **)((char *)lease + field->offset);
}
