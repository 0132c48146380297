/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of the stand-in for dmaownd that tests of dmaownctl talk to. */

#include <stdbool.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define ROOT "/org/dmaownd1"

#define TARGETS_MAX 16

/* The targets of a call; the text is the message's. */
struct targets {
    const char *words[TARGETS_MAX];
    size_t n_words;
};

/* An entry of an a{sv}; text is the message's. */
struct option {
    const char *name, *signature;
    const char *text; /* of "s" */
    uint64_t number;  /* of the others */
};

/* Sets the error that target asks for; 0 if it asks for none. */
int steer(const char *target, sd_bus_error *error);

/* The targets of Explain and Claim; the first one steers. */
int read_targets(sd_bus_message *call, struct targets *ret, sd_bus_error *error);

/* The next option of an a{sv} that was entered: 1, 0 at the end, or a negative errno. */
int read_option(sd_bus_message *call, struct option *ret);

/* Says all options of the a{sv} that comes next, in an error of this name. */
int echo(sd_bus_message *call, const char *name, sd_bus_error *error);

/* The leases, in test-client-leases.c. keep: lease 4 is there from the start. */
int leases_add(sd_bus *bus, bool keep);
int leases_claim(sd_bus_message *call, void *userdata, sd_bus_error *error);
int leases_release(sd_bus_message *call, void *userdata, sd_bus_error *error);
int leases_revoke(sd_bus_message *call, void *userdata, sd_bus_error *error);
