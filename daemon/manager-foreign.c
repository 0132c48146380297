/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a group without a lease: an open of the node is an event, that of a copy of the node in another
 * /dev (libvirt and container runtimes make such) is none, but its device is enabled while it is open. */
#include "manager.h"

#include "util/string.h"

void manager_report_foreign(struct manager *manager, struct group *group) {
    if (!group->open || group->foreign_reported)
        return;
    group->foreign_reported = true;
    _cleanup_(freep) char *text = string_format(
        "Group %u was opened by a process that did not get it from dmaownd%s.", group->id,
        group->was_leased ? ", perhaps a former holder" : "");
    audit_write(manager->audit, &(struct audit_event){.kind = AUDIT_FOREIGN,
                                                      .message = text,
                                                      .groups = &group->id,
                                                      .n_groups = 1,
                                                      .uid = AUDIT_UID_NONE,
                                                      .claimant_uid = AUDIT_UID_NONE,
                                                      .reason = "open-elsewhere"});
    if (group->was_leased && manager->listener)
        manager->listener->conflict(group, "", "", text ?: "", manager->listener_data);
}

static unsigned count_enabled(const struct manager *manager, const struct group *group) {
    unsigned n = 0;

    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->role == ROLE_USER)
            n += manager_count_enabled(manager, member);
    return n;
}

/* A host driver that left its device enabled must not pass for an opener, so the kernel is asked: once for
 * each change. Whoever was met that way, or by a claim, is no innocent opener: the kernel is asked until that
 * one is gone. */
static void look_at(struct manager *manager, struct group *group) {
    unsigned enabled = count_enabled(manager, group);
    bool changed = enabled && enabled != group->enabled;

    group->enabled = enabled;
    if (group->open ? group->open_unseen : changed)
        (void)manager_is_open(manager, group);
}

void manager_look_for_foreign(struct manager *manager) {
    for (struct group *group = manager->model.groups; group; group = group->by_id.next)
        if (group->node.present && !group->lease && !group->switching)
            look_at(manager, group);
}
