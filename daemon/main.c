/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options, construction, run. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <ev.h>
#include <systemd/sd-daemon.h>

#include "bus/bus.h"
#include "manager.h"
#include "reserve.h"
#include "util/string.h"

#define POLICY_WAIT_SECONDS 10.

struct daemon {
    struct ev_loop *loop;
    struct manager *manager;
    struct bus *bus;
    const char *bus_address;
    const char *reserve_device;
    ev_signal terminate, interrupt, hangup;
    int result;
    bool stopping;
};

static void usage(void) {
    printf("dmaownd [OPTION]...\n"
           "Decides who may drive a device's DMA; see dmaownd(8).\n\n"
           "  --config DIR       policy (default " SYSCONFDIR "/dmaownd)\n"
           "  --sysfs DIR        where sysfs is mounted (default /sys)\n"
           "  --state DIR        state of this boot (default /run/dmaownd)\n"
           "  --bus-address A    bus to serve (default: the system bus)\n"
           "  --foreground       log to standard error\n"
           "  --probe-kernel     note what this kernel enforces in the state folder, and end\n"
           "  --reserve-device P give the device at P to a VFIO driver if policy reserves it, and end\n"
           "  --version          print the version, and end\n"
           "  --help             print this, and end\n");
}

enum { OPTION_CONFIG = 256, OPTION_SYSFS, OPTION_STATE, OPTION_BUS, OPTION_FOREGROUND,
       OPTION_PROBE, OPTION_RESERVE, OPTION_VERSION, OPTION_HELP };

static const struct option option_table[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"sysfs", required_argument, NULL, OPTION_SYSFS},
    {"state", required_argument, NULL, OPTION_STATE},
    {"bus-address", required_argument, NULL, OPTION_BUS},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"probe-kernel", no_argument, NULL, OPTION_PROBE},
    {"reserve-device", required_argument, NULL, OPTION_RESERVE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

enum action { ACTION_RUN, ACTION_PROBE, ACTION_RESERVE, ACTION_NOTHING, ACTION_USAGE_ERROR };

static enum action take_option(int option, struct manager_options *options, struct daemon *daemon) {
    switch (option) {
    case OPTION_CONFIG:
        options->config_directory = optarg;
        return ACTION_RUN;
    case OPTION_SYSFS:
        options->sysfs_directory = optarg;
        return ACTION_RUN;
    case OPTION_STATE:
        options->state_directory = optarg;
        return ACTION_RUN;
    case OPTION_BUS:
        daemon->bus_address = optarg;
        return ACTION_RUN;
    case OPTION_FOREGROUND:
        options->foreground = true;
        return ACTION_RUN;
    case OPTION_PROBE:
        return ACTION_PROBE;
    case OPTION_RESERVE:
        daemon->reserve_device = optarg;
        return ACTION_RESERVE;
    case OPTION_VERSION:
        printf("dmaownd %s\n", PACKAGE_VERSION);
        return ACTION_NOTHING;
    case OPTION_HELP:
        usage();
        return ACTION_NOTHING;
    default:
        return ACTION_USAGE_ERROR;
    }
}

static enum action read_options(int argc, char **argv, struct manager_options *options,
                                struct daemon *daemon) {
    enum action action = ACTION_RUN;
    int option;

    while ((option = getopt_long(argc, argv, "", option_table, NULL)) >= 0) {
        enum action wanted = take_option(option, options, daemon);
        if (wanted != ACTION_RUN)
            action = wanted;
        if (wanted == ACTION_NOTHING || wanted == ACTION_USAGE_ERROR)
            return wanted;
    }
    if (optind < argc) {
        fprintf(stderr, "dmaownd: there is no argument \"%s\"; see --help.\n", argv[optind]);
        return ACTION_USAGE_ERROR;
    }
    return action;
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events) {
    struct daemon *daemon = watcher->data;

    daemon->stopping = true;
    ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int events) {
    struct daemon *daemon = watcher->data;

    (void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu",
                     (unsigned long long)now_monotonic());
    daemon->manager->reloading = true;
    int r = manager_load_policy(daemon->manager);
    if (r < 0) {
        log_message(LOG_ERR, "The policy can not be read: %s.", strerror(-r));
        (void)sd_notify(false, "READY=1");
    }
}

static void record_start(struct manager *manager) {
    _cleanup_(freep) char *message =
        string_format("dmaownd %s started: %zu groups, %zu devices, %zu leases.", PACKAGE_VERSION,
                      manager->model.n_groups, manager->model.n_devices, manager->leases.n_leases);

    audit_write(manager->audit, &(struct audit_event){.kind = AUDIT_STARTED,
                                                      .message = message,
                                                      .uid = AUDIT_UID_NONE,
                                                      .claimant_uid = AUDIT_UID_NONE});
}

static void on_ready(int result, void *userdata) {
    struct daemon *daemon = userdata;

    daemon->result = result;
    if (result < 0) {
        log_message(LOG_ERR, "The bus can not be used: %s.", strerror(-result));
        ev_break(daemon->loop, EVBREAK_ALL);
        return;
    }
    record_start(daemon->manager);
    (void)manager_start_usage(daemon->manager);
    manager_reserve_anew(daemon->manager);
    (void)sd_notify(false, "READY=1\nSTATUS=Ready.");
}

static void start_signals(struct daemon *daemon) {
    ev_signal_init(&daemon->terminate, on_terminate, SIGTERM);
    ev_signal_init(&daemon->interrupt, on_terminate, SIGINT);
    ev_signal_init(&daemon->hangup, on_hangup, SIGHUP);
    daemon->terminate.data = daemon->interrupt.data = daemon->hangup.data = daemon;
    ev_signal_start(daemon->loop, &daemon->terminate);
    ev_signal_start(daemon->loop, &daemon->interrupt);
    ev_signal_start(daemon->loop, &daemon->hangup);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void on_wait_over(struct ev_loop *loop, ev_timer *timer, int events) {
    log_message(LOG_WARNING, "The user database does not answer; starting without a policy.");
    *(bool *)timer->data = true;
}

/* Nobody is to meet a daemon that has not read its policy yet; but a user database that hangs does
 * not keep it from starting. */
static void wait_for_policy(struct daemon *daemon) {
    bool over = false;
    ev_timer timer;

    ev_timer_init(&timer, on_wait_over, POLICY_WAIT_SECONDS, 0.);
    timer.data = &over;
    ev_timer_start(daemon->loop, &timer);
    while (daemon->manager->policy_load && !over && !daemon->stopping)
        ev_run(daemon->loop, EVRUN_ONCE);
    ev_timer_stop(daemon->loop, &timer);
}

static int start(struct daemon *daemon, const struct manager_options *options) {
    int r = manager_new(daemon->loop, options, &daemon->manager);

    if (r < 0)
        return r;
    start_signals(daemon);
    manager_recover(daemon->manager);
    r = manager_load_policy(daemon->manager);
    if (r < 0)
        return r;
    wait_for_policy(daemon);
    r = bus_new(daemon->manager, daemon->bus_address, on_ready, daemon, &daemon->bus);
    if (r < 0)
        log_message(LOG_ERR, "The bus can not be used: %s.", strerror(-r));
    return r;
}

static int run(struct daemon *daemon, const struct manager_options *options) {
    daemon->loop = ev_loop_new(EVFLAG_NOENV | EVFLAG_AUTO);
    if (!daemon->loop)
        return -ENOMEM;
    int r = start(daemon, options);
    if (r >= 0) {
        if (!daemon->stopping)
            ev_run(daemon->loop, 0);
        r = daemon->result;
    }
    (void)sd_notify(false, "STOPPING=1");
    bus_free(daemon->bus);
    manager_free(daemon->manager);
    ev_loop_destroy(daemon->loop);
    return r;
}

static int probe_kernel(const struct manager_options *options) {
    int r = manager_probe_kernel(options->state_directory);

    /* Without it the daemon guesses by the release: no reason not to start. */
    if (r < 0)
        fprintf(stderr, "dmaownd: the kernel's symbols tell nothing: %s.\n", strerror(-r));
    return 0;
}

static int reserve(const struct manager_options *options, const char *device) {
    struct reserve_options reserve_options = {
        .config_directory = options->config_directory,
        .sysfs_directory = options->sysfs_directory,
        .state_directory = options->state_directory,
    };

    return reserve_device(&reserve_options, device);
}

int main(int argc, char **argv) {
    struct daemon daemon = {0};
    struct manager_options options = {
        .config_directory = SYSCONFDIR "/dmaownd",
        .sysfs_directory = "/sys",
        .state_directory = "/run/dmaownd",
    };

    switch (read_options(argc, argv, &options, &daemon)) {
    case ACTION_NOTHING:
        return 0;
    case ACTION_USAGE_ERROR:
        return 2;
    case ACTION_PROBE:
        log_open(true);
        return probe_kernel(&options);
    case ACTION_RESERVE:
        log_open(options.foreground);
        return reserve(&options, daemon.reserve_device) < 0 ? 1 : 0;
    default:
        log_open(options.foreground);
        return run(&daemon, &options) < 0 ? 1 : 0;
    }
}
