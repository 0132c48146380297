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

struct claim_options {
    unsigned mode, lifetime;
    enum lease_interface interface;
    uint64_t ttl;
    bool has_uid;
    uid_t uid;
    const char *key, *comment; /* "" without; borrowed from the message */
    bool detach;
    bool names_keeper;         /* pid, pidfd or unit was given */
    const char *unsupported;   /* the first thing that this version can not do, or NULL */
};

/* Reads the options of Claim and Explain. OUTCOME_OK, an outcome with refusal filled, or a negative
 * errno for a message that can not be read. */
int claim_options_read(sd_bus_message *message, struct claim_options *ret,
                       struct refusal *refusal);
