/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/policy-files.h"
#include "client/policy-question.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verbs-groups.h"
#include "util/string.h"

#define GIDS_MAX 1024

/* Who is asked about; gids and unit are borrowed by subject. */
struct asker {
    struct policy_subject subject;
    gid_t gids[GIDS_MAX];
};

static enum exit_status asker_read_gids(const struct client *client,
                                        const struct arguments *arguments, struct asker *asker) {
    size_t n = 0;

    for (size_t i = 0; i < arguments->n_values && n < GIDS_MAX; i++) {
        const char *text = arguments->values[i].value;
        if (strcmp(arguments->values[i].name, "gid") != 0)
            continue;
        if (group_parse(text, &asker->gids[n]) < 0)
            return client_fail(client, STATUS_USAGE, "there is no group '%s'", text);
        n++;
    }
    struct passwd *user = n == 0 ? getpwuid(asker->subject.uid) : NULL;
    if (user) {
        int room = GIDS_MAX;
        if (getgrouplist(user->pw_name, user->pw_gid, asker->gids, &room) < 0)
            return client_fail(client, STATUS_ERROR, "the user is in more than %d groups",
                               GIDS_MAX);
        n = (size_t)room;
    }
    asker->subject.gids = asker->gids;
    asker->subject.n_gids = n;
    return STATUS_DONE;
}

static enum exit_status asker_read(const struct client *client, const struct arguments *arguments,
                                   struct asker *asker) {
    const char *user = arguments_value(arguments, "uid");

    memset(asker, 0, sizeof(*asker));
    if (!user)
        return client_fail(client, STATUS_USAGE, "--uid is missing: who is asked about?");
    if (user_parse(user, &asker->subject.uid) < 0)
        return client_fail(client, STATUS_USAGE, "there is no user '%s'", user);
    asker->subject.unit = arguments_value(arguments, "unit");
    return asker_read_gids(client, arguments, asker);
}

/* The files that --file names, or the folder's. What is wrong with them goes to standard error. */
static enum exit_status policy_open(const struct client *client, const struct arguments *arguments,
                                    struct policy **ret) {
    _cleanup_(policy_report_done) struct policy_report report = {0};
    const char *files[VERB_VALUES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < arguments->n_values; i++)
        if (strcmp(arguments->values[i].name, "file") == 0)
            files[n++] = arguments->values[i].value;
    enum exit_status status = policy_files_load(
        client, arguments_value(arguments, "config"), files, n, false, ret, &report);
    (void)policy_report_print(client, &report, stderr);
    return status;
}

/* One group: the answer for each device, and what they allow together. */
static enum exit_status ask_group(const struct client *client, const struct policy *policy,
                                  const struct policy_subject *subject, json_object *group,
                                  json_object **ret) {
    _cleanup_(json_putp) json_object *result = json_object_new_object();
    json_object *devices = json_member(group, "devices"), *answers = json_object_new_array();
    struct policy_terms terms;
    bool denied = false;

    policy_terms_init(&terms, subject->uid);
    if (!result || json_set(result, "devices", answers) < 0)
        return client_fail_memory(client);
    for (size_t i = 0; i < json_length(devices); i++) {
        const struct policy_rule *rule;
        json_object *answer, *device = json_object_array_get_idx(devices, i);
        if (policy_ask(policy, subject, device, &answer, &rule) < 0 ||
            json_append(answers, answer) < 0)
            return client_fail_memory(client);
        if (strcmp(json_text(answer, "effect"), "deny") == 0)
            denied = true;
        else if (rule)
            policy_terms_add(&terms, rule);
    }
    bool allowed = !denied && terms.n_rules > 0;
    json_object *id = json_object_get(json_member(group, "id"));
    if (json_set(result, "group", id) < 0 ||
        json_set(result, "allowed", json_object_new_boolean(allowed)) < 0 ||
        json_object_object_add(result, "terms", allowed ? policy_terms_to_json(&terms) : NULL) < 0)
        return client_fail_memory(client);
    *ret = TAKE_POINTER(result);
    return STATUS_DONE;
}

/* "dpdk-nics (/etc/dmaownd/policy.json:4)" is made of three members: put it beside them. */
static int answer_set_source(json_object *answer) {
    const char *rule = json_text(answer, "rule");
    _cleanup_(freep) char *source =
        string_format("%s (%s:%llu)", rule, json_text(answer, "file"),
                      (unsigned long long)json_number(answer, "line"));

    if (!source)
        return -ENOMEM;
    return json_set_text(answer, "source", *rule ? source : "");
}

/* 0 stands for no limit. */
static char *limit_format(json_object *value) {
    return json_object_get_int64(value) == 0 ? strdup("-") : value_format(value);
}

static enum exit_status print_result(const struct client *client, json_object *result) {
    static const struct column columns[] = {
        {.title = "DEVICE", .key = "device"},
        {.title = "DRIVER", .key = "driver"},
        {.title = "EFFECT", .key = "effect"},
        {.title = "RULE", .key = "source"},
    };
    static const struct column lines[] = {
        {.title = "Modes", .key = "modes"},
        {.title = "Lifetimes", .key = "lifetimes"},
        {.title = "Must be", .key = "require"},
        {.title = "Detach", .key = "detach"},
        {.title = "Longest time (s)", .key = "max_ttl", .format = limit_format},
        {.title = "Most leases", .key = "max_leases", .format = limit_format},
    };
    json_object *answers = json_member(result, "devices"), *terms = json_member(result, "terms");

    for (size_t i = 0; i < json_length(answers); i++)
        if (answer_set_source(json_object_array_get_idx(answers, i)) < 0)
            return client_fail_memory(client);
    printf("Group %llu: %s\n", (unsigned long long)json_number(result, "group"),
           json_truth(result, "allowed") ? "allowed" : "denied");
    enum exit_status status = table_print(client, columns, ELEMENTS_OF(columns), answers, NULL);
    return status == STATUS_DONE && terms ? list_print(client, lines, ELEMENTS_OF(lines), terms)
                                          : status;
}

/* Every target's group once. */
static enum exit_status ask_targets(struct client *client, const struct arguments *arguments,
                                    const struct policy *policy,
                                    const struct policy_subject *subject, json_object *results) {
    _cleanup_(strings_freep) char **seen = NULL;

    for (size_t i = 0; i < arguments->n_words; i++) {
        _cleanup_(freep) char *path = NULL;
        _cleanup_(json_putp) json_object *group = NULL;
        json_object *result = NULL;
        enum exit_status status = group_find(client, arguments->words[i], &path);
        if (status != STATUS_DONE)
            return status;
        if (strings_contain(seen, path))
            continue;
        if (strings_append(&seen, path) < 0)
            return client_fail_memory(client);
        status = group_read(client, path, &group);
        if (status == STATUS_DONE)
            status = ask_group(client, policy, subject, group, &result);
        if (status != STATUS_DONE)
            return status;
        if (json_append(results, result) < 0)
            return client_fail_memory(client);
    }
    return STATUS_DONE;
}

static enum exit_status test_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(policy_freep) struct policy *policy = NULL;
    _cleanup_(json_putp) json_object *results = json_object_new_array();
    struct asker asker;
    bool allowed = true;
    enum exit_status status = asker_read(client, arguments, &asker);

    if (status == STATUS_DONE)
        status = policy_open(client, arguments, &policy);
    if (status == STATUS_DONE && !results)
        status = client_fail_memory(client);
    if (status == STATUS_DONE)
        status = ask_targets(client, arguments, policy, &asker.subject, results);
    if (status == STATUS_DONE && client->json && json_print(results, false) < 0)
        status = client_fail_memory(client);
    for (size_t i = 0; status == STATUS_DONE && i < json_length(results); i++) {
        json_object *result = json_object_array_get_idx(results, i);
        allowed = allowed && json_truth(result, "allowed");
        if (!client->json)
            status = print_result(client, result);
    }
    return status == STATUS_DONE && !allowed ? STATUS_DENIED : status;
}

static const struct verb_option test_options[] = {
    {"uid", 'u', "USER", "who is asked about, by name or number"},
    {"gid", 'g', "GROUP", "in this group, not the user's own; repeatable"},
    {"unit", 0, "UNIT", "running in this system unit"},
    {"file", 'f', "FILE", "this policy file, not the folder's; repeatable"},
    {"config", 0, "DIR", "the policy's folder, not " SYSCONFDIR "/dmaownd"},
    {NULL},
};

const struct verb verb_policy_test = {
    .name = "policy test",
    .synopsis = "TARGET...",
    .summary = "Says which rules decide for a user",
    .help = "Takes the policy from the files as they are now, whatever the daemon has loaded,\n"
            "and the facts about the devices from the daemon. Prints the deciding rule for\n"
            "each device of the targets' groups, and the terms of all rules together. A group\n"
            "is allowed when every device is, PCI bridges without a driver or on pcieport\n"
            "apart ('exempt'). What the policy requires of the hardware, and everything else\n"
            "that can stand against a grant, is left to 'dmaownctl explain'.\n"
            "Exit status: 0 allowed, 3 denied.\n",
    .options = test_options,
    .json = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = test_run,
};
