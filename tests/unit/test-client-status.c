/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How dmaownctl ends for each error and each reason, and that the daemon has none that it does not
 * know. */

#include <check.h>
#include <stdbool.h>
#include <stdio.h>

#include "client/exit-status.h"
#include "model/outcome.h"
#include "util/cleanup.h"

static const struct {
    const char *name;
    int status;
} errors[] = {
    {"InvalidOption", 2}, {"NoSuchTarget", 6},  {"PolicyDenied", 3}, {"Busy", 5},
    {"AlreadyOwned", 5},  {"ForeignOwner", 5},  {"DeviceInUse", 4},  {"KernelHeld", 4},
    {"NotViable", 4},     {"QuotaExceeded", 5}, {"NoSuchLease", 6},  {"NotHolder", 3},
    {"PolicyInvalid", 1}, {"SwitchFailed", 4},  {"NeverHeardOf", 1},
};

START_TEST(test_error) {
    char name[128];

    (void)snprintf(name, sizeof(name), "org.dmaownd1.Error.%s", errors[_i].name);
    ck_assert_int_eq((int)exit_status_from_error(name), errors[_i].status);
    /* The name alone, without the prefix, is nobody's. */
    ck_assert_int_eq((int)exit_status_from_error(errors[_i].name), STATUS_ERROR);
}
END_TEST

START_TEST(test_bus_error) {
    ck_assert_int_eq((int)exit_status_from_error(NULL), 1);
    ck_assert_int_eq((int)exit_status_from_error(""), 1);
    ck_assert_int_eq((int)exit_status_from_error("org.freedesktop.DBus.Error.AccessDenied"), 3);
    ck_assert_int_eq((int)exit_status_from_error("org.freedesktop.DBus.Error.ServiceUnknown"), 7);
    ck_assert_int_eq((int)exit_status_from_error("org.freedesktop.DBus.Error.NoReply"), 7);
    ck_assert_int_eq((int)exit_status_from_error("org.freedesktop.DBus.Error.Spawn.Failed"), 7);
    ck_assert_int_eq((int)exit_status_from_error("org.freedesktop.DBus.Error.NotSupported"), 1);
}
END_TEST

/* One of each kind, in the words of the API. */
START_TEST(test_reason) {
    ck_assert_int_eq((int)exit_status_from_reason(""), 0);
    ck_assert_int_eq((int)exit_status_from_reason("no-rule"), 3);
    ck_assert_int_eq((int)exit_status_from_reason("draining"), 5);
    ck_assert_int_eq((int)exit_status_from_reason("leased"), 5);
    ck_assert_int_eq((int)exit_status_from_reason("open-elsewhere"), 5);
    ck_assert_int_eq((int)exit_status_from_reason("mounted"), 4);
    ck_assert_int_eq((int)exit_status_from_reason("kernel-driver"), 4);
    ck_assert_int_eq((int)exit_status_from_reason("pf-owned"), 4);
    ck_assert_int_eq((int)exit_status_from_reason("quota"), 5);
    ck_assert_int_eq((int)exit_status_from_reason("never-heard-of"), 1);
}
END_TEST

START_TEST(test_use) {
    ck_assert(reason_is_use("mounted") && reason_is_use("vfs-in-use"));
    ck_assert(!reason_is_use("kernel-driver") && !reason_is_use("data-on-disk"));
    ck_assert(!reason_is_use("") && !reason_is_use("never-heard-of"));
}
END_TEST

/* Everything that can stand against a claim ends explain as it ends claim. */
START_TEST(test_reasons_of_the_daemon) {
    for (enum reason reason = REASON_NONE + 1; reason < REASON_MAX; reason++) {
        enum outcome outcome = reason_outcome(reason);
        if (outcome == OUTCOME_OK)
            continue;
        ck_assert_msg(exit_status_from_reason(reason_to_string(reason)) ==
                          exit_status_from_error(outcome_error_name(outcome)),
                      "%s", reason_to_string(reason));
        ck_assert_int_ne((int)exit_status_from_reason(reason_to_string(reason)), STATUS_ERROR);
    }
}
END_TEST

START_TEST(test_errors_of_the_daemon) {
    for (enum outcome outcome = OUTCOME_OK + 1; outcome < OUTCOME_MAX; outcome++) {
        enum exit_status status = exit_status_from_error(outcome_error_name(outcome));
        bool plain = outcome == OUTCOME_POLICY_INVALID || outcome == OUTCOME_NOT_SUPPORTED;
        ck_assert_msg((status == STATUS_ERROR) == plain, "%s", outcome_error_name(outcome));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client status");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_loop_test(all, test_error, 0, ELEMENTS_OF(errors));
    tcase_add_test(all, test_bus_error);
    tcase_add_test(all, test_reason);
    tcase_add_test(all, test_use);
    tcase_add_test(all, test_reasons_of_the_daemon);
    tcase_add_test(all, test_errors_of_the_daemon);
    suite_add_tcase(suite, all);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
