/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/state-json.h"

#include <errno.h>
#include <stdlib.h>

#include "record/state-fields.h"

static int put_texts(json_object *object, const struct lease *lease) {
    for (size_t i = 0; i < ELEMENTS_OF(text_fields); i++) {
        const char *text = *text_of(lease, &text_fields[i]);
        if (!text)
            text = "";
        if (!text_is_valid(text, text_fields[i].limit))
            return -EINVAL;
        int r = json_put_text(object, text_fields[i].name, text);
        if (r < 0)
            return r;
    }
    return 0;
}

static int put_gids(json_object *object, const struct lease *lease) {
    json_object *array = json_object_new_array();
    int r = json_put(object, "gids", array);

    if (r >= 0 && lease->n_gids > STATE_GIDS_MAX)
        r = -EINVAL;
    for (size_t i = 0; r >= 0 && i < lease->n_gids; i++)
        r = json_append(array, json_object_new_int64(lease->gids[i]));
    return r;
}

static int put_devices(json_object *object, char *const *devices, size_t *n_devices) {
    json_object *array = json_object_new_array();
    int r = json_put(object, "devices", array);

    for (; r >= 0 && devices && *devices; devices++) {
        if (!device_is_valid(*devices) || ++*n_devices > STATE_DEVICES_MAX)
            return -EINVAL;
        r = json_append(array, json_object_new_string(*devices));
    }
    return r;
}

static int append_group(json_object *array, const struct lease_group *group, size_t *n_devices) {
    json_object *object = json_object_new_object();
    int r = json_append(array, object);

    if (r >= 0)
        r = json_put_number(object, "id", group->id);
    if (r >= 0)
        r = json_put(object, "lost", json_object_new_boolean(group->lost));
    return r < 0 ? r : put_devices(object, group->devices, n_devices);
}

static int put_groups(json_object *object, const struct lease *lease) {
    json_object *array = json_object_new_array();
    int r = json_put(object, "groups", array);
    size_t n_devices = 0;

    if (r >= 0 && (lease->n_groups == 0 || lease->n_groups > STATE_GROUPS_MAX))
        r = -EINVAL;
    for (size_t i = 0; r >= 0 && i < lease->n_groups; i++)
        r = append_group(array, &lease->groups[i], &n_devices);
    return r;
}

static int put_numbers(json_object *object, const struct lease *lease) {
    int r = json_put_number(object, "id", lease->id);

    if (r >= 0)
        r = json_put_number(object, "claimant", lease->claimant);
    if (r >= 0)
        r = json_put_number(object, "holder", lease->holder);
    if (r >= 0)
        r = json_put_number(object, "pid", lease->pid > 0 ? (uint64_t)lease->pid : 0);
    if (r >= 0)
        r = json_put_number(object, "since", lease->since);
    if (r >= 0)
        r = json_put_number(object, "expires", lease->expires);
    return r;
}

/* What only some leases have. */
static int put_endings(json_object *object, const struct lease *lease) {
    int r = 0;

    if (lease->kept_pid > 0)
        r = json_put_number(object, "kept_pid", (uint64_t)lease->kept_pid);
    if (r >= 0 && lease->kept_pid > 0)
        r = json_put_number(object, "kept_start", lease->kept_start);
    if (r >= 0 && lease->revoke_at)
        r = json_put_number(object, "revoke_at", lease->revoke_at);
    if (r >= 0 && lease->unbind)
        r = json_put(object, "unbind", json_object_new_boolean(true));
    if (r >= 0 && lease->reattach)
        r = json_put(object, "reattach", json_object_new_boolean(true));
    if (r >= 0 && lease->reattach_after)
        r = json_put_number(object, "reattach_after", lease->reattach_after);
    if (r >= 0 && lease->container)
        r = json_put(object, "container", json_object_new_boolean(true));
    return r;
}

static int put_words(json_object *object, const struct lease *lease) {
    int r = json_put_text(object, "mode", policy_mode_to_string(lease->mode));

    if (r >= 0)
        r = json_put_text(object, "lifetime", policy_lifetime_to_string(lease->lifetime));
    if (r >= 0)
        r = json_put_text(object, "interface", lease_interface_to_string(lease->interface));
    if (r >= 0)
        r = json_put_text(object, "state", lease_state_to_string(lease->state));
    if (r >= 0 && lease->state == LEASE_DRAINING)
        r = json_put_text(object, "end", lease_end_to_string(lease->end));
    return r;
}

static int put_lease(json_object *object, const struct lease *lease, const char *boot_id) {
    int r = json_put_text(object, "boot", boot_id);

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
    int r = object ? put_lease(object, lease, boot_id) : -ENOMEM;

    return r < 0 ? r : json_to_text(object, STATE_FILE_SIZE_MAX, ret, ret_size);
}
