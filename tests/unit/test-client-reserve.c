/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of dmaownctl reserve: their names, and that their rule is for these devices and no
 * other, whatever the devices are called. */

#include "client/reserve-rule.h"
#include "policy-test.h"

static const struct {
    const char *device, *file, *rule;
} names[] = {
    {"0000:00:05.0", "reserve-0000:00:05.0.json", "reserve-0000_00_05.0"},
    {"fff50000.ethernet", "reserve-fff50000.ethernet.json", "reserve-fff50000.ethernet"},
    {"intel_rapl.0", "reserve-intel_rapl.0.json", "reserve-intel_rapl.0"},
    {".hidden", "reserve-.hidden.json", "reserve-.hidden"},
    {"a!b", "reserve-a%21b.json", "reserve-a_b-32a66e0f"},
    {"a%21b", "reserve-a%2521b.json", "reserve-a_21b-ac604bf4"},
    {"*?[x]\\", "reserve-%2a%3f%5bx%5d%5c.json", "reserve-___x__-937e1f64"},
    {"\xc3\xa4 b", "reserve-%c3%a4%20b.json", "reserve-___b-ea61094c"},
    {"0123456789012345678901234567890123456789012345678901234567890123456789",
     "reserve-0123456789012345678901234567890123456789012345678901234567890123456789.json",
     "reserve-01234567890123456789012345678901234567890123456-9d4c37ba"},
};

/* All endpoints of a group with these two names. */
static json_object *group_of(const char *first, const char *second) {
    json_object *devices = json_object_new_array();
    const char *all[] = {second, first, "bridge"};

    for (size_t i = 0; i < ELEMENTS_OF(all); i++) {
        json_object *device = json_object_new_object();
        ck_assert_int_eq(json_set_text(device, "bus", i == 0 ? "platform" : "pci"), 0);
        ck_assert_int_eq(json_set_text(device, "name", all[i]), 0);
        ck_assert_int_eq(json_set_text(device, "driver", ""), 0);
        ck_assert_int_eq(json_set(device, "class", json_object_new_int(i == 2 ? 0x060400 : 0)), 0);
        ck_assert_int_eq(json_append(devices, device), 0);
    }
    return devices;
}

/* Does the policy keep a device of this name? */
static bool reserves(const struct policy *policy, const char *bus, const char *name) {
    const struct policy_device device = {.bus = bus, .name = name, .numa_node = -1};

    return policy_reserves(policy, &device);
}

START_TEST(test_names) {
    _cleanup_(freep) char *file = reserve_file_name(names[_i].device);
    _cleanup_(freep) char *rule = reserve_rule_name(names[_i].device);

    ck_assert_str_eq(file, names[_i].file);
    ck_assert_str_eq(rule, names[_i].rule);
}
END_TEST

START_TEST(test_rule) {
    static const char *const users[] = {"alice", "1001", NULL}, *const none[] = {NULL};
    const struct reserve_terms terms = {.users = users, .groups = none, .vfio_driver = "vfio-pci"};
    const char *name = names[_i].device;
    _cleanup_(json_putp) json_object *devices = group_of(name, "~last");
    _cleanup_(json_putp) json_object *endpoints = reserve_endpoints(devices);
    _cleanup_(json_putp) json_object *document = reserve_document(endpoints, &terms);

    ck_assert_uint_eq(json_length(endpoints), 2);
    _cleanup_(policy_freep) struct policy *policy =
        test_policy(&test_strict, json_object_to_json_string(document));
    const struct policy_rule *rule = policy_rule_at(policy, 0);
    ck_assert_uint_eq(policy_rule_count(policy), 1);
    ck_assert(rule->reserve && rule->detach && rule->effect == POLICY_ALLOW);
    ck_assert_str_eq(rule->vfio_driver, "vfio-pci");
    ck_assert(reserves(policy, "pci", name) && reserves(policy, "platform", "~last"));
    ck_assert(!reserves(policy, "pci", "bridge") && !reserves(policy, "amba", name));
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        bool same = (int)i == _i;
        ck_assert(reserves(policy, "pci", names[i].device) == same);
        ck_assert(reserve_holds(document, NULL, names[i].device) == same);
        ck_assert(reserve_holds(document, "pci", names[i].device) == same);
        ck_assert(!reserve_holds(document, "amba", names[i].device));
    }
}
END_TEST

/* Nothing else is one of these files. */
START_TEST(test_strangers) {
    static const char *const strangers[] = {
        "null",
        "[]",
        RULES("1"),
        RULES("{\"name\": \"reserve-x\", \"match\": {\"name\": \"x\"}}"),
        RULES("{\"name\": \"mine\", \"reserve\": true, \"match\": {\"name\": \"x\"}}"),
        RULES("{\"name\": \"reserve-x\", \"reserve\": true, \"match\": {\"name\": \"*\"}}"),
        RULES("{\"name\": \"reserve-x\", \"reserve\": true, \"match\": {\"name\": \"x\"}}, {}"),
    };

    for (size_t i = 0; i < ELEMENTS_OF(strangers); i++) {
        _cleanup_(json_putp) json_object *document = json_tokener_parse(strangers[i]);
        ck_assert_msg(!reserve_holds(document, NULL, "x"), "%s", strangers[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client reserve");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, test_names, 0, ELEMENTS_OF(names));
    tcase_add_loop_test(all, test_rule, 0, ELEMENTS_OF(names));
    tcase_add_test(all, test_strangers);
    suite_add_tcase(suite, all);
    return test_main(suite);
}
