/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which drivers there are for a device. */
#include "vfio-driver-fixture.h"

#include <errno.h>
#include <sys/wait.h>

#define VIRTIO "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00"
#define OTHER_VIRTIO "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00"
#define INTEL "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"
#define PCI(modalias_) ((struct vfio_question){.path = "devices/a", .bus = "pci", .modalias = modalias_})

/* ---- By the device */

START_TEST(test_variants) {
    expect(PCI(VIRTIO), "vfio\t0\tzz_vfio_pci\tzz_vfio_pci\tloadable\n"
                        "vfio\t0\tdmtest_vfio_pci\tdmtest_vfio_pci\tloadable\n"
                        "vfio\t0\tother_vfio_pci\tother_vfio_pci\tloadable\n"
                        "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
    expect(PCI(OTHER_VIRTIO), "vfio\t0\tother_vfio_pci\tother_vfio_pci\tloadable\n"
                              "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
    expect(PCI(INTEL), "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
    expect(PCI(NULL), "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
    expect(PCI(""), "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
    /* Only what the kernel itself would look for. */
    expect(PCI("reset:calxeda,hb-xgmac"), "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
}
END_TEST

START_TEST(test_buses) {
    struct vfio_question question = PCI(VIRTIO);

    question.bus = "amba";
    expect(question, "vfio\t0\tvfio-amba\tvfio_amba\tloadable\nreset\t0\tnone\n");
    question.bus = "fsl-mc";
    expect(question, "vfio\t0\tvfio-fsl-mc\tvfio_fsl_mc\tloadable\n");
    question.bus = "platform";
    expect(question, "vfio\t0\tvfio-platform\tvfio_platform\tloadable\nreset\t0\tif-taken\n");
    question.bus = "usb";
    expect_problem(question, "", "no-vfio-driver", "bus usb");
    question.bus = "..";
    expect_problem(question, "", "no-vfio-driver", "bus ..");
}
END_TEST

START_TEST(test_index) {
    struct vfio_question questions[] = {PCI(INTEL), PCI(INTEL), PCI(INTEL)};
    questions[1].bus = "usb";
    _cleanup_(freep) char *text = ask_all(questions, 3);

    ck_assert_ptr_nonnull(string_after(text, "vfio\t0\tvfio-pci\tvfio_pci\tloadable\nproblem\t1\t"));
    ck_assert_ptr_nonnull(strstr(text, "\nvfio\t2\tvfio-pci\tvfio_pci\tloadable\n"));
    _cleanup_(freep) char *nothing = ask_all(NULL, 0);
    ck_assert_str_eq(nothing, "");
}
END_TEST

START_TEST(test_output_fails) {
    struct vfio_question question = PCI(INTEL);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    ck_assert_int_eq(vfio_driver_write_from(full, tree.fd, &where, release, &question, 1), -ENOSPC);
    close(full);
}
END_TEST

/* ---- By the rule */

static const struct {
    const char *wanted, *expected;
} wishes[] = {
    {"vfio-pci", "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n"},
    {"vfio_pci", "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n"},
    {"dmtest_vfio_pci", "vfio\t0\tdmtest_vfio_pci\tdmtest_vfio_pci\tloadable\n"},
    {"dmtest-vfio-pci", "vfio\t0\tdmtest-vfio-pci\tdmtest_vfio_pci\tloadable\n"},
    {"other_vfio_pci", "vfio\t0\tother_vfio_pci\tother_vfio_pci\tloadable\n"},
};

START_TEST(test_wanted) {
    struct vfio_question question = PCI(VIRTIO);

    question.wanted = wishes[_i].wanted;
    expect(question, wishes[_i].expected);
}
END_TEST

START_TEST(test_wanted_missing) {
    static const char *const bad[] = {"", ".", "..", "../../x", "a\tb", "a\nb"};
    struct vfio_question question = PCI(VIRTIO);

    question.wanted = "nobody_vfio_pci";
    expect_problem(question, "vfio\t0\tnobody_vfio_pci\tnobody_vfio_pci\tmissing\n", "no-vfio-driver",
                   "module nobody_vfio_pci is not there");
    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        question.wanted = bad[i];
        expect_problem(question, "", "no-vfio-driver", "is no driver's name");
    }
}
END_TEST

/* ---- The driver's name and the module's state */

START_TEST(test_loaded) {
    tree_folder(&tree, "module/vfio_pci");
    expect(PCI(INTEL), "vfio\t0\tvfio-pci\tvfio_pci\tloaded\n");
    /* Built in: no module folder. */
    tree_folder(&tree, "bus/pci/drivers/dmtest_vfio_pci");
    struct vfio_question question = PCI(INTEL);
    question.wanted = "dmtest-vfio-pci";
    expect(question, "vfio\t0\tdmtest_vfio_pci\tdmtest_vfio_pci\tloaded\n");
}
END_TEST

START_TEST(test_names) {
    char name[NAME_MAX + 1];

    tree_folder(&tree, "bus/pci/drivers/dmtest-vfio-pci");
    tree_link(&tree, "bus/pci/drivers/dmtest-vfio-pci/module", "../../../../module/dmtest_vfio_pci");
    ck_assert_int_eq(vfio_driver_find(tree.fd, "pci", "dmtest_vfio_pci", name), 1);
    ck_assert_str_eq(name, "dmtest-vfio-pci");
    /* By the module, whose name has nothing to do with the driver's. */
    tree_folder(&tree, "module/odd_vfio_pci/drivers/platform:wrong");
    ck_assert_int_eq(vfio_driver_find(tree.fd, "pci", "odd_vfio_pci", name), 0);
    ck_assert_str_eq(name, "odd_vfio_pci");
    tree_folder(&tree, "module/odd_vfio_pci/drivers/pci:strange");
    ck_assert_int_eq(vfio_driver_find(tree.fd, "pci", "odd-vfio-pci", name), 1);
    ck_assert_str_eq(name, "strange");
    ck_assert_int_eq(vfio_driver_find(tree.fd, "platform", "vfio_platform", name), 0);
    ck_assert_str_eq(name, "vfio-platform");
    ck_assert_int_eq(vfio_driver_find(tree.fd, "pci/..", "vfio_pci", name), -EINVAL);
    ck_assert_int_eq(vfio_driver_find(tree.fd, "pci", "vfio/pci", name), -EINVAL);
}
END_TEST

/* A driver whose module is called otherwise. */
START_TEST(test_other_module) {
    struct vfio_question question = PCI(INTEL);

    tree_folder(&tree, "bus/pci/drivers/strange");
    tree_link(&tree, "bus/pci/drivers/strange/module", "../../../../module/odd_vfio_pci");
    question.wanted = "strange";
    expect(question, "vfio\t0\tstrange\todd_vfio_pci\tloaded\n");
}
END_TEST

static const struct {
    const char *text;
    const char *state; /* of vfio_pci */
} configurations[] = {
    {"", "loadable"},
    {"blacklist vfio_pci\n", "blacklisted"},
    {"blacklist vfio-pci\n", "blacklisted"},
    {"blacklist vfio_pci_core\n", "loadable"}, /* modprobe -b loads what is needed */
    {"install vfio_pci /bin/false\n", "blacklisted"},
    {"install vfio-pci /usr/bin/true\n", "blacklisted"},
    {"install vfio_pci false; echo no\n", "blacklisted"},
    {"install vfio* /bin/false\n", "blacklisted"},
    {"install vfio_pci_core /bin/false\n", "blacklisted"},
    {"install vfio_pci /sbin/modprobe --ignore-install vfio_pci && echo true\n", "loadable"},
    {"install vfio_pci /sbin/falsework\n", "loadable"},
    {"options vfio_pci ids=1af4:1041\n", "loadable"},
    {"alias vfio_pci off\n", "missing"},
};

START_TEST(test_configuration) {
    const char *state = configurations[_i].state;
    _cleanup_(freep) char *line = string_format("vfio\t0\tvfio-pci\tvfio_pci\t%s\n", state);

    configure(configurations[_i].text);
    if (string_equal(state, "loadable"))
        expect(PCI(INTEL), line);
    else
        expect_problem(PCI(INTEL), line, "no-vfio-driver",
                       string_equal(state, "missing") ? "module vfio_pci is not there"
                                                      : "module vfio_pci is blacklisted");
    /* What is loaded already, no configuration keeps out. */
    tree_folder(&tree, "module/vfio_pci");
    expect(PCI(INTEL), "vfio\t0\tvfio-pci\tvfio_pci\tloaded\n");
}
END_TEST

START_TEST(test_forbidden_need_is_loaded) {
    configure("install vfio_pci_core /bin/false\n");
    tree_folder(&tree, "module/vfio_pci_core");
    expect(PCI(INTEL), "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
}
END_TEST

/* No problem as long as one can be used; else all are named. */
START_TEST(test_some_blacklisted) {
    configure("blacklist dmtest_vfio_pci\nblacklist zz_vfio_pci\nblacklist other_vfio_pci\n");
    expect(PCI(VIRTIO), "vfio\t0\tzz_vfio_pci\tzz_vfio_pci\tblacklisted\n"
                        "vfio\t0\tdmtest_vfio_pci\tdmtest_vfio_pci\tblacklisted\n"
                        "vfio\t0\tother_vfio_pci\tother_vfio_pci\tblacklisted\n"
                        "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
    configure("install *vfio_pci /bin/false\n");
    expect_problem(PCI(VIRTIO), "vfio\t0\tzz_vfio_pci\tzz_vfio_pci\tblacklisted\n"
                                "vfio\t0\tdmtest_vfio_pci\tdmtest_vfio_pci\tblacklisted\n"
                                "vfio\t0\tother_vfio_pci\tother_vfio_pci\tblacklisted\n"
                                "vfio\t0\tvfio-pci\tvfio_pci\tblacklisted\n",
                   "no-vfio-driver", "; module vfio_pci is blacklisted");
}
END_TEST

/* The configuration may add an alias; it says nothing of how exact it is. */
START_TEST(test_alias_of_configuration) {
    configure("alias vfio_pci:v00008086d*sv*sd*bc*sc*i* other_vfio_pci\n");
    expect(PCI(INTEL), "vfio\t0\tother_vfio_pci\tother_vfio_pci\tloadable\n"
                       "vfio\t0\tvfio-pci\tvfio_pci\tloadable\n");
}
END_TEST

/* A container: what is loaded can be used, and no more is known. */
START_TEST(test_no_folder) {
    where.directory = "/nonexistent";
    expect_problem(PCI(VIRTIO), "vfio\t0\tvfio-pci\tvfio_pci\tmissing\n", "no-vfio-driver",
                   "module vfio_pci is not there");
    tree_folder(&tree, "module/vfio_pci");
    expect(PCI(VIRTIO), "vfio\t0\tvfio-pci\tvfio_pci\tloaded\n");
}
END_TEST

/* The index knows it, but its file was removed (an upgrade that was not finished). */
START_TEST(test_file_is_gone) {
    char command[PATH_MAX * 3];

    snprintf(command, sizeof(command), "cp -r %s/lib/modules/9.9 %s/9.9 && rm %s/9.9/kernel/vfio_pci.ko",
             places.path, tree.path, tree.path);
    run(command);
    where.directory = tree_path(&tree, "9.9");
    expect_problem(PCI(INTEL), "vfio\t0\tvfio-pci\tvfio_pci\tmissing\n", "no-vfio-driver", "vfio_pci");
}
END_TEST

START_TEST(test_built_in) {
    char command[PATH_MAX * 4];

    snprintf(command, sizeof(command),
             "mkdir -p %s/lib/modules && cp -r %s/lib/modules/9.9 %s/lib/modules && cd %s/lib/modules/9.9 && "
             "rm kernel/vfio_pci.ko && echo kernel/drivers/vfio/pci/vfio-pci.ko >modules.builtin && "
             "depmod -b %s 9.9",
             tree.path, places.path, tree.path, tree.path, tree.path);
    run(command);
    where.directory = tree_path(&tree, "lib/modules/9.9");
    expect(PCI(INTEL), "vfio\t0\tvfio-pci\tvfio_pci\tloaded\n");
}
END_TEST

/* ---- Reading */

/* All that is written can be read. */
START_TEST(test_round_trip) {
    const struct vfio_question questions[] = {PCI(VIRTIO), platform("a\tb"), {.path = "a", .bus = "u\tb"}};
    _cleanup_(freep) char *text = ask_all(questions, ELEMENTS_OF(questions));
    char *rest = text, *line;
    unsigned n = 0;

    while ((line = strsep(&rest, "\n")) && rest) {
        struct vfio_line parsed;
        ck_assert_int_eq(vfio_driver_parse(line, &parsed), 1);
        n++;
    }
    ck_assert_uint_eq(n, 8);
}
END_TEST

static void add_tests(TCase *all) {
    tcase_add_test(all, test_variants);
    tcase_add_test(all, test_buses);
    tcase_add_test(all, test_index);
    tcase_add_test(all, test_output_fails);
    tcase_add_loop_test(all, test_wanted, 0, ELEMENTS_OF(wishes));
    tcase_add_test(all, test_wanted_missing);
    tcase_add_test(all, test_loaded);
    tcase_add_test(all, test_names);
    tcase_add_test(all, test_other_module);
    tcase_add_loop_test(all, test_configuration, 0, ELEMENTS_OF(configurations));
    tcase_add_test(all, test_forbidden_need_is_loaded);
    tcase_add_test(all, test_some_blacklisted);
    tcase_add_test(all, test_alias_of_configuration);
    tcase_add_test(all, test_no_folder);
    tcase_add_test(all, test_file_is_gone);
    tcase_add_test(all, test_built_in);
    tcase_add_test(all, test_round_trip);
}

int main(void) {
    return run_tests("vfio-driver", add_tests);
}
