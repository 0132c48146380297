/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What dmaownd says of its groups, for a specification. */

#include <systemd/sd-bus.h>

#include "client/oci/cdi.h"

/* Asks the daemon that has the bus's unique name daemon, so that none is started. Fills *cdi, which is
 * cdi_done()'s in every case. 0 or a negative errno; error says why if the daemon or the bus did. */
int cdi_ask(sd_bus *bus, const char *daemon, struct cdi *cdi, sd_bus_error *error);
