/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/json.h"
#include "client/reserve-folder.h"
#include "client/reserve-rule.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verbs-groups.h"
#include "util/fd.h"
#include "util/string.h"

/* ---- What both share ------------------------------------------------------------------------- */

static enum exit_status check_root(const struct client *client, const struct arguments *arguments) {
    if (geteuid() == 0 || arguments_value(arguments, "config"))
        return STATUS_DONE;
    return client_fail(client, STATUS_DENIED, "only root can change the policy in "
                       SYSCONFDIR "/dmaownd");
}

/* The files are in place whatever the daemon says. */
static enum exit_status policy_reload(struct client *client) {
    enum exit_status status = call_plain(client, "Reload");

    if (status == STATUS_UNREACHABLE) {
        (void)client_fail(client, status, "dmaownd reads the policy when it starts");
        return STATUS_DONE;
    }
    if (status != STATUS_DONE)
        return client_fail(client, status, "the files are changed, but dmaownd did not take the "
                           "policy; try 'dmaownctl reload'");
    return STATUS_DONE;
}

/* ---- reserve --------------------------------------------------------------------------------- */

/* Values of all options of this name; room for VERB_VALUES_MAX + 1. */
static void values_of(const struct arguments *arguments, const char *name, const char **ret) {
    for (size_t i = 0; i < arguments->n_values; i++)
        if (strcmp(arguments->values[i].name, name) == 0)
            *ret++ = arguments->values[i].value;
    *ret = NULL;
}

/* The policy says it too, but speaks of a file that is not there. */
static enum exit_status check_names(const struct client *client,
                                    const struct reserve_terms *terms) {
    for (size_t i = 0; terms->users[i]; i++) {
        uid_t uid;
        if (user_parse(terms->users[i], &uid) < 0)
            return client_fail(client, STATUS_USAGE, "there is no user '%s'", terms->users[i]);
    }
    for (size_t i = 0; terms->groups[i]; i++) {
        gid_t gid;
        if (group_parse(terms->groups[i], &gid) < 0)
            return client_fail(client, STATUS_USAGE, "there is no group '%s'", terms->groups[i]);
    }
    return STATUS_DONE;
}

/* From the next boot on the host would be without what it uses now. */
static enum exit_status check_unused(struct client *client, json_object *group) {
    _cleanup_(json_putp) json_object *explanation = NULL;
    _cleanup_(freep) char *id =
        string_format("%llu", (unsigned long long)json_number(group, "id"));
    enum exit_status status =
        id ? group_explain(client, id, true, &explanation) : client_fail_memory(client);
    json_object *findings = json_member(explanation, "findings");

    for (size_t i = 0; status == STATUS_DONE && i < json_length(findings); i++) {
        json_object *finding = json_object_array_get_idx(findings, i);
        if (reason_is_use(json_text(finding, "reason")))
            status = client_fail(client, STATUS_NOT_VIABLE, "%s Or say --even-if-used, if the host "
                                 "can do without it from the next boot on.",
                                 json_text(finding, "text"));
    }
    return status;
}

static enum exit_status reserve_group(struct client *client, const struct arguments *arguments,
                                      struct reserve_folder *folder, json_object *group,
                                      const struct reserve_terms *terms) {
    _cleanup_(json_putp) json_object *document = NULL,
                                     *endpoints = reserve_endpoints(json_member(group, "devices"));

    if (!endpoints)
        return client_fail_memory(client);
    if (json_length(endpoints) == 0)
        return client_fail(client, STATUS_NOT_VIABLE, "group %llu has nothing but bridges",
                           (unsigned long long)json_number(group, "id"));
    enum exit_status status = arguments_value(arguments, "even-if-used")
                                  ? STATUS_DONE
                                  : check_unused(client, group);
    if (status != STATUS_DONE)
        return status;
    document = reserve_document(endpoints, terms);
    _cleanup_(freep) char *name =
        reserve_file_name(json_text(json_object_array_get_idx(endpoints, 0), "name"));
    const char *json = json_object_to_json_string_ext(
        document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
    _cleanup_(freep) char *text = document && json ? string_format("%s\n", json) : NULL;
    if (!text || !name)
        return client_fail_memory(client);
    return reserve_folder_write(client, folder, name, text);
}

/* Writes a file for the group of each target, each group once. */
static enum exit_status reserve_targets(struct client *client, const struct arguments *arguments,
                                        struct reserve_folder *folder,
                                        const struct reserve_terms *terms) {
    _cleanup_(strings_freep) char **seen = NULL;
    enum exit_status status = STATUS_DONE;

    for (size_t i = 0; status == STATUS_DONE && i < arguments->n_words; i++) {
        _cleanup_(json_putp) json_object *group = NULL;
        _cleanup_(freep) char *path = NULL;
        status = group_find(client, arguments->words[i], &path);
        if (status != STATUS_DONE || strings_contain(seen, path))
            continue;
        if (strings_append(&seen, path) < 0)
            return client_fail_memory(client);
        status = group_read(client, path, &group);
        if (status == STATUS_DONE)
            status = reserve_group(client, arguments, folder, group, terms);
    }
    return status;
}

static enum exit_status reserve_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(reserve_folder_done) struct reserve_folder folder = {.fd = -1};
    const char *users[VERB_VALUES_MAX + 1], *groups[VERB_VALUES_MAX + 1];
    struct reserve_terms terms = {.users = users, .groups = groups};

    values_of(arguments, "user", users);
    values_of(arguments, "group", groups);
    terms.vfio_driver = arguments_value(arguments, "vfio-driver");
    enum exit_status status = check_names(client, &terms);
    if (status == STATUS_DONE)
        status = check_root(client, arguments);
    if (status == STATUS_DONE)
        status = reserve_folder_open(client, arguments_value(arguments, "config"), true, &folder);
    if (status == STATUS_DONE)
        status = reserve_targets(client, arguments, &folder, &terms);
    if (status == STATUS_DONE)
        status = reserve_folder_check(client, &folder);
    if (status == STATUS_DONE)
        status = reserve_folder_commit(client, &folder);
    if (status != STATUS_DONE)
        return status;
    printf("dmaownd detaches what the host does not use; from the next boot on no host driver has it.\n");
    return policy_reload(client);
}

static const struct verb_option reserve_options[] = {
    {"user", 'u', "USER", "who may claim the groups; may be repeated"},
    {"group", 'g', "GROUP", "the same for a user group"},
    {"vfio-driver", 0, "DRIVER", "this VFIO driver, not the one that fits best"},
    {"even-if-used", 0, NULL, "also what the host uses now"},
    {"config", 0, "DIR", "the policy's folder, not " SYSCONFDIR "/dmaownd"},
    {NULL},
};

const struct verb verb_reserve = {
    .name = "reserve",
    .synopsis = "TARGET...",
    .summary = "Keeps whole groups for userspace over reboots",
    .help = "Writes a rule with \"reserve\" for each group to policy.d, checks the whole policy\n"
            "with it, and makes dmaownd read it, which detaches the group if the host does\n"
            "not use it. From the next boot on the devices go to VFIO before a host driver\n"
            "takes them (for drivers in the initramfs see dmaownd(8)).\n"
            "Without --user and --group, root may claim them. A group that is reserved\n"
            "already gets the new rule. For root.\n",
    .options = reserve_options,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = reserve_run,
};

/* ---- unreserve ------------------------------------------------------------------------------- */

/* Groups are known by number to the daemon alone. */
static bool is_group(const char *target) {
    uint64_t number;

    return parse_u64(target, &number) >= 0 || string_after(target, "/dev/");
}

/* "BUS/NAME", "NAME", or a path in sysfs. */
static enum exit_status device_parse(const struct client *client, const char *target,
                                     json_object *devices) {
    const char *name = path_basename(target);
    size_t length = *target == '/' || name == target ? 0 : (size_t)(name - target - 1);
    json_object *device = json_object_new_object();

    if (!device || json_append(devices, device) < 0 || json_set_text(device, "name", name) < 0)
        return client_fail_memory(client);
    if (length > 0 &&
        json_set(device, "bus", json_object_new_string_len(target, (int)length)) < 0)
        return client_fail_memory(client);
    return STATUS_DONE;
}

/* The devices that a target means, as objects with a name and perhaps a bus. */
static enum exit_status target_devices(struct client *client, const char *target, bool ask,
                                       json_object **ret) {
    _cleanup_(json_putp) json_object *group = NULL, *devices = json_object_new_array();
    _cleanup_(freep) char *path = NULL;
    enum exit_status status = STATUS_DONE;

    if (!devices)
        return client_fail_memory(client);
    if (!ask) {
        status = device_parse(client, target, devices);
        if (status == STATUS_DONE)
            *ret = TAKE_POINTER(devices);
        return status;
    }
    status = group_find(client, target, &path);
    if (status == STATUS_DONE)
        status = group_read(client, path, &group);
    if (status == STATUS_DONE)
        *ret = json_object_get(json_member(group, "devices"));
    return status;
}

/* Removes the file if its rule is for one of the devices. */
static enum exit_status remove_if_reserves(const struct client *client,
                                           const struct reserve_folder *folder, const char *name,
                                           json_object *devices, bool *ret_removed) {
    _cleanup_(freep) char *text = NULL;
    int r = file_read(folder->fd, name, POLICY_FILE_SIZE_MAX, &text, NULL);
    _cleanup_(json_putp) json_object *document = r >= 0 ? json_tokener_parse(text) : NULL;
    bool holds = false;

    for (size_t i = 0; document && i < json_length(devices); i++) {
        json_object *device = json_object_array_get_idx(devices, i);
        const char *bus = json_text(device, "bus");
        holds = holds || reserve_holds(document, *bus ? bus : NULL, json_text(device, "name"));
    }
    if (!holds)
        return STATUS_DONE;
    if (unlinkat(folder->fd, name, 0) < 0)
        return client_fail(client, STATUS_ERROR, "%s/%s: %s", folder->path, name, strerror(errno));
    _cleanup_(freep) char *escaped = text_escape(name);
    printf("%s/%s is removed.\n", folder->path, escaped ? escaped : name);
    *ret_removed = true;
    return STATUS_DONE;
}

static enum exit_status remove_files(const struct client *client,
                                     const struct reserve_folder *folder, json_object *devices,
                                     bool *ret_removed) {
    _cleanup_(strings_freep) char **paths = NULL;
    enum exit_status status = STATUS_DONE;
    int r = policy_list_files(folder->directory, &paths);

    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s: %s", folder->path, strerror(-r));
    for (size_t i = 0; status == STATUS_DONE && paths && paths[i]; i++) {
        const char *name = path_basename(paths[i]);
        if (string_after(paths[i], folder->path) && string_after(name, "reserve-"))
            status = remove_if_reserves(client, folder, name, devices, ret_removed);
    }
    return status;
}

/* First by the name that was given: the device may be gone, and the daemon too. */
static enum exit_status unreserve_target(struct client *client, const struct reserve_folder *folder,
                                         const char *target) {
    enum exit_status status = STATUS_DONE;
    bool removed = false;

    for (int ask = is_group(target); status == STATUS_DONE && !removed && ask <= 1; ask++) {
        _cleanup_(json_putp) json_object *devices = NULL;
        status = target_devices(client, target, ask, &devices);
        if (status == STATUS_DONE)
            status = remove_files(client, folder, devices, &removed);
    }
    if (status != STATUS_DONE || removed)
        return status;
    return client_fail(client, STATUS_NO_SUCH, "no file of 'dmaownctl reserve' in %s is for '%s'; "
                       "another rule may have \"reserve\" (see 'dmaownctl policy test')",
                       folder->path, target);
}

static enum exit_status unreserve_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(reserve_folder_done) struct reserve_folder folder = {.fd = -1};
    size_t done = 0;
    enum exit_status status = check_root(client, arguments);

    if (status == STATUS_DONE)
        status = reserve_folder_open(client, arguments_value(arguments, "config"), false, &folder);
    while (status == STATUS_DONE && done < arguments->n_words) {
        status = unreserve_target(client, &folder, arguments->words[done]);
        done += status == STATUS_DONE;
    }
    if (done == 0)
        return status;
    printf("Devices that are with VFIO stay there until 'dmaownctl reattach' or the next boot.\n");
    enum exit_status reloaded = policy_reload(client);
    return status == STATUS_DONE ? reloaded : status;
}

static const struct verb_option unreserve_options[] = {
    {"config", 0, "DIR", "the policy's folder, not " SYSCONFDIR "/dmaownd"},
    {NULL},
};

const struct verb verb_unreserve = {
    .name = "unreserve",
    .synopsis = "TARGET...",
    .summary = "Takes back what 'dmaownctl reserve' wrote",
    .help = "Removes the files whose rules are for the targets and makes dmaownd read the\n"
            "policy. A device may be gone by now: its name is enough. What is with VFIO stays\n"
            "there until 'dmaownctl reattach' or the next boot. For root.\n",
    .options = unreserve_options,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = unreserve_run,
};
