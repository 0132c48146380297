/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tree that stands for sysfs. */
#include "kernel/driver-switch.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "util/cleanup.h"
#include "util/fd.h"

#include "tree.h"

#define NAME "0000:00:05.0"
#define DEVICE "devices/pci0000:00/" NAME
#define DRIVERS "bus/pci/drivers/"
#define DRIVER_LINK "../../../" DRIVERS

static struct tree tree;

static void set_up(void) {
    tree_begin(&tree);
    tree_folder(&tree, DEVICE);
    tree_link(&tree, DEVICE "/subsystem", "../../../bus/pci");
    tree_link(&tree, DEVICE "/driver", DRIVER_LINK "vfio-pci");
    tree_file(&tree, DRIVERS "vfio-pci/unbind", "");
    tree_file(&tree, DRIVERS "vfio-pci/bind", "");
    tree_file(&tree, DRIVERS "e1000e/bind", "");
}

static void tear_down(void) {
    tree_end(&tree);
}

static void expect_written(const char *path, const char *text) {
    _cleanup_(freep) char *found = NULL;

    ck_assert_int_eq(file_read(tree.fd, path, 100, &found, NULL), 0);
    ck_assert_str_eq(found, text);
}

START_TEST(test_unbind) {
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), 0);
    expect_written(DRIVERS "vfio-pci/unbind", NAME);
    expect_written(DRIVERS "vfio-pci/bind", "");
}
END_TEST

START_TEST(test_unbind_without_driver) {
    tree_unlink(&tree, DEVICE "/driver");
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), 0);
    expect_written(DRIVERS "vfio-pci/unbind", "");
}
END_TEST

START_TEST(test_unbind_errors) {
    char longest[PATH_MAX + 10];

    ck_assert_int_eq(driver_unbind(tree.fd, "devices/pci0000:00/0000:00:06.0"), -ENOENT);
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    ck_assert_int_eq(driver_unbind(tree.fd, longest), -ENAMETOOLONG);
    /* A driver that lets nobody go. */
    tree_unlink(&tree, DRIVERS "vfio-pci/unbind");
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), -ENOENT);
    tree_folder(&tree, DRIVERS "vfio-pci/unbind");
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), -EISDIR);
    tree_unlink(&tree, DEVICE "/driver");
    tree_file(&tree, DEVICE "/driver", "");
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), -EINVAL);
}
END_TEST

START_TEST(test_bind) {
    ck_assert_int_eq(driver_bind(tree.fd, "pci", NAME, "e1000e"), 0);
    expect_written(DRIVERS "e1000e/bind", NAME);
    expect_written(DRIVERS "vfio-pci/bind", "");
}
END_TEST

START_TEST(test_bind_errors) {
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "../pci", "pci/"};
    char longest[PATH_MAX];

    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        ck_assert_int_eq(driver_bind(tree.fd, bad[i], NAME, "e1000e"), -EINVAL);
        ck_assert_int_eq(driver_bind(tree.fd, "pci", bad[i], "e1000e"), -EINVAL);
        ck_assert_int_eq(driver_bind(tree.fd, "pci", NAME, bad[i]), -EINVAL);
    }
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    ck_assert_int_eq(driver_bind(tree.fd, "pci", NAME, longest), -ENAMETOOLONG);
    ck_assert_int_eq(driver_bind(tree.fd, "pci", NAME, "nouveau"), -ENOENT);
    ck_assert_int_eq(driver_bind(tree.fd, "platform", NAME, "vfio-pci"), -ENOENT);
    /* The kernel refuses. */
    tree_unlink(&tree, DRIVERS "e1000e/bind");
    tree_link(&tree, DRIVERS "e1000e/bind", "/dev/full");
    ck_assert_int_eq(driver_bind(tree.fd, "pci", NAME, "e1000e"), -ENOSPC);
}
END_TEST

/* ---- Unbound and bound again */

/* Where the device's link leads after it was unbound and bound; NULL: there is none. */
static struct {
    bool plays;
    const char *unbound_driver, *bound_driver;
    int bind_error; /* what bind answers */
    bool wants_override; /* and that the device's driver_override is asked first */
    char override[64];
} kernel;

static void change_link(const char *driver) {
    (void)unlinkat(tree.fd, DEVICE "/driver", 0);
    if (driver)
        tree_link(&tree, DEVICE "/driver", driver);
}

/* Instead of the library's: the kernel has done its work when the write returns. */
ssize_t write(int fd, const void *data, size_t size) {
    char self[64], path[PATH_MAX] = "";
    ssize_t written = syscall(SYS_write, fd, data, size);

    if (!kernel.plays || written < 0)
        return written;
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    (void)link_read(AT_FDCWD, self, path, sizeof(path));
    if (strstr(path, "/driver_override"))
        snprintf(kernel.override, sizeof(kernel.override), "%.*s", (int)size, (const char *)data);
    if (kernel.wants_override && strstr(path, "vfio-pci/bind") &&
        strcmp(kernel.override, "vfio-pci") != 0) {
        errno = ENODEV;
        return -1;
    }
    if (strstr(path, "vfio-pci/unbind"))
        change_link(kernel.unbound_driver);
    if (strstr(path, "vfio-pci/bind"))
        change_link(kernel.bound_driver);
    if (strstr(path, "vfio-pci/bind") && kernel.bind_error) {
        errno = kernel.bind_error;
        return -1;
    }
    return written;
}

static int rebind(const char *bound_driver, int bind_error) {
    kernel.plays = true;
    kernel.bound_driver = bound_driver;
    kernel.bind_error = bind_error;
    int r = driver_rebind(tree.fd, DEVICE);
    kernel.plays = false;
    expect_written(DRIVERS "vfio-pci/unbind", NAME);
    expect_written(DRIVERS "vfio-pci/bind", NAME);
    return r;
}

START_TEST(test_rebind) {
    ck_assert_int_eq(rebind(DRIVER_LINK "vfio-pci", 0), 0);
}
END_TEST

/* The kernel says that all is well, but it is not. */
START_TEST(test_rebind_fails) {
    static const char *const drivers[] = {DRIVER_LINK "e1000e", DRIVER_LINK "vfio-pci2", NULL};

    ck_assert_int_eq(rebind(drivers[_i], 0), -EIO);
}
END_TEST

START_TEST(test_rebind_refused) {
    ck_assert_int_eq(rebind(NULL, ENXIO), -ENXIO);
    change_link(DRIVER_LINK "vfio-pci");
    ck_assert_int_eq(rebind(DRIVER_LINK "e1000e", ENXIO), -ENXIO);
}
END_TEST

/* Refused, since a rule of udev or somebody else was faster with the same driver. */
START_TEST(test_rebind_by_another) {
    ck_assert_int_eq(rebind(DRIVER_LINK "vfio-pci", ENODEV), 0);
}
END_TEST

/* It goes while it is unbound, or another gets it. The write to unbind answers like one to bind. */
START_TEST(test_unbind_meanwhile) {
    kernel.plays = true;
    tree_unlink(&tree, DRIVERS "vfio-pci/unbind");
    tree_link(&tree, DRIVERS "vfio-pci/unbind", "bind");
    kernel.bind_error = ENODEV;
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), 0);
    change_link(DRIVER_LINK "vfio-pci");
    kernel.bound_driver = DRIVER_LINK "e1000e";
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), -ENODEV);
    change_link(DRIVER_LINK "vfio-pci");
    kernel.bound_driver = NULL;
    kernel.bind_error = EBUSY;
    ck_assert_int_eq(driver_unbind(tree.fd, DEVICE), -EBUSY);
}
END_TEST

/* A VFIO driver takes nothing that is not overridden, and whoever bound the device may have cleared
 * that. What was there before is there afterwards. */
START_TEST(test_rebind_by_override) {
    static const char *const befores[] = {"(null)\n", "", "e1000e\n"};
    static const char *const afters[] = {"\n", "\n", "e1000e"};

    kernel.wants_override = true;
    tree_file(&tree, DEVICE "/driver_override", befores[_i]);
    ck_assert_int_eq(rebind(DRIVER_LINK "vfio-pci", 0), 0);
    ck_assert_str_eq(kernel.override, afters[_i]);
    kernel.wants_override = false;
}
END_TEST

START_TEST(test_rebind_without_driver) {
    tree_unlink(&tree, DEVICE "/driver");
    ck_assert_int_eq(driver_rebind(tree.fd, DEVICE), 0);
    tree_file(&tree, DEVICE "/driver_override", "(null)\n");
    ck_assert_int_eq(driver_rebind(tree.fd, DEVICE), 0);
    expect_written(DRIVERS "vfio-pci/bind", "");
    tree_file(&tree, DEVICE "/driver_override", "e1000e\n");
    ck_assert_int_eq(driver_rebind(tree.fd, DEVICE), 0);
    expect_written(DRIVERS "e1000e/bind", "");
}
END_TEST

/* A worker that died between unbind and bind leaves the override. */
START_TEST(test_rebind_goes_on) {
    tree_unlink(&tree, DEVICE "/driver");
    tree_file(&tree, DEVICE "/driver_override", "vfio-pci\n");
    kernel.plays = true;
    kernel.bound_driver = DRIVER_LINK "vfio-pci";
    ck_assert_int_eq(driver_rebind(tree.fd, DEVICE), 0);
    kernel.plays = false;
    expect_written(DRIVERS "vfio-pci/bind", NAME);
    expect_written(DEVICE "/driver_override", "vfio-pci\n");
}
END_TEST

START_TEST(test_rebind_errors) {
    ck_assert_int_eq(driver_rebind(tree.fd, "devices/pci0000:00/0000:00:06.0"), -ENOENT);
    tree_unlink(&tree, DRIVERS "vfio-pci/unbind");
    tree_link(&tree, DRIVERS "vfio-pci/unbind", "/dev/full");
    ck_assert_int_eq(driver_rebind(tree.fd, DEVICE), -ENOSPC);
    expect_written(DRIVERS "vfio-pci/bind", "");
    tree_unlink(&tree, DEVICE "/subsystem");
    ck_assert_int_eq(driver_rebind(tree.fd, DEVICE), -ENOENT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("driver-switch");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_unbind);
    tcase_add_test(all, test_unbind_without_driver);
    tcase_add_test(all, test_unbind_errors);
    tcase_add_test(all, test_bind);
    tcase_add_test(all, test_bind_errors);
    tcase_add_test(all, test_rebind);
    tcase_add_loop_test(all, test_rebind_by_override, 0, 3);
    tcase_add_loop_test(all, test_rebind_fails, 0, 3);
    tcase_add_test(all, test_rebind_refused);
    tcase_add_test(all, test_unbind_meanwhile);
    tcase_add_test(all, test_rebind_without_driver);
    tcase_add_test(all, test_rebind_by_another);
    tcase_add_test(all, test_rebind_goes_on);
    tcase_add_test(all, test_rebind_errors);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
