/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One model for the test that runs, and what stands on its lists of changes. */

#include "model-test.h"

static struct model model;

static inline void set_up(void) {
    model_init(&model);
}

static inline void tear_down(void) {
    model_done(&model);
}

/* ---- What is on the lists of changes -------------------------------------------------------- */

static inline bool group_listed(uint32_t id) {
    const struct group *group = model.dirty_groups;

    while (group && group->id != id)
        group = group->next_dirty;
    return group != NULL;
}

static inline bool group_removed(uint32_t id) {
    const struct group *group = model.removed_groups;

    while (group && group->id != id)
        group = group->next_dirty;
    return group != NULL;
}

static inline const struct device *device_removed(const char *path) {
    const struct device *device = model.removed_devices;

    while (device && strcmp(device->path, path) != 0)
        device = device->next_dirty;
    return device;
}

static inline unsigned changes_of(const struct device *device) {
    unsigned times = 0;

    for (const struct device *at = model.dirty_devices; at; at = at->next_dirty)
        times += at == device;
    ck_assert_uint_le(times, 1);
    ck_assert_int_eq(device->listed, times == 1);
    ck_assert(times == 1 || device->changes == 0);
    return device->changes;
}

/* The members of a group by the last character of their paths, in the order of the list. */
static inline const char *members_of(uint32_t id) {
    static char text[32];
    const struct group *group = model_group(&model, id);
    size_t n = 0;

    if (!group)
        return "none";
    for (const struct device *member = group->members; member; member = member->next_member) {
        ck_assert_ptr_eq(member->group, group);
        ck_assert_uint_lt(n, sizeof(text) - 1);
        text[n++] = member->path[strlen(member->path) - 1];
    }
    text[n] = 0;
    ck_assert_uint_eq(n, group->n_members);
    return text;
}
