/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What writing (state-json.c) and reading (state-read.c) of a lease agree on. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <json-c/json.h>

#include "record/state-json.h"
#include "util/string.h"

/* Any time, in µs, is below: 292,000 years. json-c gives INT64_MAX for what is larger. */
#define TIME_MAX (INT64_MAX - 1)

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

static inline bool text_is_valid(const char *text, size_t limit) {
    return strnlen(text, limit + 1) <= limit && text_is_printable(text);
}

/* A path as sysfs_read_device gives it. */
static inline bool device_is_valid(const char *path) {
    return text_is_valid(path, STATE_PATH_MAX) && string_after(path, "devices/") &&
           !strstr(path, "/../") && !strstr(path, "//") && path[strlen(path) - 1] != '/' &&
           !string_equal(path_basename(path), "..");
}

static inline void json_putp(json_object **object) {
    if (*object)
        json_object_put(*object);
}
