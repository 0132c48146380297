/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A compiled policy from the inside (private to the policy layer). Everything that rules point to
 * lies in the policy's own memory and goes with it. */

#include "policy/pattern.h"
#include "policy/policy.h"

/* The match keys, cheapest question first: conditions are kept and asked in this order. */
enum match_key {
    MATCH_BUS,
    MATCH_VENDOR,
    MATCH_PRODUCT,
    MATCH_SUBSYSTEM_VENDOR,
    MATCH_SUBSYSTEM_PRODUCT,
    MATCH_NUMA_NODE,
    MATCH_CLASS,
    MATCH_REMOVABLE,
    MATCH_DRIVER,
    MATCH_NAME,
    MATCH_COMPATIBLE,
    MATCH_MODALIAS,
    MATCH_PATH,
    MATCH_KEYS,
};

const char *match_key_to_string(enum match_key key);

/* True for keys that only PCI devices have. */
bool match_key_is_pci(enum match_key key);

/* One key with its alternatives: patterns, or numbers. */
struct condition {
    enum match_key key;
    size_t n;
    const struct pattern *patterns;
    const uint32_t *numbers;
};

struct policy_match {
    unsigned keys; /* bits 1 << enum match_key */
    size_t n_conditions;
    struct condition conditions[MATCH_KEYS];
};

struct policy_subjects {
    bool named;      /* users or groups were stated, even if all were dropped */
    bool incomplete; /* some were dropped */
    const uid_t *users;
    size_t n_users;
    const gid_t *groups;
    size_t n_groups;
    const struct pattern *units;
    size_t n_units;
};

struct block;

struct policy {
    struct block *blocks;
    struct policy_rule *rules;
    size_t n_rules, rules_allocated;
    struct policy_limits limits;
    char **files;
    bool uses_units;
};

/* A device and what is made from it only when a rule asks. */
struct device_texts {
    const struct policy_device *device;
    bool has_class, has_path;
    char class[sizeof("0x000000")];
    char path[4096 + sizeof("/sys/")];
};

bool match_holds(const struct policy_match *match, struct device_texts *texts);
bool match_covers(const struct policy_match *outer, const struct policy_match *inner);
bool subjects_hold(const struct policy_rule *rule, const struct policy_subject *subject);
bool subjects_cover(const struct policy_rule *outer, const struct policy_rule *inner);

/* Zeroed memory that lives as long as the policy; NULL when there is none. */
void *policy_allocate(struct policy *policy, size_t n, size_t size);
char *policy_copy_string(struct policy *policy, const char *text);
/* An empty policy with default limits, or NULL. */
struct policy *policy_new(void);
