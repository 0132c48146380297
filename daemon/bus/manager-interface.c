/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.dmaownd1.Manager: the vtable and its simple methods. Explain and Claim are in claim.c. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/audit-tree.h"
#include "bus/bus.h"
#include "bus/call.h"
#include "bus/claim.h"
#include "bus/switch.h"
#include "bus/targets.h"
#include "util/string.h"

/* ---- ListGroups, FindGroup */

static int compare_groups(const void *a, const void *b) {
    const struct group *const *left = a, *const *right = b;

    return (*left)->id < (*right)->id ? -1 : (*left)->id > (*right)->id;
}

/* All groups by number; the array is the caller's. */
static struct group **sorted_groups(const struct model *model) {
    struct group **groups = calloc(model->n_groups + 1, sizeof(*groups));
    size_t n = 0;

    if (!groups)
        return NULL;
    for (struct group *group = model->groups; group; group = group->by_id.next)
        groups[n++] = group;
    qsort(groups, n, sizeof(*groups), compare_groups);
    return groups;
}

static int append_group(sd_bus_message *reply, struct call *call, struct group *group) {
    struct claim claim = call_claim(call);
    char path[BUS_PATH_MAX], node[32] = "";

    /* In the mode of a claim without options, for any lifetime. */
    claim.groups = &group;
    claim.n_groups = 1;
    struct verdict_request request = manager_request(call->bus->manager, &claim);
    enum reason reason = verdict_first_reason(&request);
    if (group->node.present)
        snprintf(node, sizeof(node), "/dev/vfio/%u", group->id);
    return sd_bus_message_append(reply, "(ussuso)", group->id, owner_to_string(group_owner(group)),
                                 reason ? reason_to_string(reason) : "grantable",
                                 (uint32_t)group->n_members, node, bus_group_path(group->id, path));
}

static int run_list_groups(struct call *call) {
    const struct model *model = &call->bus->manager->model;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(freep) struct group **groups = sorted_groups(model);

    if (!groups)
        return -ENOMEM;
    int r = sd_bus_message_new_method_return(call->message, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ussuso)");
    for (size_t i = 0; r >= 0 && i < model->n_groups; i++)
        r = append_group(reply, call, groups[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r < 0 ? r : CALL_DONE;
}

static int run_find_group(struct call *call) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct group *group;
    struct device *device;
    char path[BUS_PATH_MAX];
    const char *target;

    int r = sd_bus_message_read(call->message, "s", &target);
    if (r < 0)
        return r;
    r = target_find(call->bus->manager, target, &group, &device, &refusal);
    if (r != OUTCOME_OK)
        return call_fail(call, refusal.outcome, "%s", refusal.text ?: "");
    _cleanup_(freep) char *name = group ? NULL : text_escape(device->name);
    if (!group)
        return call_fail(call, OUTCOME_NOT_VIABLE, "Device %s has no IOMMU group, or none yet.",
                         name ?: "?");
    r = sd_bus_reply_method_return(call->message, "o", bus_group_path(group->id, path));
    return r < 0 ? r : CALL_DONE;
}

/* ---- Release */

static int run_release(struct call *call) {
    const char *path;
    int r = sd_bus_message_read(call->message, "o", &path);

    return r < 0 ? r : call_release(call, bus_find_lease(call->bus->manager, path));
}

/* ---- Reload, Rescan */

static int run_reload(struct call *call) {
    int r = call_require_privilege(call, OUTCOME_ACCESS_DENIED);

    return r != CALL_PROCEEDS ? r : call_load_policy(call);
}

static int run_rescan(struct call *call) {
    int r = call_require_privilege(call, OUTCOME_ACCESS_DENIED);

    if (r != CALL_PROCEEDS)
        return r;
    r = manager_scan(call->bus->manager);
    if (r < 0)
        return r;
    r = sd_bus_reply_method_return(call->message, NULL);
    return r < 0 ? r : CALL_DONE;
}

/* ---- the methods */

#define METHOD(name)                                                                               \
    static int method_##name(sd_bus_message *message, void *userdata, sd_bus_error *error) {       \
        return call_start(userdata, message, run_##name);                                          \
    }
METHOD(list_groups)
METHOD(find_group)
METHOD(explain)
METHOD(claim)
METHOD(release)
METHOD(find_lease)
METHOD(revoke)
METHOD(detach)
METHOD(reattach)
METHOD(plan_detach)
METHOD(plan_reattach)
METHOD(reload)
METHOD(rescan)
METHOD(audit_device_tree)

/* ---- properties */

GETTER(version) {
    return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

GETTER(policy_generation) {
    const struct bus *bus = userdata;

    return sd_bus_message_append(reply, "t", bus->manager->policy_generation);
}

GETTER(policy_files) {
    const struct bus *bus = userdata;
    const struct policy *policy = bus->manager->policy;

    return sd_bus_message_append_strv(reply, policy ? (char **)policy_files(policy) : NULL);
}

GETTER(group_count) {
    const struct bus *bus = userdata;

    return sd_bus_message_append(reply, "u", (uint32_t)bus->manager->model.n_groups);
}

GETTER(lease_count) {
    const struct bus *bus = userdata;

    return sd_bus_message_append(reply, "u", (uint32_t)bus->manager->leases.n_leases);
}

GETTER(kernel_model) {
    const struct bus *bus = userdata;

    return sd_bus_message_append(reply, "s",
                                 kernel_model_to_string(manager_kernel_model(bus->manager)));
}

#define OPEN SD_BUS_VTABLE_UNPRIVILEGED
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define TARGETS_AND_OPTIONS SD_BUS_ARGS("as", targets, "a{sv}", options)

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("ListGroups", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ussuso)", groups),
                            method_list_groups, OPEN),
    SD_BUS_METHOD_WITH_ARGS("FindGroup", SD_BUS_ARGS("s", target), SD_BUS_RESULT("o", group),
                            method_find_group, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Explain", TARGETS_AND_OPTIONS,
                            SD_BUS_RESULT("b", grantable, "s", reason, "aa{sv}", findings),
                            method_explain, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Claim", TARGETS_AND_OPTIONS,
                            SD_BUS_RESULT("o", lease, "a{sh}", fds), method_claim, OPEN),
    SD_BUS_METHOD_WITH_ARGS("FindLease", SD_BUS_ARGS("s", key), SD_BUS_RESULT("o", lease), method_find_lease,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("o", lease), SD_BUS_NO_RESULT, method_release,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("Detach", TARGETS_AND_OPTIONS, SD_BUS_NO_RESULT, method_detach,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("Reattach", TARGETS_AND_OPTIONS, SD_BUS_NO_RESULT, method_reattach,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("PlanDetach", TARGETS_AND_OPTIONS, SD_BUS_RESULT("aa{sv}", steps),
                            method_plan_detach, OPEN),
    SD_BUS_METHOD_WITH_ARGS("PlanReattach", TARGETS_AND_OPTIONS, SD_BUS_RESULT("aa{sv}", steps),
                            method_plan_reattach, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Revoke", SD_BUS_ARGS("o", lease, "a{sv}", options), SD_BUS_NO_RESULT,
                            method_revoke, OPEN),
    SD_BUS_METHOD_WITH_ARGS("AuditDeviceTree", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", findings),
                            method_audit_device_tree, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Rescan", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_rescan, OPEN),
    SD_BUS_PROPERTY("Version", "s", get_version, 0, CONSTANT),
    SD_BUS_PROPERTY("PolicyGeneration", "t", get_policy_generation, 0, CHANGES),
    SD_BUS_PROPERTY("PolicyFiles", "as", get_policy_files, 0, CHANGES),
    SD_BUS_PROPERTY("GroupCount", "u", get_group_count, 0, CHANGES),
    SD_BUS_PROPERTY("LeaseCount", "u", get_lease_count, 0, CHANGES),
    SD_BUS_PROPERTY("KernelModel", "s", get_kernel_model, 0, CHANGES),
    SD_BUS_SIGNAL_WITH_ARGS("LeaseGranted", SD_BUS_ARGS("o", lease, "au", groups, "u", uid), 0),
    SD_BUS_SIGNAL_WITH_ARGS("LeaseRevoking", SD_BUS_ARGS("o", lease, "t", seconds), 0),
    SD_BUS_SIGNAL_WITH_ARGS("LeaseEnded", SD_BUS_ARGS("o", lease, "au", groups, "s", reason), 0),
    SD_BUS_SIGNAL_WITH_ARGS("Conflict",
                            SD_BUS_ARGS("u", group, "s", device, "s", driver, "s", text), 0),
    SD_BUS_SIGNAL_WITH_ARGS("PolicyReloaded", SD_BUS_ARGS("t", generation, "b", ok, "s", text), 0),
    SD_BUS_VTABLE_END,
};

int bus_add_manager(struct bus *bus) {
    return sd_bus_add_object_vtable(bus->connection, NULL, BUS_PATH, BUS_MANAGER_INTERFACE,
                                    manager_vtable, bus);
}
