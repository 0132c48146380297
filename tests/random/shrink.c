/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shrink.h"

#include <string.h>

#define SEQUENCE_MAX 4096

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
    } while (n < before && plays > 0);
    return n;
}
