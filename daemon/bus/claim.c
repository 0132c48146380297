/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/claim.h"

#include <errno.h>

#include "bus/question.h"
#include "bus/switch.h"
#include "util/clock.h"
#include "util/string.h"

/* Between two looks whether others are done. */
#define OTHERS_SECONDS .2

static int append_fds(sd_bus_message *reply, const struct lease_fds *fds) {
    int r = sd_bus_message_open_container(reply, 'a', "{sh}");

    for (size_t i = 0; r >= 0 && i < fds->n; i++) {
        _cleanup_(freep) char *key = text_escape(fds->list[i].key);
        r = key ? sd_bus_message_append(reply, "{sh}", key, fds->list[i].fd) : -ENOMEM;
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* The library has copies of the fds, until the bus has taken the reply. */
static int answer_claim(struct call *call, const struct lease *lease,
                        const struct lease_fds *fds) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    char path[BUS_PATH_MAX];
    int r = sd_bus_message_new_method_return(call->message, &reply);

    if (r >= 0)
        r = sd_bus_message_append(reply, "o", bus_lease_path(lease->id, path));
    if (r >= 0)
        r = append_fds(reply, fds);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r < 0 ? r : CALL_DONE;
}

/* Option uid in Claim names the holder. */
static int take_holder(struct call *call, struct question *question) {
    if (!question->options.has_uid || question->options.uid == call->caller->uid)
        return CALL_PROCEEDS;
    int r = call_look_up_user(call, question->options.uid);
    if (r == CALL_PROCEEDS)
        question->claim.holder = call_user_subject(call);
    return r;
}

/* The same claimant and key: a call that was sent again, not a second lease. */
static int take_repeated(struct call *call, const struct claim *claim) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    _cleanup_(lease_fds_done) struct lease_fds fds = {0};
    bool same = false;
    const struct lease *lease = manager_find_repeated(call->bus->manager, claim, &same);

    if (!lease)
        return CALL_PROCEEDS;
    if (!same)
        return call_refuse_key(call, claim, lease);
    int r = manager_claim_again(call->bus->manager, claim, lease, &fds, &refusal);
    return r == OUTCOME_OK ? answer_claim(call, lease, &fds) : call_refuse(call, r, &refusal);
}

struct waiting_claimant {
    struct bus *bus;
    uint64_t lease;
};

/* A claimant that left before its answer may not know of the lease. */
static int on_claimant_there(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct waiting_claimant *waiting = userdata;
    struct manager *manager = waiting->bus->manager;
    struct lease *lease = lease_book_find(&manager->leases, waiting->lease);
    int there = true;

    if (!sd_bus_message_is_method_error(reply, NULL))
        (void)sd_bus_message_read(reply, "b", &there);
    if (!there && lease && lease->state == LEASE_ACTIVE) {
        lease->reattach = true; /* what was switched for it is undone, too */
        lease->reattach_after = 0;
        manager_end_lease(manager, lease, LEASE_END_DISCONNECTED);
    }
    return 1;
}

static int ask_for_claimant(struct call *call, const struct lease *lease) {
    struct waiting_claimant *waiting = malloc(sizeof(*waiting));

    if (!waiting)
        return -ENOMEM;
    *waiting = (struct waiting_claimant){.bus = call->bus, .lease = lease->id};
    return call_ask_whether_there(call, on_claimant_there, waiting);
}

/* A lease that its claimant never hears of is nobody's. Those that live with a connection or an fd
 * end by themselves. */
static int answer_grant(struct call *call, struct lease *lease, const struct lease_fds *fds) {
    bool stays = lease->lifetime != POLICY_LIFETIME_CONNECTION &&
                 lease->lifetime != POLICY_LIFETIME_FD;
    int r = stays ? ask_for_claimant(call, lease) : 0;

    if (r >= 0)
        r = answer_claim(call, lease, fds);
    if (r < 0)
        manager_end_lease(call->bus->manager, lease, LEASE_END_RELEASED);
    return r;
}

static int refuse_unsettled(struct call *call, const struct claim *claim) {
    static const char text[] = "udev has not finished with the node in time; try again.";

    manager_record_denial(call->bus->manager, claim, REASON_NO_NODE, NULL, text);
    return call_fail(call, OUTCOME_NOT_VIABLE, "%s", text);
}

static void on_cleaned(int result, void *userdata) {
    struct call *call = userdata;

    call->cleaning = NULL;
    call_run_again(call);
}

/* What a former user may have left running is reset before another one gets it; what could not be is
 * not tried again by this call. */
static int clean(struct call *call, const struct claim *claim) {
    struct verdict_request request = manager_request(call->bus->manager, claim);

    if (call->cleaning && call->time_is_over)
        return call_fail(call, OUTCOME_SWITCH_FAILED,
                         "The reset of a device that another user had open takes too long; try again.");
    if (call->cleaning)
        return CALL_WAITS;
    request.before_switch = false;
    if (!manager_needs_cleaning(claim) || verdict_first_reason(&request) != REASON_NONE)
        return CALL_PROCEEDS;
    if (manager_is_open_unseen(call->bus->manager, claim))
        return CALL_PROCEEDS; /* no reset under whoever that is: the claim is refused */
    int r = call_wait_until_deadline(call);
    if (r != CALL_WAITS)
        return r;
    manager_put_off_return(call->bus->manager, claim);
    r = manager_clean(call->bus->manager, claim, on_cleaned, call, &call->cleaning);
    return r < 0 ? r : CALL_WAITS;
}

/* Others are about to be done with the groups: option wait. What the call itself moves is no other's. */
static int wait_for_others(struct call *call, const struct claim *claim, uint64_t seconds) {
    struct verdict_request request = manager_request(call->bus->manager, claim);

    if (!seconds || call->moving || call->cleaning ||
        reason_outcome(verdict_first_reason(&request)) != OUTCOME_BUSY)
        return CALL_PROCEEDS;
    int r = call_be_patient(call, seconds);
    if (r != CALL_PROCEEDS || now_monotonic() >= call->patient_until)
        return r;
    call->deadline = 0; /* the switch has its own time, afterwards */
    return call_wait_seconds(call, OTHERS_SECONDS, false);
}

int run_claim(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    _cleanup_(refusal_done) struct refusal refusal = {0};
    _cleanup_(lease_fds_done) struct lease_fds fds = {0};
    struct lease *lease = NULL;

    int r = question_read(call, true, &question);
    if (r == CALL_PROCEEDS)
        r = take_holder(call, &question);
    if (r == CALL_PROCEEDS)
        r = take_repeated(call, &question.claim);
    if (r == CALL_PROCEEDS)
        r = wait_for_others(call, &question.claim, question.options.wait);
    if (r == CALL_PROCEEDS && question.claim.detach)
        r = call_detach(call, &question.claim, 0);
    if (r == CALL_PROCEEDS)
        r = call_survey_resets(call, &question.claim);
    if (r == CALL_PROCEEDS)
        r = clean(call, &question.claim);
    if (r != CALL_PROCEEDS)
        return r;
    r = manager_claim(call->bus->manager, &question.claim, &lease, &fds, &refusal);
    if (r == OUTCOME_OK) {
        call_keep_moved(call, &question.claim);
        return answer_grant(call, lease, &fds);
    }
    if (r == -EAGAIN) {
        r = call_try_again(call);
        return r != CALL_PROCEEDS ? r : refuse_unsettled(call, &question.claim);
    }
    return call_refuse(call, r, &refusal);
}

/* ---- Release */

int call_release(struct call *call, struct lease *lease) {
    if (!lease)
        return call_fail(call, OUTCOME_NO_SUCH_LEASE, "There is no such lease; it has ended.");
    if (lease->claimant != call->caller->uid) {
        int r = call_require_privilege(call, OUTCOME_NOT_HOLDER);
        if (r != CALL_PROCEEDS)
            return r;
    }
    struct manager *manager = call->bus->manager;
    uint64_t id = lease->id;
    manager_end_lease(manager, lease, LEASE_END_RELEASED);
    lease = lease_book_find(&manager->leases, id);
    if (lease && !manager_withdraw_access(manager, lease))
        return call_fail(call, OUTCOME_NOT_VIABLE,
                         "Access of lease %llu could not be taken back yet; it is tried again until "
                         "it is.",
                         (unsigned long long)id);
    int r = sd_bus_reply_method_return(call->message, NULL);
    return r < 0 ? r : CALL_DONE;
}
