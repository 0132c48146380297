/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/claim.h"

#include <errno.h>

#include "bus/keeper.h"
#include "bus/options.h"
#include "bus/targets.h"
#include "util/string.h"

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

static struct policy_subject user_subject(const struct call *call) {
    return (struct policy_subject){
        .uid = call->user.uid, .gids = call->user.gids, .n_gids = call->user.n_gids};
}

/* What Claim and Explain have in common: targets and options, checked. */
struct question {
    struct targets targets;
    struct claim_options options;
    struct claim claim;
};

static void question_done(struct question *question) {
    targets_done(&question->targets);
}

static int answer_refusal(struct call *call, int r, const struct refusal *refusal) {
    return r < 0 ? r : call_fail(call, refusal->outcome, "%s", refusal->text ?: "");
}

static void fill_claim(struct call *call, struct question *question) {
    const struct claim_options *options = &question->options;
    const struct targets *targets = &question->targets;

    question->claim = call_claim(call);
    question->claim.mode = options->mode;
    question->claim.lifetime = options->lifetime;
    question->claim.interface = options->interface;
    question->claim.container = options->container;
    question->claim.ttl = options->ttl;
    question->claim.detach = options->detach;
    question->claim.key = options->key;
    question->claim.comment = options->comment;
    question->claim.groups = targets->groups;
    question->claim.n_groups = targets->n_groups;
    question->claim.groupless = targets->groupless;
    question->claim.n_groupless = targets->n_groupless;
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

/* CALL_PROCEEDS, or what the handler returns. */
static int read_question(struct call *call, struct question *ret) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    _cleanup_(refusal_done) struct refusal option_refusal = {0};
    const char *targets_signature = "as";

    /* Options first, as in the order of errors; they stand behind the targets. */
    int r = sd_bus_message_skip(call->message, targets_signature);
    if (r >= 0)
        r = claim_options_read(call->message, &ret->options, &option_refusal);
    if (r != OUTCOME_OK)
        return answer_refusal(call, r, &option_refusal);
    r = sd_bus_message_rewind(call->message, true);
    if (r >= 0)
        r = targets_read(call->message, call->bus->manager, &ret->targets, &refusal);
    if (r != OUTCOME_OK)
        return answer_refusal(call, r, &refusal);
    fill_claim(call, ret);
    r = check_fds(call, &ret->claim);
    return r != CALL_PROCEEDS ? r : call_take_keeper(call, &ret->options, &ret->claim);
}

/* ---- Explain */

static int append_finding(sd_bus_message *reply, const struct finding *finding,
                          const struct verdict_request *request) {
    const struct device *device = finding->device;
    _cleanup_(freep) char *text = finding_text(finding, request);
    _cleanup_(freep) char *name = text_escape(device ? device->name : "");
    int r = sd_bus_message_open_container(reply, 'a', "{sv}");

    if (r >= 0)
        r = sd_bus_message_append(
            reply, "{sv}{sv}{sv}{sv}{sv}{sv}", "group", "u",
            finding->group ? finding->group->id : UINT32_MAX, "device", "s",
            name ?: "", "reason", "s", reason_to_string(finding->reason), "driver",
            "s", device && device->driver ? device->driver : "", "blocks", "b", finding->blocks,
            "text", "s", text ?: "");
    if (r >= 0 && finding->rule)
        r = sd_bus_message_append(reply, "{sv}", "rule", "s", finding->rule->name);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_findings(sd_bus_message *reply, const struct verdict *verdict,
                           const struct verdict_request *request) {
    int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

    for (size_t i = 0; r >= 0 && i < verdict->n_findings; i++)
        r = append_finding(reply, &verdict->findings[i], request);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int answer_explain(struct call *call, const struct claim *claim) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(verdict_done) struct verdict verdict = {0};
    struct verdict_request request = manager_request(call->bus->manager, claim);

    verdict_reach(&request, &verdict);
    if (verdict.out_of_memory)
        return -ENOMEM;
    int r = sd_bus_message_new_method_return(call->message, &reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "bs", verdict.grantable, reason_to_string(verdict.first));
    if (r >= 0)
        r = append_findings(reply, &verdict, &request);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r < 0 ? r : CALL_DONE;
}

/* Option uid in Explain asks for another user as caller, which is privileged. */
static int take_other_caller(struct call *call, struct question *question) {
    if (!question->options.has_uid || question->options.uid == call->caller->uid)
        return CALL_PROCEEDS;
    int r = call_require_privilege(call, OUTCOME_ACCESS_DENIED);
    if (r == CALL_PROCEEDS)
        r = call_look_up_user(call, question->options.uid);
    if (r != CALL_PROCEEDS)
        return r;
    question->claim.caller = question->claim.holder = user_subject(call);
    return CALL_PROCEEDS;
}

int run_explain(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    int r = read_question(call, &question);

    if (r == CALL_PROCEEDS)
        r = take_other_caller(call, &question);
    return r == CALL_PROCEEDS ? answer_explain(call, &question.claim) : r;
}

/* ---- Claim */

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
    if (question->options.has_uid && question->options.mode == POLICY_MODE_FD)
        return call_fail(call, OUTCOME_INVALID_OPTION,
                         "Option uid goes with mode path: fds are whoever's they are passed to.");
    if (!question->options.has_uid || question->options.uid == call->caller->uid)
        return CALL_PROCEEDS;
    int r = call_look_up_user(call, question->options.uid);
    if (r == CALL_PROCEEDS)
        question->claim.holder = user_subject(call);
    return r;
}

static bool lease_has_groups(const struct lease *lease, const struct claim *claim) {
    size_t n = 0;

    for (size_t i = 0; i < claim->n_groups; i++)
        n += claim->groups[i]->lease == lease;
    return n == claim->n_groups && n == lease->n_groups && !claim->n_groupless;
}

/* The same claimant and key: a call that was sent again, not a second lease. */
static int take_retried(struct call *call, const struct claim *claim) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    _cleanup_(lease_fds_done) struct lease_fds fds = {0};
    const struct lease *lease =
        lease_book_find_key(&call->bus->manager->leases, claim->caller.uid, claim->key);

    if (!lease)
        return CALL_PROCEEDS;
    if (!lease_has_groups(lease, claim) || lease->holder != claim->holder.uid ||
        lease->mode != claim->mode)
        return call_fail(call, OUTCOME_INVALID_OPTION,
                         "Key \"%s\" belongs to lease %llu, which has other groups, another mode "
                         "or another holder.",
                         claim->key, (unsigned long long)lease->id);
    int r = manager_claim_again(call->bus->manager, claim, lease, &fds, &refusal);
    return r == OUTCOME_OK ? answer_claim(call, lease, &fds) : answer_refusal(call, r, &refusal);
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
    if (!there && lease && lease->state == LEASE_ACTIVE)
        manager_end_lease(manager, lease, LEASE_END_DISCONNECTED);
    return 1;
}

/* The bus answers in order: when this question is answered with yes, the reply that is sent behind it
 * is delivered. */
static int ask_for_claimant(struct call *call, const struct lease *lease) {
    struct waiting_claimant *waiting = malloc(sizeof(*waiting));
    sd_bus_slot *slot = NULL;

    if (!waiting)
        return -ENOMEM;
    *waiting = (struct waiting_claimant){.bus = call->bus, .lease = lease->id};
    int r = sd_bus_call_method_async(call->bus->connection, &slot, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "NameHasOwner", on_claimant_there, waiting, "s",
                                     call->caller->name);
    if (r < 0) {
        free(waiting);
        return r;
    }
    (void)sd_bus_slot_set_destroy_callback(slot, free);
    (void)sd_bus_slot_set_floating(slot, true);
    sd_bus_slot_unref(slot);
    return 0;
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

int run_claim(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    _cleanup_(refusal_done) struct refusal refusal = {0};
    _cleanup_(lease_fds_done) struct lease_fds fds = {0};
    struct lease *lease = NULL;

    int r = read_question(call, &question);
    if (r == CALL_PROCEEDS && question.options.unsupported)
        r = call_fail(call, OUTCOME_NOT_SUPPORTED, "This version of dmaownd can not do %s yet.",
                      question.options.unsupported);
    if (r == CALL_PROCEEDS)
        r = take_holder(call, &question);
    if (r == CALL_PROCEEDS)
        r = take_retried(call, &question.claim);
    if (r != CALL_PROCEEDS)
        return r;
    r = manager_claim(call->bus->manager, &question.claim, &lease, &fds, &refusal);
    if (r == OUTCOME_OK)
        return answer_grant(call, lease, &fds);
    if (r == -EAGAIN) {
        r = call_try_again(call);
        return r != CALL_PROCEEDS ? r : refuse_unsettled(call, &question.claim);
    }
    return answer_refusal(call, r, &refusal);
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
