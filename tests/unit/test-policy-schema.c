/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The schema and the parser know the same keys, words and limits, and the manual has all keys. */

#include <fcntl.h>
#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <stdio.h>

#include "policy-test.h"
#include "policy/compile.h"
#include "util/fd.h"

static struct json_object *schema;

static void setup(void) {
    const char *top = getenv("top_srcdir");
    _cleanup_(freep) char *path =
        string_format("%s/policy/policy.schema.json", top ? top : ".");

    schema = json_object_from_file(path);
    ck_assert_ptr_nonnull(schema);
}

static void teardown(void) {
    json_object_put(schema);
}

static struct json_object *at(const char *pointer) {
    struct json_object *found = NULL;

    ck_assert_msg(json_pointer_get(schema, pointer, &found) == 0, "no %s", pointer);
    return found;
}

/* The object's keys are exactly known, and no others are allowed. */
static void expect_keys(const char *pointer, const char *const *known) {
    _cleanup_(freep) char *properties = string_format("%s/properties", pointer);
    _cleanup_(freep) char *additional = string_format("%s/additionalProperties", pointer);
    struct json_object *object = at(properties), *value;
    int n = 0;

    for (; known[n]; n++)
        ck_assert_msg(json_object_object_get_ex(object, known[n], &value), "%s lacks %s", pointer,
                      known[n]);
    ck_assert_int_eq(json_object_object_length(object), n);
    ck_assert(json_object_is_type(at(additional), json_type_boolean));
    ck_assert(!json_object_get_boolean(at(additional)));
}

START_TEST(test_keys) {
    const char *rule_keys[RULE_KEYS + 1], *match_keys[MATCH_KEYS + 1];

    rule_keys_list(rule_keys);
    match_keys_list(match_keys);
    expect_keys("", document_keys);
    expect_keys("/$defs/limits", limit_keys);
    expect_keys("/$defs/rule", rule_keys);
    expect_keys("/$defs/match", match_keys);
    expect_keys("/$defs/subjects", subject_keys);
}
END_TEST

static void expect_words(const char *pointer, const char *(*to_string)(unsigned), unsigned all) {
    struct json_object *words = at(pointer);
    size_t n = json_object_array_length(words);

    ck_assert_uint_eq((1u << n) - 1, all);
    for (size_t i = 0; i < n; i++)
        ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(words, i)),
                         to_string(1u << i));
}

static const char *removable_to_string(unsigned bit) {
    return removable_words[__builtin_ctz(bit)];
}

START_TEST(test_words) {
    expect_words("/$defs/rule/properties/modes/items/enum", policy_mode_to_string,
                 POLICY_MODE_ALL);
    expect_words("/$defs/rule/properties/lifetimes/items/enum", policy_lifetime_to_string,
                 POLICY_LIFETIME_ALL);
    expect_words("/$defs/rule/properties/require/items/enum", policy_require_to_string,
                 POLICY_REQUIRE_ALL);
    expect_words("/$defs/removable/enum", removable_to_string, 7);
}
END_TEST

START_TEST(test_limits) {
    ck_assert_int_eq(json_object_get_int(at("/properties/rules/maxItems")), POLICY_RULES_MAX);
    ck_assert_int_eq(json_object_get_int(at("/$defs/text/maxLength")), POLICY_STRING_MAX);
    ck_assert_int_eq(json_object_get_int(at("/$defs/ids/maxItems")), POLICY_LIST_MAX);
    for (size_t i = 0; limit_keys[i]; i++) {
        static const char *const values[] = { "minimum", "maximum", "default" };
        for (size_t j = 0; j < ELEMENTS_OF(values); j++) {
            char pointer[128], text[256];
            (void)snprintf(pointer, sizeof(pointer), "/$defs/limits/properties/%s/%s",
                           limit_keys[i], values[j]);
            int64_t value = json_object_get_int64(at(pointer));
            struct policy *policy = NULL;
            (void)snprintf(text, sizeof(text), "{\"version\": 1, \"limits\": {\"%s\": %lld}}",
                           limit_keys[i], (long long)value + (j == 1));
            int r = policy_parse_buffer("x", text, strlen(text), &test_strict, &policy, NULL);
            ck_assert_msg(r == (j == 1 ? POLICY_INVALID : 0), "%s", text);
            policy_free(policy);
        }
    }
}
END_TEST

static void expect_in_manual(const char *manual, const char *const *words) {
    for (; *words; words++)
        ck_assert_msg(strstr(manual, *words) != NULL, "dmaownd-policy(5) lacks %s", *words);
}

START_TEST(test_manual) {
    const char *top = getenv("top_srcdir"), *keys[RULE_KEYS + 1], *match_keys[MATCH_KEYS + 1];
    _cleanup_(freep) char *path = string_format("%s/policy/dmaownd-policy.5", top ? top : ".");
    _cleanup_(freep) char *manual = NULL;

    ck_assert_int_eq(file_read(AT_FDCWD, path, 1024 * 1024, &manual, NULL), 0);
    rule_keys_list(keys);
    match_keys_list(match_keys);
    expect_in_manual(manual, document_keys);
    expect_in_manual(manual, limit_keys);
    expect_in_manual(manual, keys);
    expect_in_manual(manual, match_keys);
    expect_in_manual(manual, subject_keys);
    expect_in_manual(manual, removable_words);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("policy schema");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, test_keys);
    tcase_add_test(all, test_words);
    tcase_add_test(all, test_limits);
    tcase_add_test(all, test_manual);
    suite_add_tcase(suite, all);
    return test_main(suite);
}
