/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes to policy.d that leave the policy whole: new files are written beside the old ones under
 * names that nobody reads, the policy is checked with them, and only then they get their names. */

#include "client/policy-files.h"
#include "client/verb.h"

struct reserve_folder {
    const char *directory; /* of the policy; borrowed */
    char *path;            /* of policy.d */
    int fd;                /* policy.d, locked against another dmaownctl */
    char **pending;        /* names of the files that are written, and not in place yet */
};

/* Opens and locks the folder; make: creates it where it is missing. directory NULL: the system's.
 * All functions print what is wrong. */
enum exit_status reserve_folder_open(const struct client *client, const char *directory, bool make,
                                     struct reserve_folder *ret);
/* Removes what is pending. */
void reserve_folder_done(struct reserve_folder *folder);

/* Writes a file, which stays pending; one of the same name in this call is an error. */
enum exit_status reserve_folder_write(const struct client *client, struct reserve_folder *folder,
                                      const char *name, const char *text);
/* Checks the policy with what is pending, as dmaownctl policy check does. */
enum exit_status reserve_folder_check(const struct client *client, struct reserve_folder *folder);
/* Puts what is pending in place, and prints the paths. */
enum exit_status reserve_folder_commit(const struct client *client, struct reserve_folder *folder);
