/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How dmaownctl ends, and the one table that says which error of the daemon ends it how. */

#include <stdbool.h>

enum exit_status {
    STATUS_DONE = 0,
    STATUS_ERROR = 1,       /* anything that has no number of its own */
    STATUS_USAGE = 2,       /* the command line, or an option that the daemon refuses */
    STATUS_DENIED = 3,      /* by policy, or for want of privilege */
    STATUS_NOT_VIABLE = 4,  /* not viable, held by the kernel, in use, or a switch that failed */
    STATUS_OWNED = 5,       /* owned by someone else, busy, or over quota */
    STATUS_NO_SUCH = 6,     /* no such target or lease */
    STATUS_UNREACHABLE = 7, /* the daemon cannot be reached */
    /* What a shell says of a command that it cannot run. */
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
};

/* For the name of a D-Bus error; STATUS_ERROR if the name is not known or NULL. */
enum exit_status exit_status_from_error(const char *name);

/* True for a reason that says what the host needs a device for (DeviceInUse). */
bool reason_is_use(const char *reason);

/* For the first reason of an Explain: the status that Claim would end with. STATUS_DONE for "",
 * STATUS_ERROR for a reason that is not known. */
enum exit_status exit_status_from_reason(const char *reason);
