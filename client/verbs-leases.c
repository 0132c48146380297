/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/json.h"
#include "client/options.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verbs-groups.h"
#include "util/string.h"

/* ---- claim --------------------------------------------------------------------------------- */

static enum exit_status print_claim(const struct client *client, const char *path) {
    _cleanup_(json_putp) json_object *lease = json_object_new_object();
    uint64_t id;

    if (!client->json) {
        _cleanup_(freep) char *escaped = text_escape(path);
        if (!escaped)
            return client_fail_memory(client);
        printf("%s\n", escaped);
        return STATUS_DONE;
    }
    if (parse_u64(path_basename(path), &id) < 0)
        return client_fail_reply(client, -EBADMSG);
    if (!lease || json_set(lease, "id", json_object_new_uint64(id)) < 0 ||
        json_set_text(lease, "object", path) < 0 || json_print(lease, false) < 0)
        return client_fail_memory(client);
    return STATUS_DONE;
}

static enum exit_status claim_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(call_options_done) struct call_options options = {0};
    const char *path, *lifetime = arguments_value(arguments, "lifetime");
    enum exit_status status = call_options_read(client, arguments, &options);

    if (lifetime && (strcmp(lifetime, "connection") == 0 || strcmp(lifetime, "fd") == 0))
        fprintf(stderr, "dmaownctl: claim: such a lease ends as soon as dmaownctl does\n");
    if (status == STATUS_DONE)
        status = call_new(client, "Claim", false, &call);
    if (status == STATUS_DONE)
        status = call_options_append(client, arguments, &options, call);
    if (status == STATUS_DONE)
        status = call_send(client, call, &reply);
    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_read(reply, "o", &path);
    return r < 0 ? client_fail_reply(client, r) : print_claim(client, path);
}

static const struct verb_option claim_options[] = {
    CLAIM_OPTIONS,
    {"uid", 'u', "USER", "who gets access, if a rule delegates to that user"},
    {NULL},
};

const struct verb verb_claim = {
    .name = "claim",
    .synopsis = "TARGET...",
    .summary = "Claims the groups of all targets, or none",
    .help = "Prints the object path of the lease. It outlives dmaownctl: its lifetime is\n"
            "'persistent' unless said otherwise, so it ends with 'dmaownctl release', after\n"
            "--ttl, or with a reboot. ('connection', the default of the D-Bus call, would\n"
            "end it together with dmaownctl.) Further lifetimes: fd, process, unit.\n",
    .options = claim_options,
    .json = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = claim_run,
};

/* ---- release ------------------------------------------------------------------------------- */

static enum exit_status release(struct client *client, const char *lease) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    _cleanup_(freep) char *path = NULL;
    int r = lease_path_parse(lease, &path);

    if (r < 0)
        return client_fail(client, r == -ENOMEM ? STATUS_ERROR : STATUS_NO_SUCH,
                           "'%s' is neither the number nor the object path of a lease", lease);
    enum exit_status status = call_new(client, "Release", true, &call);
    if (status != STATUS_DONE)
        return status;
    r = sd_bus_message_append(call, "o", path);
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s", strerror(-r));
    return call_send(client, call, NULL);
}

static enum exit_status release_run(struct client *client, const struct arguments *arguments) {
    enum exit_status status = STATUS_DONE;

    for (size_t i = 0; i < arguments->n_words; i++) {
        enum exit_status one = release(client, arguments->words[i]);
        if (one == STATUS_UNREACHABLE)
            return one;
        if (status == STATUS_DONE)
            status = one;
    }
    return status;
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

/* ---- leases -------------------------------------------------------------------------------- */

enum exit_status lease_print(const struct client *client, json_object *lease) {
    static const struct column lines[] = {
        {.title = "Holder", .key = "uid", .format = user_value_format},
        {.title = "Claimant", .key = "claimant_uid", .format = user_value_format},
        {.title = "State", .key = "state"},
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

static enum exit_status print_leases(const struct client *client, json_object *leases) {
    static const struct column columns[] = {
        {.title = "LEASE", .key = "id", .right = true},
        {.title = "GROUPS", .key = "groups", .format = object_value_format},
        {.title = "HOLDER", .key = "uid", .format = user_value_format},
        {.title = "CLAIMANT", .key = "claimant_uid", .format = user_value_format},
        {.title = "STATE", .key = "state"},
        {.title = "MODE", .key = "mode"},
        {.title = "LIFETIME", .key = "lifetime"},
        {.title = "SINCE", .key = "since", .format = time_value_format},
        {.title = "RULE", .key = "rule"},
        {.title = "COMMENT", .key = "comment", .wrap = true},
    };

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
    .help = "Processes, bus names and comments are shown to claimant, holder and root only.\n",
    .json = true,
    .run = leases_run,
};
