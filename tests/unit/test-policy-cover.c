/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rule that an earlier one makes useless is refused; one that can still apply is not. */

#include <stdio.h>

#include "policy-test.h"
#include "policy/rule.h"

struct pair {
    const char *earlier, *later; /* effect, match and subjects, without braces */
    bool useless;                /* can the later one never apply? */
};

#define A "\"effect\": \"allow\", "
#define D "\"effect\": \"deny\", "
#define R "\"reserve\": true, "
#define M(...) "\"match\": {" __VA_ARGS__ "}"
#define S(...) ", \"subjects\": {" __VA_ARGS__ "}"

static const struct pair pairs[] = {
    /* matches */
    { A M(""), A M(""), true },
    { A M(""), A M("\"bus\": \"pci\""), true },
    { A M("\"bus\": \"pci\""), A M(""), false },
    { A M("\"bus\": \"pci\""), A M("\"vendor\": \"0x1\""), false },
    { A M("\"bus\": [\"pci\", \"amba\"]"), A M("\"bus\": \"amba\""), true },
    { A M("\"bus\": \"pci\""), A M("\"bus\": [\"pci\", \"amba\"]"), false },
    { A M("\"vendor\": [\"0x1\", \"0x2\"]"), A M("\"vendor\": [\"0x2\", \"0x01\"]"), true },
    { A M("\"vendor\": [\"0x1\", \"0x2\"]"), A M("\"vendor\": [\"0x2\", \"0x3\"]"), false },
    { A M("\"class\": \"0x02****\""), A M("\"class\": \"0x0200**\""), true },
    { A M("\"class\": \"0x02****\""), A M("\"class\": \"0x020?00\""), true },
    { A M("\"class\": \"0x0200**\""), A M("\"class\": \"0x02****\""), false },
    { A M("\"class\": \"0x0A****\""), A M("\"class\": \"0x0a0000\""), true },
    { A M("\"class\": \"0x02??00\""), A M("\"class\": \"0x020000\""), true },
    { A M("\"class\": \"0x02??00\""), A M("\"class\": \"0x02??00\""), true },
    { A M("\"name\": \"*\""), A M("\"name\": \"0000:*\""), true },
    { A M("\"name\": \"*\""), A M("\"driver\": \"e1000\""), false },
    { A M("\"name\": \"0000:00:0?.0\""), A M("\"name\": \"0000:00:05.0\""), true },
    { A M("\"name\": \"0000:00:05.0\""), A M("\"name\": \"0000:00:0?.0\""), false },
    { A M("\"name\": \"[ab]\""), A M("\"name\": \"[ba]\""), false }, /* equal, but not plainly */
    { A M("\"driver\": \"a\", \"name\": \"b\""), A M("\"name\": \"b\", \"driver\": \"a\""), true },
    { A M("\"numa_node\": \"0x1\""), A M("\"numa_node\": 1, \"bus\": \"pci\""), true },
    { A M("\"path\": \"/sys/devices/*\""), A M("\"path\": \"/sys/devices/platform/*\""), true },
    { A M("\"bus\": \"pci\""), D M("\"bus\": \"pci\""), false }, /* root, then everyone */
    /* what is reserved, counts whoever claims it */
    { A M(""), A R M("\"bus\": \"pci\""), false },
    { A R M(""), A R M("\"bus\": \"pci\""), true },
    { A R M(""), A M("\"bus\": \"pci\""), true },
    { D M(""), A R M("\"bus\": \"pci\""), true },
    /* subjects */
    { D M(""), A M("") S("\"users\": [5]"), true },
    { D M(""), A M(""), true },
    { D M(""), D M("") S("\"groups\": [5]"), true },
    { A M(""), A M("") S("\"users\": [5]"), false },
    { A M(""), A M("") S("\"users\": [0]"), true },
    { A M(""), A M("") S("\"users\": [\"root\"]"), true },
    { A M(""), A M("") S("\"groups\": [0]"), false },
    { A M(""), A M("") S("\"users\": [0], \"groups\": [5]"), false },
    { A M(""), A M("") S("\"units\": [\"a.service\"]"), true },
    { A M("") S("\"units\": [\"a.service\"]"), A M(""), false },
    { A M("") S("\"units\": [\"a*.service\"]"), A M("") S("\"units\": [\"ab.service\"]"), true },
    { A M("") S("\"units\": [\"ab.service\"]"), A M("") S("\"units\": [\"a*.service\"]"), false },
    { D M("") S("\"units\": [\"a.service\"]"), D M(""), false },
    { D M("") S("\"users\": [5]"), A M("") S("\"users\": [5, 6]"), false },
    { D M("") S("\"users\": [5, 6]"), A M("") S("\"users\": [5]"), true },
    { D M("") S("\"users\": [0]"), A M(""), true },
    { D M("") S("\"users\": [0]"), D M(""), false },
    { D M("") S("\"users\": [5], \"groups\": [6]"), A M("") S("\"groups\": [6]"), true },
    { D M("") S("\"users\": [5], \"groups\": [6]"), A M("") S("\"groups\": [5]"), false },
    { D M("") S("\"users\": [\"alice\"]"), A M("") S("\"users\": [1000]"), true },
    { D M("") S("\"users\": [5], \"units\": [\"a.service\"]"), A M("") S("\"users\": [5]"), false },
    { D M("") S("\"users\": [5]"), A M("") S("\"users\": [5], \"units\": [\"a.service\"]"), true },
};

static char *document(const char *first, const char *second) {
    char *text = string_format("{\"version\": 1, \"rules\": [\n  {%s},\n  {%s}]}", first, second);

    ck_assert_ptr_nonnull(text);
    return text;
}

START_TEST(test_pair) {
    _cleanup_(freep) char *text = document(pairs[_i].earlier, pairs[_i].later);
    _cleanup_(policy_freep) struct policy *policy = NULL;
    struct policy_report report = { 0 };

    int r = policy_parse_buffer("x", text, strlen(text), &test_strict, &policy, &report);
    ck_assert_msg(r == (pairs[_i].useless ? POLICY_INVALID : 0), "%s", text);
    if (r == POLICY_INVALID) {
        ck_assert_uint_eq(report.n_errors, 1);
        ck_assert_uint_eq(report.messages[0].line, 3);
        ck_assert_uint_eq(report.messages[0].column, 3);
        ck_assert_ptr_nonnull(strstr(report.messages[0].text, "x:2:3"));
    }
    policy_report_done(&report);
}
END_TEST

/* What the check of a machine calls an unknown name is no reason to refuse the rules around it. */
START_TEST(test_dropped_names) {
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_lenient, RULES(
        "{\"effect\": \"allow\", \"match\": {}, \"subjects\": {\"users\": [\"alice\"]}},"
        "{\"effect\": \"allow\", \"match\": {}, \"subjects\": {\"users\": [\"alice\", \"gone\"]}},"
        "{\"effect\": \"allow\", \"match\": {}, \"subjects\": {\"groups\": [\"gone\"]}}"));
    const struct policy_device device = { .bus = "pci", .numa_node = -1 };
    const struct policy_subject root = { .uid = 0, .gids = (gid_t[]){ 0 }, .n_gids = 1 };
    const struct policy_subject alice = { .uid = 1000 };

    ck_assert_ptr_null(policy_decide(policy, &device, &root));
    ck_assert_uint_eq(policy_decide(policy, &device, &alice)->index, 0);
}
END_TEST

START_TEST(test_dropped_name_in_deny) {
    static const char text[] = RULES("{\"effect\": \"deny\", \"match\": {},"
                                     " \"subjects\": {\"users\": [\"alice\", \"gone\"]}}");
    struct policy *policy = NULL;

    ck_assert_int_eq(policy_parse_buffer("x", text, strlen(text), &test_lenient, &policy, NULL),
                     POLICY_INVALID);
}
END_TEST

START_TEST(test_dropped_delegate) {
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_lenient, RULES(
        "{\"effect\": \"allow\", \"match\": {}, \"delegate\": [\"gone\", \"bob\", \"timeout\"]}"));
    const struct policy_rule *rule = policy_rule_at(policy, 0);

    ck_assert_uint_eq(rule->n_delegates, 1);
    ck_assert(policy_rule_delegates(rule, 1001));
    ck_assert(!policy_rule_delegates(rule, 0));
    ck_assert(!policy_rule_delegates(rule, UINT32_MAX));
}
END_TEST

/* Random rules out of few words, each in a policy of its own. */
#define RANDOM_RULES 300

static const char *pick(const char *const *words, size_t n) {
    return words[(size_t)rand() % n];
}

static struct policy *random_policy(void) {
    static const char *const buses[] = { "", "\"bus\": \"pci\"", "\"bus\": [\"pci\", \"amba\"]" };
    static const char *const names[] = { "", "a", "ab", "a*", "*", "a?", "[ab]*", "*b", "a**", "?*" };
    static const char *const whom[] = {
        "", S("\"users\": [0]"), S("\"users\": [5]"), S("\"users\": [0, 5]"),
        S("\"groups\": [6]"), S("\"users\": [5], \"groups\": [6, 7]"),
        S("\"units\": [\"a.service\"]"), S("\"units\": [\"a*.service\"]"),
        S("\"users\": [5], \"units\": [\"a*\", \"b.scope\"]"),
    };
    const char *bus = pick(buses, ELEMENTS_OF(buses)), *name = pick(names, ELEMENTS_OF(names));
    _cleanup_(freep) char *text = string_format(
        RULES("{\"effect\": \"%s\", \"match\": {%s%s%s%s%s}%s}"), rand() % 2 ? "allow" : "deny",
        bus, *bus && *name ? ", " : "", *name ? "\"name\": \"" : "", name, *name ? "\"" : "",
        pick(whom, ELEMENTS_OF(whom)));

    return test_policy(&test_strict, text);
}

/* A device and a caller for which inner applies and outer does not, or NULL. */
static const char *counterexample(const struct policy *outer, const struct policy *inner) {
    static const char *const buses[] = { "pci", "amba", "usb" };
    static const char *const names[] = { "a", "b", "ab", "ac", "bb", "abc" };
    static const gid_t gids[] = { 6, 7 };
    static const char *const units[] = { NULL, "a.service", "ab.service", "b.scope", "c.scope" };

    for (unsigned i = 0; i < 3 * 6 * 3 * 4 * 5; i++) {
        const struct policy_device device = {
            .bus = buses[i % 3], .name = names[i / 3 % 6], .numa_node = -1,
        };
        const struct policy_subject subject = {
            .uid = (uid_t[]){ 0, 5, 9 }[i / 18 % 3], .gids = gids + i / 54 % 2,
            .n_gids = i / 108 % 2, .unit = units[i / 216 % 5],
        };
        if (policy_decide(inner, &device, &subject) && !policy_decide(outer, &device, &subject))
            return device.name;
    }
    return NULL;
}

/* A rule is called useless only if no device and no caller say otherwise. */
START_TEST(test_random_rules) {
    struct policy *policies[RANDOM_RULES];
    unsigned covered = 0;

    srand(1);
    for (size_t i = 0; i < RANDOM_RULES; i++)
        policies[i] = random_policy();
    for (size_t i = 0; i < RANDOM_RULES; i++)
        for (size_t j = 0; j < RANDOM_RULES; j++) {
            const struct policy_rule *a = policy_rule_at(policies[i], 0);
            const struct policy_rule *b = policy_rule_at(policies[j], 0);
            if (!match_covers(a->match, b->match) || !subjects_cover(a, b))
                continue;
            ck_assert_ptr_null(counterexample(policies[i], policies[j]));
            covered++;
        }
    ck_assert_uint_gt(covered, 1000);
    for (size_t i = 0; i < RANDOM_RULES; i++)
        policy_free(policies[i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("policy cover");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, test_pair, 0, ELEMENTS_OF(pairs));
    tcase_add_test(all, test_random_rules);
    tcase_add_test(all, test_dropped_names);
    tcase_add_test(all, test_dropped_name_in_deny);
    tcase_add_test(all, test_dropped_delegate);
    suite_add_tcase(suite, all);
    return test_main(suite);
}
