/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's pure parts under the events: model, verdict, leases and their state as JSON. What the
 * manager does around them is done here in the plainest way, with the kernel that the naive
 * statement is. */

#include "model/lease.h"
#include "model/model.h"
#include "model/verdict.h"
#include "policy/policy.h"

#include "naive.h"

struct subject {
    struct model model;
    struct lease_book book;
    struct policy *policies[N_POLICIES]; /* NULL for the one that is none */
    struct policy *policy;
    unsigned policy_file;
    struct verdict_host host;
    uint64_t next_id;
    bool up;
    const char *broken; /* an invariant, NULL while all hold */
    bool dropped[ENDED_MAX]; /* by id: what keeps the lease is gone */
    char *saved[ENDED_MAX]; /* leases while it is down */
    size_t saved_sizes[ENDED_MAX], n_saved;
};

/* Policies are parsed once: reset keeps them. False if one is not as it should be. */
bool subject_init(struct subject *subject);
void subject_reset(struct subject *subject);
void subject_done(struct subject *subject);

/* What a call answers: the last word of the error's name, "" for none. */
struct naive_answer subject_call(struct subject *subject, const struct naive *kernel,
                                 const struct event *event);
/* Another event, which has happened to the kernel already. */
void subject_hear(struct subject *subject, const struct naive *kernel, const struct event *event);
/* What follows from both. */
void subject_settle(struct subject *subject, const struct naive *kernel);

/* A request in the words of the subject. Borrows from subject and ret. */
struct subject_request {
    struct verdict_request request;
    struct group *groups[N_GROUPS];
    struct device *groupless[1];
};
/* False if a target is not there. */
bool subject_request(struct subject *subject, const struct naive_query *query,
                     struct subject_request *ret);

/* ---- Between subject.c and subject-call.c */

/* Notes what is not so, and returns condition. */
bool subject_must(struct subject *subject, bool condition, const char *what);
void subject_go_up(struct subject *subject, const struct naive *kernel);
void subject_end_lease(struct lease *lease, enum lease_end end);
void subject_follow_up(struct subject *subject, const struct naive *kernel);
