/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/group.h"

#include "util/string.h"

static const char *const owner_names[] = {
    [OWNER_NONE] = "none",
    [OWNER_KERNEL] = "kernel",
    [OWNER_USER] = "user",
    [OWNER_FOREIGN] = "foreign",
};

const char *owner_to_string(enum owner owner) {
    return owner_names[owner];
}

bool group_has_role(const struct group *group, enum role role) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->role == role)
            return true;
    return false;
}

const struct device *group_find_unsafe(const struct group *group) {
    for (const struct device *member = group->members; member; member = member->next_member) {
        bool amba = string_equal(member->bus, "amba");
        bool platform = string_equal(member->bus, "platform") && !member->has_msi_parent;
        if (member->compatible && (amba || platform))
            return member;
    }
    return NULL;
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
