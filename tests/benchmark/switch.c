/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* switch ADDRESS ROUNDS DRIVER DEVICE...: all devices of a group, which DRIVER has, go to vfio-pci and
 * back, in turns by the bare writes to sysfs, by dmaownd on the bus at ADDRESS, and (every so many
 * rounds, since it is slow) by driverctl, where it is installed, once for each device and direction.
 *
 * Prints a line for each: "WHAT|MEDIAN|P90|FLOOR|TARGET", times in microseconds of there and back. The
 * floor is the bare writes: for each device the override, unbind and probe, without a look at what
 * came of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmark/client.h"

#define ROUNDS_MAX 10000
#define DRIVERCTL_EVERY 4
/* So long the daemon has for the events of what others did, before it is its turn. */
#define SETTLE_US 20000

struct group {
    sd_bus *bus;
    const char *driver;
    char **devices;
    size_t n_devices;
};

/* One way to switch. */
struct way {
    const char *what, *target;
    void (*there_and_back)(const struct group *group);
    unsigned every; /* 0: never */
    double *samples;
    unsigned n;
};

/* ---- The bare writes */

static void bare_write(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(path, -errno, NULL);
    close(fd);
}

static void bare_move(const char *device, const char *override) {
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
    bare_write(path, override);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", device);
    bare_write(path, device);
    bare_write("/sys/bus/pci/drivers_probe", device);
}

static void bare(const struct group *group) {
    for (size_t i = 0; i < group->n_devices; i++)
        bare_move(group->devices[i], "vfio-pci");
    for (size_t i = 0; i < group->n_devices; i++)
        bare_move(group->devices[i], "\n");
}

/* ---- dmaownd */

static void call(const struct group *group, const char *method) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call_method(group->bus, MANAGER, method, &error, NULL, "asa{sv}", 1,
                               group->devices[0], 0);

    if (r < 0)
        fail(method, r, &error);
}

static void dmaownd(const struct group *group) {
    call(group, "Detach");
    call(group, "Reattach");
}

/* ---- driverctl */

static void driverctl(const char *verb, const char *device, const char *driver) {
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execlp("driverctl", "driverctl", "--nosave", verb, device, driver, NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        fail("driverctl", -errno, NULL);
    if (status != 0)
        fail(verb, -EIO, NULL);
}

/* Whether PATH has it. */
static bool has_driverctl(void) {
    return system("command -v driverctl > /dev/null") == 0;
}

static void peer(const struct group *group) {
    for (size_t i = 0; i < group->n_devices; i++)
        driverctl("set-override", group->devices[i], "vfio-pci");
    for (size_t i = 0; i < group->n_devices; i++)
        driverctl("unset-override", group->devices[i], NULL);
}

/* ---- In turns */

static struct way ways[] = {
    {.what = "detach and reattach", .target = "-", .there_and_back = dmaownd, .every = 1},
    {.what = "the same by driverctl", .target = "-", .there_and_back = peer,
     .every = DRIVERCTL_EVERY},
    {.what = "the bare writes", .there_and_back = bare, .every = 1},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))
#define PEER (&ways[1])
#define FLOOR (&ways[2])

/* Whoever did it, the host has its devices again. */
static void check_back(const struct group *group) {
    char path[PATH_MAX], driver[PATH_MAX];

    for (size_t i = 0; i < group->n_devices; i++) {
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", group->devices[i]);
        ssize_t length = readlink(path, driver, sizeof(driver) - 1);
        driver[length < 0 ? 0 : length] = 0;
        const char *name = strrchr(driver, '/');
        if (!name || strcmp(name + 1, group->driver) != 0)
            fail(path, -ENODEV, NULL);
    }
}

static void take_turns(const struct group *group, unsigned rounds) {
    for (unsigned round = 0; round < rounds; round++)
        for (struct way *way = ways; way < ways + WAYS; way++) {
            if (way->every == 0 || round % way->every != 0)
                continue;
            usleep(SETTLE_US);
            double begin = now_us();
            way->there_and_back(group);
            way->samples[way->n++] = now_us() - begin;
            check_back(group);
        }
}

static int compare(const void *a, const void *b) {
    double one = *(const double *)a, other = *(const double *)b;

    return (one > other) - (one < other);
}

static void report(const struct group *group) {
    for (struct way *way = ways; way < ways + WAYS; way++)
        qsort(way->samples, way->n, sizeof(*way->samples), compare);
    double floor = FLOOR->samples[FLOOR->n / 2];
    for (struct way *way = ways; way < ways + WAYS; way++) {
        if (way->n == 0)
            continue;
        printf("%s, %zu|%.1f|%.1f|", way->what, group->n_devices, way->samples[way->n / 2],
               way->samples[way->n * 9 / 10]);
        if (way == FLOOR)
            puts("|");
        else
            printf("%.1f|%s\n", floor, way->target);
    }
}

int main(int argc, char **argv) {
    unsigned rounds = argc > 4 ? (unsigned)atoi(argv[2]) : 0;

    if (rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: switch ADDRESS ROUNDS DRIVER DEVICE...\n");
        return 2;
    }
    struct group group = {
        .bus = connect_to(argv[1]),
        .driver = argv[3],
        .devices = argv + 4,
        .n_devices = (size_t)argc - 4,
    };
    for (struct way *way = ways; way < ways + WAYS; way++)
        way->samples = calloc(rounds, sizeof(*way->samples));
    if (!has_driverctl())
        PEER->every = 0;
    wait_for_name(group.bus, MANAGER_NAME);
    check_back(&group);
    take_turns(&group, rounds);
    report(&group);
    return 0;
}
