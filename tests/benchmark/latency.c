/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* latency ADDRESS [ROUNDS]: round trips of one client on the bus at ADDRESS: to a service that does
 * nothing, and to dmaownd. Both services are other processes, and the client's first call to each
 * is left out. At last, what the kernel (or what stands for it) takes to be asked about a group.
 * Prints "NAME MEDIAN P90" in microseconds. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "benchmark/noop.h"

#define ROUNDS_MAX 100000
#define MANAGER "org.dmaownd1", "/org/dmaownd1", "org.dmaownd1.Manager"

/* One thing that is measured. */
struct series {
    const char *name;
    double *samples;
    unsigned n;
};

static double now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void series_add(struct series *series, double begin) {
    series->samples[series->n++] = now_us() - begin;
}

static void series_print(struct series *series) {
    if (series->n == 0)
        return;
    qsort(series->samples, series->n, sizeof(double), compare);
    printf("%s %.1f %.1f\n", series->name, series->samples[series->n / 2],
           series->samples[series->n * 9 / 10]);
}

static void fail(const char *what, int r, const sd_bus_error *error) {
    fprintf(stderr, "latency: %s: %s\n", what,
            error && error->message ? error->message : strerror(-r));
    exit(1);
}

/* The group of the first that ListGroups calls grantable, as text; false if none is. */
static bool find_grantable(sd_bus *bus, char *ret, size_t size) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *verdict;
    uint32_t id, n;
    bool found = false;
    int r = sd_bus_call_method(bus, MANAGER, "ListGroups", &error, &reply, "");

    if (r < 0)
        fail("ListGroups", r, &error);
    r = sd_bus_message_enter_container(reply, 'a', "(ussuso)");
    while (!found && (r = sd_bus_message_read(reply, "(ussuso)", &id, NULL, &verdict, &n, NULL,
                                              NULL)) > 0)
        found = strcmp(verdict, "grantable") == 0;
    if (found)
        snprintf(ret, size, "%u", id);
    sd_bus_message_unref(reply);
    return found;
}

static void call_noop(sd_bus *bus) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    int r = sd_bus_call_method(bus, NOOP_NAME, "/", NOOP_NAME, "Noop", &error, &reply, "");

    if (r < 0)
        fail("Noop", r, &error);
    sd_bus_message_unref(reply);
}

static void call_explain(sd_bus *bus, const char *target) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    int r = sd_bus_call_method(bus, MANAGER, "Explain", &error, &reply, "asa{sv}", 1, target, 0);

    if (r < 0)
        fail("Explain", r, &error);
    sd_bus_message_unref(reply);
}

static void call_claim_and_release(sd_bus *bus, const char *target) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *lease;
    int r = sd_bus_call_method(bus, MANAGER, "Claim", &error, &reply, "asa{sv}", 1, target, 0);

    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &lease);
    if (r < 0)
        fail("Claim", r, &error);
    r = sd_bus_call_method(bus, MANAGER, "Release", &error, NULL, "o", lease);
    if (r < 0)
        fail("Release", r, &error);
    sd_bus_message_unref(reply);
}

static int note_end(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    (*(unsigned *)userdata)++;
    return 0;
}

/* Until the group can be granted again; that is not part of a call. */
static void wait_for_end(sd_bus *bus, const unsigned *ended, unsigned expected) {
    while (*ended < expected) {
        int r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, 20 * 1000 * 1000);
        if (r == 0)
            r = -ETIMEDOUT;
        if (r < 0)
            fail("waiting for LeaseEnded", r, NULL);
    }
}

/* The series take turns, so that a change in the machine's pace meets all of them. */
static void measure(sd_bus *bus, const char *target, unsigned rounds, struct series *series) {
    unsigned ended = 0, released = 0;
    int r = sd_bus_match_signal(bus, NULL, MANAGER, "LeaseEnded", note_end, &ended);

    if (r < 0)
        fail("subscribing", r, NULL);
    for (unsigned i = 0; i <= rounds; i++) {
        double begin = now_us();
        call_noop(bus);
        if (i > 0)
            series_add(&series[0], begin);
        begin = now_us();
        call_explain(bus, target);
        if (i > 0)
            series_add(&series[1], begin);
        if (i % 4 != 0)
            continue;
        begin = now_us();
        call_claim_and_release(bus, target);
        if (i > 0)
            series_add(&series[2], begin);
        wait_for_end(bus, &ended, ++released);
    }
}

/* What dmaownd asks the kernel once in a claim and once in a release. */
static void measure_node(const char *group, unsigned rounds, struct series *series) {
    struct vfio_group_status status = {.argsz = sizeof(status)};
    char path[64];

    snprintf(path, sizeof(path), "/dev/vfio/%s", group);
    for (unsigned i = 0; i < rounds; i++) {
        double begin = now_us();
        int node = open(path, O_RDWR | O_CLOEXEC);
        if (node < 0 || ioctl(node, VFIO_GROUP_GET_STATUS, &status) < 0)
            fail(path, -errno, NULL);
        close(node);
        series_add(series, begin);
    }
}

static sd_bus *connect_to(const char *address) {
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);

    if (r >= 0)
        r = sd_bus_set_address(bus, address);
    if (r >= 0)
        r = sd_bus_set_bus_client(bus, true);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0)
        fail(address, r, NULL);
    return bus;
}

/* The no-op service, in a child that ends with this process. */
static pid_t start_noop(const char *address) {
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(noop_serve(connect_to(address)) < 0);
    }
    return pid;
}

static void wait_for_name(sd_bus *bus, const char *name) {
    sd_bus_message *message = NULL;
    int r = -ENXIO;

    for (unsigned attempt = 0; attempt < 1000 && r < 0; attempt++) {
        r = sd_bus_call_method(bus, name, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, &message,
                               "");
        if (r < 0)
            usleep(10000);
        message = sd_bus_message_unref(message);
    }
    if (r < 0)
        fail(name, r, NULL);
}

int main(int argc, char **argv) {
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    struct series series[4] = {
        {"noop", NULL, 0}, {"explain", NULL, 0}, {"claim+release", NULL, 0}, {"node", NULL, 0}};
    char target[32];

    if (argc < 2 || rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: latency ADDRESS [ROUNDS]\n");
        return 2;
    }
    pid_t noop = start_noop(argv[1]);
    sd_bus *bus = connect_to(argv[1]);
    wait_for_name(bus, NOOP_NAME);
    wait_for_name(bus, "org.dmaownd1");
    if (!find_grantable(bus, target, sizeof(target))) {
        fprintf(stderr, "latency: no group is grantable\n");
        return 1;
    }
    for (unsigned i = 0; i < 4; i++)
        series[i].samples = calloc(rounds + 1, sizeof(double));
    measure(bus, target, (unsigned)rounds, series);
    measure_node(target, (unsigned)rounds / 4 + 1, &series[3]);
    for (unsigned i = 0; i < 4; i++)
        series_print(&series[i]);
    sd_bus_flush_close_unref(bus);
    kill(noop, SIGTERM);
    waitpid(noop, NULL, 0);
    return 0;
}
