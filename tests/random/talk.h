/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon over the bus: a connection for each slot, of its user, and one that watches. */

#include <sys/types.h>

#include "naive.h"

#define LEASE_NAME_MAX 64

/* A connection for each slot and the one that watches; or one anew. */
void talk_open_all(void);
void talk_reopen(unsigned slot);

/* Calls: the last word of the error's name, "" for none. */
/* What a claim is answered with. */
struct granted {
    char lease[LEASE_NAME_MAX];
    int groups[N_GROUPS], container, keeper; /* -1: none; the caller's to close */
    unsigned n_files; /* all of them, and such as were not expected */
};
/* pid is the process that lifetime process names. */
const char *talk_claim(const struct event *event, pid_t pid, struct granted *ret);
/* Explain with the same arguments: the reason. */
const char *talk_explain(const struct event *event, pid_t pid, const char **ret_reason);
const char *talk_release(const struct event *event, const char *lease);
/* The word that the bus has for a lifetime. */
const char *talk_lifetime_word(unsigned lifetime);
/* SetLifetime; pid is the process for lifetime process. */
const char *talk_lifetime(const struct event *event, const char *lease, pid_t pid);
const char *talk_reload(unsigned slot);
const char *talk_rescan(void);

/* What ListGroups says to the user of a slot. */
struct listed {
    bool there;
    char owner[16], verdict[32];
    unsigned members;
};
bool talk_list(unsigned slot, struct listed ret[N_GROUPS]);

/* What the objects say. */
struct seen_lease {
    char name[LEASE_NAME_MAX];
    uint32_t holder, claimant;
    unsigned groups; /* bits */
    char state[16], mode[8], lifetime[16], rule[128];
};
struct seen {
    struct {
        bool present;
        int group;
        char driver[32], role[16];
    } places[N_PLACES];
    struct {
        bool there, viable;
        char owner[16];
    } groups[N_GROUPS];
    struct seen_lease leases[2 * LIVE_MAX];
    unsigned n_leases;
};
bool talk_see(struct seen *ret);

/* Signals so far. */
const char *talk_ended(const char *lease); /* why, "" while it was not said */
unsigned talk_conflicts(const char *device); /* how many */
void talk_forget_signals(void);
