/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/options.h"

#include <errno.h>
#include <string.h>

#include "util/string.h"

/* Of a name that is no option's, in bytes. */
#define NAME_SHOWN_MAX 64

union option_value {
    const char *text;
    uint32_t number;
    uint64_t large;
    int truth;
    int fd;
};

typedef int option_setter(void *options, const union option_value *value, struct refusal *refusal);

static int set_mode(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;
    int mode = policy_mode_from_string(value->text);

    if (mode < 0)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option mode is \"path\" or \"fd\".");
    options->mode = (unsigned)mode;
    return OUTCOME_OK;
}

static int set_interface(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    if (string_equal(value->text, "cdev"))
        options->interface = LEASE_INTERFACE_CDEV;
    else if (string_equal(value->text, "group"))
        options->interface = LEASE_INTERFACE_GROUP;
    else
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option interface is \"group\" or \"cdev\".");
    return OUTCOME_OK;
}

static int set_lifetime(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;
    int lifetime = policy_lifetime_from_string(value->text);

    if (lifetime < 0)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option lifetime is \"connection\", \"fd\", \"process\", \"unit\" or "
                      "\"persistent\".");
    options->lifetime = (unsigned)lifetime;
    return OUTCOME_OK;
}

static int set_ttl(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    if (value->large == 0 || value->large > OPTION_TTL_MAX)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option ttl is a number of seconds from 1 to %llu; leave it out for a lease "
                      "without an end.",
                      OPTION_TTL_MAX);
    options->ttl = value->large;
    return OUTCOME_OK;
}

static int set_uid(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    if (value->number == UINT32_MAX)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option uid: %u is no user.", UINT32_MAX);
    options->has_uid = true;
    options->uid = value->number;
    return OUTCOME_OK;
}

static int check_text(const char *name, const char *text, struct refusal *refusal) {
    if (strlen(text) > OPTION_TEXT_MAX)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option %s is longer than %d bytes.", name,
                      OPTION_TEXT_MAX);
    if (!text_is_printable(text))
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option %s has characters that are not printable.", name);
    return OUTCOME_OK;
}

static int set_key(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->key = value->text;
    return check_text("key", value->text, refusal);
}

static int set_comment(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->comment = value->text;
    return check_text("comment", value->text, refusal);
}

static int set_container(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->container = value->truth;
    return OUTCOME_OK;
}

static int set_detach(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->detach = value->truth;
    return OUTCOME_OK;
}

static int set_reattach(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->reattach = value->truth;
    return OUTCOME_OK;
}

static int set_reattach_after(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    if (value->large > OPTION_REATTACH_AFTER_MAX)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option reattach_after is a number of seconds from 0 to %d.",
                      OPTION_REATTACH_AFTER_MAX);
    options->reattach_after = (uint32_t)value->large;
    return OUTCOME_OK;
}

static int set_pid(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    if (value->number == 0 || value->number > INT32_MAX)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option pid: %u is no process.",
                      value->number);
    options->pid = (pid_t)value->number;
    return OUTCOME_OK;
}

static int set_pidfd(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->pidfd = value->fd;
    return OUTCOME_OK;
}

static int set_unit(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->unit = value->text;
    return check_text("unit", value->text, refusal);
}

static int set_timeout(void *data, const union option_value *value, struct refusal *refusal) {
    struct revoke_options *options = data;

    if (value->large > OPTION_TIMEOUT_MAX)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option timeout is a number of seconds from 0 to %d.", OPTION_TIMEOUT_MAX);
    options->timeout = value->large;
    return OUTCOME_OK;
}

static int set_unbind(void *data, const union option_value *value, struct refusal *refusal) {
    struct revoke_options *options = data;

    options->unbind = value->truth;
    return OUTCOME_OK;
}

static int check_wait(const union option_value *value, struct refusal *refusal) {
    if (value->large <= OPTION_WAIT_MAX)
        return OUTCOME_OK;
    return refuse(refusal, OUTCOME_INVALID_OPTION, "Option wait is a number of seconds from 0 to %d.",
                  OPTION_WAIT_MAX);
}

static int set_claim_wait(void *data, const union option_value *value, struct refusal *refusal) {
    struct claim_options *options = data;

    options->wait = value->large;
    return check_wait(value, refusal);
}

static int set_wait(void *data, const union option_value *value, struct refusal *refusal) {
    struct switch_options *options = data;

    options->wait = value->large;
    return check_wait(value, refusal);
}

static int set_unreset(void *data, const union option_value *value, struct refusal *refusal) {
    struct switch_options *options = data;

    options->unreset = value->truth;
    return OUTCOME_OK;
}

static int set_returning(void *data, const union option_value *value, struct refusal *refusal) {
    struct switch_options *options = data;

    options->returning = value->truth;
    return OUTCOME_OK;
}

struct option {
    const char *name;
    char type;
    option_setter *set;
};

/* The options of a method. At most 32. */
struct option_table {
    const struct option *options;
    size_t n;
    const char *names; /* for whoever asked for another one */
};

static const struct option claim_options[] = {
    {"mode", 's', set_mode},           {"interface", 's', set_interface},
    {"lifetime", 's', set_lifetime},   {"ttl", 't', set_ttl},
    {"uid", 'u', set_uid},             {"key", 's', set_key},
    {"comment", 's', set_comment},     {"container", 'b', set_container},
    {"detach", 'b', set_detach},       {"reattach", 'b', set_reattach},
    {"pid", 'u', set_pid},             {"pidfd", 'h', set_pidfd},
    {"unit", 's', set_unit},           {"wait", 't', set_claim_wait},
    {"reattach_after", 't', set_reattach_after},
};

static const struct option_table claim_table = {
    claim_options, ELEMENTS_OF(claim_options),
    "mode, interface, lifetime, ttl, uid, key, comment, container, detach, reattach, "
    "reattach_after, pid, pidfd, unit and wait"};

static const struct option lifetime_options[] = {
    {"lifetime", 's', set_lifetime},
    {"pid", 'u', set_pid},
    {"pidfd", 'h', set_pidfd},
    {"unit", 's', set_unit},
};

static const struct option_table lifetime_table = {
    lifetime_options, ELEMENTS_OF(lifetime_options), "lifetime, pid, pidfd and unit"};

static const struct option revoke_options[] = {
    {"timeout", 't', set_timeout},
    {"unbind", 'b', set_unbind},
};

static const struct option_table revoke_table = {revoke_options, ELEMENTS_OF(revoke_options),
                                                 "timeout and unbind"};

static const struct option switch_options[] = {
    {"wait", 't', set_wait},
    {"reattach_unreset", 'b', set_unreset},
    {"returning", 'b', set_returning},
};

static const struct option_table switch_table = {switch_options, ELEMENTS_OF(switch_options),
                                                 "wait, reattach_unreset and returning"};

static int find_option(const struct option_table *table, const char *name) {
    for (size_t i = 0; i < table->n; i++)
        if (string_equal(table->options[i].name, name))
            return (int)i;
    return -ENOENT;
}

/* Cut before it is escaped: a part of a character can not go over the bus. */
static int refuse_unknown(const struct option_table *table, const char *name,
                          struct refusal *refusal) {
    _cleanup_(freep) char *start = strndup(name, NAME_SHOWN_MAX);
    _cleanup_(freep) char *shown = start ? text_escape(start) : NULL;

    return refuse(refusal, OUTCOME_INVALID_OPTION, "Option \"%s\" is not known; there are %s.",
                  shown ?: "?", table->names);
}

static int read_value(sd_bus_message *message, const struct option *option, void *options,
                      struct refusal *refusal) {
    char signature[2] = {option->type, 0};
    union option_value value;
    const char *contents;

    int r = sd_bus_message_peek_type(message, NULL, &contents);
    if (r < 0)
        return r;
    if (!string_equal(contents, signature))
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option %s has type %s, not %.16s.",
                      option->name, signature, contents);
    r = sd_bus_message_enter_container(message, 'v', signature);
    if (r >= 0)
        r = sd_bus_message_read_basic(message, option->type, &value);
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    return r < 0 ? r : option->set(options, &value, refusal);
}

static int read_option(sd_bus_message *message, const struct option_table *table, void *options,
                       unsigned *seen, struct refusal *refusal) {
    const char *name;
    int r = sd_bus_message_read(message, "s", &name);

    if (r < 0)
        return r;
    int index = find_option(table, name);
    if (index < 0)
        return refuse_unknown(table, name, refusal);
    if (*seen & 1u << index)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option %s is given twice.", name);
    *seen |= 1u << index;
    return read_value(message, &table->options[index], options, refusal);
}

static int read_options(sd_bus_message *message, const struct option_table *table, void *options,
                        struct refusal *refusal) {
    unsigned seen = 0;
    int r = sd_bus_message_enter_container(message, 'a', "{sv}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = read_option(message, table, options, &seen, refusal);
        if (r != OUTCOME_OK)
            return r;
        r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    return r < 0 ? r : OUTCOME_OK;
}

/* What belongs to one lifetime only. */
static int check_lifetime(const struct claim_options *options, struct refusal *refusal) {
    bool process = options->pid || options->pidfd >= 0;

    if (process && options->lifetime != POLICY_LIFETIME_PROCESS)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Options pid and pidfd go with lifetime process.");
    if (options->pid && options->pidfd >= 0)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Options pid and pidfd exclude each other; give pidfd.");
    if (options->unit && options->lifetime != POLICY_LIFETIME_UNIT)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option unit goes with lifetime unit.");
    if (!options->unit && options->lifetime == POLICY_LIFETIME_UNIT)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Lifetime unit needs option unit, the name of a system unit.");
    return OUTCOME_OK;
}

static int check_mode(const struct claim_options *options, struct refusal *refusal) {
    if (!options->container)
        return OUTCOME_OK;
    if (options->mode != POLICY_MODE_FD)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option container goes with mode fd: in mode path the holder makes its own.");
    if (options->interface == LEASE_INTERFACE_CDEV)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option container goes with interface group: a cdev has none.");
    return OUTCOME_OK;
}

static int check_reattach(const struct claim_options *options, struct refusal *refusal) {
    if (!options->reattach_after || options->reattach)
        return OUTCOME_OK;
    return refuse(refusal, OUTCOME_INVALID_OPTION, "Option reattach_after goes with reattach.");
}

int claim_options_read(sd_bus_message *message, struct claim_options *ret,
                       struct refusal *refusal) {
    struct claim_options options = {
        .mode = POLICY_MODE_PATH,
        .lifetime = POLICY_LIFETIME_CONNECTION,
        .interface = LEASE_INTERFACE_DEFAULT,
        .key = "",
        .comment = "",
        .pidfd = -1,
    };
    int r = read_options(message, &claim_table, &options, refusal);

    if (r == OUTCOME_OK)
        r = check_lifetime(&options, refusal);
    if (r == OUTCOME_OK)
        r = check_mode(&options, refusal);
    if (r == OUTCOME_OK)
        r = check_reattach(&options, refusal);
    if (options.container)
        options.interface = LEASE_INTERFACE_GROUP;
    if (r == OUTCOME_OK)
        *ret = options;
    return r;
}

/* What needs the caller's connection, or an fd that only an answer to Claim could pass, is no choice. */
static enum outcome check_new_lifetime(const struct claim_options *options, struct refusal *refusal) {
    if (options->lifetime == POLICY_LIFETIME_PROCESS || options->lifetime == POLICY_LIFETIME_UNIT ||
        options->lifetime == POLICY_LIFETIME_PERSISTENT)
        return OUTCOME_OK;
    return refuse(refusal, OUTCOME_INVALID_OPTION,
                  "Option lifetime is needed: a lease that is there can be given \"process\", \"unit\" or "
                  "\"persistent\".");
}

int lifetime_options_read(sd_bus_message *message, struct claim_options *ret, struct refusal *refusal) {
    struct claim_options options = {.mode = POLICY_MODE_PATH, .pidfd = -1};
    int r = read_options(message, &lifetime_table, &options, refusal);

    if (r == OUTCOME_OK)
        r = (int)check_new_lifetime(&options, refusal);
    if (r == OUTCOME_OK)
        r = check_lifetime(&options, refusal);
    if (r == OUTCOME_OK)
        *ret = options;
    return r;
}

int switch_options_read(sd_bus_message *message, struct switch_options *ret,
                        struct refusal *refusal) {
    struct switch_options options = {0};
    int r = read_options(message, &switch_table, &options, refusal);

    if (r == OUTCOME_OK)
        *ret = options;
    return r;
}

int revoke_options_read(sd_bus_message *message, struct revoke_options *ret,
                        struct refusal *refusal) {
    struct revoke_options options = {0};
    int r = read_options(message, &revoke_table, &options, refusal);

    if (r == OUTCOME_OK)
        *ret = options;
    return r;
}
