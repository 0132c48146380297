/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Claim and Explain are asked: targets and options, checked. Errors come in the contract's order:
 * what is wrong with the options before what is wrong with the targets. */

#include "bus/call.h"
#include "bus/options.h"
#include "bus/targets.h"

struct question {
    struct targets targets;
    struct claim_options options;
    struct claim claim; /* borrowed from call and the two above */
};

/* Reads the message. for_claim: option uid names the holder, and not another caller to ask for.
 * CALL_PROCEEDS, or what the handler returns. */
int question_read(struct call *call, bool for_claim, struct question *ret);
/* The same for Detach, Reattach and their plans, which ask for no lease. */
int question_read_switch(struct call *call, struct switch_options *options, struct question *ret);
void question_done(struct question *question);

/* The user that call_look_up_user found; borrowed from call. */
struct policy_subject call_user_subject(const struct call *call);
/* Answers with a refusal (r an outcome), or passes a negative errno on. */
int call_refuse(struct call *call, int r, const struct refusal *refusal);
/* Answers with InvalidOption: the key belongs to another lease. */
int call_refuse_key(struct call *call, const struct claim *claim, const struct lease *lease);
