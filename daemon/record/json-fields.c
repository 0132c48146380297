/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/json-fields.h"

#include <errno.h>
#include <string.h>

#include "util/string.h"

/* Takes value over, also on failure; name is a constant. */
int json_put(json_object *object, const char *name, json_object *value) {
    unsigned options = JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY;

    if (value && json_object_object_add_ex(object, name, value, options) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

int json_append(json_object *array, json_object *value) {
    if (value && json_object_array_add(array, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

int json_put_number(json_object *object, const char *name, uint64_t value) {
    return value > TIME_MAX ? -EINVAL : json_put(object, name, json_object_new_int64((int64_t)value));
}

int json_put_text(json_object *object, const char *name, const char *text) {
    return text ? json_put(object, name, json_object_new_string(text)) : -EINVAL;
}

int json_to_text(json_object *object, size_t limit, char **ret, size_t *ret_size) {
    size_t size;
    const char *text = json_object_to_json_string_length(
        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);

    if (!text)
        return -ENOMEM;
    if (size > limit)
        return -EFBIG;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    *ret_size = size;
    return 0;
}

/* Deeper than any text of ours: lease, groups, group, devices, device. */
#define DEPTH_MAX 6

int json_fault(struct json_reader *reader, const char *name) {
    reader->fault = name;
    return -EBADMSG;
}

json_object *json_get(struct json_reader *reader, const char *name, json_type type) {
    json_object *value;

    if (!json_object_object_get_ex(reader->object, name, &value) ||
        !json_object_is_type(value, type))
        return NULL;
    return value;
}

int json_get_number(struct json_reader *reader, const char *name, uint64_t limit, uint64_t *ret) {
    json_object *value = json_get(reader, name, json_type_int);
    int64_t number = json_object_get_int64(value);

    if (!value || number < 0 || (uint64_t)number > limit)
        return json_fault(reader, name);
    *ret = (uint64_t)number;
    return 0;
}

/* The text of a JSON string, or NULL if it is too long, not printable, or has a NUL inside. */
const char *json_string_of(json_object *value, size_t limit) {
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);
    return strlen(text) == length && text_is_valid(text, limit) ? text : NULL;
}

int json_get_text(struct json_reader *reader, const char *name, size_t limit, const char **ret) {
    const char *text = json_string_of(json_get(reader, name, json_type_string), limit);

    if (!text)
        return json_fault(reader, name);
    *ret = text;
    return 0;
}

int json_get_uid(struct json_reader *reader, const char *name, uid_t *ret) {
    uint64_t number;
    int r = json_get_number(reader, name, UINT32_MAX - 1, &number);

    if (r >= 0)
        *ret = (uid_t)number;
    return r;
}

/* A number that an object need not have: 0 then. */
int json_get_optional(struct json_reader *reader, const char *name, uint64_t limit, uint64_t *ret) {
    *ret = 0;
    return json_object_object_get_ex(reader->object, name, NULL)
               ? json_get_number(reader, name, limit, ret)
               : 0;
}

/* A truth that an object need not have: false then. */
int json_get_truth(struct json_reader *reader, const char *name, bool *ret) {
    json_object *value = json_get(reader, name, json_type_boolean);

    if (!value && json_object_object_get_ex(reader->object, name, NULL))
        return json_fault(reader, name);
    *ret = json_object_get_boolean(value);
    return 0;
}

/* The one JSON object that text is, or NULL. */
static json_object *json_parse_object(const char *text, size_t size) {
    json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);

    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *object = json_tokener_parse_ex(tokener, text, (int)size);
    bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
                 json_tokener_get_parse_end(tokener) == size;
    json_tokener_free(tokener);
    if (whole && json_object_is_type(object, json_type_object))
        return object;
    json_object_put(object);
    return NULL;
}

int json_open_of_boot(const char *text, size_t size, const char *boot_id, json_object **ret,
                      struct json_reader *reader) {
    const char *boot;

    *ret = size <= STATE_FILE_SIZE_MAX ? json_parse_object(text, size) : NULL;
    if (!*ret)
        return -EBADMSG;
    reader->object = *ret;
    int r = json_get_text(reader, "boot", STATE_TEXT_MAX, &boot);
    if (r < 0)
        return r;
    return string_equal(boot, boot_id) ? 0 : STATE_OTHER_BOOT;
}
