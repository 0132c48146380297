/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Modules are loaded by the service manager (modprobe@.service), since the daemon may not. */

#include "bus/bus.h"

/* Asks for module; manager_module_loaded follows for this switch, also where it takes too long. 0, or a
 * negative errno and nothing follows: -EINVAL for a name that can be no module's; -ENOTCONN. */
int module_load(struct bus *bus, const char *module, uint64_t id);
/* Gives up on all, for the end of a connection: each has failed. */
void modules_drop_all(struct bus *bus);
