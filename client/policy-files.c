/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/policy-files.h"

#include "client/bus.h"
#include "util/string.h"

enum exit_status policy_files_load(const struct client *client, const char *directory,
                                   const char *const *files, size_t n_files, bool strict,
                                   struct policy **ret, struct policy_report *report) {
    struct policy_names names;
    int r;

    policy_names_system(&names, strict);
    if (n_files > 0)
        r = policy_load_files(files, n_files, &names, ret, report);
    else
        r = policy_load(directory ? directory : SYSCONFDIR "/dmaownd", &names, ret, report);
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "the policy cannot be read: %s", strerror(-r));
    return r == POLICY_INVALID ? STATUS_ERROR : STATUS_DONE;
}

enum exit_status policy_report_print(const struct client *client,
                                     const struct policy_report *report, FILE *stream) {
    for (size_t i = 0; i < report->n_messages; i++) {
        _cleanup_(freep) char *line = policy_message_format(&report->messages[i]);
        if (!line)
            return client_fail_memory(client);
        /* Texts are printable by contract, names of files need not be. */
        _cleanup_(freep) char *escaped = text_is_printable(line) ? NULL : text_escape(line);
        fprintf(stream, "%s\n", escaped ? escaped : line);
    }
    size_t n = report->n_errors + report->n_warnings;
    if (n > report->n_messages)
        fprintf(stream, "... and %zu more\n", n - report->n_messages);
    return STATUS_DONE;
}
