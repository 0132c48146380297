/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/targets.h"

#include <errno.h>

#include "util/string.h"

#define TARGET_LENGTH_MAX 4096

void targets_done(struct targets *targets) {
    free(targets->groups);
    free(targets->groupless);
    free(targets->named);
    *targets = (struct targets){0};
}

static int refuse_target(const char *target, bool ambiguous, struct refusal *refusal) {
    _cleanup_(freep) char *start = strndup(target, 128);
    _cleanup_(freep) char *shown = start ? text_escape(start) : NULL;
    const char *dots = strlen(target) > 128 ? "…" : "";

    if (ambiguous)
        return refuse(refusal, OUTCOME_NO_SUCH_TARGET,
                      "Target \"%s\" is a device on several buses; write bus/name.", shown ?: "?");
    return refuse(refusal, OUTCOME_NO_SUCH_TARGET,
                  "Target \"%s%s\" is no group and no device here; a target is a group number, a "
                  "device name, bus/name, a path below /sys, or /dev/vfio/N.",
                  shown ?: "?", dots);
}

int target_find(const struct manager *manager, const char *target, struct group **ret_group,
                struct device **ret_device, struct refusal *refusal) {
    enum target_outcome outcome = TARGET_UNKNOWN;

    if (strnlen(target, TARGET_LENGTH_MAX) < TARGET_LENGTH_MAX)
        outcome = model_find_target(&manager->model, target, ret_group, ret_device);
    return outcome == TARGET_FOUND
               ? OUTCOME_OK
               : (int)refuse_target(target, outcome == TARGET_AMBIGUOUS, refusal);
}

static void add_group(struct targets *targets, struct group *group) {
    for (size_t i = 0; i < targets->n_groups; i++)
        if (targets->groups[i] == group)
            return;
    targets->groups[targets->n_groups++] = group;
}

static void add_device(struct device **devices, size_t *n, struct device *device) {
    for (size_t i = 0; i < *n; i++)
        if (devices[i] == device)
            return;
    devices[(*n)++] = device;
}

static int add_target(const struct manager *manager, const char *target, struct targets *targets,
                      struct refusal *refusal) {
    struct group *group;
    struct device *device;
    int r = target_find(manager, target, &group, &device, refusal);

    if (r != OUTCOME_OK)
        return r;
    if (device)
        add_device(targets->named, &targets->n_named, device);
    if (group)
        add_group(targets, group);
    else
        add_device(targets->groupless, &targets->n_groupless, device);
    return OUTCOME_OK;
}

static size_t targets_limit(const struct manager *manager) {
    size_t limit =
        manager->policy ? policy_limits(manager->policy)->targets_per_call : TARGETS_MAX;

    return limit < TARGETS_MAX ? limit : TARGETS_MAX;
}

static int fill(sd_bus_message *message, const struct manager *manager, struct targets *targets,
                struct refusal *refusal) {
    size_t limit = targets_limit(manager), n = 0;
    const char *target;
    int r, outcome = OUTCOME_OK;

    while ((r = sd_bus_message_read_basic(message, 's', &target)) > 0) {
        if (n++ == limit)
            return refuse(refusal, OUTCOME_INVALID_OPTION,
                          "A call takes at most %zu targets; split it.", limit);
        if (outcome == OUTCOME_OK)
            outcome = add_target(manager, target, targets, refusal);
    }
    if (r < 0)
        return r;
    if (!n)
        return refuse(refusal, OUTCOME_INVALID_OPTION, "No target is named.");
    return outcome;
}

int targets_read(sd_bus_message *message, const struct manager *manager, struct targets *ret,
                 struct refusal *refusal) {
    size_t room = targets_limit(manager);
    struct targets targets = {
        .groups = calloc(room, sizeof(*targets.groups)),
        .groupless = calloc(room, sizeof(*targets.groupless)),
        .named = calloc(room, sizeof(*targets.named)),
    };
    int r = targets.groups && targets.groupless && targets.named ? 0 : -ENOMEM;

    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "s");
    if (r >= 0)
        r = fill(message, manager, &targets, refusal);
    if (r == OUTCOME_OK) {
        r = sd_bus_message_exit_container(message);
        r = r < 0 ? r : OUTCOME_OK;
    }
    if (r == OUTCOME_OK)
        *ret = targets;
    else
        targets_done(&targets);
    return r;
}
