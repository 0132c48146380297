/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What UsedBy says: looked at when something has changed, and not more often than is good for a host where
 * much changes. Whoever asks whether a device can be had (Explain, Detach) has it looked at anew. */
#include "manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "kernel/usage-watch.h"
#include "util/clock.h"
#include "util/string.h"

/* After a change, and between two looks. */
#define SOON_SECONDS 0.2
#define PAUSE_SECONDS 5.
/* Where the host drives more devices than these, they are looked at only when somebody asks. */
#define DEVICES_MAX 512

struct usage {
    struct usage_watch *watch;
    struct manager_survey *survey;
    ev_timer timer;
    uint64_t last_look; /* µs, monotonic */
    bool again;         /* something has changed since the look that is under way began */
};

static void on_look(int result, void *userdata) {
    struct manager *manager = userdata;

    manager->usage->survey = NULL;
    if (manager->usage->again)
        manager_look_at_usage(manager);
}

static struct device **list_kernel_devices(struct manager *manager, size_t *ret_n) {
    struct device **devices = calloc(DEVICES_MAX, sizeof(*devices));
    size_t n = 0;

    for (struct device *device = manager->model.devices; devices && device;
         device = device->by_path.next) {
        if (device->role != ROLE_KERNEL || !device->group || device->group->switching)
            continue;
        if (n == DEVICES_MAX) {
            free(devices);
            return NULL;
        }
        devices[n++] = device;
    }
    *ret_n = n;
    return devices;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events) {
    struct manager *manager = timer->data;
    struct usage *usage = manager->usage;
    size_t n = 0;
    _cleanup_(freep) struct device **devices = list_kernel_devices(manager, &n);

    usage->again = false;
    usage->last_look = now_monotonic();
    if (devices && n)
        (void)manager_survey(manager, devices, n, NULL, on_look, manager, &usage->survey);
}

void manager_look_at_usage(struct manager *manager) {
    struct usage *usage = manager->usage;

    if (!usage)
        return;
    usage->again = usage->survey != NULL;
    if (usage->again || ev_is_active(&usage->timer))
        return;
    uint64_t since = now_monotonic() - usage->last_look;
    double pause = usage->last_look ? PAUSE_SECONDS - (double)since / 1e6 : 0;
    ev_timer_set(&usage->timer, pause > SOON_SECONDS ? pause : SOON_SECONDS, 0.);
    ev_timer_start(manager->loop, &usage->timer);
}

static void on_changed(void *userdata) {
    manager_look_at_usage(userdata);
}

int manager_start_usage(struct manager *manager) {
    struct usage *usage = manager->usage = calloc(1, sizeof(*usage));

    if (!usage)
        return -ENOMEM;
    ev_timer_init(&usage->timer, on_timer, 0., 0.);
    usage->timer.data = manager;
    int r = usage_watch_new(manager->loop, on_changed, manager, &usage->watch);
    if (r < 0)
        log_message(LOG_WARNING, "Changes of mounts, addresses and routes can not be watched: %s.",
                    strerror(-r));
    manager_look_at_usage(manager);
    return 0;
}

void manager_free_usage(struct manager *manager) {
    struct usage *usage = manager->usage;

    if (!usage)
        return;
    ev_timer_stop(manager->loop, &usage->timer);
    usage_watch_free(usage->watch);
    manager_survey_free(usage->survey);
    free(usage);
    manager->usage = NULL;
}
