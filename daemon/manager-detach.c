/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole groups to userspace: the plan, which is the record, and its start. */
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
    return claim->n_groupless > 0;
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
    if (survey && move != MOVE_STAYS) /* a pin that nobody has a record of any more is not to come back */
        was.override = string_equal(survey->override, PIN_DRIVER) ? (char *)"" : survey->override;
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
    else if (move == MOVE_STAYS && device_follows_container(device))
        target = "vfio-fsl-mc"; /* that of the container, unless its rule names another */
    *member = (struct detachment_member){.group = device->group ? device->group->id : DETACHMENT_NO_GROUP,
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
    size_t n = claim->n_groupless;

    for (size_t i = 0; i < claim->n_groups; i++)
        n += claim->groups[i]->n_members;
    return n;
}

static int plan_device(struct detachment *plan, const struct claim *claim, const struct device *device,
                       bool all) {
    enum move move = device_move(device, claim->named, claim->n_named);

    if (move == MOVE_STAYS && !all)
        return 0;
    return fill_member(&plan->members[plan->n_members++], device, move);
}

int manager_plan_detach(const struct claim *claim, bool all, struct detachment **ret) {
    _cleanup_(detachment_freep) struct detachment *plan = detachment_new(count_members(claim));

    if (!plan)
        return -ENOMEM;
    plan->uid = claim->caller.uid;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < claim->n_groups; i++)
        for (const struct device *device = claim->groups[i]->members; r >= 0 && device;
             device = device->next_member)
            r = plan_device(plan, claim, device, all);
    for (size_t i = 0; r >= 0 && i < claim->n_groupless; i++)
        r = plan_device(plan, claim, claim->groupless[i], all);
    if (r < 0)
        return r;
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

/* A member of the plan that another transaction moves; NULL if none. */
static const struct device *find_switching(const struct manager *manager, const struct detachment *plan) {
    for (size_t i = 0; i < plan->n_members; i++) {
        const struct device *device = model_device(&manager->model, plan->members[i].path);
        if (device && device->switching)
            return device;
    }
    return NULL;
}

int manager_start_away(struct manager *manager, struct detachment *plan, uint64_t *ret_id,
                       struct refusal *refusal) {
    _cleanup_(detachment_freep) struct detachment *detachment = plan;
    const struct device *busy = find_switching(manager, detachment);

    if (busy)
        return (int)refuse(refusal, OUTCOME_BUSY, "Device %s is being moved right now; try again soon.",
                           busy->name);
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

bool manager_rules_allow_unreset(const struct manager *manager, const struct detachment *detachment) {
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
    plan->unreset = manager_rules_allow_unreset(manager, plan);
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
