/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which rule decides, and what several rules allow together. With --list the policies are printed,
 * for the test that holds the schema against the parser. */

#include <stdio.h>

#include "policy-test.h"

static const char *const no_compatible[] = { NULL };

/* An Intel NIC, as sysfs shows it. */
static const struct policy_device nic = {
    .bus = "pci",
    .name = "0000:00:05.0",
    .path = "devices/pci0000:00/0000:00:05.0",
    .driver = "e1000e",
    .modalias = "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00",
    .has_ids = true,
    .vendor = 0x8086,
    .product = 0x10d3,
    .subsystem_vendor = 0x8086,
    .subsystem_product = 0xa01f,
    .class = 0x020000,
    .numa_node = 1,
    .removable = "fixed",
};

static const char *const xgmac_compatible[] = { "vendor,newer", "calxeda,hb-xgmac", NULL };

static const char *const clock_compatible[] = { "arm,pl031", "arm,primecell", NULL };

static const struct policy_device rtc = {
    .bus = "amba",
    .name = "9010000.pl031",
    .path = "devices/platform/9010000.pl031",
    .driver = "rtc-pl031",
    .modalias = "amba:d00041031",
    .compatible = clock_compatible,
    .numa_node = -1,
};

/* An object of fsl-mc has no node of its own in the device tree. */
static const struct policy_device dpni = {
    .bus = "fsl-mc",
    .name = "dpni.5",
    .path = "devices/platform/80c000000.fsl-mc/dprc.1/dprc.2/dpni.5",
    .driver = "fsl_dpaa2_eth",
    .modalias = "fsl-mc:v00001957ddpni",
    .numa_node = -1,
};

/* A SoC's Ethernet without a driver. */
static const struct policy_device xgmac = {
    .bus = "platform",
    .name = "fff50000.ethernet",
    .path = "devices/platform/fff50000.ethernet",
    .driver = NULL,
    .modalias = "",
    .compatible = xgmac_compatible,
    .numa_node = -1,
};

static const struct policy_subject root = { .uid = 0 };

struct match_case {
    const char *match;
    bool nic, xgmac;
};

static const struct match_case match_cases[] = {
    { "", true, true },
    { "\"bus\": \"pci\"", true, false },
    { "\"bus\": [\"amba\", \"platform\"]", false, true },
    { "\"vendor\": \"0x8086\"", true, false },
    { "\"vendor\": [\"0x1\", \"0x8086\"]", true, false },
    { "\"vendor\": \"0x8087\"", false, false },
    { "\"vendor\": \"0x0\"", false, false },
    { "\"vendor\": \"0x8086\", \"product\": \"0x10D3\"", true, false },
    { "\"vendor\": \"0x8086\", \"product\": \"0x10d4\"", false, false },
    { "\"subsystem_vendor\": \"0x8086\", \"subsystem_product\": \"0xa01f\"", true, false },
    { "\"subsystem_vendor\": \"0x8086\", \"subsystem_product\": \"0x1\"", false, false },
    { "\"class\": \"0x020000\"", true, false },
    { "\"class\": \"0x02****\"", true, false },
    { "\"class\": \"0x02*\"", true, false },
    { "\"class\": \"0x0?0000\"", true, false },
    { "\"class\": \"0x0[1-3]0000\"", true, false },
    { "\"class\": \"0x0[!0-1]0000\"", true, false },
    { "\"class\": \"0x0[1]0000\"", false, false },
    { "\"class\": \"0x03****\"", false, false },
    { "\"class\": [\"0x03****\", \"0x**00*\"]", true, false },
    { "\"class\": \"0x0A****\"", false, false },
    { "\"driver\": \"e1000e\"", true, false },
    { "\"driver\": \"e1000\"", false, false },
    { "\"driver\": \"e1000?\"", true, false },
    { "\"driver\": \"*\"", true, false },
    { "\"name\": \"0000:00:05.*\"", true, false },
    { "\"name\": \"*.ethernet\"", false, true },
    { "\"name\": \"0000:00:05\"", false, false },
    { "\"path\": \"/sys/devices/pci0000:00/*\"", true, false },
    { "\"path\": \"/sys/devices/*/fff5*\"", false, true },
    { "\"path\": \"*/0000:00:05.0\"", true, false },
    { "\"path\": \"/sys/devices/pci0000:00\"", false, false },
    { "\"compatible\": \"calxeda,hb-xgmac\"", false, true },
    { "\"compatible\": \"calxeda,*\"", false, true },
    { "\"compatible\": \"*\"", false, true },
    { "\"compatible\": \"hb-xgmac\"", false, false },
    { "\"modalias\": \"pci:v00008086d000010D3*\"", true, false },
    { "\"modalias\": \"*\"", true, false },
    { "\"modalias\": \"pci:v00008086d000010d3*\"", false, false },
    { "\"numa_node\": 1", true, false },
    { "\"numa_node\": \"0x1\"", true, false },
    { "\"numa_node\": [0, -1]", false, true },
    { "\"removable\": \"fixed\"", true, false },
    { "\"removable\": [\"removable\", \"unknown\"]", false, false },
    { "\"bus\": \"pci\", \"compatible\": \"calxeda,hb-xgmac\"", false, false },
    { "\"bus\": \"pci\", \"vendor\": \"0x8086\", \"class\": \"0x02****\", \"driver\": \"e*\", "
      "\"name\": \"0000:*\", \"numa_node\": 1, \"removable\": \"fixed\"", true, false },
};

static const struct {
    const char *match;
    bool rtc, dpni;
} bus_cases[] = {
    { "\"bus\": \"amba\"", true, false },
    { "\"bus\": \"fsl-mc\"", false, true },
    { "\"bus\": [\"platform\", \"pci\"]", false, false },
    { "\"bus\": [\"amba\", \"pci\"], \"vendor\": \"0x8086\"", false, false },
    { "\"compatible\": \"arm,primecell\"", true, false }, /* not only the first */
    { "\"compatible\": [\"acme,*\", \"arm,pl0*\"]", true, false },
    { "\"compatible\": \"*\"", true, false },
    { "\"bus\": \"fsl-mc\", \"compatible\": \"*\"", false, false },
    { "\"modalias\": \"fsl-mc:v00001957ddpni\"", false, true },
    { "\"modalias\": \"amba:d0*31\"", true, false },
    { "\"path\": \"*/dprc.2*\"", false, true }, /* a container and all that is in it */
    { "\"class\": \"0x02****\"", false, false },
};

static char *match_document(const struct match_case *example) {
    return string_format(RULES("{\"effect\": \"allow\", \"match\": {%s}}"), example->match);
}

START_TEST(test_other_buses) {
    _cleanup_(freep) char *text =
        string_format(RULES("{\"effect\": \"allow\", \"match\": {%s}}"), bus_cases[_i].match);
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, text);

    ck_assert_msg(!!policy_decide(policy, &rtc, &root) == bus_cases[_i].rtc, "%s", bus_cases[_i].match);
    ck_assert_msg(!!policy_decide(policy, &dpni, &root) == bus_cases[_i].dpni, "%s", bus_cases[_i].match);
}
END_TEST

START_TEST(test_match) {
    const struct match_case *expected = &match_cases[_i];
    _cleanup_(freep) char *text = match_document(expected);
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, text);
    ck_assert_msg(!!policy_decide(policy, &nic, &root) == expected->nic, "%s", expected->match);
    ck_assert_msg(!!policy_decide(policy, &xgmac, &root) == expected->xgmac, "%s",
                  expected->match);
}
END_TEST

/* A device of which next to nothing is known is matched by the empty match only. */
START_TEST(test_bare_device) {
    const struct policy_device bare = { .compatible = no_compatible, .numa_node = -1 };
    _cleanup_(freep) char *text = match_document(&match_cases[_i]);
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, text);
    bool empty = match_cases[_i].match[0] == 0 || strstr(match_cases[_i].match, ", -1]");
    ck_assert_msg(!!policy_decide(policy, &bare, &root) == empty, "%s", match_cases[_i].match);
}
END_TEST

struct subject_case {
    const char *effect, *subjects;
    uid_t uid;
    gid_t gid;
    const char *unit;
    bool applies;
};

static const struct subject_case subject_cases[] = {
    { "allow", "", 0, 0, NULL, true },
    { "allow", "", 1000, 0, NULL, false }, /* left out: root, and not its group */
    { "deny", "", 0, 0, NULL, true },
    { "deny", "", 1000, 1000, NULL, true }, /* left out: everyone */
    { "allow", "\"users\": [\"alice\"]", 1000, 5, NULL, true },
    { "allow", "\"users\": [\"alice\"]", 1001, 1000, NULL, false },
    { "allow", "\"users\": [\"alice\"]", 0, 0, NULL, false }, /* root is named or it is not */
    { "allow", "\"users\": [1001, \"1002\"]", 1001, 5, NULL, true },
    { "allow", "\"users\": [1001, \"1002\"]", 1002, 5, NULL, true },
    { "allow", "\"users\": [\"0\"]", 0, 0, NULL, true },
    { "allow", "\"users\": [4294967294]", 4294967294, 0, NULL, true },
    { "allow", "\"groups\": [\"dmaown\"]", 1000, 901, NULL, true },
    { "allow", "\"groups\": [\"dmaown\"]", 901, 902, NULL, false },
    { "allow", "\"users\": [\"alice\"], \"groups\": [\"dmaown\"]", 1000, 5, NULL, true },
    { "allow", "\"users\": [\"alice\"], \"groups\": [\"dmaown\"]", 5, 901, NULL, true },
    { "allow", "\"users\": [\"alice\"], \"groups\": [\"dmaown\"]", 5, 5, NULL, false },
    { "allow", "\"units\": [\"dpdk-*.service\"]", 0, 0, "dpdk-1.service", true },
    { "allow", "\"units\": [\"dpdk-*.service\"]", 0, 0, "other.service", false },
    { "allow", "\"units\": [\"dpdk-*.service\"]", 0, 0, NULL, false },
    { "allow", "\"units\": [\"dpdk-*.service\"]", 1000, 5, "dpdk-1.service", false },
    { "deny", "\"units\": [\"dpdk-*.service\"]", 1000, 5, "dpdk-1.service", true },
    { "deny", "\"units\": [\"dpdk-*.service\"]", 1000, 5, NULL, false },
    { "allow", "\"users\": [\"alice\"], \"units\": [\"a.scope\", \"b@?.service\"]", 1000, 5,
      "b@1.service", true },
    { "allow", "\"users\": [\"alice\"], \"units\": [\"a.scope\", \"b@?.service\"]", 1001, 5,
      "b@1.service", false },
    { "allow", "\"users\": [\"alice\"], \"units\": [\"a.scope\"]", 1000, 5, "b.scope", false },
};

static char *subject_document(const struct subject_case *example) {
    return string_format(RULES("{\"effect\": \"%s\", \"match\": {}%s%s%s}"), example->effect,
                         *example->subjects ? ", \"subjects\": {" : "", example->subjects,
                         *example->subjects ? "}" : "");
}

START_TEST(test_subject) {
    const struct subject_case *expected = &subject_cases[_i];
    const struct policy_subject subject = {
        .uid = expected->uid, .gids = &expected->gid, .n_gids = 1, .unit = expected->unit,
    };
    _cleanup_(freep) char *text = subject_document(expected);

    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, text);
    ck_assert_msg(!!policy_decide(policy, &nic, &subject) == expected->applies, "%s %s",
                  expected->effect, expected->subjects);
    ck_assert_int_eq(policy_uses_units(policy), strstr(expected->subjects, "units") != NULL);
}
END_TEST

START_TEST(test_first_rule_decides) {
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, RULES(
        "{\"name\": \"this-one\", \"effect\": \"deny\", \"match\": {\"name\": \"0000:00:05.0\"},"
        "  \"subjects\": {\"users\": [\"bob\"]}},"
        "{\"name\": \"nics\", \"effect\": \"allow\", \"match\": {\"class\": \"0x02****\"},"
        "  \"subjects\": {\"users\": [\"alice\", \"bob\"]}},"
        "{\"name\": \"rest\", \"effect\": \"deny\", \"match\": {\"bus\": \"pci\"}}"));
    const struct policy_subject alice = { .uid = 1000 }, bob = { .uid = 1001 }, eve = { .uid = 9 };

    ck_assert_str_eq(policy_decide(policy, &nic, &alice)->name, "nics");
    ck_assert_str_eq(policy_decide(policy, &nic, &bob)->name, "this-one");
    ck_assert_str_eq(policy_decide(policy, &nic, &eve)->name, "rest");
    ck_assert_int_eq(policy_decide(policy, &nic, &bob)->effect, POLICY_DENY);
    ck_assert_ptr_null(policy_decide(policy, &xgmac, &alice));
    ck_assert_uint_eq(policy_rule_count(policy), 3);
    ck_assert_ptr_eq(policy_rule_find(policy, "rest"), policy_rule_at(policy, 2));
    ck_assert_ptr_null(policy_rule_find(policy, "none"));
    ck_assert_ptr_null(policy_rule_at(policy, 3));
}
END_TEST

START_TEST(test_defaults) {
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, RULES(
        "{\"effect\": \"allow\", \"match\": {\"bus\": \"pci\"}},\n"
        "{\"effect\": \"allow\", \"match\": {\"bus\": \"platform\"}, \"require\": []},"
        "{\"name\": \"no\", \"effect\": \"deny\", \"match\": {\"bus\": \"amba\"}}"));
    const struct policy_rule *rule = policy_rule_at(policy, 0);

    ck_assert_str_eq(rule->name, "test.json:1:26");
    ck_assert_str_eq(rule->file, "test.json");
    ck_assert_uint_eq(rule->line, 1);
    ck_assert_uint_eq(rule->modes, POLICY_MODE_PATH | POLICY_MODE_FD);
    ck_assert_uint_eq(rule->lifetimes, POLICY_LIFETIME_ALL);
    ck_assert_uint_eq(rule->require, POLICY_REQUIRE_ISOLATED);
    ck_assert(!rule->detach && !rule->reserve && !rule->reattach_unreset);
    ck_assert(rule->max_ttl == 0 && rule->max_leases == 0 && rule->n_delegates == 0);
    ck_assert_ptr_null(rule->vfio_driver);
    ck_assert_uint_eq(policy_rule_at(policy, 1)->require, 0);
    ck_assert_uint_eq(policy_rule_at(policy, 2)->modes, 0);
    ck_assert_uint_eq(policy_limits(policy)->leases_per_uid, 16);
    ck_assert_uint_eq(policy_limits(policy)->pending_per_uid, 8);
    ck_assert_uint_eq(policy_limits(policy)->targets_per_call, 64);
}
END_TEST

#define TWO_RULES                                                                                  \
    RULES("{\"name\": \"a\", \"effect\": \"allow\", \"match\": {\"bus\": \"pci\"},"                \
          " \"modes\": [\"path\"], \"lifetimes\": [\"fd\", \"process\"], \"max_ttl\": 100,"        \
          " \"max_leases\": 4, \"detach\": true, \"reserve\": true, \"reattach_unreset\": true,"   \
          " \"delegate\": [\"alice\", \"bob\"], \"require\": [\"reset\"],"                         \
          " \"vfio_driver\": \"vfio-pci\"},"                                                       \
          "{\"name\": \"b\", \"effect\": \"allow\", \"match\": {\"bus\": \"platform\"},"           \
          " \"lifetimes\": [\"process\", \"unit\"], \"max_leases\": 2, \"detach\": true,"          \
          " \"delegate\": [\"bob\"]}")

START_TEST(test_terms) {
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, TWO_RULES);
    const struct policy_rule *a = policy_rule_at(policy, 0), *b = policy_rule_at(policy, 1);
    struct policy_terms terms;

    policy_terms_init(&terms, 1001);
    policy_terms_add(&terms, a);
    policy_terms_add(&terms, a);
    ck_assert_uint_eq(terms.modes, POLICY_MODE_PATH);
    ck_assert_uint_eq(terms.lifetimes, POLICY_LIFETIME_FD | POLICY_LIFETIME_PROCESS);
    ck_assert_uint_eq(terms.require, POLICY_REQUIRE_RESET);
    ck_assert(terms.detach && terms.reserve && terms.reattach_unreset && terms.delegated);
    ck_assert(terms.max_ttl == 100 && terms.max_leases == 4 && terms.max_leases_rule == a);
    policy_terms_add(&terms, b);
    ck_assert_uint_eq(terms.modes, POLICY_MODE_PATH);
    ck_assert_uint_eq(terms.lifetimes, POLICY_LIFETIME_PROCESS);
    ck_assert_uint_eq(terms.require, POLICY_REQUIRE_RESET | POLICY_REQUIRE_ISOLATED);
    ck_assert(terms.detach && !terms.reserve && !terms.reattach_unreset && terms.delegated);
    ck_assert(terms.max_ttl == 100 && terms.max_leases == 2 && terms.max_leases_rule == b);
    ck_assert_str_eq(a->vfio_driver, "vfio-pci");
    ck_assert(policy_rule_delegates(a, 1000) && !policy_rule_delegates(b, 1000));

    policy_terms_init(&terms, 1000);
    policy_terms_add(&terms, b);
    ck_assert(!terms.delegated);
    policy_terms_add(&terms, a);
    ck_assert(!terms.delegated && terms.max_leases == 2 && terms.max_leases_rule == b);
}
END_TEST

/* What stands against bob, for whom root claims under the rule "grant"? */
static const struct {
    const char *before, *after;
    bool denied;
} holder_cases[] = {
    { "", "", false },
    { "", ", {\"name\": \"d\", \"effect\": \"deny\", \"match\": {}}", false },
    { "{\"name\": \"d\", \"effect\": \"deny\", \"match\": {\"bus\": \"amba\"}},", "", false },
    { "{\"name\": \"d\", \"effect\": \"deny\", \"match\": {\"name\": \"0000:*\"},"
      " \"subjects\": {\"users\": [\"bob\"]}},", "", true },
    { "{\"name\": \"d\", \"effect\": \"deny\", \"match\": {},"
      " \"subjects\": {\"groups\": [\"dmaown\"]}},", "", true },
    { "{\"name\": \"d\", \"effect\": \"deny\", \"match\": {},"
      " \"subjects\": {\"users\": [\"alice\"]}},", "", false },
    { "", ", {\"name\": \"d\", \"effect\": \"deny\", \"match\": {},"
      " \"subjects\": {\"users\": [\"bob\"]}}", true },
    { "{\"effect\": \"allow\", \"match\": {\"bus\": \"pci\"},"
      " \"subjects\": {\"users\": [\"bob\"]}},",
      ", {\"name\": \"d\", \"effect\": \"deny\", \"match\": {},"
      " \"subjects\": {\"users\": [\"bob\"]}}", false },
    { "{\"name\": \"d\", \"effect\": \"deny\", \"match\": {},"
      " \"subjects\": {\"units\": [\"x.service\"]}},", "", false },
};

START_TEST(test_holder) {
    const struct policy_subject bob = { .uid = 1001, .gids = (gid_t[]){ 901 }, .n_gids = 1 };
    char text[1024];

    (void)snprintf(text, sizeof(text), RULES("%s{\"name\": \"grant\", \"effect\": \"allow\","
                   " \"match\": {\"bus\": \"pci\"}, \"delegate\": [\"bob\"]}%s"),
                   holder_cases[_i].before, holder_cases[_i].after);
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_strict, text);
    const struct policy_rule *granted = policy_decide(policy, &nic, &root);
    ck_assert_str_eq(granted->name, "grant");
    const struct policy_rule *against = policy_denies_holder(policy, &nic, &bob, granted);
    ck_assert_msg(!!against == holder_cases[_i].denied, "%s", text);
    if (against)
        ck_assert_str_eq(against->name, "d");
}
END_TEST

#define RESERVE(name, more)                                                                        \
    "{\"name\": \"" name "\", \"effect\": \"allow\", \"reserve\": true, \"match\": {" more "}"
#define ALICE ", \"subjects\": {\"users\": [\"alice\"]}}"
#define UNKNOWN ", \"subjects\": {\"users\": [\"nobody-yet\"]}}"

/* Which rule keeps the NIC from the host? */
static const struct {
    const char *rules, *reserves;
} reserve_cases[] = {
    { "", NULL },
    { RESERVE("r", "") "}", "r" },
    { RESERVE("r", "\"bus\": \"amba\"") "}", NULL },
    { RESERVE("r", "\"bus\": \"amba\"") "}," RESERVE("s", "\"bus\": \"pci\"") "}", "s" },
    { RESERVE("r", "\"bus\": \"pci\"") ALICE "," RESERVE("s", "") "}", "r" },
    /* A deny rule against everyone stands in front, or behind. */
    { "{\"effect\": \"deny\", \"match\": {\"name\": \"0000:00:05.*\"}}," RESERVE("r", "") "}", NULL },
    { RESERVE("r", "\"vendor\": \"0x8086\"") "}, {\"effect\": \"deny\", \"match\": {}}", "r" },
    { "{\"effect\": \"deny\", \"match\": {\"name\": \"0000:00:06.0\"}}," RESERVE("r", "") "}", "r" },
    { "{\"effect\": \"deny\", \"match\": {\"name\": \"0000:00:05.*\"}}," RESERVE("r", "") UNKNOWN, NULL },
    /* One against those whom the rule speaks of, against others, or in some units only. */
    { "{\"effect\": \"deny\", \"match\": {\"name\": \"0000:*\"}" ALICE "," RESERVE("r", "") ALICE, NULL },
    { "{\"effect\": \"deny\", \"match\": {\"name\": \"0000:*\"}" ALICE "," RESERVE("r", "") "}", "r" },
    { "{\"effect\": \"deny\", \"match\": {\"bus\": \"pci\"}, \"subjects\": {\"units\": [\"a.service\"]}},"
      RESERVE("r", "") "}", "r" },
    /* An allow rule without reserve is for others, or for the same. */
    { "{\"effect\": \"allow\", \"match\": {\"bus\": \"pci\"}}," RESERVE("r", "") ALICE, "r" },
    { "{\"effect\": \"allow\", \"match\": {\"bus\": \"pci\"}" ALICE "," RESERVE("r", "") ALICE, "r" },
    { "{\"effect\": \"allow\", \"match\": {}" ALICE "," RESERVE("r", "\"bus\": \"pci\"") ALICE, "r" },
    { "{\"effect\": \"allow\", \"match\": {\"bus\": \"pci\"}" ALICE "," RESERVE("r", "") "}", "r" },
    /* Names that nobody knows yet. */
    { RESERVE("r", "") UNKNOWN, "r" },
    { "{\"effect\": \"allow\", \"match\": {\"bus\": \"pci\"}" ALICE "," RESERVE("r", "") UNKNOWN, "r" },
};

START_TEST(test_reserves) {
    _cleanup_(freep) char *text = string_format(RULES("%s"), reserve_cases[_i].rules);
    _cleanup_(policy_freep) struct policy *policy = test_policy(&test_lenient, text);
    const struct policy_rule *rule = policy_reserves(policy, &nic);

    ck_assert_msg(string_equal(rule ? rule->name : NULL, reserve_cases[_i].reserves), "%s: %s",
                  text, rule ? rule->name : "none");
    ck_assert(!rule || rule->reserve);
}
END_TEST

START_TEST(test_words) {
    ck_assert_int_eq(policy_mode_from_string("fd"), POLICY_MODE_FD);
    ck_assert_int_eq(policy_mode_from_string("FD"), -EINVAL);
    ck_assert_int_eq(policy_mode_from_string(""), -EINVAL);
    ck_assert_int_eq(policy_lifetime_from_string("persistent"), POLICY_LIFETIME_PERSISTENT);
    ck_assert_int_eq(policy_require_from_string("interrupt-remapping"),
                     POLICY_REQUIRE_INTERRUPT_REMAPPING);
    for (unsigned bit = 1; bit & POLICY_MODE_ALL; bit <<= 1)
        ck_assert_int_eq(policy_mode_from_string(policy_mode_to_string(bit)), (int)bit);
    for (unsigned bit = 1; bit & POLICY_LIFETIME_ALL; bit <<= 1)
        ck_assert_int_eq(policy_lifetime_from_string(policy_lifetime_to_string(bit)), (int)bit);
    for (unsigned bit = 1; bit & POLICY_REQUIRE_ALL; bit <<= 1)
        ck_assert_int_eq(policy_require_from_string(policy_require_to_string(bit)), (int)bit);
    ck_assert_ptr_null(policy_mode_to_string(POLICY_MODE_ALL));
    ck_assert_ptr_null(policy_lifetime_to_string(0));
    ck_assert_ptr_null(policy_require_to_string(POLICY_REQUIRE_ALL + 1));
}
END_TEST

static void list_cases(void) {
    for (size_t i = 0; i < ELEMENTS_OF(match_cases); i++) {
        _cleanup_(freep) char *text = match_document(&match_cases[i]);
        test_list_case("accept", text);
    }
    for (size_t i = 0; i < ELEMENTS_OF(subject_cases); i++) {
        _cleanup_(freep) char *text = subject_document(&subject_cases[i]);
        test_list_case("accept", text);
    }
    test_list_case("accept", TWO_RULES);
}

int main(int argc, char **argv) {
    if (argc > 1 && string_equal(argv[1], "--list")) {
        list_cases();
        return 0;
    }
    Suite *suite = suite_create("policy decide");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, test_match, 0, ELEMENTS_OF(match_cases));
    tcase_add_loop_test(all, test_other_buses, 0, ELEMENTS_OF(bus_cases));
    tcase_add_loop_test(all, test_bare_device, 0, ELEMENTS_OF(match_cases));
    tcase_add_loop_test(all, test_subject, 0, ELEMENTS_OF(subject_cases));
    tcase_add_test(all, test_first_rule_decides);
    tcase_add_test(all, test_defaults);
    tcase_add_test(all, test_terms);
    tcase_add_loop_test(all, test_holder, 0, ELEMENTS_OF(holder_cases));
    tcase_add_loop_test(all, test_reserves, 0, ELEMENTS_OF(reserve_cases));
    tcase_add_test(all, test_words);
    suite_add_tcase(suite, all);
    return test_main(suite);
}
