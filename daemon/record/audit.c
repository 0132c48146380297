/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/denials.h"
#include "record/entry.h"
#include "record/message-ids.h"
#include "util/cleanup.h"

struct audit {
    bool foreground;
    struct denials denials;
};

struct kind {
    const char *name, *message_id;
    int priority;
};

#define KIND(kind, event, level, id)                                                               \
    [kind] = {.name = (event), .message_id = (id), .priority = (level)},
static const struct kind kinds[AUDIT_KIND_MAX] = {AUDIT_KINDS(KIND)};

int audit_new(bool foreground, struct audit **ret) {
    struct audit *audit = calloc(1, sizeof(*audit));

    if (!audit)
        return -ENOMEM;
    audit->foreground = foreground;
    *ret = audit;
    return 0;
}

struct audit *audit_free(struct audit *audit) {
    free(audit);
    return NULL;
}

static void add_uid(struct entry *entry, const char *key, uid_t uid) {
    if (uid != AUDIT_UID_NONE)
        entry_add_number(entry, key, uid);
}

static void add_devices(struct entry *entry, const char *const *devices) {
    char list[ENTRY_LIST_MAX + 1];
    size_t used = 0;

    for (; devices && *devices; devices++) {
        size_t length = strlen(*devices);
        if (used + 1 + length >= sizeof(list))
            break;
        if (used > 0)
            list[used++] = ' ';
        memcpy(list + used, *devices, length);
        used += length;
    }
    list[used] = 0;
    entry_add(entry, "DMAOWND_DEVICES", list, ENTRY_LIST_MAX);
}

/* The fields, in the order in which a line on standard error shows them. */
static void fill(struct entry *entry, const struct audit_event *event) {
    const struct kind *kind = &kinds[event->kind];

    entry_begin(entry, event->message, kind->priority);
    entry_add(entry, "DMAOWND_EVENT", kind->name, ENTRY_VALUE_MAX);
    for (size_t i = 0; i < event->n_groups; i++)
        entry_add_number(entry, "DMAOWND_GROUP", event->groups[i]);
    add_devices(entry, event->devices);
    if (event->lease)
        entry_add_number(entry, "DMAOWND_LEASE", event->lease);
    add_uid(entry, "DMAOWND_UID", event->uid);
    add_uid(entry, "DMAOWND_CLAIMANT_UID", event->claimant_uid);
    if (event->pid > 0) {
        entry_add_number(entry, "DMAOWND_PID", (uint64_t)event->pid);
        entry_add_number(entry, "OBJECT_PID", (uint64_t)event->pid);
    }
    entry_add(entry, "DMAOWND_UNIT", event->unit, ENTRY_VALUE_MAX);
    entry_add(entry, "DMAOWND_SENDER", event->sender, ENTRY_VALUE_MAX);
    entry_add(entry, "DMAOWND_RULE", event->rule, ENTRY_MESSAGE_MAX);
    entry_add(entry, "DMAOWND_REASON", event->reason, ENTRY_VALUE_MAX);
    entry_add(entry, "MESSAGE_ID", kind->message_id, ENTRY_VALUE_MAX);
}

static void emit(struct audit *audit, const struct entry *entry) {
    if (audit->foreground || entry_to_journal(entry) < 0)
        entry_to_stderr(entry);
}

void audit_write(struct audit *audit, const struct audit_event *event) {
    struct entry entry;

    fill(&entry, event);
    emit(audit, &entry);
}

void audit_write_denial(struct audit *audit, const struct audit_event *event, uint64_t now) {
    uid_t caller = event->claimant_uid != AUDIT_UID_NONE ? event->claimant_uid : event->uid;

    if (denials_count(&audit->denials, caller, now))
        audit_write(audit, event);
}

static void write_summary(uid_t uid, uint64_t count, void *userdata) {
    struct audit *audit = userdata;
    struct audit_event event = {.kind = AUDIT_DENIED, .uid = uid, .claimant_uid = uid};
    char message[128];
    struct entry entry;

    if (uid == DENIALS_OTHERS)
        snprintf(message, sizeof(message), "%llu further claims of various users were denied.",
                 (unsigned long long)count);
    else
        snprintf(message, sizeof(message), "%llu further claims of user %u were denied.",
                 (unsigned long long)count, uid);
    event.message = message;
    fill(&entry, &event);
    entry_add_number(&entry, "DMAOWND_COUNT", count);
    emit(audit, &entry);
}

void audit_flush_denials(struct audit *audit, uint64_t now) {
    denials_flush(&audit->denials, now, write_summary, audit);
}
