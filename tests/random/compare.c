/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compare.h"

#include <stdio.h>
#include <string.h>

#include "host.h"

struct naive naive;
char names[ENDED_MAX][LEASE_NAME_MAX];
bool silent[ENDED_MAX];
char difference[512];

bool differ(const char *format, ...) {
    __builtin_va_list arguments;

    __builtin_va_start(arguments, format);
    (void)vsnprintf(difference, sizeof(difference), format, arguments);
    __builtin_va_end(arguments);
    return false;
}

bool equal(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

static bool same_places(const struct seen *seen) {
    for (unsigned i = 0; i < N_PLACES; i++) {
        const struct naive_place *place = &naive.places[i];
        const char *driver = driver_names[places[i].bus][place->driver] ?: "";
        if (seen->places[i].present != place->present)
            return differ("device %s is there: %d", places[i].name, seen->places[i].present);
        if (!place->present)
            continue;
        if (seen->places[i].group != place->group || !equal(seen->places[i].driver, driver))
            return differ("device %s has driver \"%s\" and group %d", places[i].name,
                          seen->places[i].driver, FIRST_GROUP + seen->places[i].group);
        if (!equal(seen->places[i].role, naive_role(&naive, i)))
            return differ("device %s has role %s", places[i].name, seen->places[i].role);
    }
    return true;
}

static bool same_groups(const struct seen *seen) {
    for (int id = 0; id < N_GROUPS; id++) {
        bool there = naive_members(&naive, id) != 0;
        if (seen->groups[id].there != there)
            return differ("group %d is there: %d", FIRST_GROUP + id, seen->groups[id].there);
        if (!there)
            continue;
        if (!equal(seen->groups[id].owner, naive_owner(&naive, id)))
            return differ("group %d is owned by %s, not %s", FIRST_GROUP + id,
                          seen->groups[id].owner, naive_owner(&naive, id));
        if (seen->groups[id].viable != naive_viable(&naive, id))
            return differ("group %d is viable: %d", FIRST_GROUP + id, seen->groups[id].viable);
    }
    return true;
}

static bool same_access(void) {
    for (int id = 0; id < N_GROUPS; id++) {
        int expected = naive_has_node(&naive, id) ? (int)naive.groups[id].access : -1;
        int got = host_access(id);
        if (got != expected)
            return differ("the node of group %d lets in %d, not %d (a user, 4: all, -1: no node)",
                          FIRST_GROUP + id, got, expected);
    }
    return true;
}

static const struct seen_lease *find_seen(const struct seen *seen, unsigned id) {
    for (unsigned i = 0; i < seen->n_leases; i++)
        if (equal(seen->leases[i].name, names[id]))
            return &seen->leases[i];
    return NULL;
}

unsigned live_groups(const struct naive_lease *lease) {
    unsigned groups = 0;

    for (unsigned i = 0; i < lease->n_parts; i++)
        groups |= lease->parts[i].lost ? 0 : 1u << lease->parts[i].group;
    return groups;
}

/* The same names, in whichever order; none is part of another. */
static bool same_rules(const struct naive_lease *lease, const char *text) {
    unsigned n = 1;

    for (const char *at = text; (at = strchr(at, ',')); at++)
        n++;
    for (unsigned i = 0; i < lease->n_rules; i++)
        if (!strstr(text, lease->rules[i]))
            return false;
    return n == lease->n_rules;
}

static bool same_lease(const struct seen *seen, const struct naive_lease *lease) {
    const struct seen_lease *got = find_seen(seen, lease->id);

    if (!got)
        return differ("lease %u is not there", lease->id);
    if (!equal(got->state, lease->phase == PHASE_ACTIVE ? "active" : "draining"))
        return differ("lease %u is %s", lease->id, got->state);
    if (lease->phase == PHASE_ACTIVE && got->groups != live_groups(lease))
        return differ("lease %u has groups 0x%x, not 0x%x", lease->id, got->groups,
                      live_groups(lease));
    if (got->holder != user_ids[lease->holder] || got->claimant != user_ids[lease->claimant])
        return differ("lease %u is of %u, by %u", lease->id, got->holder, got->claimant);
    if (!equal(got->lifetime, talk_lifetime_word(lease->lifetime)))
        return differ("lease %u has the lifetime %s", lease->id, got->lifetime);
    if (!same_rules(lease, got->rule))
        return differ("lease %u is by rule %s", lease->id, got->rule);
    return true;
}

static bool same_leases(const struct seen *seen) {
    for (unsigned i = 0; i < naive.n_leases; i++)
        if (!same_lease(seen, &naive.leases[i]))
            return false;
    if (seen->n_leases != naive.n_leases)
        return differ("there are %u leases, not %u", seen->n_leases, naive.n_leases);
    for (unsigned id = 1; id <= naive.n_granted; id++)
        if (naive.ended[id] && !equal(talk_ended(names[id]), naive.ended[id]) &&
            !(silent[id] && !*talk_ended(names[id])))
            return differ("lease %u ended by \"%s\", not %s", id, talk_ended(names[id]),
                          naive.ended[id]);
    return true;
}

static bool same_list(unsigned slot) {
    struct listed listed[N_GROUPS];

    if (!talk_list(slot, listed))
        return differ("ListGroups fails");
    for (int id = 0; id < N_GROUPS; id++) {
        struct naive_query query = {.claimant = slot_users[slot],
                                    .holder = slot_users[slot],
                                    .mode = MODE_PATH,
                                    .targets = 1u << id,
                                    .place = NO_PLACE};
        unsigned members = (unsigned)__builtin_popcount(naive_members(&naive, id));
        if (listed[id].members != members)
            return differ("group %d has %u members", FIRST_GROUP + id, listed[id].members);
        const char *reason = members ? naive_reason(&naive, &query, NULL) : "";
        if (!equal(listed[id].verdict, reason))
            return differ("group %d for %s: \"%s\", not \"%s\"", FIRST_GROUP + id,
                          user_names[slot_users[slot]], listed[id].verdict, reason);
    }
    return true;
}

static bool same_conflicts(const unsigned *conflicts) {
    if (naive.conflict < 0 ||
        talk_conflicts(places[naive.conflict].name) > conflicts[naive.conflict])
        return true;
    return differ("no conflict was signalled of %s", places[naive.conflict].name);
}

bool same_now(unsigned slot, const unsigned *conflicts) {
    struct seen seen;

    if (!same_access())
        return false;
    if (!naive.up)
        return true;
    if (!talk_see(&seen))
        return differ("GetManagedObjects fails");
    return same_places(&seen) && same_groups(&seen) && same_leases(&seen) && same_list(slot) &&
           same_conflicts(conflicts);
}
