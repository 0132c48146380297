/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/switch-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/claim.h"
#include "bus/question.h"
#include "model/detachment.h"
#include "util/clock.h"
#include "util/string.h"

/* With what comes before and after, the answer is there within 20 s. */
#define SWITCH_SECONDS 14
/* Between two looks whether what is in the way has gone. */
#define RETRY_SECONDS 1.

struct call_switch *call_obtain_switch(struct call *call) {
    if (!call->moving)
        call->moving = calloc(1, sizeof(*call->moving));
    return call->moving;
}

static bool has_id(const struct call_switch *moving, uint64_t id, size_t *ret) {
    for (*ret = 0; moving && *ret < moving->n; ++*ret)
        if (moving->ids[*ret] == id)
            return true;
    return false;
}

static void note_end(struct call_switch *moving, size_t index, enum outcome outcome,
                     const char *text) {
    moving->ids[index] = moving->ids[--moving->n];
    if (outcome != OUTCOME_OK && moving->outcome == OUTCOME_OK) {
        moving->outcome = outcome;
        moving->text = strdup(text);
    }
    moving->ended = moving->n == 0;
}

void calls_switched(struct bus *bus, uint64_t id, enum outcome outcome, const char *text) {
    size_t index;

    free(bus->last_switch_text);
    bus->last_switch = id;
    bus->last_switch_outcome = outcome;
    bus->last_switch_text = strdup(text);
    for (struct call *call = bus->calls; call; call = call->next) {
        if (!has_id(call->moving, id, &index))
            continue;
        note_end(call->moving, index, outcome, text);
        call->due = call->due || call->moving->ended;
    }
    calls_run_due(bus);
}

/* It may have ended before its number was known here. */
void call_follow_switch(struct call *call, uint64_t id) {
    struct call_switch *moving = call->moving;
    const struct bus *bus = call->bus;

    moving->ids[moving->n++] = id;
    moving->ended = false;
    if (bus->last_switch == id)
        note_end(moving, moving->n - 1, bus->last_switch_outcome, bus->last_switch_text ?: "");
}

/* A group that formed on the way, of which the call has not heard. */
static void give_back_held(struct manager *manager, const struct call_switch *moving) {
    struct detachment *detachment = manager_find_detachment(manager, moving->held);

    if (detachment && detachment->pending && detachment->state == DETACHMENT_DETACHED)
        (void)manager_reattach(manager, detachment, WAY_BACK_EXACT, false);
}

/* Only what the caller detached, and nobody has by now; pending: and was not answered for yet. */
static void give_back(struct manager *manager, struct call_switch *moving, uid_t uid, bool pending) {
    struct detachment *found[DETACHMENTS_MAX];
    struct group *groups[CLAIM_GROUPS_MAX];
    struct claim claim = {.groups = groups};

    for (size_t i = 0; i < moving->n_moved; i++) {
        struct group *group = model_group(&manager->model, moving->moved[i]);
        if (group && !group->lease && !group->switching)
            groups[claim.n_groups++] = group;
    }
    moving->n_moved = 0;
    size_t n = manager_find_detachments(manager, &claim, found);
    uint64_t ids[DETACHMENTS_MAX];
    for (size_t i = 0; i < n; i++)
        ids[i] = found[i]->id;
    for (size_t i = 0; i < n; i++) {
        struct detachment *detachment = manager_find_detachment(manager, ids[i]);
        if (detachment && detachment->uid == uid && !detachment->guard &&
            (detachment->pending || !pending))
            (void)manager_reattach(manager, detachment, WAY_BACK_EXACT, false);
    }
}

void call_end_switch(struct call *call) {
    struct call_switch *moving = call->moving;

    if (!moving)
        return;
    for (size_t i = 0; moving->undoes && i < moving->n; i++)
        free(manager_undo_detach(call->bus->manager, moving->ids[i],
                                 "was given up, since its caller has left the bus"));
    give_back(call->bus->manager, moving, call->caller->uid, true);
    if (moving->judged_later)
        give_back_held(call->bus->manager, moving);
    free(moving->text);
    free(moving);
    call->moving = NULL;
}

void call_keep_moved(struct call *call, const struct claim *claim) {
    if (!call->moving)
        return;
    call->moving->n_moved = 0;
    manager_confirm_detach(call->bus->manager, claim);
}

/* ---- a look */

static void on_surveyed(int result, void *userdata) {
    struct call *call = userdata;

    call->survey = NULL;
    call->surveyed = true;
    if (result >= 0) {
        call_run_again(call);
        return;
    }
    (void)call_fail(call, OUTCOME_BUSY,
                    "What the host uses the devices for can not be seen now (%s); perhaps a driver of "
                    "theirs hangs.",
                    strerror(-result));
    call_finish(call);
}

enum look { LOOK_AT_RESETS, LOOK_AT_USES, LOOK_FOR_SWITCH };

static bool is_looked_at(const struct claim *claim, const struct device *device, enum look look) {
    return (look != LOOK_AT_RESETS && device->role == ROLE_KERNEL) ||
           (look == LOOK_FOR_SWITCH && device_move(device, claim->named, claim->n_named) != MOVE_STAYS);
}

struct collection {
    struct device **devices; /* NULL: they are counted */
    size_t n;
    bool drivers; /* the look is to be at drivers, too */
};

static void collect_device(const struct call *call, const struct claim *claim, enum look look,
                           struct device *device, struct collection *collection) {
    bool unknown = device_reset_is_unknown(device, &call->bus->manager->host.vfio);

    if (!unknown && !is_looked_at(claim, device, look))
        return;
    if (collection->devices)
        collection->devices[collection->n] = device;
    collection->n++;
    collection->drivers = collection->drivers || unknown || look == LOOK_FOR_SWITCH;
}

static void collect(const struct call *call, const struct claim *claim, enum look look,
                    struct collection *collection) {
    collection->n = 0;
    for (size_t i = 0; i < claim->n_groupless; i++)
        collect_device(call, claim, look, claim->groupless[i], collection);
    for (size_t i = 0; i < claim->n_groups; i++)
        for (struct device *member = claim->groups[i]->members; member; member = member->next_member)
            collect_device(call, claim, look, member, collection);
}

/* While drivers are being switched a look may hang, and the answer is Busy anyway. */
static bool some_group_is_switching(const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        if (claim->groups[i]->switching)
            return true;
    return false;
}

/* Nobody has the host looked through for a question that policy answers. */
static bool is_denied(struct call *call, const struct claim *claim) {
    struct verdict_request request = manager_request(call->bus->manager, claim);

    return call->caller->uid != 0 &&
           reason_outcome(verdict_first_reason(&request)) == OUTCOME_POLICY_DENIED;
}

static int look_at(struct call *call, const struct claim *claim, enum look look) {
    struct collection collection = {0};

    collect(call, claim, look, &collection);
    if (call->survey)
        return CALL_WAITS;
    if (call->surveyed || collection.n == 0 || some_group_is_switching(claim) || is_denied(call, claim))
        return CALL_PROCEEDS;
    _cleanup_(freep) struct device **devices = calloc(collection.n, sizeof(*devices));
    if (!devices)
        return -ENOMEM;
    collection.devices = devices;
    collect(call, claim, look, &collection);
    int r = call_wait(call);
    if (r != CALL_WAITS)
        return r;
    r = manager_survey(call->bus->manager, devices, collection.n,
                       collection.drivers ? &claim->caller : NULL, on_surveyed, call, &call->survey);
    return r < 0 ? r : CALL_WAITS;
}

int call_survey(struct call *call, const struct claim *claim, bool for_switch) {
    return look_at(call, claim, for_switch ? LOOK_FOR_SWITCH : LOOK_AT_USES);
}

int call_survey_resets(struct call *call, const struct claim *claim) {
    return look_at(call, claim, LOOK_AT_RESETS);
}

/* ---- away */

/* Whatever is in the way now and goes by itself, or by somebody's hand. */
static bool may_go_away(enum reason reason) {
    enum outcome outcome = reason_outcome(reason);

    return outcome == OUTCOME_BUSY || outcome == OUTCOME_ALREADY_OWNED ||
           outcome == OUTCOME_FOREIGN_OWNER || outcome == OUTCOME_DEVICE_IN_USE;
}

double call_seconds_left(const struct call *call) {
    uint64_t now = now_monotonic();

    return call->deadline > now ? (double)(call->deadline - now) / 1e6 : 0.;
}

void call_set_deadline(struct call *call, uint64_t wait) {
    if (!call->deadline)
        call->deadline = now_monotonic() + (wait ?: SWITCH_SECONDS) * 1000000;
}

int call_wait_until_deadline(struct call *call) {
    call_set_deadline(call, 0);
    return call_wait_seconds(call, call_seconds_left(call), true);
}

int call_look_again_later(struct call *call) {
    call->surveyed = false;
    return call_wait_seconds(call, RETRY_SECONDS, false);
}

int call_fail_late(struct call *call, const char *step, const char *holders, const char *then) {
    bool known = holders && call->caller->uid == 0;

    return call_fail(call, OUTCOME_SWITCH_FAILED, "%s takes too long: the device is held%s%s. %s", step,
                     known ? " by " : "", known ? holders : "", then);
}

static void note_moved(struct call_switch *moving, const struct claim *claim) {
    moving->n_moved = 0;
    for (size_t i = 0; i < claim->n_groups; i++)
        moving->moved[moving->n_moved++] = claim->groups[i]->id;
}

static int follow_away(struct call *call, const struct claim *claim) {
    struct call_switch *moving = call->moving;

    if (moving->ended)
        ev_timer_stop(call->bus->loop, &call->timer);
    if (moving->ended && moving->outcome == OUTCOME_OK) {
        note_moved(moving, claim); /* groups that have formed, too */
        return CALL_PROCEEDS;
    }
    if (moving->ended) {
        moving->n_moved = 0;
        return call_fail(call, moving->outcome, "%s", moving->text ?: "The switch failed.");
    }
    if (!call->time_is_over)
        return CALL_WAITS;
    uint64_t id = moving->ids[0];
    moving->undoes = false;
    moving->n_moved = moving->n = 0;
    _cleanup_(freep) char *step = manager_describe_switch(call->bus->manager, id);
    _cleanup_(freep) char *holders = manager_describe_holders(call->bus->manager, id);
    free(manager_undo_detach(call->bus->manager, id, "took too long: the device was held"));
    return call_fail_late(call, step ?: "The switch of drivers", holders,
                          "It is undone as soon as the kernel lets go of it.");
}

static int start_away(struct call *call, const struct claim *claim, const struct verdict *verdict) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    _cleanup_(freep) char *rules = verdict_join_rules(verdict);
    struct call_switch *moving = call_obtain_switch(call);
    uint64_t id;

    if (!moving || !rules)
        return -ENOMEM;
    manager_put_off_return(call->bus->manager, claim);
    /* Before anything is done: a call that can not be followed does nothing. */
    int r = call_wait_seconds(call, call_seconds_left(call), true);
    if (r != CALL_WAITS)
        return r;
    r = manager_detach(call->bus->manager, claim, rules, true, &id, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    if (!id)
        return CALL_PROCEEDS;
    moving->undoes = true;
    moving->held = id;
    moving->judged_later = claim->n_groupless > 0;
    note_moved(moving, claim);
    call_follow_switch(call, id);
    return follow_away(call, claim);
}

static int judge(struct call *call, const struct claim *claim, uint64_t wait,
                 struct verdict *verdict) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct manager *manager = call->bus->manager;
    struct verdict_request request = manager_request(manager, claim);

    verdict_reach(&request, verdict);
    if (verdict->out_of_memory)
        return -ENOMEM;
    if (verdict->grantable)
        return CALL_PROCEEDS;
    if (wait && may_go_away(verdict->first) && call_seconds_left(call) > 0)
        return call_look_again_later(call);
    enum outcome r = manager_refuse_by_verdict(manager, claim, &request, verdict, &refusal);
    return call_refuse(call, (int)r, &refusal);
}

/* A question, and no denial. */
int call_judge(struct call *call, const struct claim *claim, struct verdict *verdict) {
    struct verdict_request request = manager_request(call->bus->manager, claim);

    verdict_reach(&request, verdict);
    if (verdict->grantable || verdict->out_of_memory)
        return verdict->grantable ? CALL_PROCEEDS : -ENOMEM;
    _cleanup_(freep) char *text = verdict_text(verdict, &request);
    return call_fail(call, reason_outcome(verdict->first), "%s", text ?: "Not possible.");
}

/* An event may have made what was seen a matter of the past. */
static bool every_target_was_looked_at(const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        for (const struct device *member = claim->groups[i]->members; member;
             member = member->next_member)
            if (is_looked_at(claim, member, LOOK_FOR_SWITCH) && !member->survey)
                return false;
    for (size_t i = 0; i < claim->n_groupless; i++)
        if (is_looked_at(claim, claim->groupless[i], LOOK_FOR_SWITCH) && !claim->groupless[i]->survey)
            return false;
    return true;
}

int call_detach(struct call *call, struct claim *claim, uint64_t wait) {
    _cleanup_(verdict_done) struct verdict verdict = {0};

    claim->held = call->moving ? call->moving->held : 0;
    if (call->moving && (call->moving->n || call->moving->ended))
        return follow_away(call, claim);
    call_set_deadline(call, wait);
    manager_catch_up(call->bus->manager);
    call->surveyed = call->surveyed && every_target_was_looked_at(claim);
    manager_read_demands(call->bus->manager, claim);
    int r = call_survey(call, claim, true);
    if (r == CALL_PROCEEDS)
        r = judge(call, claim, wait, &verdict);
    if (r != CALL_PROCEEDS || !manager_needs_detach(claim))
        return r;
    return start_away(call, claim, &verdict);
}

/* A switch that nobody hears of is nobody's: it goes back. */
struct waiting_switcher {
    struct bus *bus;
    uid_t uid;
    uint32_t groups[CLAIM_GROUPS_MAX];
    size_t n_groups;
};

static int on_switcher_there(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct waiting_switcher *waiting = userdata;
    struct call_switch moving = {.n_moved = waiting->n_groups};
    int there = true;

    if (!sd_bus_message_is_method_error(reply, NULL))
        (void)sd_bus_message_read(reply, "b", &there);
    memcpy(moving.moved, waiting->groups, sizeof(waiting->groups));
    if (!there)
        give_back(waiting->bus->manager, &moving, waiting->uid, false);
    return 1;
}

static int ask_for_switcher(struct call *call) {
    const struct call_switch *moving = call->moving;
    struct waiting_switcher *waiting = calloc(1, sizeof(*waiting));

    if (!waiting)
        return -ENOMEM;
    waiting->bus = call->bus;
    waiting->uid = call->caller->uid;
    waiting->n_groups = moving->n_moved;
    memcpy(waiting->groups, moving->moved, sizeof(waiting->groups));
    return call_ask_whether_there(call, on_switcher_there, waiting);
}

/* Groups that formed when their devices were moved: policy and everything else once more, in full. */
static int judge_formed(struct call *call, const struct claim *claim) {
    _cleanup_(verdict_done) struct verdict verdict = {0};
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct manager *manager = call->bus->manager;

    if (!call->moving || !call->moving->judged_later)
        return CALL_PROCEEDS;
    manager_catch_up(manager);
    struct verdict_request request = manager_request(manager, claim);
    request.before_switch = false;
    verdict_reach(&request, &verdict);
    if (verdict.grantable || verdict.out_of_memory)
        return verdict.grantable ? CALL_PROCEEDS : -ENOMEM;
    enum outcome r = manager_refuse_by_verdict(manager, claim, &request, &verdict, &refusal);
    return call_refuse(call, (int)r, &refusal);
}

int run_detach(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    struct switch_options options;
    int r = question_read_switch(call, &options, &question);

    if (r == CALL_PROCEEDS)
        r = call_detach(call, &question.claim, options.wait);
    if (r == CALL_PROCEEDS)
        r = judge_formed(call, &question.claim);
    if (r != CALL_PROCEEDS)
        return r;
    r = call->moving && call->moving->n_moved ? ask_for_switcher(call) : 0;
    if (r < 0)
        return r;
    call_keep_moved(call, &question.claim);
    manager_cancel_return(call->bus->manager, &question.claim);
    r = sd_bus_reply_method_return(call->message, NULL);
    return r < 0 ? r : CALL_DONE;
}
