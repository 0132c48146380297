/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Detach (switch.c) and Reattach (reattach.c) share. */

#include "bus/switch.h"

/* What a call is moving. */
struct call_switch {
    uint64_t ids[DETACHMENTS_MAX]; /* under way */
    size_t n;
    uint64_t held; /* the switch that moved something for this call; 0 */
    bool undoes; /* what is under way goes back if the call is given up */
    bool judged_later; /* some device had no group: what formed is judged afterwards */
    bool ended;  /* all of them */
    enum outcome outcome;
    char *text;
    uint32_t moved[CLAIM_GROUPS_MAX]; /* groups that were moved, and are nobody's yet */
    size_t n_moved;
};

/* The call's own, made if there is none. NULL when out of memory. */
struct call_switch *call_obtain_switch(struct call *call);
/* The call goes on when this switch has ended; it may have by now. */
void call_follow_switch(struct call *call, uint64_t id);

/* The time that the call has, once: wait, or what is left for an answer within 20 s. */
void call_set_deadline(struct call *call, uint64_t wait);
double call_seconds_left(const struct call *call);
/* Runs the handler again in a moment. */
int call_look_again_later(struct call *call);

/* Answers that step takes too long; by whom it is held is for root. holders may be NULL. */
int call_fail_late(struct call *call, const char *step, const char *holders, const char *then);
