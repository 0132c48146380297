/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/clock.h"

#include <time.h>

static uint64_t now_of(clockid_t clock) {
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t now_monotonic(void) {
    return now_of(CLOCK_MONOTONIC);
}

uint64_t now_boottime(void) {
    return now_of(CLOCK_BOOTTIME);
}

uint64_t now_realtime(void) {
    return now_of(CLOCK_REALTIME);
}
