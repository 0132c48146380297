/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mounts.h"
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char PASSWD[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "messagebus:x:101:101::/nonexistent:/usr/sbin/nologin\n"
                             "alice:x:1001:1001::/nonexistent:/bin/sh\n"
                             "bob:x:1002:1002::/nonexistent:/bin/sh\n"
                             "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";
static const char GROUP[] = "root:x:0:\nmessagebus:x:101:\nalice:x:1001:\nbob:x:1002:\n"
                            "dmaown:x:2000:alice\nnogroup:x:65534:\n";

static const char BUS[] =
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
    " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
    "<busconfig>\n"
    "  <type>system</type>\n"
    "  <listen>unix:path=/run/dbus/system_bus_socket</listen>\n"
    "  <auth>EXTERNAL</auth>\n"
    "  <policy context=\"default\">\n"
    "    <allow user=\"*\"/>\n"
    "    <deny own=\"*\"/>\n"
    "    <deny send_type=\"method_call\"/>\n"
    "    <allow send_type=\"signal\"/>\n"
    "    <allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
    "    <allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
    "    <allow receive_type=\"method_call\"/>\n"
    "    <allow receive_type=\"method_return\"/>\n"
    "    <allow receive_type=\"error\"/>\n"
    "    <allow receive_type=\"signal\"/>\n"
    "    <allow send_destination=\"org.freedesktop.DBus\"/>\n"
    "  </policy>\n"
    "  <policy user=\"root\">\n"
    "    <allow own=\"org.freedesktop.PolicyKit1\"/>\n"
    "    <allow own=\"org.freedesktop.systemd1\"/>\n"
    "    <allow send_destination=\"org.freedesktop.systemd1\"/>\n"
    "    <allow own_prefix=\"org.test\"/>\n"
    "    <allow send_destination=\"org.test.Noop\"/>\n"
    "    <allow send_destination=\"org.freedesktop.PolicyKit1\"/>\n"
    "  </policy>\n"
    "  <include ignore_missing=\"yes\">%s</include>\n"
    "</busconfig>\n";

/* What dmaownd looks for: the kernel of the fake enforces ownership, whatever the host's does. */
static const char KALLSYMS[] = "0000000000000000 T iommu_group_alloc\n"
                               "0000000000000000 T iommu_group_claim_dma_owner\n"
                               "0000000000000000 T vfio_container_attach_group\t[vfio]\n";
static const char INTERRUPTS[] = "            CPU0       CPU1\n"
                                 "   1:          0          9  IR-IO-APIC   1-edge      i8042\n"
                                 "  24:          0          7  IR-PCI-MSI 65536-edge    xhci_hcd\n";

static int failed(const char *what) {
    int r = -errno;

    fprintf(stderr, "fakekernel: %s: %s\n", what, strerror(errno));
    return r;
}

static int write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");

    if (!file)
        return failed(path);
    fputs(text, file);
    return fclose(file) == 0 ? 0 : failed(path);
}

static int make_nodes(const char *dev) {
    static const struct {
        const char *name;
        unsigned major, minor, mode;
    } nodes[] = {{"null", 1, 3, 0666},   {"zero", 1, 5, 0666},    {"full", 1, 7, 0666},
                 {"random", 1, 8, 0666}, {"urandom", 1, 9, 0666}, {"tty", 5, 0, 0666},
                 {"kmsg", 1, 3, 0600},   {"vfio/vfio", 1, 3, 0666}};
    char path[256];

    snprintf(path, sizeof(path), "%s/vfio", dev);
    mkdir(path, 0755);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
        snprintf(path, sizeof(path), "%s/%s", dev, nodes[i].name);
        if (mknod(path, S_IFCHR, makedev(nodes[i].major, nodes[i].minor)) < 0 ||
            chmod(path, nodes[i].mode) < 0)
            return failed(path);
    }
    return 0;
}

static int make_dev(void) {
    static const char *const links[][2] = {{"/proc/self/fd", "/run/dev/fd"},
                                           {"/proc/self/fd/0", "/run/dev/stdin"},
                                           {"/proc/self/fd/1", "/run/dev/stdout"},
                                           {"/proc/self/fd/2", "/run/dev/stderr"},
                                           {"pts/ptmx", "/run/dev/ptmx"}};
    int r;

    mkdir("/run/dev", 0755);
    if (mount("tmpfs", "/run/dev", "tmpfs", MS_NOSUID, "mode=755") < 0)
        return failed("tmpfs on /dev");
    r = make_nodes("/run/dev");
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
        if (symlink(links[i][0], links[i][1]) < 0)
            return failed(links[i][1]);
    mkdir("/run/dev/shm", 01777);
    chmod("/run/dev/shm", 01777);
    mkdir("/run/dev/pts", 0755);
    mount("/dev/pts", "/run/dev/pts", NULL, MS_BIND, NULL);
    if (mount("/run/dev", "/dev", NULL, MS_MOVE, NULL) < 0)
        return failed("/dev");
    return rmdir("/run/dev") < 0 ? failed("/run/dev") : 0;
}

static int make_run(void) {
    static const char *const folders[] = {"/run/fakekernel",   "/run/udev",    "/run/udev/data",
                                          "/run/dbus",         "/run/systemd", "/run/systemd/journal",
                                          "/run/lock"};
    if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID, "mode=755") < 0)
        return failed("tmpfs on /run");
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        if (mkdir(folders[i], 0755) < 0)
            return failed(folders[i]);
    /* udev's gate for its monitor, and its mark on a node that it has finished with. */
    write_file("/run/udev/control", "");
    for (int minor = 3; minor < 10; minor++) {
        char path[32];

        snprintf(path, sizeof(path), "/run/udev/data/c1:%d", minor);
        write_file(path, "I:1\nE:ID_FAKE=1\n");
    }
    write_file("/run/fakekernel/passwd", PASSWD);
    write_file("/run/fakekernel/kallsyms", KALLSYMS);
    write_file("/run/fakekernel/interrupts", INTERRUPTS);
    return write_file("/run/fakekernel/group", GROUP);
}

static int make_sys(const char *tree) {
    int r;

    if (tree)
        return mount(tree, "/sys", NULL, MS_BIND, NULL) < 0 ? failed(tree) : 0;
    r = fs_mount("/sys");
    if (r < 0)
        fprintf(stderr, "fakekernel: FUSE on /sys failed\n");
    return r;
}

/* An empty folder for modules of ours; where the host has none, /usr/lib becomes an overlay that has, and
 * where there is no overlay there are no modules. */
static int make_modules(void) {
    const char *options = "lowerdir=/usr/lib,upperdir=/run/fakekernel/lib/upper,"
                          "workdir=/run/fakekernel/lib/work";
    struct utsname name;
    char path[256];

    if (access("/lib/modules", F_OK) < 0) {
        mkdir("/run/fakekernel/lib", 0755);
        mkdir("/run/fakekernel/lib/upper", 0755);
        mkdir("/run/fakekernel/lib/work", 0755);
        mkdir("/run/fakekernel/lib/upper/modules", 0755);
        if (mount("overlay", "/usr/lib", "overlay", 0, options) < 0)
            return 0;
    }
    if (mount("tmpfs", "/lib/modules", "tmpfs", MS_NOSUID, "mode=755") < 0)
        return failed("tmpfs on /lib/modules");
    uname(&name);
    snprintf(path, sizeof(path), "/lib/modules/%s", name.release);
    return mkdir(path, 0755) < 0 ? failed(path) : 0;
}

int mounts_prepare(const char *tree) {
    int r;

    if (unshare(CLONE_NEWNS) < 0)
        return failed("unshare");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failed("private mounts");
    r = make_sys(tree);
    if (r < 0)
        return r;
    r = make_run();
    if (r < 0)
        return r;
    r = make_modules();
    if (r < 0)
        return r;
    r = make_dev();
    if (r < 0)
        return r;
    if (mount("/run/fakekernel/passwd", "/etc/passwd", NULL, MS_BIND, NULL) < 0 ||
        mount("/run/fakekernel/group", "/etc/group", NULL, MS_BIND, NULL) < 0)
        return failed("/etc/passwd");
    return 0;
}

int mounts_proc(void) {
    if (mount("proc", "/proc", "proc", 0, NULL) < 0)
        return failed("/proc");
    if (mount("/run/fakekernel/kallsyms", "/proc/kallsyms", NULL, MS_BIND, NULL) < 0)
        return failed("/proc/kallsyms");
    if (mount("/run/fakekernel/interrupts", "/proc/interrupts", NULL, MS_BIND, NULL) < 0)
        return failed("/proc/interrupts");
    return 0;
}

int mounts_bus_config(const char *path, const char *policy) {
    char text[8192];

    snprintf(text, sizeof(text), BUS, policy);
    return write_file(path, text);
}
