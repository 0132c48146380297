/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the programs that sit in other systems ask of dmaownd, one call each. Functions return 0 or a
 * negative errno, and then error says why, if dmaownd or the bus did. They wait for the answer. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

#include "util/cleanup.h"

#define DAEMON_NAME "org.dmaownd1"
#define DAEMON_PATH "/org/dmaownd1"
#define MANAGER_INTERFACE "org.dmaownd1.Manager"
#define GROUP_INTERFACE "org.dmaownd1.Group"
#define LEASE_INTERFACE "org.dmaownd1.Lease"

#define CALLER_ITSELF ((uid_t)-1)

/* A lease that lives with a process. */
struct caller_claim {
    const char *const *targets;
    size_t n_targets;
    uid_t holder;   /* whose access it is; CALLER_ITSELF: whoever calls */
    int pidfd;      /* the process; borrowed */
    bool detach;    /* take the devices from the host's drivers first, if the rules allow it */
    bool reattach;  /* give them back when the lease has ended … */
    unsigned reattach_after; /* … so many seconds later, if caller_reattach() has not before */
    const char *key; /* claimed again under the same key it is the same lease; NULL without */
    const char *comment; /* NULL without */
    unsigned wait;  /* seconds, for a group that drains or is being switched */
};

/* The system bus. *ret is the caller's. */
int caller_connect(sd_bus **ret, sd_bus_error *error);

/* All targets or none. *ret_lease is an object path, the caller's. */
int caller_claim(sd_bus *bus, const struct caller_claim *claim, char **ret_lease, sd_bus_error *error);

/* The caller's active lease under this key; *ret_lease is the caller's to free, NULL if there is none. */
int caller_find_lease(sd_bus *bus, const char *key, char **ret_lease, sd_bus_error *error);

/* The process that the lease lives with; 0: the lease has ended. */
int caller_lease_pid(sd_bus *bus, const char *lease, pid_t *ret, sd_bus_error *error);

/* From now on the lease lives with this process. */
int caller_set_process(sd_bus *bus, const char *lease, int pidfd, sd_bus_error *error);

/* Ends the lease, and waits for so many seconds until its groups can be granted again: 1 if they can not by
 * then. One that has ended is no error. */
int caller_release(sd_bus *bus, const char *lease, unsigned wait, sd_bus_error *error);

/* Gives the targets back to the host which reattach_after would give back later. Others, and those that
 * somebody else has by now, are left, and are no error. */
int caller_reattach(sd_bus *bus, const char *const *targets, size_t n_targets, sd_bus_error *error);

/* What error, or -r where it is not set, says to a person, as it came: text_escape() is for who shows it.
 * The caller's; NULL when out of memory. */
char *caller_sentence(const sd_bus_error *error, int r);
