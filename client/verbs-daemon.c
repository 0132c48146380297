/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/json.h"
#include "client/table.h"
#include "client/verbs-groups.h"
#include "util/string.h"

/* ---- reload, rescan ------------------------------------------------------------------------ */

static enum exit_status reload_run(struct client *client, const struct arguments *arguments) {
    return call_plain(client, "Reload");
}

const struct verb verb_reload = {
    .name = "reload",
    .synopsis = "",
    .summary = "Makes the daemon read its policy again",
    .help = "A policy with an error does not replace the one in force; 'dmaownctl policy\n"
            "check' says where the error is. For root, or through polkit.\n",
    .run = reload_run,
};

static enum exit_status rescan_run(struct client *client, const struct arguments *arguments) {
    return call_plain(client, "Rescan");
}

const struct verb verb_rescan = {
    .name = "rescan",
    .synopsis = "",
    .summary = "Makes the daemon read the state of the kernel again",
    .help = "Not needed as a rule: the daemon follows the kernel's events. For root, or\n"
            "through polkit.\n",
    .run = rescan_run,
};

/* ---- status -------------------------------------------------------------------------------- */

/* {word: how many of values have it under key} */
static int count_by(json_object *values, const char *key, const char *const *words,
                    json_object **ret) {
    _cleanup_(json_putp) json_object *counts = json_object_new_object();

    for (; *words; words++) {
        int64_t n = 0;
        for (size_t i = 0; i < json_length(values); i++)
            if (strcmp(json_text(json_object_array_get_idx(values, i), key), *words) == 0)
                n++;
        if (!counts || json_set(counts, *words, json_object_new_int64(n)) < 0)
            return -1;
    }
    *ret = TAKE_POINTER(counts);
    return 0;
}

static enum exit_status status_read(struct client *client, json_object **ret) {
    static const char *const owners[] = {"none", "kernel", "user", "foreign", NULL};
    static const char *const states[] = {"active", "draining", NULL};
    static const char *const verdicts[] = {"grantable", NULL};
    _cleanup_(json_putp) json_object *manager = NULL, *groups = NULL, *objects = NULL,
                                     *leases = NULL;
    json_object *counts;

    enum exit_status status = object_read(client, DAEMON_PATH, MANAGER_INTERFACE, &manager);
    if (status == STATUS_DONE)
        status = groups_read(client, &groups);
    if (status == STATUS_DONE)
        status = objects_read(client, &objects);
    if (status == STATUS_DONE)
        status = objects_select(client, objects, LEASE_INTERFACE, &leases);
    if (status != STATUS_DONE)
        return status;
    if (count_by(groups, "owner", owners, &counts) < 0 || json_set(manager, "owners", counts) < 0 ||
        count_by(leases, "state", states, &counts) < 0 || json_set(manager, "leases", counts) < 0 ||
        count_by(groups, "verdict", verdicts, &counts) < 0 ||
        json_set(manager, "verdicts", counts) < 0)
        return client_fail_memory(client);
    *ret = TAKE_POINTER(manager);
    return STATUS_DONE;
}

/* {"none": 1, "kernel": 2, "user": 0} as "1 none, 2 kernel". */
static char *counts_format(json_object *counts) {
    _cleanup_(freep) char *text = NULL;

    json_object_object_foreach(counts, word, count) {
        int64_t n = json_object_get_int64(count);
        if (n == 0)
            continue;
        char *longer = string_format("%s%s%lld %s", text ? text : "", text ? ", " : "",
                                     (long long)n, word);
        if (!longer)
            return NULL;
        free(text);
        text = longer;
    }
    return text ? TAKE_POINTER(text) : strdup("-");
}

static enum exit_status status_run(struct client *client, const struct arguments *arguments) {
    static const struct column lines[] = {
        {.title = "Version", .key = "version"},
        {.title = "Kernel model", .key = "kernel_model"},
        {.title = "Policy", .key = "policy_generation"},
        {.title = "Policy files", .key = "policy_files"},
        {.title = "Groups", .key = "group_count"},
        {.title = "Owners", .key = "owners", .format = counts_format},
        {.title = "For you", .key = "verdicts", .format = counts_format},
        {.title = "Leases", .key = "lease_count"},
        {.title = "Lease states", .key = "leases", .format = counts_format},
    };
    _cleanup_(json_putp) json_object *manager = NULL;
    enum exit_status status = status_read(client, &manager);

    if (status != STATUS_DONE)
        return status;
    if (client->json)
        return json_print(manager, false) < 0 ? client_fail_memory(client) : STATUS_DONE;
    return list_print(client, lines, ELEMENTS_OF(lines), manager);
}

const struct verb verb_status = {
    .name = "status",
    .synopsis = "",
    .summary = "Shows version, policy and counts of the daemon",
    .help = "The kernel model is 'claim' (Linux 5.19 and later), 'notifier' (before; nothing\n"
            "is granted) or 'none' (no IOMMU). Policy is the generation in force, 0 for none.\n",
    .json = true,
    .run = status_run,
};
