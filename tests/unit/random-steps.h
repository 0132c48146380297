/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests that take random steps: numbers from a seed, and a check that names seed and step. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned seed;
static unsigned long step;

/* xorshift: the same numbers everywhere. */
static unsigned draw(unsigned limit) {
    static uint64_t state;

    if (!state)
        state = seed * 2654435761u + 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 32) % limit);
}

#define check(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            broken(#condition, __LINE__);                                                          \
    } while (0)

static _Noreturn void broken(const char *condition, int line) {
    printf("not ok 1 - step %lu of seed %u: %s (line %d)\n", step, seed, condition, line);
    exit(EXIT_FAILURE);
}
