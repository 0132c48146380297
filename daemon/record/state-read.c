/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "record/state-fields.h"

/* Deeper than any text of ours: lease, groups, group, devices, device. */
#define DEPTH_MAX 6

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

/* A number that a lease need not have: 0 then. */
static int get_optional(struct reader *reader, const char *name, uint64_t limit, uint64_t *ret) {
    *ret = 0;
    return json_object_object_get_ex(reader->object, name, NULL)
               ? get_number(reader, name, limit, ret)
               : 0;
}

/* A truth that a lease need not have: false then. */
static int get_truth(struct reader *reader, const char *name, bool *ret) {
    json_object *value = get(reader, name, json_type_boolean);

    if (!value && json_object_object_get_ex(reader->object, name, NULL))
        return fault(reader, name);
    *ret = json_object_get_boolean(value);
    return 0;
}

static int get_endings(struct reader *reader, struct lease *lease) {
    uint64_t pid = 0;
    int r = get_optional(reader, "kept_pid", INT32_MAX, &pid);

    if (r >= 0)
        r = get_optional(reader, "kept_start", TIME_MAX, &lease->kept_start);
    if (r >= 0)
        r = get_optional(reader, "revoke_at", TIME_MAX, &lease->revoke_at);
    lease->kept_pid = (pid_t)pid;
    if (r >= 0)
        r = get_truth(reader, "unbind", &lease->unbind);
    return r < 0 ? r : get_truth(reader, "container", &lease->container);
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
        const char *text = "", *name = text_fields[i].name;
        bool missing = !json_object_object_get_ex(reader->object, name, NULL);
        int r = missing && text_fields[i].optional
                    ? 0
                    : get_text(reader, name, text_fields[i].limit, &text);
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
        r = get_endings(reader, lease);
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
