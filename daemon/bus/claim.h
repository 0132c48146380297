/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Explain, Claim, Release: from a message to the manager and back. */

#include "bus/call.h"

/* A claim with the caller filled in, for the caller itself; borrowed from call. */
struct claim call_claim(struct call *call);

int run_explain(struct call *call); /* explain.c */
int run_claim(struct call *call);
int run_revoke(struct call *call); /* revoke.c */

/* Ends lease (NULL: there is none, which is answered) for its claimant or a privileged caller. */
int call_release(struct call *call, struct lease *lease);
/* Gives lease (NULL: there is none) the lifetime that the message asks for (lifetime.c). */
int call_set_lifetime(struct call *call, struct lease *lease);
int run_find_lease(struct call *call); /* lifetime.c */
