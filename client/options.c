/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/options.h"

#include <errno.h>
#include <string.h>

#include "client/bus.h"
#include "client/text.h"
#include "util/string.h"

/* The type of each option of the call that is not text. */
static const struct {
    const char *name;
    char type;
} types[] = {
    {"pid", 'u'},    {"uid", 'u'},      {"ttl", 't'},  {"container", 'b'},
    {"detach", 'b'}, {"reattach", 'b'}, {"wait", 't'}, {"reattach_unreset", 'b'},
};

static char option_type(const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    return 's';
}

void call_options_done(struct call_options *options) {
    for (size_t i = 0; i < options->n_values; i++)
        free(options->values[i].name);
}

const struct call_option *call_options_find(const struct call_options *options, const char *name) {
    for (size_t i = 0; i < options->n_values; i++)
        if (strcmp(options->values[i].name, name) == 0)
            return &options->values[i];
    return NULL;
}

bool call_options_say(const struct call_options *options, const char *name, const char *text) {
    const struct call_option *option = call_options_find(options, name);

    return option && option->type == 's' && strcmp(option->text, text) == 0;
}

uint64_t call_options_wait(const struct call_options *options) {
    const struct call_option *wait = call_options_find(options, "wait");

    return wait && wait->type == 't' ? wait->number : 0;
}

static int boolean_parse(const char *text, uint64_t *ret) {
    bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    bool no = strcmp(text, "no") == 0 || strcmp(text, "false") == 0;

    if (!yes && !no)
        return -EINVAL;
    *ret = yes;
    return 0;
}

static int option_parse(struct call_option *option, const char *text) {
    uid_t uid;
    int r;

    switch (option->type) {
    case 's':
        option->text = text;
        return 0;
    case 'b':
        return boolean_parse(text, &option->number);
    case 'u':
        r = strcmp(option->name, "uid") == 0 ? user_parse(text, &uid) : -ENOTUNIQ;
        if (r == 0)
            option->number = uid;
        if (r != -ENOTUNIQ)
            return r;
        r = parse_u64(text, &option->number);
        return r == 0 && option->number > UINT32_MAX ? -ERANGE : r;
    case 't':
        if (strcmp(option->name, "wait") == 0)
            return wait_parse(text, &option->number);
        if (strcmp(option->name, "ttl") == 0)
            return duration_parse(text, &option->number);
        return parse_u64(text, &option->number);
    default:
        return -EINVAL;
    }
}

/* Says what is wrong with the value of an option. */
static enum exit_status refuse(const struct client *client, const struct call_option *option,
                               const char *text) {
    if (strcmp(option->name, "uid") == 0)
        return client_fail(client, STATUS_USAGE, "there is no user '%s'", text);
    if (strcmp(option->name, "ttl") == 0 || strcmp(option->name, "wait") == 0)
        return client_fail(client, STATUS_USAGE,
                           "'%s' is not a time: write seconds, or a number with s, m, h, d or w",
                           text);
    return client_fail(client, STATUS_USAGE, "'%s' is no value of type '%c' for the option '%s'",
                       text, option->type, option->name);
}

/* An option twice: the last one holds, as usual on a command line. name is taken over. */
static enum exit_status take(const struct client *client, struct call_options *options, char *name,
                             char type, const char *text) {
    size_t index = 0;

    while (index < options->n_values && strcmp(options->values[index].name, name) != 0)
        index++;
    struct call_option *option = &options->values[index];
    if (index < options->n_values) {
        free(name);
    } else {
        options->n_values++;
        option->name = name;
    }
    option->type = type;
    return option_parse(option, text) < 0 ? refuse(client, option, text) : STATUS_DONE;
}

/* --option NAME[:TYPE]=VALUE */
static enum exit_status take_generic(const struct client *client, struct call_options *options,
                                     const char *text) {
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    bool typed = length > 2 && text[length - 2] == ':';

    if (length == 0)
        return client_fail(client, STATUS_USAGE, "--option wants NAME=VALUE, not '%s'", text);
    char *name = strndup(text, typed ? length - 2 : length);
    if (!name)
        return client_fail_memory(client);
    return take(client, options, name, typed ? text[length - 1] : option_type(name), equals + 1);
}

/* One that has a name of its own on the command line. */
static enum exit_status take_known(const struct client *client, struct call_options *options,
                                   const char *name, const char *text) {
    char *copy = strdup(name);
    char type = option_type(name);

    /* A switch has no text. */
    return copy ? take(client, options, copy, type, type == 'b' ? "yes" : text)
                : client_fail_memory(client);
}

/* The options of the command line that are options of the call, and their names there. */
static const struct {
    const char *name, *option;
} known[] = {
    {"lifetime", "lifetime"},   {"ttl", "ttl"},
    {"mode", "mode"},           {"interface", "interface"},
    {"container", "container"}, {"pid", "pid"},
    {"unit", "unit"},           {"key", "key"},
    {"uid", "uid"},             {"comment", "comment"},
    {"detach", "detach"},       {"reattach", "reattach"},
    {"wait", "wait"},           {"reattach-unreset", "reattach_unreset"},
};

static const char *known_option(const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].option;
    return NULL;
}

enum exit_status call_options_read(const struct client *client, const struct arguments *arguments,
                                   const char *lifetime, struct call_options *ret) {
    enum exit_status status =
        lifetime ? take_known(client, ret, "lifetime", lifetime) : STATUS_DONE;

    for (size_t i = 0; status == STATUS_DONE && i < arguments->n_values; i++) {
        const char *name = arguments->values[i].name, *value = arguments->values[i].value;
        const char *option = known_option(name);
        if (strcmp(name, "option") == 0)
            status = take_generic(client, ret, value);
        else if (option)
            status = take_known(client, ret, option, value);
    }
    return status;
}

const char *call_options_lifetime(const struct arguments *arguments) {
    if (arguments_value(arguments, "pid"))
        return "process";
    return arguments_value(arguments, "unit") ? "unit" : "persistent";
}

enum exit_status call_options_set_uid(const struct client *client, struct call_options *options,
                                      uid_t uid) {
    _cleanup_(freep) char *text = string_format("%u", (unsigned)uid);

    return text ? take_known(client, options, "uid", text) : client_fail_memory(client);
}

static int append_option(sd_bus_message *call, const struct call_option *option) {
    switch (option->type) {
    case 's':
        return sd_bus_message_append(call, "{sv}", option->name, "s", option->text);
    case 'b':
        return sd_bus_message_append(call, "{sv}", option->name, "b", (int)option->number);
    case 'u':
        return sd_bus_message_append(call, "{sv}", option->name, "u", (uint32_t)option->number);
    default:
        return sd_bus_message_append(call, "{sv}", option->name, "t", option->number);
    }
}

enum exit_status call_options_append(const struct client *client,
                                     const struct arguments *arguments,
                                     const struct call_options *options, sd_bus_message *call) {
    int r = sd_bus_message_open_container(call, 'a', "s");

    for (size_t i = 0; r >= 0 && i < arguments->n_words; i++)
        r = sd_bus_message_append(call, "s", arguments->words[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    if (r >= 0)
        r = sd_bus_message_open_container(call, 'a', "{sv}");
    for (size_t i = 0; r >= 0 && i < options->n_values; i++)
        r = append_option(call, &options->values[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    return r < 0 ? client_fail(client, STATUS_ERROR, "%s", strerror(-r)) : STATUS_DONE;
}
