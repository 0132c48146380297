/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#define NAME "org.dmaownd1"
#define PATH "/org/dmaownd1"
#define MANAGER "org.dmaownd1.Manager"

/* caller-common.c; the functions that talk to the bus return 0 or more, or a negative errno. */

/* Says so on stderr; 1, for a program's status. */
int fail(int r, const char *what);
/*
 * Dispatches, and hands each line of the input to on_line, if that is not NULL, until the input ends
 * or on_line returns something else than 0. A program's status.
 */
int serve_lines(sd_bus *bus, int (*on_line)(sd_bus *bus, char *line, void *userdata), void *userdata);
int until_input_ends(sd_bus *bus);
/* Everything in the message, flat, with a space before each. */
void print_all(sd_bus_message *m);
/*
 * KEY=VALUE each, as a{sv}: a text, or T:VALUE with T one of s, b, u, t, i, and for descriptors h (a pidfd
 * of this pid), k (the same, of which it keeps a copy), f (the file of that name), p (a pipe) or r (an
 * array of so many descriptors). "ttl" is a number without being told.
 */
int append_options(sd_bus_message *m, int argc, char **argv);
/* With an array of targets, if there is one. */
int new_call(sd_bus *bus, const char *member, int count, char **targets, sd_bus_message **ret);

/* The verbs of caller.c, each a program's status. */
int claim(sd_bus *bus, int argc, char **argv);
int burst(sd_bus *bus, unsigned count, int argc, char **argv);
int deaf(sd_bus *bus, unsigned count, int argc, char **argv);
int overlap(sd_bus *bus, unsigned rounds, int argc, char **argv);
int polkit(sd_bus *bus, const char *answer);
int service_manager(sd_bus *bus);

/* caller-jobs.c: of the service manager. Answers StartUnit. */
int jobs_start_unit(sd_bus_message *m);
/* From now on jobs do not end; false: they do, and those that waited. */
int jobs_hold(sd_bus *bus, bool hold);
