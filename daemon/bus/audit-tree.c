/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/audit-tree.h"

#include <errno.h>
#include <stdlib.h>

#include "model/device-streams.h"
#include "util/string.h"

struct audit {
    struct isolation_member *members;
    size_t n_members;
    struct isolation isolation;
};

static void audit_done(struct audit *audit) {
    isolation_done(&audit->isolation);
    isolation_members_done(audit->members, audit->n_members);
}

/* Text from firmware and sysfs, fit for the bus. */
static int append_text(sd_bus_message *reply, const char *text) {
    _cleanup_(freep) char *escaped = text_escape(text);

    return escaped ? sd_bus_message_append(reply, "s", escaped) : -ENOMEM;
}

static int open_value(sd_bus_message *reply, const char *key, const char *type) {
    int r = sd_bus_message_open_container(reply, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append(reply, "s", key);
    return r < 0 ? r : sd_bus_message_open_container(reply, 'v', type);
}

static int close_value(sd_bus_message *reply) {
    int r = sd_bus_message_close_container(reply);

    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_string(sd_bus_message *reply, const char *key, const char *text) {
    int r = open_value(reply, key, "s");

    if (r >= 0)
        r = append_text(reply, text);
    return r < 0 ? r : close_value(reply);
}

static const char *node_of(const struct isolation_member *member) {
    return member->master->node;
}

static const char *device_of(const struct isolation_member *member) {
    return member->device;
}

/* One text for each member, without what stood there just before: functions have one node. */
static int append_members(sd_bus_message *reply, const char *key, const struct audit *audit,
                          const struct isolation_finding *finding,
                          const char *(*text_of)(const struct isolation_member *)) {
    const char *last = NULL;
    int r = open_value(reply, key, "as");

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "s");
    for (size_t i = 0; r >= 0 && i < finding->n_members; i++) {
        const char *text = text_of(&audit->members[finding->members[i]]);
        if (!string_equal(text, last))
            r = append_text(reply, text);
        last = text;
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : close_value(reply);
}

static int append_specifiers(sd_bus_message *reply, const struct isolation_finding *finding) {
    int r = open_value(reply, "specifiers", "as");

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "s");
    for (char **text = finding->specifiers; r >= 0 && text && *text; text++)
        r = append_text(reply, *text);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : close_value(reply);
}

static bool is_repeated(const struct audit *audit, const struct isolation_finding *finding, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (audit->members[finding->members[i]].group == audit->members[finding->members[index]].group)
            return true;
    return false;
}

static int append_groups(sd_bus_message *reply, const struct audit *audit,
                         const struct isolation_finding *finding) {
    int r = open_value(reply, "groups", "au");

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "u");
    for (size_t i = 0; r >= 0 && i < finding->n_members; i++) {
        int64_t group = audit->members[finding->members[i]].group;
        if (group != GROUP_NONE && !is_repeated(audit, finding, i))
            r = sd_bus_message_append(reply, "u", (uint32_t)group);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : close_value(reply);
}

static int append_finding(sd_bus_message *reply, const struct audit *audit,
                          const struct isolation_finding *finding) {
    int r = sd_bus_message_open_container(reply, 'a', "{sv}");

    if (r >= 0)
        r = append_string(reply, "kind", reason_to_string(finding->kind));
    if (r >= 0)
        r = append_string(reply, "level", isolation_level_to_string(finding->level));
    if (r >= 0)
        r = append_members(reply, "nodes", audit, finding, node_of);
    if (r >= 0)
        r = append_members(reply, "devices", audit, finding, device_of);
    if (r >= 0)
        r = append_groups(reply, audit, finding);
    if (r >= 0)
        r = append_specifiers(reply, finding);
    if (r >= 0)
        r = append_string(reply, "text", finding->text);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int answer(struct call *call, const struct audit *audit) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call->message, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (size_t i = 0; r >= 0 && i < audit->isolation.n_findings; i++)
        r = append_finding(reply, audit, &audit->isolation.findings[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r < 0 ? r : CALL_DONE;
}

int run_audit_device_tree(struct call *call) {
    _cleanup_(audit_done) struct audit audit = {0};
    struct manager *manager = call->bus->manager;
    const struct model *model = &manager->model;

    if (model->tree_is_unreadable)
        return call_fail(call, OUTCOME_NOT_SUPPORTED,
                         "The device tree of this machine can not be read; see the log of dmaownd.");
    manager_catch_up(manager);
    if (!model->tree)
        return answer(call, &audit);
    int r = model_isolation_members(model, &audit.members, &audit.n_members);
    if (r >= 0)
        r = isolation_reach(model->tree, audit.members, audit.n_members, true, &audit.isolation);
    return r < 0 ? r : answer(call, &audit);
}
