/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of units, and questions about them. */
#include "units-fixture.h"

/* What a check was called with. Each test has a process of its own. */
static struct {
    unsigned calls;
    int result;
    char id[256];
} checked;

static void note_checked(int result, const char *id, void *userdata) {
    checked.calls++;
    checked.result = result;
    snprintf(checked.id, sizeof(checked.id), "%s", id ?: "");
    if (userdata)
        *(sd_bus_slot **)userdata = sd_bus_slot_unref(*(sd_bus_slot **)userdata);
}

/* ---- Names */

START_TEST(test_names) {
    static const char *const good[] = {
        "a.service", "dbus-org.example.service", "getty@tty1.service", "a@b@c.service", "-.slice",
        "-.mount", "session-3.scope", "x\\x2dy.mount", "a:b_c.socket", "machine-a.scope", "_.target",
        "a.timer", "a.path", "a.swap", "a.device", "a.automount", "a.service.service",
    };
    static const char *const bad[] = {
        "", ".", "a", "a.", ".service", "a.servic", "a.services", "a.Service", "a.snapshot",
        "a@.service", "@.service", "@a.service", "a/b.service", "a b.service", "a\n.service",
        "a*.service", "../a.service", "\xc3\xa4.service", "service", "a.service ", "a.service/",
    };

    for (size_t i = 0; i < ELEMENTS_OF(good); i++)
        ck_assert_msg(unit_name_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
        ck_assert_msg(!unit_name_is_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(test_longest_name) {
    char name[300];

    memset(name, 'a', sizeof(name));
    strcpy(name + 247, ".service");
    ck_assert_uint_eq(strlen(name), 255);
    ck_assert(unit_name_is_valid(name));
    name[247] = 'a';
    strcpy(name + 248, ".service");
    ck_assert(!unit_name_is_valid(name));
}
END_TEST

START_TEST(test_judge) {
    static const struct {
        const char *load, *active;
        unsigned job;
        enum unit_outcome outcome;
    } cases[] = {
        {"loaded", "active", 0, UNIT_ALIVE},
        {"loaded", "active", 9, UNIT_ALIVE},
        {"loaded", "reloading", 9, UNIT_ALIVE},
        {"loaded", "activating", 9, UNIT_ALIVE},
        {"loaded", "activating", 0, UNIT_ALIVE}, /* restarts by itself */
        {"loaded", "deactivating", 0, UNIT_ENDING},
        {"loaded", "deactivating", 9, UNIT_ENDING},
        {"loaded", "inactive", 9, UNIT_ENDING},
        {"loaded", "failed", 9, UNIT_ENDING},
        {"loaded", "maintenance", 0, UNIT_ENDING},
        {"loaded", "refreshing", 0, UNIT_ENDING},
        {"loaded", "", 0, UNIT_ENDING},
        {"loaded", "inactive", 0, UNIT_INACTIVE},
        {"loaded", "failed", 0, UNIT_INACTIVE},
        {"not-found", "inactive", 0, UNIT_UNKNOWN},
        {"masked", "failed", 0, UNIT_UNKNOWN},
        {"bad-setting", "inactive", 0, UNIT_UNKNOWN},
        {"not-found", "inactive", 9, UNIT_ENDING},
        {"not-found", "active", 0, UNIT_ENDING}, /* runs, though its file is gone */
        {"masked", "deactivating", 0, UNIT_ENDING},
    };

    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        struct unit_state state = {"a.service", cases[i].load, cases[i].active, cases[i].job};
        ck_assert_msg(unit_judge(&state) == cases[i].outcome, "%s %s %u", cases[i].load,
                      cases[i].active, cases[i].job);
    }
}
END_TEST

/* ---- One question */

START_TEST(test_check) {
    sd_bus_slot *slot = NULL;

    ck_assert_int_eq(unit_check(&bus, "alias@b.service", &slot, note_checked, NULL), 0);
    ck_assert_ptr_nonnull(slot);
    ck_assert_uint_eq(checked.calls, 0);
    pump();
    ck_assert_str_eq(systemd.path, UNIT_PATH "alias_40b_2eservice");
    ck_assert_uint_eq(checked.calls, 1);
    ck_assert_int_eq(checked.result, UNIT_ALIVE);
    ck_assert_str_eq(checked.id, "a.service");
    sd_bus_slot_unref(slot);
}
END_TEST

START_TEST(test_check_gives_slot_up) {
    sd_bus_slot *slot = NULL;

    ck_assert_int_eq(unit_check(&bus, "a.service", &slot, note_checked, &slot), 0);
    pump();
    ck_assert_uint_eq(checked.calls, 1);
    ck_assert_ptr_null(slot);
}
END_TEST

START_TEST(test_check_given_up) {
    sd_bus_slot *slot = NULL;

    systemd.holds = _i > 0;
    ck_assert_int_eq(unit_check(&bus, "a.service", &slot, note_checked, NULL), 0);
    if (_i)
        pump();
    slot = sd_bus_slot_unref(slot);
    let_go();
    pump();
    ck_assert_uint_eq(checked.calls, 0);
}
END_TEST

START_TEST(test_check_bad_name) {
    sd_bus_slot *slot = NULL;

    ck_assert_int_eq(unit_check(&bus, "../a.service", &slot, note_checked, NULL), UNIT_UNKNOWN);
    pump();
    ck_assert_uint_eq(systemd.asked + checked.calls, 0);
    ck_assert_ptr_null(slot);
}
END_TEST

START_TEST(test_check_error) {
    static const struct {
        const char *error;
        int result;
    } cases[] = {
        {"org.freedesktop.DBus.Error.UnknownObject", UNIT_UNKNOWN},
        {SYSTEMD ".NoSuchUnit", UNIT_UNKNOWN},
        {"org.freedesktop.DBus.Error.ServiceUnknown", -EHOSTUNREACH},
        {"org.freedesktop.DBus.Error.Timeout", -ETIMEDOUT},
        {"org.freedesktop.DBus.Error.AccessDenied", -EACCES},
        {"org.example.Error", -EIO},
    };
    sd_bus_slot *slot = NULL;

    systemd.error = cases[_i].error;
    ck_assert_int_eq(unit_check(&bus, "a.service", &slot, note_checked, NULL), 0);
    pump();
    ck_assert_uint_eq(checked.calls, 1);
    ck_assert_int_eq(checked.result, cases[_i].result);
    ck_assert_str_eq(checked.id, "");
    sd_bus_slot_unref(slot);
}
END_TEST

/* What is no answer to the question. */
START_TEST(test_check_nonsense) {
    sd_bus_slot *slot = NULL;

    systemd.holds = true;
    ck_assert_int_eq(unit_check(&bus, "a.service", &slot, note_checked, NULL), 0);
    pump();
    sd_bus_message *call = systemd.held[0];
    int r = -1;
    if (_i == 0)
        r = sd_bus_reply_method_return(call, NULL);
    else if (_i == 1)
        r = sd_bus_reply_method_return(call, "a{sv}", 0);
    else if (_i == 2)
        r = sd_bus_reply_method_return(call, "a{sv}", 4, "Id", "s", "a b", "LoadState", "s", "loaded",
                                       "ActiveState", "s", "active", "Job", "(uo)", 0, "/");
    else if (_i == 3)
        r = sd_bus_reply_method_return(call, "a{sv}", 4, "Id", "s", "a.service", "LoadState", "s",
                                       "loaded", "ActiveState", "u", 3, "Job", "(uo)", 0, "/");
    else if (_i == 4)
        r = sd_bus_reply_method_return(call, "a{sv}", 3, "Id", "s", "a.service", "LoadState", "s",
                                       "loaded", "ActiveState", "s", "inactive");
    ck_assert_int_ge(r, 0);
    pump();
    ck_assert_uint_eq(checked.calls, 1);
    ck_assert_int_lt(checked.result, 0);
    ck_assert_str_eq(checked.id, "");
    sd_bus_slot_unref(slot);
}
END_TEST

START_TEST(test_check_without_bus) {
    sd_bus *connection = TAKE_POINTER(bus.connection);
    sd_bus_slot *slot = NULL;

    ck_assert_int_eq(unit_check(&bus, "a.service", &slot, note_checked, NULL), -ENOTCONN);
    ck_assert_ptr_null(slot);
    bus.connection = connection;
}
END_TEST

/* The bus goes before the answer. */
START_TEST(test_check_disconnected) {
    sd_bus_slot *slot = NULL;

    systemd.holds = true;
    ck_assert_int_eq(unit_check(&bus, "a.service", &slot, note_checked, NULL), 0);
    pump();
    sd_bus_close(peer);
    for (int i = 0; i < 100 && !checked.calls; i++)
        (void)sd_bus_process(bus.connection, NULL);
    ck_assert_uint_eq(checked.calls, 1);
    ck_assert_int_lt(checked.result, 0);
    sd_bus_slot_unref(slot);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("units");
    TCase *pure = tree_case("pure"), *checks = tree_case("checks");

    tcase_add_test(pure, test_names);
    tcase_add_test(pure, test_longest_name);
    tcase_add_test(pure, test_judge);
    suite_add_tcase(suite, pure);
    tcase_add_checked_fixture(checks, set_up, tear_down);
    tcase_add_test(checks, test_check);
    tcase_add_test(checks, test_check_gives_slot_up);
    tcase_add_loop_test(checks, test_check_given_up, 0, 2);
    tcase_add_test(checks, test_check_bad_name);
    tcase_add_loop_test(checks, test_check_error, 0, 6);
    tcase_add_loop_test(checks, test_check_nonsense, 0, 5);
    tcase_add_test(checks, test_check_without_bus);
    tcase_add_test(checks, test_check_disconnected);
    suite_add_tcase(suite, checks);
    return tree_main(suite);
}
