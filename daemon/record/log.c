/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#include "record/audit.h"
#include "record/entry.h"
#include "util/fd.h"
#include "util/string.h"

/* Before log_open, what goes wrong is said to whoever started the daemon. */
static bool to_stderr = true;

void log_open(bool foreground) {
    to_stderr = foreground;
}

static void say(const char *text) {
    _cleanup_(freep) char *escaped = text_is_printable(text) ? NULL : text_escape(text);
    _cleanup_(freep) char *line = string_format("dmaownd: %s\n", escaped ? escaped : text);

    if (line)
        (void)fd_write_all(STDERR_FILENO, line, strlen(line));
}

void log_message(int priority, const char *format, ...) {
    char text[ENTRY_MESSAGE_MAX];
    struct entry entry;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!to_stderr) {
        entry_begin(&entry, text, priority & LOG_PRIMASK);
        if (entry_to_journal(&entry) >= 0)
            return;
    }
    say(text);
}
