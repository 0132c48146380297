/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One method call. Its handler runs to the end at once, or says what it waits for (polkit, the user
 * database, udev) and is run again from the start when that is there: what it found before may be
 * stale by then. A call whose caller leaves the bus is dropped. */

#include <stdbool.h>
#include <sys/types.h>

#include "bus/bus.h"
#include "bus/identity.h"
#include "model/outcome.h"
#include "util/worker.h"

enum call_progress {
    CALL_DONE = 0,     /* answered */
    CALL_WAITS = 1,    /* the handler runs again later */
    CALL_PROCEEDS = 2, /* what was asked for is there: go on */
};

/* Returns CALL_DONE, CALL_WAITS, or a negative errno, which is answered for it. */
typedef int call_handler(struct call *call);

/* Another user than the caller, as the user database knows it. */
struct call_user {
    bool known;
    uid_t uid;
    gid_t *gids;
    size_t n_gids;
};

/* The system unit that a lease is to live with, as the service manager knows it. */
struct call_unit {
    bool known;
    char *id;
};

struct call {
    struct bus *bus;
    sd_bus_message *message;
    const struct identity *caller;
    call_handler *handler;
    bool privileged;        /* polkit said yes */
    enum outcome unprivileged_outcome; /* what a no is answered with */
    bool waits_for_policy;
    struct call_user user;  /* by call_look_up_user */
    struct call_unit unit;  /* by call_look_up_unit */
    int pidfd;              /* of the process that a lease is to live with, -1 without */
    uint64_t revoked_lease; /* that is waited for, 0 without */
    bool time_is_over;      /* of call_wait_for_lease and call_wait_seconds */
    bool surveyed;          /* call_survey has looked */
    struct manager_survey *survey;
    struct manager_cleaning *cleaning;
    struct manager_openers *looking; /* for who has a group open */
    char *openers;          /* what was found; NULL before */
    struct call_switch *moving; /* by call_detach; NULL before */
    uint64_t deadline;      /* of a switch: µs, monotonic; 0 before */
    uint64_t patient_until; /* of a claim that waits for others: µs, monotonic; 0 before */
    unsigned attempts;      /* of call_try_again */
    bool waits;
    bool due; /* what it waits for is there */
    sd_bus_slot *question;
    struct worker *worker;
    ev_timer timer;
    struct call *next; /* bus::calls */
};

/* For a vtable: runs handler. Returns what sd-bus expects of a method. */
int call_start(struct bus *bus, sd_bus_message *message, call_handler *handler);

/* Answers with an error of the contract. Returns CALL_DONE. */
int call_fail(struct call *call, enum outcome outcome, const char *format, ...) _printf_(3, 4);

/* The following four return CALL_PROCEEDS, or what the handler returns in turn: CALL_WAITS, CALL_DONE
 * (the uid has too many calls waiting, or polkit said no: answered), or a negative errno. */

/* Proceeds for root and where polkit has said yes; a no is answered with unprivileged. */
int call_require_privilege(struct call *call, enum outcome unprivileged);
/* Proceeds when call->user is uid. A uid that the user database does not know has no groups. */
int call_look_up_user(struct call *call, uid_t uid);
/* Runs the handler again in a moment, for at most 5 s; then it proceeds. */
int call_try_again(struct call *call);

/* Proceeds when the call may wait so many seconds for others, until patient_until. */
int call_be_patient(struct call *call, uint64_t seconds);
/* Proceeds when call->unit is that of name: loaded and active, or on its way to it. Another one is
 * answered with InvalidOption. */
int call_look_up_unit(struct call *call, const char *name);
/* Runs the handler again when revoked_lease has changed or ended, and with time_is_over after so many
 * seconds; 0: no limit. Returns CALL_WAITS, or CALL_DONE as above. */
int call_wait_for_lease(struct call *call, double seconds);
void calls_lease_changed(struct bus *bus, uint64_t lease);

/* For the others that let a call wait. call_wait returns as the four above; call_run_again and
 * call_finish are for what it waited for. */
int call_wait(struct call *call);
void call_run_again(struct call *call);
void call_finish(struct call *call);
/* Runs the handlers of all calls that are due: each can end others. */
void calls_run_due(struct bus *bus);
/* Runs the handler again after so many seconds; with limit, time_is_over is set then. */
int call_wait_seconds(struct call *call, double seconds, bool limit);
/* Asks the bus whether the caller is there still. It answers in order: when it says yes, the reply that
 * is sent behind this question is delivered. data is malloc'ed, and freed after answered was called. */
int call_ask_whether_there(struct call *call, sd_bus_message_handler_t answered, void *data);

/* Starts a load of the policy; the call is answered with its result. */
int call_load_policy(struct call *call);
void calls_answer_policy(struct bus *bus, bool ok, const char *text);

void calls_drop_of(struct bus *bus, const struct identity *identity);
void calls_drop_all(struct bus *bus);
