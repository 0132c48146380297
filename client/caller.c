/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/caller.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "client/exit-status.h"
#include "client/json.h"
#include "util/string.h"

#define USEC_PER_SEC UINT64_C(1000000)

/* A claim that does not wait answers within 20 s or rolls back. */
#define CALL_TIMEOUT_USEC (60 * USEC_PER_SEC)

#define ERROR_PREFIX "org.dmaownd1.Error."
#define ERROR_NO_SUCH_LEASE ERROR_PREFIX "NoSuchLease"
#define ERROR_KERNEL_HELD ERROR_PREFIX "KernelHeld"
#define REASON_DETACH_DENIED "detach-denied"

int caller_connect(sd_bus **ret, sd_bus_error *error) {
    int r = sd_bus_open_system(ret);

    if (r < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_NO_SERVER, "the system bus cannot be reached: %s",
                                 strerror(-r));
    (void)sd_bus_set_method_call_timeout(*ret, CALL_TIMEOUT_USEC);
    return 0;
}

char *caller_sentence(const sd_bus_error *error, int r) {
    if (!sd_bus_error_is_set(error))
        return strdup(strerror(-r));
    const char *text = error->message && *error->message ? error->message : error->name;
    if (exit_status_from_error(error->name) != STATUS_UNREACHABLE)
        return strdup(text);
    return string_format("dmaownd cannot be reached: %s", text);
}

static int manager_call_new(sd_bus *bus, const char *method, sd_bus_message **ret) {
    return sd_bus_message_new_method_call(bus, ret, DAEMON_NAME, DAEMON_PATH, MANAGER_INTERFACE, method);
}

/* ---- Claim ------------------------------------------------------------------------------------ */

static int append_targets(sd_bus_message *call, const char *const *targets, size_t n_targets) {
    int r = sd_bus_message_open_container(call, 'a', "s");

    for (size_t i = 0; r >= 0 && i < n_targets; i++)
        r = sd_bus_message_append(call, "s", targets[i]);
    return r < 0 ? r : sd_bus_message_close_container(call);
}

/* What Explain judges, too. */
static int append_terms(sd_bus_message *call, const struct caller_claim *claim, bool detach) {
    int r = sd_bus_message_append(call, "{sv}{sv}", "lifetime", "s", "process", "pidfd", "h", claim->pidfd);

    if (r >= 0 && detach)
        r = sd_bus_message_append(call, "{sv}", "detach", "b", true);
    return r;
}

static int append_particulars(sd_bus_message *call, const struct caller_claim *claim) {
    int r = 0;

    if (claim->holder != CALLER_ITSELF)
        r = sd_bus_message_append(call, "{sv}", "uid", "u", (uint32_t)claim->holder);
    if (r >= 0 && claim->reattach)
        r = sd_bus_message_append(call, "{sv}", "reattach", "b", true);
    if (r >= 0 && claim->reattach && claim->reattach_after)
        r = sd_bus_message_append(call, "{sv}", "reattach_after", "t", (uint64_t)claim->reattach_after);
    if (r >= 0 && claim->key)
        r = sd_bus_message_append(call, "{sv}", "key", "s", claim->key);
    if (r >= 0 && claim->comment)
        r = sd_bus_message_append(call, "{sv}", "comment", "s", claim->comment);
    if (r >= 0 && claim->wait)
        r = sd_bus_message_append(call, "{sv}", "wait", "t", (uint64_t)claim->wait);
    return r;
}

/* The sentence that says so if all that the rules refuse is to detach; *ret stays NULL otherwise. */
static int read_detach_denied(sd_bus_message *reply, char **ret) {
    _cleanup_(json_putp) json_object *findings = NULL;
    const char *first;
    int grantable;
    int r = sd_bus_message_read(reply, "bs", &grantable, &first);

    if (r >= 0)
        r = json_from_message(reply, &findings);
    if (r < 0 || !string_equal(first, REASON_DETACH_DENIED))
        return r;
    for (size_t i = 0; i < json_length(findings); i++) {
        json_object *finding = json_object_array_get_idx(findings, i);
        if (string_equal(json_text(finding, "reason"), REASON_DETACH_DENIED))
            return (*ret = strdup(json_text(finding, "text"))) ? 0 : -ENOMEM;
    }
    return -EBADMSG;
}

static int ask_for_detach(sd_bus *bus, const struct caller_claim *claim, char **ret_denied,
                          sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    int r = manager_call_new(bus, "Explain", &call);

    if (r >= 0)
        r = append_targets(call, claim->targets, claim->n_targets);
    if (r >= 0)
        r = sd_bus_message_open_container(call, 'a', "{sv}");
    if (r >= 0)
        r = append_terms(call, claim, true);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    if (r >= 0)
        r = sd_bus_call(bus, call, 0, error, &reply);
    return r < 0 ? r : read_detach_denied(reply, ret_denied);
}

static int claim_call_new(sd_bus *bus, const struct caller_claim *claim, bool detach, sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = manager_call_new(bus, "Claim", &call);

    if (r >= 0)
        r = append_targets(call, claim->targets, claim->n_targets);
    if (r >= 0)
        r = sd_bus_message_open_container(call, 'a', "{sv}");
    if (r >= 0)
        r = append_terms(call, claim, detach);
    if (r >= 0)
        r = append_particulars(call, claim);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    if (r >= 0)
        *ret = TAKE_POINTER(call);
    return r;
}

/* Held by a kernel driver, and why dmaownd leaves it there. */
static int explain_held(sd_bus_error *error, const char *denied) {
    _cleanup_(sd_bus_error_free) sd_bus_error held = *error;

    *error = SD_BUS_ERROR_NULL;
    return sd_bus_error_setf(error, held.name, "%s %s", held.message, denied);
}

int caller_claim(sd_bus *bus, const struct caller_claim *claim, char **ret_lease, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(freep) char *denied = NULL;
    const char *lease;
    int r = claim->detach ? ask_for_detach(bus, claim, &denied, error) : 0;

    if (r >= 0)
        r = claim_call_new(bus, claim, claim->detach && !denied, &call);
    if (r >= 0)
        r = sd_bus_call(bus, call, CALL_TIMEOUT_USEC + claim->wait * USEC_PER_SEC, error, &reply);
    if (r < 0 && denied && sd_bus_error_has_name(error, ERROR_KERNEL_HELD))
        return explain_held(error, denied);
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &lease);
    if (r < 0)
        return r;
    return (*ret_lease = strdup(lease)) ? 0 : -ENOMEM;
}

/* ---- a lease that is there -------------------------------------------------------------------- */

int caller_find_lease(sd_bus *bus, const char *key, char **ret_lease, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *lease;
    int r = sd_bus_call_method(bus, DAEMON_NAME, DAEMON_PATH, MANAGER_INTERFACE, "FindLease", error, &reply,
                               "s", key);

    if (r < 0 && sd_bus_error_has_name(error, ERROR_NO_SUCH_LEASE)) {
        sd_bus_error_free(error);
        *ret_lease = NULL;
        return 0;
    }
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &lease);
    if (r < 0)
        return r;
    return (*ret_lease = strdup(lease)) ? 0 : -ENOMEM;
}

int caller_lease_pid(sd_bus *bus, const char *lease, pid_t *ret, sd_bus_error *error) {
    uint32_t pid;
    int r = sd_bus_get_property_trivial(bus, DAEMON_NAME, lease, LEASE_INTERFACE, "Pid", error, 'u', &pid);

    if (r < 0 && sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
        sd_bus_error_free(error);
        *ret = 0;
        return 0;
    }
    if (r >= 0)
        *ret = (pid_t)pid;
    return r < 0 ? r : 0;
}

int caller_set_process(sd_bus *bus, const char *lease, int pidfd, sd_bus_error *error) {
    return sd_bus_call_method(bus, DAEMON_NAME, lease, LEASE_INTERFACE, "SetLifetime", error, NULL, "a{sv}",
                              2, "lifetime", "s", "process", "pidfd", "h", pidfd);
}

/* ---- the end of a lease ----------------------------------------------------------------------- */

struct ending {
    const char *lease;
    bool ended;
};

static int on_lease_ended(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
    struct ending *ending = userdata;
    const char *lease;

    if (sd_bus_message_read(signal, "o", &lease) >= 0 && string_equal(lease, ending->lease))
        ending->ended = true;
    return 0;
}

static uint64_t now_usec(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

static int wait_for_end(sd_bus *bus, const struct ending *ending, unsigned seconds) {
    uint64_t until = now_usec() + seconds * USEC_PER_SEC;

    while (!ending->ended) {
        int r = sd_bus_process(bus, NULL);
        if (r < 0)
            return r;
        uint64_t now = now_usec();
        if (r == 0 && now >= until)
            return 1;
        if (r == 0)
            r = sd_bus_wait(bus, until - now);
        if (r < 0 && r != -EINTR)
            return r;
    }
    return 0;
}

int caller_release(sd_bus *bus, const char *lease, unsigned wait, sd_bus_error *error) {
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
    struct ending ending = {.lease = lease};
    int r = sd_bus_match_signal(bus, &slot, DAEMON_NAME, DAEMON_PATH, MANAGER_INTERFACE, "LeaseEnded",
                                on_lease_ended, &ending);

    if (r >= 0)
        r = sd_bus_call_method(bus, DAEMON_NAME, DAEMON_PATH, MANAGER_INTERFACE, "Release", error, NULL, "o",
                               lease);
    if (r < 0 && sd_bus_error_has_name(error, ERROR_NO_SUCH_LEASE)) {
        sd_bus_error_free(error);
        return 0;
    }
    return r < 0 ? r : wait_for_end(bus, &ending, wait);
}

int caller_reattach(sd_bus *bus, const char *const *targets, size_t n_targets, sd_bus_error *error) {
    static const char *const expected[] = {"NoSuchTarget", "AlreadyOwned", "Busy"};
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = manager_call_new(bus, "Reattach", &call);

    if (r >= 0)
        r = append_targets(call, targets, n_targets);
    if (r >= 0)
        r = sd_bus_message_append(call, "a{sv}", 1, "returning", "b", true);
    if (r >= 0)
        r = sd_bus_call(bus, call, CALL_TIMEOUT_USEC, error, NULL);
    for (size_t i = 0; r < 0 && i < ELEMENTS_OF(expected); i++)
        if (error->name && string_equal(string_after(error->name, ERROR_PREFIX), expected[i])) {
            sd_bus_error_free(error);
            r = 0;
        }
    return r < 0 ? r : 0;
}
