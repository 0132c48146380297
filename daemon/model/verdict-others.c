/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who and what is beside a group: devices on the same stream, functions of the same card, former users. */
#include "model/verdict-internal.h"

#include "model/detachment.h"
#include "model/device-streams.h"
#include "util/string.h"

/* What the device tree says of a member by itself is for people to know. */
static void judge_tree_flags(struct court *court, const struct device *member) {
    static const struct {
        unsigned flag;
        enum reason reason;
    } flags[] = {{ISOLATION_TWO_IOMMUS, REASON_TWO_IOMMUS},
                 {ISOLATION_DISABLED_IOMMU, REASON_DISABLED_IOMMU},
                 {ISOLATION_MAP_OVERLAP, REASON_MAP_OVERLAP},
                 {ISOLATION_NO_IOMMUS, REASON_NO_IOMMUS}};

    for (size_t i = 0; member->streams && i < ELEMENTS_OF(flags); i++)
        if (member->streams->flags & flags[i].flag)
            court_find(court, &(struct finding){
                                  .reason = flags[i].reason, .group = member->group, .device = member});
}

static bool requires_isolation(const struct court *court) {
    const struct policy_terms *terms = &court->verdict->terms;

    return !terms->n_rules || terms->require & POLICY_REQUIRE_ISOLATED;
}

static void judge_outsiders(struct court *court, const struct group *group) {
    const struct device *member = NULL, *other = NULL;

    while ((other = group_next_outsider(group, &member, other))) {
        enum sharing sharing = device_sharing(other, group);
        if (!other->group && device_is_leaving(other))
            court_find_block(court, REASON_SWITCHING, NULL, other);
        court_find(court, &(struct finding){
                              .reason = sharing_reason(sharing),
                              .blocks = sharing != SHARING_PENDING && requires_isolation(court),
                              .group = group,
                              .device = member,
                              .other = other});
    }
}

void judge_isolation(struct court *court, const struct group *group) {
    const struct model *model = court->request->model;

    if (!model)
        return;
    if (group_isolation_is_unknown(model, group))
        court_find(court, &(struct finding){
                              .reason = REASON_SPLIT, .blocks = requires_isolation(court), .group = group});
    judge_outsiders(court, group);
    for (const struct device *member = court->keep ? group->members : NULL; member;
         member = member->next_member)
        judge_tree_flags(court, member);
}

/* Somebody else has the device's group, or is about to. */
static bool is_anothers(const struct court *court, const struct device *device) {
    const struct group *group = device ? device->group : NULL;
    uid_t caller = court->request->caller.uid;

    if (!group)
        return false;
    if (group->switching || group->held_for)
        return true;
    if (group->lease)
        return group->lease->claimant != caller;
    bool moved = device->detached && device->detached->move == MOVE_TO_USER;
    return group->open || (moved && device->detached->uid != caller);
}

/* Whoever drives a PF can look into its VFs, and whoever takes it away breaks them. */
void judge_functions(struct court *court, const struct group *group) {
    const struct model *model = court->request->model;

    for (const struct device *member = group->members; model && member;
         member = member->next_member) {
        if (member->physfn && is_anothers(court, model_device(model, member->physfn)))
            court_find_block(court, REASON_PF_OWNED, group, member);
        for (const struct device *vf = member->n_vfs ? model->devices : NULL; vf;
             vf = vf->by_path.next)
            if (string_equal(vf->physfn, member->path) && is_anothers(court, vf)) {
                court_find_block(court, REASON_VFS_IN_USE, group, member);
                break;
            }
    }
}

/* A former user may have left it running, and nothing has stopped it since. */
void judge_hygiene(struct court *court, const struct group *group) {
    bool allowed = court->verdict->terms.n_rules && court->verdict->terms.reattach_unreset;

    for (const struct device *member = group->members; member; member = member->next_member)
        if (device_is_soiled_for(member, court->request->holder.uid) &&
            (member->reset_failed || !*member->reset_methods))
            court_find(court, &(struct finding){.reason = REASON_NOT_RESET,
                                                .blocks = !allowed,
                                                .group = group,
                                                .device = member});
}

/* The only reset that the device has takes others along. */
void judge_reset_span(struct court *court, const struct group *group) {
    if (!court->keep || !court->request->model)
        return;
    for (const struct device *member = group->members; member; member = member->next_member)
        if (device_reset_spans_groups(court->request->model, member))
            court_find(court, &(struct finding){
                                  .reason = REASON_RESET_SPANS_GROUPS, .group = group, .device = member});
}
