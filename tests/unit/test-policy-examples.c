/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The policies that are shipped do what their readers will expect of them. */

#include <stdio.h>

#include "policy-test.h"

static struct policy *policy;

#define FILES_MAX 8

/* Loads files below policy/ together, in this order, as a check would. */
static void load_all(const char *const *files) {
    const char *top = getenv("top_srcdir");
    struct policy_report report = { 0 };
    char *paths[FILES_MAX];
    size_t n = 0;

    for (; files[n]; n++) {
        ck_assert_uint_lt(n, FILES_MAX);
        paths[n] = string_format("%s/policy/%s", top ? top : ".", files[n]);
        ck_assert_ptr_nonnull(paths[n]);
    }
    int r = policy_load_files((const char *const *)paths, n, &test_strict, &policy, &report);
    while (n > 0)
        free(paths[--n]);
    test_print_report(&report);
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(report.n_messages, 0);
}

static void load(const char *file) {
    load_all((const char *const[]){ file, NULL });
}

static void teardown(void) {
    policy = policy_free(policy);
}

/* The name of the rule that decides. */
static const char *decide(const struct policy_device *device,
                          const struct policy_subject *subject) {
    const struct policy_rule *rule = policy_decide(policy, device, subject);

    return rule ? rule->name : "none";
}

static struct policy_device pci(const char *name, const char *path, uint32_t vendor,
                                uint32_t product, uint32_t class) {
    return (struct policy_device){
        .bus = "pci", .name = name, .path = path, .has_ids = true, .vendor = vendor,
        .product = product, .class = class, .numa_node = -1,
    };
}

static const struct policy_subject root = { .uid = 0, .gids = (gid_t[]){ 0 }, .n_gids = 1 };
static const struct policy_subject alice = { .uid = 1000, .gids = (gid_t[]){ 1000 }, .n_gids = 1 };

START_TEST(test_default) {
    const struct policy_device nic = pci("0000:00:05.0", "devices/a", 0x8086, 0x10d3, 0x020000);

    load("default.json");
    ck_assert_str_eq(decide(&nic, &root), "none");
    ck_assert_str_eq(decide(&nic, &alice), "none");
}
END_TEST

START_TEST(test_dpdk_nic) {
    const struct policy_device nic = pci("0000:00:05.0", "devices/a", 0x8086, 0x10d3, 0x020000);
    const struct policy_device audio = pci("0000:00:06.0", "devices/c", 0x8086, 0x10d3, 0x040300);
    struct policy_subject dpdk = { .uid = 900, .unit = "dpdk-l3fwd.service" };

    load("examples/dpdk-nic.json");
    ck_assert_str_eq(decide(&nic, &dpdk), "dpdk-nics");
    ck_assert_str_eq(decide(&audio, &dpdk), "none");
    ck_assert_str_eq(decide(&nic, &alice), "none");
    dpdk.unit = "sshd.service";
    ck_assert_str_eq(decide(&nic, &dpdk), "none");
    const struct policy_rule *rule = policy_rule_find(policy, "dpdk-nics");
    ck_assert(rule->detach && rule->max_ttl == 86400 && rule->max_leases == 4);
    ck_assert_uint_eq(rule->lifetimes & POLICY_LIFETIME_PERSISTENT, 0);
    ck_assert_uint_eq(rule->require, POLICY_REQUIRE_ALL);
}
END_TEST

START_TEST(test_containers) {
    const struct policy_device nic = pci("0000:00:05.0", "devices/a", 0x8086, 0x10d3, 0x020000);
    const struct policy_device audio = pci("0000:00:06.0", "devices/c", 0x8086, 0x10d3, 0x040300);
    const struct policy_subject hook = { .uid = 0, .unit = "session-1.scope" };

    load("examples/containers.json");
    ck_assert_str_eq(decide(&nic, &root), "containers");
    ck_assert_str_eq(decide(&nic, &hook), "containers");
    ck_assert_str_eq(decide(&audio, &root), "none");
    ck_assert_str_eq(decide(&nic, &alice), "none");
    const struct policy_rule *rule = policy_rule_find(policy, "containers");
    ck_assert(rule->modes & POLICY_MODE_PATH && rule->modes & POLICY_MODE_FD);
    ck_assert_uint_eq(rule->lifetimes, POLICY_LIFETIME_PROCESS | POLICY_LIFETIME_FD);
}
END_TEST

START_TEST(test_gpu_vm_runner) {
    const struct policy_device gpu = pci("0000:01:00.0", "devices/a", 0x10de, 0x2204, 0x030000);
    const struct policy_device sound = pci("0000:01:00.1", "devices/b", 0x10de, 0x1aef, 0x040300);
    const struct policy_device usb = pci("0000:01:00.2", "devices/c", 0x10de, 0x1ad6, 0x0c0330);
    const struct policy_device display = pci("0000:00:02.0", "devices/pci0000:00/0000:00:02.0",
                                             0x10de, 0x2204, 0x030000);
    const struct policy_device nic = pci("0000:00:05.0", "devices/a", 0x8086, 0x10d3, 0x020000);
    const struct policy_subject runner = { .uid = 1001, .gids = (gid_t[]){ 902 }, .n_gids = 1 };
    const struct policy_subject qemu = { .uid = 64055 };

    load("examples/gpu-vm-runner.json");
    ck_assert_str_eq(decide(&gpu, &runner), "guest-gpus");
    ck_assert_str_eq(decide(&sound, &runner), "guest-gpus");
    ck_assert_str_eq(decide(&usb, &runner), "guest-gpu-usb");
    ck_assert_str_eq(decide(&display, &runner), "host-display");
    ck_assert_str_eq(decide(&nic, &runner), "none");
    ck_assert_str_eq(decide(&gpu, &alice), "none");
    const struct policy_rule *rule = policy_decide(policy, &gpu, &runner);
    ck_assert(policy_rule_delegates(rule, 64055) && !policy_rule_delegates(rule, 1000));
    ck_assert_ptr_null(policy_denies_holder(policy, &gpu, &qemu, rule));
    ck_assert_ptr_eq(policy_reserves(policy, &gpu), rule);
    ck_assert_ptr_null(policy_reserves(policy, &display));
    ck_assert_uint_eq(rule->modes, POLICY_MODE_PATH);
}
END_TEST

START_TEST(test_soc_ethernet) {
    static const char *const compatible[] = { "calxeda,hb-xgmac", NULL };
    static const char *const disk[] = { "calxeda,hb-ahci", NULL };
    struct policy_device device = {
        .bus = "platform", .name = "fff50000.ethernet", .path = "devices/platform/a",
        .compatible = compatible, .numa_node = -1,
    };
    const struct policy_subject dpdk = { .uid = 900 };
    const struct policy_subject member = { .uid = 1000, .gids = (gid_t[]){ 901 }, .n_gids = 1 };

    load("examples/soc-ethernet.json");
    ck_assert_str_eq(decide(&device, &dpdk), "soc-ethernet");
    ck_assert_str_eq(decide(&device, &member), "soc-ethernet");
    ck_assert_str_eq(decide(&device, &alice), "none");
    ck_assert_str_eq(decide(&device, &root), "none");
    device.compatible = disk;
    ck_assert_str_eq(decide(&device, &dpdk), "none");
    ck_assert_str_eq(policy_rule_at(policy, 0)->vfio_driver, "vfio-platform");
    ck_assert_uint_eq(policy_limits(policy)->leases_per_uid, 2);
}
END_TEST

/* Every member of the group has its rule; what is not of the complex has none, and keeps the group. */
START_TEST(test_display_complex) {
    static const char *const dc[] = { "nvidia,tegra124-dc", NULL };
    static const char *const vic[] = { "nvidia,tegra124-vic", NULL };
    static const char *const gpu[] = { "nvidia,gk20a", NULL };
    struct policy_device device = {
        .bus = "platform", .name = "54200000.dc", .path = "devices/platform/50000000.host1x/54200000.dc",
        .driver = "tegra-dc", .compatible = dc, .numa_node = -1,
    };
    const struct policy_subject runner = { .uid = 1001, .gids = (gid_t[]){ 902 }, .n_gids = 1 };

    load("examples/display-complex.json");
    ck_assert_str_eq(decide(&device, &runner), "display-complex");
    ck_assert_str_eq(decide(&device, &alice), "none");
    device.compatible = vic;
    ck_assert_str_eq(decide(&device, &runner), "display-complex");
    device.compatible = gpu;
    ck_assert_str_eq(decide(&device, &runner), "none");
    const struct policy_rule *rule = policy_rule_at(policy, 0);
    ck_assert(rule->detach && !rule->reattach_unreset);
    ck_assert_uint_eq(rule->require, POLICY_REQUIRE_ISOLATED);
    ck_assert_uint_eq(rule->lifetimes & POLICY_LIFETIME_PERSISTENT, 0);
}
END_TEST

START_TEST(test_libvirt) {
    const struct policy_device nic = pci("0000:00:05.0", "devices/a", 0x8086, 0x10d3, 0x020000);
    const struct policy_device disk = pci("0000:01:00.0", "devices/c", 0x1b36, 0x0010, 0x010802);
    const struct policy_device gpu = pci("0000:02:00.0", "devices/d", 0x10de, 0x2204, 0x030000);
    const struct policy_subject qemu = { .uid = 64055 };
    struct policy_subject libvirt = { .uid = 0, .unit = "libvirtd.service" };

    load("examples/libvirt.json");
    ck_assert_str_eq(decide(&nic, &libvirt), "guest-nics");
    ck_assert_str_eq(decide(&disk, &libvirt), "guest-disks");
    ck_assert_str_eq(decide(&gpu, &libvirt), "none");
    libvirt.unit = "virtqemud.service";
    ck_assert_str_eq(decide(&nic, &libvirt), "guest-nics");
    ck_assert_str_eq(decide(&nic, &root), "none");
    ck_assert_str_eq(decide(&nic, &alice), "none");
    const struct policy_rule *rule = policy_decide(policy, &nic, &libvirt);
    ck_assert(rule->detach && policy_rule_delegates(rule, 64055) && !policy_rule_delegates(rule, 0));
    ck_assert_ptr_null(policy_denies_holder(policy, &nic, &qemu, rule));
    ck_assert_str_eq(rule->vfio_driver, "vfio-pci");
    ck_assert_uint_eq(rule->lifetimes, POLICY_LIFETIME_PROCESS);
    ck_assert_uint_eq(rule->modes, POLICY_MODE_PATH);
}
END_TEST

/* Which rule keeps the device from the host. */
static const char *reserves(const struct policy_device *device) {
    const struct policy_rule *rule = policy_reserves(policy, device);

    return rule ? rule->name : "none";
}

START_TEST(test_sriov_vfs) {
    const struct policy_device pf = pci("0000:3b:00.0", "devices/a", 0x8086, 0x1572, 0x020000);
    const struct policy_device vf = pci("0000:3b:02.0", "devices/b", 0x8086, 0x154c, 0x020000);
    const struct policy_subject runner = { .uid = 1001, .gids = (gid_t[]){ 902 }, .n_gids = 1 };

    load("examples/sriov-vfs.json");
    ck_assert_str_eq(decide(&vf, &runner), "virtual-functions");
    ck_assert_str_eq(decide(&vf, &alice), "none");
    ck_assert_str_eq(decide(&pf, &runner), "physical-functions");
    ck_assert_str_eq(decide(&pf, &root), "physical-functions");
    ck_assert_str_eq(reserves(&vf), "virtual-functions");
    ck_assert_str_eq(reserves(&pf), "none");
    const struct policy_rule *rule = policy_rule_find(policy, "virtual-functions");
    ck_assert(rule->detach && !rule->reattach_unreset && policy_rule_delegates(rule, 64055));
    ck_assert_uint_eq(rule->require, POLICY_REQUIRE_ALL);
}
END_TEST

START_TEST(test_spare_nic) {
    const struct policy_device port = pci("0000:00:05.1", "devices/a", 0x8086, 0x10d3, 0x020000);
    const struct policy_device other = pci("0000:00:15.0", "devices/b", 0x8086, 0x10d3, 0x020000);

    load("examples/spare-nic.json");
    ck_assert_str_eq(decide(&port, &root), "spare-nic");
    ck_assert_str_eq(decide(&port, &alice), "none");
    ck_assert_str_eq(decide(&other, &root), "none");
    ck_assert_str_eq(reserves(&port), "none");
    const struct policy_rule *rule = policy_rule_find(policy, "spare-nic");
    ck_assert(rule->detach && rule->reattach_unreset);
}
END_TEST

/* Those that the README and the manuals tell to copy, in the order of the names that they get. */
START_TEST(test_together) {
    const struct policy_device management = pci("0000:00:03.0", "devices/a", 0x8086, 0x10d3,
                                                0x020000);
    const struct policy_device nic = pci("0000:00:06.0", "devices/b", 0x8086, 0x10d3, 0x020000);
    const struct policy_device spare = pci("0000:00:05.1", "devices/c", 0x8086, 0x10d3, 0x020000);
    const struct policy_device disk = pci("0000:01:00.0", "devices/d", 0x1b36, 0x0010, 0x010802);
    const struct policy_subject dpdk = { .uid = 900, .unit = "dpdk-l3fwd.service" };
    const struct policy_subject libvirt = { .uid = 0, .unit = "libvirtd.service" };
    const struct policy_subject hook = { .uid = 0, .unit = "session-1.scope" };

    load_all((const char *const[]){
        "examples/management-nic.json", "examples/dpdk-nic.json", "examples/libvirt.json",
        "examples/spare-nic.json", "examples/containers.json", NULL });
    ck_assert_str_eq(decide(&nic, &libvirt), "guest-nics");
    ck_assert_str_eq(decide(&spare, &libvirt), "guest-nics");
    ck_assert_str_eq(decide(&disk, &libvirt), "guest-disks");
    const struct policy_rule *rule = policy_decide(policy, &nic, &libvirt);
    ck_assert(rule->detach && policy_rule_delegates(rule, 64055));
    ck_assert_str_eq(decide(&nic, &hook), "containers");
    ck_assert_str_eq(decide(&nic, &root), "containers");
    ck_assert_str_eq(decide(&spare, &root), "spare-nic");
    ck_assert_str_eq(decide(&disk, &root), "none");
    ck_assert_str_eq(decide(&nic, &dpdk), "dpdk-nics");
    ck_assert_str_eq(decide(&spare, &dpdk), "dpdk-nics");
    ck_assert_str_eq(decide(&nic, &alice), "none");
    ck_assert_str_eq(decide(&management, &dpdk), "management-nic");
    ck_assert_str_eq(decide(&management, &libvirt), "management-nic");
    ck_assert_str_eq(decide(&management, &root), "management-nic");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("policy examples");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, NULL, teardown);
    tcase_add_test(all, test_default);
    tcase_add_test(all, test_dpdk_nic);
    tcase_add_test(all, test_containers);
    tcase_add_test(all, test_gpu_vm_runner);
    tcase_add_test(all, test_libvirt);
    tcase_add_test(all, test_soc_ethernet);
    tcase_add_test(all, test_display_complex);
    tcase_add_test(all, test_sriov_vfs);
    tcase_add_test(all, test_spare_nic);
    tcase_add_test(all, test_together);
    suite_add_tcase(suite, all);
    return test_main(suite);
}
