/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole groups to userspace: the plan, which is the record, and its start; and back. */
#include "manager-switch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "util/string.h"

/* ---- the plan */

bool manager_needs_detach(const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        for (const struct device *member = claim->groups[i]->members; member;
             member = member->next_member)
            if (device_move(member, claim->named, claim->n_named) != MOVE_STAYS)
                return true;
    return false;
}

static bool copy_text(char **ret, const char *text) {
    *ret = strdup(text ?: "");
    return *ret != NULL;
}

/* What the device was: by an older record, where one is moved again that was not given back whole. */
static struct detachment_member what_it_was(const struct device *device, enum move move) {
    const struct survey *survey = device->survey;
    struct detachment_member was = {.driver = (char *)device->driver, .vfs = -1, .autoprobe = -1};

    if (move != MOVE_STAYS && device->detached)
        return *device->detached;
    if (survey && move != MOVE_STAYS)
        was.override = survey->override;
    if (survey && move == MOVE_TO_USER) {
        was.vfs = survey->vfs;
        was.autoprobe = survey->autoprobe;
    }
    return was;
}

static int fill_member(struct detachment_member *member, const struct device *device,
                       enum move move) {
    const struct detachment_member was = what_it_was(device, move);
    const struct survey *survey = device->survey;
    const char *target = "";

    if (move == MOVE_TO_USER && survey && survey->n_candidates)
        target = survey->candidates[0].driver;
    *member = (struct detachment_member){.group = device->group->id,
                                         .move = move,
                                         .vfs = was.vfs,
                                         .autoprobe = was.autoprobe};
    if (was.override && !copy_text(&member->override, was.override))
        return -ENOMEM;
    return copy_text(&member->path, device->path) && copy_text(&member->bus, device->bus) &&
                   copy_text(&member->driver, was.driver) && copy_text(&member->target, target)
               ? 0
               : -ENOMEM;
}

static size_t count_members(const struct claim *claim) {
    size_t n = 0;

    for (size_t i = 0; i < claim->n_groups; i++)
        n += claim->groups[i]->n_members;
    return n;
}

int manager_plan_detach(const struct claim *claim, bool all, struct detachment **ret) {
    _cleanup_(detachment_freep) struct detachment *plan = detachment_new(count_members(claim));

    if (!plan)
        return -ENOMEM;
    plan->uid = claim->caller.uid;
    for (size_t i = 0; i < claim->n_groups; i++)
        for (const struct device *device = claim->groups[i]->members; device;
             device = device->next_member) {
            enum move move = device_move(device, claim->named, claim->n_named);
            if (move == MOVE_STAYS && !all)
                continue;
            int r = fill_member(&plan->members[plan->n_members++], device, move);
            if (r < 0)
                return r;
        }
    *ret = TAKE_POINTER(plan);
    return 0;
}

/* ---- away */

static int copy_candidates(struct member_run *run, const struct device *device) {
    const struct survey *survey = device ? device->survey : NULL;

    for (size_t i = 0; survey && i < survey->n_candidates; i++) {
        struct vfio_candidate *copy = &run->candidates[run->n_candidates++];
        copy->loaded = survey->candidates[i].loaded;
        if (!copy_text(&copy->driver, survey->candidates[i].driver) ||
            !copy_text(&copy->module, survey->candidates[i].module))
            return -ENOMEM;
    }
    return 0;
}

/* Every driver that may be tried is loaded first: a variant that refuses the device must not leave it
 * without one. */
static int list_modules(struct transaction *transaction) {
    for (size_t i = 0; i < transaction->n_runs; i++) {
        struct member_run *run = &transaction->runs[i];
        for (size_t j = 0; j < run->n_candidates; j++) {
            const struct vfio_candidate *candidate = &run->candidates[j];
            if (candidate->loaded || strings_contain(transaction->modules, candidate->module))
                continue;
            int r = strings_append(&transaction->modules, candidate->module);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int prepare_runs(struct transaction *transaction) {
    struct manager *manager = transaction->manager;

    for (size_t i = 0; i < transaction->n_runs; i++) {
        struct member_run *run = &transaction->runs[i];
        const struct device *device = model_device(&manager->model, run->path);
        run->soiled = device && device->soiled_by != UID_NONE;
        if (transaction->detachment->members[i].move != MOVE_TO_USER)
            continue;
        int r = copy_candidates(run, device);
        if (r < 0)
            return r;
    }
    return list_modules(transaction);
}

static void drop_candidate(struct member_run *run, size_t index) {
    free(run->candidates[index].driver);
    free(run->candidates[index].module);
    run->n_candidates--;
    memmove(&run->candidates[index], &run->candidates[index + 1],
            (run->n_candidates - index) * sizeof(*run->candidates));
}

/* Where nothing is left that the device could go to, nothing is touched. */
static void drop_candidates(struct transaction *transaction, const char *module, int error) {
    log_message(LOG_WARNING, "Module %s could not be loaded: %s.", module, strerror(-error));
    for (size_t i = 0; i < transaction->n_runs; i++) {
        struct member_run *run = &transaction->runs[i];
        bool had = run->n_candidates > 0;
        for (size_t j = 0; j < run->n_candidates;)
            if (string_equal(run->candidates[j].module, module))
                drop_candidate(run, j);
            else
                j++;
        if (had && !run->n_candidates)
            transaction_fail(transaction, OUTCOME_SWITCH_FAILED,
                             "Step load of module %s for device %s failed: %s (%s); see journalctl -u "
                             "modprobe@%s.",
                             module, path_basename(run->path), strerror(-error),
                             strerrorname_np(-error) ?: "?", module);
    }
}

void manager_module_loaded(struct manager *manager, uint64_t id, const char *module, int error) {
    struct transaction *transaction = transaction_find(manager, id);

    if (!transaction || !transaction->loading)
        return;
    if (error < 0)
        drop_candidates(transaction, module, error);
    if (--transaction->loading == 0)
        transaction_go_on(transaction);
}

static void load_modules(struct transaction *transaction) {
    struct manager *manager = transaction->manager;
    uint64_t id = transaction->id;

    transaction->loading = 1; /* the start itself */
    for (char **module = transaction->modules; module && *module; module++) {
        transaction->loading++;
        int r = manager->listener ? manager->listener->load_module(*module, id,
                                                                  manager->listener_data)
                                  : -EOPNOTSUPP;
        if (r < 0)
            manager_module_loaded(manager, id, *module, r);
    }
    manager_module_loaded(manager, id, "", 0);
}

static enum outcome refuse_record(struct refusal *refusal, int error) {
    return refuse(refusal, OUTCOME_SWITCH_FAILED,
                  "The record of the switch can not be written (%s), so nothing was moved; make room "
                  "below /run.",
                  strerror(-error));
}

/* The record is the manager's, and on disk, when this returns 0. */
static int add_record(struct manager *manager, struct detachment *detachment) {
    int r = state_next_id(manager->state, &detachment->id);

    if (r >= 0)
        r = manager_save_detachment(manager, detachment);
    if (r < 0)
        return r;
    r = manager_add_detachment(manager, detachment);
    if (r < 0)
        (void)state_remove_detachment(manager->state, detachment->id);
    return r;
}

int manager_start_away(struct manager *manager, struct detachment *plan, uint64_t *ret_id,
                       struct refusal *refusal) {
    _cleanup_(detachment_freep) struct detachment *detachment = plan;
    int r = add_record(manager, detachment);

    if (r < 0)
        return refuse_record(refusal, r);
    struct detachment *added = TAKE_POINTER(detachment);
    manager_take_over_members(manager, added);
    struct transaction *transaction = transaction_new(manager, added);
    if (!transaction || prepare_runs(transaction) < 0) {
        if (transaction)
            transaction_free(transaction);
        manager_drop_detachment(manager, added);
        return -ENOMEM;
    }
    *ret_id = transaction->id;
    load_modules(transaction);
    return OUTCOME_OK;
}

/* Every rule that let the device go says that it may come back as it is. */
static bool rules_allow_unreset(const struct manager *manager, const struct detachment *detachment) {
    _cleanup_(freep) char *names = strdup(detachment->rule);
    char *rest = names, *name;
    bool any = false;

    while (manager->policy && rest && (name = strsep(&rest, ","))) {
        const struct policy_rule *rule = policy_rule_find(manager->policy, name);
        if (!rule || !rule->reattach_unreset)
            return false;
        any = true;
    }
    return any;
}

int manager_detach(struct manager *manager, const struct claim *claim, const char *rule,
                   bool pending, uint64_t *ret_id, struct refusal *refusal) {
    struct detachment *plan;
    int r = manager_plan_detach(claim, false, &plan);

    if (r < 0)
        return r;
    *ret_id = 0;
    if (!plan->n_members) {
        detachment_free(plan);
        return OUTCOME_OK;
    }
    char *copy = strdup(rule);
    if (!copy) {
        detachment_free(plan);
        return -ENOMEM;
    }
    free(plan->rule);
    plan->rule = copy;
    plan->unreset = rules_allow_unreset(manager, plan);
    plan->pending = pending;
    return manager_start_away(manager, plan, ret_id, refusal);
}

/* What it was waits in the record for a later attempt; what hangs goes on hanging. */
char *manager_undo_detach(struct manager *manager, uint64_t id, const char *why) {
    struct transaction *transaction = transaction_find(manager, id);
    _cleanup_(freep) char *step = manager_describe_switch(manager, id);

    if (!transaction)
        return NULL;
    transaction->loading = 0;
    if (step)
        transaction_fail(transaction, OUTCOME_SWITCH_FAILED, "%s %s.", step, why);
    else
        transaction_fail(transaction, OUTCOME_SWITCH_FAILED, "The switch of drivers %s.", why);
    char *text = transaction->failure ? strdup(transaction->failure) : NULL;
    transaction_go_on(transaction);
    return text;
}

/* ---- back */

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
        detachment->unreset = rules_allow_unreset(manager, detachment);
    int r = manager_save_detachment(manager, detachment);
    if (r < 0)
        detachment->state = DETACHMENT_DETACHED;
    return r;
}

int manager_reattach(struct manager *manager, struct detachment *detachment, enum way_back way,
                     bool unreset) {
    enum detachment_state before = detachment->state;

    if (transaction_find(manager, detachment->id) || some_group_is_in_use(manager, detachment))
        return -EBUSY;
    manager_hold_groups(manager, detachment, false);
    detachment->state = way == WAY_BACK_PROBED ? DETACHMENT_REATTACHING : DETACHMENT_UNDOING;
    if (unreset)
        detachment->unreset = true;
    else if (manager->policy)
        detachment->unreset = rules_allow_unreset(manager, detachment);
    int r = manager_save_detachment(manager, detachment);
    struct transaction *transaction = r >= 0 ? transaction_new(manager, detachment) : NULL;
    if (!transaction) {
        detachment->state = before;
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

bool manager_is_open_unseen(struct manager *manager, const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++) {
        struct group *group = claim->groups[i];
        if (!group->node.present || manager_ask_kernel(manager, group->id) != NODE_OPEN)
            continue;
        model_set_open(&manager->model, group, true);
        group->open_unseen = true;
        return true;
    }
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

char *manager_describe_switch(const struct manager *manager, uint64_t id) {
    const struct transaction *transaction = transaction_find(manager, id);
    _cleanup_(freep) char *step = NULL;

    for (size_t i = 0; transaction && i < transaction->n_runs && !step; i++)
        if (transaction->runs[i].worker)
            step = member_describe_step(&transaction->runs[i]);
    if (!step)
        return NULL;
    *step = (char)(*step == 's' ? 'S' : *step);
    return TAKE_POINTER(step);
}

char *manager_describe_holders(const struct manager *manager, uint64_t id) {
    const struct transaction *transaction = transaction_find(manager, id);

    return transaction ? holders_describe(transaction->holders) : NULL;
}

void manager_confirm_detach(struct manager *manager, const struct claim *claim) {
    struct detachment *found[DETACHMENTS_MAX];
    size_t n = manager_find_detachments(manager, claim, found);

    for (size_t i = 0; i < n; i++) {
        if (!found[i]->pending || found[i]->uid != claim->caller.uid)
            continue;
        found[i]->pending = false;
        manager_hold_groups(manager, found[i], false);
        int r = manager_save_detachment(manager, found[i]);
        if (r < 0)
            log_message(LOG_ERR, "State of switch %llu can not be written: %s; a restart would undo it.",
                        (unsigned long long)found[i]->id, strerror(-r));
        else /* all of it is the caller's by one write; only then is it taken apart */
            manager_split_detachment(manager, found[i]);
    }
}
