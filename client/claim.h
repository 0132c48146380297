/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs that claim have in common. */

#include "client/options.h"

/* The call of Claim with the verb's targets and options. *ret is the caller's. */
enum exit_status claim_call_new(struct client *client, const struct arguments *arguments,
                                const struct call_options *options, sd_bus_message **ret);

/* Reads the options of a verb whose lease has a lifetime of its own, and refuses another one. */
enum exit_status claim_options_read(const struct client *client, const struct arguments *arguments,
                                    const char *lifetime, struct call_options *ret);

/* Prints the new lease: its object path, or id and object as JSON. */
enum exit_status claim_print(const struct client *client, const char *path);
