/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a claim asks for, and what answers it: fds or a refusal. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/device.h"
#include "model/group.h"
#include "model/lease.h"
#include "model/outcome.h"
#include "policy/policy.h"
#include "util/cleanup.h"

#define CLAIM_GROUPS_MAX 64

struct claim {
    struct policy_subject caller;
    struct policy_subject holder;
    pid_t pid;
    const char *unit, *sender, *bus_id;
    unsigned mode, lifetime;
    enum lease_interface interface;
    bool container; /* attach the groups to one, and pass it */
    int pidfd;      /* lifetime process; borrowed */
    pid_t kept_pid;
    uint64_t kept_start;
    const char *kept_unit; /* lifetime unit; "" otherwise */
    uint64_t ttl; /* seconds; 0 without */
    bool detach;            /* switch drivers first */
    bool reattach;          /* … and back when the lease has ended */
    uint32_t reattach_after; /* … so many seconds later */
    uint64_t held;          /* the switch that moved the groups for this call; 0 */
    struct device **named;  /* targets that were named as devices */
    size_t n_named;
    const char *key, *comment; /* "" without */
    struct group **groups; /* without repetition, at most CLAIM_GROUPS_MAX */
    size_t n_groups;
    struct device **groupless;
    size_t n_groupless;
};

/* Fds for the caller of a claim, by the names of the contract. */
#define LEASE_FDS_MAX 16 /* of a reply: the bus's own limit */

struct lease_fds {
    size_t n;
    struct lease_fd {
        char *key; /* "lease", "group:7", "container", "device:0000:00:05.0", "iommufd" */
        int fd;
    } list[LEASE_FDS_MAX];
};
void lease_fds_done(struct lease_fds *fds);

/* A refusal: what answers the caller. */
struct refusal {
    enum outcome outcome;
    char *text; /* the caller's to free */
};
void refusal_done(struct refusal *refusal);
/* Fills a refusal; returns outcome. */
enum outcome refuse(struct refusal *refusal, enum outcome outcome, const char *format, ...)
    _printf_(3, 4);
