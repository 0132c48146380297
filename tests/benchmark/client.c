/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "benchmark/client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "benchmark/noop.h"

#define ENDING_TIMEOUT_US (20 * 1000 * 1000)

double now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

void fail(const char *what, int r, const sd_bus_error *error) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
            error && error->message ? error->message : strerror(-r));
    exit(1);
}

void check(const char *what, int r) {
    if (r < 0)
        fail(what, r, NULL);
}

sd_bus *connect_to(const char *address) {
    sd_bus *bus = NULL;
    const char *name;

    check("sd_bus_new", sd_bus_new(&bus));
    check(address, sd_bus_set_address(bus, address));
    check(address, sd_bus_set_bus_client(bus, true));
    check(address, sd_bus_start(bus));
    check(address, sd_bus_get_unique_name(bus, &name)); /* waits until it has one */
    return bus;
}

void wait_for_name(sd_bus *bus, const char *name) {
    int r = -ENXIO;

    for (unsigned attempt = 0; attempt < 1000 && r < 0; attempt++) {
        r = sd_bus_call_method(bus, name, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, "");
        if (r < 0)
            usleep(10000);
    }
    check(name, r);
}

pid_t start_noop(const char *address) {
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(noop_serve(connect_to(address)) < 0);
    }
    return pid;
}

void stop_noop(pid_t pid) {
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

/* ---- calls */

static int append_text(sd_bus_message *message, const char *key, const char *value) {
    return value ? sd_bus_message_append(message, "{sv}", key, "s", value) : 0;
}

static int append_terms(sd_bus_message *message, const struct terms *terms) {
    int r = sd_bus_message_open_container(message, 'a', "{sv}");

    if (r >= 0)
        r = append_text(message, "mode", terms->mode);
    if (r >= 0)
        r = append_text(message, "lifetime", terms->lifetime);
    if (r >= 0)
        r = append_text(message, "key", terms->key);
    if (r >= 0)
        r = append_text(message, "comment", terms->comment);
    if (r >= 0 && terms->container)
        r = sd_bus_message_append(message, "{sv}", "container", "b", true);
    if (r >= 0 && terms->ttl)
        r = sd_bus_message_append(message, "{sv}", "ttl", "t", terms->ttl);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

sd_bus_message *claim_message(sd_bus *bus, const char *target, const struct terms *terms) {
    sd_bus_message *message = NULL;
    int r = sd_bus_message_new_method_call(bus, &message, MANAGER, "Claim");

    if (r >= 0)
        r = sd_bus_message_append(message, "as", 1, target);
    if (r >= 0)
        r = append_terms(message, terms);
    check("Claim", r);
    return message;
}

sd_bus_message *release_message(sd_bus *bus, const char *lease) {
    sd_bus_message *message = NULL;
    int r = sd_bus_message_new_method_call(bus, &message, MANAGER, "Release");

    if (r >= 0)
        r = sd_bus_message_append(message, "o", lease);
    check("Release", r);
    return message;
}

/* ---- endings */

static int note_end(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    (*(unsigned *)userdata)++;
    return 0;
}

void endings_watch(struct endings *endings, sd_bus *bus) {
    *endings = (struct endings){.bus = bus};
    check("LeaseEnded",
          sd_bus_match_signal(bus, NULL, MANAGER, "LeaseEnded", note_end, &endings->seen));
}

void endings_wait(struct endings *endings, unsigned expected) {
    while (endings->seen < expected) {
        int r = sd_bus_process(endings->bus, NULL);
        if (r == 0)
            r = sd_bus_wait(endings->bus, ENDING_TIMEOUT_US);
        check("waiting for LeaseEnded", r == 0 ? -ETIMEDOUT : r);
    }
}
