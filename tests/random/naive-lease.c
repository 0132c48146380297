/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How leases end, and what becomes of them when the daemon was gone for a while. */
#include "naive.h"

/* ---- Leases end */

void naive_let_in(struct naive *naive, const struct naive_lease *lease, enum access access) {
    for (unsigned i = 0; i < lease->n_parts; i++)
        if (!lease->parts[i].lost && naive_has_node(naive, lease->parts[i].group))
            naive->groups[lease->parts[i].group].access = access;
}

void naive_end_lease(struct naive *naive, struct naive_lease *lease, const char *reason) {
    if (lease->phase == PHASE_DRAINING)
        return;
    lease->phase = PHASE_DRAINING;
    lease->end = reason;
    naive_let_in(naive, lease, ACCESS_NONE);
}

static bool is_over(struct naive *naive, struct naive_lease *lease) {
    bool over = lease->phase == PHASE_DRAINING;

    for (unsigned i = 0; i < lease->n_parts; i++) {
        struct naive_part *part = &lease->parts[i];
        if (lease->phase == PHASE_DRAINING && !part->lost && naive->groups[part->group].opener < 0)
            part->drained = true;
        over = over && (part->lost || part->drained);
    }
    return over;
}

static void forget_finished(struct naive *naive) {
    unsigned n = 0;

    for (unsigned i = 0; i < naive->n_leases; i++) {
        if (is_over(naive, &naive->leases[i]))
            naive->ended[naive->leases[i].id] = naive->leases[i].end;
        else
            naive->leases[n++] = naive->leases[i];
    }
    naive->n_leases = n;
}

void naive_follow_up(struct naive *naive) {
    for (unsigned i = 0; i < naive->n_leases; i++) {
        struct naive_lease *lease = &naive->leases[i];
        bool whole = true;
        for (unsigned k = 0; k < lease->n_parts; k++) {
            struct naive_part *part = &lease->parts[k];
            part->lost = part->lost || !naive_members(naive, part->group);
            whole = whole && !part->lost &&
                    (naive_has_node(naive, part->group) ||
                     naive->fault == FAULT_LEASE_OUTLIVES_DRIVER);
        }
        if (!whole)
            naive_end_lease(naive, lease, "device-gone");
    }
    forget_finished(naive);
}

static bool is_expired(const struct naive *naive, const struct naive_lease *lease) {
    return lease->expires && lease->expires <= naive->now && naive->fault != FAULT_TTL_IS_FOREVER;
}

static void end_expired(struct naive *naive) {
    for (unsigned i = 0; i < naive->n_leases; i++)
        if (is_expired(naive, &naive->leases[i]))
            naive_end_lease(naive, &naive->leases[i], "expired");
}

void naive_expire(struct naive *naive, unsigned id) {
    struct naive_lease *lease = naive_find_lease(naive, id);

    if (lease && naive->up)
        naive_end_lease(naive, lease, "expired");
    else if (lease)
        lease->expires = 1, naive->now += !naive->now;
    if (naive->up)
        naive_follow_up(naive);
}

static void end_dropped(struct naive *naive, struct naive_lease *lease) {
    naive_end_lease(naive, lease,
                    lease->lifetime == LIFETIME_FD ? "fd-closed" : "process-exited");
}

/* Leases whose keeper is gone: a connection, a process, the last copy of an fd. */
static void end_unkept(struct naive *naive) {
    for (unsigned i = 0; i < naive->n_leases; i++) {
        struct naive_lease *lease = &naive->leases[i];
        if (lease->lifetime == LIFETIME_CONNECTION && lease->serial != naive->serials[lease->slot])
            naive_end_lease(naive, lease, "disconnected");
        else if (lease->dropped)
            end_dropped(naive, lease);
    }
}

void naive_end_in_time(struct naive *naive) {
    end_expired(naive);
    end_unkept(naive);
    naive_follow_up(naive);
}

/* ---- The daemon comes back */

/* Devices that are the part's: one that was granted again since, in another group, is not. */
static unsigned own_places(const struct naive *naive, const struct naive_lease *lease,
                           const struct naive_part *part) {
    unsigned own = part->places;

    for (const struct naive_lease *later = lease + 1; later < naive->leases + naive->n_leases;
         later++)
        for (unsigned i = 0; i < later->n_parts; i++)
            own &= later->parts[i].lost ? ~0u : ~later->parts[i].places;
    return own;
}

/* A group of that number with a device of the lease is the lease's own; else the one where most of
 * its devices are, if it has no others. */
static int find_again(const struct naive *naive, const struct naive_part *part, unsigned own) {
    int best = NO_GROUP;

    if (naive_members(naive, part->group) & own)
        return part->group;
    for (int group = 0; group < N_GROUPS; group++) {
        unsigned members = naive_members(naive, group);
        if (!members || members & ~own)
            continue;
        if (best == NO_GROUP || __builtin_popcount(members) >
                                    __builtin_popcount(naive_members(naive, best)))
            best = group;
    }
    return best;
}

static void recover(struct naive *naive, struct naive_lease *lease) {
    bool whole = true;

    for (unsigned i = 0; i < lease->n_parts; i++) {
        struct naive_part *part = &lease->parts[i];
        part->drained = false;
        if (part->lost)
            continue;
        int group = find_again(naive, part, own_places(naive, lease, part));
        part->lost = group == NO_GROUP;
        if (!part->lost)
            part->group = group;
        whole = whole && !part->lost;
    }
    if (!whole)
        naive_end_lease(naive, lease, "device-gone");
    if (lease->dropped)
        end_dropped(naive, lease);
    if (is_expired(naive, lease))
        naive_end_lease(naive, lease, "expired");
    naive_let_in(naive, lease,
                 lease->phase == PHASE_ACTIVE && lease->mode == MODE_PATH
                     ? (enum access)lease->holder
                     : ACCESS_NONE);
}

void naive_start(struct naive *naive) {
    if (naive->up)
        return;
    naive->up = true;
    naive->policy = naive->policy_file == POLICY_BAD ? NULL : &policies[naive->policy_file];
    for (unsigned i = 0; i < N_GROUPS; i++)
        naive->groups[i].seen = naive->groups[i].unseen = false;
    for (unsigned i = 0; i < naive->n_leases; i++)
        recover(naive, &naive->leases[i]);
    naive_follow_up(naive);
    naive_end_in_time(naive);
}
