/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units that are watched. */
#include "units-fixture.h"

/* What a watch was called with. Each test has a process of its own. */
static struct {
    unsigned calls;
    char id[256];
} ended;

static void note_ended(struct bus *of, const char *id) {
    ck_assert_ptr_eq(of, &bus);
    ended.calls++;
    snprintf(ended.id, sizeof(ended.id), "%s", id);
}

static void watch(const char *id) {
    ck_assert_int_eq(units_watch(&bus, id, note_ended), 0);
}

/* A signal from systemd; its arguments are of types. */
static void emit(const char *path, const char *interface, const char *member, const char *types, ...) {
    sd_bus_message *signal;
    va_list arguments;

    ck_assert_int_ge(sd_bus_message_new_signal(peer, &signal, path, interface, member), 0);
    ck_assert_int_ge(
        sd_bus_message_set_sender(signal, string_equal(member, "NameOwnerChanged")
                                              ? "org.freedesktop.DBus"
                                              : ":1.1"),
        0);
    va_start(arguments, types);
    ck_assert_int_ge(sd_bus_message_appendv(signal, types, arguments), 0);
    va_end(arguments);
    ck_assert_int_ge(sd_bus_send(peer, signal, NULL), 0);
    sd_bus_message_unref(signal);
}

static void emit_changed(const char *path, const char *interface) {
    emit(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", interface, 0, 0);
}

static void change(void) {
    emit_changed(UNIT_PATH "a_2eservice", SYSTEMD ".Unit");
}

/* Watched, and found well. */
static void begin(void) {
    watch("a.service");
    pump();
    ck_assert_uint_eq(systemd.asked, 1);
    ck_assert_uint_eq(systemd.subscribed, 1);
    ck_assert_uint_eq(ended.calls, 0);
}

static void stop(void) {
    systemd.active = "inactive";
}

static void expect_ended(void) {
    pump();
    ck_assert_uint_eq(ended.calls, 1);
    ck_assert_str_eq(ended.id, "a.service");
}

/* ---- What leads to a question */

START_TEST(test_ended_before) {
    stop();
    watch("a.service");
    ck_assert_uint_eq(ended.calls, 0);
    expect_ended();
    ck_assert_ptr_null(bus.units);
    ck_assert_uint_eq(systemd.unsubscribed, 1);
}
END_TEST

START_TEST(test_changed) {
    begin();
    change();
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    ck_assert_uint_eq(ended.calls, 0);
    stop();
    change();
    expect_ended();
    /* It is watched no more. */
    change();
    pump();
    ck_assert_uint_eq(systemd.asked, 3);
}
END_TEST

START_TEST(test_other_signals) {
    begin();
    stop();
    emit_changed(UNIT_PATH "b_2eservice", SYSTEMD ".Unit");
    emit_changed(UNIT_PATH "a_2eservice", SYSTEMD ".Service");
    emit_changed(UNIT_PATH "a_2eservice/x", SYSTEMD ".Unit");
    emit_changed(MANAGER_PATH, SYSTEMD ".Unit");
    emit(MANAGER_PATH, SYSTEMD ".Manager", "UnitNew", "so", "a.service", UNIT_PATH "a_2eservice");
    emit(MANAGER_PATH, SYSTEMD ".Manager", "UnitRemoved", "so", "b.service", UNIT_PATH "b_2eservice");
    emit(MANAGER_PATH, SYSTEMD ".Manager", "UnitRemoved", "s", "a.service");
    emit(MANAGER_PATH, SYSTEMD ".Manager", "JobRemoved", "uoss", 7, "/job/7", "b.service", "done");
    emit(MANAGER_PATH, SYSTEMD ".Manager", "JobRemoved", "u", 7);
    emit("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss", SYSTEMD, ":1.1",
         "");
    emit("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss", "org.example", "",
         ":1.2");
    pump();
    ck_assert_uint_eq(systemd.asked, 1);
    ck_assert_uint_eq(systemd.subscribed, 1);
}
END_TEST

START_TEST(test_unit_removed) {
    begin();
    stop();
    systemd.load = "not-found";
    emit(MANAGER_PATH, SYSTEMD ".Manager", "UnitRemoved", "so", "a.service", UNIT_PATH "a_2eservice");
    expect_ended();
}
END_TEST

/* systemctl restart: stopped with the start still queued. The start may also be cancelled. */
START_TEST(test_restart) {
    begin();
    stop();
    systemd.job = 7;
    change();
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    ck_assert_uint_eq(ended.calls, 0);
    systemd.job = 0;
    if (_i == 0) {
        systemd.active = "active";
        change();
        pump();
        ck_assert_uint_eq(ended.calls, 0);
        stop();
    }
    emit(MANAGER_PATH, SYSTEMD ".Manager", "JobRemoved", "uoss", 7, "/job/7", "a.service", "canceled");
    expect_ended();
}
END_TEST

/* systemd executes itself: what happened meanwhile is asked for, and it is told again to whom to send. */
START_TEST(test_new_owner) {
    begin();
    if (_i)
        stop();
    emit("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss", SYSTEMD,
         _i ? "" : ":1.1", ":1.2");
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    ck_assert_uint_eq(systemd.subscribed, 2);
    ck_assert_uint_eq(ended.calls, (unsigned)_i);
}
END_TEST

/* Many signals while a question is under way lead to one more, and none of them is lost. */
START_TEST(test_many_signals) {
    begin();
    systemd.holds = true;
    change();
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    for (int i = 0; i < 50; i++)
        change();
    units_recheck(&bus);
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    let_go();
    stop();
    expect_ended();
    ck_assert_uint_eq(systemd.asked, 3);
}
END_TEST

START_TEST(test_many_signals_alive) {
    begin();
    systemd.holds = true;
    change();
    pump();
    change();
    change();
    pump();
    let_go();
    pump();
    ck_assert_uint_eq(systemd.asked, 3);
    ck_assert_uint_eq(ended.calls, 0);
}
END_TEST

/* Nothing ends because systemd does not answer; it is asked again after a while. */
START_TEST(test_error) {
    begin();
    systemd.error = "org.freedesktop.DBus.Error.Timeout";
    change();
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    ck_assert_uint_eq(ended.calls, 0);
    systemd.error = NULL;
    stop();
    ev_run(bus.loop, EVRUN_ONCE);
    expect_ended();
    ck_assert_uint_eq(systemd.asked, 3);
}
END_TEST

START_TEST(test_recheck) {
    units_recheck(&bus);
    begin();
    units_recheck(&bus);
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    stop();
    units_recheck(&bus);
    expect_ended();
}
END_TEST

START_TEST(test_watch_twice) {
    begin();
    watch("a.service");
    pump();
    ck_assert_uint_eq(systemd.asked, 1);
    ck_assert_uint_eq(systemd.subscribed, 1);
    units_unwatch(&bus, "a.service");
    ck_assert_ptr_null(bus.units);
}
END_TEST

START_TEST(test_unwatch) {
    units_unwatch(&bus, "a.service");
    begin();
    watch("b.scope");
    pump();
    ck_assert_uint_eq(systemd.subscribed, 1);
    units_unwatch(&bus, "c.scope");
    units_unwatch(&bus, "a.service");
    units_unwatch(&bus, "a.service");
    pump();
    ck_assert_uint_eq(systemd.unsubscribed, 0);
    stop();
    change();
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    emit_changed(UNIT_PATH "b_2escope", SYSTEMD ".Unit");
    pump();
    ck_assert_uint_eq(ended.calls, 1);
    ck_assert_str_eq(ended.id, "b.scope");
    ck_assert_uint_eq(systemd.unsubscribed, 1);
}
END_TEST

/* Given up before the answer. */
START_TEST(test_unwatch_while_asked) {
    systemd.holds = true;
    stop();
    watch("a.service");
    pump();
    if (_i == 0)
        units_unwatch(&bus, "a.service");
    else
        units_drop_all(&bus);
    let_go();
    pump();
    ck_assert_uint_eq(ended.calls, 0);
    ck_assert_uint_eq(systemd.unsubscribed, 1);
}
END_TEST

/* On another connection they are watched anew. */
START_TEST(test_drop_all) {
    units_drop_all(&bus);
    pump();
    ck_assert_uint_eq(systemd.unsubscribed, 0);
    begin();
    watch("b.scope");
    pump();
    units_drop_all(&bus);
    ck_assert_ptr_null(bus.units);
    change();
    pump();
    ck_assert_uint_eq(systemd.asked, 2);
    watch("a.service");
    pump();
    ck_assert_uint_eq(systemd.asked, 3);
    ck_assert_uint_eq(systemd.subscribed, 2);
}
END_TEST

/* What a handler may do. */
static int in_ended;

static void act_on_end(struct bus *of, const char *id) {
    note_ended(of, id);
    systemd.active = "active";
    if (in_ended == 0)
        units_unwatch(of, id);
    else if (in_ended == 1)
        units_drop_all(of);
    else if (in_ended == 2)
        ck_assert_int_eq(units_watch(of, id, act_on_end), 0);
    else
        units_unwatch(of, "b.scope");
}

START_TEST(test_act_on_end) {
    in_ended = _i % 4;
    if (_i >= 4) {
        watch("b.scope");
        pump();
    }
    stop();
    ck_assert_int_eq(units_watch(&bus, "a.service", act_on_end), 0);
    pump();
    ck_assert_uint_eq(ended.calls, 1);
    ck_assert_str_eq(ended.id, "a.service");
    ck_assert_int_eq(bus.units != NULL, in_ended == 2 || (_i >= 4 && in_ended == 0));
}
END_TEST

START_TEST(test_watch_refused) {
    ck_assert_int_eq(units_watch(&bus, "a", note_ended), -EINVAL);
    sd_bus *connection = TAKE_POINTER(bus.connection);
    ck_assert_int_eq(units_watch(&bus, "a.service", note_ended), -ENOTCONN);
    units_unwatch(&bus, "a.service");
    units_recheck(&bus);
    ck_assert_ptr_null(bus.units);
    bus.connection = connection;
}
END_TEST

int main(void) {
    Suite *suite = suite_create("units-watch");
    TCase *watches = tree_case("all");

    tcase_add_checked_fixture(watches, set_up, tear_down);
    tcase_add_test(watches, test_ended_before);
    tcase_add_test(watches, test_changed);
    tcase_add_test(watches, test_other_signals);
    tcase_add_test(watches, test_unit_removed);
    tcase_add_loop_test(watches, test_restart, 0, 2);
    tcase_add_loop_test(watches, test_new_owner, 0, 2);
    tcase_add_test(watches, test_many_signals);
    tcase_add_test(watches, test_many_signals_alive);
    tcase_add_test(watches, test_error);
    tcase_add_test(watches, test_recheck);
    tcase_add_test(watches, test_watch_twice);
    tcase_add_test(watches, test_unwatch);
    tcase_add_loop_test(watches, test_unwatch_while_asked, 0, 2);
    tcase_add_test(watches, test_drop_all);
    tcase_add_loop_test(watches, test_act_on_end, 0, 8);
    tcase_add_test(watches, test_watch_refused);
    suite_add_tcase(suite, watches);
    return tree_main(suite);
}
