/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/state-json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "util/string.h"

/* Deeper than any text of ours: lease, groups, group, devices, device. */
#define DEPTH_MAX 6

/* Any time, in µs, is below: 292,000 years. json-c gives INT64_MAX for what is larger. */
#define TIME_MAX (INT64_MAX - 1)

static const struct text_field {
    const char *name;
    size_t offset, limit;
} text_fields[] = {
    {"unit", offsetof(struct lease, unit), STATE_TEXT_MAX},
    {"sender", offsetof(struct lease, sender), STATE_TEXT_MAX},
    {"bus_id", offsetof(struct lease, bus_id), STATE_TEXT_MAX},
    {"rule", offsetof(struct lease, rule), STATE_RULES_MAX},
    {"key", offsetof(struct lease, key), STATE_TEXT_MAX},
    {"comment", offsetof(struct lease, comment), STATE_TEXT_MAX},
};

static char **text_of(const struct lease *lease, const struct text_field *field) {
    return (char **)((char *)lease + field->offset);
}

static bool text_is_valid(const char *text, size_t limit) {
    return strnlen(text, limit + 1) <= limit && text_is_printable(text);
}

/* A path as sysfs_read_device gives it. */
static bool device_is_valid(const char *path) {
    return text_is_valid(path, STATE_PATH_MAX) && string_after(path, "devices/") &&
           !strstr(path, "/../") && !strstr(path, "//") && path[strlen(path) - 1] != '/' &&
           !string_equal(path_basename(path), "..");
}

static void json_putp(json_object **object) {
    if (*object)
        json_object_put(*object);
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* Takes value over, also on failure; name is a constant. */
static int put(json_object *object, const char *name, json_object *value) {
    unsigned options = JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY;

    if (value && json_object_object_add_ex(object, name, value, options) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static int append(json_object *array, json_object *value) {
    if (value && json_object_array_add(array, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static int put_number(json_object *object, const char *name, uint64_t value) {
    return value > INT64_MAX ? -EINVAL
                             : put(object, name, json_object_new_int64((int64_t)value));
}

static int put_text(json_object *object, const char *name, const char *text) {
    return text ? put(object, name, json_object_new_string(text)) : -EINVAL;
}

static int put_texts(json_object *object, const struct lease *lease) {
    for (size_t i = 0; i < ELEMENTS_OF(text_fields); i++) {
        const char *text = *text_of(lease, &text_fields[i]);
        if (!text)
            text = "";
        if (!text_is_valid(text, text_fields[i].limit))
            return -EINVAL;
        int r = put_text(object, text_fields[i].name, text);
        if (r < 0)
            return r;
    }
    return 0;
}

static int put_gids(json_object *object, const struct lease *lease) {
    json_object *array = json_object_new_array();
    int r = put(object, "gids", array);

    if (r >= 0 && lease->n_gids > STATE_GIDS_MAX)
        r = -EINVAL;
    for (size_t i = 0; r >= 0 && i < lease->n_gids; i++)
        r = append(array, json_object_new_int64(lease->gids[i]));
    return r;
}

static int put_devices(json_object *object, char *const *devices, size_t *n_devices) {
    json_object *array = json_object_new_array();
    int r = put(object, "devices", array);

    for (; r >= 0 && devices && *devices; devices++) {
        if (!device_is_valid(*devices) || ++*n_devices > STATE_DEVICES_MAX)
            return -EINVAL;
        r = append(array, json_object_new_string(*devices));
    }
    return r;
}

static int append_group(json_object *array, const struct lease_group *group, size_t *n_devices) {
    json_object *object = json_object_new_object();
    int r = append(array, object);

    if (r >= 0)
        r = put_number(object, "id", group->id);
    if (r >= 0)
        r = put(object, "lost", json_object_new_boolean(group->lost));
    return r < 0 ? r : put_devices(object, group->devices, n_devices);
}

static int put_groups(json_object *object, const struct lease *lease) {
    json_object *array = json_object_new_array();
    int r = put(object, "groups", array);
    size_t n_devices = 0;

    if (r >= 0 && (lease->n_groups == 0 || lease->n_groups > STATE_GROUPS_MAX))
        r = -EINVAL;
    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++)
        r = append_group(array, &lease->groups[i], &n_devices);
    return r;
}

static int put_numbers(json_object *object, const struct lease *lease) {
    int r = put_number(object, "id", lease->id);

    if (r >= 0)
        r = put_number(object, "claimant", lease->claimant);
    if (r >= 0)
        r = put_number(object, "holder", lease->holder);
    if (r >= 0)
        r = put_number(object, "pid", lease->pid > 0 ? (uint64_t)lease->pid : 0);
    if (r >= 0)
        r = put_number(object, "since", lease->since);
    return r < 0 ? r : put_number(object, "expires", lease->expires);
}

static int put_words(json_object *object, const struct lease *lease) {
    int r = put_text(object, "mode", policy_mode_to_string(lease->mode));

    if (r >= 0)
        r = put_text(object, "lifetime", policy_lifetime_to_string(lease->lifetime));
    if (r >= 0)
        r = put_text(object, "interface", lease_interface_to_string(lease->interface));
    if (r >= 0)
        r = put_text(object, "state", lease_state_to_string(lease->state));
    if (r >= 0 && lease->state == LEASE_DRAINING)
        r = put_text(object, "end", lease_end_to_string(lease->end));
    return r;
}

static int put_lease(json_object *object, const struct lease *lease, const char *boot_id) {
    int r = put_text(object, "boot", boot_id);

    if (r >= 0)
        r = put_numbers(object, lease);
    if (r >= 0)
        r = put_words(object, lease);
    if (r >= 0)
        r = put_texts(object, lease);
    if (r >= 0)
        r = put_gids(object, lease);
    return r < 0 ? r : put_groups(object, lease);
}

int lease_to_json(const struct lease *lease, const char *boot_id, char **ret, size_t *ret_size) {
    _cleanup_(json_putp) json_object *object = json_object_new_object();
    size_t size;

    if (!object)
        return -ENOMEM;
    int r = put_lease(object, lease, boot_id);
    if (r < 0)
        return r;
    const char *text = json_object_to_json_string_length(
        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
    if (!text)
        return -ENOMEM;
    if (size > STATE_FILE_SIZE_MAX)
        return -EFBIG;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    *ret_size = size;
    return 0;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* The functions below answer -EBADMSG and name the field that is at fault. */
struct reader {
    json_object *object;
    const char *fault;
};

static int fault(struct reader *reader, const char *name) {
    reader->fault = name;
    return -EBADMSG;
}

static json_object *get(struct reader *reader, const char *name, json_type type) {
    json_object *value;

    if (!json_object_object_get_ex(reader->object, name, &value) ||
        !json_object_is_type(value, type))
        return NULL;
    return value;
}

static int get_number(struct reader *reader, const char *name, uint64_t limit, uint64_t *ret) {
    json_object *value = get(reader, name, json_type_int);
    int64_t number = json_object_get_int64(value);

    if (!value || number < 0 || (uint64_t)number > limit)
        return fault(reader, name);
    *ret = (uint64_t)number;
    return 0;
}

/* The text of a JSON string, or NULL if it is too long, not printable, or has a NUL inside. */
static const char *string_of(json_object *value, size_t limit) {
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);
    return strlen(text) == length && text_is_valid(text, limit) ? text : NULL;
}

static int get_text(struct reader *reader, const char *name, size_t limit, const char **ret) {
    const char *text = string_of(get(reader, name, json_type_string), limit);

    if (!text)
        return fault(reader, name);
    *ret = text;
    return 0;
}

static int get_uid(struct reader *reader, const char *name, uid_t *ret) {
    uint64_t number;
    int r = get_number(reader, name, UINT32_MAX - 1, &number);

    if (r >= 0)
        *ret = (uid_t)number;
    return r;
}

static int get_numbers(struct reader *reader, struct lease *lease) {
    uint64_t pid = 0;
    int r = get_number(reader, "id", INT64_MAX - 1, &lease->id);

    if (r >= 0 && lease->id == 0)
        r = fault(reader, "id");
    if (r >= 0)
        r = get_uid(reader, "claimant", &lease->claimant);
    if (r >= 0)
        r = get_uid(reader, "holder", &lease->holder);
    if (r >= 0)
        r = get_number(reader, "pid", INT32_MAX, &pid);
    if (r >= 0)
        r = get_number(reader, "since", TIME_MAX, &lease->since);
    if (r >= 0)
        r = get_number(reader, "expires", TIME_MAX, &lease->expires);
    lease->pid = (pid_t)pid;
    return r;
}

static int get_interface(struct reader *reader, enum lease_interface *ret) {
    const char *text;
    int r = get_text(reader, "interface", STATE_TEXT_MAX, &text);

    if (r < 0)
        return r;
    for (int i = LEASE_INTERFACE_GROUP; i <= LEASE_INTERFACE_CDEV; i++)
        if (string_equal(text, lease_interface_to_string((enum lease_interface)i))) {
            *ret = (enum lease_interface)i;
            return 0;
        }
    return fault(reader, "interface");
}

static int get_state(struct reader *reader, struct lease *lease) {
    const char *text;
    int r = get_text(reader, "state", STATE_TEXT_MAX, &text);

    if (r < 0)
        return r;
    if (lease_state_from_string(text, &lease->state) < 0)
        return fault(reader, "state");
    if (lease->state != LEASE_DRAINING)
        return 0;
    r = get_text(reader, "end", STATE_TEXT_MAX, &text);
    if (r >= 0 && lease_end_from_string(text, &lease->end) < 0)
        r = fault(reader, "end");
    return r;
}

static int get_words(struct reader *reader, struct lease *lease) {
    const char *mode, *lifetime;
    int r = get_text(reader, "mode", STATE_TEXT_MAX, &mode);

    if (r >= 0)
        r = get_text(reader, "lifetime", STATE_TEXT_MAX, &lifetime);
    if (r < 0)
        return r;
    int mode_bit = policy_mode_from_string(mode);
    int lifetime_bit = policy_lifetime_from_string(lifetime);
    if (mode_bit <= 0)
        return fault(reader, "mode");
    if (lifetime_bit <= 0)
        return fault(reader, "lifetime");
    lease->mode = (unsigned)mode_bit;
    lease->lifetime = (unsigned)lifetime_bit;
    r = get_interface(reader, &lease->interface);
    return r < 0 ? r : get_state(reader, lease);
}

static int get_texts(struct reader *reader, struct lease *lease) {
    for (size_t i = 0; i < ELEMENTS_OF(text_fields); i++) {
        const char *text;
        int r = get_text(reader, text_fields[i].name, text_fields[i].limit, &text);
        if (r < 0)
            return r;
        char *copy = strdup(text);
        if (!copy)
            return -ENOMEM;
        *text_of(lease, &text_fields[i]) = copy;
    }
    return 0;
}

static int get_gids(struct reader *reader, struct lease *lease) {
    json_object *array = get(reader, "gids", json_type_array);
    size_t n = array ? json_object_array_length(array) : 0;

    if (!array || n > STATE_GIDS_MAX)
        return fault(reader, "gids");
    lease->gids = calloc(n ?: 1, sizeof(*lease->gids));
    if (!lease->gids)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        json_object *value = json_object_array_get_idx(array, i);
        int64_t gid = json_object_get_int64(value);
        if (!json_object_is_type(value, json_type_int) || gid < 0 || gid > UINT32_MAX - 1)
            return fault(reader, "gids");
        lease->gids[lease->n_gids++] = (gid_t)gid;
    }
    return 0;
}

static int get_devices(struct reader *reader, struct lease_group *group, size_t *n_devices) {
    json_object *array = get(reader, "devices", json_type_array);
    size_t n = array ? json_object_array_length(array) : 0;

    *n_devices += n;
    if (!array || *n_devices > STATE_DEVICES_MAX)
        return fault(reader, "devices");
    group->devices = calloc(n + 1, sizeof(char *));
    if (!group->devices)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *path = string_of(json_object_array_get_idx(array, i), STATE_PATH_MAX);
        if (!path || !device_is_valid(path))
            return fault(reader, "devices");
        group->devices[i] = strdup(path);
        if (!group->devices[i])
            return -ENOMEM;
    }
    return 0;
}

static int get_group(struct reader *outer, json_object *object, struct lease_group *group,
                     size_t *n_devices) {
    struct reader reader = {.object = object};
    uint64_t id = 0;

    if (!json_object_is_type(object, json_type_object))
        return fault(outer, "groups");
    json_object *lost = get(&reader, "lost", json_type_boolean);
    int r = lost ? get_number(&reader, "id", INT32_MAX, &id) : fault(&reader, "lost");
    if (r >= 0)
        r = get_devices(&reader, group, n_devices);
    group->id = (uint32_t)id;
    group->lost = json_object_get_boolean(lost);
    outer->fault = reader.fault;
    return r;
}

/* Two entries of one group would give it back twice. */
static bool group_is_repeated(const struct lease *lease, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (lease->groups[i].id == lease->groups[index].id)
            return true;
    return false;
}

static int get_groups(struct reader *reader, json_object *array, struct lease *lease) {
    size_t n_devices = 0;

    for (size_t i = 0; i < lease->n_groups; i++) {
        int r = get_group(reader, json_object_array_get_idx(array, i), &lease->groups[i],
                          &n_devices);
        if (r < 0)
            return r;
        if (group_is_repeated(lease, i))
            return fault(reader, "groups");
    }
    return 0;
}

static int get_lease(struct reader *reader, struct lease **ret) {
    json_object *groups = get(reader, "groups", json_type_array);
    size_t n_groups = groups ? json_object_array_length(groups) : 0;

    if (n_groups == 0 || n_groups > STATE_GROUPS_MAX)
        return fault(reader, "groups");
    _cleanup_(lease_freep) struct lease *lease = lease_new(n_groups);
    if (!lease)
        return -ENOMEM;
    int r = get_numbers(reader, lease);
    if (r >= 0)
        r = get_words(reader, lease);
    if (r >= 0)
        r = get_texts(reader, lease);
    if (r >= 0)
        r = get_gids(reader, lease);
    if (r >= 0)
        r = get_groups(reader, groups, lease);
    if (r >= 0)
        *ret = TAKE_POINTER(lease);
    return r;
}

/* The one JSON object that text is, or NULL. */
static json_object *parse(const char *text, size_t size) {
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

int lease_from_json(const char *text, size_t size, const char *boot_id, struct lease **ret,
                    const char **ret_fault) {
    _cleanup_(json_putp) json_object *object = NULL;
    const char *boot;

    *ret_fault = "the text";
    if (size > STATE_FILE_SIZE_MAX)
        return -EBADMSG;
    object = parse(text, size);
    if (!object)
        return -EBADMSG;
    struct reader reader = {.object = object};
    int r = get_text(&reader, "boot", STATE_TEXT_MAX, &boot);
    if (r >= 0 && !string_equal(boot, boot_id))
        return STATE_OTHER_BOOT;
    if (r >= 0)
        r = get_lease(&reader, ret);
    if (reader.fault)
        *ret_fault = reader.fault;
    return r;
}
