/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fake kernel, its nodes and the service manager, by the words of a sequence. */

#include <sys/types.h>

#include "naive.h"

/* The folders of the daemon in the fake kernel. */
#define CONFIG "/run/config"
#define STATE "/run/dmaownd"

/* Tells the fake kernel, or with "service" first the service manager. 0 or a negative errno; answer
 * (may be NULL) gets the text. */
int host_tell(char *answer, size_t size, const char *word, ...) __attribute__((sentinel));

/* No device, no holder, no daemon, no state of one. */
void host_clear(void);
void host_write_policy(unsigned policy);

/* Carries the event out, as far as it is the kernel's: 0 or a negative errno. */
int host_happen(const struct event *event);
/* A process of user opens the node and stays, with a claim if asked. False: it was not let in. */
bool host_open(int group, enum user user, bool container);
void host_close(int group);
/* Holders of nodes that are gone. */
void host_forget(const struct naive *naive);

/* A process of user that stays until it is let go. */
pid_t host_stay(enum user user);
void host_let_go(pid_t pid);

/* Whom the node lets in; -1: there is none. */
int host_access(int group);
