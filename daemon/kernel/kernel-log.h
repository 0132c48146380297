/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel said of a device, for the text of an error: an errno alone rarely tells why a driver
 * refused. From the journal, since the daemon's sandbox has no /dev/kmsg. Opens journal files and waits:
 * only for worker processes. Sources: sd-journal(3), systemd.journal-fields(7). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The answer has at most so many entries and bytes. */
#define KERNEL_LOG_ENTRIES_MAX 4
#define KERNEL_LOG_SIZE_MAX 512
/* So many entries of all devices are looked at. */
#define KERNEL_LOG_LOOK_MAX 10000
/* So long (µs) is waited for the first entry. */
#define KERNEL_LOG_WAIT 500000

/* Puts into *ret, which is the caller's, what the kernel logged of the device called device_name since
 * then (realtime, µs, by journald's clock): the last few entries, oldest first, "; " between them, one
 * line of printable text. journald may lag, so it waits up to KERNEL_LOG_WAIT for the first entry, but
 * not where there is no journal. "" for nothing, no journal or one that can not be read. 0 or -ENOMEM. */
int kernel_log_read(const char *device_name, uint64_t since, char **ret);

/* Whether an entry is of the device: by its _KERNEL_DEVICE ("+pci:0000:00:05.0"; NULL if it has none), or
 * because the message names it, and not only a longer name ("0000:00:05.0:pcie004"). */
bool kernel_log_concerns(const char *kernel_device, const char *message, const char *device_name);

/* The last few messages. All zero is an empty one. */
struct kernel_log {
    char *entries[KERNEL_LOG_ENTRIES_MAX]; /* oldest first, escaped */
    size_t n_entries;
};

/* Adds a copy, in place of the oldest if there is no room. What is repeated at once is said once. 0 or
 * -ENOMEM. */
int kernel_log_add(struct kernel_log *log, const char *message);

/* The text of the answer: the last entries that fit, of which one that alone is too long is cut. The
 * caller's; NULL when out of memory. */
char *kernel_log_text(const struct kernel_log *log);

void kernel_log_done(struct kernel_log *log);
