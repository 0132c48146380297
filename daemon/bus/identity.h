/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is behind a unique name: uid and groups as the bus vouches for them, asked asynchronously and
 * kept until the name leaves the bus. Calls of a name that is not known yet are held back, in order,
 * and handled as soon as it is: every handler finds its caller's identity. */

#include <stdbool.h>
#include <sys/types.h>

#include "bus/bus.h"
#include "model/lease.h"

/* Calls that are held back for one name; more are answered with QuotaExceeded. */
#define IDENTITY_HELD_MAX 64

struct identity {
    char *name;
    bool known;
    uid_t uid;
    gid_t *gids;
    size_t n_gids;
    pid_t pid;  /* of the connection; for the record only */
    char *unit; /* the system unit of pid, "" if none */
    struct bus *bus;
    sd_bus_slot *lookup;
    struct worker *worker; /* looks its groups up where the bus has none */
    sd_bus_message *held[IDENTITY_HELD_MAX];
    size_t n_held;
    UT_hash_handle hh;
};

/* The identity behind name if it is known, else NULL. */
const struct identity *identity_find(const struct bus *bus, const char *name);
/* The sender of the message that is handled now, e.g. in a property's getter. */
const struct identity *identity_of_current(const struct bus *bus);
/* Asks for a name without a call from it: its connection leases end if it is gone. */
int identity_ask(struct bus *bus, const char *name);
/* Claimant, holder and root see all of a lease. */
bool identity_may_see(const struct identity *identity, const struct lease *lease);

/* Holds calls back, and hears of every name that leaves the bus (one subscription, whatever callers
 * do). */
int identities_watch(struct bus *bus);
void identities_drop_all(struct bus *bus);
