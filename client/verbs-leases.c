/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/claim.h"
#include "client/json.h"
#include "client/options.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verbs-groups.h"
#include "util/string.h"

/* ---- claim --------------------------------------------------------------------------------- */

/* What would end together with dmaownctl is no use to anyone. */
static enum exit_status claim_check(const struct client *client,
                                    const struct call_options *options) {
    static const char *const ends_at_once[] = {"connection", "fd", "process"};

    if (call_options_say(options, "mode", "fd") || call_options_find(options, "container"))
        return client_fail(client, STATUS_USAGE,
                           "file descriptors would be closed at once; 'dmaownctl run' passes them "
                           "to a command, 'dmaownctl hold' keeps them open");
    for (size_t i = 0; i < ELEMENTS_OF(ends_at_once); i++)
        if (call_options_say(options, "lifetime", ends_at_once[i]) &&
            !call_options_find(options, "pid"))
            fprintf(stderr, "dmaownctl: claim: such a lease ends as soon as dmaownctl does; see "
                            "'dmaownctl run' and 'dmaownctl hold'\n");
    return STATUS_DONE;
}

static enum exit_status claim_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(call_options_done) struct call_options options = {0};
    const char *path;
    enum exit_status status =
        call_options_read(client, arguments, call_options_lifetime(arguments), &options);

    if (status == STATUS_DONE)
        status = claim_check(client, &options);
    if (status == STATUS_DONE)
        status = claim_call_new(client, arguments, &options, &call);
    if (status == STATUS_DONE)
        status = call_send_late(client, call, call_options_wait(&options), &reply);
    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_read(reply, "o", &path);
    return r < 0 ? client_fail_reply(client, r) : claim_print(client, path);
}

static const struct verb_option claim_options[] = {
    LIFETIME_OPTIONS,
    CLAIM_OPTIONS,
    LEASE_OPTIONS,
    {"uid", 'u', "USER", "who gets access, if a rule delegates to that user"},
    {NULL},
};

const struct verb verb_claim = {
    .name = "claim",
    .synopsis = "TARGET...",
    .summary = "Claims the groups of all targets, or none",
    .help = "Prints the object path of the lease. It outlives dmaownctl: its lifetime is\n"
            "'persistent' unless said otherwise, so it ends with 'dmaownctl release', after\n"
            "--ttl, or with a reboot. With --pid it ends with that process, with --unit when\n"
            "that unit stops. For a lease that ends with a command, or with Ctrl-C, and for\n"
            "mode fd, there are 'dmaownctl run' and 'dmaownctl hold'.\n",
    .options = claim_options,
    .json = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = claim_run,
};

/* ---- release ------------------------------------------------------------------------------- */

/* A call whose first argument is a lease. *ret is the caller's. */
static enum exit_status lease_call_new(struct client *client, const char *method, const char *lease,
                                       sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    _cleanup_(freep) char *path = NULL;
    int r = lease_path_parse(lease, &path);

    if (r < 0)
        return client_fail(client, r == -ENOMEM ? STATUS_ERROR : STATUS_NO_SUCH,
                           "'%s' is neither the number nor the object path of a lease", lease);
    enum exit_status status = call_new(client, method, true, &call);
    if (status != STATUS_DONE)
        return status;
    r = sd_bus_message_append(call, "o", path);
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s", strerror(-r));
    *ret = TAKE_POINTER(call);
    return STATUS_DONE;
}

static enum exit_status release_lease(struct client *client, const struct arguments *arguments,
                                      const char *lease) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    enum exit_status status = lease_call_new(client, "Release", lease, &call);

    return status == STATUS_DONE ? call_send(client, call, NULL) : status;
}

/* The first that fails decides how it ends, but the others are still tried. */
static enum exit_status for_each_lease(struct client *client, const struct arguments *arguments,
                                       enum exit_status (*end)(struct client *client,
                                                               const struct arguments *arguments,
                                                               const char *lease)) {
    enum exit_status status = STATUS_DONE;

    for (size_t i = 0; i < arguments->n_words; i++) {
        enum exit_status one = end(client, arguments, arguments->words[i]);
        if (one == STATUS_UNREACHABLE)
            return one;
        if (status == STATUS_DONE)
            status = one;
    }
    return status;
}

static enum exit_status release_run(struct client *client, const struct arguments *arguments) {
    return for_each_lease(client, arguments, release_lease);
}

const struct verb verb_release = {
    .name = "release",
    .synopsis = "LEASE...",
    .summary = "Ends leases",
    .help = "Returns when access has been taken back. The groups can be granted again when\n"
            "nobody has them open any more; until then 'dmaownctl leases' shows the lease as\n"
            "draining. Somebody else's lease is for root, or through polkit.\n",
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = release_run,
};

/* ---- revoke ---------------------------------------------------------------------------------- */

/* The wait that was asked for; none is a wait too. */
static enum exit_status timeout_read(const struct client *client, const struct arguments *arguments,
                                     uint64_t *ret) {
    const char *text = arguments_value(arguments, "timeout");

    if (wait_parse(text ? text : "0", ret) < 0)
        return client_fail(client, STATUS_USAGE,
                           "'%s' is not a time: write seconds, or a number with s, m, h, d or w",
                           text);
    return STATUS_DONE;
}

static enum exit_status revoke_lease(struct client *client, const struct arguments *arguments,
                                     const char *lease) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    uint64_t timeout;
    enum exit_status status = timeout_read(client, arguments, &timeout);

    if (status == STATUS_DONE)
        status = lease_call_new(client, "Revoke", lease, &call);
    if (status != STATUS_DONE)
        return status;
    int unbind = arguments_value(arguments, "unbind") != NULL;
    int r = unbind ? sd_bus_message_append(call, "a{sv}", 2, "timeout", "t", timeout, "unbind", "b",
                                           unbind)
                   : sd_bus_message_append(call, "a{sv}", 1, "timeout", "t", timeout);
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s", strerror(-r));
    return call_send_late(client, call, timeout, NULL);
}

static enum exit_status revoke_run(struct client *client, const struct arguments *arguments) {
    return for_each_lease(client, arguments, revoke_lease);
}

static const struct verb_option revoke_options[] = {
    {"timeout", 't', "SECONDS", "give the holder this time to go; or 10m, 1h"},
    {"unbind", 0, NULL, "at last unbind the VFIO drivers of the devices"},
    {NULL},
};

const struct verb verb_revoke = {
    .name = "revoke",
    .synopsis = "LEASE...",
    .summary = "Asks holders to go and takes their access back",
    .help = "Tells the holder at once, waits for the time given (0 by default), then removes\n"
            "access, and returns when the lease has ended. If somebody still has the group\n"
            "open then, it says who, ends with 5, and the lease goes on draining; --unbind\n"
            "makes the kernel ask them for the devices, which stay without a driver. Several\n"
            "leases are revoked one after the other. For root, or through polkit.\n",
    .options = revoke_options,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = revoke_run,
};

/* ---- leases -------------------------------------------------------------------------------- */

enum exit_status lease_print(const struct client *client, json_object *lease) {
    static const struct column lines[] = {
        {.title = "Holder", .key = "uid", .format = user_value_format},
        {.title = "Claimant", .key = "claimant_uid", .format = user_value_format},
        {.title = "Groups", .key = "groups", .format = object_value_format},
        {.title = "State", .key = "state"},
        {.title = "Still open in", .key = "openers", .format = sentences_format},
        {.title = "Mode", .key = "mode"},
        {.title = "Interface", .key = "interface"},
        {.title = "Lifetime", .key = "lifetime"},
        {.title = "Since", .key = "since", .format = time_value_format},
        {.title = "Rule", .key = "rule"},
        {.title = "Policy stale", .key = "policy_stale"},
        {.title = "Process", .key = "pid"},
        {.title = "Unit", .key = "unit"},
        {.title = "Comment", .key = "comment"},
    };

    return list_print(client, lines, ELEMENTS_OF(lines), lease);
}

/* Adds the lifetime with the process or the unit whose it is, as far as the caller may know. */
static int lease_add_lasts(json_object *lease) {
    const char *lifetime = json_text(lease, "lifetime"), *unit = json_text(lease, "unit");
    unsigned long long pid = json_number(lease, "pid");
    _cleanup_(freep) char *text =
        pid && strcmp(lifetime, "process") == 0   ? string_format("process %llu", pid)
        : *unit && strcmp(lifetime, "unit") == 0 ? string_format("unit %s", unit)
                                                 : strdup(lifetime);

    return text ? json_set_text(lease, "lasts", text) : -ENOMEM;
}

static enum exit_status print_leases(const struct client *client, json_object *leases) {
    static const struct column columns[] = {
        {.title = "LEASE", .key = "id", .right = true},
        {.title = "GROUPS", .key = "groups", .format = object_value_format},
        {.title = "HOLDER", .key = "uid", .format = user_value_format},
        {.title = "CLAIMANT", .key = "claimant_uid", .format = user_value_format},
        {.title = "STATE", .key = "state"},
        {.title = "MODE", .key = "mode"},
        {.title = "LIFETIME", .key = "lasts"},
        {.title = "SINCE", .key = "since", .format = time_value_format},
        {.title = "RULE", .key = "rule"},
        {.title = "COMMENT", .key = "comment", .wrap = true},
    };

    for (size_t i = 0; i < json_length(leases); i++)
        if (lease_add_lasts(json_object_array_get_idx(leases, i)) < 0)
            return client_fail_memory(client);
    return table_print(client, columns, ELEMENTS_OF(columns), leases, NULL);
}

static enum exit_status leases_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(json_putp) json_object *objects = NULL, *leases = NULL;
    enum exit_status status = objects_read(client, &objects);

    if (status == STATUS_DONE)
        status = objects_select(client, objects, LEASE_INTERFACE, &leases);
    if (status != STATUS_DONE)
        return status;
    if (client->json)
        return json_print(leases, false) < 0 ? client_fail_memory(client) : STATUS_DONE;
    return print_leases(client, leases);
}

const struct verb verb_leases = {
    .name = "leases",
    .synopsis = "",
    .summary = "Lists the leases",
    .help = "What is draining is still open in a program; 'dmaownctl show' (with the object\n"
            "path of the lease) and --json name it. Programs, processes, bus names and\n"
            "comments are shown to claimant, holder and root only.\n",
    .json = true,
    .run = leases_run,
};
