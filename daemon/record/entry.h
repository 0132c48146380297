/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One journal entry while it is put together, in a buffer of its own: no memory is asked for on the
 * way of a grant. Values are made safe here: printable UTF-8 on one line, of bounded length. */

#include <stdint.h>
#include <sys/uio.h>

#define ENTRY_FIELDS_MAX 96
#define ENTRY_SIZE_MAX (24 * 1024)

/* Longest values, in bytes. */
#define ENTRY_VALUE_MAX 256
#define ENTRY_MESSAGE_MAX 2048
#define ENTRY_LIST_MAX 8192

struct entry {
    struct iovec fields[ENTRY_FIELDS_MAX]; /* "KEY=value", into buffer; the first is MESSAGE */
    int n_fields;
    size_t used;
    char buffer[ENTRY_SIZE_MAX];
};

void entry_begin(struct entry *entry, const char *message, int priority);
/* Adds key=value, cut at limit bytes. NULL and "" add nothing, and so does what has no room. */
void entry_add(struct entry *entry, const char *key, const char *value, size_t limit);
void entry_add_number(struct entry *entry, const char *key, uint64_t value);

/* Hands the entry to the journal. 0, or a negative errno if it did not take it; waits at most a
 * fifth of a second for a journal that hangs. */
int entry_to_journal(const struct entry *entry);
/* Writes the message, then the other fields, as one line to standard error. */
void entry_to_stderr(const struct entry *entry);
