/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that joins a group which userspace has, or that shares a stream with it, has passed no policy:
 * it is pinned, so that no driver takes it, and never given to VFIO. The kernel probes right after it has
 * told of the device, so a host driver may have been faster: it is taken away again only where policy lets
 * drivers be switched and nothing uses the device. */
#include "manager-switch.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "model/device-streams.h"
#include "util/string.h"

/* A look at one device before it is pinned. */
struct guard {
    struct manager *manager;
    struct manager_survey *survey;
    char *path;
    struct guard *next; /* manager::guards */
};

static void free_guard(struct guard *guard) {
    struct guard **at = &guard->manager->guards;

    while (*at && *at != guard)
        at = &(*at)->next;
    if (*at)
        *at = guard->next;
    manager_survey_free(guard->survey);
    free(guard->path);
    free(guard);
}

void manager_free_guards(struct manager *manager) {
    while (manager->guards)
        free_guard(manager->guards);
}

/* It is on record as userspace's, whether or not a VFIO driver has it right now. */
static bool group_is_on_record(const struct group *group) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->detached && member->detached->move == MOVE_TO_USER)
            return true;
    return false;
}

static bool group_is_detached(const struct group *group) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->detached && member->detached->move == MOVE_TO_USER && member->role == ROLE_USER)
            return true;
    return false;
}

/* A member that was granted may be between two drivers. */
static bool is_leased(const struct group *group, const struct device *device) {
    for (size_t i = 0; i < group->lease->n_groups; i++)
        if (strings_contain(group->lease->groups[i].devices, device->path))
            return true;
    return false;
}

static bool is_userspace(const struct group *group) {
    return group && (group->lease || group_is_detached(group));
}

/* The group that userspace has, and that the device is in or shares a stream with; but not this one, which
 * may be NULL. NULL if none. */
static const struct group *group_beside_other(const struct device *device, const struct group *except) {
    if (device->group != except && is_userspace(device->group))
        return device->group;
    for (const struct device *other = device->streams ? device->streams->next_in_set : device;
         other != device; other = other->streams->next_in_set)
        if (other->group != except && is_userspace(other->group))
            return other->group;
    return NULL;
}

static const struct group *group_beside(const struct device *device) {
    return group_beside_other(device, NULL);
}

/* Of one outside of the group, only a driver that came after the grant: who was there before was judged
 * with it. */
static bool driver_may_stay(const struct device *device, const struct group *group) {
    return device->role == ROLE_KERNEL && device->group != group &&
           (!group->lease || device->known_beside);
}

/* Nobody is to have it beside the user of that group. */
static bool wants_pin(const struct device *device) {
    const struct group *group = group_beside(device);

    if (!group || device->detached || device->switching || device->guard_failed || device->moved_by_hand ||
        group->switching || (device->group && device->group->switching))
        return false;
    if ((device->role != ROLE_FREE && device->role != ROLE_KERNEL) || driver_may_stay(device, group))
        return false;
    if (group->lease && group->lease->state != LEASE_ACTIVE)
        return false; /* drivers may be on their way already */
    return !group->lease || !is_leased(group, device);
}

/* For whom the group left the kernel. */
static struct policy_subject owner_of(const struct manager *manager, const struct group *group) {
    const struct lease *lease = group->lease;

    if (lease)
        return (struct policy_subject){
            .uid = lease->claimant, .gids = lease->gids, .n_gids = lease->n_gids,
            .unit = lease->unit && *lease->unit ? lease->unit : NULL};
    for (const struct device *member = group->members; member; member = member->next_member) {
        const struct detachment *detachment = manager_detachment_of(manager, member);
        if (detachment && !detachment->guard)
            return (struct policy_subject){.uid = detachment->uid};
    }
    return (struct policy_subject){0};
}

/* One of the rules that the group left the kernel by; names are comma separated. */
static bool is_among(const char *names, const char *name) {
    size_t length = strlen(name);

    for (const char *at = names; (at = strstr(at, name)); at++)
        if ((at == names || at[-1] == ',') && (at[length] == ',' || !at[length]))
            return true;
    return false;
}

static bool let_the_group_go(const struct manager *manager, const struct group *group,
                             const char *rule) {
    if (group->lease)
        return is_among(group->lease->rule, rule);
    for (const struct device *member = group->members; member; member = member->next_member) {
        const struct detachment *detachment = manager_detachment_of(manager, member);
        if (detachment && is_among(detachment->rule, rule))
            return true;
    }
    return false;
}

static bool policy_lets_switch(const struct manager *manager, const struct device *device) {
    struct policy_device view = verdict_policy_view(device);
    const struct group *group = group_beside(device);
    struct policy_subject owner = owner_of(manager, group);
    const struct policy_rule *rule =
        manager->policy ? policy_decide(manager->policy, &view, &owner) : NULL;

    return rule && rule->effect == POLICY_ALLOW && rule->detach &&
           let_the_group_go(manager, group, rule->name);
}

static bool is_used(const struct device *device) {
    const struct survey *survey = device->survey;

    for (size_t i = 0; survey && i < survey->n_uses; i++)
        if (reason_outcome(survey->uses[i].reason) == OUTCOME_DEVICE_IN_USE)
            return true;
    return !survey;
}

static bool may_pin(const struct manager *manager, const struct device *device) {
    return device->role == ROLE_FREE || (policy_lets_switch(manager, device) && !is_used(device));
}

static int fill(struct detachment *detachment, const struct device *device) {
    struct detachment_member *member = &detachment->members[detachment->n_members++];

    *member = (struct detachment_member){
        .path = strdup(device->path),
        .bus = strdup(device->bus),
        .group = group_beside(device)->id,
        .move = device->role == ROLE_KERNEL ? MOVE_UNBOUND : MOVE_PINNED,
        .driver = strdup(device->driver ?: ""),
        .target = strdup(""),
        .vfs = -1,
        .autoprobe = -1,
    };
    const char *override = device->survey ? device->survey->override : NULL;
    if (override) /* a pin that nobody has a record of any more is not to come back */
        member->override = strdup(string_equal(override, PIN_DRIVER) ? "" : override);
    return member->path && member->bus && member->driver && member->target ? 0 : -ENOMEM;
}

static void pin(struct manager *manager, const struct device *device) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct detachment *detachment = detachment_new(1);
    uint64_t id;

    if (!detachment || fill(detachment, device) < 0) {
        detachment_free(detachment);
        return;
    }
    detachment->guard = true;
    int r = manager_start_away(manager, detachment, &id, &refusal);
    if (r != OUTCOME_OK)
        log_message(LOG_ERR, "Device %s, which joined a group that userspace has, can not be pinned: "
                             "%s",
                    device->name, refusal.text ?: strerror(-r));
}

static void on_surveyed(int result, void *userdata) {
    struct guard *guard = userdata;
    struct manager *manager = guard->manager;
    struct device *device = model_device(&manager->model, guard->path);

    guard->survey = NULL;
    free_guard(guard);
    if (result >= 0 && device && !device->survey)
        manager_guard(manager, device); /* its driver changed meanwhile */
    else if (result >= 0 && device && wants_pin(device) && may_pin(manager, device))
        pin(manager, device);
}

static bool is_looked_at(const struct manager *manager, const char *path) {
    for (const struct guard *guard = manager->guards; guard; guard = guard->next)
        if (string_equal(guard->path, path))
            return true;
    return false;
}

void manager_guard_peers(struct manager *manager, const struct group *group) {
    const struct device *member = NULL, *other = NULL;

    while ((other = group_next_outsider(group, &member, other)))
        manager_guard(manager, model_device(&manager->model, other->path));
}

void manager_guard(struct manager *manager, struct device *device) {
    static const struct policy_subject root = {0};

    if (!wants_pin(device) || is_looked_at(manager, device->path))
        return;
    struct guard *guard = calloc(1, sizeof(*guard));
    if (!guard)
        return;
    guard->manager = manager;
    guard->next = manager->guards;
    manager->guards = guard;
    guard->path = strdup(device->path);
    if (!guard->path || manager_survey(manager, &device, 1, &root, on_surveyed, guard,
                                       &guard->survey) < 0)
        free_guard(guard);
}

bool manager_pass_on_pin(struct manager *manager, struct detachment *detachment) {
    struct detachment_member *member =
        detachment->guard && detachment->n_members == 1 ? &detachment->members[0] : NULL;
    const struct device *device = member ? model_device(&manager->model, member->path) : NULL;
    const struct group *other =
        device ? group_beside_other(device, model_group(&manager->model, member->group)) : NULL;

    if (!other)
        return false;
    member->group = other->id;
    (void)manager_save_detachment(manager, detachment);
    return true;
}

/* The pins beside a lease go with it; those of a group that is detached wait for its Reattach. */
void manager_end_guard(struct manager *manager, const struct group *group) {
    struct detachment *detachment, *next;

    if (group_is_on_record(group))
        return;
    HASH_ITER(by_id, manager->detachments, detachment, next) {
        if (detachment->guard && !detachment->stuck && detachment_has_group(detachment, group->id) &&
            !manager_pass_on_pin(manager, detachment))
            (void)manager_reattach(manager, detachment, WAY_BACK_PROBED, false);
    }
}

void manager_note_guard_failed(struct manager *manager, struct detachment *detachment) {
    detachment->stuck = true;
    for (size_t i = 0; i < detachment->n_members; i++) {
        struct device *device = model_device(&manager->model, detachment->members[i].path);
        if (device)
            device->guard_failed = true;
    }
}

void manager_guard_again(struct manager *manager) {
    struct detachment *detachment, *next;
    bool stuck = false;

    HASH_ITER(by_id, manager->detachments, detachment, next) {
        stuck = stuck || detachment->stuck;
        detachment->stuck = false;
    }
    for (struct group *group = stuck ? manager->model.groups : NULL; group; group = group->by_id.next)
        if (!group->lease)
            manager_end_guard(manager, group);
    for (struct device *device = manager->model.devices; device; device = device->by_path.next) {
        if (!device->guard_failed)
            continue;
        device->guard_failed = false;
        manager_guard(manager, device);
    }
}
