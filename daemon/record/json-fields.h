/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fields of the JSON objects that are kept below the state folder. What is read is not trusted: each
 * getter checks type, range and text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <json-c/json.h>

#include "util/string.h"

/* Any time, in µs, is below: 292,000 years. json-c gives INT64_MAX for what is larger. */
#define TIME_MAX (INT64_MAX - 1)

#define STATE_PATH_MAX 1023
#define STATE_TEXT_MAX 1024 /* any other string */

static inline void json_putp(json_object **object) {
    if (*object)
        json_object_put(*object);
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

/* ---- writing: 0, -ENOMEM, or -EINVAL for what could not be read back. Names are constants; value is
 * taken over, also on failure. */
int json_put(json_object *object, const char *name, json_object *value);
int json_append(json_object *array, json_object *value);
int json_put_number(json_object *object, const char *name, uint64_t value);
int json_put_text(json_object *object, const char *name, const char *text);

/* *ret is the caller's. -EFBIG: longer than limit. */
int json_to_text(json_object *object, size_t limit, char **ret, size_t *ret_size);

/* ---- reading: 0, or -EBADMSG with the field that is at fault in reader->fault. */
struct json_reader {
    json_object *object;
    const char *fault;
};

int json_fault(struct json_reader *reader, const char *name);
/* NULL if it is missing or of another type. */
json_object *json_get(struct json_reader *reader, const char *name, json_type type);
int json_get_number(struct json_reader *reader, const char *name, uint64_t limit, uint64_t *ret);
/* The text of a JSON string, or NULL if it is too long, not printable, or has a NUL inside. */
const char *json_string_of(json_object *value, size_t limit);
/* *ret is the object's. */
int json_get_text(struct json_reader *reader, const char *name, size_t limit, const char **ret);
int json_get_uid(struct json_reader *reader, const char *name, uid_t *ret);
/* A number or a truth that need not be there: 0 or false then. */
int json_get_optional(struct json_reader *reader, const char *name, uint64_t limit, uint64_t *ret);
int json_get_truth(struct json_reader *reader, const char *name, bool *ret);

/* The text is of another boot (a positive outcome). */
#define STATE_OTHER_BOOT 1
/* A file of one object; enough for 4,096 devices with paths of usual length. */
#define STATE_FILE_SIZE_MAX (1024 * 1024)

/* Makes reader one of the JSON object that text is, if it was written in this boot. *ret is the caller's to
 * put, also after a failure. 0, STATE_OTHER_BOOT or -EBADMSG; reader->fault stays as it is where no field
 * is at fault. */
int json_open_of_boot(const char *text, size_t size, const char *boot_id, json_object **ret,
                      struct json_reader *reader);
