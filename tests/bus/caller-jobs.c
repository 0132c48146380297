/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs of the service manager's stand-in: modprobe@NAME.service loads a module of the fake kernel. */
#include "caller.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOB "/org/freedesktop/systemd1/job/"
#define HELD 16

static struct job {
    uint32_t id;
    char unit[256];
} held[HELD];
static int held_count;
static bool holds;
static uint32_t last_job = 100;

/* "modprobe@vfio\x2dpci.service": "vfio-pci"; false for another unit. */
static bool module_of(const char *unit, char *to, size_t size) {
    const char *at = unit + strlen("modprobe@"), *end = strstr(unit, ".service");
    size_t used = 0;

    if (strncmp(unit, "modprobe@", strlen("modprobe@")) != 0 || !end)
        return false;
    for (unsigned code; at < end && used + 1 < size; used++) {
        if (sscanf(at, "\\x%2x", &code) == 1) {
            to[used] = (char) code;
            at += 4;
        } else {
            to[used] = *at == '-' ? '/' : *at;
            at++;
        }
    }
    to[used] = '\0';
    return used > 0 && used == strspn(to, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-:,");
}

/* What modprobe would insert: it knows aliases, what a module needs, and the blacklist. As the unit has
 * it, a failure is none. */
static void load(const char *module) {
    char command[1024];

    snprintf(command, sizeof(command),
             "modprobe -abqD '%s' 2> /dev/null | sed -n 's|^insmod .*/\\([^/ ]*\\)\\.ko.*|\\1|p' |"
             " while read -r module; do \"$FAKEKERNEL/fakectl\" load \"$module\" 2> /dev/null;"
             " done; true",
             module);
    if (system(command) != 0)
        printf("modprobe could not be run\n");
}

static int finish(sd_bus *bus, const struct job *job) {
    char path[64], module[256];

    if (module_of(job->unit, module, sizeof(module)))
        load(module);
    snprintf(path, sizeof(path), JOB "%u", job->id);
    return sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                              "JobRemoved", "uoss", job->id, path, job->unit, "done");
}

int jobs_start_unit(sd_bus_message *m) {
    const char *unit, *mode;
    struct job job;
    char path[64];
    int r = sd_bus_message_read(m, "ss", &unit, &mode);

    if (r < 0)
        return r;
    if (strncmp(unit, "modprobe@", strlen("modprobe@")) != 0)
        return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit",
                                          "Unit %s not found.", unit);
    printf("start %s %s\n", unit, mode);
    job.id = ++last_job;
    snprintf(job.unit, sizeof(job.unit), "%s", unit);
    snprintf(path, sizeof(path), JOB "%u", job.id);
    r = sd_bus_reply_method_return(m, "o", path);
    if (r < 0)
        return r;
    if (!holds || held_count == HELD)
        r = finish(sd_bus_message_get_bus(m), &job);
    else
        held[held_count++] = job;
    return r < 0 ? r : 1;
}

int jobs_hold(sd_bus *bus, bool hold) {
    int r = 0;

    holds = hold;
    if (hold)
        return 0;
    for (int i = 0; i < held_count && r >= 0; i++)
        r = finish(bus, &held[i]);
    held_count = 0;
    return r;
}
