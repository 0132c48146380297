/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Detach and Reattach, and the detach of a claim: calls that answer late. Without option wait they
 * answer within 20 s, or what had begun is undone. */

#include "bus/call.h"

int run_detach(struct call *call);
int run_reattach(struct call *call);
int run_plan_detach(struct call *call);
int run_plan_reattach(struct call *call);

/* The model knows what the host needs the devices of the claim for, if it is about any that the host
 * has; with for_switch also where they could go. CALL_PROCEEDS, or what the handler returns. */
int call_survey(struct call *call, const struct claim *claim, bool for_switch);
/* Only whether what is on a VFIO driver has a reset, where that does not show. */
int call_survey_resets(struct call *call, const struct claim *claim);

/* Moves the claim's groups to userspace, if any member of them has to: they are judged, and refused, as
 * the claim itself would be. CALL_PROCEEDS when it is done. wait: seconds that what stands in the way is
 * waited for. */
int call_detach(struct call *call, struct claim *claim, uint64_t wait);
/* Judges a claim that is only planned, and answers what speaks against it. CALL_PROCEEDS if nothing does. */
int call_judge(struct call *call, const struct claim *claim, struct verdict *verdict);
/* Waits for what call->deadline, or the usual one, is the limit of: time_is_over is set then. */
int call_wait_until_deadline(struct call *call);

/* What call_detach moved is somebody's now, and does not go back with the call. */
void call_keep_moved(struct call *call, const struct claim *claim);

/* What was moved for the call goes back. To be called when it ends. */
void call_end_switch(struct call *call);

void calls_switched(struct bus *bus, uint64_t id, enum outcome outcome, const char *text);
