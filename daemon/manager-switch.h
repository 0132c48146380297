/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One transaction: the members of a detachment on their way to userspace, or back. Each has a worker of
 * its own, since any step can block for as long as somebody holds the device. Private to the manager.
 *
 * The record is on disk before the first step (state detaching), and says what the next daemon has to do
 * if this one is killed: undo what had begun, finish what was on its way back. */

#include "manager.h"
#include "model/survey.h"

enum run_state {
    RUN_WAITS,  /* for a worker */
    RUN_LEAVES, /* its steps away are being taken */
    RUN_AWAY,   /* … are done */
    RUN_FAILED, /* … or not; some may be */
    RUN_RETURNS,
    RUN_BACK,
    RUN_LEFT,   /* it could not be taken back */
};

struct member_run {
    struct transaction *transaction;
    char *path;
    enum run_state state;
    struct worker *worker;
    bool after_crash; /* a worker of that daemon may still be stuck with it */
    bool recovered; /* what a daemon before this one did with it is not known */
    bool soiled; /* to be reset on its way back */
    bool unreset; /* … or, where that fails, to go back as it is */
    struct vfio_candidate candidates[SURVEY_CANDIDATES_MAX]; /* borrowed texts are copies of its own */
    size_t n_candidates;
};

struct transaction {
    UT_hash_handle hh;
    uint64_t id; /* the detachment's */
    struct manager *manager;
    struct detachment *detachment;
    bool marked;         /* its groups are Busy; not for a pin, which is in nobody's way */
    bool returns;        /* members are being taken back */
    bool overtaken;      /* a host driver took what the guard pinned as a device without one */
    bool formed;  /* a group that was not there: who asked for it judges it in full */
    enum way_back way;
    struct member_run *runs; /* in the order of the detachment's members */
    size_t n_runs;
    char **modules;      /* to be loaded first; NULL-terminated */
    unsigned loading;
    uint64_t began;      /* realtime, µs: what the kernel logged since */
    enum outcome outcome;
    char *failure;       /* what went wrong first, a sentence; NULL if nothing did */
    struct holders *holders; /* who keeps it from going on; NULL when out of memory */
};

/* Every rule that let the members go says that they may come back as they are. */
bool manager_rules_allow_unreset(const struct manager *manager, const struct detachment *detachment);
/* Writes the record, which it takes over, and starts to move its members. As manager_detach. */
int manager_start_away(struct manager *manager, struct detachment *plan, uint64_t *ret_id,
                       struct refusal *refusal);
/* Adds a transaction for the detachment, which stays the manager's, and marks its groups as switching.
 * NULL when out of memory. */
struct transaction *transaction_new(struct manager *manager, struct detachment *detachment);
struct transaction *transaction_find(const struct manager *manager, uint64_t id);
/* Starts whatever can be started, and ends the transaction, which is freed then, when all is done. */
void transaction_go_on(struct transaction *transaction);
/* From now on everything goes back as it was. text: why; the first one stays. */
void transaction_fail(struct transaction *transaction, enum outcome outcome, const char *format, ...)
    _printf_(3, 4);
void transaction_free(struct transaction *transaction);

/* ---- one member's steps (manager-steps.c) */

/* Starts a worker for the steps away or back; its end calls transaction_go_on. */
int member_start(struct member_run *run, bool returns);
/* "unbind of device 0000:00:05.0 from e1000": where its worker is, or was. The caller's. */
char *member_describe_step(const struct member_run *run);

/* ---- who holds what (manager-holders.c) */

/* Looks for them once the transaction takes long. */
void holders_new(struct transaction *transaction);
struct holders *holders_free(struct holders *holders);
/* "process 812 (/usr/bin/qemu-system-x86_64, unit …)", comma separated; the caller's. NULL: not known. */
char *holders_describe(const struct holders *holders);

/* ---- records of what was moved (manager-detachments.c) */

/* Takes detachment over. 0 or -ENOMEM. */
int manager_add_detachment(struct manager *manager, struct detachment *detachment);
/* While its caller was not answered the groups are nobody else's. */
void manager_hold_groups(struct manager *manager, const struct detachment *detachment, bool hold);
/* Forgets members that are gone by now. False: there are none left, and the record is freed. */
bool manager_tidy_detachment(struct manager *manager, struct detachment *detachment);
/* A pin that could not be set, or not be taken away: tried again with the tick, not at once. */
void manager_note_guard_failed(struct manager *manager, struct detachment *detachment);
void manager_take_over_members(struct manager *manager, const struct detachment *newer);
/* One record a group, so that each can be given back alone. */
void manager_split_detachment(struct manager *manager, struct detachment *detachment);
/* To disk. 0 or a negative errno. */
int manager_save_detachment(struct manager *manager, struct detachment *detachment);
/* Forgets it, on disk too. */
void manager_drop_detachment(struct manager *manager, struct detachment *detachment);
void manager_record_switch(struct manager *manager, enum audit_kind kind,
                           const struct detachment *detachment, const char *reason,
                           const char *message);
