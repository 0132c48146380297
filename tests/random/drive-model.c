/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random sequences over the pure parts of the daemon, held against the naive statement of the rules
 * after each event. A sequence that shows a difference is made as short as it gets, and printed. Then
 * each of some rules is stated wrongly: that must be found as well, and in a few events.
 *
 * drive-model [SEED [STEPS]], or DMAOWND_TEST_SEED and DMAOWND_TEST_STEPS: the seed is printed, and
 * the same seed makes the same run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shrink.h"
#include "subject.h"
#include "util/string.h"

#define SEQUENCE 400
#define FEATURES                                                                                   \
    (FEATURE_FD | FEATURE_REVOKE | FEATURE_TIME | FEATURE_LIFETIME_FD | FEATURE_LIFETIME_PROCESS)

/* A rule that is stated wrongly is found within so many sequences, and shown in so many events. */
#define FAULT_SEQUENCES 400
#define FAULT_EVENTS 12

/* Instrumented builds are slow: they look for other things. */
#if defined(__SANITIZE_ADDRESS__)
#define STEPS 100000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEPS 100000
#endif
#endif
#ifndef STEPS
#define STEPS 1000000
#endif

static struct naive naive;
static struct subject subject;
static struct dice dice;
static char difference[512];
static unsigned long n_steps, n_grants, n_verdicts, n_granted_verdicts;

/* ---- Comparing */

__attribute__((format(printf, 1, 2))) static bool differ(const char *format, ...) {
    __builtin_va_list arguments;

    __builtin_va_start(arguments, format);
    (void)vsnprintf(difference, sizeof(difference), format, arguments);
    __builtin_va_end(arguments);
    return false;
}

static bool same_lease(int id, const struct lease *lease) {
    const struct naive_lease *expected = naive_lease_of(&naive, id);

    if ((lease ? lease->id : 0) != (expected ? expected->id : 0))
        return differ("group %d has lease %llu, not %u", FIRST_GROUP + id,
                      lease ? (unsigned long long)lease->id : 0, expected ? expected->id : 0);
    if (!lease)
        return true;
    if ((lease->state == LEASE_DRAINING) != (expected->phase == PHASE_DRAINING))
        return differ("lease %u is %s", expected->id, lease_state_to_string(lease->state));
    if (expected->end && !string_equal(lease_end_to_string(lease->end), expected->end))
        return differ("lease %u ends by %s, not %s", expected->id, lease_end_to_string(lease->end),
                      expected->end);
    return true;
}

static bool same_group(int id) {
    const struct group *group = model_group(&subject.model, (uint32_t)(FIRST_GROUP + id));
    unsigned members = naive_members(&naive, id);

    if ((group ? group->n_members : 0) != (size_t)__builtin_popcount(members))
        return differ("group %d has %zu members", FIRST_GROUP + id, group ? group->n_members : 0);
    if (!group)
        return true;
    if (!string_equal(owner_to_string(group_owner(group)), naive_owner(&naive, id)))
        return differ("group %d is owned by %s, not %s", FIRST_GROUP + id,
                      owner_to_string(group_owner(group)), naive_owner(&naive, id));
    if (group_viable(group) != naive_viable(&naive, id))
        return differ("group %d is viable: %d", FIRST_GROUP + id, group_viable(group));
    return same_lease(id, group->lease);
}

static bool same_roles(void) {
    for (unsigned i = 0; i < N_PLACES; i++) {
        const struct device *device = model_device(&subject.model, places[i].path);
        if ((device != NULL) != naive.places[i].present)
            return differ("device %s is there: %d", places[i].name, device != NULL);
        if (device && !string_equal(role_to_string(device->role), naive_role(&naive, i)))
            return differ("device %s has role %s, not %s", places[i].name,
                          role_to_string(device->role), naive_role(&naive, i));
    }
    return true;
}

static bool same_counts(enum user user) {
    static const char *const rules[] = {"nics", "all", "reset", "path", "persistent", "wide"};

    if (lease_book_count(&subject.book, user_ids[user], NULL) != naive_count(&naive, user, NULL))
        return differ("%s has %zu leases", user_names[user],
                      lease_book_count(&subject.book, user_ids[user], NULL));
    for (unsigned i = 0; i < ELEMENTS_OF(rules); i++)
        if (lease_book_count(&subject.book, user_ids[user], rules[i]) !=
            naive_count(&naive, user, rules[i]))
            return differ("%s has %zu leases under rule %s", user_names[user],
                          lease_book_count(&subject.book, user_ids[user], rules[i]), rules[i]);
    return true;
}

static bool same_book(void) {
    uint64_t next = 0;

    for (unsigned i = 0; i < naive.n_leases; i++)
        if (naive.leases[i].phase == PHASE_ACTIVE && naive.leases[i].expires &&
            (!next || naive.leases[i].expires < next))
            next = naive.leases[i].expires;
    if (lease_book_next_deadline(&subject.book) != next * 1000000)
        return differ("the next expiry is %llu, not %llu s",
                      (unsigned long long)lease_book_next_deadline(&subject.book) / 1000000,
                      (unsigned long long)next);
    if (subject.book.n_leases != naive.n_leases)
        return differ("there are %zu leases, not %u", subject.book.n_leases, naive.n_leases);
    return same_counts((enum user)dice_draw(&dice, N_USERS));
}

/* An active lease has a group, with a member; and no group has two. */
static bool is_sound(void) {
    for (const struct lease *lease = subject.book.leases; lease; lease = lease->by_id.next) {
        for (size_t i = 0; lease->state == LEASE_ACTIVE && i < lease->n_groups; i++) {
            const struct group *group = model_group(&subject.model, lease->groups[i].id);
            if (lease->groups[i].lost || !group || !group->members || group->lease != lease)
                return differ("active lease %llu has no group %u of its own",
                              (unsigned long long)lease->id, lease->groups[i].id);
        }
        if (lease->n_groups == 0)
            return differ("lease %llu has no group", (unsigned long long)lease->id);
    }
    return true;
}

static void describe_query(const struct naive_query *query, char *text, size_t size) {
    snprintf(text, size, "groups 0x%x place %u for %s by %s mode %u lifetime %u ttl %u",
             query->targets, query->place, user_names[query->holder],
             user_names[query->claimant], query->mode, query->lifetime, query->ttl);
}

/* The smallest blocking finding is the first reason, and the short way says the same. */
static bool is_consistent(const struct verdict_request *request, const struct verdict *verdict) {
    enum reason smallest = REASON_NONE;

    for (size_t i = 0; i < verdict->n_findings; i++)
        if (verdict->findings[i].blocks &&
            (!smallest || verdict->findings[i].reason < smallest))
            smallest = verdict->findings[i].reason;
    const struct finding *first = verdict_first_finding(verdict);
    return verdict->first == smallest && verdict->grantable == !smallest &&
           (first ? first->reason : REASON_NONE) == smallest &&
           verdict_first_reason(request) == smallest;
}

static bool same_verdict(const struct naive_query *query) {
    _cleanup_(verdict_done) struct verdict verdict = {0};
    struct subject_request words;
    const char *error, *expected;
    char text[160];

    if (!subject_request(&subject, query, &words))
        return true; /* a target is not there */
    expected = naive_reason(&naive, query, &error);
    verdict_reach(&words.request, &verdict);
    n_verdicts++;
    n_granted_verdicts += verdict.grantable;
    describe_query(query, text, sizeof(text));
    if (!string_equal(reason_to_string(verdict.first), expected))
        return differ("%s: \"%s\", not \"%s\"", text, reason_to_string(verdict.first), expected);
    const char *name = outcome_error_name(reason_outcome(verdict.first));
    if (!string_equal(*name ? strrchr(name, '.') + 1 : "", error))
        return differ("%s: %s, not %s", text, name, error);
    if (!is_consistent(&words.request, &verdict))
        return differ("%s: the findings do not fit together", text);
    return true;
}

/* As ListGroups asks. */
static bool same_list_entry(int id, enum user user) {
    struct naive_query query = {.claimant = user,
                                .holder = user,
                                .mode = MODE_PATH,
                                .targets = 1u << id,
                                .place = NO_PLACE};
    struct subject_request words;

    if (!subject_request(&subject, &query, &words))
        return true;
    const char *got = reason_to_string(verdict_first_reason(&words.request));
    const char *expected = naive_reason(&naive, &query, NULL);
    n_verdicts++;
    return string_equal(got, expected) ||
           differ("group %d for %s: \"%s\", not \"%s\"", FIRST_GROUP + id, user_names[user], got,
                  expected);
}

static bool same_question(void) {
    static const uint32_t ttls[] = {0, 0, TTL_SHORT, TTL_LONG, 3000};
    struct naive_query query = {
        .claimant = (enum user)dice_draw(&dice, N_USERS),
        .mode = 1u << dice_draw(&dice, 2),
        .lifetime = dice_draw(&dice, 4) ? 1u << dice_draw(&dice, 5) : 0,
        .ttl = ttls[dice_draw(&dice, ELEMENTS_OF(ttls))],
        .targets = dice_draw(&dice, 1u << N_GROUPS),
        .place = dice_draw(&dice, 4) ? NO_PLACE : dice_draw(&dice, N_PLACES),
    };

    query.holder = dice_draw(&dice, 3) ? query.claimant : (enum user)dice_draw(&dice, N_USERS);
    if (dice_draw(&dice, 2))
        query.targets = 1u << dice_draw(&dice, N_GROUPS);
    return (!query.targets && query.place == NO_PLACE) || same_verdict(&query);
}

static bool same_everything(void) {
    enum user user = (enum user)dice_draw(&dice, N_USERS);

    if (subject.broken)
        return differ("%s", subject.broken);
    if (!subject.up)
        return true;
    for (int id = 0; id < N_GROUPS; id++)
        if (!same_group(id) || !same_list_entry(id, user))
            return false;
    return same_roles() && same_book() && is_sound() && same_question();
}

/* ---- Playing */

static bool same_answer(const struct naive_answer *got, const struct naive_answer *expected) {
    if (!string_equal(got->error, expected->error) || got->lease != expected->lease ||
        got->same != expected->same)
        return differ("the answer is \"%s\" and lease %u, not \"%s\" and lease %u", got->error,
                      got->lease, expected->error, expected->lease);
    n_grants += got->lease && !got->same;
    return true;
}

static void drop_keeper(const struct event *event) {
    const struct naive_lease *lease =
        naive_find_lease(&naive, naive_pick_lease(&naive, event->argument));

    if (lease && lease->lifetime & (LIFETIME_FD | LIFETIME_PROCESS))
        subject.dropped[lease->id] = true;
}

static bool play_event(const struct event *event) {
    bool same = true;

    if (naive_needs_daemon(event) && event->kind != EVENT_START) {
        if (!naive.up && !play_event(&(struct event){.kind = EVENT_START}))
            return false;
        struct naive_answer got = subject_call(&subject, &naive, event);
        struct naive_answer expected = naive_apply(&naive, event);
        same = same_answer(&got, &expected);
    } else {
        if (event->kind == EVENT_DROP)
            drop_keeper(event);
        bool opens = event->kind == EVENT_OPEN || event->kind == EVENT_CLOSE;
        struct naive_answer happened = naive_apply(&naive, event);
        if (!opens || !*happened.error)
            subject_hear(&subject, &naive, event);
    }
    subject_settle(&subject, &naive);
    return same && same_everything();
}

/* True if they differ. The questions that are asked depend on the event alone. */
static bool play(const struct event *events, size_t n, void *userdata) {
    const enum fault *fault = userdata;
    bool same = true;

    naive_init(&naive, *fault);
    subject_reset(&subject);
    for (size_t i = 0; same && i < n; i++) {
        uint64_t seed = 0;
        for (size_t k = 0; k < sizeof(*events); k++)
            seed = seed * 31 + ((const unsigned char *)&events[i])[k];
        dice_seed(&dice, seed);
        same = play_event(&events[i]);
        n_steps++;
    }
    return !same;
}

static size_t shorten(struct event *events, size_t n, enum fault fault) {
    n = shrink(events, n, play, &fault, 2000);
    (void)play(events, n, &fault); /* for its difference */
    return n;
}

static bool run(uint64_t seed, unsigned long steps) {
    static struct event events[SEQUENCE];
    enum fault fault = FAULT_NONE;

    n_steps = n_grants = n_verdicts = n_granted_verdicts = 0;
    for (uint64_t i = 0; n_steps < steps; i++) {
        sequence_make(seed * 1000003 + i, FEATURES, events, SEQUENCE);
        if (!play(events, SEQUENCE, &fault))
            continue;
        size_t n = shorten(events, SEQUENCE, fault);
        printf("not ok 1 - sequence %llu of seed %llu: %s\n", (unsigned long long)i,
               (unsigned long long)seed, difference);
        sequence_print(events, n);
        return false;
    }
    printf("ok 1 - %lu steps, %lu grants; %lu verdicts, %lu of them a grant\n", n_steps, n_grants,
           n_verdicts, n_granted_verdicts);
    return true;
}

/* ---- Is it seen at all? */

static const char *const fault_names[N_FAULTS] = {
    [FAULT_UIO_IS_PASSIVE] = "uio is passive",
    [FAULT_DRAINING_IS_FREE] = "a draining group is free",
    [FAULT_QUOTA_FORGETS_DRAINING] = "draining leases do not count for a quota",
    [FAULT_KERNEL_BEFORE_LEASE] = "a kernel driver is named before a lease",
    [FAULT_DENY_BINDS_DELEGATE] = "a deny rule against everyone binds a delegate",
    [FAULT_LEASE_OUTLIVES_DRIVER] = "a lease outlives the last VFIO driver",
    [FAULT_KEY_OF_ANYBODY] = "a key is everybody's",
    [FAULT_TTL_IS_FOREVER] = "a term never ends",
};

/* Leaving out can get stuck at a sequence that is short of nothing and still long: then another one is
 * looked for. */
static bool find_fault(uint64_t seed, enum fault fault) {
    static struct event events[SEQUENCE];
    unsigned i = 0;
    size_t n = 0;

    for (; i < FAULT_SEQUENCES && (n == 0 || n > FAULT_EVENTS); i++) {
        sequence_make(seed * 1000003 + i, FEATURES, events, SEQUENCE);
        if (play(events, SEQUENCE, &fault))
            n = shorten(events, SEQUENCE, fault);
    }
    bool good = n > 0 && n <= FAULT_EVENTS;
    printf("%s %u - stated wrongly, \"%s\" is found: in %u sequences, %zu events\n",
           good ? "ok" : "not ok", fault + 1u, fault_names[fault], i, n);
    printf("#   %s\n", difference);
    sequence_print(events, n);
    return good;
}

static unsigned long long number_of(const char *argument, const char *variable,
                                    unsigned long long otherwise) {
    const char *text = argument ?: getenv(variable);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int main(int argc, char **argv) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = number_of(argc > 1 ? argv[1] : NULL, "DMAOWND_TEST_SEED",
                              (unsigned long long)now.tv_sec * 1000 + (unsigned)now.tv_nsec % 1000);
    unsigned long steps =
        (unsigned long)number_of(argc > 2 ? argv[2] : NULL, "DMAOWND_TEST_STEPS", STEPS);
    printf("1..%d\n# seed %llu, %lu steps\n", N_FAULTS, (unsigned long long)seed, steps);
    fflush(stdout);
    if (!subject_init(&subject)) {
        printf("Bail out! a policy is not as it should be\n");
        return EXIT_FAILURE;
    }
    bool good = run(seed, steps);
    for (enum fault fault = FAULT_NONE + 1; fault < N_FAULTS; fault++)
        good = find_fault(seed, fault) && good;
    subject_done(&subject);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
