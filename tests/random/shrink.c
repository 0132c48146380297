/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shrink.h"

#include <string.h>

#define SEQUENCE_MAX 4096
#define SIMPLE_MAX 24 /* events that are looked into */

static void leave_out(struct event *ret, const struct event *events, size_t n, size_t at,
                      size_t count) {
    memcpy(ret, events, at * sizeof(*events));
    memcpy(ret + at, events + at + count, (n - at - count) * sizeof(*events));
}

/* Tries to leave out each chunk of that size, from the end: what came last matters most, so what is
 * before it goes in one piece. Returns what is left. */
static size_t pass(struct event *events, size_t n, size_t chunk, sequence_fails *fails,
                   void *userdata, unsigned *plays) {
    static struct event shorter[SEQUENCE_MAX];

    for (size_t end = n; end > 0 && *plays > 0;) {
        size_t at = end > chunk ? end - chunk : 0, count = end - at;
        if (count == n)
            return n;
        leave_out(shorter, events, n, at, count);
        --*plays;
        if (fails(shorter, n - count, userdata)) {
            n -= count;
            memcpy(events, shorter, n * sizeof(*events));
        }
        end = at;
    }
    return n;
}

/* Plainer claims: fewer targets, without what they need not have. */
static bool plainer(const struct event *event, unsigned which, struct event *ret) {
    *ret = *event;
    if (event->kind != EVENT_CLAIM)
        return false;
    if (which < N_GROUPS)
        ret->targets &= (uint8_t) ~(1u << which);
    else if (which == N_GROUPS)
        ret->place = NO_PLACE;
    else if (which == N_GROUPS + 1)
        ret->ttl = 0;
    else
        ret->key = 0;
    return (ret->targets || ret->place != NO_PLACE) && memcmp(ret, event, sizeof(*ret)) != 0;
}

static void simplify(struct event *events, size_t n, sequence_fails *fails, void *userdata,
                     unsigned *plays) {
    for (size_t i = 0; i < n; i++)
        for (unsigned which = 0; which < N_GROUPS + 3 && *plays > 0; which++) {
            struct event kept = events[i], simple;
            if (!plainer(&kept, which, &simple))
                continue;
            events[i] = simple;
            --*plays;
            if (!fails(events, n, userdata))
                events[i] = kept;
        }
}

size_t shrink(struct event *events, size_t n, sequence_fails *fails, void *userdata,
              unsigned plays) {
    size_t before;

    if (n > SEQUENCE_MAX)
        return n;
    for (size_t chunk = n / 2; chunk > 1; chunk /= 2)
        n = pass(events, n, chunk, fails, userdata, &plays);
    do {
        before = n;
        n = pass(events, n, 1, fails, userdata, &plays);
        if (n <= SIMPLE_MAX)
            simplify(events, n, fails, userdata, &plays);
    } while (n < before && plays > 0);
    n = pass(events, n, 1, fails, userdata, &plays);
    return n;
}
