/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a lease has, for a comparison with what a domain has. */

#include <systemd/sd-bus.h>

/* The first of targets (NULL-terminated) that is in no group of the lease; *ret is borrowed from targets,
 * NULL when there is none. 0 or a negative errno; error says why if the daemon or the bus did. */
int leased_misses(sd_bus *bus, const char *lease, char *const *targets, const char **ret,
                  sd_bus_error *error);
