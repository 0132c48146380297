/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state folder, as the files that write to it share it. */

#include <stdint.h>

#define BOOT_ID_SIZE 37

struct state {
    int directory;
    int lock;
    char boot_id[BOOT_ID_SIZE];
    uint64_t next;     /* number */
    uint64_t reserved; /* numbers below this are reserved on disk */
};

/* The number in PREFIX-N.json (prefix with its dash), or 0. */
uint64_t state_number_of(const char *name, const char *prefix);
/* Moves a file that can not be read out of the way, and says why; kept for whoever looks into it. */
int state_set_aside(struct state *state, const char *name, const char *why);
int state_drop_of_other_boot(struct state *state, const char *name);
