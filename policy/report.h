/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Adding to a report (private to the policy layer). */

#include "policy/policy.h"

struct location {
    unsigned line, column; /* from 1; 0: the file as a whole */
};

/* Adds one message; text from the files is made printable. Never fails: a message that cannot be
 * kept is still counted. */
void report_add(struct policy_report *report, enum policy_severity severity, const char *file,
                struct location at, const char *format, ...) _printf_(5, 6);

/* Puts the messages from first on into the order of their places. */
void report_sort(struct policy_report *report, size_t first);

/* How a value is quoted in a message: cut, so that a line stays a line. */
#define QUOTED "\"%.64s\""
