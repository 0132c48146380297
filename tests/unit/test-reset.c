/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tree that stands for sysfs; what the device does when it is reset is played where its attribute is
 * written. */
#include "kernel/reset.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "util/fd.h"

#include "tree.h"

#define DEVICE "devices/pci0000:00/0000:00:05.0"
#define RESET DEVICE "/reset"
#define CONFIG DEVICE "/config"

static struct tree tree;

/* ---- The kernel */

static struct {
    int reset_error;        /* what writing `reset` answers */
    int after_reset;        /* command register then; -1: as it was when the reset began */
    bool gone_after_reset;
    bool ignores_config;    /* writes to config change nothing */
    int config_error;       /* what they answer */
    unsigned n_resets;
    uint16_t at_reset; /* command register when the last reset began */
} kernel;

static uint16_t command(void) {
    uint8_t bytes[64];
    int fd = openat(tree.fd, CONFIG, O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    close(fd);
    return (uint16_t)(bytes[4] | bytes[5] << 8);
}

static void put_command(uint16_t value) {
    uint8_t bytes[64] = {0x86, 0x80, 0xd3, 0x10, (uint8_t)value, (uint8_t)(value >> 8), 0x10, 0xff};

    tree_data(&tree, CONFIG, bytes, sizeof(bytes));
}

static bool leads_to(int fd, const char *name) {
    char self[64], path[PATH_MAX] = "";

    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    (void)link_read(AT_FDCWD, self, path, sizeof(path));
    return strstr(path, name) != NULL;
}

static void play_reset(void) {
    kernel.n_resets++;
    if (faccessat(tree.fd, CONFIG, F_OK, 0) < 0)
        return;
    kernel.at_reset = command();
    if (kernel.after_reset >= 0)
        put_command((uint16_t)kernel.after_reset);
    if (kernel.gone_after_reset)
        tree_unlink(&tree, CONFIG);
}

/* Instead of the library's. */
ssize_t write(int fd, const void *data, size_t size) {
    if (!leads_to(fd, RESET))
        return syscall(SYS_write, fd, data, size);
    if (kernel.reset_error) {
        errno = kernel.reset_error;
        return -1;
    }
    play_reset();
    return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    if (kernel.config_error) {
        errno = kernel.config_error;
        return -1;
    }
    if (kernel.ignores_config)
        return (ssize_t)size;
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

static void set_up(void) {
    memset(&kernel, 0, sizeof(kernel));
    kernel.after_reset = -1;
    tree_begin(&tree);
    tree_folder(&tree, DEVICE);
    put_command(0x0507);
}

static void tear_down(void) {
    tree_end(&tree);
}

/* Which is no reset, though it writes to the file. */
static void add_reset(void) {
    tree_file(&tree, RESET, "");
    kernel.n_resets = 0;
}

/* ---- Tests */

START_TEST(test_reset) {
    char text[8];

    ck_assert_int_eq(device_reset(tree.fd, DEVICE), -ENOENT);
    add_reset();
    ck_assert_int_eq(device_reset(tree.fd, DEVICE), 0);
    ck_assert_uint_eq(kernel.n_resets, 1);
    ck_assert_int_eq(attribute_read(tree.fd, RESET, text, sizeof(text)), 1);
    ck_assert_str_eq(text, "1");
    kernel.reset_error = EIO;
    ck_assert_int_eq(device_reset(tree.fd, DEVICE), -EIO);
}
END_TEST

static const struct {
    uint16_t command;
    int result;
} commands[] = {
    {0x0000, 0}, {0x0004, 1}, {0x0507, 1}, {0x0503, 0}, {0x0400, 0}, {0xfffb, 0}, {0x0006, 1}, {0xffff, -EIO},
};

START_TEST(test_read) {
    put_command(commands[_i].command);
    ck_assert_int_eq(bus_master_read(tree.fd, DEVICE), commands[_i].result);
}
END_TEST

START_TEST(test_read_errors) {
    char longest[PATH_MAX + 10];

    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    ck_assert_int_eq(bus_master_read(tree.fd, longest), -ENAMETOOLONG);
    ck_assert_int_eq(bus_master_read(tree.fd, "devices/platform/a"), -ENOENT);
    tree_data(&tree, CONFIG, "12345", 5);
    ck_assert_int_eq(bus_master_read(tree.fd, DEVICE), -EIO);
    tree_data(&tree, CONFIG, "", 0);
    ck_assert_int_eq(bus_master_read(tree.fd, DEVICE), -EIO);
}
END_TEST

/* The other bits stay, and so does what is around the register. */
START_TEST(test_clear) {
    uint8_t bytes[64];

    ck_assert_int_eq(bus_master_clear(tree.fd, DEVICE), 0);
    ck_assert_uint_eq(command(), 0x0503);
    int fd = openat(tree.fd, CONFIG, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    close(fd);
    ck_assert_uint_eq(bytes[3], 0x10);
    ck_assert_uint_eq(bytes[6], 0x10);
    ck_assert_uint_eq(bytes[7], 0xff);
}
END_TEST

START_TEST(test_clear_errors) {
    kernel.ignores_config = true;
    ck_assert_int_eq(bus_master_clear(tree.fd, DEVICE), -EIO);
    kernel.config_error = EPERM;
    ck_assert_int_eq(bus_master_clear(tree.fd, DEVICE), -EPERM);
    /* Not written to when it is off: a kernel that is locked down lets nobody write. */
    put_command(0x0503);
    ck_assert_int_eq(bus_master_clear(tree.fd, DEVICE), 0);
    tree_unlink(&tree, CONFIG);
    ck_assert_int_eq(bus_master_clear(tree.fd, DEVICE), -ENOENT);
}
END_TEST

/* Off before the reset, which gives back what it found. */
START_TEST(test_clean) {
    add_reset();
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), 0);
    ck_assert_uint_eq(kernel.n_resets, 1);
    ck_assert_uint_eq(kernel.at_reset, 0x0503);
    ck_assert_uint_eq(command(), 0x0503);
}
END_TEST

START_TEST(test_clean_without_reset) {
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -ENOENT);
    ck_assert_uint_eq(command(), 0x0503);
    add_reset();
    kernel.reset_error = ENOTTY;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EOPNOTSUPP);
    /* Then bus mastering is all that can be taken, and that it was not is what counts. */
    put_command(0x0507);
    kernel.config_error = EPERM;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EPERM);
}
END_TEST

START_TEST(test_clean_fails) {
    add_reset();
    kernel.reset_error = EIO;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EIO);
    kernel.reset_error = EAGAIN;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EAGAIN);
    kernel.reset_error = 0;
    kernel.after_reset = 0x0004;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EIO);
    kernel.after_reset = 0xffff;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EIO);
    put_command(0x0507);
    kernel.after_reset = -1;
    kernel.gone_after_reset = true;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -ENODEV);
}
END_TEST

/* It did not answer, and the reset brought it back; or nobody may write, and it comes back switched off. */
START_TEST(test_clean_by_reset) {
    add_reset();
    put_command(0xffff);
    kernel.after_reset = 0;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), 0);
    put_command(0x0507);
    kernel.config_error = EPERM;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), 0);
    put_command(0x0507);
    kernel.after_reset = -1;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EPERM);
}
END_TEST

/* A device that is not on PCI. */
START_TEST(test_clean_without_config) {
    tree_unlink(&tree, CONFIG);
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -ENOENT);
    add_reset();
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), 0);
    ck_assert_uint_eq(kernel.n_resets, 1);
    kernel.reset_error = EIO;
    ck_assert_int_eq(device_clean(tree.fd, DEVICE), -EIO);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reset");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_reset);
    tcase_add_loop_test(all, test_read, 0, sizeof(commands) / sizeof(commands[0]));
    tcase_add_test(all, test_read_errors);
    tcase_add_test(all, test_clear);
    tcase_add_test(all, test_clear_errors);
    tcase_add_test(all, test_clean);
    tcase_add_test(all, test_clean_without_reset);
    tcase_add_test(all, test_clean_fails);
    tcase_add_test(all, test_clean_by_reset);
    tcase_add_test(all, test_clean_without_config);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
