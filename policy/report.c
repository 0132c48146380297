/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/string.h"

static void message_done(struct policy_message *message) {
    free(message->file);
    free(message->text);
}

void policy_report_done(struct policy_report *report) {
    for (size_t i = 0; i < report->n_messages; i++)
        message_done(&report->messages[i]);
    free(report->messages);
    *report = (struct policy_report){ 0 };
}

/* A full report gives up its last warning for an error. */
static struct policy_message *report_slot(struct policy_report *report,
                                          enum policy_severity severity) {
    if (!report->messages)
        report->messages = calloc(POLICY_MESSAGES_MAX, sizeof(*report->messages));
    if (!report->messages)
        return NULL;
    if (report->n_messages < POLICY_MESSAGES_MAX)
        return &report->messages[report->n_messages++];
    if (severity != POLICY_ERROR)
        return NULL;
    for (size_t i = report->n_messages; i-- > 0;) {
        if (report->messages[i].severity == POLICY_ERROR)
            continue;
        message_done(&report->messages[i]);
        memmove(&report->messages[i], &report->messages[i + 1],
                (report->n_messages - i - 1) * sizeof(*report->messages));
        return &report->messages[report->n_messages - 1];
    }
    return NULL;
}

_printf_(1, 0)
static char *text_make(const char *format, va_list arguments) {
    _cleanup_(freep) char *raw = NULL;

    if (vasprintf(&raw, format, arguments) < 0) {
        raw = NULL;
        return NULL;
    }
    return text_escape(raw);
}

void report_add(struct policy_report *report, enum policy_severity severity, const char *file,
                struct location at, const char *format, ...) {
    va_list arguments;

    if (severity == POLICY_ERROR)
        report->n_errors++;
    else
        report->n_warnings++;
    struct policy_message *message = report_slot(report, severity);
    if (!message)
        return;
    va_start(arguments, format);
    *message = (struct policy_message){
        .severity = severity,
        .file = text_escape(file),
        .line = at.line,
        .column = at.column,
        .text = text_make(format, arguments),
    };
    va_end(arguments);
}

static bool message_is_before(const struct policy_message *a, const struct policy_message *b) {
    return a->line < b->line || (a->line == b->line && a->column < b->column);
}

void report_sort(struct policy_report *report, size_t first) {
    struct policy_message *messages = report->messages;

    for (size_t i = first + 1; i < report->n_messages; i++) {
        struct policy_message message = messages[i];
        size_t at = i;
        for (; at > first && message_is_before(&message, &messages[at - 1]); at--)
            messages[at] = messages[at - 1];
        messages[at] = message;
    }
}

char *policy_message_format(const struct policy_message *message) {
    const char *severity = message->severity == POLICY_ERROR ? "error" : "warning";
    const char *file = message->file ? message->file : "policy";
    const char *text = message->text ? message->text : "out of memory";

    if (message->line == 0)
        return string_format("%s: %s: %s", file, severity, text);
    return string_format("%s:%u:%u: %s: %s", file, message->line, message->column, severity, text);
}

const struct policy_message *policy_report_first_error(const struct policy_report *report) {
    for (size_t i = 0; i < report->n_messages; i++)
        if (report->messages[i].severity == POLICY_ERROR)
            return &report->messages[i];
    return NULL;
}
