/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* May it be granted, and if not, why? The table of reasons at the end is the contract's. */
#include "naive.h"

#include <string.h>

/* ---- Devices and groups */

unsigned naive_members(const struct naive *naive, int group) {
    unsigned members = 0;

    for (unsigned i = 0; i < N_PLACES; i++)
        if (naive->places[i].present && naive->places[i].group == group && group != NO_GROUP)
            members |= 1u << i;
    return members;
}

bool naive_is_bridge(unsigned place) {
    return places[place].class >> 8 == 0x0604;
}

const char *naive_role(const struct naive *naive, unsigned place) {
    switch (naive->places[place].driver) {
    case DRIVER_NONE:
        return naive_is_bridge(place) ? "passive" : "free";
    case DRIVER_VFIO:
    case DRIVER_VARIANT:
        return "user";
    case DRIVER_STUB:
    case DRIVER_PORT:
        return "passive";
    case DRIVER_UIO:
        return naive->fault == FAULT_UIO_IS_PASSIVE ? "passive" : "kernel";
    default:
        return "kernel";
    }
}

bool naive_has_role(const struct naive *naive, int group, const char *role) {
    unsigned members = naive_members(naive, group);

    for (unsigned i = 0; i < N_PLACES; i++)
        if (members & 1u << i && strcmp(naive_role(naive, i), role) == 0)
            return true;
    return false;
}

bool naive_has_node(const struct naive *naive, int group) {
    return naive_has_role(naive, group, "user");
}

bool naive_may_open(const struct naive *naive, int group, enum user user) {
    enum access access = naive->groups[group].access;

    return user == USER_ROOT || access == ACCESS_ALL || access == (enum access)user;
}

bool naive_viable(const struct naive *naive, int group) {
    return naive_has_role(naive, group, "user") && !naive_has_role(naive, group, "kernel");
}

const char *naive_owner(const struct naive *naive, int group) {
    if (naive_lease_of((struct naive *)naive, group))
        return "user";
    if (naive_has_role(naive, group, "kernel"))
        return "kernel";
    return naive->groups[group].seen ? "foreign" : "none";
}

/* ---- Leases */

struct naive_lease *naive_lease_of(struct naive *naive, int group) {
    for (unsigned i = 0; i < naive->n_leases; i++)
        for (unsigned k = 0; k < naive->leases[i].n_parts; k++)
            if (naive->leases[i].parts[k].group == group && !naive->leases[i].parts[k].lost)
                return &naive->leases[i];
    return NULL;
}

struct naive_lease *naive_find_lease(struct naive *naive, unsigned id) {
    for (unsigned i = 0; i < naive->n_leases; i++)
        if (naive->leases[i].id == id)
            return &naive->leases[i];
    return NULL;
}

struct naive_lease *naive_find_key(struct naive *naive, enum user claimant, unsigned key) {
    for (unsigned i = 0; i < naive->n_leases; i++) {
        struct naive_lease *lease = &naive->leases[i];
        bool own = lease->claimant == claimant || naive->fault == FAULT_KEY_OF_ANYBODY;
        if (key && lease->key == key && own && lease->phase == PHASE_ACTIVE)
            return lease;
    }
    return NULL;
}

static bool lease_under(const struct naive_lease *lease, const char *rule) {
    for (unsigned i = 0; i < lease->n_rules; i++)
        if (strcmp(lease->rules[i], rule) == 0)
            return true;
    return false;
}

unsigned naive_count(const struct naive *naive, enum user claimant, const char *rule) {
    unsigned n = 0;

    for (unsigned i = 0; i < naive->n_leases; i++) {
        const struct naive_lease *lease = &naive->leases[i];
        if (naive->fault == FAULT_QUOTA_FORGETS_DRAINING && lease->phase == PHASE_DRAINING)
            continue;
        n += lease->claimant == claimant && (!rule || lease_under(lease, rule));
    }
    return n;
}

/* ---- Rules */

static bool is_subject(const struct rule *rule, enum user user) {
    if (rule->deny && !rule->users)
        return true;
    return rule->users & 1u << user || (rule->dmaown && user == USER_ALICE);
}

static bool applies(const struct naive *naive, const struct rule *rule, unsigned place,
                    enum user user) {
    bool driver = !rule->driver || (places[place].bus == BUS_PCI &&
                                    naive->places[place].driver == rule->driver);

    return rule->places & 1u << place && driver && is_subject(rule, user);
}

/* The rule that decides, from the one with index first on. */
static const struct rule *decide(const struct naive *naive, unsigned first, unsigned place,
                                 enum user user) {
    const struct rules *rules = naive->policy;

    for (unsigned i = first; rules && i < RULES_MAX && rules->rule[i].name; i++)
        if (applies(naive, &rules->rule[i], place, user))
            return &rules->rule[i];
    return NULL;
}

/* A bridge that serves the bus alone. */
static bool needs_no_rule(const struct naive *naive, unsigned place) {
    enum driver driver = naive->places[place].driver;

    return naive_is_bridge(place) && (driver == DRIVER_NONE || driver == DRIVER_PORT);
}

unsigned naive_targets(const struct naive *naive, const struct naive_query *query) {
    unsigned targets = query->targets;

    if (query->place != NO_PLACE && naive->places[query->place].group != NO_GROUP)
        targets |= 1u << naive->places[query->place].group;
    return targets;
}

static bool is_groupless(const struct naive *naive, const struct naive_query *query) {
    return query->place != NO_PLACE && naive->places[query->place].group == NO_GROUP;
}

/* Places that a rule must decide. */
static unsigned decided_places(const struct naive *naive, const struct naive_query *query) {
    unsigned decided = 0;

    for (int group = 0; group < N_GROUPS; group++)
        if (naive_targets(naive, query) & 1u << group)
            decided |= naive_members(naive, group);
    for (unsigned i = 0; i < N_PLACES; i++)
        if (needs_no_rule(naive, i))
            decided &= ~(1u << i);
    if (is_groupless(naive, query))
        decided |= 1u << query->place;
    return decided;
}

/* ---- Reasons: each by itself */

struct court {
    struct naive *naive;
    const struct naive_query *query;
    unsigned targets, decided;
    const struct rule *rules[N_PLACES]; /* of decided places, NULL: none */
};

static bool policy_denied(const struct court *court) {
    for (unsigned i = 0; i < N_PLACES; i++)
        if (court->rules[i] && court->rules[i]->deny)
            return true;
    return false;
}

static bool no_rule(const struct court *court) {
    for (unsigned i = 0; i < N_PLACES; i++)
        if (court->decided & 1u << i && !court->rules[i])
            return true;
    for (int group = 0; group < N_GROUPS; group++)
        if (court->targets & 1u << group && !(naive_members(court->naive, group) & court->decided))
            return true;
    return false;
}

/* The allow rules, one after the other; i counts. */
static const struct rule *next_allow(const struct court *court, unsigned *i) {
    while (*i < N_PLACES) {
        const struct rule *rule = court->rules[(*i)++];
        if (rule && !rule->deny)
            return rule;
    }
    return NULL;
}

static bool mode_denied(const struct court *court) {
    const struct rule *rule;

    for (unsigned i = 0; (rule = next_allow(court, &i));)
        if (rule->modes && !(rule->modes & court->query->mode))
            return true;
    return false;
}

static bool lifetime_denied(const struct court *court) {
    unsigned common = LIFETIMES;
    const struct rule *rule;

    for (unsigned i = 0; (rule = next_allow(court, &i));) {
        common &= rule->lifetimes ?: LIFETIMES;
        if (rule->max_ttl && court->query->ttl > rule->max_ttl)
            return true;
    }
    return court->query->lifetime ? !(common & court->query->lifetime) : !common;
}

/* A deny rule that stands against the holder, seen from the rule that allowed the claimant: one
 * against everyone counts only before it. */
static bool holder_denied(const struct court *court, unsigned place, const struct rule *allowed) {
    const struct naive *naive = court->naive;
    const struct rule *rule;

    for (unsigned i = 0; (rule = decide(naive, i, place, court->query->holder));) {
        i = (unsigned)(rule - naive->policy->rule) + 1;
        if (!rule->deny)
            return false;
        if (rule->users || rule < allowed || naive->fault == FAULT_DENY_BINDS_DELEGATE)
            return true;
    }
    return false;
}

static bool delegate_denied(const struct court *court) {
    const struct naive_query *query = court->query;

    for (unsigned i = 0; i < N_PLACES && query->holder != query->claimant; i++) {
        const struct rule *rule = court->rules[i];
        if (!rule || rule->deny)
            continue;
        if (!(rule->delegates & 1u << query->holder) || holder_denied(court, i, rule))
            return true;
    }
    return false;
}

static bool any_group(const struct court *court,
                      bool (*holds)(const struct court *court, int group)) {
    for (int group = 0; group < N_GROUPS; group++)
        if (court->targets & 1u << group && holds(court, group))
            return true;
    return false;
}

#define OF_ANY_GROUP(name)                                                                         \
    static bool name(const struct court *court) {                                                  \
        return any_group(court, group_##name);                                                     \
    }

static bool group_draining(const struct court *court, int group) {
    const struct naive_lease *lease = naive_lease_of(court->naive, group);

    return lease && lease->phase == PHASE_DRAINING &&
           court->naive->fault != FAULT_DRAINING_IS_FREE;
}

static bool group_leased(const struct court *court, int group) {
    const struct naive_lease *lease = naive_lease_of(court->naive, group);

    return lease && lease->phase == PHASE_ACTIVE;
}

static bool group_open_elsewhere(const struct court *court, int group) {
    return !naive_lease_of(court->naive, group) && court->naive->groups[group].seen;
}

static bool group_kernel_driver(const struct court *court, int group) {
    unsigned members = naive_members(court->naive, group);

    for (unsigned i = 0; i < N_PLACES; i++)
        if (members & 1u << i &&
            court->naive->places[i].driver == DRIVER_HOST)
            return true;
    return false;
}

static bool group_unsafe_uio(const struct court *court, int group) {
    unsigned members = naive_members(court->naive, group);

    for (unsigned i = 0; i < N_PLACES; i++)
        if (members & 1u << i &&
            strcmp(naive_role(court->naive, i), "kernel") == 0 &&
            court->naive->places[i].driver == DRIVER_UIO)
            return true;
    return false;
}

static bool no_group(const struct court *court) {
    return is_groupless(court->naive, court->query);
}

static bool group_no_vfio_driver(const struct court *court, int group) {
    return !naive_has_role(court->naive, group, "user");
}

static bool group_open_to_others(const struct court *court, int group) {
    enum access access = court->naive->groups[group].access;

    return naive_has_node(court->naive, group) && !naive_lease_of(court->naive, group) &&
           access != ACCESS_NONE && access != (enum access)court->query->holder;
}

static bool group_direct_region(const struct court *court, int group) {
    return court->naive->groups[group].direct;
}

static bool group_not_enforced(const struct court *court, int group) {
    unsigned members = naive_members(court->naive, group);

    for (unsigned i = 0; i < N_PLACES; i++)
        if (members & 1u << i && places[i].bus == BUS_CDX)
            return true;
    return false;
}

static bool has_function_reset(const struct court *court, unsigned place) {
    const char *reset = places[place].reset;

    if (places[place].bus != BUS_PCI)
        return places[place].bus == BUS_PLATFORM &&
               court->naive->places[place].driver == DRIVER_VFIO;
    return strstr(reset, "flr") || strstr(reset, "device_specific") || strstr(reset, "acpi");
}

static bool group_no_reset(const struct court *court, int group) {
    unsigned members = naive_members(court->naive, group);

    for (unsigned i = 0; i < N_PLACES; i++)
        if (members & 1u << i && !naive_is_bridge(i) &&
            !has_function_reset(court, i))
            return true;
    return false;
}

OF_ANY_GROUP(draining)
OF_ANY_GROUP(leased)
OF_ANY_GROUP(open_elsewhere)
OF_ANY_GROUP(kernel_driver)
OF_ANY_GROUP(unsafe_uio)
OF_ANY_GROUP(no_vfio_driver)
OF_ANY_GROUP(open_to_others)
OF_ANY_GROUP(direct_region)
OF_ANY_GROUP(not_enforced)

static bool no_reset(const struct court *court) {
    const struct rule *rule;

    for (unsigned i = 0; (rule = next_allow(court, &i));)
        if (rule->reset)
            return any_group(court, group_no_reset);
    return false;
}

static bool quota(const struct court *court) {
    const struct naive *naive = court->naive;
    enum user claimant = court->query->claimant;
    const struct rule *rule;

    if (naive->policy && naive_count(naive, claimant, NULL) >= (naive->policy->leases_per_uid ?: 16))
        return true;
    for (unsigned i = 0; (rule = next_allow(court, &i));)
        if (rule->max_leases && naive_count(naive, claimant, rule->name) >= rule->max_leases)
            return true;
    return false;
}

static const struct reason {
    const char *reason, *error;
    bool (*holds)(const struct court *court);
} reasons[] = {
    {"policy-denied", "PolicyDenied", policy_denied},
    {"no-rule", "PolicyDenied", no_rule},
    {"mode-denied", "PolicyDenied", mode_denied},
    {"lifetime-denied", "PolicyDenied", lifetime_denied},
    {"delegate-denied", "PolicyDenied", delegate_denied},
    {"draining", "Busy", draining},
    {"leased", "AlreadyOwned", leased},
    {"open-elsewhere", "ForeignOwner", open_elsewhere},
    {"kernel-driver", "KernelHeld", kernel_driver},
    {"unsafe-uio", "KernelHeld", unsafe_uio},
    {"no-group", "NotViable", no_group},
    {"no-vfio-driver", "NotViable", no_vfio_driver},
    {"node-open-to-others", "NotViable", open_to_others},
    {"direct-region", "NotViable", direct_region},
    {"not-enforced", "NotViable", not_enforced},
    {"no-reset", "NotViable", no_reset},
    {"quota", "QuotaExceeded", quota},
};

static struct court make_court(struct naive *naive, const struct naive_query *query) {
    struct court court = {.naive = naive,
                          .query = query,
                          .targets = naive_targets(naive, query),
                          .decided = decided_places(naive, query)};

    for (unsigned i = 0; i < N_PLACES; i++)
        if (court.decided & 1u << i)
            court.rules[i] = decide(naive, 0, i, query->claimant);
    return court;
}

const char *naive_reason(struct naive *naive, const struct naive_query *query,
                         const char **ret_error) {
    struct court court = make_court(naive, query);
    bool kernel_first = naive->fault == FAULT_KERNEL_BEFORE_LEASE && kernel_driver(&court);

    for (unsigned i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
        if (!reasons[i].holds(&court) || (kernel_first && reasons[i].holds == leased))
            continue;
        if (ret_error)
            *ret_error = reasons[i].error;
        return reasons[i].reason;
    }
    if (ret_error)
        *ret_error = "";
    return "";
}

unsigned naive_rules(struct naive *naive, const struct naive_query *query,
                     const char *ret[RULES_MAX], uint32_t *ret_max_ttl) {
    struct court court = make_court(naive, query);
    const struct rule *rule;
    unsigned n = 0;

    *ret_max_ttl = 0;
    for (unsigned i = 0; (rule = next_allow(&court, &i));) {
        bool known = false;
        for (unsigned k = 0; k < n; k++)
            known = known || ret[k] == rule->name;
        if (!known)
            ret[n++] = rule->name;
        if (rule->max_ttl && (!*ret_max_ttl || rule->max_ttl < *ret_max_ttl))
            *ret_max_ttl = rule->max_ttl;
    }
    return n;
}
