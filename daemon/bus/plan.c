/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PlanDetach and PlanReattach: the steps, from the functions that the switch itself takes them from. */
#include "bus/switch.h"

#include <errno.h>

#include "bus/claim.h"
#include "bus/question.h"
#include "model/detachment.h"
#include "model/survey.h"
#include "util/string.h"

static int append_step(sd_bus_message *reply, const char *device, const struct step *step) {
    _cleanup_(freep) char *name = text_escape(device);
    _cleanup_(freep) char *text = name ? step_text(step, name) : NULL;
    _cleanup_(freep) char *from = text_escape(step->from);
    _cleanup_(freep) char *to = text_escape(step->to);
    int r = text && from && to ? sd_bus_message_open_container(reply, 'a', "{sv}") : -ENOMEM;

    if (r >= 0)
        r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}", "device", "s", name, "step", "s",
                                  step_kind_to_string(step->kind), "from", "s", from, "to", "s", to,
                                  "text", "s", text);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_steps(sd_bus_message *reply, const char *path, const struct step *steps, size_t n) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = append_step(reply, path_basename(path), &steps[i]);
    return r;
}

/* A module that several devices need is loaded once. */
static int append_loads(sd_bus_message *reply, const struct model *model,
                        const struct detachment *plan) {
    _cleanup_(strings_freep) char **seen = NULL;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < plan->n_members; i++) {
        const struct device *device = model_device(model, plan->members[i].path);
        const struct survey *survey = device ? device->survey : NULL;
        bool moves = plan->members[i].move == MOVE_TO_USER;
        for (size_t j = 0; r >= 0 && moves && survey && j < survey->n_candidates; j++) {
            struct step load = {.kind = STEP_LOAD, .from = "", .to = survey->candidates[j].module};
            if (survey->candidates[j].loaded || strings_contain(seen, load.to))
                continue;
            r = strings_append(&seen, load.to);
            if (r >= 0)
                r = append_step(reply, "", &load);
        }
    }
    return r;
}

/* Fills the list that the caller gets. */
typedef int append_function(sd_bus_message *reply, const struct manager *manager,
                            const struct claim *claim);

static int answer_steps(struct call *call, const struct claim *claim, append_function *append) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call->message, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    if (r >= 0)
        r = append(reply, call->bus->manager, claim);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r < 0 ? r : CALL_DONE;
}

static int append_away(sd_bus_message *reply, const struct manager *manager,
                       const struct claim *claim) {
    _cleanup_(detachment_freep) struct detachment *plan = NULL;
    struct step steps[STEPS_MAX];

    if (!manager_needs_detach(claim))
        return 0;
    int r = manager_plan_detach(claim, true, &plan);
    if (r >= 0)
        r = append_loads(reply, &manager->model, plan);
    for (size_t i = 0; r >= 0 && i < plan->n_members; i++)
        r = append_steps(reply, plan->members[i].path, steps, steps_away(&plan->members[i], steps));
    return r;
}

/* What Detach would refuse has no steps. */
int run_plan_detach(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    _cleanup_(verdict_done) struct verdict verdict = {0};
    struct switch_options options;
    int r = question_read_switch(call, &options, &question);

    if (r == CALL_PROCEEDS)
        r = call_survey(call, &question.claim, true);
    if (r == CALL_PROCEEDS)
        r = call_judge(call, &question.claim, &verdict);
    return r == CALL_PROCEEDS ? answer_steps(call, &question.claim, append_away) : r;
}

static int append_record(sd_bus_message *reply, const struct model *model,
                         const struct detachment *detachment) {
    struct step steps[STEPS_MAX];
    int r = 0;

    for (size_t i = 0; r >= 0 && i < detachment->n_members; i++) {
        const struct detachment_member *member = &detachment->members[i];
        const struct device *device = model_device(model, member->path);
        bool soiled = device && device->soiled_by != UID_NONE;
        r = append_steps(reply, member->path, steps,
                         steps_back(member, WAY_BACK_PROBED, soiled, steps));
    }
    return r;
}

static int append_staying(sd_bus_message *reply, const struct claim *claim) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < claim->n_groups; i++)
        for (const struct device *member = claim->groups[i]->members; r >= 0 && member;
             member = member->next_member) {
            struct step stay = {
                .kind = STEP_STAY, .from = member->driver ?: "", .to = member->driver ?: ""};
            if (!member->detached)
                r = append_step(reply, member->name, &stay);
        }
    return r;
}

static int append_back(sd_bus_message *reply, const struct manager *manager,
                       const struct claim *claim) {
    struct detachment *found[DETACHMENTS_MAX];
    size_t n = manager_find_detachments(manager, claim, found);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = append_record(reply, &manager->model, found[i]);
    return r >= 0 && n ? append_staying(reply, claim) : r;
}

int run_plan_reattach(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct switch_options options;
    int r = question_read_switch(call, &options, &question);

    if (r != CALL_PROCEEDS)
        return r;
    enum outcome outcome = manager_judge_reattach(call->bus->manager, &question.claim, &refusal);
    if (outcome != OUTCOME_OK)
        return call_refuse(call, (int)outcome, &refusal);
    return answer_steps(call, &question.claim, append_back);
}
