/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/group.h"

static const char *const owner_names[] = {
    [OWNER_NONE] = "none",
    [OWNER_KERNEL] = "kernel",
    [OWNER_USER] = "user",
    [OWNER_FOREIGN] = "foreign",
};

const char *owner_to_string(enum owner owner) {
    return owner_names[owner];
}

bool node_open_to_others(const struct node_facts *node, uid_t holder) {
    if (node->owner_access && node->owner != 0 && node->owner != holder)
        return true;
    if (node->group_access || node->other_access || node->too_many_entries)
        return true;
    for (unsigned i = 0; i < node->n_entries; i++) {
        const struct node_entry *entry = &node->entries[i];
        bool harmless = !entry->is_group && (entry->id == 0 || entry->id == holder);
        if (entry->access && !harmless)
            return true;
    }
    return false;
}

bool node_open_to(const struct node_facts *node, uid_t holder) {
    if (holder == 0 || (node->owner == holder && node->owner_access))
        return true;
    for (unsigned i = 0; i < node->n_entries; i++) {
        const struct node_entry *entry = &node->entries[i];
        if (!entry->is_group && entry->id == holder)
            return entry->full;
    }
    return false;
}

bool group_has_role(const struct group *group, enum role role) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->role == role)
            return true;
    return false;
}

enum owner group_owner(const struct group *group) {
    if (group->lease)
        return OWNER_USER;
    if (group_has_role(group, ROLE_KERNEL))
        return OWNER_KERNEL;
    return group->open ? OWNER_FOREIGN : OWNER_NONE;
}

bool group_viable(const struct group *group) {
    return group_has_role(group, ROLE_USER) && !group_has_role(group, ROLE_KERNEL) &&
           !group->kernel_disagrees;
}
