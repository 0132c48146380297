/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the clients of the benchmark have in common. What they did not expect ends them, with a
 * sentence on standard error. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

#define MANAGER_NAME "org.dmaownd1"
#define MANAGER "org.dmaownd1", "/org/dmaownd1", "org.dmaownd1.Manager"

double now_us(void);
_Noreturn void fail(const char *what, int r, const sd_bus_error *error);
/* Fails if r is negative. */
void check(const char *what, int r);

sd_bus *connect_to(const char *address);
void wait_for_name(sd_bus *bus, const char *name);
/* The no-op service, in a child that ends with this process. */
pid_t start_noop(const char *address);
void stop_noop(pid_t pid);

/* Options of a claim; what is NULL, false or 0 is left out. */
struct terms {
    const char *mode, *lifetime, *key, *comment;
    bool container;
    uint64_t ttl;
};
sd_bus_message *claim_message(sd_bus *bus, const char *target, const struct terms *terms);
sd_bus_message *release_message(sd_bus *bus, const char *lease);

/* LeaseEnded, counted. */
struct endings {
    sd_bus *bus;
    unsigned seen;
};
void endings_watch(struct endings *endings, sd_bus *bus);
/* Returns when so many were seen. */
void endings_wait(struct endings *endings, unsigned expected);
