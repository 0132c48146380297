/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/kernel-log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include <systemd/sd-journal.h>

#include "util/clock.h"
#include "util/string.h"

#define SEPARATOR "; "
#define CUT "…"

/* ---- Text */

/* c can not stand beside a name without making it another. */
static bool continues_name(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || c == ':';
}

/* A name can be followed by the end of a sentence or by ": ". */
static bool ends_name(const char *text) {
    text += *text == '.' || *text == ':';
    return !continues_name(*text);
}

static bool message_names(const char *message, const char *name) {
    size_t length = strlen(name);

    for (const char *at = strstr(message, name); at; at = strstr(at + 1, name))
        if ((at == message || !continues_name(at[-1])) && ends_name(at + length))
            return true;
    return false;
}

bool kernel_log_concerns(const char *kernel_device, const char *message, const char *device_name) {
    /* "+SUBSYSTEM:NAME"; a subsystem has no colon. */
    const char *name = kernel_device && *kernel_device == '+' ? strchr(kernel_device, ':') : NULL;

    if (!*device_name)
        return false;
    return (name && string_equal(name + 1, device_name)) || message_names(message, device_name);
}

/* Cuts at the end of a character. */
static void cut(char *text, size_t size) {
    if (strlen(text) < size)
        return;
    size_t length = size - sizeof(CUT);
    while (length > 0 && (text[length] & 0xc0) == 0x80)
        length--;
    strcpy(text + length, CUT);
}

int kernel_log_add(struct kernel_log *log, const char *message) {
    _cleanup_(freep) char *escaped = text_escape(message);

    if (!escaped)
        return -ENOMEM;
    cut(escaped, KERNEL_LOG_SIZE_MAX);
    if (log->n_entries > 0 && string_equal(log->entries[log->n_entries - 1], escaped))
        return 0;
    if (log->n_entries == KERNEL_LOG_ENTRIES_MAX) {
        free(log->entries[0]);
        log->n_entries--;
        memmove(log->entries, log->entries + 1, log->n_entries * sizeof(*log->entries));
    }
    log->entries[log->n_entries++] = TAKE_POINTER(escaped);
    return 0;
}

char *kernel_log_text(const struct kernel_log *log) {
    char text[KERNEL_LOG_SIZE_MAX], longer[KERNEL_LOG_SIZE_MAX];

    *text = 0;
    for (size_t i = log->n_entries; i > 0; i--) {
        int length = snprintf(longer, sizeof(longer), "%s%s%s", log->entries[i - 1],
                              *text ? SEPARATOR : "", text);
        if ((size_t)length >= sizeof(longer))
            break;
        strcpy(text, longer);
    }
    return strdup(text);
}

void kernel_log_done(struct kernel_log *log) {
    for (size_t i = 0; i < log->n_entries; i++)
        free(log->entries[i]);
    *log = (struct kernel_log){};
}

/* ---- The journal */

/* The field's value, up to a NUL byte; NULL if the entry has none or memory is out. The caller's. */
static char *field(sd_journal *journal, const char *name) {
    const void *data;
    size_t size, prefix = strlen(name) + 1;

    if (sd_journal_get_data(journal, name, &data, &size) < 0 || size < prefix)
        return NULL;
    return strndup((const char *)data + prefix, size - prefix);
}

/* Root can write to /dev/kmsg, but not with the kernel's own facility. */
static int open_journal(uint64_t since, sd_journal **ret) {
    _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
    int r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

    if (r < 0)
        return r;
    if (sd_journal_has_runtime_files(journal) <= 0 && sd_journal_has_persistent_files(journal) <= 0)
        return -ENOENT;
    r = sd_journal_add_match(journal, "_TRANSPORT=kernel", 0);
    if (r >= 0)
        r = sd_journal_add_match(journal, "SYSLOG_FACILITY=0", 0);
    if (r >= 0)
        r = sd_journal_seek_realtime_usec(journal, since);
    if (r >= 0)
        *ret = TAKE_POINTER(journal);
    return r;
}

/* Adds what follows the journal's place. */
static int collect(sd_journal *journal, const char *device_name, struct kernel_log *log) {
    int r = 0;

    for (unsigned n = 0; r >= 0 && n < KERNEL_LOG_LOOK_MAX && (r = sd_journal_next(journal)) > 0; n++) {
        _cleanup_(freep) char *message = field(journal, "MESSAGE");
        _cleanup_(freep) char *device = field(journal, "_KERNEL_DEVICE");
        if (message && kernel_log_concerns(device, message, device_name))
            r = kernel_log_add(log, message);
    }
    return r;
}

static int collect_or_wait(sd_journal *journal, const char *device_name, struct kernel_log *log) {
    uint64_t deadline = now_monotonic() + KERNEL_LOG_WAIT;

    for (;;) {
        int r = collect(journal, device_name, log);
        uint64_t now = now_monotonic();
        if (r < 0 || log->n_entries > 0 || now >= deadline)
            return r;
        r = sd_journal_wait(journal, deadline - now);
        if (r < 0)
            return r;
    }
}

int kernel_log_read(const char *device_name, uint64_t since, char **ret) {
    _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
    _cleanup_(kernel_log_done) struct kernel_log log = {};
    int r = open_journal(since, &journal);

    if (r >= 0)
        r = collect_or_wait(journal, device_name, &log);
    if (r == -ENOMEM)
        return r;
    /* Half of it is better than none: what failed has its errno already. */
    char *text = kernel_log_text(&log);
    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}
