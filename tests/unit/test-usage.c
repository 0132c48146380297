/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Display, console, virtual functions, open nodes, in a made up host; and the lines themselves. */
#include "usage-fixture.h"

#include <sys/inotify.h>


#define GPU NIC
#define VF(n) "devices/pci0000:00/0000:00:07." n

/* ---- Display */

START_TEST(test_boot_display) {
    static const struct {
        const char *boot_vga, *driver, *expected;
    } cases[] = {
        {"1\n", "i915", "boot-display|it is the display that the machine started on"},
        {"0\n", "i915", NULL},
        {"1\n", "vfio-pci", NULL},
        {"1\n", "pci-stub", NULL},
        {"1\n", NULL, NULL},
        {NULL, "e1000e", NULL},
    };

    if (cases[_i].boot_vga)
        tree_file(&sys, GPU "/boot_vga", cases[_i].boot_vga);
    if (cases[_i].driver) {
        char target[64];
        snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", cases[_i].driver);
        tree_link(&sys, GPU "/driver", target);
    }
    if (cases[_i].expected)
        expect(GPU, cases[_i].expected);
    else
        expect_free(GPU);
}
END_TEST

/* Nothing below the device says so before Linux 6.9. */
START_TEST(test_firmware_display) {
    tree_file(&sys, GPU "/boot_vga", "1\n");
    tree_folder(&sys, "devices/platform/simple-framebuffer.0");
    expect_free(GPU);
    tree_folder(&sys, "bus/platform/drivers/simple-framebuffer");
    tree_link(&sys, "devices/platform/simple-framebuffer.0/driver",
              "../../../bus/platform/drivers/simple-framebuffer");
    expect(GPU, "boot-display|it is the display that the machine started on, with the firmware's "
                "frame buffer");
}
END_TEST

START_TEST(test_frame_buffer) {
    add_class(GPU "/graphics/fb1", "graphics", "29:1\n");
    expect(GPU, "boot-display|fb1 shows the host's display");
    tree_file(&sys, GPU "/boot_vga", "0\n");
    expect_free(GPU);
    add_class(GPU "/graphics/fb0", "graphics", "29:0\n");
    expect(GPU, "boot-display|fb0 shows the host's display");
}
END_TEST

/* ---- Console */

START_TEST(test_console) {
    static const struct {
        const char *active;
        bool is_console;
    } cases[] = {
        {"tty0 ttyS4\n", true}, {"ttyS4 tty0\n", true},         {"ttyS4\n", true},
        {"tty0\n", false},      {"ttyS40 xttyS4 ttyS\n", false}, {"\n", false},
        {"ttyS40 ttyS4\n", true},
    };

    add_class(NIC "/0000:00:05.0:0/0000:00:05.0:0.0/tty/ttyS4", "tty", "4:68\n");
    expect_free(NIC);
    tree_file(&sys, "class/tty/console/active", cases[_i].active);
    if (cases[_i].is_console)
        expect(NIC, "console|ttyS4 is a console of the kernel");
    else
        expect_free(NIC);
}
END_TEST

START_TEST(test_console_unknown) {
    add_class(NIC "/tty/ttyS4", "tty", "4:68\n");
    tree_folder(&sys, "class/tty/console/active");
    expect(NIC, "console|whether ttyS4 is a console could not be found out: Is a directory");
}
END_TEST

/* ---- Virtual functions */

START_TEST(test_virtual_functions) {
    tree_file(&sys, NIC "/sriov_numvfs", "2\n");
    tree_link(&sys, NIC "/virtfn0", "../0000:00:07.0");
    tree_link(&sys, NIC "/virtfn1", "../0000:00:07.1");
    tree_folder(&sys, VF("0"));
    tree_folder(&sys, VF("1"));
    expect_free(NIC);
    tree_link(&sys, VF("1") "/driver", "../../../bus/pci/drivers/iavf");
    expect(NIC, "vfs-in-use|its virtual function 0000:00:07.1 is bound to iavf");
    tree_link(&sys, VF("0") "/driver", "../../../bus/pci/drivers/vfio-pci");
    expect_lines(NIC, 2);
    has("vfs-in-use|its virtual function 0000:00:07.0 is bound to vfio-pci");
    tree_unlink(&sys, VF("0") "/driver");
    tree_link(&sys, VF("0") "/driver", "../../../bus/pci/drivers/pci-stub");
    expect_lines(NIC, 1);
}
END_TEST

START_TEST(test_virtual_functions_unknown) {
    tree_file(&sys, NIC "/sriov_numvfs", "many\n");
    expect(NIC, "vfs-in-use|whether it has virtual functions could not be found out: Bad message");
}
END_TEST

START_TEST(test_mediated_device) {
    static const char device[] = NIC "/6f0e7a3a-0000-4000-8000-000000000000";

    add_class(device, "mdev", NULL);
    expect_free(NIC);
    tree_link(&sys, NIC "/6f0e7a3a-0000-4000-8000-000000000000/driver", "../vfio_mdev");
    expect(NIC, "vfs-in-use|its mediated device 6f0e7a3a-0000-4000-8000-000000000000 is bound to vfio_mdev");
}
END_TEST

/* ---- Open nodes. The made up process has /dev/full, which stands for the device's. */

static void add_process(const char *pid, const char *exe, const char *target, const char *flags) {
    char path[128], text[64];

    snprintf(path, sizeof(path), "%s/fd/5", pid);
    tree_link(&proc, path, target);
    snprintf(path, sizeof(path), "%s/fd/6", pid); /* counts once */
    tree_link(&proc, path, target);
    for (int fd = 5; fd <= 6; fd++) {
        snprintf(path, sizeof(path), "%s/fdinfo/%d", pid, fd);
        snprintf(text, sizeof(text), "pos:\t0\nflags:\t%s\nmnt_id:\t15\n", flags);
        tree_file(&proc, path, text);
    }
    snprintf(path, sizeof(path), "%s/exe", pid);
    tree_link(&proc, path, exe);
}

START_TEST(test_open_node) {
    add_class(GPU "/drm/card0", "drm", "1:7\n");
    expect_free(GPU);
    add_process("99999901", "/usr/bin/Xorg", "/dev/full", "02");
    expect(GPU, "open-node|card0 is open in a process|card0 is open in pid 99999901 (/usr/bin/Xorg)");
    /* With udev's link the node's name is known. */
    tree_link(&dev, "dri/card0", "/dev/full");
    tree_link(&dev, "char/1:7", "../dri/card0");
    expect(GPU, "open-node|/dev/dri/card0 is open in a process|"
                "/dev/dri/card0 is open in pid 99999901 (/usr/bin/Xorg)");
    expect_free(DISK);
}
END_TEST

START_TEST(test_node_name) {
    add_class(GPU "/sound/card0/controlC0", "sound", "1:7\n");
    add_process("99999901", "/usr/bin/a\tb", "/dev/full", "02");
    tree_link(&dev, "controlC0", "/dev/null"); /* another one */
    ask(GPU);
    has("open-node|controlC0 is open in a process|controlC0 is open in pid 99999901 (/usr/bin/a\\x09b)");
    tree_unlink(&dev, "controlC0");
    tree_link(&dev, "controlC0", "/dev/full");
    ask(GPU);
    has("open-node|/dev/controlC0 is open in a process|"
        "/dev/controlC0 is open in pid 99999901 (/usr/bin/a\\x09b)");
}
END_TEST

/* Nothing of this has the node open. */
START_TEST(test_not_open) {
    add_class(GPU "/drm/card0", "drm", "1:7\n");
    add_class(GPU "/vfio-dev/vfio0", "vfio-dev", "1:5\n"); /* /dev/zero: VFIO's do not count here */
    add_block(SDA, "1:7\n");                                /* a block device of this number */
    add_process("99999901", "/bin/a", "/dev/full", "012000000");
    add_process("99999902", "/bin/b", "/dev/null", "02");
    add_process("99999903", "/bin/c", "/dev/zero", "02");
    add_process("99999904", "/bin/d", "/nothing", "02");
    tree_folder(&proc, "99999905");
    tree_folder(&proc, "sys");
    expect_free(GPU);
    expect_free(DISK);
}
END_TEST

START_TEST(test_many_processes) {
    char pid[16];

    add_class(GPU "/drm/card0", "drm", "1:7\n");
    for (int i = 0; i < 10; i++) {
        snprintf(pid, sizeof(pid), "9999990%d", i);
        add_process(pid, "/bin/a", "/dev/full", "02");
    }
    expect_lines(GPU, 4);
}
END_TEST

START_TEST(test_nodes_unknown) {
    const struct usage_host host = {
        .sysfs = sys.fd, .proc = "/nothing/here", .dev = dev.path, .open_disk = fake_open};
    const char *const paths[] = {DISK, GPU};
    _cleanup_(fd_closep) int output = memfd_create("answer", MFD_CLOEXEC);
    char text[256] = "";

    add_class(GPU "/drm/card0", "drm", "1:7\n");
    add_class(GPU "/drm/card1", "drm", "1:8\n");
    ck_assert_int_eq(usage_write_host(output, &host, paths, 2), 0);
    ck_assert_int_gt(pread(output, text, sizeof(text) - 1, 0), 0);
    ck_assert_str_eq(text, "use\t1\topen-node\twho has its nodes open could not be found out: "
                           "No such file or directory\twho has its nodes open could not be found out: "
                           "No such file or directory\n");
}
END_TEST

/* ---- All together */

START_TEST(test_devices) {
    const struct usage_host host = {
        .sysfs = sys.fd, .proc = proc.path, .dev = dev.path, .open_disk = fake_open};
    const char *const paths[] = {NIC, "devices/gone", DISK};
    _cleanup_(fd_closep) int output = memfd_create("answer", MFD_CLOEXEC);
    char text[256] = "";

    add_block(SDA, "8:0\n");
    set_mounts("30 1 8:0 / /srv rw - ext4 /dev/sda rw\n");
    ck_assert_int_eq(usage_write_host(output, &host, paths, 3), 0);
    ck_assert_int_gt(pread(output, text, sizeof(text) - 1, 0), 0);
    ck_assert_str_eq(text, "use\t2\tmounted\tsda is mounted\tsda is mounted on /srv\n");
    ck_assert_int_eq(usage_write_host(output, &host, NULL, 0), 0);
    ck_assert_int_eq(usage_write_host(-1, &host, paths, 3), -EBADF);
}
END_TEST

/* These may hang. */
START_TEST(test_never_read) {
    static const char *const names[] = {"uevent", "driver_override", "net/eth0/uevent",
                                        "drm/card0/uevent", "virtio0/driver_override"};
    _cleanup_(fd_closep) int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    char path[256], event[4096];

    add_class(NIC "/net/eth0", "net", NULL);
    tree_file(&sys, NIC "/net/eth0/ifindex", "99999\n");
    add_class(NIC "/drm/card0", "drm", "1:7\n");
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", NIC, names[i]);
        tree_file(&sys, path, "");
        ck_assert_int_ge(inotify_add_watch(watch, tree_path(&sys, path), IN_OPEN), 0);
    }
    expect_free(NIC);
    ck_assert_int_eq(read(watch, event, sizeof(event)), -1);
    ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

/* The real machine: whatever it says, it can be read. */
START_TEST(test_real) {
    _cleanup_(fd_closep) int output = memfd_create("answer", MFD_CLOEXEC);
    _cleanup_(fd_closep) int real = open("/sys", O_RDONLY | O_DIRECTORY);
    const char *const paths[] = {"devices/platform", "devices/pnp0"};
    _cleanup_(freep) char *text = NULL;
    struct usage_line use;
    char path[64], *rest, *line;

    ck_assert_int_eq(usage_write(output, real, paths, 2), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", output);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
    rest = text;
    while ((line = strsep(&rest, "\n")) && *line)
        ck_assert_int_eq(usage_parse(line, &use), 1);
}
END_TEST

/* ---- Lines */

START_TEST(test_parse) {
    char line[] = "use\t12\tmounted\tsda is mounted\tsda is mounted on /\n";
    char other[] = "vfio\t1\tvfio-pci\tvfio_pci\tloaded\n";
    struct usage_line use;

    ck_assert_int_eq(usage_parse(other, &use), 0);
    ck_assert_str_eq(other, "vfio\t1\tvfio-pci\tvfio_pci\tloaded\n");
    ck_assert_int_eq(usage_parse(line, &use), 1);
    ck_assert_uint_eq(use.index, 12);
    ck_assert_int_eq(use.reason, REASON_MOUNTED);
    ck_assert_str_eq(use.public_text, "sda is mounted");
    ck_assert_str_eq(use.text, "sda is mounted on /");
}
END_TEST

START_TEST(test_parse_broken) {
    static const char *const lines[] = {
        "use\t",          "use\t1",           "use\t1\tmounted",     "use\t1\tmounted\ta",
        "use\t1\tx\ta\tb", "use\t-1\theld\ta\tb", "use\t\theld\ta\tb", "use\t1\theld\ta\tb\tc",
        "use\t1\theld\t\tb", "use\t1\theld\ta\t", "use\t1\theld\ta\x01\tb",
    };
    struct usage_line use = {.index = 7};

    for (size_t i = 0; i < ELEMENTS_OF(lines); i++) {
        _cleanup_(freep) char *line = strdup(lines[i]);
        ck_assert_msg(usage_parse(line, &use) == -EBADMSG, "%s", lines[i]);
    }
    ck_assert_uint_eq(use.index, 7);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("usage");
    TCase *tests = tree_case("parts"), *nodes = tree_case("nodes"), *lines = tree_case("lines");

    tcase_add_checked_fixture(tests, usage_set_up, usage_tear_down);
    tcase_add_loop_test(tests, test_boot_display, 0, 6);
    tcase_add_test(tests, test_firmware_display);
    tcase_add_test(tests, test_frame_buffer);
    tcase_add_loop_test(tests, test_console, 0, 7);
    tcase_add_test(tests, test_console_unknown);
    tcase_add_test(tests, test_virtual_functions);
    tcase_add_test(tests, test_virtual_functions_unknown);
    tcase_add_test(tests, test_mediated_device);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(nodes, usage_set_up, usage_tear_down);
    tcase_add_test(nodes, test_open_node);
    tcase_add_test(nodes, test_node_name);
    tcase_add_test(nodes, test_not_open);
    tcase_add_test(nodes, test_many_processes);
    tcase_add_test(nodes, test_nodes_unknown);
    suite_add_tcase(suite, nodes);
    tcase_add_checked_fixture(lines, usage_set_up, usage_tear_down);
    tcase_add_test(lines, test_devices);
    tcase_add_test(lines, test_never_read);
    tcase_add_test(lines, test_real);
    tcase_add_test(lines, test_parse);
    tcase_add_test(lines, test_parse_broken);
    suite_add_tcase(suite, lines);
    return tree_main(suite);
}
