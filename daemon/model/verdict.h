/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* May these groups be granted? One pure function answers ListGroups, Explain and Claim, out of the
 * model, the policy, the caller and the options. It says so by findings: one machine-readable
 * reason each, tied to a group and mostly to a device of it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/group.h"
#include "model/lease.h"
#include "model/model.h"
#include "model/outcome.h"
#include "policy/policy.h"

/* What is so for the host as a whole. */
struct verdict_host {
    bool has_iommu;           /* false: KernelModel "none" */
    bool enforces;            /* the kernel's claim and bind exclude each other (5.19 and later) */
    bool remaps_interrupts;
    struct vfio_demands vfio;
};

struct verdict_request {
    const struct verdict_host *host;
    const struct model *model;       /* where PFs, VFs and what the device tree says are found; NULL: not
                                      * looked at */
    const struct policy *policy;     /* NULL: no policy was ever good, nothing is allowed */
    const struct lease_book *leases; /* for quotas */
    struct policy_subject caller;
    struct policy_subject holder;    /* the caller, or the user that it claims for */
    unsigned mode;                   /* one POLICY_MODE_…, 0: no lease is asked for */
    unsigned lifetime;               /* one POLICY_LIFETIME_…, 0: whatever the rules allow */
    enum lease_interface interface;
    uint64_t ttl;                    /* seconds, 0: none asked for */
    uint64_t held;                   /* the switch that was done for this request; 0 */
    bool on_record;                  /* the sentence is for the journal, which others read too */
    bool reserve;                    /* nobody asks: policy keeps the groups for userspace */
    bool detach;                     /* drivers are switched first */
    bool before_switch;              /* … and were not yet: kernel drivers are not in the way */
    struct device *const *named;     /* targets that were named as devices: see device_move */
    size_t n_named;
    struct group *const *groups;     /* without repetition */
    size_t n_groups;
    struct device *const *groupless; /* targets that are in no group */
    size_t n_groupless;
};

struct finding {
    enum reason reason;
    bool blocks;
    const struct group *group;        /* NULL for a device without one, and for the quota */
    const struct device *device;      /* NULL where the group as a whole is meant */
    const struct policy_rule *rule;   /* NULL where no rule decided */
    const struct device_use *use;     /* what the host needs the device for; NULL for others */
    const struct device *other;       /* split, half, pending: the one that shares its stream; NULL
                                       * where the device tree could not be read */
};

struct verdict {
    bool grantable;
    enum reason first; /* REASON_NONE if grantable */
    size_t first_index; /* of the finding that speaks for first */
    struct policy_terms terms;
    const struct policy_rule **rules; /* those that allowed it, without repetition */
    size_t n_rules, rules_room;
    struct finding *findings;
    size_t n_findings, room;
    bool out_of_memory; /* findings are missing; not grantable */
};

/* *ret must be zeroed; verdict_done frees it. */
void verdict_reach(const struct verdict_request *request, struct verdict *ret);
void verdict_done(struct verdict *verdict);

/* The device as rules see it; borrowed. */
struct policy_device verdict_policy_view(const struct device *device);

/* The interface that the request means: by default cdev only where a group has no node of its own. */
enum lease_interface verdict_interface(const struct verdict_request *request);

/* The first blocking reason for one group, without keeping findings: for lists. */
enum reason verdict_first_reason(const struct verdict_request *request);

/* Names of the rules that allowed it, comma separated. The caller's; NULL when out of memory. */
char *verdict_join_rules(const struct verdict *verdict);

/* The finding that speaks for the refusal, or NULL if grantable. */
const struct finding *verdict_first_finding(const struct verdict *verdict);

/* One full sentence: the device, the driver, what to do. The caller's; NULL when out of memory. */
char *finding_text(const struct finding *finding, const struct verdict_request *request);

/* Why it was refused: the sentence of the first finding; and where kernel drivers hold more than that one
 * device, those as well. The caller's; NULL if grantable, or when out of memory. */
char *verdict_text(const struct verdict *verdict, const struct verdict_request *request);
