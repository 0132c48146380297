/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is listed when the daemon does not answer about one group: the others, and of that one what the list
 * had before, if the obstacle is one that passes. The daemon is a process at the other end of a socket. */

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/oci/cdi-ask.h"
#include "util/string.h"

#define GROUPS 3
#define OURS "org.dmaownd1.Error."

/* What is said about group 2; NULL: that a device is there. */
static const char *error_name;
static pid_t daemon_process;
static sd_bus *bus;
static struct cdi known, cdi;
static char *problem;
static sd_bus_error error;

/* ---- The daemon ------------------------------------------------------------------------------- */

static int list_groups(sd_bus_message *call) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    char node[32];
    int r = sd_bus_message_new_method_return(call, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ussuso)");
    for (unsigned i = 1; r >= 0 && i <= GROUPS; i++) {
        (void)snprintf(node, sizeof(node), "/dev/vfio/%u", i);
        r = sd_bus_message_append(reply, "(ussuso)", i, "user", "", 0, node, "/");
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int explain(sd_bus_message *call) {
    const char *target;
    char device[32];
    int r = sd_bus_message_enter_container(call, 'a', "s");

    if (r >= 0)
        r = sd_bus_message_read(call, "s", &target);
    if (r < 0)
        return r;
    if (error_name && strcmp(target, "2") == 0)
        return sd_bus_reply_method_errorf(call, error_name, "for a reason");
    (void)snprintf(device, sizeof(device), "new-%s", target);
    return sd_bus_reply_method_return(call, "bsaa{sv}", true, "", 1, 3, "group", "u", (uint32_t)atoi(target),
                                      "device", "s", device, "reason", "s", "user-driver");
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *ret_error) {
    int r = 0;

    if (sd_bus_message_is_method_call(call, NULL, "ListGroups"))
        r = list_groups(call);
    else if (sd_bus_message_is_method_call(call, NULL, "Explain"))
        r = explain(call);
    return r < 0 ? r : 1;
}

static void be_daemon(int fd) {
    sd_bus *peer = NULL;
    sd_id128_t id;
    int r = prctl(PR_SET_PDEATHSIG, SIGKILL);

    if (r < 0 || sd_id128_randomize(&id) < 0 || sd_bus_new(&peer) < 0 || sd_bus_set_fd(peer, fd, fd) < 0 ||
        sd_bus_set_server(peer, 1, id) < 0 || sd_bus_add_filter(peer, NULL, on_call, NULL) < 0 ||
        sd_bus_start(peer) < 0)
        _exit(1);
    do
        r = sd_bus_process(peer, NULL);
    while (r > 0 || (r == 0 && sd_bus_wait(peer, UINT64_MAX) >= 0));
    _exit(0);
}

static void start_daemon(const char *name) {
    int ends[2];

    error_name = name;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    daemon_process = fork();
    ck_assert_int_ge(daemon_process, 0);
    if (daemon_process == 0) {
        close(ends[0]);
        be_daemon(ends[1]);
    }
    close(ends[1]);
    ck_assert_int_ge(sd_bus_new(&bus), 0);
    ck_assert_int_ge(sd_bus_set_fd(bus, ends[0], ends[0]), 0);
    ck_assert_int_ge(sd_bus_start(bus), 0);
}

static void setup(void) {
    known.devices = calloc(GROUPS, sizeof(*known.devices));
    ck_assert_ptr_nonnull(known.devices);
    for (unsigned i = 1; i <= GROUPS; i++) {
        struct cdi_device device = {string_format("old-%u", i), string_format("/dev/vfio/%u", i)};
        known.devices[known.n_devices++] = device;
    }
}

static void teardown(void) {
    sd_bus_close_unref(bus);
    if (daemon_process > 0) {
        (void)kill(daemon_process, SIGKILL);
        (void)waitpid(daemon_process, NULL, 0);
    }
    cdi_done(&known);
    cdi_done(&cdi);
    free(problem);
    sd_bus_error_free(&error);
}

/* ---- Tests ------------------------------------------------------------------------------------ */

static int ask(void) {
    return cdi_ask(bus, "org.dmaownd1", &known, &cdi, &problem, &error);
}

static void check_names(const char *expected) {
    _cleanup_(strings_freep) char **names = NULL;

    for (size_t i = 0; i < cdi.n_devices; i++)
        ck_assert_int_eq(strings_append(&names, cdi.devices[i].name), 0);
    _cleanup_(freep) char *joined = strings_join(names, " ");
    ck_assert_str_eq(joined, expected);
}

START_TEST(all_are_judged) {
    start_daemon(NULL);
    ck_assert_int_eq(ask(), 0);
    check_names("new-1 new-2 new-3");
    ck_assert_ptr_null(problem);
}
END_TEST

START_TEST(one_is_as_it_was) {
    static const char *const names[] = {OURS "Busy", OURS "QuotaExceeded", SD_BUS_ERROR_TIMEOUT,
                                        SD_BUS_ERROR_LIMITS_EXCEEDED};

    start_daemon(names[_i]);
    ck_assert_int_eq(ask(), 0);
    check_names("new-1 old-2 new-3");
    ck_assert_str_eq(problem, "group 2: for a reason");
    ck_assert(!sd_bus_error_is_set(&error));
}
END_TEST

START_TEST(one_is_left_out) {
    static const char *const names[] = {SD_BUS_ERROR_FAILED, SD_BUS_ERROR_ACCESS_DENIED,
                                        SD_BUS_ERROR_NO_MEMORY};

    start_daemon(names[_i]);
    ck_assert_int_eq(ask(), 0);
    check_names("new-1 new-3");
    ck_assert_str_eq(problem, "group 2: for a reason");
}
END_TEST

START_TEST(one_went_meanwhile) {
    start_daemon(OURS "NoSuchTarget");
    ck_assert_int_eq(ask(), 0);
    check_names("new-1 new-3");
    ck_assert_ptr_null(problem);
}
END_TEST

START_TEST(the_daemon_is_gone) {
    static const char *const names[] = {SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                        SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED};

    start_daemon(names[_i]);
    ck_assert_int_lt(ask(), 0);
    ck_assert(sd_bus_error_has_name(&error, names[_i]));
    ck_assert_ptr_null(problem);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cdi-ask");
    TCase *test = tcase_create("cdi-ask");

    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_test(test, all_are_judged);
    tcase_add_loop_test(test, one_is_as_it_was, 0, 4);
    tcase_add_loop_test(test, one_is_left_out, 0, 3);
    tcase_add_test(test, one_went_meanwhile);
    tcase_add_loop_test(test, the_daemon_is_gone, 0, 4);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
