/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/json.h"
#include "client/options.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verbs-groups.h"
#include "client/why.h"
#include "util/fd.h"

/* ---- list ---------------------------------------------------------------------------------- */

/* (id, owner, verdict, number of devices, node, object) with names. */
static int group_from_struct(json_object *fields, json_object **ret) {
    static const char *const keys[] = {"id", "owner", "verdict", "device_count", "node", "object"};
    _cleanup_(json_putp) json_object *group = json_object_new_object();

    if (json_length(fields) != ELEMENTS_OF(keys))
        return -EBADMSG;
    for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
        json_object *field = json_object_get(json_object_array_get_idx(fields, i));
        if (!group || json_set(group, keys[i], field) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_POINTER(group);
    return 0;
}

enum exit_status groups_read(struct client *client, json_object **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(json_putp) json_object *structs = NULL, *groups = json_object_new_array();
    json_object *group;

    enum exit_status status = call_new(client, "ListGroups", false, &call);
    if (status == STATUS_DONE)
        status = call_send(client, call, &reply);
    if (status != STATUS_DONE)
        return status;
    int r = json_from_message(reply, &structs);
    for (size_t i = 0; r >= 0 && i < json_length(structs); i++) {
        r = group_from_struct(json_object_array_get_idx(structs, i), &group);
        if (r >= 0)
            r = json_append(groups, group);
    }
    if (r < 0 || !groups)
        return client_fail_reply(client, groups ? r : -ENOMEM);
    json_sort_by_id(groups);
    *ret = TAKE_POINTER(groups);
    return STATUS_DONE;
}

/* Replaces the paths in group's "devices" by the devices. */
static enum exit_status group_read_devices(struct client *client, json_object *objects,
                                           json_object *paths, json_object *group) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    if (!devices)
        return client_fail_memory(client);
    for (size_t i = 0; i < json_length(paths); i++) {
        json_object *device, *path = json_object_array_get_idx(paths, i);
        const char *text = json_object_get_string(path);
        if (!text || !sd_bus_object_path_is_valid(text))
            return client_fail_reply(client, -EBADMSG);
        enum exit_status status = objects_find(client, objects, text, DEVICE_INTERFACE, &device);
        if (status == STATUS_NO_SUCH)
            continue; /* it went away since */
        if (status != STATUS_DONE)
            return status;
        if (json_append(devices, device) < 0)
            return client_fail_memory(client);
    }
    if (json_set(group, "devices", TAKE_POINTER(devices)) < 0)
        return client_fail_memory(client);
    return STATUS_DONE;
}

static enum exit_status groups_read_devices(struct client *client, json_object *groups) {
    _cleanup_(json_putp) json_object *objects = NULL;
    enum exit_status status = objects_read(client, &objects);

    for (size_t i = 0; status == STATUS_DONE && i < json_length(groups); i++) {
        _cleanup_(json_putp) json_object *properties = NULL;
        json_object *group = json_object_array_get_idx(groups, i);
        status = objects_find(client, objects, json_text(group, "object"), GROUP_INTERFACE,
                              &properties);
        if (status == STATUS_NO_SUCH) {
            status = STATUS_DONE;
            continue;
        }
        if (status == STATUS_DONE)
            status = group_read_devices(client, objects, json_member(properties, "devices"), group);
    }
    return status;
}

static enum exit_status print_groups(const struct client *client, json_object *groups,
                                     bool devices) {
    static const struct column plain[] = {
        {.title = "GROUP", .key = "id", .right = true},
        {.title = "OWNER", .key = "owner", .color = owner_color},
        {.title = "VERDICT", .key = "verdict", .color = verdict_color},
        {.title = "DEVICES", .key = "device_count", .right = true},
        {.title = "NODE", .key = "node"},
    };
    static const struct column tree[] = {
        {.title = "GROUP", .key = "id", .child_key = "name"},
        {.title = "OWNER", .key = "owner", .color = owner_color},
        {.title = "VERDICT", .key = "verdict", .color = verdict_color},
        {.title = "ROLE", .child_key = "role", .color = role_color},
        {.title = "DRIVER", .child_key = "driver"},
        {.title = "NODE", .key = "node"},
    };

    if (client->json)
        return json_print(groups, false) < 0 ? client_fail_memory(client) : STATUS_DONE;
    if (devices)
        return table_print(client, tree, ELEMENTS_OF(tree), groups, "devices");
    return table_print(client, plain, ELEMENTS_OF(plain), groups, NULL);
}

static enum exit_status list_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(json_putp) json_object *groups = NULL;
    bool devices = arguments_value(arguments, "devices");
    enum exit_status status = groups_read(client, &groups);

    if (status == STATUS_DONE && devices)
        status = groups_read_devices(client, groups);
    return status == STATUS_DONE ? print_groups(client, groups, devices) : status;
}

static const struct verb_option list_options[] = {
    {"devices", 'v', NULL, "show the devices of each group, too"},
    {NULL},
};

const struct verb verb_list = {
    .name = "list",
    .synopsis = "",
    .summary = "Lists the groups, their owners and a verdict for you",
    .help = "OWNER is none, kernel, user (a lease) or foreign (userspace, but not through\n"
            "dmaownd). VERDICT is 'grantable', or the first reason that stands against a\n"
            "claim by you; 'dmaownctl explain GROUP' gives all of them.\n",
    .options = list_options,
    .json = true,
    .run = list_run,
};

/* ---- explain ------------------------------------------------------------------------------- */

/* Reads the reply of Explain. */
static int explanation_read(sd_bus_message *reply, json_object **ret) {
    static const char *const keys[] = {"grantable", "reason", "findings"};
    static const enum json_type expected[] = {json_type_boolean, json_type_string, json_type_array};
    _cleanup_(json_putp) json_object *explanation = json_object_new_object();

    for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
        json_object *value;
        int r = json_from_message(reply, &value);
        if (r < 0)
            return r;
        bool right = json_object_is_type(value, expected[i]);
        if (json_set(explanation, keys[i], value) < 0)
            return -ENOMEM;
        if (!right)
            return -EBADMSG;
    }
    *ret = TAKE_POINTER(explanation);
    return 0;
}

static enum exit_status explain_send(struct client *client, sd_bus_message *call,
                                     json_object **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    enum exit_status status = call_send(client, call, &reply);

    if (status != STATUS_DONE)
        return status;
    int r = explanation_read(reply, ret);
    return r < 0 ? client_fail_reply(client, r) : STATUS_DONE;
}

static enum exit_status print_explanation(const struct client *client, json_object *explanation) {
    static const struct column columns[] = {
        {.title = "GROUP", .key = "group", .right = true},
        {.title = "DEVICE", .key = "device"},
        {.title = "REASON", .key = "reason"},
        {.title = "BLOCKS", .key = "blocks"},
        {.title = "RULE", .key = "rule"},
        {.title = "TEXT", .key = "text", .wrap = true},
    };
    _cleanup_(freep) char *reason = value_format(json_member(explanation, "reason"));

    if (!reason)
        return client_fail_memory(client);
    if (json_truth(explanation, "grantable"))
        printf("grantable\n");
    else
        printf("not grantable: %s\n", reason);
    return table_print(client, columns, ELEMENTS_OF(columns), json_member(explanation, "findings"),
                       NULL);
}

static enum exit_status explain_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    _cleanup_(json_putp) json_object *explanation = NULL;
    _cleanup_(call_options_done) struct call_options options = {0};
    enum exit_status status =
        call_options_read(client, arguments, call_options_lifetime(arguments), &options);

    if (status == STATUS_DONE)
        status = call_new(client, "Explain", arguments_value(arguments, "uid") != NULL, &call);
    if (status == STATUS_DONE)
        status = call_options_append(client, arguments, &options, call);
    if (status == STATUS_DONE)
        status = explain_send(client, call, &explanation);
    if (status == STATUS_DONE && client->json && json_print(explanation, false) < 0)
        status = client_fail_memory(client);
    else if (status == STATUS_DONE && !client->json)
        status = print_explanation(client, explanation);
    if (status != STATUS_DONE || json_truth(explanation, "grantable"))
        return status;
    status = exit_status_from_reason(json_text(explanation, "reason"));
    return status == STATUS_DONE ? STATUS_ERROR : status;
}

static const struct verb_option explain_options[] = {
    LIFETIME_OPTIONS,
    CLAIM_OPTIONS,
    {"uid", 'u', "USER", "ask for another user (root or polkit)"},
    {NULL},
};

const struct verb verb_explain = {
    .name = "explain",
    .synopsis = "TARGET...",
    .summary = "Says what a claim would say, and changes nothing",
    .help = "Takes the options of 'dmaownctl claim', lists every finding that speaks for or\n"
            "against, with its device and driver, and ends with the status that the claim\n"
            "would end with.\n",
    .options = explain_options,
    .json = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = explain_run,
};

/* ---- show ---------------------------------------------------------------------------------- */

enum exit_status group_find(struct client *client, const char *target, char **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    const char *path;

    enum exit_status status = call_new(client, "FindGroup", false, &call);
    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_append(call, "s", target);
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s", strerror(-r));
    status = call_send(client, call, &reply);
    if (status != STATUS_DONE)
        return status;
    r = sd_bus_message_read(reply, "o", &path);
    if (r < 0)
        return client_fail_reply(client, r);
    char *copy = strdup(path);
    if (!copy)
        return client_fail_memory(client);
    *ret = copy;
    return STATUS_DONE;
}

enum exit_status group_read(struct client *client, const char *path, json_object **ret) {
    _cleanup_(json_putp) json_object *group = NULL, *paths = NULL;
    enum exit_status status = object_read(client, path, GROUP_INTERFACE, &group);

    if (status != STATUS_DONE)
        return status;
    paths = json_object_get(json_member(group, "devices"));
    status = group_read_devices(client, NULL, paths, group);
    if (status == STATUS_DONE)
        *ret = TAKE_POINTER(group);
    return status;
}

enum exit_status group_explain(struct client *client, const char *target, bool detach,
                               json_object **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    enum exit_status status = call_new(client, "Explain", false, &call);

    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_append(call, "asa{sv}", 1, target, 2, "lifetime", "s", "persistent",
                                  "detach", "b", (int)detach);
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s", strerror(-r));
    return explain_send(client, call, ret);
}

/* The verdict for a claim with no options, as ListGroups has it. */
static enum exit_status group_read_verdict(struct client *client, const char *target,
                                           json_object *group) {
    json_object *explanation;
    enum exit_status status = group_explain(client, target, false, &explanation);

    if (status == STATUS_DONE && json_set(group, "verdict", explanation) < 0)
        return client_fail_memory(client);
    return status;
}

/* Replaces the lease's path by the lease, or by null. */
static enum exit_status group_read_lease(struct client *client, json_object *group) {
    json_object *lease = NULL;
    const char *path = json_text(group, "lease");

    if (*path && strcmp(path, "/") != 0) {
        enum exit_status status = object_read(client, path, LEASE_INTERFACE, &lease);
        if (status != STATUS_DONE && status != STATUS_NO_SUCH)
            return status;
    }
    return json_object_object_add(group, "lease", lease) < 0 ? client_fail_memory(client)
                                                            : STATUS_DONE;
}

static enum exit_status print_group(const struct client *client, json_object *group) {
    static const struct column lines[] = {
        {.title = "Owner", .key = "owner"},
        {.title = "Viable", .key = "viable"},
        {.title = "Blockers", .key = "blockers", .format = blockers_format},
        {.title = "Node", .key = "node"},
        {.title = "Domain type", .key = "domain_type"},
        {.title = "Isolated", .key = "isolated"},
    };
    static const struct column devices[] = {
        {.title = "DEVICE", .key = "name"},
        {.title = "BUS", .key = "bus"},
        {.title = "ROLE", .key = "role", .color = role_color},
        {.title = "DRIVER", .key = "driver"},
        {.title = "VFIO", .key = "vfio_device"},
        {.title = "RESET", .key = "reset_methods"},
        {.title = "USED BY", .key = "used_by", .format = sentences_format, .wrap = true},
    };

    printf("Group %llu\n", (unsigned long long)json_number(group, "id"));
    enum exit_status status = list_print(client, lines, ELEMENTS_OF(lines), group);
    json_object *lease = json_member(group, "lease");
    if (status == STATUS_DONE && lease) {
        printf("\nLease %llu\n", (unsigned long long)json_number(lease, "id"));
        status = lease_print(client, lease);
    }
    printf("\n");
    if (status == STATUS_DONE)
        status = table_print(client, devices, ELEMENTS_OF(devices), json_member(group, "devices"),
                             NULL);
    printf("\nA claim by you: ");
    return status == STATUS_DONE ? print_explanation(client, json_member(group, "verdict"))
                                 : status;
}

static enum exit_status show_lease(struct client *client, const char *path) {
    _cleanup_(json_putp) json_object *lease = NULL;
    enum exit_status status = object_read(client, path, LEASE_INTERFACE, &lease);

    if (status != STATUS_DONE)
        return status;
    if (client->json)
        return json_print(lease, false) < 0 ? client_fail_memory(client) : STATUS_DONE;
    printf("Lease %llu\n", (unsigned long long)json_number(lease, "id"));
    return lease_print(client, lease);
}

static enum exit_status group_read_why(const struct client *client, json_object *group) {
    _cleanup_(fd_closep) int sysfs = fd_open_directory(AT_FDCWD, "/sys");
    json_object *entries;

    if (sysfs < 0)
        return client_fail(client, STATUS_ERROR, "/sys: %s", strerror(-sysfs));
    if (why_explain(sysfs, json_member(group, "devices"), &entries) < 0 ||
        json_set(group, "why", entries) < 0)
        return client_fail_memory(client);
    return STATUS_DONE;
}

/* The group was shown: what is left to say of --why. */
static enum exit_status show_why(const struct client *client, json_object *group) {
    json_object *entries = json_member(group, "why");
    enum exit_status status = client->json ? STATUS_DONE : why_print(client, entries);

    if (status == STATUS_DONE && why_needs_root(entries))
        return client_fail(client, STATUS_DENIED,
                           "not all of the configuration space could be read; root can");
    return status;
}

static enum exit_status show_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(json_putp) json_object *group = NULL;
    _cleanup_(freep) char *path = NULL;
    bool why = arguments_value(arguments, "why");

    /* A number would be a group's. */
    if (*arguments->words[0] == '/' && lease_path_parse(arguments->words[0], &path) == 0)
        return why ? client_fail(client, STATUS_USAGE, "--why wants a group or a device, not a lease")
                   : show_lease(client, path);
    enum exit_status status = group_find(client, arguments->words[0], &path);

    if (status == STATUS_DONE)
        status = group_read(client, path, &group);
    if (status == STATUS_DONE)
        status = group_read_lease(client, group);
    if (status == STATUS_DONE)
        status = group_read_verdict(client, arguments->words[0], group);
    if (status == STATUS_DONE && why)
        status = group_read_why(client, group);
    if (status != STATUS_DONE)
        return status;
    if (!client->json)
        status = print_group(client, group);
    else if (json_print(group, false) < 0)
        status = client_fail_memory(client);
    return status == STATUS_DONE && why ? show_why(client, group) : status;
}

static const struct verb_option show_options[] = {
    {"why", 'w', NULL, "say what joins the devices of the group (as root)"},
    {NULL},
};

const struct verb verb_show = {
    .name = "show",
    .synopsis = "TARGET",
    .summary = "Shows a group in full, or a lease by its object path",
    .help = "A lease's number would be taken for a group's: give its object path.\n"
            "A role says what a device's driver means for the group: free (no driver), user\n"
            "(VFIO), passive (does no harm beside a user) or kernel (stands in the way).\n"
            "--why reads the configuration space of PCI devices and of the bridges above\n"
            "them, which only root can, and says which bridge, port or slot joins the devices\n"
            "and what would part them. 'unknown' is an answer: not every rule of the kernel\n"
            "can be seen from outside.\n",
    .options = show_options,
    .json = true,
    .min_words = 1,
    .max_words = 1,
    .run = show_run,
};
