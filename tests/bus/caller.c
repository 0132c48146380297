/* SPDX-License-Identifier: LGPL-2.1-or-later */
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
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define NAME "org.dmaownd1"
#define PATH "/org/dmaownd1"
#define MANAGER "org.dmaownd1.Manager"
#define KINDS 32

static int fail(int r, const char *what) {
    fprintf(stderr, "caller: %s: %s\n", what, strerror(-r));
    return 1;
}

/* Dispatches until the input ends. */
static int until_input_ends(sd_bus *bus) {
    char byte;

    fflush(stdout);
    for (;;) {
        struct pollfd polls[] = {{0, POLLIN, 0}, {-1, POLLIN, 0}};
        int r = bus ? sd_bus_process(bus, NULL) : 0;

        if (r < 0)
            return fail(r, "bus");
        if (r > 0)
            continue;
        if (bus)
            polls[1].fd = sd_bus_get_fd(bus);
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            return fail(-errno, "poll");
        if (polls[0].revents && read(0, &byte, 1) <= 0)
            return 0;
    }
}

static void print_basic(sd_bus_message *m, char type) {
    union {
        uint8_t y;
        int32_t i;
        uint32_t u;
        uint64_t t;
        int b;
        const char *s;
    } value = {0};

    sd_bus_message_read_basic(m, type, &value);
    switch (type) {
    case 's':
    case 'o':
        printf("%s", value.s);
        break;
    case 'b':
        printf("%s", value.b ? "true" : "false");
        break;
    case 'u':
        printf("%u", value.u);
        break;
    case 't':
        printf("%llu", (unsigned long long) value.t);
        break;
    default:
        printf("?");
    }
}

/* Everything in the message, flat, with spaces between. */
static void print_all(sd_bus_message *m) {
    const char *contents;
    char type;

    while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
        if (type == 'a' || type == 'v' || type == 'e' || type == 'r') {
            sd_bus_message_enter_container(m, type, contents);
            print_all(m);
            sd_bus_message_exit_container(m);
            continue;
        }
        printf(" ");
        print_basic(m, type);
    }
}

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

static int append_options(sd_bus_message *m, int argc, char **argv) {
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    for (int i = 0; r >= 0 && i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (!value)
            return -EINVAL;
        *value++ = '\0';
        if (strcmp(argv[i], "ttl") == 0)
            r = sd_bus_message_append(m, "{sv}", argv[i], "t", (uint64_t) strtoull(value, NULL, 0));
        else
            r = sd_bus_message_append(m, "{sv}", argv[i], "s", value);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int new_call(sd_bus *bus, const char *member, const char *target, sd_bus_message **ret) {
    int r = sd_bus_message_new_method_call(bus, ret, NAME, PATH, MANAGER, member);

    if (r >= 0 && target)
        r = sd_bus_message_append(*ret, "as", 1, target);
    return r;
}

static int hold(sd_bus *bus, int argc, char **argv) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL, *reply = NULL;
    const char *lease;
    int r = new_call(bus, "Claim", argv[0], &m);

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

static int vanish(sd_bus *bus, const char *target) {
    sd_bus_message *m = NULL;
    int r = new_call(bus, "Claim", target, &m);

    if (r >= 0)
        r = append_options(m, 0, NULL);
    if (r >= 0)
        r = sd_bus_send(bus, m, NULL);
    if (r >= 0)
        r = sd_bus_flush(bus);
    return r < 0 ? fail(r, "Claim") : 0;
}

static struct {
    char name[64];
    unsigned count;
} kinds[KINDS];
static unsigned answered;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    const sd_bus_error *e = sd_bus_message_get_error(m);
    const char *name = e ? e->name : "ok";

    answered++;
    for (int i = 0; i < KINDS; i++) {
        if (!*kinds[i].name)
            snprintf(kinds[i].name, sizeof(kinds[i].name), "%s", name);
        if (strcmp(kinds[i].name, name) == 0) {
            kinds[i].count++;
            break;
        }
    }
    return 0;
}

static int send_burst(sd_bus *bus, unsigned count, const char *member, const char *target) {
    for (unsigned i = 0; i < count; i++) {
        sd_bus_message *m = NULL;
        int r = new_call(bus, member, target, &m);

        if (r >= 0 && target)
            r = append_options(m, 0, NULL);
        if (r >= 0)
            r = sd_bus_call_async(bus, NULL, m, on_answer, NULL, 60 * 1000 * 1000);
        if (r < 0)
            return r;
        sd_bus_message_unref(m);
    }
    return 0;
}

static int burst(sd_bus *bus, unsigned count, const char *member, const char *target) {
    int r = send_burst(bus, count, member, target);

    if (r < 0)
        return fail(r, member);
    while (answered < count) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
        if (r < 0)
            return fail(r, "bus");
    }
    for (int i = 0; i < KINDS && *kinds[i].name; i++)
        printf("%s %u\n", kinds[i].name, kinds[i].count);
    return 0;
}

static int deaf(sd_bus *bus, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        sd_bus_message *m = NULL;
        int r = new_call(bus, "ListGroups", NULL, &m);

        if (r >= 0)
            r = sd_bus_send(bus, m, NULL);
        if (r < 0)
            return fail(r, "ListGroups");
        sd_bus_message_unref(m);
    }
    sd_bus_flush(bus);
    printf("deaf\n");
    return until_input_ends(NULL);
}

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    const char *answer = userdata, *kind, *key, *name, *action;

    if (!sd_bus_message_is_method_call(m, NULL, "CheckAuthorization"))
        return 0;
    if (sd_bus_message_enter_container(m, 'r', "sa{sv}") < 0 ||
        sd_bus_message_read(m, "s", &kind) < 0 ||
        sd_bus_message_read(m, "a{sv}", 1, &key, "s", &name) < 0 ||
        sd_bus_message_exit_container(m) < 0 || sd_bus_message_read(m, "s", &action) < 0)
        return -EINVAL;
    printf("asked %s\n", action);
    fflush(stdout);
    if (strcmp(answer, "hang") == 0)
        return 1;
    return sd_bus_reply_method_return(m, "(bba{ss})", strcmp(answer, "yes") == 0, 0, 0);
}

static int polkit(sd_bus *bus, const char *answer) {
    int r = sd_bus_add_object(bus, NULL, "/org/freedesktop/PolicyKit1/Authority", on_check,
                              (void *) answer);

    if (r >= 0)
        r = sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0);
    if (r < 0)
        return fail(r, "polkit");
    printf("polkit\n");
    return until_input_ends(bus);
}

int main(int argc, char **argv) {
    sd_bus *bus = NULL;
    int r = sd_bus_open_system(&bus);

    if (r < 0)
        return fail(r, "system bus");
    if (argc == 2 && strcmp(argv[1], "watch") == 0)
        return watch(bus);
    if (argc >= 3 && strcmp(argv[1], "hold") == 0)
        return hold(bus, argc - 2, argv + 2);
    if (argc == 3 && strcmp(argv[1], "vanish") == 0)
        return vanish(bus, argv[2]);
    if (argc >= 4 && strcmp(argv[1], "burst") == 0)
        return burst(bus, (unsigned) atoi(argv[2]), argv[3], argc > 4 ? argv[4] : NULL);
    if (argc == 3 && strcmp(argv[1], "long") == 0)
        return long_target(bus, strtoul(argv[2], NULL, 0));
    if (argc == 3 && strcmp(argv[1], "polkit") == 0)
        return polkit(bus, argv[2]);
    if (argc == 3 && strcmp(argv[1], "deaf") == 0)
        return deaf(bus, (unsigned) atoi(argv[2]));
    fprintf(stderr, "usage: see the head of caller.c\n");
    return 2;
}
