/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a lease has given, for a comparison with what a container has. */

#include <systemd/sd-bus.h>

#include "util/cleanup.h"

/* The node of the lease's group, if the device is in that group and the lease has no other. *ret_node is the
 * caller's, "" where the group has none now; NULL: the device is not in the lease's group. 0 or a negative
 * errno; error says why if the daemon or the bus did. */
int granted_node(sd_bus *bus, const char *lease, const char *device, char **ret_node, sd_bus_error *error);
