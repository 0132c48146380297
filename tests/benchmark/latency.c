/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* latency ADDRESS [ROUNDS]: round trips of one client on the bus at ADDRESS: to a service that does
 * nothing, and to dmaownd. Both services are other processes, and the client's first call to each
 * is left out. Also what the kernel (or what stands for it) takes to be asked about a group.
 *
 * Prints a line for each kind: "WHAT|MEDIAN|P90|FLOOR|TARGET", times in microseconds. The floor of
 * a claim and its release is a no-op for each, one that passes an fd where the answer has fds. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "benchmark/client.h"
#include "benchmark/noop.h"

#define ROUNDS_MAX 100000
/* Rounds in which there is one claim of each kind. */
#define CLAIM_EVERY 4

struct client {
    sd_bus *bus;
    char target[32]; /* a group's number */
    struct endings endings;
    unsigned released;
};

/* One kind of round trip. The call returns how long it took; less than 0: not to be had here. */
struct kind {
    const char *what;
    double (*call)(struct client *client, const struct kind *kind);
    struct terms terms;
    unsigned every, noops, noops_with_fd; /* of the floor */
    const char *target;
    double *samples;
    unsigned n;
    bool missing;
};

static double call_service(struct client *client, const char *member) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    double begin = now_us();
    int r = sd_bus_call_method(client->bus, NOOP_NAME, "/", NOOP_NAME, member, &error, &reply, "");

    if (r < 0)
        fail(member, r, &error);
    sd_bus_message_unref(reply);
    return now_us() - begin;
}

static double call_noop(struct client *client, const struct kind *kind) {
    return call_service(client, "Noop");
}

static double call_pass_fd(struct client *client, const struct kind *kind) {
    return call_service(client, "PassFd");
}

static double call_explain(struct client *client, const struct kind *kind) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    double begin = now_us();
    int r = sd_bus_call_method(client->bus, MANAGER, "Explain", &error, &reply, "asa{sv}", 1,
                               client->target, 0);

    if (r < 0)
        fail("Explain", r, &error);
    sd_bus_message_unref(reply);
    return now_us() - begin;
}

static sd_bus_message *claim(struct client *client, const struct kind *kind, char lease[64]) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *message = claim_message(client->bus, client->target, &kind->terms);
    sd_bus_message *reply = NULL;
    const char *path;
    int r = sd_bus_call(client->bus, message, 0, &error, &reply);

    sd_bus_message_unref(message);
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &path);
    if (r >= 0) {
        snprintf(lease, 64, "%s", path);
        return reply;
    }
    if (!kind->terms.container)
        fail(kind->what, r, &error);
    fprintf(stderr, "latency: %s is left out: %s\n", kind->what, error.message);
    sd_bus_error_free(&error);
    return NULL;
}

static void release(struct client *client, const char *lease) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call_method(client->bus, MANAGER, "Release", &error, NULL, "o", lease);

    if (r < 0)
        fail("Release", r, &error);
    client->released++;
}

/* Fds of a group are closed before the release, so that it drains at once; the one that keeps a
 * lease behind it. */
static double claim_and_release(struct client *client, const struct kind *kind) {
    char lease[64];
    double begin = now_us();
    sd_bus_message *reply = claim(client, kind, lease);

    if (!reply)
        return -1;
    if (kind->terms.mode)
        reply = sd_bus_message_unref(reply);
    release(client, lease);
    double end = now_us();
    sd_bus_message_unref(reply);
    /* Until the group can be granted again; that is not part of a call. */
    endings_wait(&client->endings, client->released);
    return end - begin;
}

/* What dmaownd asks the kernel at least once in a claim and once in a release. */
static double ask_kernel(struct client *client, const struct kind *kind) {
    struct vfio_group_status status = {.argsz = sizeof(status)};
    char path[64];
    double begin = now_us();

    snprintf(path, sizeof(path), "/dev/vfio/%s", client->target);
    int node = open(path, O_RDWR | O_CLOEXEC);
    if (node < 0)
        fail(path, -errno, NULL);
    int r = ioctl(node, VFIO_GROUP_GET_STATUS, &status) < 0 ? -errno : 0;
    close(node);
    double end = now_us();
    if (r != -ENOTTY)
        check(path, r);
    return r < 0 ? -1 : end - begin;
}

#define NOOP 0
#define NOOP_WITH_FD 1
#define CLAIM(what, noops, with_fd, ...)                                                           \
    {what,    claim_and_release, {__VA_ARGS__}, CLAIM_EVERY, noops,                                \
     with_fd, "<= 4",            NULL,          0,           false}

static struct kind kinds[] = {
    [NOOP] = {"no-op method", call_noop, {0}, 1, 0, 0, "", NULL, 0, false},
    [NOOP_WITH_FD] = {"no-op that passes an fd", call_pass_fd, {0}, 1, 0, 0, "", NULL, 0, false},
    {"Explain", call_explain, {0}, 1, 1, 0, "<= 1.5", NULL, 0, false},
    CLAIM("Claim + Release", 2, 0, NULL),
    CLAIM("  lifetime persistent", 2, 0, .lifetime = "persistent"),
    CLAIM("  lifetime fd", 1, 1, .lifetime = "fd"),
    CLAIM("  mode fd", 1, 1, .mode = "fd"),
    CLAIM("  mode fd, container", 1, 1, .mode = "fd", .container = true),
    {"VFIO: open, status, close", ask_kernel, {0}, CLAIM_EVERY, 0, 0, "", NULL, 0, false},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The kinds take turns, so that a change in the machine's pace meets all of them. */
static void measure(struct client *client, unsigned rounds) {
    for (unsigned i = 0; i <= rounds; i++)
        for (struct kind *kind = kinds; kind < kinds + KINDS; kind++) {
            if (i % kind->every != 0 || kind->missing)
                continue;
            double took = kind->call(client, kind);
            kind->missing = took < 0;
            if (i > 0)
                kind->samples[kind->n++] = took;
        }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const struct kind *kind) {
    return kind->samples[kind->n / 2];
}

static double floor_of(const struct kind *kind) {
    return kind->noops * median(&kinds[NOOP]) + kind->noops_with_fd * median(&kinds[NOOP_WITH_FD]);
}

static void print(void) {
    for (struct kind *kind = kinds; kind < kinds + KINDS; kind++)
        qsort(kind->samples, kind->n, sizeof(double), compare);
    for (const struct kind *kind = kinds; kind < kinds + KINDS; kind++)
        if (!kind->missing)
            printf("%s|%.1f|%.1f|%.1f|%s\n", kind->what, median(kind),
                   kind->samples[kind->n * 9 / 10], floor_of(kind), kind->target);
}

/* The first that ListGroups calls grantable. */
static void find_grantable(struct client *client) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *verdict;
    uint32_t id;
    bool found = false;
    int r = sd_bus_call_method(client->bus, MANAGER, "ListGroups", &error, &reply, "");

    if (r < 0)
        fail("ListGroups", r, &error);
    check("ListGroups", sd_bus_message_enter_container(reply, 'a', "(ussuso)"));
    while (!found && sd_bus_message_read(reply, "(ussuso)", &id, NULL, &verdict, NULL, NULL,
                                         NULL) > 0)
        found = strcmp(verdict, "grantable") == 0;
    if (!found)
        fail("no group is grantable", -ENOENT, NULL);
    snprintf(client->target, sizeof(client->target), "%u", id);
    sd_bus_message_unref(reply);
}

int main(int argc, char **argv) {
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    struct client client = {0};

    if (argc < 2 || rounds < CLAIM_EVERY || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: latency ADDRESS [ROUNDS]\n");
        return 2;
    }
    pid_t noop = start_noop(argv[1]);
    client.bus = connect_to(argv[1]);
    wait_for_name(client.bus, NOOP_NAME);
    wait_for_name(client.bus, MANAGER_NAME);
    find_grantable(&client);
    endings_watch(&client.endings, client.bus);
    for (struct kind *kind = kinds; kind < kinds + KINDS; kind++)
        kind->samples = calloc(rounds / kind->every + 1, sizeof(double));
    measure(&client, (unsigned)rounds);
    print();
    sd_bus_flush_close_unref(client.bus);
    stop_noop(noop);
    return 0;
}
