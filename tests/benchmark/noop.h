/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A service that does nothing, written like dmaownd (sd-bus on libev): what a call costs before
 * anything is done in it. Noop answers with nothing, PassFd with an fd. */

#include <systemd/sd-bus.h>

#define NOOP_NAME "org.test.Noop"

/* Serves the interface NOOP_NAME on / under the name NOOP_NAME, until the bus goes. Takes bus. */
int noop_serve(sd_bus *bus);
