/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options of a call: a{sv}, checked strictly. An unknown option, a wrong type, one option twice
 * and a value out of range are InvalidOption with a sentence that names the option. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "manager.h"

#define OPTION_TEXT_MAX 256
#define OPTION_TTL_MAX (10ull * 366 * 24 * 3600)
#define OPTION_REATTACH_AFTER_MAX 3600

struct claim_options {
    unsigned mode, lifetime;
    enum lease_interface interface;
    uint64_t ttl;
    bool has_uid;
    uid_t uid;
    const char *key, *comment; /* "" without; borrowed from the message */
    bool container, detach, reattach;
    uint32_t reattach_after;   /* seconds; 0 without */
    pid_t pid;                 /* 0 without */
    int pidfd;                 /* -1 without; borrowed from the message */
    const char *unit;          /* NULL without; borrowed from the message */
    uint64_t wait;             /* seconds that groups are waited for which are Busy; 0 without */
};

/* The options of Revoke. */
#define OPTION_TIMEOUT_MAX 3600

struct revoke_options {
    uint64_t timeout; /* seconds */
    bool unbind;
};

#define OPTION_WAIT_MAX 3600

/* The options of Detach, Reattach and their plans. */
struct switch_options {
    uint64_t wait; /* seconds; 0 without */
    bool unreset;  /* reattach_unreset */
    bool returning; /* only what is to go back after a lease */
};

/* Reads the options of Claim and Explain. OUTCOME_OK, an outcome with refusal filled, or a negative
 * errno for a message that can not be read. */
int claim_options_read(sd_bus_message *message, struct claim_options *ret,
                       struct refusal *refusal);
/* Those of SetLifetime: lifetime, pid, pidfd and unit. */
int lifetime_options_read(sd_bus_message *message, struct claim_options *ret, struct refusal *refusal);
int switch_options_read(sd_bus_message *message, struct switch_options *ret,
                        struct refusal *refusal);
int revoke_options_read(sd_bus_message *message, struct revoke_options *ret,
                        struct refusal *refusal);
