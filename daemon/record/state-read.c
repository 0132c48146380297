/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "record/state-fields.h"

static int get_numbers(struct json_reader *reader, struct lease *lease) {
    uint64_t pid = 0;
    int r = json_get_number(reader, "id", INT64_MAX - 1, &lease->id);

    if (r >= 0 && lease->id == 0)
        r = json_fault(reader, "id");
    if (r >= 0)
        r = json_get_uid(reader, "claimant", &lease->claimant);
    if (r >= 0)
        r = json_get_uid(reader, "holder", &lease->holder);
    if (r >= 0)
        r = json_get_number(reader, "pid", INT32_MAX, &pid);
    if (r >= 0)
        r = json_get_number(reader, "since", TIME_MAX, &lease->since);
    if (r >= 0)
        r = json_get_number(reader, "expires", TIME_MAX, &lease->expires);
    lease->pid = (pid_t)pid;
    return r;
}

static int get_endings(struct json_reader *reader, struct lease *lease) {
    uint64_t pid = 0, after = 0;
    int r = json_get_optional(reader, "kept_pid", INT32_MAX, &pid);

    if (r >= 0)
        r = json_get_optional(reader, "kept_start", TIME_MAX, &lease->kept_start);
    if (r >= 0)
        r = json_get_optional(reader, "revoke_at", TIME_MAX, &lease->revoke_at);
    lease->kept_pid = (pid_t)pid;
    if (r >= 0)
        r = json_get_truth(reader, "unbind", &lease->unbind);
    if (r >= 0)
        r = json_get_truth(reader, "reattach", &lease->reattach);
    if (r >= 0)
        r = json_get_optional(reader, "reattach_after", UINT32_MAX, &after);
    lease->reattach_after = (uint32_t)after;
    return r < 0 ? r : json_get_truth(reader, "container", &lease->container);
}

static int get_interface(struct json_reader *reader, enum lease_interface *ret) {
    const char *text;
    int r = json_get_text(reader, "interface", STATE_TEXT_MAX, &text);

    if (r < 0)
        return r;
    for (int i = LEASE_INTERFACE_GROUP; i <= LEASE_INTERFACE_CDEV; i++)
        if (string_equal(text, lease_interface_to_string((enum lease_interface)i))) {
            *ret = (enum lease_interface)i;
            return 0;
        }
    return json_fault(reader, "interface");
}

static int get_state(struct json_reader *reader, struct lease *lease) {
    const char *text;
    int r = json_get_text(reader, "state", STATE_TEXT_MAX, &text);

    if (r < 0)
        return r;
    if (lease_state_from_string(text, &lease->state) < 0)
        return json_fault(reader, "state");
    if (lease->state != LEASE_DRAINING)
        return 0;
    r = json_get_text(reader, "end", STATE_TEXT_MAX, &text);
    if (r >= 0 && lease_end_from_string(text, &lease->end) < 0)
        r = json_fault(reader, "end");
    return r;
}

static int get_words(struct json_reader *reader, struct lease *lease) {
    const char *mode, *lifetime;
    int r = json_get_text(reader, "mode", STATE_TEXT_MAX, &mode);

    if (r >= 0)
        r = json_get_text(reader, "lifetime", STATE_TEXT_MAX, &lifetime);
    if (r < 0)
        return r;
    int mode_bit = policy_mode_from_string(mode);
    int lifetime_bit = policy_lifetime_from_string(lifetime);
    if (mode_bit <= 0)
        return json_fault(reader, "mode");
    if (lifetime_bit <= 0)
        return json_fault(reader, "lifetime");
    lease->mode = (unsigned)mode_bit;
    lease->lifetime = (unsigned)lifetime_bit;
    r = get_interface(reader, &lease->interface);
    return r < 0 ? r : get_state(reader, lease);
}

static int get_texts(struct json_reader *reader, struct lease *lease) {
    for (size_t i = 0; i < ELEMENTS_OF(text_fields); i++) {
        const char *text = "", *name = text_fields[i].name;
        bool missing = !json_object_object_get_ex(reader->object, name, NULL);
        int r = missing && text_fields[i].optional
                    ? 0
                    : json_get_text(reader, name, text_fields[i].limit, &text);
        if (r < 0)
            return r;
        char *copy = strdup(text);
        if (!copy)
            return -ENOMEM;
        *text_of(lease, &text_fields[i]) = copy;
    }
    return 0;
}

static int get_gids(struct json_reader *reader, struct lease *lease) {
    json_object *array = json_get(reader, "gids", json_type_array);
    size_t n = array ? json_object_array_length(array) : 0;

    if (!array || n > STATE_GIDS_MAX)
        return json_fault(reader, "gids");
    lease->gids = calloc(n ?: 1, sizeof(*lease->gids));
    if (!lease->gids)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        json_object *value = json_object_array_get_idx(array, i);
        int64_t gid = json_object_get_int64(value);
        if (!json_object_is_type(value, json_type_int) || gid < 0 || gid > UINT32_MAX - 1)
            return json_fault(reader, "gids");
        lease->gids[lease->n_gids++] = (gid_t)gid;
    }
    return 0;
}

static int get_devices(struct json_reader *reader, struct lease_group *group, size_t *n_devices) {
    json_object *array = json_get(reader, "devices", json_type_array);
    size_t n = array ? json_object_array_length(array) : 0;

    *n_devices += n;
    if (!array || *n_devices > STATE_DEVICES_MAX)
        return json_fault(reader, "devices");
    group->devices = calloc(n + 1, sizeof(char *));
    if (!group->devices)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *path = json_string_of(json_object_array_get_idx(array, i), STATE_PATH_MAX);
        if (!path || !device_is_valid(path))
            return json_fault(reader, "devices");
        group->devices[i] = strdup(path);
        if (!group->devices[i])
            return -ENOMEM;
    }
    return 0;
}

static int get_group(struct json_reader *outer, json_object *object, struct lease_group *group,
                     size_t *n_devices) {
    struct json_reader reader = {.object = object};
    uint64_t id = 0;

    if (!json_object_is_type(object, json_type_object))
        return json_fault(outer, "groups");
    json_object *lost = json_get(&reader, "lost", json_type_boolean);
    int r = lost ? json_get_number(&reader, "id", INT32_MAX, &id) : json_fault(&reader, "lost");
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

static int get_groups(struct json_reader *reader, json_object *array, struct lease *lease) {
    size_t n_devices = 0;

    for (size_t i = 0; i < lease->n_groups; i++) {
        int r = get_group(reader, json_object_array_get_idx(array, i), &lease->groups[i],
                          &n_devices);
        if (r < 0)
            return r;
        if (group_is_repeated(lease, i))
            return json_fault(reader, "groups");
    }
    return 0;
}

static int get_lease(struct json_reader *reader, struct lease **ret) {
    json_object *groups = json_get(reader, "groups", json_type_array);
    size_t n_groups = groups ? json_object_array_length(groups) : 0;

    if (n_groups == 0 || n_groups > STATE_GROUPS_MAX)
        return json_fault(reader, "groups");
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

int lease_from_json(const char *text, size_t size, const char *boot_id, struct lease **ret,
                    const char **ret_fault) {
    _cleanup_(json_putp) json_object *object = NULL;
    struct json_reader reader = {0};
    int r = json_open_of_boot(text, size, boot_id, &object, &reader);

    *ret_fault = "the text";
    if (r == 0)
        r = get_lease(&reader, ret);
    if (reader.fault)
        *ret_fault = reader.fault;
    return r;
}
