/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How many denials of one user are recorded one by one. Pure: no system call, no clock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DENIALS_BUDGET 20                    /* recorded in one window */
#define DENIALS_WINDOW (60 * 1000000ULL)     /* µs */
#define DENIALS_USERS_MAX 256                /* beyond, all further users share one budget */
#define DENIALS_OTHERS ((uid_t)-1)           /* who stands for those */

struct denials_of_user {
    uid_t uid;
    uint32_t recorded;
    uint64_t beyond;    /* the budget, in this window */
    uint64_t start;     /* of the window, monotonic µs */
};

struct denials {
    struct denials_of_user users[DENIALS_USERS_MAX + 1];
    size_t n_users;
};

/* Counts one denial. True if it is to be recorded; else it will stand in a summary. */
bool denials_count(struct denials *denials, uid_t uid, uint64_t now);

/* Forgets users whose window has passed, and calls summary for those with denials beyond the
 * budget. */
typedef void denials_summary(uid_t uid, uint64_t count, void *userdata);
void denials_flush(struct denials *denials, uint64_t now, denials_summary *summary, void *userdata);
