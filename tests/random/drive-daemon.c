/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random sequences over the whole daemon on the fake kernel, held against the naive statement of the
 * rules after each event: what callers are answered, what they see of groups, devices and leases, who
 * may open the nodes, and what was signalled. The daemon has 10 s to agree. A sequence that shows a
 * difference is played again in parts, and printed as short as it got.
 *
 * drive-daemon [SEED [STEPS [SEQUENCE]]], run by random-daemon.sh inside the fake kernel; with
 * SEQUENCE only that one of the seed is played. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compare.h"
#include "host.h"
#include "kept.h"
#include "shrink.h"

#define SEQUENCE 200
#define FEATURES                                                                                   \
    (FEATURE_FD | FEATURE_REVOKE | FEATURE_LIFETIME_FD | FEATURE_LIFETIME_PROCESS |                \
     FEATURE_HAND | FEATURE_RARE_RESTARTS)
#define PATIENCE 10000        /* ms that the daemon has to agree */
#define SHRINK_PATIENCE 2000  /* … while a sequence is made shorter */
#define SHRINK_PLAYS 120
#define FAULT_EVENTS 12
#define NO_LEASE "/org/dmaownd1/lease/4711"

static uint64_t deadlines[ENDED_MAX]; /* ms, of leases with a short term; 0: none */
static unsigned long n_steps, n_grants, n_restarts, n_expired, n_handed;
static int patience;

static uint64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void rest(unsigned ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- Time: short terms end by the clock, which the naive statement is told */

static void expire(unsigned id) {
    uint64_t now = now_ms();

    if (now < deadlines[id])
        rest((unsigned)(deadlines[id] - now));
    deadlines[id] = 0;
    n_expired += naive_find_lease(&naive, id) != NULL;
    naive_expire(&naive, id);
}

/* Of a lease whose end is near nothing can be said until it is over. */
static void keep_time(uint64_t horizon) {
    for (unsigned id = 1; id <= naive.n_granted; id++) {
        if (naive.ended[id])
            deadlines[id] = 0;
        else if (deadlines[id] && now_ms() + horizon + 300 >= deadlines[id])
            expire(id);
    }
}

/* The daemon comes to say the same, in time. */
static bool agree(unsigned slot, const unsigned *conflicts) {
    uint64_t end = now_ms() + (uint64_t)patience;

    for (;;) {
        keep_time(0);
        if (same_now(slot, conflicts))
            return true;
        if (now_ms() > end)
            return false;
        rest(1);
    }
}

/* ---- Playing */

static bool same_call(const char *got, const char *expected, const char *what) {
    return equal(got, expected) || differ("%s is answered with \"%s\", not \"%s\"", what, got,
                                          expected);
}

static bool targets_are_there(const struct event *event) {
    bool there = event->place == NO_PLACE || naive.places[event->place].present;

    for (int i = 0; i < N_GROUPS; i++)
        there = there && (!(event->targets & 1u << i) || naive_members(&naive, i));
    return there;
}

/* What Explain is to say: an error, or else a reason. It asks nobody but the model. */
static const char *explain(const struct event *event, const char **ret_reason) {
    const struct naive_lease *lease =
        naive_find_key(&naive, slot_users[event->slot], event->key);
    struct naive_query query = {
        .claimant = slot_users[event->slot],
        .holder = slot_users[event->slot],
        .mode = event->mode,
        .lifetime = event->lifetime,
        .ttl = event->ttl,
        .targets = event->targets,
        .place = event->place,
    };
    bool files = event->mode == MODE_FD || event->lifetime == LIFETIME_FD;
    const char *error;

    if (event->ttl == TTL_BAD)
        return "InvalidOption";
    if (!targets_are_there(event))
        return "NoSuchTarget";
    if (lease && naive_key_is_taken(&naive, lease, event))
        return "InvalidOption";
    *ret_reason = naive_reason(&naive, &query, &error);
    if (lease && !(files && equal(error, "PolicyDenied")))
        *ret_reason = "";
    return "";
}

static bool play_explain(const struct event *event, pid_t pid) {
    const char *reason, *expected = "", *error = talk_explain(event, pid, &reason);

    if (!same_call(error, explain(event, &expected), "Explain"))
        return false;
    return *error || equal(reason, expected) ||
           differ("Explain says \"%s\", not \"%s\"", reason, expected);
}

/* The files that a claim by fd is to give. */
static bool right_files(const struct event *event, unsigned id, const struct granted *granted) {
    const struct naive_lease *lease = naive_find_lease(&naive, id);
    unsigned groups = event->mode == MODE_FD ? live_groups(lease) : 0, files = 0;
    bool container = event->mode == MODE_FD && event->container;
    bool keeper = lease->lifetime == LIFETIME_FD;

    for (int i = 0; i < N_GROUPS; i++)
        files |= granted->groups[i] >= 0 ? 1u << i : 0;
    if (files != groups)
        return differ("the answer has files of groups 0x%x, not 0x%x", files, groups);
    if ((granted->container >= 0) != container || (granted->keeper >= 0) != keeper)
        return differ("the answer has a container: %d, a lease's file: %d",
                      granted->container >= 0, granted->keeper >= 0);
    return granted->n_files == (unsigned)__builtin_popcount(groups) + container + keeper ||
           differ("the answer has %u files", granted->n_files);
}

static bool take_answer(const struct event *event, const char *error, struct granted *granted) {
    struct naive_answer expected = naive_apply(&naive, event);

    if (!same_call(error, expected.error, "Claim"))
        return false;
    if (!expected.lease)
        return true;
    if (expected.same && !equal(granted->lease, names[expected.lease]))
        return differ("the same key gives %s, not %s", granted->lease, names[expected.lease]);
    /* A lease whose time was up already is over; its files are not asked for. */
    bool right = naive.ended[expected.lease] || right_files(event, expected.lease, granted);
    kept_take(expected.lease, granted);
    if (expected.same)
        return right;
    snprintf(names[expected.lease], LEASE_NAME_MAX, "%s", granted->lease);
    deadlines[expected.lease] = event->ttl == TTL_SHORT ? now_ms() + 1000 * TTL_SHORT : 0;
    n_grants++;
    return right;
}

/* For some moments after a lease the daemon moves what it had pinned, which the naive statement does not
 * know: what is Busy then is asked for again. */
static const char *claim_with_patience(const struct event *event, pid_t pid, struct granted *ret) {
    static struct naive after;
    uint64_t end = now_ms() + (uint64_t)patience;

    for (;;) {
        const char *error = talk_claim(event, pid, ret);
        after = naive;
        if (!equal(error, "Busy") || equal(naive_apply(&after, event).error, "Busy") || now_ms() > end)
            return error;
        rest(1);
        keep_time(0);
    }
}

static bool play_claim(const struct event *event) {
    /* The same call again names the same process. */
    const struct naive_lease *same = naive_find_key(&naive, slot_users[event->slot], event->key);
    pid_t known = same && event->lifetime == LIFETIME_PROCESS ? kept_process(same->id) : 0;
    pid_t made = event->lifetime == LIFETIME_PROCESS && !known ? host_stay(slot_users[event->slot]) : 0;
    pid_t pid = known ?: made;
    bool asks = event->holder == slot_users[event->slot] && event->argument % 2;
    unsigned granted_before = naive.n_granted;
    struct granted granted;

    if (asks && !play_explain(event, pid)) {
        host_let_go(made);
        return false;
    }
    const char *error = claim_with_patience(event, pid, &granted);
    bool right = take_answer(event, error, &granted);
    if (naive.n_granted > granted_before)
        kept_take_process(naive.n_granted, made);
    else
        host_let_go(made);
    return right;
}

/* What it lived with before goes at once: that is nothing to it any more. */
static bool play_hand(const struct event *event) {
    unsigned id = naive_pick_lease(&naive, event->argument);
    pid_t made = event->lifetime == LIFETIME_PROCESS ? host_stay(slot_users[event->slot]) : 0;
    char got[64];

    snprintf(got, sizeof(got), "%s", talk_lifetime(event, id ? names[id] : NO_LEASE, made));
    bool same = same_call(got, naive_apply(&naive, event).error, "SetLifetime");
    if (*got) {
        host_let_go(made);
        return same;
    }
    kept_drop(id);
    kept_take_process(id, made);
    n_handed++;
    return same;
}

static bool play_call(const struct event *event) {
    unsigned id = naive_pick_lease(&naive, event->argument);
    const char *error;

    if (event->kind == EVENT_CLAIM)
        return play_claim(event);
    if (event->kind == EVENT_HAND)
        return play_hand(event);
    if (event->kind == EVENT_RELOAD) {
        if (slot_users[event->slot] == USER_ROOT)
            host_write_policy(event->argument);
        error = talk_reload(event->slot);
    } else {
        error = talk_release(event, id ? names[id] : NO_LEASE);
    }
    char got[64];
    snprintf(got, sizeof(got), "%s", error);
    return same_call(got, naive_apply(&naive, event).error, "the call");
}

/* What the kernel does, it does by itself: both say whether it worked. */
static bool play_kernel(const struct event *event) {
    const char *expected = naive_apply(&naive, event).error;
    int r = 0;

    if (event->kind <= EVENT_UNBIND || !*expected)
        r = host_happen(event);
    if (event->kind <= EVENT_UNBIND && (r < 0) != (*expected != 0))
        return differ("the kernel: %s", r < 0 ? strerror(-r) : "no error");
    if (r >= 0 && naive.up && (event->kind == EVENT_MOVE || event->kind == EVENT_DIRECT))
        return same_call(talk_rescan(), "", "Rescan");
    return true;
}

static bool play_open(const struct event *event) {
    const char *expected = naive_apply(&naive, event).error;

    if (event->kind == EVENT_CLOSE) {
        host_close(event->group);
        kept_close(event->group);
        return true;
    }
    bool opened = host_open(event->group, slot_users[event->slot], event->argument);
    return opened == !*expected ||
           differ("the node of group %d opens: %d", FIRST_GROUP + event->group, opened);
}

static bool play_life(const struct event *event) {
    bool up = naive.up;

    for (unsigned id = 1; id <= naive.n_granted && event->kind == EVENT_START; id++)
        silent[id] = silent[id] || !naive.ended[id];
    (void)naive_apply(&naive, event);
    for (unsigned id = 1; id <= naive.n_granted && event->kind == EVENT_START; id++)
        silent[id] = silent[id] && naive.ended[id];
    if (event->kind == EVENT_DISCONNECT) {
        talk_reopen(event->slot);
        return true;
    }
    if (up == naive.up)
        return true;
    n_restarts += naive.up;
    int r = host_happen(event);
    return r >= 0 || event->kind == EVENT_KILL || differ("the daemon starts: %s", strerror(-r));
}

static bool play_drop(const struct event *event) {
    unsigned id = naive_pick_lease(&naive, event->argument);

    kept_drop(id);
    (void)naive_apply(&naive, event);
    return true;
}

static bool happen(const struct event *event) {
    switch (event->kind) {
    case EVENT_OPEN:
    case EVENT_CLOSE:
        return play_open(event);
    case EVENT_DISCONNECT:
    case EVENT_KILL:
    case EVENT_START:
        return play_life(event);
    case EVENT_PASS:
        return true;
    case EVENT_DROP:
        return play_drop(event);
    default:
        return naive_needs_daemon(event) ? play_call(event) : play_kernel(event);
    }
}

static bool play_event(const struct event *event) {
    unsigned conflicts[N_PLACES];

    if (naive_needs_daemon(event) && event->kind != EVENT_START && !naive.up &&
        !play_event(&(struct event){.kind = EVENT_START}))
        return false;
    for (unsigned i = 0; i < N_PLACES; i++)
        conflicts[i] = talk_conflicts(places[i].name);
    keep_time(0);
    n_steps++;
    if (!happen(event))
        return false;
    host_forget(&naive);
    if (!agree((event->slot + n_steps) % N_SLOTS, conflicts))
        return false;
    kept_forget(&naive);
    return true;
}

static bool begin(enum fault fault) {
    int r;

    kept_forget_all();
    host_clear();
    host_write_policy(0);
    naive_init(&naive, fault);
    memset(names, 0, sizeof(names));
    memset(deadlines, 0, sizeof(deadlines));
    memset(silent, 0, sizeof(silent));
    r = host_happen(&(struct event){.kind = EVENT_START});
    talk_forget_signals();
    return r >= 0 || differ("the daemon starts: %s", strerror(-r));
}

static bool play(const struct event *events, size_t n, void *userdata) {
    const enum fault *fault = userdata;
    bool same = begin(*fault);

    for (size_t i = 0; same && i < n; i++) {
        same = play_event(&events[i]);
        if (getenv("DMAOWND_TEST_VERBOSE")) {
            char text[160];
            event_describe(&events[i], text, sizeof(text));
            printf("# %zu. %s\n", i + 1, text);
        }
    }
    return !same;
}

static size_t played(const struct event *events, size_t n, unsigned long before) {
    size_t steps = n_steps - before;

    return steps < n ? steps : n;
}

/* What comes behind the difference is left out; then whatever it does not need. */
static size_t shorten(struct event *events, size_t n, enum fault fault) {
    patience = SHRINK_PATIENCE;
    n = shrink(events, n, play, &fault, SHRINK_PLAYS);
    patience = PATIENCE;
    return n;
}

static bool run_sequence(uint64_t seed, unsigned long i) {
    static struct event events[SEQUENCE];
    enum fault fault = FAULT_NONE;
    unsigned long before = n_steps;

    patience = PATIENCE;
    sequence_make(seed * 1000003 + i, FEATURES, events, SEQUENCE);
    if (!play(events, SEQUENCE, &fault))
        return true;
    printf("not ok 1 - sequence %lu of seed %llu, event %zu: %s\n", i, (unsigned long long)seed,
           played(events, SEQUENCE, before), difference);
    fflush(stdout);
    /* Playing it again will bury what the daemon said. */
    (void)!system("tail -n 12 /run/fakekernel/dmaownd.log | sed 's/^/# | /'");
    size_t n = shorten(events, played(events, SEQUENCE, before), fault);
    (void)play(events, n, &fault);
    printf("# %s\n", difference);
    sequence_print(events, n);
    return false;
}

static bool run(uint64_t seed, unsigned long steps) {
    for (unsigned long i = 0; n_steps < steps; i++)
        if (!run_sequence(seed, i))
            return false;
    printf("ok 1 - %lu steps, %lu grants, %lu expired, %lu handed over, %lu restarts\n", n_steps, n_grants,
           n_expired, n_handed, n_restarts);
    return true;
}

/* A rule that is stated wrongly must be found, and in a few events. */
static bool find_fault(uint64_t seed) {
    static struct event events[SEQUENCE];
    enum fault fault = FAULT_LEASE_OUTLIVES_DRIVER;
    size_t n = 0;

    patience = SHRINK_PATIENCE;
    for (unsigned i = 0; i < 10 && (n == 0 || n > FAULT_EVENTS); i++) {
        unsigned long before = n_steps;
        sequence_make(seed * 1000003 + i, FEATURES, events, SEQUENCE);
        if (play(events, SEQUENCE, &fault))
            n = shorten(events, played(events, SEQUENCE, before), fault);
    }
    bool good = n > 0 && n <= FAULT_EVENTS;
    printf("%s 2 - stated wrongly, \"a lease outlives the last VFIO driver\" is found: %zu events\n",
           good ? "ok" : "not ok", n);
    sequence_print(events, n);
    return good;
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned long steps = argc > 2 ? strtoul(argv[2], NULL, 0) : 2000;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# seed %llu, %lu steps\n", (unsigned long long)seed, steps);
    talk_open_all();
    bool good = argc > 3 ? run_sequence(seed, strtoul(argv[3], NULL, 0)) : run(seed, steps);
    if (argc <= 3)
        good = find_fault(seed) && good;
    host_clear();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
