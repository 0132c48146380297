/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/json.h"
#include "client/policy-files.h"

/* ---- policy check -------------------------------------------------------------------------- */

static int message_to_json(const struct policy_message *message, json_object **ret) {
    _cleanup_(json_putp) json_object *object = json_object_new_object();
    const char *severity = message->severity == POLICY_ERROR ? "error" : "warning";

    if (!object || json_set_text(object, "file", message->file ? message->file : "") < 0 ||
        json_set(object, "line", json_object_new_int64(message->line)) < 0 ||
        json_set(object, "column", json_object_new_int64(message->column)) < 0 ||
        json_set_text(object, "severity", severity) < 0 ||
        json_set_text(object, "text", message->text) < 0)
        return -1;
    *ret = TAKE_POINTER(object);
    return 0;
}

static enum exit_status print_report_json(const struct client *client,
                                          const struct policy_report *report) {
    _cleanup_(json_putp) json_object *array = json_object_new_array();

    for (size_t i = 0; i < report->n_messages; i++) {
        json_object *message;
        if (!array || message_to_json(&report->messages[i], &message) < 0 ||
            json_append(array, message) < 0)
            return client_fail_memory(client);
    }
    if (!array || json_print(array, false) < 0)
        return client_fail_memory(client);
    return STATUS_DONE;
}

static enum exit_status check_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(policy_report_done) struct policy_report report = {0};
    _cleanup_(policy_freep) struct policy *policy = NULL;
    const char *directory = arguments_value(arguments, "config");

    if (directory && arguments->n_words > 0)
        return client_fail(client, STATUS_USAGE, "name files or --config, not both");
    enum exit_status status =
        policy_files_load(client, directory, (const char *const *)arguments->words,
                          arguments->n_words, true, &policy, &report);
    enum exit_status printed = client->json ? print_report_json(client, &report)
                                            : policy_report_print(client, &report, stdout);
    if (printed != STATUS_DONE)
        return printed;
    if (status == STATUS_DONE && !client->json && report.n_messages == 0)
        printf("%zu rule%s, no errors\n", policy_rule_count(policy),
               policy_rule_count(policy) == 1 ? "" : "s");
    return status;
}

static const struct verb_option check_options[] = {
    {"config", 0, "DIR", "the policy's folder, not " SYSCONFDIR "/dmaownd"},
    {NULL},
};

const struct verb verb_policy_check = {
    .name = "policy check",
    .synopsis = "[FILE...]",
    .summary = "Checks policy files strictly, without the daemon",
    .help = "Prints FILE:LINE:COLUMN: SEVERITY: TEXT for every fault. Files that are named\n"
            "are read as one policy, in this order. Users and groups must be known here.\n"
            "Exit status: 0 without errors, 1 with errors.\n",
    .options = check_options,
    .json = true,
    .max_words = POLICY_FILES_MAX,
    .run = check_run,
};
