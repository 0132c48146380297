/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of dmaownctl: one table that the dispatch, the help and the suggestions are made from.
 * A new verb is a struct verb in the file of its family and a line in verb.c. */

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

#include "client/exit-status.h"

/* What holds for the whole run. */
struct client {
    const char *verb;    /* for messages; NULL before one is known */
    const char *address; /* of the bus; NULL: the system bus */
    bool json;           /* --json was given */
    bool color;          /* standard output shows colours */
    sd_bus *bus;         /* NULL until client_connect() */
};

/* An option with its long name; the table ends with a NULL name. */
struct verb_option {
    const char *name;
    char letter;          /* 0 if there is none */
    const char *argument; /* what the help calls its value; NULL: a switch */
    const char *help;
};

#define VERB_VALUES_MAX 256
#define VERB_ARGUMENTS_MAX 4096

/* The command line behind the verb; all text is borrowed from argv. */
struct arguments {
    struct {
        const char *name, *value;
    } values[VERB_VALUES_MAX];
    size_t n_values;
    char **words; /* what is not an option */
    size_t n_words;
    char **command; /* what stands behind "--", NULL-terminated; NULL if the verb takes none */
};

/* Value of the last option of this name; NULL if it was not given ("" for a switch). */
const char *arguments_value(const struct arguments *arguments, const char *name);

struct verb {
    const char *name;     /* one word or two: "claim", "policy check" */
    const char *synopsis; /* its arguments, for the help */
    const char *summary;  /* one line */
    const char *help;     /* the rest, lines of at most 78 columns; may be NULL */
    const struct verb_option *options; /* beside the common ones; may be NULL */
    bool json;                         /* has --json */
    bool command;                      /* takes a command behind "--" */
    size_t min_words, max_words;
    enum exit_status (*run)(struct client *client, const struct arguments *arguments);
};

/* NULL-terminated. */
extern const struct verb *const verbs[];

/* The verb that words begin with, or NULL. *ret_words: how many words its name has. */
const struct verb *verb_find(char *const *words, size_t n_words, size_t *ret_words);
/* The name that an unknown verb was probably meant to be, or NULL. */
const char *verb_suggest(const char *text);

/* Parses what stands behind the verb (argv[0] is ignored) and fills arguments; takes the common
 * options into client. Returns STATUS_DONE, or STATUS_USAGE after a message; *ret_finished says
 * that help was asked for and printed. */
enum exit_status verb_parse(const struct verb *verb, struct client *client, int argc, char **argv,
                            struct arguments *arguments, bool *ret_finished);

void verb_print_help(const struct verb *verb);
/* The overview, or that of the verbs whose first of two words is family. False if there is none. */
bool verbs_print_help(const char *family);

/* The families. */
extern const struct verb verb_list, verb_show, verb_explain;
extern const struct verb verb_claim, verb_release, verb_revoke, verb_leases;
extern const struct verb verb_run, verb_hold;
extern const struct verb verb_detach, verb_reattach;
extern const struct verb verb_reserve, verb_unreserve;
extern const struct verb verb_monitor;
extern const struct verb verb_policy_check, verb_policy_test;
extern const struct verb verb_audit;
extern const struct verb verb_reload, verb_rescan, verb_status;
