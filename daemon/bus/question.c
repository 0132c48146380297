/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/question.h"

#include "bus/claim.h"
#include "bus/keeper.h"

struct claim call_claim(struct call *call) {
    const struct identity *caller = call->caller;
    struct policy_subject subject = {
        .uid = caller->uid,
        .gids = caller->gids,
        .n_gids = caller->n_gids,
        .unit = *caller->unit ? caller->unit : NULL,
    };

    return (struct claim){
        .caller = subject,
        .holder = subject,
        .pid = caller->pid,
        .unit = caller->unit,
        .sender = caller->name,
        .bus_id = call->bus->bus_id,
        .mode = POLICY_MODE_PATH,
        .interface = LEASE_INTERFACE_DEFAULT,
        .pidfd = -1,
        .kept_unit = "",
        .key = "",
        .comment = "",
    };
}

struct policy_subject call_user_subject(const struct call *call) {
    return (struct policy_subject){
        .uid = call->user.uid, .gids = call->user.gids, .n_gids = call->user.n_gids};
}

void question_done(struct question *question) {
    targets_done(&question->targets);
}

int call_refuse(struct call *call, int r, const struct refusal *refusal) {
    return r < 0 ? r : call_fail(call, refusal->outcome, "%s", refusal->text ?: "");
}

int call_refuse_key(struct call *call, const struct claim *claim, const struct lease *lease) {
    return call_fail(call, OUTCOME_INVALID_OPTION,
                     "Key \"%s\" belongs to lease %llu, which has other groups, another holder, or "
                     "other terms (mode, interface, container, lifetime, pid, unit).",
                     claim->key, (unsigned long long)lease->id);
}

static void take_options(struct call *call, struct question *question) {
    const struct claim_options *options = &question->options;

    question->claim = call_claim(call);
    question->claim.mode = options->mode;
    question->claim.lifetime = options->lifetime;
    question->claim.interface = options->interface;
    question->claim.container = options->container;
    question->claim.ttl = options->ttl;
    question->claim.detach = options->detach;
    question->claim.reattach = options->reattach;
    question->claim.reattach_after = options->reattach_after;
    question->claim.key = options->key;
    question->claim.comment = options->comment;
}

static void take_targets(struct question *question) {
    question->claim.groups = question->targets.groups;
    question->claim.n_groups = question->targets.n_groups;
    question->claim.groupless = question->targets.groupless;
    question->claim.n_groupless = question->targets.n_groupless;
    question->claim.named = question->targets.named;
    question->claim.n_named = question->targets.n_named;
}

static int check_fds(struct call *call, const struct claim *claim) {
    struct verdict_request request = manager_request(call->bus->manager, claim);
    size_t n = manager_count_fds(&request, claim->container);

    if (n <= LEASE_FDS_MAX)
        return CALL_PROCEEDS;
    return call_fail(call, OUTCOME_INVALID_OPTION,
                     "The answer would carry %zu fds, and at most %d can be passed; claim fewer "
                     "groups at a time, or use mode path.",
                     n, LEASE_FDS_MAX);
}

/* They stand behind the targets. */
static int read_options(struct call *call, bool for_claim, struct question *ret) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    int r = sd_bus_message_skip(call->message, "as");

    if (r >= 0)
        r = claim_options_read(call->message, &ret->options, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    if (for_claim && ret->options.has_uid && ret->options.mode == POLICY_MODE_FD)
        return call_fail(call, OUTCOME_INVALID_OPTION,
                         "Option uid goes with mode path: fds are whoever's they are passed to.");
    take_options(call, ret);
    return call_take_keeper(call, &ret->options, &ret->claim);
}

static int read_targets(struct call *call, struct question *ret) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    int r = sd_bus_message_rewind(call->message, true);

    if (r >= 0)
        r = targets_read(call->message, call->bus->manager, &ret->targets, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    take_targets(ret);
    return CALL_PROCEEDS;
}

int question_read(struct call *call, bool for_claim, struct question *ret) {
    int r = read_options(call, for_claim, ret);

    if (r == CALL_PROCEEDS)
        r = read_targets(call, ret);
    return r == CALL_PROCEEDS ? check_fds(call, &ret->claim) : r;
}

int question_read_switch(struct call *call, struct switch_options *options, struct question *ret) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    int r = sd_bus_message_skip(call->message, "as");

    if (r >= 0)
        r = switch_options_read(call->message, options, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    ret->claim = call_claim(call);
    ret->claim.mode = 0; /* no lease is asked for */
    ret->claim.detach = true;
    return read_targets(call, ret);
}
