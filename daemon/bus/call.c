/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "bus/switch.h"
#include "bus/units.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/user.h"

/* Of calls that wait, while there is no policy. */
#define PENDING_DEFAULT 8

#define TRY_AGAIN_SECONDS 0.05
#define TRY_AGAIN_MAX 100

static void call_free(struct call *call) {
    ev_timer_stop(call->bus->loop, &call->timer);
    sd_bus_slot_unref(call->question);
    worker_free(call->worker);
    manager_survey_free(call->survey);
    manager_abandon_cleaning(call->cleaning);
    manager_openers_free(call->looking);
    free(call->openers);
    call_end_switch(call);
    fd_close(call->pidfd);
    free(call->unit.id);
    sd_bus_message_unref(call->message);
    free(call->user.gids);
    free(call);
}

static void unlist(struct call *call) {
    struct call **at = &call->bus->calls;

    if (!call->waits)
        return;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->waits = false;
}

void call_finish(struct call *call) {
    unlist(call);
    call_free(call);
}

void calls_drop_of(struct bus *bus, const struct identity *identity) {
    struct call *call = bus->calls;

    /* What ends with one can end others. */
    while (call && call->caller != identity)
        call = call->next;
    if (!call)
        return;
    call_finish(call);
    calls_drop_of(bus, identity);
}

void calls_drop_all(struct bus *bus) {
    struct call *call;

    while ((call = bus->calls))
        call_finish(call);
}

/* Runs the handler, again or for the first time. */
static int run(struct call *call) {
    int r = sd_bus_message_rewind(call->message, true);

    if (r >= 0)
        r = call->handler(call);
    if (r == CALL_WAITS)
        return r;
    if (r < 0)
        (void)sd_bus_reply_method_errno(call->message, r, NULL);
    return CALL_DONE;
}

void call_run_again(struct call *call) {
    call->question = sd_bus_slot_unref(call->question);
    if (run(call) == CALL_WAITS)
        return;
    call_finish(call);
}

/* Claims that wait for others, perhaps for an hour, are counted apart: they keep no other call out. */
static bool has_too_many(const struct call *call, bool patient) {
    const struct policy *policy = call->bus->manager->policy;
    size_t n = 0;

    for (const struct call *other = call->bus->calls; other; other = other->next)
        n += other != call && other->caller->uid == call->caller->uid && !other->patient_until == !patient;
    return n >= (policy ? policy_limits(policy)->pending_per_uid : PENDING_DEFAULT);
}

static int refuse_too_many(struct call *call) {
    return call_fail(call, OUTCOME_QUOTA_EXCEEDED,
                     "Uid %u has too many calls waiting for an answer; wait for those.", call->caller->uid);
}

/* Puts the call among those that wait. CALL_WAITS, or CALL_DONE: its uid has too many of them. */
int call_wait(struct call *call) {
    if (call->waits)
        return CALL_WAITS;
    if (has_too_many(call, call->patient_until > 0))
        return refuse_too_many(call);
    call->waits = true;
    call->next = call->bus->calls;
    call->bus->calls = call;
    return CALL_WAITS;
}

int call_be_patient(struct call *call, uint64_t seconds) {
    if (call->patient_until)
        return CALL_PROCEEDS;
    if (has_too_many(call, true))
        return refuse_too_many(call);
    call->patient_until = now_monotonic() + seconds * 1000000;
    return CALL_PROCEEDS;
}

int call_start(struct bus *bus, sd_bus_message *message, call_handler *handler) {
    const struct identity *caller = identity_find(bus, sd_bus_message_get_sender(message));
    struct call *call;

    if (!caller)
        return -EACCES;
    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    call->bus = bus;
    call->pidfd = -1;
    call->caller = caller;
    call->handler = handler;
    call->message = sd_bus_message_ref(message);
    if (run(call) != CALL_WAITS)
        call_finish(call);
    return 1;
}

int call_fail(struct call *call, enum outcome outcome, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    int r = sd_bus_reply_method_errorfv(call->message, outcome_error_name(outcome), format,
                                        arguments);
    va_end(arguments);
    if (r < 0)
        (void)sd_bus_reply_method_errno(call->message, r, NULL);
    return CALL_DONE;
}

/* ---- polkit */

static int on_authorization(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct call *call = userdata;
    int authorized = 0, challenge = 0;
    int r = -EACCES;

    if (!sd_bus_message_is_method_error(reply, NULL)) {
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
            r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
    }
    if (r >= 0 && authorized) {
        call->privileged = true;
        call_run_again(call);
        return 1;
    }
    (void)call_fail(call, call->unprivileged_outcome,
                    "Uid %u may not do this: it takes %sroot or the polkit action %s.",
                    call->caller->uid,
                    call->unprivileged_outcome == OUTCOME_NOT_HOLDER ? "the claimant, " : "",
                    BUS_MANAGE_ACTION);
    call_finish(call);
    return 1;
}

/* The subject is the name on the bus: a pid can be reused. */
static int ask_polkit(struct call *call) {
    uint32_t interactive =
        sd_bus_message_get_allow_interactive_authorization(call->message) > 0 ? 1 : 0;

    return sd_bus_call_method_async(
        call->bus->connection, &call->question, "org.freedesktop.PolicyKit1",
        "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority",
        "CheckAuthorization", on_authorization, call, "(sa{sv})sa{ss}us", "system-bus-name", 1,
        "name", "s", call->caller->name, BUS_MANAGE_ACTION, 0, interactive, "");
}

int call_require_privilege(struct call *call, enum outcome unprivileged) {
    if (call->caller->uid == 0 || call->privileged)
        return CALL_PROCEEDS;
    call->unprivileged_outcome = unprivileged;
    int r = call_wait(call);
    if (r != CALL_WAITS)
        return r;
    r = ask_polkit(call);
    return r < 0 ? r : CALL_WAITS;
}

/* ---- the user database */

static int look_up_gids(int output, void *userdata) {
    const struct call *call = userdata;

    return user_groups_write(call->user.uid, output);
}

/* Without the user's groups a rule that denies one of them would be missed. */
static void on_gids(int result, const char *output, size_t size, void *userdata) {
    struct call *call = userdata;

    call->worker = NULL;
    if (result >= 0)
        result = user_groups_read(output, &call->user.gids, &call->user.n_gids);
    if (result < 0) {
        (void)call_fail(call, OUTCOME_POLICY_DENIED,
                        "The groups of uid %u can not be looked up (%s), so rules that deny them "
                        "can not be judged.",
                        call->user.uid, strerror(-result));
        call_finish(call);
        return;
    }
    call->user.known = true;
    call_run_again(call);
}

int call_look_up_user(struct call *call, uid_t uid) {
    if (call->user.known && call->user.uid == uid)
        return CALL_PROCEEDS;
    int r = call_wait(call);
    if (r != CALL_WAITS)
        return r;
    call->user.uid = uid;
    r = worker_start(call->bus->loop, look_up_gids, on_gids, call, &call->worker);
    return r < 0 ? r : CALL_WAITS;
}

/* ---- units */

static const char *unit_complaint(int result) {
    switch (result) {
    case UNIT_UNKNOWN:
        return "is no unit of the system's service manager, or is not loaded";
    case UNIT_INACTIVE:
        return "is not active";
    case UNIT_ENDING:
        return "is just being stopped";
    default:
        return "can not be looked up";
    }
}

static int refuse_unit(struct call *call, int result) {
    return call_fail(call, OUTCOME_INVALID_OPTION,
                     "The unit that the lease is to live with %s%s%s; name an active system unit.",
                     unit_complaint(result), result < 0 ? ": " : "",
                     result < 0 ? strerror(-result) : "");
}

static void on_unit(int result, const char *id, void *userdata) {
    struct call *call = userdata;

    call->unit.known = result == UNIT_ALIVE;
    call->unit.id = call->unit.known ? strdup(id) : NULL;
    if (call->unit.id) {
        call_run_again(call);
        return;
    }
    (void)refuse_unit(call, result);
    call_finish(call);
}

int call_look_up_unit(struct call *call, const char *name) {
    if (call->unit.known)
        return CALL_PROCEEDS;
    int r = call_wait(call);
    if (r != CALL_WAITS)
        return r;
    r = unit_check(call->bus, name, &call->question, on_unit, call);
    return r == UNIT_UNKNOWN ? refuse_unit(call, r) : r < 0 ? r : CALL_WAITS;
}

/* ---- a lease */

static void on_time_is_over(struct ev_loop *loop, ev_timer *timer, int events) {
    struct call *call = timer->data;

    call->time_is_over = true;
    call_run_again(call);
}

int call_wait_for_lease(struct call *call, double seconds) {
    int r = call_wait(call);

    if (r != CALL_WAITS)
        return r;
    if (seconds > 0 && !ev_is_active(&call->timer)) {
        ev_timer_init(&call->timer, on_time_is_over, seconds, 0.);
        call->timer.data = call;
        ev_timer_start(call->bus->loop, &call->timer);
    }
    return CALL_WAITS;
}

void calls_run_due(struct bus *bus) {
    struct call *call = bus->calls;

    while (call && !call->due)
        call = call->next;
    if (!call)
        return;
    call->due = false;
    call_run_again(call);
    calls_run_due(bus);
}

void calls_lease_changed(struct bus *bus, uint64_t lease) {
    for (struct call *call = bus->calls; call; call = call->next)
        call->due = call->due || call->revoked_lease == lease;
    calls_run_due(bus);
}

/* ---- udev */

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events) {
    call_run_again(timer->data);
}

int call_wait_seconds(struct call *call, double seconds, bool limit) {
    int r = call_wait(call);

    if (r != CALL_WAITS)
        return r;
    ev_timer_stop(call->bus->loop, &call->timer);
    ev_timer_init(&call->timer, limit ? on_time_is_over : on_retry, seconds, 0.);
    call->timer.data = call;
    ev_timer_start(call->bus->loop, &call->timer);
    return CALL_WAITS;
}

int call_try_again(struct call *call) {
    if (call->attempts++ >= TRY_AGAIN_MAX)
        return CALL_PROCEEDS;
    return call_wait_seconds(call, TRY_AGAIN_SECONDS, false);
}

int call_ask_whether_there(struct call *call, sd_bus_message_handler_t answered, void *data) {
    sd_bus_slot *slot = NULL;
    int r = sd_bus_call_method_async(call->bus->connection, &slot, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "NameHasOwner", answered, data, "s", call->caller->name);

    if (r < 0) {
        free(data);
        return r;
    }
    (void)sd_bus_slot_set_destroy_callback(slot, free);
    (void)sd_bus_slot_set_floating(slot, true);
    sd_bus_slot_unref(slot);
    return 0;
}

/* ---- the policy */

int call_load_policy(struct call *call) {
    int r = call_wait(call);

    if (r != CALL_WAITS)
        return r;
    r = manager_load_policy(call->bus->manager);
    call->waits_for_policy = r >= 0;
    return r < 0 ? r : CALL_WAITS;
}

void calls_answer_policy(struct bus *bus, bool ok, const char *text) {
    struct call *call, *next;

    /* A call that came while this load ran waits for the one after it. */
    if (bus->manager->policy_load_again)
        return;
    for (call = bus->calls; call; call = next) {
        next = call->next;
        if (!call->waits_for_policy)
            continue;
        if (ok)
            (void)sd_bus_reply_method_return(call->message, NULL);
        else
            (void)call_fail(call, OUTCOME_POLICY_INVALID, "%s", text);
        call_finish(call);
    }
}
