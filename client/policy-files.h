/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The policy's files, for the verbs that read them themselves. */

#include <stdio.h>

#include "client/verb.h"
#include "policy/policy.h"

/* Loads the named files, or without any the folder (NULL: the system's). strict: unknown names are
 * errors. STATUS_ERROR if the policy is faulty: the report says why, nothing is printed. */
enum exit_status policy_files_load(const struct client *client, const char *directory,
                                   const char *const *files, size_t n_files, bool strict,
                                   struct policy **ret, struct policy_report *report);

/* Prints every message as one line. */
enum exit_status policy_report_print(const struct client *client,
                                     const struct policy_report *report, FILE *stream);
