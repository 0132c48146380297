/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes a sequence that fails as short as it gets: chunks are left out, and claims made
 * plainer, as long as it still fails. */

#include "sequence.h"

/* Plays events from the start; true if they fail (in whichever way). */
typedef bool sequence_fails(const struct event *events, size_t n, void *userdata);

/* Shortens events in place and returns how many are left. At most so many plays. */
size_t shrink(struct event *events, size_t n, sequence_fails *fails, void *userdata,
              unsigned plays);
