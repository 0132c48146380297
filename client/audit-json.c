/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/audit.h"

#include <errno.h>

#include "client/json.h"
#include "model/device.h"
#include "util/string.h"

/* ---- Values ---------------------------------------------------------------------------------- */

/* Text out of a tree is any bytes; JSON's is UTF-8. NULL when out of memory. */
static json_object *text_to_json(const char *text) {
    if (text_is_printable(text))
        return json_object_new_string(text);
    _cleanup_(freep) char *escaped = text_escape(text);
    return escaped ? json_object_new_string(escaped) : NULL;
}

static int set_text(json_object *object, const char *key, const char *text) {
    return json_set(object, key, text_to_json(text));
}

static int set_number(json_object *object, const char *key, uint64_t number) {
    return json_set(object, key, json_object_new_int64((int64_t)number));
}

static int append_text(json_object *array, const char *text) {
    json_object *value = text_to_json(text);

    return value ? json_append(array, value) : -ENOMEM;
}

/* Appends a new object to an array; borrowed. */
static json_object *append_object(json_object *array) {
    json_object *object = json_object_new_object();

    return object && json_append(array, object) >= 0 ? object : NULL;
}

/* A member that is a new array; borrowed. */
static json_object *set_array(json_object *object, const char *key) {
    json_object *array = json_object_new_array();

    return array && json_set(object, key, array) >= 0 ? array : NULL;
}

/* null: no group. */
static int set_group(json_object *object, const char *key, int64_t group) {
    if (group == GROUP_NONE)
        return json_object_object_add(object, key, NULL) < 0 ? -ENOMEM : 0;
    return json_set(object, key, json_object_new_int64(group));
}

/* ---- IOMMUs, maps, mistakes ------------------------------------------------------------------ */

static int iommus_to_json(const struct device_tree *tree, json_object *array) {
    for (size_t i = 0; i < tree->n_iommus; i++) {
        const struct tree_iommu *iommu = &tree->iommus[i];
        json_object *object = append_object(array);
        if (!object || set_text(object, "node", iommu->node) < 0 ||
            set_text(object, "compatible", iommu->compatible) < 0 ||
            json_set_text(object, "grouping", grouping_to_string(iommu->grouping)) < 0 ||
            json_set(object, "enabled", json_object_new_boolean(iommu->enabled)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int maps_to_json(const struct device_tree *tree, const struct tree_master *master,
                        json_object *array) {
    for (size_t i = 0; i < master->n_maps; i++) {
        const struct tree_map *map = &master->maps[i];
        json_object *object = append_object(array);
        if (!object || set_text(object, "node", master->node) < 0 ||
            set_text(object, "iommu", tree->iommus[map->iommu].node) < 0 ||
            set_number(object, "requester", map->requester) < 0 ||
            set_number(object, "length", map->length) < 0 || set_number(object, "id", map->id) < 0 ||
            set_number(object, "mask", master->map_mask) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int all_maps_to_json(const struct device_tree *tree, json_object *array) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < tree->n_masters; i++)
        if (tree->masters[i].enabled)
            r = maps_to_json(tree, &tree->masters[i], array);
    return r;
}

static int mistakes_to_json(const struct device_tree *tree, json_object *array) {
    for (size_t i = 0; i < tree->n_mistakes; i++) {
        json_object *object = append_object(array);
        if (!object || set_text(object, "node", tree->mistakes[i].node) < 0 ||
            set_text(object, "text", tree->mistakes[i].text) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* ---- Sets ------------------------------------------------------------------------------------ */

/* The part of set number set that is behind this IOMMU; made where it is new. Borrowed. */
static json_object *part_of_set(json_object *sets, size_t first, size_t set,
                                const struct tree_iommu *iommu) {
    for (size_t i = first; i < json_length(sets); i++) {
        json_object *part = json_object_array_get_idx(sets, i);
        if (json_object_get_userdata(part) == iommu)
            return part;
    }
    json_object *part = append_object(sets);
    if (!part || set_text(part, "iommu", iommu->node) < 0 || set_number(part, "set", set) < 0 ||
        json_set_text(part, "grouping", grouping_to_string(iommu->grouping)) < 0 ||
        !set_array(part, "devices"))
        return NULL;
    json_object_set_userdata(part, (void *)(uintptr_t)iommu, NULL);
    return part;
}

/* The member in a part; it is the last one, or new. Borrowed. */
static json_object *device_of_part(json_object *part, const struct audit *audit, size_t index,
                                   const int64_t *groups) {
    const struct isolation_member *member = &audit->members[index];
    json_object *devices = json_member(part, "devices");
    size_t n = json_length(devices);
    json_object *device = n > 0 ? json_object_array_get_idx(devices, n - 1) : NULL;

    if (device && json_object_get_userdata(device) == member)
        return device;
    device = append_object(devices);
    if (!device || set_text(device, "node", member->master->node) < 0 ||
        (member->device && set_text(device, "device", member->device) < 0) ||
        !set_array(device, "specifiers") ||
        set_group(device, audit->is_live ? "group" : "predicted_group", groups[index]) < 0)
        return NULL;
    json_object_set_userdata(device, (void *)(uintptr_t)member, NULL);
    return device;
}

static int member_to_json(const struct audit *audit, size_t index, const int64_t *groups,
                          json_object *sets, size_t first) {
    const struct isolation_member *member = &audit->members[index];

    for (size_t i = 0; i < member->n_streams; i++) {
        const struct tree_stream *stream = &member->streams[i];
        json_object *part =
            part_of_set(sets, first, member->set, &audit->tree->iommus[stream->iommu]);
        json_object *device = part ? device_of_part(part, audit, index, groups) : NULL;
        _cleanup_(freep) char *text = device ? tree_stream_text(stream) : NULL;
        if (!text || (*text && append_text(json_member(device, "specifiers"), text) < 0))
            return -ENOMEM;
    }
    return 0;
}

static int sets_to_json(const struct audit *audit, const int64_t *groups, json_object *sets) {
    const struct isolation *isolation = &audit->isolation;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < isolation->n_sets; i++) {
        size_t first = json_length(sets);
        for (size_t j = 0; r >= 0 && j < isolation->sets[i].n_members; j++)
            r = member_to_json(audit, isolation->sets[i].members[j], groups, sets, first);
    }
    return r;
}

static uint64_t count_masters(const struct audit *audit) {
    uint64_t n = 0;

    for (size_t i = 0; i < audit->isolation.n_sets; i++)
        n += audit->isolation.sets[i].n_members;
    return n;
}

/* Those that the machine's members have. */
static int live_groups(const struct audit *audit, int64_t **ret) {
    int64_t *groups = calloc(audit->n_members ? audit->n_members : 1, sizeof(*groups));

    if (!groups)
        return -ENOMEM;
    for (size_t i = 0; i < audit->n_members; i++)
        groups[i] = audit->members[i].group;
    *ret = groups;
    return 0;
}

/* ---- Findings -------------------------------------------------------------------------------- */

static int append_text_once(json_object *array, const char *text) {
    size_t n = json_length(array);

    /* Functions of one host bridge follow each other. */
    if (n > 0 && string_equal(json_object_get_string(json_object_array_get_idx(array, n - 1)), text))
        return 0;
    return append_text(array, text);
}

static int append_group(json_object *array, int64_t group) {
    if (group == GROUP_NONE)
        return 0;
    for (size_t i = 0; i < json_length(array); i++)
        if (json_object_get_int64(json_object_array_get_idx(array, i)) == group)
            return 0;
    json_object *value = json_object_new_int64(group);
    return value ? json_append(array, value) : -ENOMEM;
}

static int finding_members(const struct audit *audit, const struct isolation_finding *finding,
                           json_object *object) {
    json_object *nodes = set_array(object, "nodes");
    json_object *devices = audit->is_live ? set_array(object, "devices") : NULL;
    json_object *groups = audit->is_live ? set_array(object, "groups") : NULL;

    if (!nodes || (audit->is_live && (!devices || !groups)))
        return -ENOMEM;
    for (size_t i = 0; i < finding->n_members; i++) {
        const struct isolation_member *member = &audit->members[finding->members[i]];
        if (append_text_once(nodes, member->master->node) < 0 ||
            (devices && member->device && append_text(devices, member->device) < 0) ||
            (groups && append_group(groups, member->group) < 0))
            return -ENOMEM;
    }
    return 0;
}

static int finding_to_json(const struct audit *audit, const struct isolation_finding *finding,
                           json_object *array) {
    json_object *object = append_object(array);

    if (!object || json_set_text(object, "kind", reason_to_string(finding->kind)) < 0 ||
        json_set_text(object, "level", isolation_level_to_string(finding->level)) < 0 ||
        finding_members(audit, finding, object) < 0)
        return -ENOMEM;
    json_object *specifiers = set_array(object, "specifiers");
    for (char **text = finding->specifiers; specifiers && text && *text; text++)
        if (append_text(specifiers, *text) < 0)
            return -ENOMEM;
    return specifiers ? set_text(object, "text", finding->text) : -ENOMEM;
}

/* ---- All ------------------------------------------------------------------------------------- */

static const char *const keys[] = {"iommus", "sets", "maps", "findings", "mistakes"};

int audit_empty_json(const char *file, json_object **ret) {
    _cleanup_(json_putp) json_object *object = json_object_new_object();

    if (!object || (file && set_text(object, "file", file) < 0))
        return -ENOMEM;
    for (size_t i = 0; i < ELEMENTS_OF(keys); i++)
        if (!set_array(object, keys[i]))
            return -ENOMEM;
    if (set_number(object, "masters", 0) < 0)
        return -ENOMEM;
    *ret = TAKE_POINTER(object);
    return 0;
}

int audit_to_json(const struct audit *audit, const char *file, json_object **ret) {
    _cleanup_(json_putp) json_object *object = NULL;
    _cleanup_(freep) int64_t *groups = NULL;
    int r = audit_empty_json(file, &object);

    if (r >= 0)
        r = audit->is_live ? live_groups(audit, &groups) : audit_predict(audit, &groups);
    if (r >= 0)
        r = iommus_to_json(audit->tree, json_member(object, "iommus"));
    if (r >= 0)
        r = sets_to_json(audit, groups, json_member(object, "sets"));
    if (r >= 0)
        r = set_number(object, "masters", count_masters(audit));
    if (r >= 0)
        r = all_maps_to_json(audit->tree, json_member(object, "maps"));
    for (size_t i = 0; r >= 0 && i < audit->isolation.n_findings; i++)
        r = finding_to_json(audit, &audit->isolation.findings[i], json_member(object, "findings"));
    if (r >= 0)
        r = mistakes_to_json(audit->tree, json_member(object, "mistakes"));
    if (r >= 0)
        *ret = TAKE_POINTER(object);
    return r;
}
