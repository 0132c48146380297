/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rules of the contract, stated a second time and naively: tables of devices, groups and leases,
 * from which each answer is worked out anew. Shares nothing with the daemon but names. */

#include "sequence.h"

/* One rule that is stated wrongly on purpose: the runs must find it. */
enum fault {
    FAULT_NONE,
    FAULT_UIO_IS_PASSIVE,
    FAULT_DRAINING_IS_FREE,
    FAULT_QUOTA_FORGETS_DRAINING,
    FAULT_KERNEL_BEFORE_LEASE,
    FAULT_DENY_BINDS_DELEGATE,
    FAULT_LEASE_OUTLIVES_DRIVER,
    FAULT_KEY_OF_ANYBODY,
    FAULT_TTL_IS_FOREVER,
    N_FAULTS,
};

/* ---- What is so ------------------------------------------------------------------------------- */

struct naive_place {
    bool present;
    enum driver driver;
    int group; /* NO_GROUP */
};

/* What a group has beside its members. */
struct naive_group {
    bool direct;
    enum access access; /* of its node */
    int opener;         /* user, -1: nobody */
    bool container;     /* the opener claimed it */
    bool seen;          /* the daemon knows of the opener … */
    bool unseen;        /* … because it met it, not by an event */
};

enum lease_phase { PHASE_ACTIVE, PHASE_DRAINING };

struct naive_part {
    int group;
    unsigned places; /* that it had when it was granted */
    bool lost, drained;
};

struct naive_lease {
    unsigned id; /* 1, 2, … in the order of grants */
    enum user claimant, holder;
    unsigned slot, serial; /* the claimant's connection */
    struct naive_part parts[N_GROUPS];
    unsigned n_parts;
    enum mode mode;
    enum lifetime lifetime;
    unsigned key;
    bool container;
    uint64_t expires; /* 0: never */
    const char *rules[RULES_MAX];
    unsigned n_rules;
    enum lease_phase phase;
    const char *end; /* why it ends, while it drains */
    bool dropped;    /* what keeps it is gone */
};

#define LIVE_MAX 16 /* more than groups only where a rule is stated wrongly */
#define ENDED_MAX 512

struct naive {
    enum fault fault;
    struct naive_place places[N_PLACES];
    struct naive_group groups[N_GROUPS];
    struct naive_lease leases[LIVE_MAX]; /* in the order of grants */
    unsigned n_leases, n_granted;
    const char *ended[ENDED_MAX]; /* by id: why, NULL while it lives */
    const struct rules *policy;   /* in force, NULL: none was ever good */
    unsigned policy_file;
    uint64_t now; /* seconds */
    bool up;
    unsigned serials[N_SLOTS];
    int conflict; /* place whose conflict the last event made, -1: none */
};

void naive_init(struct naive *naive, enum fault fault);

/* ---- What happens ----------------------------------------------------------------------------- */

/* What the event answers: "" or the last word of the error's name, and the lease of a claim. */
struct naive_answer {
    const char *error;
    unsigned lease;
    bool same; /* it is one that was there already */
};

struct naive_answer naive_apply(struct naive *naive, const struct event *event);
/* The event is one that a daemon must be up for. */
bool naive_needs_daemon(const struct event *event);
/* One lease ends by its time, whatever the clock says. */
void naive_expire(struct naive *naive, unsigned lease);
/* Lease that EVENT_RELEASE and EVENT_REVOKE with this argument mean; 0: none was ever granted. */
unsigned naive_pick_lease(const struct naive *naive, unsigned argument);

/* ---- Questions -------------------------------------------------------------------------------- */

unsigned naive_members(const struct naive *naive, int group); /* bits of places */
bool naive_is_bridge(unsigned place);
const char *naive_role(const struct naive *naive, unsigned place);
bool naive_has_role(const struct naive *naive, int group, const char *role);
/* The node exists. */
bool naive_has_node(const struct naive *naive, int group);
bool naive_may_open(const struct naive *naive, int group, enum user user);
const char *naive_owner(const struct naive *naive, int group);
bool naive_viable(const struct naive *naive, int group);
struct naive_lease *naive_lease_of(struct naive *naive, int group);
struct naive_lease *naive_find_lease(struct naive *naive, unsigned id);
struct naive_lease *naive_find_key(struct naive *naive, enum user claimant, unsigned key);
unsigned naive_count(const struct naive *naive, enum user claimant, const char *rule);

/* May it be granted? */
struct naive_query {
    enum user claimant, holder;
    unsigned mode, lifetime; /* lifetime 0: whatever the rules allow */
    uint32_t ttl;
    unsigned targets;
    unsigned place; /* NO_PLACE: none */
};
/* The first reason against it, "" for none; *ret_error is the error's last word. */
const char *naive_reason(struct naive *naive, const struct naive_query *query,
                         const char **ret_error);
/* Groups that the query asks for, with that of its place. */
unsigned naive_targets(const struct naive *naive, const struct naive_query *query);
/* A lease that the claimant has under the key is not what is asked for. */
bool naive_key_is_taken(const struct naive *naive, const struct naive_lease *lease,
                        const struct event *event);
/* Names of the rules that allow it, without repetition, and the shortest of their terms. */
unsigned naive_rules(struct naive *naive, const struct naive_query *query,
                     const char *ret[RULES_MAX], uint32_t *ret_max_ttl);

/* ---- Between naive.c and naive-lease.c */

/* The nodes of the lease let in whom access says. */
void naive_let_in(struct naive *naive, const struct naive_lease *lease, enum access access);
/* Access goes; it ends when nobody has its groups open any more. */
void naive_end_lease(struct naive *naive, struct naive_lease *lease, const char *reason);
/* What a daemon that is up does by itself about what is so. */
void naive_follow_up(struct naive *naive);
/* Leases whose time or whose keeper is gone. */
void naive_end_in_time(struct naive *naive);
void naive_start(struct naive *naive);
