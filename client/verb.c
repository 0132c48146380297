/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/verb.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/text.h"
#include "util/cleanup.h"
#include "util/string.h"

const struct verb *const verbs[] = {
    &verb_list,         &verb_show,    &verb_explain, &verb_claim,     &verb_run,
    &verb_hold,         &verb_release, &verb_leases,  &verb_detach,    &verb_reattach,
    &verb_reserve,      &verb_unreserve, &verb_monitor, &verb_revoke,  &verb_policy_check,
    &verb_policy_test,  &verb_audit,   &verb_reload,  &verb_rescan,    &verb_status,
    NULL,
};

/* Every verb has these; json only where the verb says so. */
static const struct verb_option common_options[] = {
    {"json", 'j', NULL, "print JSON for programs"},
    {"bus-address", 0, "ADDRESS", "the bus at this D-Bus address, not the system bus"},
    {"no-color", 0, NULL, "no colours, as with NO_COLOR in the environment"},
    {"help", 'h', NULL, "print this help"},
    {NULL},
};

#define OPTIONS_MAX 32

/* What getopt_long() wants; value is an index into options. */
struct option_table {
    const struct verb_option *options[OPTIONS_MAX];
    struct option longs[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 3];
    size_t n;
};

static void option_table_add(struct option_table *table, const struct verb_option *option) {
    size_t n = table->n;

    if (n == OPTIONS_MAX)
        return;
    table->options[n] = option;
    table->longs[n] = (struct option){
        .name = option->name,
        .has_arg = option->argument ? required_argument : no_argument,
        .val = option->letter ? option->letter : UCHAR_MAX + 1 + (int)n,
    };
    if (option->letter) {
        char *end = table->letters + strlen(table->letters);
        *end++ = option->letter;
        if (option->argument)
            *end++ = ':';
        *end = 0;
    }
    table->n++;
}

static void option_table_init(struct option_table *table, const struct verb *verb) {
    memset(table, 0, sizeof(*table));
    /* So that getopt() gives the words in order, and leaves a command behind "--" alone. */
    strcpy(table->letters, verb->command ? "-" : "");
    for (const struct verb_option *option = verb->options; option && option->name; option++)
        option_table_add(table, option);
    for (const struct verb_option *option = common_options; option->name; option++)
        if (verb->json || strcmp(option->name, "json") != 0)
            option_table_add(table, option);
}

static const struct verb_option *option_table_find(const struct option_table *table, int value) {
    for (size_t i = 0; i < table->n; i++)
        if (table->longs[i].val == value)
            return table->options[i];
    return NULL;
}

const char *arguments_value(const struct arguments *arguments, const char *name) {
    for (size_t i = arguments->n_values; i > 0; i--)
        if (strcmp(arguments->values[i - 1].name, name) == 0)
            return arguments->values[i - 1].value;
    return NULL;
}

const struct verb *verb_find(char *const *words, size_t n_words, size_t *ret_words) {
    for (const struct verb *const *verb = verbs; *verb; verb++) {
        const char *space = strchr((*verb)->name, ' ');
        size_t length = space ? (size_t)(space - (*verb)->name) : strlen((*verb)->name);
        if (n_words < 1 || strlen(words[0]) != length ||
            memcmp(words[0], (*verb)->name, length) != 0)
            continue;
        if (space && (n_words < 2 || strcmp(words[1], space + 1) != 0))
            continue;
        *ret_words = space ? 2 : 1;
        return *verb;
    }
    return NULL;
}

const char *verb_suggest(const char *text) {
    const char *names[ELEMENTS_OF(verbs)];

    for (size_t i = 0; i < ELEMENTS_OF(verbs); i++)
        names[i] = verbs[i] ? verbs[i]->name : NULL;
    return text_suggest(text, names);
}

/* Takes one option into arguments, and the common ones into client too. */
static enum exit_status arguments_take(struct arguments *arguments, struct client *client,
                                       const struct verb_option *option, const char *value) {
    if (arguments->n_values == VERB_VALUES_MAX)
        return client_fail(client, STATUS_USAGE, "more than %d options", VERB_VALUES_MAX);
    if (value && !text_is_printable(value))
        return client_fail(client, STATUS_USAGE, "the value of --%s is not printable UTF-8 text",
                           option->name);
    arguments->values[arguments->n_values].name = option->name;
    arguments->values[arguments->n_values++].value = value ? value : "";
    if (strcmp(option->name, "json") == 0)
        client->json = true;
    else if (strcmp(option->name, "no-color") == 0)
        client->color = false;
    else if (strcmp(option->name, "bus-address") == 0)
        client->address = value;
    return STATUS_DONE;
}

/* What getopt() left behind: the words, or, after these and "--", the command. */
static enum exit_status arguments_take_rest(struct arguments *arguments, struct client *client,
                                            const struct verb *verb, char **rest,
                                            size_t n_rest) {
    if (!verb->command) {
        arguments->words = rest;
        arguments->n_words = n_rest;
        return STATUS_DONE;
    }
    arguments->command = rest;
    if (n_rest == 0)
        return client_fail(client, STATUS_USAGE,
                           "there is no '-- COMMAND'; see dmaownctl %s --help", verb->name);
    return STATUS_DONE;
}

static enum exit_status arguments_check_words(const struct arguments *arguments,
                                              struct client *client, const struct verb *verb) {
    if (arguments->n_words < verb->min_words)
        return client_fail(client, STATUS_USAGE, "too few arguments; see dmaownctl %s --help",
                           verb->name);
    if (arguments->n_words > verb->max_words)
        return client_fail(client, STATUS_USAGE, "too many arguments; see dmaownctl %s --help",
                           verb->name);
    for (size_t i = 0; i < arguments->n_words; i++)
        if (!text_is_printable(arguments->words[i]) || !*arguments->words[i])
            return client_fail(client, STATUS_USAGE,
                               "argument %zu is empty or not printable UTF-8 text", i + 1);
    return STATUS_DONE;
}

/* One of getopt()'s values; *ret_finished as for verb_parse(). */
static enum exit_status arguments_take_value(struct arguments *arguments, struct client *client,
                                             const struct verb *verb,
                                             const struct option_table *table, int value,
                                             bool *ret_finished) {
    const struct verb_option *option = option_table_find(table, value);

    if (value == 1) { /* a word; its place in argv is behind all words so far */
        arguments->words[arguments->n_words++] = optarg;
        return STATUS_DONE;
    }
    if (!option)
        return client_fail(client, STATUS_USAGE, "see dmaownctl %s --help", verb->name);
    if (strcmp(option->name, "help") != 0)
        return arguments_take(arguments, client, option, optarg);
    verb_print_help(verb);
    *ret_finished = true;
    return STATUS_DONE;
}

enum exit_status verb_parse(const struct verb *verb, struct client *client, int argc, char **argv,
                            struct arguments *arguments, bool *ret_finished) {
    struct option_table table;
    enum exit_status status = STATUS_DONE;
    int value;

    option_table_init(&table, verb);
    memset(arguments, 0, sizeof(*arguments));
    arguments->words = argv + 1;
    *ret_finished = false;
    optind = 0; /* makes getopt start anew: main() has used it for the options before the verb */
    while ((value = getopt_long(argc, argv, table.letters, table.longs, NULL)) >= 0) {
        status = arguments_take_value(arguments, client, verb, &table, value, ret_finished);
        if (status != STATUS_DONE || *ret_finished)
            return status;
    }
    if (client->json && !verb->json)
        return client_fail(client, STATUS_USAGE, "there is nothing to print as JSON");
    status = arguments_take_rest(arguments, client, verb, argv + optind, (size_t)(argc - optind));
    return status == STATUS_DONE ? arguments_check_words(arguments, client, verb) : status;
}

static void option_print_help(const struct verb_option *option) {
    char name[64];

    (void)snprintf(name, sizeof(name), "--%s%s%s", option->name, option->argument ? "=" : "",
                   option->argument ? option->argument : "");
    if (option->letter)
        printf("  -%c, %-24s %s\n", option->letter, name, option->help);
    else
        printf("      %-24s %s\n", name, option->help);
}

void verb_print_help(const struct verb *verb) {
    struct option_table table;

    option_table_init(&table, verb);
    printf("Usage: dmaownctl %s [OPTION]...%s%s\n\n%s.\n", verb->name,
           *verb->synopsis ? " " : "", verb->synopsis, verb->summary);
    if (verb->help)
        printf("\n%s", verb->help);
    printf("\nOptions:\n");
    for (size_t i = 0; i < table.n; i++)
        option_print_help(table.options[i]);
}

static void verb_print_line(const struct verb *verb) {
    _cleanup_(freep) char *call = string_format("%s %s", verb->name, verb->synopsis);

    printf("  %-23s %s\n", call ? call : verb->name, verb->summary);
}

static bool family_print_help(const char *family) {
    bool found = false;

    for (const struct verb *const *verb = verbs; *verb; verb++) {
        const char *rest = string_after((*verb)->name, family);
        if (!rest || *rest != ' ')
            continue;
        if (!found)
            printf("Usage: dmaownctl %s VERB [ARGUMENT]...\n\nVerbs:\n", family);
        verb_print_line(*verb);
        found = true;
    }
    return found;
}

bool verbs_print_help(const char *family) {
    if (family)
        return family_print_help(family);
    printf("Usage: dmaownctl [OPTION]... VERB [ARGUMENT]...\n\n"
           "Asks dmaownd who drives a device's DMA: the kernel, or one user.\n\nVerbs:\n");
    for (const struct verb *const *verb = verbs; *verb; verb++)
        verb_print_line(*verb);
    printf("\nOptions:\n"
           "      --bus-address=ADDRESS    the bus at this D-Bus address, not the system bus\n"
           "      --no-color               no colours, as with NO_COLOR in the environment\n"
           "  -j, --json               print JSON for programs\n"
           "  -h, --help                   print this help\n"
           "  -V, --version                print the version\n"
           "\nA TARGET is a group number, a device's name in sysfs, BUS/NAME, a sysfs path, or\n"
           "/dev/vfio/N; a LEASE is its number or object path.\n"
           "dmaownctl VERB --help describes a verb; the manual is dmaownctl(1).\n"
           "\nExit status: 0 done, 1 other error, 2 usage, 3 denied by policy, 4 not viable,\n"
           "held by the kernel, in use or a switch that failed, 5 owned by someone else, busy or\n"
           "over quota, 6 no such target or lease, 7 daemon not reachable.\n");
    return true;
}
