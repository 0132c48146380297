/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups that policy keeps for userspace. At boot dmaownd --reserve-device was faster than their host
 * drivers, where it could be; what it left to them, and what comes later, is detached here, under the same
 * checks as anybody's detach. */
#include "manager-switch.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "model/survey.h"
#include "reserve.h"
#include "util/string.h"

/* For udev, which has dmaownd --reserve-device see to what is new: not both at the same time. */
#define PATIENCE_SECONDS 2.

/* A look at one group. */
struct reservation {
    struct manager *manager;
    struct manager_survey *survey;
    uint32_t group;
    struct reservation *next; /* manager::reservations */
};

static void free_reservation(struct reservation *reservation) {
    struct reservation **at = &reservation->manager->reservations;

    while (*at && *at != reservation)
        at = &(*at)->next;
    if (*at)
        *at = reservation->next;
    manager_survey_free(reservation->survey);
    free(reservation);
}

void manager_free_reservations(struct manager *manager) {
    ev_timer_stop(manager->loop, &manager->reserve);
    worker_free(manager->vfs_worker);
    while (manager->reservations)
        free_reservation(manager->reservations);
}

static bool policy_has_reserve(const struct policy *policy) {
    for (size_t i = 0; policy && i < policy_rule_count(policy); i++)
        if (policy_rule_at(policy, i)->reserve)
            return true;
    return false;
}

static bool is_reserved(const struct manager *manager, const struct device *device) {
    struct policy_device view = verdict_policy_view(device);

    return policy_reserves(manager->policy, &view) != NULL;
}

/* Bridges go with the group; every other member must be reserved itself. */
static bool group_is_reserved(const struct manager *manager, const struct group *group) {
    bool any = false;

    for (const struct device *member = group->members; member; member = member->next_member) {
        if (device_is_bridge(member))
            continue;
        if (!is_reserved(manager, member))
            return false;
        any = true;
    }
    return any;
}

static struct claim claim_of_root(struct group **group) {
    return (struct claim){.groups = group, .n_groups = 1, .detach = true, .pidfd = -1};
}

static void refuse_reservation(const struct verdict *verdict, const struct verdict_request *request,
                               const struct group *group) {
    _cleanup_(freep) char *text = verdict_text(verdict, request);

    log_message(LOG_NOTICE, "Group %u, which policy reserves, stays with the host: %s", group->id,
                text ?: "it can not be detached.");
}

static void detach_reserved(struct manager *manager, struct group *group) {
    _cleanup_(verdict_done) struct verdict verdict = {0};
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct claim claim = claim_of_root(&group);
    struct verdict_request request = manager_request(manager, &claim);
    uint64_t id;

    request.reserve = true;
    verdict_reach(&request, &verdict);
    if (!verdict.grantable) {
        refuse_reservation(&verdict, &request, group);
        return;
    }
    _cleanup_(freep) char *rules = verdict_join_rules(&verdict);
    if (!rules || manager_detach(manager, &claim, rules, false, &id, &refusal) != OUTCOME_OK)
        log_message(LOG_ERR, "Group %u, which policy reserves, can not be detached: %s", group->id,
                    refusal.text ?: "out of memory.");
}

static void on_surveyed(int result, void *userdata) {
    struct reservation *reservation = userdata;
    struct manager *manager = reservation->manager;
    struct group *group = model_group(&manager->model, reservation->group);

    reservation->survey = NULL;
    free_reservation(reservation);
    if (result >= 0 && group && manager->policy && group_is_reserved(manager, group))
        detach_reserved(manager, group);
}

static int look_at(struct reservation *reservation, struct group *group) {
    static const struct policy_subject root = {0};
    _cleanup_(freep) struct device **devices = calloc(group->n_members, sizeof(*devices));
    size_t n = 0;

    if (!devices)
        return -ENOMEM;
    for (struct device *member = group->members; member; member = member->next_member)
        if (device_move(member, NULL, 0) != MOVE_STAYS)
            devices[n++] = member;
    return manager_survey(reservation->manager, devices, n, &root, on_surveyed, reservation,
                          &reservation->survey);
}

static void check_group(struct manager *manager, struct group *group) {
    struct claim claim = claim_of_root(&group);

    group->reserve_checked = true;
    if (group->lease || group->switching || !manager_needs_detach(&claim) ||
        !group_is_reserved(manager, group))
        return;
    struct reservation *reservation = calloc(1, sizeof(*reservation));
    if (!reservation)
        return;
    reservation->manager = manager;
    reservation->group = group->id;
    reservation->next = manager->reservations;
    manager->reservations = reservation;
    if (look_at(reservation, group) < 0)
        free_reservation(reservation);
}

static void reserve_all(struct manager *manager) {
    /* Without the bus no module can be loaded: the first time comes when the bus is there. */
    if (!manager->listener || !policy_has_reserve(manager->policy))
        return;
    for (struct group *group = manager->model.groups; group; group = group->by_id.next)
        if (!group->reserve_checked)
            check_group(manager, group);
}

static int keep_vfs(int output, void *userdata) {
    const struct manager *manager = userdata;

    return reserve_virtual_functions(&(struct reserve_options){
        .config_directory = manager->options.config_directory,
        .sysfs_directory = manager->options.sysfs_directory,
        .state_directory = manager->options.state_directory,
    });
}

static void on_vfs_kept(int result, const char *output, size_t size, void *userdata) {
    struct manager *manager = userdata;

    manager->vfs_worker = NULL;
    if (result < 0)
        log_message(LOG_WARNING, "Host drivers can not be kept from virtual functions: %s.",
                    strerror(-result));
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events) {
    struct manager *manager = timer->data;

    manager_adopt_reserved(manager);
    reserve_all(manager);
}

void manager_reserve(struct manager *manager) {
    if (ev_is_active(&manager->reserve) || !policy_has_reserve(manager->policy))
        return;
    ev_timer_init(&manager->reserve, on_timer, PATIENCE_SECONDS, 0.);
    manager->reserve.data = manager;
    ev_timer_start(manager->loop, &manager->reserve);
}

void manager_reserve_anew(struct manager *manager) {
    if (manager->listener && policy_has_reserve(manager->policy) && !manager->vfs_worker)
        (void)worker_start(manager->loop, keep_vfs, on_vfs_kept, manager, &manager->vfs_worker);
    for (struct group *group = manager->model.groups; group; group = group->by_id.next)
        group->reserve_checked = false;
    reserve_all(manager);
}

/* ---- what the boot has left */

/* The device was taken while no driver had it: its way back is to ask the kernel. */
static int adopt(const char *override, const char *path, void *userdata) {
    struct manager *manager = userdata;
    struct device *device = model_device(&manager->model, path);

    if (!device || !device->group || device->role != ROLE_USER || device->detached)
        return 0;
    struct detachment *detachment = detachment_new(1);
    if (!detachment)
        return -ENOMEM;
    detachment->members[detachment->n_members++] = (struct detachment_member){
        .path = strdup(path),
        .bus = strdup(device->bus),
        .group = device->group->id,
        .move = MOVE_TO_USER,
        .driver = strdup(""),
        .override = strdup(override),
        .target = strdup(device->driver),
        .vfs = -1,
        .autoprobe = -1,
    };
    detachment->state = DETACHMENT_DETACHED;
    int r = state_next_id(manager->state, &detachment->id);
    if (r >= 0)
        r = manager_save_detachment(manager, detachment);
    if (r >= 0)
        r = manager_add_detachment(manager, detachment);
    if (r < 0)
        detachment_free(detachment);
    return r;
}

void manager_adopt_reserved(struct manager *manager) {
    int r = state_take_reserved(manager->state, adopt, manager);

    if (r < 0)
        log_message(LOG_ERR, "What was reserved at boot can not be taken over: %s.", strerror(-r));
}
