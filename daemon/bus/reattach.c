/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/switch-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/question.h"
#include "model/detachment.h"
#include "util/string.h"

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
    _cleanup_(freep) char *holders =
        manager_describe_holders(call->bus->manager, moving->ids[0]);
    return call_fail_late(call, step ?: "The switch of drivers", holders,
                          "It goes on as soon as the kernel lets go of it.");
}

/* By whoever detached them, or privileged. */
static int require_owner(struct call *call, const struct claim *claim) {
    struct detachment *found[DETACHMENTS_MAX];
    size_t n = manager_find_detachments(call->bus->manager, claim, found);

    for (size_t i = 0; i < n; i++)
        if (found[i]->uid != call->caller->uid && !found[i]->guard)
            return call_require_privilege(call, OUTCOME_NOT_HOLDER);
    return CALL_PROCEEDS;
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
    struct manager *manager = call->bus->manager;

    manager_reconsider_openers(manager, claim);
    enum outcome r = manager_judge_reattach(manager, claim, &refusal);

    if (r == OUTCOME_OK && !call->openers && manager_is_open_unseen(manager, claim))
        r = manager_judge_reattach(manager, claim, &refusal);
    if (r == OUTCOME_OK)
        return CALL_PROCEEDS;
    if (wait && r != OUTCOME_NO_SUCH_TARGET && call_seconds_left(call) > 0)
        return call_look_again_later(call);
    if (r == OUTCOME_FOREIGN_OWNER)
        return refuse_open(call, claim, &refusal);
    return call_refuse(call, (int)r, &refusal);
}

/* By number: one that ends at once may take another record with it. */
static int start_returns(struct call *call, struct detachment *const *found, size_t n, bool unreset) {
    struct manager *manager = call->bus->manager;
    uint64_t ids[DETACHMENTS_MAX];

    for (size_t i = 0; i < n; i++)
        ids[i] = found[i]->id;
    for (size_t i = 0; i < n; i++) {
        struct detachment *detachment = manager_find_detachment(manager, ids[i]);
        if (!detachment || manager_pass_on_pin(manager, detachment))
            continue;
        /* The way there ended under the same number. */
        call->bus->last_switch = 0;
        int r = manager_reattach(manager, detachment, WAY_BACK_PROBED, unreset);
        if (r == -EBUSY && detachment->guard)
            continue; /* being pinned right now: it is let go of when that has ended */
        if (r < 0)
            return call_fail(call, OUTCOME_SWITCH_FAILED, "A way back can not be begun: %s.",
                             strerror(-r));
        call_follow_switch(call, ids[i]);
    }
    call->moving->ended = call->moving->n == 0;
    return follow_back(call);
}

/* Leaves those that are on their way back after a lease. */
static size_t keep_returning(struct detachment **found, size_t n) {
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (found[i]->return_at)
            found[kept++] = found[i];
    return kept;
}

static int start_back(struct call *call, const struct claim *claim, const struct switch_options *options) {
    struct detachment *found[DETACHMENTS_MAX];
    struct manager *manager = call->bus->manager;
    size_t n = manager_find_detachments(manager, claim, found);

    if (options->returning)
        n = keep_returning(found, n);
    if (!call_obtain_switch(call))
        return -ENOMEM;
    int r = call_wait_seconds(call, call_seconds_left(call), true);
    if (r != CALL_WAITS)
        return r;
    return start_returns(call, found, n, options->unreset);
}

int run_reattach(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    struct switch_options options;

    if (call->moving && (call->moving->n || call->moving->ended))
        return follow_back(call);
    int r = question_read_switch(call, &options, &question);
    if (r == CALL_PROCEEDS && options.unreset)
        r = call_require_privilege(call, OUTCOME_ACCESS_DENIED);
    if (r == CALL_PROCEEDS)
        r = require_owner(call, &question.claim);
    if (r != CALL_PROCEEDS)
        return r;
    call_set_deadline(call, options.wait);
    r = judge_back(call, &question.claim, options.wait);
    return r == CALL_PROCEEDS ? start_back(call, &question.claim, &options) : r;
}
