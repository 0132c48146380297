/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/state-json.h"

#include <errno.h>
#include <stdlib.h>

#include "record/state-fields.h"

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
    return value > TIME_MAX ? -EINVAL : put(object, name, json_object_new_int64((int64_t)value));
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
    if (r >= 0)
        r = put_number(object, "expires", lease->expires);
    return r;
}

/* What only some leases have. */
static int put_endings(json_object *object, const struct lease *lease) {
    int r = 0;

    if (lease->kept_pid > 0)
        r = put_number(object, "kept_pid", (uint64_t)lease->kept_pid);
    if (r >= 0 && lease->kept_pid > 0)
        r = put_number(object, "kept_start", lease->kept_start);
    if (r >= 0 && lease->revoke_at)
        r = put_number(object, "revoke_at", lease->revoke_at);
    if (r >= 0 && lease->unbind)
        r = put(object, "unbind", json_object_new_boolean(true));
    if (r >= 0 && lease->container)
        r = put(object, "container", json_object_new_boolean(true));
    return r;
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
        r = put_endings(object, lease);
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
