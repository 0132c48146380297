/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole groups back to their host drivers: which records a call is about, whether they can go, and the
 * start. */
#include "manager-switch.h"

#include <errno.h>
#include <string.h>

#include "util/string.h"

/* By its devices, as long as they are there: a group's number may have changed, or be another's now. */
static bool concerns(const struct manager *manager, const struct claim *claim,
                     const struct detachment *detachment) {
    for (size_t i = 0; i < detachment->n_members; i++) {
        const struct detachment_member *member = &detachment->members[i];
        const struct device *device = model_device(&manager->model, member->path);
        uint32_t id = device && device->group ? device->group->id : member->group;
        for (size_t j = 0; j < claim->n_groups; j++)
            if (claim->groups[j]->id == id)
                return true;
    }
    return false;
}

size_t manager_find_detachments(const struct manager *manager, const struct claim *claim,
                                struct detachment *ret[static DETACHMENTS_MAX]) {
    struct detachment *detachment, *next;
    size_t n = 0;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        if (n < DETACHMENTS_MAX && concerns(manager, claim, detachment))
            ret[n++] = detachment;
    }
    return n;
}

static bool is_in_use(const struct group *group) {
    return group && (group->switching || group->lease || group->open);
}

/* A VF goes with its PF's driver. */
static bool has_vf_in_use(const struct model *model, const struct group *group) {
    for (const struct device *member = group->members; member; member = member->next_member)
        for (const struct device *vf = member->n_vfs ? model->devices : NULL; vf;
             vf = vf->by_path.next)
            if (string_equal(vf->physfn, member->path) && is_in_use(vf->group))
                return true;
    return false;
}

static bool some_group_is_in_use(const struct manager *manager,
                                 const struct detachment *detachment) {
    for (size_t i = 0; i < detachment->n_members; i++) {
        const struct group *group = model_group(&manager->model, detachment->members[i].group);
        if (group && (group->lease || has_vf_in_use(&manager->model, group)))
            return true;
    }
    return false;
}

int manager_announce_reattach(struct manager *manager, struct detachment *detachment) {
    detachment->state = DETACHMENT_REATTACHING;
    if (manager->policy)
        detachment->unreset = manager_rules_allow_unreset(manager, detachment);
    int r = manager_save_detachment(manager, detachment);
    if (r < 0)
        detachment->state = DETACHMENT_DETACHED;
    return r;
}

int manager_reattach(struct manager *manager, struct detachment *detachment, enum way_back way,
                     bool unreset) {
    enum detachment_state before = detachment->state;
    uint64_t return_at = detachment->return_at;

    if (transaction_find(manager, detachment->id) || some_group_is_in_use(manager, detachment))
        return -EBUSY;
    manager_hold_groups(manager, detachment, false);
    detachment->return_at = 0;
    detachment->state = way == WAY_BACK_PROBED ? DETACHMENT_REATTACHING : DETACHMENT_UNDOING;
    if (unreset)
        detachment->unreset = true;
    else if (manager->policy)
        detachment->unreset = manager_rules_allow_unreset(manager, detachment);
    int r = manager_save_detachment(manager, detachment);
    struct transaction *transaction = r >= 0 ? transaction_new(manager, detachment) : NULL;
    if (!transaction) {
        detachment->state = before;
        detachment->return_at = return_at;
        return r < 0 ? r : -ENOMEM;
    }
    transaction->returns = true;
    transaction->way = way;
    for (size_t i = 0; i < transaction->n_runs; i++) {
        struct member_run *run = &transaction->runs[i];
        const struct device *device = model_device(&manager->model, run->path);
        run->recovered = true;
        run->soiled = device && device->soiled_by != UID_NONE;
        run->unreset = detachment->unreset;
    }
    transaction_go_on(transaction);
    return 0;
}

/* Whoever has the group now, or may be about to. */
static enum reason reason_to_wait(struct manager *manager, const struct group *group) {
    if (group->switching || group->held_for)
        return REASON_SWITCHING;
    if (group->lease)
        return group->lease->state == LEASE_DRAINING ? REASON_DRAINING : REASON_LEASED;
    if (group->open)
        return REASON_OPEN_ELSEWHERE;
    return has_vf_in_use(&manager->model, group) ? REASON_VFS_IN_USE : REASON_NONE;
}

bool manager_is_open(struct manager *manager, struct group *group) {
    bool open = group->node.present && manager_ask_kernel(manager, group->id) == NODE_OPEN;

    if (open != group->open) {
        model_set_open(&manager->model, group, open);
        group->open_unseen = open;
    }
    return open;
}

bool manager_is_open_unseen(struct manager *manager, const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        if (manager_is_open(manager, claim->groups[i]))
            return true;
    return false;
}

enum outcome manager_judge_reattach(struct manager *manager, const struct claim *claim,
                                    struct refusal *refusal) {
    struct verdict_request request = manager_request(manager, claim);
    struct detachment *found[DETACHMENTS_MAX];

    manager_catch_up(manager);
    /* Of several groups some may be back already: a call that failed can be repeated. */
    bool on_record = manager_find_detachments(manager, claim, found) > 0;
    for (size_t i = 0; i < claim->n_groups; i++) {
        const struct group *group = claim->groups[i];
        struct finding finding = {.group = group, .reason = reason_to_wait(manager, group)};
        if (finding.reason == REASON_VFS_IN_USE)
            finding.device = group->members;
        if (finding.reason) {
            _cleanup_(freep) char *text = finding_text(&finding, &request);
            return refuse(refusal, reason_outcome(finding.reason), "%s", text ?: "");
        }
        if (!on_record && group_has_role(group, ROLE_USER))
            return refuse(refusal, OUTCOME_NO_SUCH_TARGET,
                          "Group %u was not detached by dmaownd: its devices were on a VFIO driver "
                          "before, and there is nothing to give them back to.",
                          group->id);
    }
    return claim->n_groupless ? refuse(refusal, OUTCOME_NO_SUCH_TARGET,
                                       "Device %s has no IOMMU group, and was not detached.",
                                       claim->groupless[0]->name)
                              : OUTCOME_OK;
}
