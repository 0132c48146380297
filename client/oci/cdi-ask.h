/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What dmaownd says of its groups, for a specification. */

#include <systemd/sd-bus.h>

#include "client/oci/cdi.h"

/* Asks the daemon that has the bus's unique name daemon, so that none is started. Fills *cdi, which is
 * cdi_done()'s in every case. A group that there is no answer about is left out, or stays as in *known (the
 * list before) when the obstacle is one that passes; *ret_problem, the caller's, says which one was first and
 * why: NULL if all were judged. 0 or a negative errno; error says why if the daemon or the bus did. Takes
 * less than a minute. */
int cdi_ask(sd_bus *bus, const char *daemon, const struct cdi *known, struct cdi *cdi, char **ret_problem,
            sd_bus_error *error);
