/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/options.h"

#include <errno.h>
#include <string.h>

#include "util/string.h"

union option_value {
    const char *text;
    uint32_t number;
    uint64_t large;
    int truth;
    int fd;
};

typedef int option_setter(struct claim_options *options, const union option_value *value,
                          struct refusal *refusal);

static void note_unsupported(struct claim_options *options, const char *what) {
    if (!options->unsupported)
        options->unsupported = what;
}

static int set_mode(struct claim_options *options, const union option_value *value,
                    struct refusal *refusal) {
    int mode = policy_mode_from_string(value->text);

    if (mode < 0)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option mode is \"path\" or \"fd\".");
    options->mode = (unsigned)mode;
    if (mode == POLICY_MODE_FD)
        note_unsupported(options, "mode fd");
    return OUTCOME_OK;
}

static int set_interface(struct claim_options *options, const union option_value *value,
                         struct refusal *refusal) {
    if (string_equal(value->text, "cdev"))
        note_unsupported(options, "interface cdev");
    else if (!string_equal(value->text, "group"))
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option interface is \"group\" or \"cdev\".");
    return OUTCOME_OK;
}

static int set_lifetime(struct claim_options *options, const union option_value *value,
                        struct refusal *refusal) {
    int lifetime = policy_lifetime_from_string(value->text);

    if (lifetime < 0)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option lifetime is \"connection\", \"fd\", \"process\", \"unit\" or "
                      "\"persistent\".");
    options->lifetime = (unsigned)lifetime;
    if (lifetime != POLICY_LIFETIME_CONNECTION && lifetime != POLICY_LIFETIME_PERSISTENT)
        note_unsupported(options, "this lifetime");
    return OUTCOME_OK;
}

static int set_ttl(struct claim_options *options, const union option_value *value,
                   struct refusal *refusal) {
    if (value->large == 0 || value->large > OPTION_TTL_MAX)
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Option ttl is a number of seconds from 1 to %llu; leave it out for a lease "
                      "without an end.",
                      OPTION_TTL_MAX);
    options->ttl = value->large;
    return OUTCOME_OK;
}

static int set_uid(struct claim_options *options, const union option_value *value,
                   struct refusal *refusal) {
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

static int set_key(struct claim_options *options, const union option_value *value,
                   struct refusal *refusal) {
    options->key = value->text;
    return check_text("key", value->text, refusal);
}

static int set_comment(struct claim_options *options, const union option_value *value,
                       struct refusal *refusal) {
    options->comment = value->text;
    return check_text("comment", value->text, refusal);
}

static int set_container(struct claim_options *options, const union option_value *value,
                         struct refusal *refusal) {
    if (value->truth)
        note_unsupported(options, "option container");
    return OUTCOME_OK;
}

static int set_detach(struct claim_options *options, const union option_value *value,
                      struct refusal *refusal) {
    options->detach = value->truth;
    if (value->truth)
        note_unsupported(options, "option detach");
    return OUTCOME_OK;
}

static int set_reattach(struct claim_options *options, const union option_value *value,
                        struct refusal *refusal) {
    if (value->truth)
        note_unsupported(options, "option reattach");
    return OUTCOME_OK;
}

static int set_keeper(struct claim_options *options, const union option_value *value,
                      struct refusal *refusal) {
    options->names_keeper = true;
    return OUTCOME_OK;
}

static const struct option {
    const char *name;
    char type;
    option_setter *set;
} claim_option_table[] = {
    {"mode", 's', set_mode},           {"interface", 's', set_interface},
    {"lifetime", 's', set_lifetime},   {"ttl", 't', set_ttl},
    {"uid", 'u', set_uid},             {"key", 's', set_key},
    {"comment", 's', set_comment},     {"container", 'b', set_container},
    {"detach", 'b', set_detach},       {"reattach", 'b', set_reattach},
    {"pid", 'u', set_keeper},          {"pidfd", 'h', set_keeper},
    {"unit", 's', set_keeper},
};

static int find_option(const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(claim_option_table); i++)
        if (string_equal(claim_option_table[i].name, name))
            return (int)i;
    return -ENOENT;
}

static int refuse_unknown(const char *name, struct refusal *refusal) {
    _cleanup_(freep) char *shown = text_escape(name);

    return refuse(refusal, OUTCOME_INVALID_OPTION,
                  "Option \"%.64s\" is not known; there are mode, interface, lifetime, ttl, uid, "
                  "key, comment, container, detach, reattach, pid, pidfd and unit.",
                  shown ?: "?");
}

static int read_value(sd_bus_message *message, const struct option *option,
                      struct claim_options *options, struct refusal *refusal) {
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

static int read_option(sd_bus_message *message, struct claim_options *options, unsigned *seen,
                       struct refusal *refusal) {
    const char *name;
    int r = sd_bus_message_read(message, "s", &name);

    if (r < 0)
        return r;
    int index = find_option(name);
    if (index < 0)
        return refuse_unknown(name, refusal);
    if (*seen & 1u << index)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "Option %s is given twice.", name);
    *seen |= 1u << index;
    return read_value(message, &claim_option_table[index], options, refusal);
}

int claim_options_read(sd_bus_message *message, struct claim_options *ret,
                       struct refusal *refusal) {
    struct claim_options options = {
        .mode = POLICY_MODE_PATH,
        .lifetime = POLICY_LIFETIME_CONNECTION,
        .key = "",
        .comment = "",
    };
    unsigned seen = 0;
    int r = sd_bus_message_enter_container(message, 'a', "{sv}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = read_option(message, &options, &seen, refusal);
        if (r != OUTCOME_OK)
            return r;
        r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    if (r < 0)
        return r;
    if (options.names_keeper &&
        !(options.lifetime & (POLICY_LIFETIME_PROCESS | POLICY_LIFETIME_UNIT)))
        return refuse(refusal, OUTCOME_INVALID_OPTION,
                      "Options pid and pidfd go with lifetime process, unit with lifetime unit.");
    *ret = options;
    return OUTCOME_OK;
}
