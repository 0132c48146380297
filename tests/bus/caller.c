/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What busctl cannot do: a caller with a connection of its own that stays, floods, goes deaf, leaves in
 * mid-call, or watches signals. One line a result on stdout.
 *
 *   caller watch                 "watching", then a line for each signal of the daemon, until the input ends
 *   caller hold TARGET [OPTION]...    claims for its connection; the lease or the error; until the input ends
 *   caller claim TARGET... [OPTION...]    the lease and the keys of its descriptors, which it keeps, or
 *                                the error; then commands from its input: close KEY|all, status KEY, device
 *                                KEY NAME, bind KEY, fork, again, release, leave, exec WORDS...,
 *                                lifetime OPTION... (SetLifetime)
 *   caller vanish TARGET [OPTION...]  sends a Claim and is gone
 *   caller leave TARGET [OPTION...]   "known", once it was served; with its next input it does the same
 *   caller burst N MEMBER [TARGET [OPTION...]]    N calls at once; how many answers of each kind
 *   caller overlap N TARGET,... TARGET,... [OPTION...]    N times two claims at once; what each was told
 *   caller deaf N [MEMBER [TARGET [OPTION...]]]    N calls and reads no answer; "deaf", until the input ends
 *   caller long BYTES            FindGroup of a target so long: the error, and the length of its message
 *   caller polkit yes|no|hang    is polkit, and answers so, until the input ends
 *   caller systemd               is the service manager, with the units that its input names: unit NAME
 *                                STATE [JOB], cancel NAME (its job), alias NAME OTHER, forget NAME, hang,
 *                                answer, gone, back, jobs hold|go; it starts modprobe@NAME.service
 *
 * An OPTION is KEY=TEXT or KEY=TYPE:VALUE, see caller.h.
 */
/*
 * What busctl cannot do: a caller with a connection of its own that stays, floods, goes deaf, leaves in
 * mid-call, or watches signals. One line a result on stdout.
 *
 *   caller watch                 "watching", then a line for each signal of the daemon, until the input ends
 *   caller hold TARGET [KEY=TEXT]...  claims for its connection; the lease or the error; until the input ends
 *   caller vanish TARGET         sends a Claim and is gone
 *   caller burst N MEMBER [TARGET]    N calls at once; how many answers of each kind
 *   caller long BYTES            FindGroup of a target so long: the error, and the length of its message
 *   caller polkit yes|no|hang    is polkit, and answers so, until the input ends
 *   caller deaf N                N calls and reads no answer; "deaf", until the input ends
 */
#include "caller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    printf("%s %s", sd_bus_message_get_member(m), sd_bus_message_get_path(m));
    print_all(m);
    printf("\n");
    fflush(stdout);
    return 0;
}

static int watch(sd_bus *bus) {
    int r = sd_bus_add_match(bus, NULL, "type='signal',sender='" NAME "'", on_signal, NULL);

    if (r < 0)
        return fail(r, "match");
    printf("watching\n");
    return until_input_ends(bus);
}

static int hold(sd_bus *bus, int argc, char **argv) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL, *reply = NULL;
    const char *lease;
    int r = new_call(bus, "Claim", 1, argv, &m);

    if (r >= 0)
        r = append_options(m, argc - 1, argv + 1);
    if (r >= 0)
        r = sd_bus_call(bus, m, 0, &error, &reply);
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &lease);
    printf("%s\n", r < 0 ? (error.name ? error.name : strerror(-r)) : lease);
    return until_input_ends(bus);
}

static int long_target(sd_bus *bus, size_t length) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    char *target = malloc(length + 1);
    int r;

    if (!target)
        return fail(-ENOMEM, "long");
    memset(target, 'a', length);
    target[length] = '\0';
    r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "FindGroup", &error, NULL, "s", target);
    printf("%s %zu\n", r < 0 ? error.name : "ok", r < 0 ? strlen(error.message) : 0);
    free(target);
    return 0;
}

static int vanish(sd_bus *bus, int argc, char **argv) {
    sd_bus_message *m = NULL;
    int r = new_call(bus, "Claim", 1, argv, &m);

    if (r >= 0)
        r = append_options(m, argc - 1, argv + 1);
    if (r >= 0)
        r = sd_bus_send(bus, m, NULL);
    if (r >= 0)
        r = sd_bus_flush(bus);
    return r < 0 ? fail(r, "Claim") : 0;
}

/* Once its identity is known, its claim is handled however soon it has left. */
static int leave(sd_bus *bus, int argc, char **argv) {
    char byte;
    int r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "ListGroups", NULL, NULL, "");

    if (r < 0)
        return fail(r, "ListGroups");
    puts("known");
    fflush(stdout);
    if (read(0, &byte, 1) < 0)
        return fail(-errno, "input");
    return vanish(bus, argc, argv);
}

int main(int argc, char **argv) {
    char *list_groups[] = {(char *) "ListGroups", NULL};
    sd_bus *bus = NULL;
    int r = sd_bus_open_system(&bus);

    if (r < 0)
        return fail(r, "system bus");
    if (argc == 2 && strcmp(argv[1], "watch") == 0)
        return watch(bus);
    if (argc >= 3 && strcmp(argv[1], "hold") == 0)
        return hold(bus, argc - 2, argv + 2);
    if (argc >= 3 && strcmp(argv[1], "claim") == 0)
        return claim(bus, argc - 2, argv + 2);
    if (argc >= 3 && strcmp(argv[1], "leave") == 0)
        return leave(bus, argc - 2, argv + 2);
    if (argc >= 3 && strcmp(argv[1], "vanish") == 0)
        return vanish(bus, argc - 2, argv + 2);
    if (argc >= 4 && strcmp(argv[1], "burst") == 0)
        return burst(bus, (unsigned) atoi(argv[2]), argc - 3, argv + 3);
    if (argc >= 5 && strcmp(argv[1], "overlap") == 0)
        return overlap(bus, (unsigned) atoi(argv[2]), argc - 3, argv + 3);
    if (argc >= 3 && strcmp(argv[1], "deaf") == 0)
        return deaf(bus, (unsigned) atoi(argv[2]), argc > 3 ? argc - 3 : 1,
                    argc > 3 ? argv + 3 : list_groups);
    if (argc == 3 && strcmp(argv[1], "long") == 0)
        return long_target(bus, strtoul(argv[2], NULL, 0));
    if (argc == 3 && strcmp(argv[1], "polkit") == 0)
        return polkit(bus, argv[2]);
    if (argc == 2 && strcmp(argv[1], "systemd") == 0)
        return service_manager(bus);
    fprintf(stderr, "usage: see the head of caller.c\n");
    return 2;
}
