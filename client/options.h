/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The a{sv} of Claim, Explain, Detach and Reattach, from the command line. */

#include <sys/types.h>

#include "client/verb.h"

/* Whom --uid means differs, so each verb says it itself. */
#define CLAIM_OPTIONS                                                                              \
    {"ttl", 't', "TIME", "end after so many seconds; or 10m, 2h, 7d, 1w"},                         \
        {"mode", 'm', "MODE", "path (default) or fd"},                                             \
        {"interface", 'i', "WORD", "group (default where it exists) or cdev"},                     \
        {"container", 0, NULL, "mode fd: all groups in one VFIO container"},                       \
        {"key", 'k', "KEY", "the same key again gives the same lease"},                            \
        {"detach", 'd', NULL, "take the devices from the host's drivers first"},                   \
        {"comment", 'c', "TEXT", "for the record, at most 256 bytes"},                             \
        {"option", 'o', "NAME=VALUE", "any option of the call, or NAME:TYPE=VALUE"}

/* For verbs that make a lease. */
#define LEASE_OPTIONS                                                                              \
    {"reattach", 'r', NULL, "give them back when the lease has ended"},                            \
        {"wait", 'w', "TIME", "wait for groups that drain or are switched"}

/* For verbs that leave the lifetime to the caller. */
#define LIFETIME_OPTIONS                                                                           \
    {"lifetime", 'l', "WORD", "persistent (default), or what else ends it"},                       \
        {"pid", 'p', "PID", "end with this process; lifetime process is meant"},                   \
        {"unit", 0, "UNIT", "end with this system unit; lifetime unit is meant"}

/* One entry of the a{sv}. */
struct call_option {
    char *name;
    char type;        /* 's', 'b', 'u' or 't' */
    const char *text; /* of 's', borrowed */
    uint64_t number;  /* of the others */
};

struct call_options {
    struct call_option values[VERB_VALUES_MAX + 2]; /* the lifetime and the holder beside */
    size_t n_values;
};

void call_options_done(struct call_options *options);

/* Checks what was given and fills options; nothing is sent. lifetime: what holds if none was given;
 * NULL: the call has none. STATUS_USAGE after a message. */
enum exit_status call_options_read(const struct client *client, const struct arguments *arguments,
                                   const char *lifetime, struct call_options *ret);
/* The lifetime that is meant where the caller names none: what ends with --pid or --unit, or
 * "persistent": a lease that is asked for through dmaownctl should outlive it. */
const char *call_options_lifetime(const struct arguments *arguments);
/* True if the option has this text (false if it is not text). */
bool call_options_say(const struct call_options *options, const char *name, const char *text);
/* The option, or NULL if it was not given. */
const struct call_option *call_options_find(const struct call_options *options, const char *name);
/* Seconds that the call was told to wait; it may answer so much later. */
uint64_t call_options_wait(const struct call_options *options);
/* Adds the holder. */
enum exit_status call_options_set_uid(const struct client *client, struct call_options *options,
                                      uid_t uid);

/* Appends the targets (as) and the options (a{sv}) to a call. */
enum exit_status call_options_append(const struct client *client,
                                     const struct arguments *arguments,
                                     const struct call_options *options, sd_bus_message *call);
