/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/verb.h"
#include "config.h"

#define PROGRAM "dmaownctl"

/* The options before the verb. Returns a negative number when the verb may run, else the status. */
static int parse_options(struct client *client, int argc, char **argv) {
    static const struct option options[] = {
        {"bus-address", required_argument, NULL, 'b'},
        {"no-color", no_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL},
    };
    int value;

    while ((value = getopt_long(argc, argv, "+jhV", options, NULL)) >= 0)
        switch (value) {
        case 'b':
            client->address = optarg;
            break;
        case 'n':
            client->color = false;
            break;
        case 'j':
            client->json = true;
            break;
        case 'h':
            verbs_print_help(NULL);
            return STATUS_DONE;
        case 'V':
            printf("dmaownctl %s\n", PACKAGE_VERSION);
            return STATUS_DONE;
        default:
            return client_fail(client, STATUS_USAGE, "see dmaownctl --help");
        }
    return -1;
}

static enum exit_status unknown_verb(struct client *client, char **words) {
    const char *meant = verb_suggest(words[0]);

    /* A family: "policy --help". */
    if (words[1] && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0) &&
        verbs_print_help(words[0]))
        return STATUS_DONE;
    if (meant)
        return client_fail(client, STATUS_USAGE, "no verb '%s'; did you mean '%s'?", words[0],
                           meant);
    return client_fail(client, STATUS_USAGE, "no verb '%s'; see dmaownctl --help", words[0]);
}

static enum exit_status run(struct client *client, int argc, char **argv) {
    struct arguments arguments;
    bool finished;
    size_t n_words;
    int status = parse_options(client, argc, argv);

    if (status >= 0)
        return (enum exit_status)status;
    if (optind == argc)
        return client_fail(client, STATUS_USAGE, "no verb; see dmaownctl --help");
    const struct verb *verb = verb_find(argv + optind, (size_t)(argc - optind), &n_words);
    if (!verb)
        return unknown_verb(client, argv + optind);
    client->verb = verb->name;
    int skipped = optind + (int)n_words - 1;
    argv[skipped] = (char *)PROGRAM;
    status = verb_parse(verb, client, argc - skipped, argv + skipped, &arguments, &finished);
    if (status != STATUS_DONE || finished)
        return (enum exit_status)status;
    return verb->run(client, &arguments);
}

int main(int argc, char **argv) {
    const char *no_color = getenv("NO_COLOR");
    struct client client = {.color = isatty(STDOUT_FILENO) && (!no_color || !*no_color)};

    (void)setlocale(LC_ALL, "");
    if (argc > 0)
        argv[0] = (char *)PROGRAM; /* getopt's messages begin with it */
    enum exit_status status = run(&client, argc, argv);
    client_disconnect(&client);
    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "dmaownctl: standard output: %s\n", strerror(errno));
        return status == STATUS_DONE ? STATUS_ERROR : (int)status;
    }
    return status;
}
