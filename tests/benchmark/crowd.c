/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* crowd ADDRESS FIRST COUNT CONNECTIONS [RUNS]: COUNT calls in flight at once from so many new
 * connections: all are sent before any answer is read. No-ops; claims of the groups FIRST,
 * FIRST + 1, …, each by one call; their releases; and as many claims of group FIRST alone.
 *
 * Fails if something is lost: a call without its answer, a granted group without its lease, a lease
 * that nobody was told of, a group with two. Prints lines "WHAT|MEDIAN|FLOOR|COUNTS", in
 * microseconds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "benchmark/client.h"
#include "benchmark/noop.h"

#define ANSWER_TIMEOUT_US (120ULL * 1000 * 1000)
#define CONNECTIONS_MAX 200
#define CALLS_MAX 60000
#define RUNS_MAX 99

struct crowd;

struct call {
    struct crowd *crowd;
    unsigned group;
    char lease[64]; /* "": not granted */
};

struct crowd {
    const char *address;
    sd_event *event;
    sd_bus *buses[CONNECTIONS_MAX];
    unsigned n_buses, n_calls, first;
    struct call *calls;
    unsigned answered, granted, refused;
    sd_bus *control;
    struct endings endings;
    unsigned ended;
};

/* ---- one burst */

static void gather(struct crowd *crowd) {
    for (unsigned i = 0; i < crowd->n_buses; i++)
        crowd->buses[i] = connect_to(crowd->address);
    crowd->granted = 0;
}

static void disperse(struct crowd *crowd) {
    for (unsigned i = 0; i < crowd->n_buses; i++) {
        sd_bus_detach_event(crowd->buses[i]);
        crowd->buses[i] = sd_bus_flush_close_unref(crowd->buses[i]);
    }
}

static void send_one(struct crowd *crowd, unsigned i, sd_bus_message *message,
                     sd_bus_message_handler_t handler) {
    check("sending", sd_bus_call_async(crowd->buses[i % crowd->n_buses], NULL, message, handler,
                                       &crowd->calls[i], ANSWER_TIMEOUT_US));
    sd_bus_message_unref(message);
}

typedef sd_bus_message *call_maker(struct crowd *crowd, unsigned i);

/* How long until every answer was read; calls for which make has no message are left out. */
static double burst(struct crowd *crowd, call_maker *make, sd_bus_message_handler_t handler) {
    double begin = now_us();
    unsigned sent = 0;

    crowd->answered = crowd->refused = 0;
    for (unsigned i = 0; i < crowd->n_calls; i++) {
        sd_bus_message *message = make(crowd, i);
        if (!message)
            continue;
        send_one(crowd, i, message, handler);
        sent++;
    }
    for (unsigned i = 0; i < crowd->n_buses; i++)
        check("sending", sd_bus_flush(crowd->buses[i]));
    for (unsigned i = 0; i < crowd->n_buses; i++)
        if (!sd_bus_get_event(crowd->buses[i]))
            check("loop", sd_bus_attach_event(crowd->buses[i], crowd->event, 0));
    while (crowd->answered < sent)
        check("loop", sd_event_run(crowd->event, UINT64_MAX));
    return now_us() - begin;
}

/* ---- calls and answers */

static sd_bus_message *make_noop(struct crowd *crowd, unsigned i) {
    sd_bus_message *message = NULL;

    check("Noop", sd_bus_message_new_method_call(crowd->buses[i % crowd->n_buses], &message,
                                                 NOOP_NAME, "/", NOOP_NAME, "Noop"));
    return message;
}

static sd_bus_message *make_claim(struct crowd *crowd, unsigned i, unsigned group) {
    char target[16];

    snprintf(target, sizeof(target), "%u", group);
    crowd->calls[i] = (struct call){.crowd = crowd, .group = group};
    return claim_message(crowd->buses[i % crowd->n_buses], target, &(struct terms){0});
}

static sd_bus_message *make_own_claim(struct crowd *crowd, unsigned i) {
    return make_claim(crowd, i, crowd->first + i);
}

static sd_bus_message *make_same_claim(struct crowd *crowd, unsigned i) {
    return make_claim(crowd, i, crowd->first);
}

static sd_bus_message *make_release(struct crowd *crowd, unsigned i) {
    const struct call *call = &crowd->calls[i];

    return *call->lease ? release_message(crowd->buses[i % crowd->n_buses], call->lease) : NULL;
}

/* Nothing but the answer that it is not free counts as one. */
static void note_refusal(struct call *call, const sd_bus_error *error) {
    if (!sd_bus_error_has_name(error, "org.dmaownd1.Error.AlreadyOwned"))
        fail(error->name, -EIO, error);
    call->crowd->refused++;
}

static int on_claimed(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct call *call = userdata;
    const char *lease;

    call->crowd->answered++;
    if (sd_bus_message_is_method_error(reply, NULL)) {
        note_refusal(call, sd_bus_message_get_error(reply));
        return 1;
    }
    check("answer of Claim", sd_bus_message_read(reply, "o", &lease));
    snprintf(call->lease, sizeof(call->lease), "%s", lease);
    call->crowd->granted++;
    return 1;
}

static int on_answered(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct call *call = userdata;

    if (sd_bus_message_is_method_error(reply, NULL))
        fail("answer", -EIO, sd_bus_message_get_error(reply));
    call->crowd->answered++;
    return 1;
}

/* ---- nothing is lost */

static void check_group(struct crowd *crowd, const struct call *call) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *lease;
    char path[64];

    snprintf(path, sizeof(path), "/org/dmaownd1/group/%u", call->group);
    int r = sd_bus_get_property(crowd->control, MANAGER_NAME, path, "org.dmaownd1.Group", "Lease",
                                &error, &reply, "o");
    if (r < 0)
        fail(path, r, &error);
    check(path, sd_bus_message_read(reply, "o", &lease));
    if (strcmp(lease, call->lease) != 0) {
        fprintf(stderr, "crowd: %s has lease %s, and %s was answered\n", path, lease, call->lease);
        exit(1);
    }
    sd_bus_message_unref(reply);
}

static void check_leases(struct crowd *crowd, unsigned expected) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    uint32_t count;
    int r = sd_bus_get_property_trivial(crowd->control, MANAGER, "LeaseCount", &error, 'u', &count);

    if (r < 0)
        fail("LeaseCount", r, &error);
    if (count == expected && crowd->granted == expected)
        return;
    fprintf(stderr, "crowd: %u leases, %u calls were told of one, %u were to be\n", count,
            crowd->granted, expected);
    exit(1);
}

static double let_go(struct crowd *crowd) {
    double took = burst(crowd, make_release, on_answered);

    crowd->ended += crowd->granted;
    endings_wait(&crowd->endings, crowd->ended);
    crowd->granted = 0;
    check_leases(crowd, 0);
    return took;
}

/* ---- rows */

enum { NOOPS, CLAIMS, RELEASES, SAME, KINDS };

static void run(struct crowd *crowd, double took[KINDS]) {
    gather(crowd);
    for (unsigned i = 0; i < crowd->n_calls; i++)
        crowd->calls[i] = (struct call){.crowd = crowd};
    took[NOOPS] = burst(crowd, make_noop, on_answered);
    disperse(crowd);

    gather(crowd);
    took[CLAIMS] = burst(crowd, make_own_claim, on_claimed);
    check_leases(crowd, crowd->n_calls);
    for (unsigned i = 0; i < crowd->n_calls; i++)
        check_group(crowd, &crowd->calls[i]);
    took[RELEASES] = let_go(crowd);
    disperse(crowd);

    gather(crowd);
    took[SAME] = burst(crowd, make_same_claim, on_claimed);
    check_leases(crowd, 1);
    let_go(crowd);
    disperse(crowd);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print(double samples[KINDS][RUNS_MAX], unsigned runs, unsigned calls) {
    for (unsigned kind = 0; kind < KINDS; kind++)
        qsort(samples[kind], runs, sizeof(double), compare);
    double noops = samples[NOOPS][runs / 2];
    printf("%u no-ops in flight|%.0f||\n", calls, noops);
    printf("%u Claims in flight, a group each|%.0f|%.0f|%u granted\n", calls,
           samples[CLAIMS][runs / 2], noops, calls);
    printf("%u Releases in flight|%.0f|%.0f|\n", calls, samples[RELEASES][runs / 2], noops);
    printf("%u Claims in flight, one group|%.0f|%.0f|1 granted, %u told who has it\n", calls,
           samples[SAME][runs / 2], noops, calls - 1);
}

static bool parse(int argc, char **argv, struct crowd *crowd, unsigned *ret_runs) {
    if (argc < 5)
        return false;
    *crowd = (struct crowd){.address = argv[1],
                            .first = (unsigned)atoi(argv[2]),
                            .n_calls = (unsigned)atoi(argv[3]),
                            .n_buses = (unsigned)atoi(argv[4])};
    *ret_runs = argc > 5 ? (unsigned)atoi(argv[5]) : 5;
    return crowd->n_calls > 0 && crowd->n_calls <= CALLS_MAX && crowd->n_buses > 0 &&
           crowd->n_buses <= CONNECTIONS_MAX && *ret_runs > 0 && *ret_runs <= RUNS_MAX;
}

int main(int argc, char **argv) {
    static double samples[KINDS][RUNS_MAX];
    struct crowd crowd;
    unsigned runs;

    if (!parse(argc, argv, &crowd, &runs)) {
        fprintf(stderr, "usage: crowd ADDRESS FIRST COUNT CONNECTIONS [RUNS]\n");
        return 2;
    }
    pid_t noop = start_noop(crowd.address);
    crowd.control = connect_to(crowd.address);
    wait_for_name(crowd.control, NOOP_NAME);
    wait_for_name(crowd.control, MANAGER_NAME);
    endings_watch(&crowd.endings, crowd.control);
    check("loop", sd_event_new(&crowd.event));
    crowd.calls = calloc(crowd.n_calls, sizeof(*crowd.calls));
    for (unsigned i = 0; i < runs; i++) {
        double took[KINDS];
        run(&crowd, took);
        for (unsigned kind = 0; kind < KINDS; kind++)
            samples[kind][i] = took[kind];
    }
    print(samples, runs, crowd.n_calls);
    sd_bus_flush_close_unref(crowd.control);
    stop_noop(noop);
    return 0;
}
