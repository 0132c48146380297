/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real uevents: a message sent to the kernel comes back to every receiver in the same network
 * namespace. Each test has one of its own, so that the machine's udev sees nothing. */
#include "kernel/uevent.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "tests/fakekernel/uevent.h"
#include "util/string.h"

#include "tree.h"

#define NIC "/devices/pci0000:00/0000:00:05.0"

static struct uevent_monitor *monitor;
static int sender;
static char seen[4096];
static unsigned n_seen;

static void set_up(void) {
    ck_assert_int_eq(unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET), 0);
    sender = uevent_open();
    ck_assert_int_ge(sender, 0);
    uevent_attach(sender);
    ck_assert_int_eq(uevent_monitor_new(&monitor), 0);
}

static void tear_down(void) {
    monitor = uevent_monitor_free(monitor);
    close(sender);
}

static void note(const struct uevent *event, void *userdata) {
    static const char letters[] = {
        [UEVENT_ADD] = '+',  [UEVENT_REMOVE] = '-', [UEVENT_BIND] = 'b',
        [UEVENT_UNBIND] = 'u', [UEVENT_CHANGE] = 'c',
    };
    size_t used = strlen(seen);

    n_seen++;
    snprintf(seen + used, sizeof(seen) - used, "%c %s %s %s %s\n", letters[event->action],
             event->path, event->subsystem, event->name, event->driver ?: "-");
}

static void forget(void) {
    seen[0] = 0;
    n_seen = 0;
}

static void assert_seen(const char *expected) {
    forget();
    ck_assert_int_eq(uevent_receive(monitor, 100, note, NULL), UEVENT_DRAINED);
    ck_assert_str_eq(seen, expected);
}

static const struct {
    const char *action, *path, *subsystem, *properties, *expected;
} events[] = {
    {"add", NIC, "pci", "", "+ devices/pci0000:00/0000:00:05.0 pci 0000:00:05.0 -\n"},
    {"bind", NIC, "pci", "DRIVER=vfio-pci\n",
     "b devices/pci0000:00/0000:00:05.0 pci 0000:00:05.0 vfio-pci\n"},
    {"unbind", NIC, "pci", "", "u devices/pci0000:00/0000:00:05.0 pci 0000:00:05.0 -\n"},
    {"remove", NIC, "pci", "", "- devices/pci0000:00/0000:00:05.0 pci 0000:00:05.0 -\n"},
    {"change", NIC, "pci", "DRIVER=e1000e\n",
     "c devices/pci0000:00/0000:00:05.0 pci 0000:00:05.0 e1000e\n"},
    {"move", NIC, "pci", "", "c devices/pci0000:00/0000:00:05.0 pci 0000:00:05.0 -\n"},
    {"add", "/devices/virtual/vfio/7", "vfio", "MAJOR=243\nMINOR=0\nDEVNAME=vfio/7\n",
     "+ devices/virtual/vfio/7 vfio 7 -\n"},
    {"remove", NIC "/vfio-dev/vfio0", "vfio-dev", "",
     "- devices/pci0000:00/0000:00:05.0/vfio-dev/vfio0 vfio-dev vfio0 -\n"},
    {"add", "/devices/platform/4000000.serial", "platform", "",
     "+ devices/platform/4000000.serial platform 4000000.serial -\n"},
    {"add", NIC "/net/eth0", "net", "INTERFACE=eth0\n", ""},
    {"add", "/module/vfio", "module", "", ""},
    {"add", "/bus/pci/drivers/vfio-pci", "drivers", "", ""},
    {"dance", NIC, "pci", "", ""}, /* no action that the kernel has */
};

START_TEST(test_event) {
    uevent_send(events[_i].action, events[_i].path, events[_i].subsystem, events[_i].properties);
    assert_seen(events[_i].expected);
    assert_seen("");
}
END_TEST

START_TEST(test_fd) {
    struct pollfd item = {.fd = uevent_monitor_fd(monitor), .events = POLLIN};

    ck_assert_int_eq(poll(&item, 1, 0), 0);
    uevent_send("add", NIC, "pci", "");
    ck_assert_int_eq(poll(&item, 1, 0), 1);
    ck_assert(fcntl(item.fd, F_GETFL) & O_NONBLOCK);
}
END_TEST

START_TEST(test_limit) {
    for (int i = 0; i < 25; i++)
        uevent_send(i % 5 == 0 ? "bind" : "add", NIC, i % 2 ? "net" : "pci", "");
    forget();
    ck_assert_int_eq(uevent_receive(monitor, 10, note, NULL), UEVENT_MORE);
    ck_assert_int_eq(uevent_receive(monitor, 10, note, NULL), UEVENT_MORE);
    ck_assert_int_eq(uevent_receive(monitor, 10, note, NULL), UEVENT_DRAINED);
    ck_assert_uint_eq(n_seen, 13);
}
END_TEST

/* The kernel says ENOBUFS before what it had queued, and drops events until all of that is read:
 * told too early, the caller would read everything again and miss what came then. */
START_TEST(test_overrun) {
    int size = 16384, r;
    unsigned calls = 0;

    ck_assert_int_eq(
        setsockopt(uevent_monitor_fd(monitor), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    for (int i = 0; i < 1000; i++)
        uevent_send("add", NIC, "pci", "");
    forget();
    while ((r = uevent_receive(monitor, 4, note, NULL)) == UEVENT_MORE)
        ck_assert_uint_lt(++calls, 1000);
    ck_assert_int_eq(r, UEVENT_LOST);
    ck_assert_uint_gt(calls, 1);
    ck_assert_uint_gt(n_seen, 4);
    ck_assert_uint_lt(n_seen, 1000);
    uevent_send("bind", NIC, "pci", "DRIVER=e1000e\n");
    assert_seen("b devices/pci0000:00/0000:00:05.0 pci 0000:00:05.0 e1000e\n");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("uevent");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, test_event, 0, ELEMENTS_OF(events));
    tcase_add_test(all, test_fd);
    tcase_add_test(all, test_limit);
    tcase_add_test(all, test_overrun);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
