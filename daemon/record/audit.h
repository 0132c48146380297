/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The audit trail: every change of ownership as one journal entry, with the fields that
 * dmaownd(8) lists. With foreground the same fields go to stderr, one line an event, escaped. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum audit_kind {
    AUDIT_STARTED,
    AUDIT_GRANTED,
    AUDIT_DENIED,
    AUDIT_ENDED,
    AUDIT_CONFLICT,
    AUDIT_DETACHED,
    AUDIT_REATTACHED,
    AUDIT_SWITCH_FAILED,
    AUDIT_POLICY_LOADED,
    AUDIT_POLICY_REJECTED,
    AUDIT_FOREIGN,
    AUDIT_RECOVERED,
    AUDIT_LIFETIME,
    AUDIT_KIND_MAX,
};

#define AUDIT_UID_NONE ((uid_t)-1)

/* One event. Strings are borrowed; NULL or "" leaves a field out, so does uid AUDIT_UID_NONE,
 * pid 0 and lease 0. message is one sentence. */
struct audit_event {
    enum audit_kind kind;
    const char *message;
    const uint32_t *groups;
    size_t n_groups;
    const char *const *devices; /* NULL-terminated, sysfs names */
    uint64_t lease;
    uid_t uid, claimant_uid;
    pid_t pid;
    const char *unit, *sender, *rule, *reason;
};

struct audit;

/* A sink: the journal, or with foreground standard error. Returns 0 or -ENOMEM. */
int audit_new(bool foreground, struct audit **ret);
struct audit *audit_free(struct audit *audit);

/* Writes one entry, always. Never blocks for long and never fails for the caller: an entry that
 * the journal does not take goes to standard error. */
void audit_write(struct audit *audit, const struct audit_event *event);

/* Writes a denial while the caller (claimant_uid, else uid) has budget left (20 in 60 s), else
 * counts it. now: monotonic, µs. */
void audit_write_denial(struct audit *audit, const struct audit_event *event, uint64_t now);

/* Writes one summary for each uid whose window has passed with denials uncounted, and forgets idle
 * uids. To be called on the watchdog's tick and at the end. */
void audit_flush_denials(struct audit *audit, uint64_t now);

/* Plain log lines that are no event: level is a syslog priority. Escapes control characters. */
void log_message(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Where log_message goes: standard error in the foreground, else the journal. */
void log_open(bool foreground);
