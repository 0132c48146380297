/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between verdict.c, verdict-policy.c and verdict-others.c. */

#include "model/verdict.h"

/* What a run of the function keeps beside its request. */
struct court {
    const struct verdict_request *request;
    struct verdict *verdict;
    bool keep; /* findings, not only the first reason */
};

void court_find(struct court *court, const struct finding *finding);
void court_find_block(struct court *court, enum reason reason, const struct group *group,
                      const struct device *device);

/* ---- what the rules say (verdict-policy.c) */

/* True if a rule allowed the device. */
bool judge_device_policy(struct court *court, const struct device *device);
void judge_group_policy(struct court *court, const struct group *group);
/* Of the rules that allowed something: mode, lifetime, ttl, detach. */
void judge_terms(struct court *court);
void judge_common_lifetime(struct court *court);

/* ---- who and what is beside a group (verdict-others.c) */

/* Devices outside of it that share a stream, and what the device tree says of its members. */
void judge_isolation(struct court *court, const struct group *group);
/* PFs of its VFs, and VFs of its PFs. */
void judge_functions(struct court *court, const struct group *group);
/* Former users. */
void judge_hygiene(struct court *court, const struct group *group);
/* Whom a reset would take along. */
void judge_reset_span(struct court *court, const struct group *group);
