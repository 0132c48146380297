/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The run's naive statement, and what the daemon says held against it. */

#include "talk.h"

extern struct naive naive;
extern char names[ENDED_MAX][LEASE_NAME_MAX]; /* of leases, by their number */
extern bool silent[ENDED_MAX]; /* ended while the daemon started, before it could signal */
extern char difference[512];

bool equal(const char *a, const char *b);
/* Notes a difference, and returns false. */
bool differ(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bits of the lease's groups that are there. */
unsigned live_groups(const struct naive_lease *lease);
/* Everything that can be seen, by the user of slot; conflicts are how many were signalled before, by
 * place. */
bool same_now(unsigned slot, const unsigned *conflicts);
