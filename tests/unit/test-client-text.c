/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What dmaownctl reads off its command line, and how it writes what it was told. */

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "client/event.h"
#include "client/json.h"
#include "client/policy-question.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verb.h"
#include "util/cleanup.h"

static const struct {
    const char *text;
    int r;
    uint64_t seconds;
} durations[] = {
    {"30", 0, 30},
    {"30s", 0, 30},
    {"5m", 0, 300},
    {"2h", 0, 7200},
    {"1d", 0, 86400},
    {"1w", 0, 604800},
    {"18446744073709551615", 0, UINT64_MAX},
    {"0", -ERANGE, 0},
    {"0h", -ERANGE, 0},
    {"18446744073709551615m", -ERANGE, 0},
    {"18446744073709551616", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"h", -EINVAL, 0},
    {"5x", -EINVAL, 0},
    {"5mm", -EINVAL, 0},
    {"5 m", -EINVAL, 0},
    {" 5", -EINVAL, 0},
    {"-5", -EINVAL, 0},
    {"05", -EINVAL, 0},
    {"1.5h", -EINVAL, 0},
};

START_TEST(test_duration) {
    uint64_t seconds = 4711;

    ck_assert_msg(duration_parse(durations[_i].text, &seconds) == durations[_i].r, "'%s'",
                  durations[_i].text);
    ck_assert_uint_eq(seconds, durations[_i].r < 0 ? 4711 : durations[_i].seconds);
}
END_TEST

START_TEST(test_user) {
    uid_t uid = 4711;

    ck_assert_int_eq(user_parse("0", &uid), 0);
    ck_assert_uint_eq(uid, 0);
    ck_assert_int_eq(user_parse("4294967294", &uid), 0);
    ck_assert_uint_eq(uid, 4294967294);
    ck_assert_int_eq(user_parse("4294967295", &uid), -ERANGE);
    ck_assert_int_eq(user_parse("4294967296", &uid), -ERANGE);
    ck_assert_int_eq(user_parse("12x", &uid), -EINVAL);
    ck_assert_int_eq(user_parse("", &uid), -EINVAL);
    ck_assert_int_eq(user_parse("-1", &uid), -ENOENT);
    ck_assert_int_eq(user_parse("no such user", &uid), -ENOENT);
    ck_assert_uint_eq(uid, 4294967294);
    ck_assert_int_eq(user_parse("root", &uid), 0);
    ck_assert_uint_eq(uid, 0);
}
END_TEST

START_TEST(test_lease_path) {
    _cleanup_(freep) char *path = NULL, *same = NULL, *none = NULL;

    ck_assert_int_eq(lease_path_parse("12", &path), 0);
    ck_assert_str_eq(path, "/org/dmaownd1/lease/12");
    ck_assert_int_eq(lease_path_parse(path, &same), 0);
    ck_assert_str_eq(same, path);
    ck_assert_int_eq(lease_path_parse("/org/dmaownd1/group/12", &none), -EINVAL);
    ck_assert_int_eq(lease_path_parse("/org/dmaownd1/lease/", &none), -EINVAL);
    ck_assert_int_eq(lease_path_parse("-1", &none), -EINVAL);
    ck_assert_int_eq(lease_path_parse("", &none), -EINVAL);
    ck_assert_ptr_null(none);
}
END_TEST

static const char *const keys[][2] = {
    {"Id", "id"},
    {"ClaimantUid", "claimant_uid"},
    {"SysfsPath", "sysfs_path"},
    {"NumaNode", "numa_node"},
    {"text", "text"},
    {"", ""},
};

START_TEST(test_key) {
    _cleanup_(freep) char *key = key_format(keys[_i][0]);

    ck_assert_str_eq(key, keys[_i][1]);
}
END_TEST

START_TEST(test_time) {
    _cleanup_(freep) char *never = time_format(0), *some = time_format(UINT64_C(1637586000000000)),
                          *far = time_format(UINT64_MAX);

    ck_assert_str_eq(never, "-");
    ck_assert_str_eq(some, "2021-11-22 13:00:00");
    ck_assert_ptr_nonnull(far);
}
END_TEST

START_TEST(test_suggest) {
    ck_assert_str_eq(verb_suggest("lsit"), "list");
    ck_assert_str_eq(verb_suggest("lease"), "leases");
    ck_assert_str_eq(verb_suggest("policy"), "policy check");
    ck_assert_str_eq(verb_suggest("mon"), "monitor");
    ck_assert_ptr_null(verb_suggest("frobnicate"));
    ck_assert_ptr_null(verb_suggest(""));
    ck_assert_ptr_null(verb_suggest("listlistlistlistlistlistlistlistlistlistlistlistlist"));
}
END_TEST

/* A JSON text, and how a cell shows it. */
static const struct {
    const char *json, *text;
    char *(*format)(json_object *value);
} cells[] = {
    {"null", "-", value_format},
    {"\"\"", "-", value_format},
    {"[]", "-", value_format},
    {"\"e1000e\"", "e1000e", value_format},
    {"\"a\\u001b[31mb\\nc\"", "a\\x1b[31mb\\x0ac", value_format},
    {"\"back\\\\slash\"", "back\\\\slash", value_format},
    {"\"\\u009b31m\"", "\\xc2\\x9b31m", value_format},
    {"\"\\u00e4\"", "ä", value_format},
    {"true", "yes", value_format},
    {"false", "no", value_format},
    {"-1", "-1", value_format},
    {"18446744073709551615", "18446744073709551615", value_format},
    {"[\"flr\", \"bus\"]", "flr,bus", value_format},
    {"[\"/org/dmaownd1/group/7\", \"/org/dmaownd1/group/8\"]", "7,8", object_value_format},
    {"\"/\"", "-", object_value_format},
    {"[[\"0000:00:05.1\", \"e1000e\"], [\"x\\n\", \"\"]]", "0000:00:05.1 (e1000e),x\\x0a (-)",
     blockers_format},
    {"[[\"one\"]]", "one", blockers_format},
    {"0", "root", user_value_format},
    {"4294967294", "4294967294", user_value_format},
    {"\"0\"", "0", user_value_format},
};

START_TEST(test_cell) {
    _cleanup_(json_putp) json_object *value = json_tokener_parse(cells[_i].json);
    _cleanup_(freep) char *text = cells[_i].format(value);

    ck_assert_str_eq(text, cells[_i].text);
}
END_TEST

/* An event, and its line; NULL: none for people. */
static const char *const events[][2] = {
    {"{\"event\":\"lease-granted\",\"object\":\"/org/dmaownd1/lease/4\",\"groups\":[7,8],"
     "\"uid\":0}",
     "lease 4: granted to root, groups 7,8"},
    {"{\"event\":\"lease-ended\",\"object\":\"/org/dmaownd1/lease/4\",\"groups\":[7],"
     "\"reason\":\"expired\"}",
     "lease 4: ended, expired, groups 7"},
    {"{\"event\":\"conflict\",\"group\":7,\"device\":\"0000:00:05.1\",\"driver\":\"e\\u001b\","
     "\"text\":\"A\\nB\"}",
     "group 7: conflict, device 0000:00:05.1, driver e\\x1b: A\\x0aB"},
    {"{\"event\":\"changed\",\"kind\":\"device\",\"name\":\"0000:00:05.1\","
     "\"before\":{\"driver\":\"e1000e\",\"role\":\"kernel\"},"
     "\"changes\":{\"role\":\"free\",\"driver\":\"\"}}",
     "device 0000:00:05.1: driver e1000e -> none, role free"},
    {"{\"event\":\"changed\",\"kind\":\"group\",\"name\":\"7\",\"before\":{\"lease\":\"/\"},"
     "\"changes\":{\"lease\":\"/org/dmaownd1/lease/4\",\"owner\":\"user\","
     "\"devices\":[\"/org/dmaownd1/device/pci_2f0000_3a00_3a05_2e1\"]}}",
     "group 7: owner user, lease none -> 4, devices 0000:00:05.1"},
    {"{\"event\":\"changed\",\"kind\":\"manager\",\"name\":\"dmaownd1\","
     "\"changes\":{\"lease_count\":1}}",
     NULL},
    {"{\"event\":\"added\",\"kind\":\"lease\",\"name\":\"4\"}", NULL},
    {"{\"event\":\"added\",\"kind\":\"device\",\"name\":\"0000:00:05.1\","
     "\"properties\":{\"driver\":\"\",\"role\":\"free\",\"group\":\"/\"}}",
     "device 0000:00:05.1: added, driver none, role free, group none"},
    {"{\"event\":\"removed\",\"kind\":\"group\",\"name\":\"7\"}", "group 7: removed"},
    {"{\"event\":\"policy-reloaded\",\"generation\":2,\"ok\":true,\"text\":\"\"}",
     "policy: reloaded, generation 2"},
    {"{\"event\":\"policy-reloaded\",\"generation\":2,\"ok\":false,\"text\":\"p.json:1:1: no\"}",
     "policy: refused, generation 2: p.json:1:1: no"},
};

START_TEST(test_event) {
    _cleanup_(json_putp) json_object *event = json_tokener_parse(events[_i][0]);
    _cleanup_(freep) char *line = NULL;

    ck_assert_ptr_nonnull(event);
    ck_assert_int_eq(event_format(event, &line), 0);
    ck_assert_pstr_eq(line, events[_i][1]);
}
END_TEST

START_TEST(test_modalias) {
    uint32_t vendor = 1, product = 2;

    ck_assert(modalias_subsystem("pci:v00008086d000010D3sv00001AF4sd0000A01Fbc02sc00i00", &vendor,
                                 &product));
    ck_assert_uint_eq(vendor, 0x1af4);
    ck_assert_uint_eq(product, 0xa01f);
    ck_assert(!modalias_subsystem("pci:v00008086d000010D3sv00001AF4sd", &vendor, &product));
    ck_assert(!modalias_subsystem("pci:v00008086d000010D3sv0000-1F4sd0000A01Fbc02", &vendor,
                                  &product));
    ck_assert(!modalias_subsystem("of:NethernetT(null)Ccalxeda,hb-xgmac", &vendor, &product));
    ck_assert(!modalias_subsystem("", &vendor, &product));
    ck_assert_uint_eq(vendor, 0x1af4);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client text");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    (void)setenv("TZ", "UTC", 1);
    tzset();
    tcase_add_loop_test(all, test_duration, 0, ELEMENTS_OF(durations));
    tcase_add_test(all, test_user);
    tcase_add_test(all, test_lease_path);
    tcase_add_loop_test(all, test_key, 0, ELEMENTS_OF(keys));
    tcase_add_test(all, test_time);
    tcase_add_test(all, test_suggest);
    tcase_add_loop_test(all, test_cell, 0, ELEMENTS_OF(cells));
    tcase_add_loop_test(all, test_event, 0, ELEMENTS_OF(events));
    tcase_add_test(all, test_modalias);
    suite_add_tcase(suite, all);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
