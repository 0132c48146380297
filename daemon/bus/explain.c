/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "bus/claim.h"
#include "bus/question.h"
#include "bus/switch.h"
#include "util/string.h"

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
    _cleanup_(freep) char *other = finding->other ? text_escape(finding->other->name) : NULL;
    if (r >= 0 && other)
        r = sd_bus_message_append(reply, "{sv}", "other", "s", other);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* What a repeated claim is told is that it has the group already: then nothing blocks. */
static int append_findings(sd_bus_message *reply, const struct verdict *verdict,
                           const struct verdict_request *request, bool repeated) {
    int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

    for (size_t i = 0; r >= 0 && i < verdict->n_findings; i++)
        if (!repeated || !verdict->findings[i].blocks)
            r = append_finding(reply, &verdict->findings[i], request);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int send_explanation(struct call *call, const struct claim *claim, bool repeated) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(verdict_done) struct verdict verdict = {0};
    manager_read_demands(call->bus->manager, claim);
    struct verdict_request request = manager_request(call->bus->manager, claim);
    verdict_reach(&request, &verdict);
    if (verdict.out_of_memory)
        return -ENOMEM;
    repeated = repeated && !manager_repeat_is_denied(claim, verdict.first);
    int r = sd_bus_message_new_method_return(call->message, &reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "bs", verdict.grantable || repeated,
                                  repeated ? "" : reason_to_string(verdict.first));
    if (r >= 0)
        r = append_findings(reply, &verdict, &request, repeated);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r < 0 ? r : CALL_DONE;
}

static int answer_explain(struct call *call, const struct claim *claim) {
    bool same = false;
    const struct lease *lease = manager_find_repeated(call->bus->manager, claim, &same);

    if (lease && !same)
        return call_refuse_key(call, claim, lease);
    return send_explanation(call, claim, lease != NULL);
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
    question->claim.caller = question->claim.holder = call_user_subject(call);
    return CALL_PROCEEDS;
}

int run_explain(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    int r = question_read(call, false, &question);

    if (r == CALL_PROCEEDS)
        r = take_other_caller(call, &question);
    if (r == CALL_PROCEEDS)
        r = call_survey(call, &question.claim, question.claim.detach);
    return r == CALL_PROCEEDS ? answer_explain(call, &question.claim) : r;
}
