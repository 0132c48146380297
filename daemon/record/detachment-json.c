/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/detachment-json.h"

#include <errno.h>
#include <stdlib.h>

#include "record/json-fields.h"
#include "record/state-json.h"

/* Numbers of VFs; "none" is written as no field. */
#define VFS_MAX 65535

/* ---- writing */

static int put_valid_text(json_object *object, const char *name, const char *text) {
    return text_is_valid(text, STATE_TEXT_MAX) ? json_put_text(object, name, text) : -EINVAL;
}

static int put_functions(json_object *object, const struct detachment_member *member) {
    int r = 0;

    if (member->vfs >= 0)
        r = json_put_number(object, "vfs", (uint64_t)member->vfs);
    if (r >= 0 && member->autoprobe >= 0)
        r = json_put_number(object, "autoprobe", (uint64_t)member->autoprobe);
    return r;
}

static int put_member(json_object *object, const struct detachment_member *member) {
    int r = device_is_valid(member->path) ? json_put_text(object, "path", member->path) : -EINVAL;

    if (r >= 0)
        r = put_valid_text(object, "bus", member->bus);
    if (r >= 0)
        r = json_put_number(object, "group", member->group);
    if (r >= 0)
        r = json_put_text(object, "move", move_to_string(member->move));
    if (r >= 0)
        r = put_valid_text(object, "driver", member->driver);
    if (r >= 0 && member->override)
        r = put_valid_text(object, "override", member->override);
    if (r >= 0)
        r = put_valid_text(object, "target", member->target);
    return r < 0 ? r : put_functions(object, member);
}

static int put_members(json_object *object, const struct detachment *detachment) {
    json_object *array = json_object_new_array();
    int r = json_put(object, "members", array);

    if (r >= 0 && (detachment->n_members == 0 || detachment->n_members > STATE_MEMBERS_MAX))
        r = -EINVAL;
    for (size_t i = 0; r >= 0 && i < detachment->n_members; i++) {
        json_object *member = json_object_new_object();
        r = json_append(array, member);
        if (r >= 0)
            r = put_member(member, &detachment->members[i]);
    }
    return r;
}

static int put_detachment(json_object *object, const struct detachment *detachment,
                          const char *boot_id) {
    int r = json_put_text(object, "boot", boot_id);

    if (r >= 0)
        r = json_put_number(object, "id", detachment->id);
    if (r >= 0)
        r = json_put_number(object, "uid", detachment->uid);
    if (r >= 0 && !text_is_valid(detachment->rule, STATE_RULES_MAX))
        r = -EINVAL;
    if (r >= 0)
        r = json_put_text(object, "rule", detachment->rule);
    if (r >= 0)
        r = json_put_text(object, "state", detachment_state_to_string(detachment->state));
    if (r >= 0 && detachment->pending)
        r = json_put(object, "pending", json_object_new_boolean(true));
    if (r >= 0 && detachment->return_at)
        r = json_put_number(object, "return_at", detachment->return_at);
    if (r >= 0 && detachment->unreset)
        r = json_put(object, "unreset", json_object_new_boolean(true));
    if (r >= 0 && detachment->guard)
        r = json_put(object, "guard", json_object_new_boolean(true));
    return r < 0 ? r : put_members(object, detachment);
}

int detachment_to_json(const struct detachment *detachment, const char *boot_id, char **ret,
                       size_t *ret_size) {
    _cleanup_(json_putp) json_object *object = json_object_new_object();
    int r = object ? put_detachment(object, detachment, boot_id) : -ENOMEM;

    return r < 0 ? r : json_to_text(object, STATE_FILE_SIZE_MAX, ret, ret_size);
}

/* ---- reading */

static int copy_text(struct json_reader *reader, const char *name, char **ret) {
    const char *text;
    int r = json_get_text(reader, name, STATE_TEXT_MAX, &text);

    if (r < 0)
        return r;
    *ret = strdup(text);
    return *ret ? 0 : -ENOMEM;
}

/* -1 where it is missing. */
static int get_count(struct json_reader *reader, const char *name, int *ret) {
    uint64_t number;

    *ret = -1;
    if (!json_object_object_get_ex(reader->object, name, NULL))
        return 0;
    int r = json_get_number(reader, name, VFS_MAX, &number);
    if (r >= 0)
        *ret = (int)number;
    return r;
}

static int get_place(struct json_reader *reader, struct detachment_member *member) {
    uint64_t group;
    int r = copy_text(reader, "path", &member->path);

    if (r >= 0 && !device_is_valid(member->path))
        r = json_fault(reader, "path");
    if (r >= 0)
        r = copy_text(reader, "bus", &member->bus);
    if (r >= 0)
        r = json_get_number(reader, "group", UINT32_MAX, &group);
    if (r >= 0)
        member->group = (uint32_t)group;
    return r;
}

static int get_move(struct json_reader *reader, struct detachment_member *member) {
    const char *move;
    int r = json_get_text(reader, "move", STATE_TEXT_MAX, &move);

    if (r >= 0 && (move_from_string(move, &member->move) < 0 || member->move == MOVE_STAYS))
        r = json_fault(reader, "move");
    return r;
}

static int get_member(struct json_reader *reader, struct detachment_member *member) {
    int r = get_place(reader, member);

    if (r >= 0)
        r = get_move(reader, member);
    if (r >= 0)
        r = copy_text(reader, "driver", &member->driver);
    if (r >= 0 && json_object_object_get_ex(reader->object, "override", NULL))
        r = copy_text(reader, "override", &member->override);
    if (r >= 0)
        r = copy_text(reader, "target", &member->target);
    if (r >= 0)
        r = get_count(reader, "vfs", &member->vfs);
    return r < 0 ? r : get_count(reader, "autoprobe", &member->autoprobe);
}

static int get_members(struct json_reader *outer, json_object *array,
                       struct detachment *detachment) {
    size_t n = json_object_array_length(array);

    for (size_t i = 0; i < n; i++) {
        struct json_reader reader = {.object = json_object_array_get_idx(array, i)};
        if (!json_object_is_type(reader.object, json_type_object))
            return json_fault(outer, "members");
        struct detachment_member *member = &detachment->members[detachment->n_members++];
        int r = get_member(&reader, member);
        if (r < 0) {
            outer->fault = reader.fault;
            return r;
        }
        if (detachment_find(detachment, member->path) != member)
            return json_fault(outer, "members");
    }
    return 0;
}

static int get_words(struct json_reader *reader, struct detachment *detachment) {
    const char *rule, *state;
    int r = json_get_text(reader, "rule", STATE_RULES_MAX, &rule);

    if (r >= 0)
        r = json_get_text(reader, "state", STATE_TEXT_MAX, &state);
    if (r < 0)
        return r;
    if (detachment_state_from_string(state, &detachment->state) < 0)
        return json_fault(reader, "state");
    char *copy = strdup(rule);
    if (!copy)
        return -ENOMEM;
    free(detachment->rule);
    detachment->rule = copy;
    return 0;
}

static int get_detachment(struct json_reader *reader, struct detachment **ret) {
    json_object *members = json_get(reader, "members", json_type_array);
    size_t n = members ? json_object_array_length(members) : 0;

    if (n == 0 || n > STATE_MEMBERS_MAX)
        return json_fault(reader, "members");
    _cleanup_(detachment_freep) struct detachment *detachment = detachment_new(n);
    if (!detachment)
        return -ENOMEM;
    int r = json_get_number(reader, "id", INT64_MAX - 1, &detachment->id);
    if (r >= 0 && detachment->id == 0)
        r = json_fault(reader, "id");
    if (r >= 0)
        r = json_get_uid(reader, "uid", &detachment->uid);
    if (r >= 0)
        r = json_get_truth(reader, "guard", &detachment->guard);
    if (r >= 0)
        r = json_get_truth(reader, "pending", &detachment->pending);
    if (r >= 0)
        r = json_get_optional(reader, "return_at", TIME_MAX, &detachment->return_at);
    if (r >= 0)
        r = json_get_truth(reader, "unreset", &detachment->unreset);
    if (r >= 0)
        r = get_words(reader, detachment);
    if (r >= 0)
        r = get_members(reader, members, detachment);
    if (r >= 0)
        *ret = TAKE_POINTER(detachment);
    return r;
}

int detachment_from_json(const char *text, size_t size, const char *boot_id,
                         struct detachment **ret, const char **ret_fault) {
    _cleanup_(json_putp) json_object *object = NULL;
    struct json_reader reader = {0};
    int r = json_open_of_boot(text, size, boot_id, &object, &reader);

    *ret_fault = "the text";
    if (r == 0)
        r = get_detachment(&reader, ret);
    if (reader.fault)
        *ret_fault = reader.fault;
    return r;
}
