/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/text.h"
#include "util/string.h"

#define DEPTH_MAX 16
#define VALUES_MAX (4 * 1024 * 1024)

/* One message on its way. */
struct reader {
    sd_bus_message *message;
    size_t n_values;
    unsigned depth;
};

static int read_value(struct reader *reader, json_object **ret);

static json_object *basic_to_json(char type, const void *data) {
    switch (type) {
    case SD_BUS_TYPE_BYTE:
        return json_object_new_int(*(const uint8_t *)data);
    case SD_BUS_TYPE_BOOLEAN:
        return json_object_new_boolean(*(const int *)data);
    case SD_BUS_TYPE_INT16:
        return json_object_new_int(*(const int16_t *)data);
    case SD_BUS_TYPE_UINT16:
        return json_object_new_int(*(const uint16_t *)data);
    case SD_BUS_TYPE_INT32:
        return json_object_new_int(*(const int32_t *)data);
    case SD_BUS_TYPE_UINT32:
        return json_object_new_int64(*(const uint32_t *)data);
    case SD_BUS_TYPE_INT64:
        return json_object_new_int64(*(const int64_t *)data);
    case SD_BUS_TYPE_UINT64:
        return json_object_new_uint64(*(const uint64_t *)data);
    case SD_BUS_TYPE_DOUBLE:
        return json_object_new_double(*(const double *)data);
    default:
        return json_object_new_string(*(const char *const *)data);
    }
}

static int read_basic(struct reader *reader, char type, json_object **ret) {
    union {
        uint64_t number;
        const char *text;
        double real;
        int fd;
    } data = {0};
    int r = sd_bus_message_read_basic(reader->message, type, &data);

    if (r < 0)
        return r;
    if (type == SD_BUS_TYPE_UNIX_FD) {
        *ret = NULL; /* JSON's null: an fd means nothing outside of this process */
        return 0;
    }
    json_object *value = basic_to_json(type, &data);
    if (!value)
        return -ENOMEM;
    *ret = value;
    return 0;
}

/* One entry of a dictionary into object. */
static int read_entry(struct reader *reader, const char *contents, json_object *object) {
    const char *name;
    json_object *value;
    int r = sd_bus_message_enter_container(reader->message, SD_BUS_TYPE_DICT_ENTRY, contents);

    if (r >= 0)
        r = sd_bus_message_read_basic(reader->message, contents[0], &name);
    if (r < 0)
        return r;
    _cleanup_(freep) char *key = strcmp(contents, "sv") == 0 ? key_format(name) : strdup(name);
    r = read_value(reader, &value);
    if (r < 0)
        return r;
    if (!key || json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return sd_bus_message_exit_container(reader->message);
}

static int read_dictionary(struct reader *reader, const char *contents, json_object **ret) {
    _cleanup_(json_putp) json_object *object = json_object_new_object();
    char entry[64];
    int r;

    /* contents is "{KV}". */
    if (!strchr("sog", contents[1]) || strlen(contents) >= sizeof(entry))
        return -EBADMSG;
    memcpy(entry, contents + 1, strlen(contents) - 2);
    entry[strlen(contents) - 2] = 0;
    if (!object)
        return -ENOMEM;
    while ((r = sd_bus_message_at_end(reader->message, false)) == 0) {
        r = read_entry(reader, entry, object);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(object);
    return 0;
}

static int read_elements(struct reader *reader, json_object **ret) {
    _cleanup_(json_putp) json_object *array = json_object_new_array();
    json_object *value;
    int r;

    if (!array)
        return -ENOMEM;
    while ((r = sd_bus_message_at_end(reader->message, false)) == 0) {
        r = read_value(reader, &value);
        if (r >= 0)
            r = json_append(array, value);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(array);
    return 0;
}

static int read_container(struct reader *reader, char type, const char *contents,
                          json_object **ret) {
    _cleanup_(json_putp) json_object *value = NULL;
    int r = sd_bus_message_enter_container(reader->message, type, contents);

    if (r < 0)
        return r;
    if (type == SD_BUS_TYPE_VARIANT)
        r = read_value(reader, &value);
    else if (type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN)
        r = read_dictionary(reader, contents, &value);
    else
        r = read_elements(reader, &value);
    if (r >= 0)
        r = sd_bus_message_exit_container(reader->message);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(value);
    return 0;
}

static int read_value(struct reader *reader, json_object **ret) {
    const char *contents;
    char type;
    int r = sd_bus_message_peek_type(reader->message, &type, &contents);

    if (r < 0)
        return r;
    if (r == 0)
        return -EBADMSG;
    if (++reader->n_values > VALUES_MAX || reader->depth == DEPTH_MAX)
        return -E2BIG;
    if (type != SD_BUS_TYPE_ARRAY && type != SD_BUS_TYPE_VARIANT && type != SD_BUS_TYPE_STRUCT)
        return read_basic(reader, type, ret);
    reader->depth++;
    r = read_container(reader, type, contents, ret);
    reader->depth--;
    return r;
}

int json_from_message(sd_bus_message *message, json_object **ret) {
    struct reader reader = {.message = message};

    return read_value(&reader, ret);
}

json_object *json_member(json_object *object, const char *key) {
    json_object *member;

    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &member))
        return NULL;
    return member;
}

const char *json_text(json_object *object, const char *key) {
    json_object *member = json_member(object, key);

    return json_object_is_type(member, json_type_string) ? json_object_get_string(member) : "";
}

uint64_t json_number(json_object *object, const char *key) {
    json_object *member = json_member(object, key);

    return json_object_is_type(member, json_type_int) ? json_object_get_uint64(member) : 0;
}

bool json_truth(json_object *object, const char *key) {
    json_object *member = json_member(object, key);

    return json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}

size_t json_length(json_object *array) {
    return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

int json_set(json_object *object, const char *key, json_object *value) {
    if (!value || json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

int json_set_text(json_object *object, const char *key, const char *text) {
    return json_set(object, key, json_object_new_string(text));
}

int json_append(json_object *array, json_object *value) {
    if (json_object_array_add(array, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

static int compare_ids(const void *a, const void *b) {
    uint64_t left = json_number(*(json_object *const *)a, "id");
    uint64_t right = json_number(*(json_object *const *)b, "id");

    return left < right ? -1 : left > right;
}

void json_sort_by_id(json_object *array) {
    json_object_array_sort(array, compare_ids);
}

/* json-c escapes the control characters of ASCII but DEL, and none of Unicode's. All of them can
 * only stand in a string. */
static void print_safely(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == 0x7f) {
            fputs("\\u007f", stdout);
        } else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
            printf("\\u00%02x", at[1]);
            at++;
        } else {
            putchar(*at);
        }
    }
    putchar('\n');
}

int json_print(json_object *value, bool line) {
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
    const char *text = json_object_to_json_string_ext(
        value, line ? flags : flags | JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);

    if (!text)
        return -ENOMEM;
    print_safely(text);
    return 0;
}
