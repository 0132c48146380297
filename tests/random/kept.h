/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What callers keep of their leases: files of groups and containers, and what keeps a lease, which is
 * a file or a process. */

#include "talk.h"

void kept_take(unsigned id, const struct granted *granted);
void kept_take_process(unsigned id, pid_t pid);
pid_t kept_process(unsigned id); /* 0: none */
/* What keeps the lease goes. */
void kept_drop(unsigned id);
/* The file of a group. */
void kept_close(int group);
/* Files of nodes that are gone, and what ended leases had. */
void kept_forget(const struct naive *naive);
void kept_forget_all(void);
