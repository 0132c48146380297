/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/switch.h"

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

/* ---- what a call is moving */

struct call_switch {
    uint64_t ids[DETACHMENTS_MAX]; /* under way */
    size_t n;
    bool undoes; /* what is under way goes back if the call is given up */
    bool ended;  /* all of them */
    enum outcome outcome;
    char *text;
    uint32_t moved[CLAIM_GROUPS_MAX]; /* groups that were moved, and are nobody's yet */
    size_t n_moved;
};

static struct call_switch *obtain_switch(struct call *call) {
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
    struct call *call, *next;
    size_t index;

    free(bus->last_switch_text);
    bus->last_switch = id;
    bus->last_switch_outcome = outcome;
    bus->last_switch_text = strdup(text);
    for (call = bus->calls; call; call = next) {
        next = call->next;
        if (!has_id(call->moving, id, &index))
            continue;
        note_end(call->moving, index, outcome, text);
        if (call->moving->ended)
            call_run_again(call);
    }
}

/* It may have ended before its number was known here. */
static void follow(struct call *call, uint64_t id) {
    struct call_switch *moving = call->moving;
    const struct bus *bus = call->bus;

    moving->ids[moving->n++] = id;
    moving->ended = false;
    if (bus->last_switch == id)
        note_end(moving, moving->n - 1, bus->last_switch_outcome, bus->last_switch_text ?: "");
}

/* Only what the caller detached, and nobody has by now. */
static void give_back(struct manager *manager, struct call_switch *moving, uid_t uid) {
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
    for (size_t i = 0; i < n; i++)
        if (found[i]->uid == uid && !found[i]->guard)
            (void)manager_reattach(manager, found[i], WAY_BACK_EXACT, false);
}

void call_end_switch(struct call *call) {
    struct call_switch *moving = call->moving;

    if (!moving)
        return;
    for (size_t i = 0; moving->undoes && i < moving->n; i++)
        free(manager_undo_detach(call->bus->manager, moving->ids[i],
                                 "was given up, since its caller has left the bus"));
    give_back(call->bus->manager, moving, call->caller->uid);
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

static bool is_looked_at(const struct claim *claim, const struct device *device, bool for_switch) {
    return device->role == ROLE_KERNEL ||
           (for_switch && device_move(device, claim->named, claim->n_named) != MOVE_STAYS);
}

static size_t collect(const struct claim *claim, bool for_switch, struct device **ret) {
    size_t n = 0;

    for (size_t i = 0; i < claim->n_groups; i++)
        for (struct device *member = claim->groups[i]->members; member;
             member = member->next_member) {
            if (!is_looked_at(claim, member, for_switch))
                continue;
            if (ret)
                ret[n] = member;
            n++;
        }
    return n;
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

int call_survey(struct call *call, const struct claim *claim, bool for_switch) {
    size_t n = collect(claim, for_switch, NULL);

    if (call->survey)
        return CALL_WAITS;
    if (call->surveyed || n == 0 || some_group_is_switching(claim) || is_denied(call, claim))
        return CALL_PROCEEDS;
    _cleanup_(freep) struct device **devices = calloc(n, sizeof(*devices));
    if (!devices)
        return -ENOMEM;
    (void)collect(claim, for_switch, devices);
    int r = call_wait(call);
    if (r != CALL_WAITS)
        return r;
    r = manager_survey(call->bus->manager, devices, n, for_switch ? &claim->caller : NULL,
                       on_surveyed, call, &call->survey);
    return r < 0 ? r : CALL_WAITS;
}

/* ---- away */

/* Whatever is in the way now and goes by itself, or by somebody's hand. */
static bool may_go_away(enum reason reason) {
    enum outcome outcome = reason_outcome(reason);

    return outcome == OUTCOME_BUSY || outcome == OUTCOME_ALREADY_OWNED ||
           outcome == OUTCOME_FOREIGN_OWNER || outcome == OUTCOME_DEVICE_IN_USE;
}

static double seconds_left(const struct call *call) {
    uint64_t now = now_monotonic();

    return call->deadline > now ? (double)(call->deadline - now) / 1e6 : 0.;
}

static void set_deadline(struct call *call, uint64_t wait) {
    if (!call->deadline)
        call->deadline = now_monotonic() + (wait ?: SWITCH_SECONDS) * 1000000;
}

static int look_again_later(struct call *call) {
    call->surveyed = false;
    return call_wait_seconds(call, RETRY_SECONDS, false);
}

static int follow_away(struct call *call) {
    struct call_switch *moving = call->moving;

    if (moving->ended)
        ev_timer_stop(call->bus->loop, &call->timer);
    if (moving->ended && moving->outcome == OUTCOME_OK)
        return CALL_PROCEEDS;
    if (moving->ended) {
        moving->n_moved = 0;
        return call_fail(call, moving->outcome, "%s", moving->text ?: "The switch failed.");
    }
    if (!call->time_is_over)
        return CALL_WAITS;
    uint64_t id = moving->ids[0];
    moving->undoes = false;
    moving->n_moved = moving->n = 0;
    _cleanup_(freep) char *text = manager_undo_detach(
        call->bus->manager, id, "takes too long: something holds the device");
    return call_fail(call, OUTCOME_SWITCH_FAILED,
                     "%s It is being undone as soon as the kernel lets go of it.",
                     text ?: "The switch of drivers takes too long.");
}

static char *join_rules(const struct verdict *verdict) {
    char *text = strdup("");

    for (size_t i = 0; text && i < verdict->n_rules; i++) {
        char *longer = string_format("%s%s%s", text, i ? "," : "", verdict->rules[i]->name);
        free(text);
        text = longer;
    }
    return text;
}

static int start_away(struct call *call, const struct claim *claim, const struct verdict *verdict) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    _cleanup_(freep) char *rules = join_rules(verdict);
    struct call_switch *moving = obtain_switch(call);
    uint64_t id;

    if (!moving || !rules)
        return -ENOMEM;
    /* Before anything is done: a call that can not be followed does nothing. */
    int r = call_wait_seconds(call, seconds_left(call), true);
    if (r != CALL_WAITS)
        return r;
    r = manager_detach(call->bus->manager, claim, rules, true, &id, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    if (!id)
        return CALL_PROCEEDS;
    moving->undoes = true;
    for (size_t i = 0; i < claim->n_groups; i++)
        moving->moved[moving->n_moved++] = claim->groups[i]->id;
    follow(call, id);
    return follow_away(call);
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
    if (wait && may_go_away(verdict->first) && seconds_left(call) > 0)
        return look_again_later(call);
    enum outcome r = manager_refuse_by_verdict(manager, claim, &request, verdict, &refusal);
    return call_refuse(call, (int)r, &refusal);
}

/* A question, and no denial. */
int call_judge(struct call *call, const struct claim *claim, struct verdict *verdict) {
    struct verdict_request request = manager_request(call->bus->manager, claim);

    verdict_reach(&request, verdict);
    if (verdict->grantable || verdict->out_of_memory)
        return verdict->grantable ? CALL_PROCEEDS : -ENOMEM;
    const struct finding *finding = verdict_first_finding(verdict);
    _cleanup_(freep) char *text = finding ? finding_text(finding, &request) : NULL;
    return call_fail(call, reason_outcome(verdict->first), "%s", text ?: "Not possible.");
}

int call_detach(struct call *call, const struct claim *claim, uint64_t wait) {
    _cleanup_(verdict_done) struct verdict verdict = {0};

    if (call->moving && (call->moving->n || call->moving->ended))
        return follow_away(call);
    set_deadline(call, wait);
    manager_catch_up(call->bus->manager);
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
        give_back(waiting->bus->manager, &moving, waiting->uid);
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

int run_detach(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    struct switch_options options;
    int r = question_read_switch(call, &options, &question);

    if (r == CALL_PROCEEDS)
        r = call_detach(call, &question.claim, options.wait);
    if (r != CALL_PROCEEDS)
        return r;
    r = call->moving && call->moving->n_moved ? ask_for_switcher(call) : 0;
    if (r < 0)
        return r;
    call_keep_moved(call, &question.claim);
    r = sd_bus_reply_method_return(call->message, NULL);
    return r < 0 ? r : CALL_DONE;
}

/* ---- back */

static int follow_back(struct call *call) {
    const struct call_switch *moving = call->moving;

    if (moving->ended && moving->outcome != OUTCOME_OK)
        return call_fail(call, moving->outcome, "%s", moving->text ?: "The switch failed.");
    if (moving->ended) {
        int r = sd_bus_reply_method_return(call->message, NULL);
        return r < 0 ? r : CALL_DONE;
    }
    if (!call->time_is_over)
        return CALL_WAITS;
    _cleanup_(freep) char *step = manager_describe_switch(call->bus->manager, moving->ids[0]);
    return call_fail(call, OUTCOME_SWITCH_FAILED,
                     "%s takes too long: something holds the device. It goes on as soon as the "
                     "kernel lets go of it.",
                     step ?: "The switch of drivers");
}

static void on_openers(const char *names, void *userdata) {
    struct call *call = userdata;

    call->looking = NULL;
    call->openers = strdup(names);
    call_run_again(call);
}

/* Whoever detached the group, and root, is told who has it open. */
static int refuse_open(struct call *call, const struct claim *claim, const struct refusal *refusal) {
    struct detachment *found[DETACHMENTS_MAX];
    size_t n = manager_find_detachments(call->bus->manager, claim, found);
    bool may_know = call->caller->uid == 0;

    for (size_t i = 0; i < n; i++)
        may_know = may_know || found[i]->uid == call->caller->uid;
    if (call->openers || !may_know) {
        bool known = call->openers && *call->openers;
        return call_fail(call, refusal->outcome, "%s%s%s%s", refusal->text ?: "",
                         known ? " It is open in " : "", known ? call->openers : "",
                         known ? "." : "");
    }
    int r = call_wait(call);
    if (r != CALL_WAITS || call->looking)
        return r;
    r = manager_find_openers(call->bus->manager, claim, on_openers, call, &call->looking);
    return r < 0 ? r : CALL_WAITS;
}

static int judge_back(struct call *call, const struct claim *claim, uint64_t wait) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    enum outcome r = manager_judge_reattach(call->bus->manager, claim, &refusal);

    if (r == OUTCOME_OK)
        return CALL_PROCEEDS;
    if (wait && r != OUTCOME_NO_SUCH_TARGET && seconds_left(call) > 0)
        return look_again_later(call);
    if (r == OUTCOME_FOREIGN_OWNER)
        return refuse_open(call, claim, &refusal);
    return call_refuse(call, (int)r, &refusal);
}

/* By whoever detached them, or privileged. */
static int require_owner(struct call *call, struct detachment *const *found, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (found[i]->uid != call->caller->uid && !found[i]->guard)
            return call_require_privilege(call, OUTCOME_NOT_HOLDER);
    return CALL_PROCEEDS;
}

static int start_back(struct call *call, const struct claim *claim, bool unreset) {
    struct detachment *found[DETACHMENTS_MAX];
    struct manager *manager = call->bus->manager;
    size_t n = manager_find_detachments(manager, claim, found);
    int r = require_owner(call, found, n);

    if (r != CALL_PROCEEDS)
        return r;
    if (!obtain_switch(call))
        return -ENOMEM;
    r = call_wait_seconds(call, seconds_left(call), true);
    if (r != CALL_WAITS)
        return r;
    call->moving->ended = n == 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t id = found[i]->id;
        /* The way there ended under the same number. */
        call->bus->last_switch = 0;
        r = manager_reattach(manager, found[i], WAY_BACK_PROBED, unreset);
        if (r < 0)
            return call_fail(call, OUTCOME_SWITCH_FAILED,
                             "The record of the switch can not be written (%s), so nothing was given "
                             "back; make room below /run.",
                             strerror(-r));
        follow(call, id);
    }
    return follow_back(call);
}

int run_reattach(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    struct switch_options options;

    if (call->moving && (call->moving->n || call->moving->ended))
        return follow_back(call);
    int r = question_read_switch(call, &options, &question);
    if (r == CALL_PROCEEDS && options.unreset)
        r = call_require_privilege(call, OUTCOME_ACCESS_DENIED);
    if (r != CALL_PROCEEDS)
        return r;
    set_deadline(call, options.wait);
    r = judge_back(call, &question.claim, options.wait);
    return r == CALL_PROCEEDS ? start_back(call, &question.claim, options.unreset) : r;
}
