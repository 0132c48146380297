/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the policy share: names that need no user database, and short ways to load. */

#include <check.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"
#include "util/string.h"

struct test_name {
    const char *name;
    uint32_t id;
};

static const struct test_name test_users[] = {
    { "root", 0 }, { "dpdk", 900 }, { "libvirt-qemu", 64055 }, { "alice", 1000 }, { "bob", 1001 },
    { "minus-one", UINT32_MAX }, { NULL, 0 },
};
static const struct test_name test_groups[] = {
    { "root", 0 }, { "dmaown", 901 }, { "vm-runners", 902 }, { NULL, 0 },
};

static inline int test_find(const struct test_name *table, const char *name, uint32_t *ret) {
    for (; table->name; table++) {
        if (!string_equal(table->name, name))
            continue;
        *ret = table->id;
        return 0;
    }
    return strncmp(name, "timeout", 7) == 0 ? -ETIMEDOUT : -ENOENT;
}

static inline int test_user(void *userdata, const char *name, uid_t *ret) {
    return test_find(test_users, name, ret);
}

static inline int test_group(void *userdata, const char *name, gid_t *ret) {
    return test_find(test_groups, name, ret);
}

static const struct policy_names test_strict = { test_user, test_group, NULL, true };
static const struct policy_names test_lenient = { test_user, test_group, NULL, false };

static inline void test_print_report(const struct policy_report *report) {
    for (size_t i = 0; i < report->n_messages; i++) {
        _cleanup_(freep) char *text = policy_message_format(&report->messages[i]);
        printf("# %s\n", text);
    }
}

/* A policy that must load without an error; the caller's. */
static inline struct policy *test_policy(const struct policy_names *names, const char *text) {
    struct policy_report report = { 0 };
    struct policy *policy = NULL;
    int r = policy_parse_buffer("test.json", text, strlen(text), names, &policy, &report);

    test_print_report(&report);
    policy_report_done(&report);
    ck_assert_int_eq(r, 0);
    return policy;
}

/* The whole document around some rules. */
#define RULES(...) "{\"version\": 1, \"rules\": [" __VA_ARGS__ "]}"

/* Prints a case for the test that holds the schema against the parser. */
static inline void test_list_case(const char *verdict, const char *text) {
    struct json_object *line = json_object_new_string(text);

    printf("%s %s\n", verdict, json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
    json_object_put(line);
}

/* Runs a suite with TAP on stdout. */
static inline int test_main(Suite *suite) {
    SRunner *runner = srunner_create(suite);

    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
