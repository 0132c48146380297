/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What events do to devices, nodes, leases and the daemon. */
#include "naive.h"

#include <string.h>

void naive_init(struct naive *naive, enum fault fault) {
    *naive = (struct naive){.fault = fault, .up = true, .conflict = -1};
    for (unsigned i = 0; i < N_PLACES; i++)
        naive->places[i].group = NO_GROUP;
    for (unsigned i = 0; i < N_GROUPS; i++)
        naive->groups[i].opener = -1;
    naive->policy = &policies[0];
}

static struct naive_answer answer(const char *error) {
    return (struct naive_answer){.error = error};
}

bool naive_needs_daemon(const struct event *event) {
    return event->kind == EVENT_CLAIM || event->kind == EVENT_RELEASE ||
           event->kind == EVENT_REVOKE || event->kind == EVENT_HAND || event->kind == EVENT_RELOAD ||
           event->kind == EVENT_START;
}

/* ---- The kernel */

static bool is_counted(enum driver driver) {
    return driver == DRIVER_HOST || driver == DRIVER_UIO;
}

static bool is_vfio(enum driver driver) {
    return driver == DRIVER_VFIO || driver == DRIVER_VARIANT;
}

static bool bind_fails(const struct naive *naive, const struct event *event) {
    const struct naive_place *place = &naive->places[event->place];
    enum driver driver = event->driver;

    if (!place->present || place->driver || !driver_names[places[event->place].bus][driver])
        return true;
    if (is_vfio(driver) && (place->group == NO_GROUP || naive_is_bridge(event->place)))
        return true;
    return is_counted(driver) && place->group != NO_GROUP && naive->groups[place->group].container;
}

static bool change_device(struct naive *naive, const struct event *event) {
    struct naive_place *place = &naive->places[event->place];

    switch (event->kind) {
    case EVENT_ADD:
        if (place->present)
            return false;
        *place = (struct naive_place){.present = true, .group = event->group};
        return true;
    case EVENT_REMOVE:
        if (!place->present)
            return false;
        *place = (struct naive_place){.group = NO_GROUP};
        return true;
    case EVENT_BIND:
        if (bind_fails(naive, event))
            return false;
        place->driver = event->driver;
        return true;
    case EVENT_UNBIND:
        if (!place->driver)
            return false;
        place->driver = DRIVER_NONE;
        return true;
    default: /* EVENT_MOVE */
        if (!place->present || place->driver || place->group == event->group)
            return false;
        place->group = event->group;
        return true;
    }
}

/* A node that goes takes with it who may and who does open it. */
static void lose_node(struct naive_group *group) {
    bool direct = group->direct;

    *group = (struct naive_group){.direct = direct, .opener = -1};
}

/* What is to be reported beside an owner: a host driver, or one that was not there at the grant. */
static bool is_conflict(struct naive *naive, const struct event *event) {
    const struct naive_place *place = &naive->places[event->place];
    struct naive_lease *lease =
        place->present && place->group != NO_GROUP ? naive_lease_of(naive, place->group) : NULL;

    if (!lease || !naive->up)
        return false;
    if (event->kind == EVENT_BIND)
        return strcmp(naive_role(naive, event->place), "kernel") == 0;
    for (unsigned i = 0; i < lease->n_parts; i++)
        if (lease->parts[i].group == place->group && lease->parts[i].places & 1u << event->place)
            return false;
    return event->kind == EVENT_ADD || event->kind == EVENT_MOVE;
}

static struct naive_answer device_event(struct naive *naive, const struct event *event) {
    bool had_node[N_GROUPS];

    for (int i = 0; i < N_GROUPS; i++)
        had_node[i] = naive_has_node(naive, i);
    if (!change_device(naive, event))
        return answer("failed");
    for (int i = 0; i < N_GROUPS; i++) {
        if (had_node[i] != naive_has_node(naive, i))
            lose_node(&naive->groups[i]);
        if (!naive_members(naive, i))
            naive->groups[i].direct = false;
    }
    if (is_conflict(naive, event))
        naive->conflict = event->place;
    return answer("");
}

static struct naive_answer node_event(struct naive *naive, const struct event *event) {
    struct naive_group *group = &naive->groups[event->group];
    struct naive_lease *lease = naive_lease_of(naive, event->group);
    enum user user = slot_users[event->slot];

    if (event->kind == EVENT_DIRECT) {
        group->direct = naive_members(naive, event->group) && event->argument;
        return answer("");
    }
    if (!naive_has_node(naive, event->group))
        return answer("failed");
    if (event->kind == EVENT_TOUCH) {
        /* The access of a holder is mended at once. */
        if (!lease || lease->phase == PHASE_DRAINING || !naive->up)
            group->access = (enum access)event->argument;
        return answer("");
    }
    if (group->opener >= 0 || !naive_may_open(naive, event->group, user) ||
        (event->argument && naive_has_role(naive, event->group, "kernel")))
        return answer("failed");
    group->opener = (int)user;
    group->container = event->argument;
    group->seen = naive->up;
    return answer("");
}

static struct naive_answer close_node(struct naive *naive, const struct event *event) {
    struct naive_group *group = &naive->groups[event->group];

    if (group->opener < 0)
        return answer("failed");
    *group = (struct naive_group){.direct = group->direct, .access = group->access, .opener = -1};
    return answer("");
}

/* ---- Calls */

static struct naive_query query_of(const struct event *event) {
    return (struct naive_query){
        .claimant = slot_users[event->slot],
        .holder = (enum user)event->holder,
        .mode = event->mode,
        .lifetime = event->lifetime,
        .ttl = event->ttl,
        .targets = event->targets,
        .place = event->place,
    };
}

static bool is_bad_option(const struct event *event) {
    return event->ttl == TTL_BAD ||
           (event->mode == MODE_FD && event->holder != slot_users[event->slot]);
}

static bool targets_exist(const struct naive *naive, const struct event *event) {
    for (int i = 0; i < N_GROUPS; i++)
        if (event->targets & 1u << i && !naive_members(naive, i))
            return false;
    return event->place == NO_PLACE || naive->places[event->place].present;
}

/* A group of the targets that somebody has open, though the daemon did not see it; now it does. */
static bool meets_opener(struct naive *naive, unsigned targets) {
    for (unsigned i = 0; i < N_GROUPS; i++) {
        if (!(targets & 1u << i) || naive->groups[i].opener < 0)
            continue;
        naive->groups[i].seen = naive->groups[i].unseen = true;
        return true;
    }
    return false;
}

/* The claimant gets the groups open, and attached if it asked for that. */
static void pass_files(struct naive *naive, const struct naive_lease *lease, bool container) {
    for (unsigned i = 0; i < lease->n_parts; i++) {
        struct naive_group *group = &naive->groups[lease->parts[i].group];
        group->opener = (int)lease->claimant;
        group->container = container;
        group->seen = true;
    }
}

static struct naive_answer grant(struct naive *naive, const struct event *event,
                                 const struct naive_query *query) {
    unsigned targets = naive_targets(naive, query);
    struct naive_lease *lease;
    uint32_t max_ttl;

    if (naive->n_leases == LIVE_MAX || naive->n_granted == ENDED_MAX - 1)
        return answer("QuotaExceeded");
    lease = &naive->leases[naive->n_leases++];
    *lease = (struct naive_lease){
        .id = ++naive->n_granted,
        .claimant = query->claimant,
        .holder = query->holder,
        .slot = event->slot,
        .serial = naive->serials[event->slot],
        .mode = event->mode,
        .lifetime = event->lifetime,
        .key = event->key,
        .container = event->container,
    };
    lease->n_rules = naive_rules(naive, query, lease->rules, &max_ttl);
    if (event->ttl || max_ttl)
        lease->expires = naive->now + (event->ttl ?: max_ttl);
    for (int i = 0; i < N_GROUPS; i++)
        if (targets & 1u << i)
            lease->parts[lease->n_parts++] =
                (struct naive_part){.group = i, .places = naive_members(naive, i)};
    naive_let_in(naive, lease,
                 lease->mode == MODE_PATH ? (enum access)lease->holder : ACCESS_NONE);
    if (lease->mode == MODE_FD)
        pass_files(naive, lease, event->container);
    return (struct naive_answer){.error = "", .lease = lease->id};
}

bool naive_key_is_taken(const struct naive *naive, const struct naive_lease *lease,
                        const struct event *event) {
    struct naive_query query = query_of(event);
    unsigned own = 0;

    for (unsigned i = 0; i < lease->n_parts; i++)
        own |= lease->parts[i].lost ? 0 : 1u << lease->parts[i].group;
    return own != naive_targets(naive, &query) || lease->holder != query.holder ||
           lease->mode != query.mode || lease->lifetime != event->lifetime ||
           lease->container != event->container ||
           (query.place != NO_PLACE && naive->places[query.place].group == NO_GROUP);
}

/* The same claimant and key again: the same lease. Files are given anew, if policy still says so. */
static struct naive_answer retry(struct naive *naive, const struct naive_lease *lease,
                                 const struct event *event, const struct naive_query *query) {
    bool files = lease->mode == MODE_FD, open = false, counted = false;
    const char *error;

    if (naive_key_is_taken(naive, lease, event))
        return answer("InvalidOption");
    (void)naive_reason(naive, query, &error);
    if ((files || lease->lifetime == LIFETIME_FD) && strcmp(error, "PolicyDenied") == 0)
        return answer("PolicyDenied");
    for (unsigned i = 0; i < lease->n_parts; i++) {
        open = open || naive->groups[lease->parts[i].group].opener >= 0;
        counted = counted || naive_has_role(naive, lease->parts[i].group, "kernel");
    }
    if (files && open)
        return answer("Busy");
    if (files && counted && event->container)
        return answer("NotViable");
    if (files)
        pass_files(naive, lease, event->container);
    return (struct naive_answer){.error = "", .lease = lease->id, .same = true};
}

static struct naive_answer claim(struct naive *naive, const struct event *event) {
    struct naive_query query = query_of(event);
    const struct naive_lease *lease;
    const char *error;

    if (is_bad_option(event))
        return answer("InvalidOption");
    if (!targets_exist(naive, event))
        return answer("NoSuchTarget");
    lease = naive_find_key(naive, query.claimant, event->key);
    if (lease)
        return retry(naive, lease, event, &query);
    (void)naive_reason(naive, &query, &error);
    if (*error)
        return answer(error);
    if (meets_opener(naive, naive_targets(naive, &query)))
        return answer("ForeignOwner");
    return grant(naive, event, &query);
}

unsigned naive_pick_lease(const struct naive *naive, unsigned argument) {
    if (naive->n_leases && argument % 4)
        return naive->leases[argument / 4 % naive->n_leases].id;
    return naive->n_granted ? 1 + argument / 4 % naive->n_granted : 0;
}

static struct naive_answer release(struct naive *naive, const struct event *event) {
    struct naive_lease *lease = naive_find_lease(naive, naive_pick_lease(naive, event->argument));
    enum user user = slot_users[event->slot];

    if (event->kind == EVENT_REVOKE && user != USER_ROOT)
        return answer("AccessDenied");
    if (!lease)
        return answer("NoSuchLease");
    if (lease->claimant != user && user != USER_ROOT)
        return answer("NotHolder");
    unsigned id = lease->id;
    naive_end_lease(naive, lease, event->kind == EVENT_REVOKE ? "revoked" : "released");
    naive_follow_up(naive);
    /* Revoke answers for the end, Release for the access. */
    return answer(event->kind == EVENT_REVOKE && naive_find_lease(naive, id) ? "Busy" : "");
}

/* Another lifetime, if the rules of now would grant the lease with that. */
static struct naive_answer hand(struct naive *naive, const struct event *event) {
    struct naive_lease *lease = naive_find_lease(naive, naive_pick_lease(naive, event->argument));
    struct naive_query query = {.lifetime = event->lifetime, .place = NO_PLACE};
    enum user user = slot_users[event->slot];
    const char *error;

    if (!lease)
        return answer("UnknownObject");
    if (lease->claimant != user && user != USER_ROOT)
        return answer("NotHolder");
    if (lease->phase == PHASE_DRAINING)
        return answer("NoSuchLease");
    if (lease->lifetime == event->lifetime && event->lifetime == LIFETIME_PERSISTENT)
        return answer("");
    query.claimant = lease->claimant;
    query.holder = lease->holder;
    query.mode = lease->mode;
    for (unsigned i = 0; i < lease->n_parts; i++)
        query.targets |= lease->parts[i].lost ? 0 : 1u << lease->parts[i].group;
    (void)naive_reason(naive, &query, &error);
    if (strcmp(error, "PolicyDenied") == 0)
        return answer(error);
    lease->lifetime = event->lifetime;
    return answer("");
}

static struct naive_answer reload(struct naive *naive, const struct event *event) {
    if (slot_users[event->slot] != USER_ROOT)
        return answer("AccessDenied");
    naive->policy_file = event->argument;
    if (event->argument == POLICY_BAD)
        return answer("PolicyInvalid");
    naive->policy = &policies[event->argument];
    return answer("");
}

static void drop_keeper(struct naive *naive, const struct event *event) {
    struct naive_lease *lease = naive_find_lease(naive, naive_pick_lease(naive, event->argument));

    if (lease && lease->lifetime & (LIFETIME_FD | LIFETIME_PROCESS))
        lease->dropped = true;
}

/* ---- All together */

static struct naive_answer happen(struct naive *naive, const struct event *event) {
    switch (event->kind) {
    case EVENT_DIRECT:
    case EVENT_TOUCH:
    case EVENT_OPEN:
        return node_event(naive, event);
    case EVENT_CLOSE:
        return close_node(naive, event);
    case EVENT_CLAIM:
        return claim(naive, event);
    case EVENT_RELEASE:
    case EVENT_REVOKE:
        return release(naive, event);
    case EVENT_HAND:
        return hand(naive, event);
    case EVENT_RELOAD:
        return reload(naive, event);
    case EVENT_DROP:
        drop_keeper(naive, event);
        return answer("");
    case EVENT_DISCONNECT:
        naive->serials[event->slot]++;
        return answer("");
    case EVENT_PASS:
        naive->now += event->argument ? 10 * TTL_LONG : TTL_SHORT;
        return answer("");
    case EVENT_KILL:
        naive->up = false;
        return answer("");
    case EVENT_START:
        return answer("");
    default:
        return device_event(naive, event);
    }
}

struct naive_answer naive_apply(struct naive *naive, const struct event *event) {
    naive->conflict = -1;
    if (naive_needs_daemon(event))
        naive_start(naive);
    struct naive_answer what = happen(naive, event);
    if (naive->up) {
        naive_follow_up(naive);
        naive_end_in_time(naive);
    }
    return what;
}
