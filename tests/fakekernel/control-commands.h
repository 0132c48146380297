/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

/* A command of a scenario or of fakectl: so many words at least; run with tree_lock held, 0 or negative
 * errno. */
struct command {
    const char *name;
    int words;
    int (*run)(int argc, char **argv, FILE *answer);
};

/* control-switch.c; ends with a name of NULL. */
extern const struct command switch_commands[];
extern const char SWITCH_HELP[];

/* The number of an errno's name, 0 if it is none. */
int errno_of(const char *name);
