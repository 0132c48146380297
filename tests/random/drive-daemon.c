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
#include <unistd.h>

#include "host.h"
#include "shrink.h"
#include "talk.h"

#define SEQUENCE 200
#define FEATURES                                                                                   \
    (FEATURE_FD | FEATURE_REVOKE | FEATURE_LIFETIME_FD | FEATURE_LIFETIME_PROCESS |                \
     FEATURE_RARE_RESTARTS)
#define PATIENCE 10000        /* ms that the daemon has to agree */
#define SHRINK_PATIENCE 500   /* … while a sequence is made shorter */
#define SHRINK_PLAYS 120
#define FAULT_EVENTS 12

static struct naive naive;
static char names[ENDED_MAX][LEASE_NAME_MAX]; /* of leases, by their number */
static uint64_t deadlines[ENDED_MAX];         /* ms, of those with a short term; 0: none */
static bool silent[ENDED_MAX]; /* ended while the daemon started, before it could signal */
static char difference[512];
static unsigned long n_steps, n_grants, n_restarts, n_expired;
static int patience;

__attribute__((format(printf, 1, 2))) static bool differ(const char *format, ...) {
    __builtin_va_list arguments;

    __builtin_va_start(arguments, format);
    (void)vsnprintf(difference, sizeof(difference), format, arguments);
    __builtin_va_end(arguments);
    return false;
}

static bool equal(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

static uint64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void rest(unsigned ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- What callers keep: files of leases, what keeps leases, and processes that do */

static int group_files[N_GROUPS]; /* of mode fd, 0: none */
static struct kept {
    int containers[4], keepers[4]; /* a retried claim gives others; 0: none */
    pid_t process;
} kept[ENDED_MAX];

static void close_file(int *fd) {
    if (*fd > 0)
        close(*fd);
    *fd = 0;
}

static void keep_file(int files[4], int fd) {
    unsigned i = 0;

    while (i < 3 && files[i])
        i++;
    close_file(&files[i]);
    files[i] = fd > 0 ? fd : 0;
}

static void keep_files(unsigned id, const struct granted *granted) {
    for (int i = 0; i < N_GROUPS; i++)
        if (granted->groups[i] >= 0) {
            close_file(&group_files[i]);
            group_files[i] = granted->groups[i];
        }
    keep_file(kept[id].containers, granted->container);
    keep_file(kept[id].keepers, granted->keeper);
}

static void drop_keepers(struct kept *which) {
    for (unsigned i = 0; i < 4; i++)
        close_file(&which->keepers[i]);
    host_let_go(which->process);
    which->process = 0;
}

/* Files of nodes that are gone, and what ended leases had. */
static void forget_files(void) {
    for (int i = 0; i < N_GROUPS; i++)
        if (naive.groups[i].opener < 0)
            close_file(&group_files[i]);
    for (unsigned id = 1; id <= naive.n_granted; id++) {
        if (!naive.ended[id])
            continue;
        drop_keepers(&kept[id]);
        for (unsigned i = 0; i < 4; i++)
            close_file(&kept[id].containers[i]);
    }
}

static void forget_everything(void) {
    for (int i = 0; i < N_GROUPS; i++)
        close_file(&group_files[i]);
    for (unsigned id = 0; id < ENDED_MAX; id++) {
        drop_keepers(&kept[id]);
        for (unsigned i = 0; i < 4; i++)
            close_file(&kept[id].containers[i]);
    }
}

/* ---- Comparing */

static bool same_places(const struct seen *seen) {
    for (unsigned i = 0; i < N_PLACES; i++) {
        const struct naive_place *place = &naive.places[i];
        const char *driver = driver_names[places[i].bus][place->driver] ?: "";
        if (seen->places[i].present != place->present)
            return differ("device %s is there: %d", places[i].name, seen->places[i].present);
        if (!place->present)
            continue;
        if (seen->places[i].group != place->group || !equal(seen->places[i].driver, driver))
            return differ("device %s has driver \"%s\" and group %d", places[i].name,
                          seen->places[i].driver, FIRST_GROUP + seen->places[i].group);
        if (!equal(seen->places[i].role, naive_role(&naive, i)))
            return differ("device %s has role %s", places[i].name, seen->places[i].role);
    }
    return true;
}

static bool same_groups(const struct seen *seen) {
    for (int id = 0; id < N_GROUPS; id++) {
        bool there = naive_members(&naive, id) != 0;
        if (seen->groups[id].there != there)
            return differ("group %d is there: %d", FIRST_GROUP + id, seen->groups[id].there);
        if (!there)
            continue;
        if (!equal(seen->groups[id].owner, naive_owner(&naive, id)))
            return differ("group %d is owned by %s, not %s", FIRST_GROUP + id,
                          seen->groups[id].owner, naive_owner(&naive, id));
        if (seen->groups[id].viable != naive_viable(&naive, id))
            return differ("group %d is viable: %d", FIRST_GROUP + id, seen->groups[id].viable);
    }
    return true;
}

static bool same_access(void) {
    for (int id = 0; id < N_GROUPS; id++) {
        int expected = naive_has_node(&naive, id) ? (int)naive.groups[id].access : -1;
        int got = host_access(id);
        if (got != expected)
            return differ("the node of group %d lets in %d, not %d (a user, 4: all, -1: no node)",
                          FIRST_GROUP + id, got, expected);
    }
    return true;
}

static const struct seen_lease *find_seen(const struct seen *seen, unsigned id) {
    for (unsigned i = 0; i < seen->n_leases; i++)
        if (equal(seen->leases[i].name, names[id]))
            return &seen->leases[i];
    return NULL;
}

static unsigned live_groups(const struct naive_lease *lease) {
    unsigned groups = 0;

    for (unsigned i = 0; i < lease->n_parts; i++)
        groups |= lease->parts[i].lost ? 0 : 1u << lease->parts[i].group;
    return groups;
}

/* The same names, in whichever order; none is part of another. */
static bool same_rules(const struct naive_lease *lease, const char *text) {
    unsigned n = 1;

    for (const char *at = text; (at = strchr(at, ',')); at++)
        n++;
    for (unsigned i = 0; i < lease->n_rules; i++)
        if (!strstr(text, lease->rules[i]))
            return false;
    return n == lease->n_rules;
}

static bool same_lease(const struct seen *seen, const struct naive_lease *lease) {
    const struct seen_lease *got = find_seen(seen, lease->id);

    if (!got)
        return differ("lease %u is not there", lease->id);
    if (!equal(got->state, lease->phase == PHASE_ACTIVE ? "active" : "draining"))
        return differ("lease %u is %s", lease->id, got->state);
    if (lease->phase == PHASE_ACTIVE && got->groups != live_groups(lease))
        return differ("lease %u has groups 0x%x, not 0x%x", lease->id, got->groups,
                      live_groups(lease));
    if (got->holder != user_ids[lease->holder] || got->claimant != user_ids[lease->claimant])
        return differ("lease %u is of %u, by %u", lease->id, got->holder, got->claimant);
    if (!same_rules(lease, got->rule))
        return differ("lease %u is by rule %s", lease->id, got->rule);
    return true;
}

static bool same_leases(const struct seen *seen) {
    for (unsigned i = 0; i < naive.n_leases; i++)
        if (!same_lease(seen, &naive.leases[i]))
            return false;
    if (seen->n_leases != naive.n_leases)
        return differ("there are %u leases, not %u", seen->n_leases, naive.n_leases);
    for (unsigned id = 1; id <= naive.n_granted; id++)
        if (naive.ended[id] && !equal(talk_ended(names[id]), naive.ended[id]) &&
            !(silent[id] && !*talk_ended(names[id])))
            return differ("lease %u ended by \"%s\", not %s", id, talk_ended(names[id]),
                          naive.ended[id]);
    return true;
}

static bool same_list(unsigned slot) {
    struct listed listed[N_GROUPS];

    if (!talk_list(slot, listed))
        return differ("ListGroups fails");
    for (int id = 0; id < N_GROUPS; id++) {
        struct naive_query query = {.claimant = slot_users[slot],
                                    .holder = slot_users[slot],
                                    .mode = MODE_PATH,
                                    .targets = 1u << id,
                                    .place = NO_PLACE};
        unsigned members = (unsigned)__builtin_popcount(naive_members(&naive, id));
        if (listed[id].members != members)
            return differ("group %d has %u members", FIRST_GROUP + id, listed[id].members);
        const char *reason = members ? naive_reason(&naive, &query, NULL) : "";
        if (!equal(listed[id].verdict, reason))
            return differ("group %d for %s: \"%s\", not \"%s\"", FIRST_GROUP + id,
                          user_names[slot_users[slot]], listed[id].verdict, reason);
    }
    return true;
}

static bool same_conflicts(const unsigned *conflicts) {
    if (naive.conflict < 0 ||
        talk_conflicts(places[naive.conflict].name) > conflicts[naive.conflict])
        return true;
    return differ("no conflict was signalled of %s", places[naive.conflict].name);
}

static bool same_now(unsigned slot, const unsigned *conflicts) {
    struct seen seen;

    if (!same_access())
        return false;
    if (!naive.up)
        return true;
    if (!talk_see(&seen))
        return differ("GetManagedObjects fails");
    return same_places(&seen) && same_groups(&seen) && same_leases(&seen) && same_list(slot) &&
           same_conflicts(conflicts);
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

/* Explain asks nobody but the model, and knows no keys. */
static bool play_explain(const struct event *event, pid_t pid) {
    struct naive_query query = {
        .claimant = slot_users[event->slot],
        .holder = slot_users[event->slot],
        .mode = event->mode,
        .lifetime = event->lifetime,
        .ttl = event->ttl,
        .targets = event->targets,
        .place = event->place,
    };
    const char *reason, *error = talk_explain(event, pid, &reason);
    bool there = event->place == NO_PLACE || naive.places[event->place].present;

    for (int i = 0; i < N_GROUPS; i++)
        there = there && (!(event->targets & 1u << i) || naive_members(&naive, i));
    if (event->ttl == TTL_BAD || !there)
        return same_call(error, event->ttl == TTL_BAD ? "InvalidOption" : "NoSuchTarget",
                         "Explain");
    if (*error)
        return same_call(error, "", "Explain");
    const char *expected = naive_reason(&naive, &query, NULL);
    return equal(reason, expected) ||
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
    keep_files(expected.lease, granted);
    if (expected.same)
        return right;
    snprintf(names[expected.lease], LEASE_NAME_MAX, "%s", granted->lease);
    deadlines[expected.lease] = event->ttl == TTL_SHORT ? now_ms() + 1000 * TTL_SHORT : 0;
    n_grants++;
    return right;
}

static bool play_claim(const struct event *event) {
    pid_t pid = event->lifetime == LIFETIME_PROCESS ? host_stay(slot_users[event->slot]) : 0;
    bool explain = event->holder == slot_users[event->slot] && event->argument % 2;
    unsigned granted_before = naive.n_granted;
    struct granted granted;

    if (explain && !play_explain(event, pid)) {
        host_let_go(pid);
        return false;
    }
    const char *error = talk_claim(event, pid, &granted);
    bool right = take_answer(event, error, &granted);
    if (naive.n_granted > granted_before)
        kept[naive.n_granted].process = pid;
    else
        host_let_go(pid);
    return right;
}

static bool play_call(const struct event *event) {
    unsigned id = naive_pick_lease(&naive, event->argument);
    const char *error;

    if (event->kind == EVENT_CLAIM)
        return play_claim(event);
    if (event->kind == EVENT_RELOAD) {
        if (slot_users[event->slot] == USER_ROOT)
            host_write_policy(event->argument);
        error = talk_reload(event->slot);
    } else {
        error = talk_release(event, id ? names[id] : "/org/dmaownd1/lease/4711");
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
        close_file(&group_files[event->group]);
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

    drop_keepers(&kept[id]);
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
    forget_files();
    return true;
}

static bool begin(enum fault fault) {
    int r;

    forget_everything();
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
    printf("not ok 1 - sequence %lu of seed %llu: %s\n", i, (unsigned long long)seed, difference);
    fflush(stdout);
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
    printf("ok 1 - %lu steps, %lu grants, %lu expired, %lu restarts\n", n_steps, n_grants,
           n_expired, n_restarts);
    return true;
}

/* A rule that is stated wrongly must be found, and in a few events. */
static bool find_fault(uint64_t seed) {
    static struct event events[SEQUENCE];
    enum fault fault = FAULT_LEASE_OUTLIVES_DRIVER;
    size_t n = 0;

    patience = SHRINK_PATIENCE;
    for (unsigned i = 0; i < 10 && n == 0; i++) {
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
    unsigned long steps = argc > 2 ? strtoul(argv[2], NULL, 0) : 3000;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# seed %llu, %lu steps\n", (unsigned long long)seed, steps);
    talk_open_all();
    bool good = argc > 3 ? run_sequence(seed, strtoul(argv[3], NULL, 0)) : run(seed, steps);
    if (argc <= 3)
        good = find_fault(seed) && good;
    host_clear();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
