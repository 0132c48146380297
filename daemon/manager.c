/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Construction, and the sources of events: uevents, nodes, the tick, expiry and draining. */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <syslog.h>

#include <systemd/sd-daemon.h>

#include "util/fd.h"
#include "util/string.h"

#define TICK_SECONDS 15.
#define EVENTS_PER_TURN 256
#define SYMBOLS "/proc/kallsyms"
#define KERNEL_MODEL_CACHE "kernel-model"

static void receive_uevents(struct manager *manager, unsigned limit) {
    int r = uevent_receive(manager->uevents, limit, manager_handle_uevent, manager);

    manager_reread_stale(manager);
    if (r == UEVENT_LOST) {
        log_message(LOG_WARNING, "Uevents were lost; everything is read again.");
        (void)manager_scan(manager);
    } else if (r < 0) {
        log_message(LOG_ERR, "Uevents can not be received: %s.", strerror(-r));
    }
}

static void on_uevents(struct ev_loop *loop, ev_io *watcher, int events) {
    receive_uevents(watcher->data, EVENTS_PER_TURN);
}

/* Nodes before uevents: a node that is new because its driver went and came is preceded by an event
 * that ends the lease, and is not to be taken for one that somebody touched. */
static void receive_everything(struct manager *manager, unsigned limit) {
    int r = node_watch_receive(manager->nodes, manager_handle_node_event, manager);

    if (r < 0)
        log_message(LOG_ERR, "Events of /dev/vfio can not be received: %s.", strerror(-r));
    receive_uevents(manager, limit);
}

static void on_nodes(struct ev_loop *loop, ev_io *watcher, int events) {
    receive_everything(watcher->data, EVENTS_PER_TURN);
    manager_try_draining(watcher->data);
}

void manager_catch_up(struct manager *manager) {
    receive_everything(manager, EVENTS_PER_TURN * 16);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events) {
    struct manager *manager = timer->data;

    for (struct group *group = manager->model.groups; group; group = group->by_id.next) {
        if (group->repairs)
            model_touch_group(&manager->model, group); /* it may have been left as it was */
        group->repairs = 0;
    }
    manager_look_for_foreign(manager);
    manager->tick_passed = manager_refresh_members(manager) >= 0;
    manager_check_iommu_node(manager);
    /* Where it shows by a device that uses it, a driver may have come since. */
    if (!manager->host.remaps_interrupts)
        manager->host.remaps_interrupts = interrupts_are_remapped();
    vfio_demands_read(manager->sysfs, NULL, &manager->host.vfio);
    manager_guard_again(manager);
    for (struct lease *lease = manager->leases.leases; lease; lease = lease->by_id.next)
        if (lease->state == LEASE_ACTIVE)
            manager_sample_opens(manager, lease);
    manager_try_draining(manager);
    manager_return_due(manager);
    audit_flush_denials(manager->audit, now_monotonic());
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events) {
    manager_end_overdue(timer->data);
    manager_return_due(timer->data);
    manager_arm_deadline(timer->data);
}

static void on_drain(struct ev_loop *loop, ev_timer *timer, int events) {
    manager_try_draining(timer->data);
}

/* Once a loop turn, before it sleeps: what changed goes out, and a healthy turn feeds the watchdog. */
static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events) {
    struct manager *manager = watcher->data;

    if (manager->listener && (manager->changed || model_has_changes(&manager->model))) {
        manager->changed = false;
        manager->listener->publish(manager->listener_data);
        model_forget_changes(&manager->model);
    }
    if (manager->tick_passed) {
        manager->tick_passed = false;
        (void)sd_notify(false, "WATCHDOG=1");
    }
}

/* ---- what the kernel enforces */

static int read_symbols(int output, void *userdata) {
    enum kernel_model model;
    int r = kernel_model_from_symbols(SYMBOLS, &model);

    if (r < 0)
        return r;
    const char *text = kernel_model_to_string(model);
    return fd_write_all(output, text, strlen(text));
}

static void on_symbols(int result, const char *output, size_t size, void *userdata) {
    struct manager *manager = userdata;
    enum kernel_model model;

    manager->symbols = NULL;
    if (result < 0 || kernel_model_from_string(output, &model) < 0)
        return;
    (void)state_write_cache(manager->state, KERNEL_MODEL_CACHE, output);
    if (model != manager->kernel_model)
        log_message(LOG_NOTICE, "By its symbols, the model of this kernel is %s.", output);
    manager->kernel_model = model;
    manager->changed = true;
}

/* Cached for this boot; else guessed by the release until a worker has read the symbols. */
static void find_kernel_model(struct manager *manager) {
    _cleanup_(freep) char *cached = NULL;
    struct utsname name;

    if (state_read_cache(manager->state, KERNEL_MODEL_CACHE, &cached) >= 0 &&
        kernel_model_from_string(cached, &manager->kernel_model) >= 0)
        return;
    (void)uname(&name);
    manager->kernel_model = kernel_model_from_release(name.release);
    log_message(LOG_INFO, "The model of this kernel is taken to be %s, a guess by its release %s.",
                kernel_model_to_string(manager->kernel_model), name.release);
    (void)worker_start(manager->loop, read_symbols, on_symbols, manager, &manager->symbols);
}

int manager_probe_kernel(const char *state_directory) {
    _cleanup_(state_closep) struct state *state = NULL;
    char boot_id[37];
    enum kernel_model model;

    int r = boot_id_read(boot_id);
    if (r >= 0)
        r = state_open(state_directory, boot_id, &state);
    if (r >= 0)
        r = kernel_model_from_symbols(SYMBOLS, &model);
    if (r >= 0)
        r = state_write_cache(state, KERNEL_MODEL_CACHE, kernel_model_to_string(model));
    return r;
}

enum kernel_model manager_kernel_model(const struct manager *manager) {
    return manager->model.n_groups ? manager->kernel_model : KERNEL_MODEL_NONE;
}

/* ---- construction */

static int open_outside(struct manager *manager) {
    const struct manager_options *options = &manager->options;
    char boot_id[37];

    int r = audit_new(options->foreground, &manager->audit);
    if (r < 0)
        return r;
    manager->sysfs = fd_open_directory(AT_FDCWD, options->sysfs_directory);
    if (manager->sysfs < 0) {
        log_message(LOG_ERR, "Sysfs %s can not be opened: %s.", options->sysfs_directory,
                    strerror(-manager->sysfs));
        return manager->sysfs;
    }
    r = boot_id_read(boot_id);
    if (r >= 0)
        r = state_open(options->state_directory, boot_id, &manager->state);
    if (r < 0)
        log_message(LOG_ERR, "State folder %s can not be used: %s.", options->state_directory,
                    r == -EBUSY ? "another dmaownd has it" : strerror(-r));
    return r;
}

/* Monitor first, scan second: what happens in between is seen twice, never not at all. */
static int read_kernel(struct manager *manager) {
    int r = uevent_monitor_new(&manager->uevents);

    if (r < 0) {
        log_message(LOG_ERR, "Uevents can not be subscribed to: %s.", strerror(-r));
        return r;
    }
    r = node_watch_new(&manager->nodes);
    if (r < 0) {
        log_message(LOG_ERR, "/dev/vfio can not be watched: %s.", strerror(-r));
        return r;
    }
    return manager_scan(manager);
}

static void start_sources(struct manager *manager) {
    ev_io_init(&manager->uevent_input, on_uevents, uevent_monitor_fd(manager->uevents), EV_READ);
    manager->uevent_input.data = manager;
    ev_io_start(manager->loop, &manager->uevent_input);
    ev_io_init(&manager->node_input, on_nodes, node_watch_fd(manager->nodes), EV_READ);
    manager->node_input.data = manager;
    ev_io_start(manager->loop, &manager->node_input);
    ev_timer_start(manager->loop, &manager->tick);
    ev_prepare_start(manager->loop, &manager->turn);
}

static double tick_seconds(void) {
    uint64_t watchdog;

    if (sd_watchdog_enabled(false, &watchdog) > 0)
        return (double)watchdog / 1e6 / 2;
    return TICK_SECONDS;
}

static void init_sources(struct manager *manager) {
    double seconds = tick_seconds();

    ev_timer_init(&manager->tick, on_tick, seconds, seconds);
    ev_timer_init(&manager->deadline, on_deadline, 0., 0.);
    ev_timer_init(&manager->drain, on_drain, 0., 0.);
    ev_prepare_init(&manager->turn, on_turn);
    /* Before the bus looks what it has to send. */
    ev_set_priority(&manager->turn, EV_MAXPRI);
    manager->tick.data = manager->deadline.data = manager->drain.data = manager->turn.data = manager;
}

static int load_leases(struct manager *manager) {
    unsigned bad = 0;
    int r = state_load(manager->state, &manager->leases, &bad);

    if (r < 0)
        log_message(LOG_ERR, "Leases can not be read from %s: %s.",
                    manager->options.state_directory, strerror(-r));
    else if (bad)
        log_message(LOG_ERR, "%u lease files in %s were not readable and are set aside as *.bad.",
                    bad, manager->options.state_directory);
    manager->lost_leases = bad;
    for (struct lease *lease = manager->leases.leases; lease; lease = lease->by_id.next)
        for (size_t i = 0; i < lease->n_groups; i++)
            lease->groups[i].opened = true; /* nobody saw whether */
    return r;
}

int manager_new(struct ev_loop *loop, const struct manager_options *options, struct manager **ret) {
    _cleanup_(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));

    if (!manager)
        return -ENOMEM;
    manager->loop = loop;
    manager->options = *options;
    manager->sysfs = manager->keepers_ended = -1;
    model_init(&manager->model);
    init_sources(manager);
    int r = open_outside(manager);
    if (r >= 0)
        r = load_leases(manager);
    if (r >= 0)
        r = read_kernel(manager);
    if (r < 0)
        return r;
    r = manager_load_soiled(manager);
    if (r >= 0)
        r = manager_load_detachments(manager);
    if (r < 0)
        return r;
    manager->host.remaps_interrupts = interrupts_are_remapped();
    vfio_demands_read(manager->sysfs, NULL, &manager->host.vfio);
    find_kernel_model(manager);
    r = manager_start_keepers(manager);
    if (r < 0)
        return r;
    start_sources(manager);
    *ret = TAKE_POINTER(manager);
    return 0;
}

static void stop_sources(struct manager *manager) {
    ev_io_stop(manager->loop, &manager->uevent_input);
    ev_io_stop(manager->loop, &manager->node_input);
    ev_timer_stop(manager->loop, &manager->tick);
    ev_timer_stop(manager->loop, &manager->deadline);
    ev_timer_stop(manager->loop, &manager->drain);
    ev_prepare_stop(manager->loop, &manager->turn);
}

struct manager *manager_free(struct manager *manager) {
    if (!manager)
        return NULL;
    stop_sources(manager);
    manager_cancel_policy_load(manager);
    worker_free(manager->symbols);
    manager_free_drains(manager);
    manager_free_cleanings(manager);
    manager_free_guards(manager);
    manager_free_reservations(manager);
    manager_free_usage(manager);
    manager_free_transactions(manager);
    manager_free_detachments(manager);
    manager_free_keepers(manager);
    lease_book_done(&manager->leases);
    model_done(&manager->model);
    policy_free(manager->policy);
    uevent_monitor_free(manager->uevents);
    node_watch_free(manager->nodes);
    state_close(manager->state);
    if (manager->audit)
        audit_flush_denials(manager->audit, UINT64_MAX);
    audit_free(manager->audit);
    fd_close(manager->sysfs);
    free(manager);
    return NULL;
}
