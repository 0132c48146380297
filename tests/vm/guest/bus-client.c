/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus-client VERB ...: callers that busctl cannot play, on the system bus.
 *
 * hold TARGET [OPTION=TEXT | OPTION:=NUMBER | OPTION#=NUMBER | OPTION@=PID]...
 *     Claims TARGET with these options (text s, number t or u, a pidfd of this process h), prints
 *     the lease's path and keeps the connection until killed. PID 0 makes an fd that is no pidfd.
 * claim TARGET [OPTION...]...
 *     The same, and goes.
 * burst COUNT
 *     Sends COUNT calls of Explain without waiting, then prints how many were answered with
 *     success and how many with an error: "N answered, M refused".
 * deaf COUNT
 *     Sends COUNT calls of ListGroups, prints "sent", and never reads an answer until killed.
 * pace TARGET
 *     Times rounds of ListGroups, Explain (TARGET, with detach) and Rescan, prints "N us, at most
 *     N us" (the median comes first), and does so again for each line on standard input. So all are
 *     of one process and minute.
 * vanish TARGET
 *     Sends a Claim (lifetime connection) and goes without waiting for the answer.
 *
 * Ends with 0; with 1 on an error, which is printed as NAME: TEXT. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "org.dmaownd1"
#define OBJECT "/org/dmaownd1"
#define MANAGER "org.dmaownd1.Manager"

static int fail(const char *what, int error) {
    printf("%s: %s\n", what, strerror(-error));
    return 1;
}

/* Open until the end: the message has its own copy. */
static int pidfd_of(pid_t pid) {
    int fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        perror("pidfd");
        exit(1);
    }
    return fd;
}

static int append_option(sd_bus_message *call, char *option) {
    char *value = strchr(option, '=');
    if (!value)
        return -22;
    *value++ = 0;
    size_t length = strlen(option);
    char kind = length > 0 ? option[length - 1] : 0;
    unsigned long long number = strtoull(value, NULL, 10);
    if (kind == ':' || kind == '#' || kind == '@')
        option[length - 1] = 0;
    if (kind == ':')
        return sd_bus_message_append(call, "{sv}", option, "t", number);
    if (kind == '#')
        return sd_bus_message_append(call, "{sv}", option, "u", (unsigned)number);
    if (kind == '@')
        return sd_bus_message_append(call, "{sv}", option, "h", pidfd_of((pid_t)number));
    return sd_bus_message_append(call, "{sv}", option, "s", value);
}

static int make_call(sd_bus *bus, const char *method, const char *target, char **options,
                     sd_bus_message **ret) {
    sd_bus_message *call = NULL;
    int r = sd_bus_message_new_method_call(bus, &call, SERVICE, OBJECT, MANAGER, method);
    if (r >= 0)
        r = sd_bus_message_append(call, "as", 1, target);
    if (r >= 0)
        r = sd_bus_message_open_container(call, 'a', "{sv}");
    for (; r >= 0 && options && *options; options++)
        r = append_option(call, *options);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    *ret = call;
    return r;
}

static int claim(sd_bus *bus, const char *target, char **options, bool stay) {
    sd_bus_message *call, *reply = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    const char *lease;

    int r = make_call(bus, "Claim", target, options, &call);
    if (r < 0)
        return fail("claim", r);
    r = sd_bus_call(bus, call, 0, &error, &reply);
    if (r < 0) {
        printf("%s: %s\n", error.name, error.message);
        return 1;
    }
    r = sd_bus_message_read(reply, "o", &lease);
    if (r < 0)
        return fail("answer", r);
    printf("%s\n", lease);
    fflush(stdout);
    if (stay)
        pause();
    return 0;
}

static unsigned answered, refused;

static int count_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    (void)userdata, (void)error;
    if (sd_bus_message_is_method_error(reply, NULL))
        refused++;
    else
        answered++;
    return 0;
}

static int burst(sd_bus *bus, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        sd_bus_message *call;
        int r = make_call(bus, "Explain", "0", NULL, &call);
        if (r >= 0)
            r = sd_bus_call_async(bus, NULL, call, count_answer, NULL, 60 * 1000000ULL);
        if (r < 0)
            return fail("burst", r);
        sd_bus_message_unref(call);
    }
    while (answered + refused < count) {
        int r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
        if (r < 0)
            return fail("process", r);
    }
    printf("%u answered, %u refused\n", answered, refused);
    return 0;
}

static int deaf(sd_bus *bus, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        sd_bus_message *call;
        int r = sd_bus_message_new_method_call(bus, &call, SERVICE, OBJECT, MANAGER, "ListGroups");
        if (r >= 0)
            r = sd_bus_send(bus, call, NULL);
        if (r < 0)
            break; /* our own queue is full, because the bus stopped reading: enough */
        sd_bus_message_unref(call);
    }
    puts("sent");
    fflush(stdout);
    pause();
    return 0;
}

static uint64_t now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int call_plainly(sd_bus *bus, const char *method) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call_method(bus, SERVICE, OBJECT, MANAGER, method, &error, NULL, NULL);

    if (r < 0)
        printf("%s: %s\n", error.name, error.message);
    return r;
}

static int one_round(sd_bus *bus, const char *target) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *call;

    int r = call_plainly(bus, "ListGroups");
    if (r >= 0)
        r = sd_bus_message_new_method_call(bus, &call, SERVICE, OBJECT, MANAGER, "Explain");
    if (r >= 0)
        r = sd_bus_message_append(call, "asa{sv}", 1, target, 1, "detach", "b", 1);
    if (r >= 0)
        r = sd_bus_call(bus, call, 0, &error, NULL);
    if (r < 0) {
        printf("%s: %s\n", error.name, error.message);
        return r;
    }
    sd_bus_message_unref(call);
    return call_plainly(bus, "Rescan");
}

enum { PACE_ROUNDS = 11 };

static int by_value(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int pace(sd_bus *bus, const char *target) {
    uint64_t took[PACE_ROUNDS];
    char line[16];

    do {
        for (int i = 0; i < PACE_ROUNDS; i++) {
            uint64_t begin = now_us();
            if (one_round(bus, target) < 0)
                return 1;
            took[i] = now_us() - begin;
        }
        qsort(took, PACE_ROUNDS, sizeof(took[0]), by_value);
        printf("%llu us, at most %llu us\n", (unsigned long long)took[PACE_ROUNDS / 2],
               (unsigned long long)took[PACE_ROUNDS - 1]);
        fflush(stdout);
    } while (fgets(line, sizeof(line), stdin));
    return 0;
}

static int vanish(sd_bus *bus, const char *target) {
    sd_bus_message *call;
    int r = make_call(bus, "Claim", target, NULL, &call);
    if (r >= 0)
        r = sd_bus_send(bus, call, NULL);
    if (r >= 0)
        r = sd_bus_flush(bus);
    return r < 0 ? fail("vanish", r) : 0;
}

int main(int argc, char **argv) {
    sd_bus *bus;

    if (argc < 3)
        return 2;
    int r = sd_bus_open_system(&bus);
    if (r < 0)
        return fail("bus", r);
    if (!strcmp(argv[1], "hold") || !strcmp(argv[1], "claim"))
        return claim(bus, argv[2], argv + 3, argv[1][0] == 'h');
    if (!strcmp(argv[1], "burst"))
        return burst(bus, atoi(argv[2]));
    if (!strcmp(argv[1], "deaf"))
        return deaf(bus, atoi(argv[2]));
    if (!strcmp(argv[1], "pace"))
        return pace(bus, argv[2]);
    if (!strcmp(argv[1], "vanish"))
        return vanish(bus, argv[2]);
    return 2;
}
