/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the worker of one member does, and what the daemon learns of it. The worker says each step before
 * it takes it, so that a step that hangs has a name. */
#include "manager-switch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "kernel/driver-switch.h"
#include "kernel/kernel-log.h"
#include "kernel/vfio-driver.h"
#include "model/driver-role.h"
#include "util/fd.h"
#include "util/string.h"

/* The killed daemon had one worker for the device. */
#define ATTEMPTS_AFTER_CRASH 3

/* ---- in the worker: lines "at KIND FROM TO", "target DRIVER", "failed ERRNO TEXT" */

static int say(int output, const char *format, ...) _printf_(2, 3);
static int say(int output, const char *format, ...) {
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(line))
        return -ENAMETOOLONG;
    return fd_write_all(output, line, (size_t)length);
}

static int take_step(int output, int sysfs, const struct detachment_member *member,
                     const struct step *step) {
    int r = say(output, "at\t%s\t%s\t%s\n", step_kind_to_string(step->kind), step->from, step->to);

    return r < 0 ? r : driver_step(sysfs, member->path, member->bus, step);
}

static int say_failure(int output, const struct member_run *run, int error) {
    _cleanup_(freep) char *text = NULL;

    (void)kernel_log_read(path_basename(run->path), run->transaction->began, &text);
    return say(output, "failed\t%d\t%s\n", -error, text ?: "");
}

static int take_steps(int output, int sysfs, const struct detachment_member *member,
                      const struct step *steps, size_t n, enum step_kind *ret_failed) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        r = take_step(output, sysfs, member, &steps[i]);
        *ret_failed = steps[i].kind;
    }
    return r;
}

/* A driver names its folder itself: what was taken for it before its module was loaded was a guess. */
static int choose_target(int output, int sysfs, struct detachment_member *member,
                         const struct vfio_candidate *candidate) {
    char driver[NAME_MAX + 1];
    int r = vfio_driver_find(sysfs, member->bus, candidate->driver, driver);

    if (r == 0)
        r = vfio_driver_find(sysfs, member->bus, candidate->module, driver);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    free(member->target);
    member->target = strdup(driver);
    return member->target ? say(output, "target\t%s\n", driver) : -ENOMEM;
}

/* A variant that refuses the device leaves it to the next best. */
static int go_to_user(int output, int sysfs, struct detachment_member *member,
                      const struct member_run *run) {
    struct step steps[STEPS_MAX];
    int r = -ENODEV;

    for (size_t i = 0; i < run->n_candidates; i++) {
        enum step_kind failed = STEP_BIND;
        r = choose_target(output, sysfs, member, &run->candidates[i]);
        if (r >= 0)
            r = take_steps(output, sysfs, member, steps, steps_away(member, steps), &failed);
        if (r >= 0 || failed != STEP_BIND)
            return r;
    }
    return r;
}

static int go_away(int output, int sysfs, struct detachment_member *member,
                   const struct member_run *run) {
    struct step steps[STEPS_MAX];
    enum step_kind failed;

    if (member->move == MOVE_TO_USER)
        return go_to_user(output, sysfs, member, run);
    return take_steps(output, sysfs, member, steps, steps_away(member, steps), &failed);
}

/* What can not be reset is no host driver's: it may still write to memory. */
static int leave_unbound(int sysfs, const struct detachment_member *member) {
    struct step pin = {.kind = STEP_PIN, .from = member->target, .to = PIN_DRIVER};
    struct step unbind = {.kind = STEP_UNBIND, .from = member->target, .to = ""};

    (void)driver_step(sysfs, member->path, member->bus, &pin); /* where the bus has overrides */
    return driver_step(sysfs, member->path, member->bus, &unbind);
}

/* A worker of the daemon that was killed ends with the system call that it is stuck in, and that may yet
 * take the driver away. The kernel refuses a second driver only once it has the device to itself. */
static void wait_for_others(int sysfs, const struct detachment_member *member) {
    char driver[NAME_MAX + 1];

    if (driver_name(sysfs, member->path, driver) > 0)
        (void)driver_bind(sysfs, member->bus, path_basename(member->path), driver);
}

/* The record may have the candidate that refused, or a guess at the driver's name, if a daemon was killed
 * before it could write down more; and by hand the device may have gone to another VFIO driver. */
static int note_vfio_driver(int sysfs, struct detachment_member *member) {
    char driver[NAME_MAX + 1];
    int r = driver_name(sysfs, member->path, driver);

    if (r <= 0 || member->move != MOVE_TO_USER || driver_role(driver, false, false) != ROLE_USER)
        return r < 0 ? r : 0;
    free(member->target);
    member->target = strdup(driver);
    return member->target ? 0 : -ENOMEM;
}

static int try_back(int output, int sysfs, struct detachment_member *member,
                    const struct member_run *run, enum step_kind *ret_failed) {
    struct step steps[STEPS_MAX];
    int r = note_vfio_driver(sysfs, member);

    if (r < 0)
        return r == -ENOENT ? 0 : r; /* unplugged */
    size_t n = steps_back(member, run->transaction->way, run->soiled, steps), first = 0;
    if (run->soiled && steps[0].kind == STEP_RESET) {
        *ret_failed = STEP_RESET;
        r = take_step(output, sysfs, member, &steps[first++]);
        if (r < 0 && !run->unreset) {
            (void)leave_unbound(sysfs, member);
            return r;
        }
    }
    return take_steps(output, sysfs, member, steps + first, n - first, ret_failed);
}

/* A worker of a daemon before may have bound it to VFIO just now, behind the step that unbinds. */
static int go_back(int output, int sysfs, struct detachment_member *member,
                   const struct member_run *run) {
    unsigned attempts = run->after_crash ? ATTEMPTS_AFTER_CRASH : 1;
    enum step_kind failed = STEP_STAY;
    int r = 0;

    if (run->after_crash)
        wait_for_others(sysfs, member);
    for (unsigned i = 0; i < attempts; i++) {
        r = try_back(output, sysfs, member, run, &failed);
        if (r != -EBUSY || failed != STEP_BIND)
            break;
    }
    return r;
}

static int run_steps(int output, void *userdata) {
    const struct member_run *run = userdata;
    struct transaction *transaction = run->transaction;
    struct detachment_member *member = detachment_find(transaction->detachment, run->path);
    _cleanup_(fd_closep) int sysfs =
        fd_open_directory(AT_FDCWD, transaction->manager->options.sysfs_directory);

    if (sysfs < 0 || !member)
        return sysfs < 0 ? sysfs : -ENOENT;
    int r = run->state == RUN_LEAVES ? go_away(output, sysfs, member, run)
                                     : go_back(output, sysfs, member, run);
    return r < 0 ? say_failure(output, run, r) : 0;
}

/* ---- in the daemon */

struct progress {
    char *copy; /* of the output; the texts below are in it */
    const char *kind, *from, *to; /* of the last step; NULL before the first */
    const char *target;
    int error; /* 0, or the errno that it failed with */
    const char *log;
};

static void take_line(struct progress *progress, char *line) {
    const char *word = strsep(&line, "\t");
    uint32_t number;

    if (!line)
        return;
    if (string_equal(word, "at")) {
        progress->kind = strsep(&line, "\t");
        progress->from = strsep(&line, "\t") ?: "";
        progress->to = line ?: "";
    } else if (string_equal(word, "target")) {
        progress->target = line;
    } else if (string_equal(word, "failed")) {
        const char *error = strsep(&line, "\t");
        progress->error = parse_u32(error, &number) < 0 ? EIO : (int)number;
        progress->log = line ?: "";
    }
}

static void read_progress(const char *output, struct progress *ret) {
    char *rest = ret->copy = strdup(output), *line;

    while (rest && (line = strsep(&rest, "\n")))
        take_line(ret, line);
}

static void progress_done(struct progress *progress) {
    free(progress->copy);
}

static char *describe(const struct member_run *run, const struct progress *progress) {
    const char *name = path_basename(run->path);

    if (!progress->kind)
        return string_format("the switch of device %s", name);
    if (*progress->to && !string_equal(progress->kind, "unbind"))
        return string_format("step %s of device %s to %s", progress->kind, name, progress->to);
    if (*progress->from)
        return string_format("step %s of device %s from %s", progress->kind, name, progress->from);
    return string_format("step %s of device %s", progress->kind, name);
}

char *member_describe_step(const struct member_run *run) {
    _cleanup_(progress_done) struct progress progress = {0};

    read_progress(run->worker ? worker_output(run->worker) : "", &progress);
    return describe(run, &progress);
}

/* Where it went in the end, which is what the way back begins with. */
static void take_target(struct member_run *run, const struct progress *progress) {
    struct detachment_member *member =
        detachment_find(run->transaction->detachment, run->path);
    char *copy = progress->target && member ? strdup(progress->target) : NULL;

    if (!copy)
        return;
    free(member->target);
    member->target = copy;
}

/* A device that could not be reset has an error of its own: somebody may have left it running. */
static void note_unreset(struct member_run *run) {
    struct manager *manager = run->transaction->manager;
    struct device *device = model_device(&manager->model, run->path);

    if (device)
        device->reset_failed = true;
    transaction_fail(run->transaction, OUTCOME_NOT_VIABLE,
                     "Device %s was open to uid %u and could not be reset, so it was left without a "
                     "driver; power it off and on, or reattach it with reattach_unreset.",
                     path_basename(run->path), device ? device->soiled_by : 0);
}

static void note_failure(struct member_run *run, const struct progress *progress) {
    _cleanup_(freep) char *step = describe(run, progress);
    const char *log = progress->log && *progress->log ? progress->log : NULL;

    if (run->state == RUN_RETURNS && string_equal(progress->kind, "reset")) {
        note_unreset(run);
        return;
    }
    if (step && *step == 's')
        *step = 'S';
    transaction_fail(run->transaction, OUTCOME_SWITCH_FAILED, "%s failed: %s (%s)%s%s.",
                     step ?: "The switch", strerror(progress->error),
                     strerrorname_np(progress->error) ?: "?",
                     log ? "; the kernel says: " : "", log ?: "");
}

static void on_steps(int result, const char *output, size_t size, void *userdata) {
    struct member_run *run = userdata;
    struct transaction *transaction = run->transaction;
    _cleanup_(progress_done) struct progress progress = {0};
    bool leaves = run->state == RUN_LEAVES;

    run->worker = NULL;
    read_progress(output, &progress);
    take_target(run, &progress);
    if (result < 0)
        progress.error = -result;
    if (progress.error)
        note_failure(run, &progress);
    if (leaves)
        run->state = progress.error ? RUN_FAILED : RUN_AWAY;
    else
        run->state = progress.error ? RUN_LEFT : RUN_BACK;
    if (run->state == RUN_BACK && run->soiled)
        manager_note_clean(transaction->manager, run->path);
    transaction_go_on(transaction);
}

int member_start(struct member_run *run, bool returns) {
    run->state = returns ? RUN_RETURNS : RUN_LEAVES;
    int r = worker_start_unlimited(run->transaction->manager->loop, run_steps, on_steps, run,
                                   &run->worker);
    if (r < 0)
        log_message(LOG_ERR, "No process for moving device %s: %s.", path_basename(run->path),
                    strerror(-r));
    return r;
}
