/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The targets of a call, found in the model: groups without repetition, and devices without a
 * group. */

#include <stddef.h>

#include <systemd/sd-bus.h>

#include "manager.h"

/* Whatever the policy's limits say. */
#define TARGETS_MAX CLAIM_GROUPS_MAX

struct targets {
    struct group **groups;
    size_t n_groups;
    struct device **named; /* devices of these groups that were named themselves */
    size_t n_named;
    struct device **groupless;
    size_t n_groupless;
};

void targets_done(struct targets *targets);

/* Reads an array of strings. OUTCOME_OK, an outcome with refusal filled, or a negative errno. */
int targets_read(sd_bus_message *message, const struct manager *manager, struct targets *ret,
                 struct refusal *refusal);

/* One target. OUTCOME_OK, or an outcome with refusal filled. */
int target_find(const struct manager *manager, const char *target, struct group **ret_group,
                struct device **ret_device, struct refusal *refusal);
