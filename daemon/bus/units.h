/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemd's units, asked and watched over the bus. Nothing here is believed but systemd's answer to
 * a question: a signal, which anybody can send, only leads to one. Everything is asynchronous, and
 * no handler is called from within the call that it was given to. */

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"

/* An answer that takes longer is -ETIMEDOUT. */
#define UNIT_TIMEOUT_SECONDS 5

/* What a unit is. */
enum unit_outcome {
    UNIT_ALIVE = 1, /* loaded, and active, reloading or activating: a lease may be tied to it */
    UNIT_ENDING,    /* else not at its end: deactivating, or with a job queued, as in a restart */
    UNIT_INACTIVE,  /* stopped: inactive or failed, and no job queued */
    UNIT_UNKNOWN,   /* so, and not loaded either; or no unit can have this name */
};

/* The name of a unit as systemd takes it: prefix and known suffix, no template. */
bool unit_name_is_valid(const char *name);

/* What systemd says of a unit, in one reply. Borrowed from that. */
struct unit_state {
    const char *id, *load_state, *active_state;
    uint32_t job; /* queued or running; 0: none */
};

/* Reads the reply to GetAll. Negative errno for one that has not all of it. */
int unit_state_read(sd_bus_message *reply, struct unit_state *ret);
enum unit_outcome unit_judge(const struct unit_state *state);

/* result: an outcome, or a negative errno when systemd does not answer. id: its canonical name,
 * borrowed; NULL where systemd gave none. */
typedef void unit_checked(int result, const char *id, void *userdata);

/* Asks systemd for a unit, which loads it. 0: done will be called, unless *slot, which is the
 * caller's, is given up before (it may be in done, too). UNIT_UNKNOWN: no unit can have this name,
 * nothing is asked. Negative errno: it could not be asked. */
int unit_check(struct bus *bus, const char *name, sd_bus_slot **slot, unit_checked *done,
               void *userdata);

/* The unit has ended (UNIT_INACTIVE, UNIT_UNKNOWN), and is not watched any more. */
typedef void unit_ended(struct bus *bus, const char *id);

/* Watches the unit with this canonical name, from now on: it is asked about at once, so that an end
 * before this is seen too, and again later when systemd does not answer. Nothing happens if it is
 * watched already. There is no count: who gives it up sees to it that nobody else needs it. -EINVAL
 * for a name that can not be one; -ENOTCONN while the bus is away. */
int units_watch(struct bus *bus, const char *id, unit_ended *ended);
void units_unwatch(struct bus *bus, const char *id);

/* Asks for every watched unit again. */
void units_recheck(struct bus *bus);

/* Calls asked when each watched unit was asked about once, whatever was answered; maybe at once. */
void units_when_asked(struct bus *bus, units_asked *asked);

/* Watches none any more; for the end of a connection. On the next one they are to be watched anew. */
void units_drop_all(struct bus *bus);
