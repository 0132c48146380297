/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "client/bus.h"
#include "client/claim.h"
#include "util/fd.h"
#include "util/string.h"

/* One loop serves the claim's answer, signals of the daemon and signals of the system, so that none
 * of them is lost while another is waited for. */
struct hold {
    struct client *client;
    sd_bus_message *granted; /* the answer, with its open fds; NULL until it came */
    char *lease;             /* object path; NULL until then */
    char *owner;             /* unique name of the daemon that spoke last */
    bool finished;
    enum exit_status status; /* once finished */
};

static void hold_done(struct hold *hold) {
    sd_bus_message_unref(hold->granted);
    free(hold->lease);
    free(hold->owner);
}

static int hold_finish(struct hold *hold, enum exit_status status) {
    hold->finished = true;
    hold->status = status;
    return 0;
}

/* ---- What the daemon says -------------------------------------------------------------------- */

static int on_granted(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct hold *hold = userdata;
    const sd_bus_error *refusal = sd_bus_message_get_error(reply);
    const char *path, *sender = sd_bus_message_get_sender(reply);

    if (refusal)
        return hold_finish(hold, client_fail_call(hold->client, refusal, 0));
    int r = sd_bus_message_read(reply, "o", &path);
    if (r < 0 || !sender)
        return hold_finish(hold, client_fail_reply(hold->client, r < 0 ? r : -EBADMSG));
    hold->granted = sd_bus_message_ref(reply);
    hold->lease = strdup(path);
    hold->owner = strdup(sender);
    if (!hold->lease || !hold->owner)
        return hold_finish(hold, client_fail_memory(hold->client));
    enum exit_status status = claim_print(hold->client, path);
    if (fflush(stdout) != 0)
        status = STATUS_ERROR; /* main() says why */
    return status == STATUS_DONE ? 0 : hold_finish(hold, status);
}

static int hold_end(struct hold *hold, const char *reason) {
    return hold_finish(hold, client_fail(hold->client, STATUS_OWNED, "lease %s has ended: %s",
                                         path_basename(hold->lease), reason));
}

static int on_signal(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
    struct hold *hold = userdata;
    const char *path, *reason, *sender = sd_bus_message_get_sender(signal);
    uint64_t seconds;

    /* Anybody can send a signal to our own name: only the daemon's count. */
    if (hold->finished || !hold->lease || !string_equal(sender, hold->owner))
        return 0;
    if (sd_bus_message_is_signal(signal, MANAGER_INTERFACE, "LeaseRevoking") &&
        sd_bus_message_read(signal, "ot", &path, &seconds) > 0 && strcmp(path, hold->lease) == 0)
        (void)client_fail(hold->client, STATUS_DONE, "lease %s is being revoked: ends in %llu s",
                          path_basename(path), (unsigned long long)seconds);
    if (sd_bus_message_is_signal(signal, MANAGER_INTERFACE, "LeaseEnded") &&
        sd_bus_message_read(signal, "o", &path) > 0 && strcmp(path, hold->lease) == 0 &&
        sd_bus_message_skip(signal, "au") > 0 && sd_bus_message_read(signal, "s", &reason) > 0)
        return hold_end(hold, reason);
    return 0;
}

/* ---- A daemon that comes back ---------------------------------------------------------------- */

static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct hold *hold = userdata;
    const sd_bus_error *refusal = sd_bus_message_get_error(reply);

    /* It ended while nobody could say so. */
    if (refusal && exit_status_from_error(refusal->name) == STATUS_NO_SUCH && !hold->finished)
        return hold_end(hold, "dmaownd, restarted, does not have it any more");
    return 0;
}

static int on_owner_changed(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
    struct hold *hold = userdata;
    const char *sender = sd_bus_message_get_sender(signal), *name, *old, *new;

    if (!string_equal(sender, "org.freedesktop.DBus") ||
        sd_bus_message_read(signal, "sss", &name, &old, &new) < 0 || !*new || !hold->lease ||
        string_equal(hold->owner, new))
        return 0;
    free(hold->owner);
    hold->owner = strdup(new);
    int r = sd_bus_call_method_async(hold->client->bus, NULL, new, hold->lease,
                                     "org.freedesktop.DBus.Properties", "Get", on_state, hold, "ss",
                                     LEASE_INTERFACE, "State");
    return r < 0 || !hold->owner ? hold_finish(hold, client_fail_memory(hold->client)) : 0;
}

/* ---- The loop -------------------------------------------------------------------------------- */

/* From here on the signals wait for us. *ret is the caller's. */
static enum exit_status signals_take(const struct client *client, int *ret) {
    struct sigaction hangup;
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    /* nohup(1) asks not to be told. */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        (void)sigaddset(&set, SIGHUP);
    int fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    if (fd < 0)
        return client_fail(client, STATUS_ERROR, "signals: %s", strerror(errno));
    *ret = fd;
    return STATUS_DONE;
}

static enum exit_status hold_start(struct hold *hold, const struct arguments *arguments,
                                   const struct call_options *options) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    enum exit_status status = claim_call_new(hold->client, arguments, options, &call);
    sd_bus *bus = hold->client->bus;

    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_add_match_async(bus, NULL,
                                   "type='signal',sender='" DAEMON_NAME "',path='" DAEMON_PATH
                                   "',interface='" MANAGER_INTERFACE "'",
                                   on_signal, NULL, hold);
    if (r >= 0)
        r = sd_bus_add_match_async(bus, NULL,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "arg0='" DAEMON_NAME "'",
                                   on_owner_changed, NULL, hold);
    if (r >= 0)
        r = sd_bus_call_async(bus, NULL, call, on_granted, hold, call_timeout(call_options_wait(options)));
    return r < 0 ? client_fail_call(hold->client, NULL, r) : STATUS_DONE;
}

/* Access that ends with the connection need not be released by a daemon that is not there. */
static enum exit_status hold_release(struct hold *hold) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    if (!hold->lease)
        return client_fail(hold->client, STATUS_ERROR, "stopped before the claim was answered");
    hold->granted = sd_bus_message_unref(hold->granted); /* closes the fds */
    int r = sd_bus_call_method(hold->client->bus, DAEMON_NAME, hold->lease, LEASE_INTERFACE,
                               "Release", &error, NULL, NULL);
    if (r >= 0 ||
        (sd_bus_error_is_set(&error) && exit_status_from_error(error.name) == STATUS_UNREACHABLE))
        return STATUS_DONE;
    return client_fail_call(hold->client, &error, r);
}

/* Waits for the bus or a signal. 1: a signal came. */
static int hold_wait(sd_bus *bus, int signals) {
    struct pollfd fds[] = {{.fd = sd_bus_get_fd(bus)}, {.fd = signals, .events = POLLIN}};
    int events = sd_bus_get_events(bus);
    struct timespec now, wait = {0};
    uint64_t until = UINT64_MAX;

    if (fds[0].fd < 0 || events < 0)
        return fds[0].fd < 0 ? fds[0].fd : events;
    fds[0].events = (short)events;
    int r = sd_bus_get_timeout(bus, &until);
    if (r < 0)
        return r;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (until > usec) {
        wait.tv_sec = (time_t)((until - usec) / 1000000);
        wait.tv_nsec = (long)((until - usec) % 1000000 * 1000);
    }
    r = ppoll(fds, ELEMENTS_OF(fds), until == UINT64_MAX ? NULL : &wait, NULL);
    if (r < 0 && errno != EINTR)
        return -errno;
    return r > 0 && fds[1].revents ? 1 : 0;
}

static enum exit_status hold_loop(struct hold *hold, int signals) {
    sd_bus *bus = hold->client->bus;

    while (!hold->finished) {
        int r = sd_bus_process(bus, NULL);
        if (hold->finished || r > 0)
            continue;
        if (r == 0)
            r = hold_wait(bus, signals);
        if (r > 0)
            return hold_release(hold);
        if (r < 0)
            return client_fail(hold->client, STATUS_UNREACHABLE,
                               "the bus is gone, and the lease with it: %s", strerror(-r));
    }
    return hold->status;
}

static enum exit_status hold_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(call_options_done) struct call_options options = {0};
    _cleanup_(hold_done) struct hold hold = {.client = client};
    _cleanup_(fd_closep) int signals = -1;
    enum exit_status status = claim_options_read(client, arguments, "connection", &options);

    if (status == STATUS_DONE)
        status = signals_take(client, &signals);
    if (status == STATUS_DONE)
        status = hold_start(&hold, arguments, &options);
    if (status == STATUS_DONE)
        status = hold_loop(&hold, signals);
    return status;
}

static const struct verb_option hold_options[] = {
    CLAIM_OPTIONS,
    LEASE_OPTIONS,
    {"uid", 'u', "USER", "who gets access, if a rule delegates to that user"},
    {NULL},
};

const struct verb verb_hold = {
    .name = "hold",
    .synopsis = "TARGET...",
    .summary = "Claims groups and keeps them until it is stopped",
    .help = "Prints the lease as 'dmaownctl claim' does, keeps it until Ctrl-C, SIGTERM or\n"
            "SIGHUP, and releases it. In mode fd it keeps the file descriptors open. Says on\n"
            "standard error when the lease is being revoked; ends with 5 if the lease ends\n"
            "otherwise, with 7 if the bus is lost. A restart of dmaownd is neither.\n",
    .options = hold_options,
    .json = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = hold_run,
};
