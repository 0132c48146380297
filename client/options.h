/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The a{sv} of Claim and Explain, from the command line. */

#include "client/verb.h"

/* Whom --uid means differs, so each verb says it itself. */
#define CLAIM_OPTIONS                                                                              \
    {"lifetime", 'l', "WORD", "persistent (default), or what else ends it"},                       \
        {"ttl", 't', "TIME", "end after so many seconds; or 10m, 2h, 7d, 1w"},                     \
        {"mode", 'm', "MODE", "path (default) or fd"},                                             \
        {"interface", 'i', "WORD", "group (default where it exists) or cdev"},                     \
        {"key", 'k', "KEY", "the same key again gives the same lease"},                            \
        {"comment", 'c', "TEXT", "for the record, at most 256 bytes"},                             \
        {"option", 'o', "NAME=VALUE", "any option of the call, or NAME:TYPE=VALUE"}

/* One entry of the a{sv}. */
struct call_option {
    char *name;
    char type;        /* 's', 'b', 'u' or 't' */
    const char *text; /* of 's', borrowed */
    uint64_t number;  /* of the others */
};

struct call_options {
    struct call_option values[VERB_VALUES_MAX + 1];
    size_t n_values;
};

void call_options_done(struct call_options *options);

/* Checks what was given and fills options; nothing is sent. STATUS_USAGE after a message. */
enum exit_status call_options_read(const struct client *client, const struct arguments *arguments,
                                   struct call_options *ret);

/* Appends the targets (as) and the options (a{sv}) to a call of Claim or Explain. */
enum exit_status call_options_append(const struct client *client,
                                     const struct arguments *arguments,
                                     const struct call_options *options, sd_bus_message *call);
