/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single steps of a switch, on a tree in which a kernel moves drivers; each looks at what has come of
 * it. */
#include "kernel/driver-switch.h"

#include "kernel-fixture.h"

#define NAME "0000:00:05.0"
#define DEVICE "devices/pci0000:00/" NAME
#define DRIVERS "bus/pci/drivers/"

static struct tree tree;

static void set_up(void) {
    tree_begin(&tree);
    tree_file(&tree, DEVICE "/driver_override", "(null)\n");
    tree_file(&tree, DEVICE "/native", "e1000e\n");
    tree_link(&tree, DEVICE "/driver", "../../../" DRIVERS "e1000e");
    tree_file(&tree, DRIVERS "vfio-pci/unbind", "");
    tree_file(&tree, DRIVERS "vfio-pci/bind", "");
    tree_file(&tree, DRIVERS "e1000e/unbind", "");
    tree_file(&tree, DRIVERS "e1000e/bind", "");
    tree_file(&tree, "bus/pci/drivers_probe", "");
    kernel_start(&tree);
}

static void tear_down(void) {
    kernel_plays = false;
    tree_end(&tree);
}

static int take(enum step_kind kind, const char *from, const char *to) {
    struct step step = {.kind = kind, .from = from, .to = to};

    return driver_step(tree.fd, DEVICE, "pci", &step);
}

static void assert_driver(const char *driver) {
    ck_assert_str_eq(kernel_driver(&tree, NAME), driver);
}

/* Now; and as it has been written, which is what an attribute's reader sees. */
static void assert_override(const char *text) {
    char found[NAME_MAX + 2];

    ck_assert_int_eq(driver_override_read(tree.fd, DEVICE, found), 1);
    ck_assert_str_eq(found, text);
}

static void take_away_driver(void) {
    kernel_set_driver(NAME, "");
}

/* ---- driver_override */

START_TEST(test_override) {
    assert_override("");
    ck_assert_int_eq(take(STEP_OVERRIDE, "", "vfio-pci"), 0);
    assert_override("vfio-pci");
    ck_assert_str_eq(kernel_written(&tree), "driver_override " NAME " vfio-pci\n");
    ck_assert_int_eq(take(STEP_OVERRIDE, "", "vfio-pci"), 0); /* it is so already */
    ck_assert_str_eq(kernel_written(&tree), "");
    ck_assert_int_eq(take(STEP_PIN, "vfio-pci", PIN_DRIVER), 0);
    assert_override(PIN_DRIVER);
    ck_assert_int_eq(take(STEP_OVERRIDE, PIN_DRIVER, ""), 0);
    assert_override("");
    assert_driver("e1000e");
}
END_TEST

/* A bus that has none: there is nothing to be cleared, and nothing to be set. */
START_TEST(test_override_missing) {
    tree_unlink(&tree, DEVICE "/driver_override");
    ck_assert_int_eq(take(STEP_OVERRIDE, "vfio-pci", ""), 0);
    ck_assert_int_eq(take(STEP_OVERRIDE, "", "vfio-pci"), -EOPNOTSUPP);
    ck_assert_int_eq(take(STEP_PIN, "", PIN_DRIVER), -EOPNOTSUPP);
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

START_TEST(test_override_fails) {
    kernel_fail(&tree, "driver_override", EINVAL);
    ck_assert_int_eq(take(STEP_OVERRIDE, "", "vfio-pci"), -EINVAL);
    kernel_fail(&tree, "driver_override", 0);
    /* Taken, and not there afterwards. */
    kernel_plays = false;
    tree_unlink(&tree, DEVICE "/driver_override");
    tree_link(&tree, DEVICE "/driver_override", "/dev/null");
    ck_assert_int_eq(take(STEP_OVERRIDE, "", "vfio-pci"), -EIO);
}
END_TEST

/* ---- Unbind */

START_TEST(test_unbind) {
    ck_assert_int_eq(take(STEP_UNBIND, "e1000e", ""), 0);
    assert_driver("");
    ck_assert_str_eq(kernel_written(&tree), "unbind e1000e " NAME "\n");
    ck_assert_int_eq(take(STEP_UNBIND, "e1000e", ""), 0);
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

/* Somebody else has moved it: not ours to take. */
START_TEST(test_unbind_from_another) {
    ck_assert_int_eq(take(STEP_UNBIND, "igb", ""), 0);
    assert_driver("e1000e");
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

START_TEST(test_unbind_fails) {
    kernel_fail(&tree, "unbind", EBUSY);
    ck_assert_int_eq(take(STEP_UNBIND, "e1000e", ""), -EBUSY);
    kernel_plays = false; /* the kernel says that it was done */
    ck_assert_int_eq(take(STEP_UNBIND, "e1000e", ""), -EIO);
    struct step step = {.kind = STEP_UNBIND, .from = "e1000e", .to = ""};
    ck_assert_int_eq(driver_step(tree.fd, "devices/pci0000:00/0000:00:06.0", "pci", &step), -ENOENT);
}
END_TEST

/* ---- Bind */

START_TEST(test_bind) {
    take_away_driver();
    ck_assert_int_eq(take(STEP_OVERRIDE, "", "vfio-pci"), 0);
    ck_assert_int_eq(take(STEP_BIND, "", "vfio-pci"), 0);
    assert_driver("vfio-pci");
    ck_assert_ptr_null(strstr(kernel_written(&tree), "\nbind ")); /* to ask was enough */
    ck_assert_int_eq(take(STEP_BIND, "", "vfio-pci"), 0);
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

/* Bound to another one, it is not taken from it. */
START_TEST(test_bind_is_taken) {
    ck_assert_int_eq(take(STEP_BIND, "", "vfio-pci"), -EBUSY);
    assert_driver("e1000e");
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

/* The probe says success and binds nothing; bind says why. */
START_TEST(test_bind_refused) {
    take_away_driver();
    ck_assert_int_eq(take(STEP_OVERRIDE, "", "vfio-pci"), 0);
    kernel_fail(&tree, "bind-vfio-pci", EPERM);
    ck_assert_int_eq(take(STEP_BIND, "", "vfio-pci"), -EPERM);
    assert_driver("");
    kernel_fail(&tree, "bind-vfio-pci", 0);
    kernel_fail(&tree, "drivers_probe", EINVAL);
    ck_assert_int_eq(take(STEP_BIND, "", "vfio-pci"), 0); /* bind alone is enough, too */
    assert_driver("vfio-pci");
}
END_TEST

/* The kernel's own choice is another driver: not left there. */
START_TEST(test_bind_goes_wrong) {
    take_away_driver();
    ck_assert_int_eq(take(STEP_BIND, "", "vfio-pci"), -ENODEV);
    assert_driver("");
    ck_assert_str_eq(kernel_written(&tree), "drivers_probe pci " NAME "\nunbind e1000e " NAME "\n"
                                            "bind vfio-pci " NAME "\n");
}
END_TEST

/* Nothing at all happens, and nothing is said. */
START_TEST(test_bind_in_silence) {
    take_away_driver();
    kernel_plays = false;
    ck_assert_int_eq(take(STEP_BIND, "", "vfio-pci"), -EIO);
    ck_assert_int_eq(take(STEP_BIND, "", "no-such-driver"), -ENOENT);
    ck_assert_int_eq(take(STEP_BIND, "", "../vfio-pci"), -EINVAL);
}
END_TEST

START_TEST(test_bind_without_device) {
    struct step step = {.kind = STEP_BIND, .from = "", .to = "vfio-pci"};

    ck_assert_int_eq(driver_step(tree.fd, "devices/pci0000:00/0000:00:06.0", "pci", &step), -ENOENT);
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

/* ---- The others */

START_TEST(test_probe) {
    take_away_driver();
    ck_assert_int_eq(take(STEP_PROBE, "", ""), 0);
    assert_driver("e1000e");
    take_away_driver();
    kernel_fail(&tree, "drivers_probe", EINVAL); /* no driver wants it: the kernel's business */
    ck_assert_int_eq(take(STEP_PROBE, "", ""), 0);
    assert_driver("");
}
END_TEST

START_TEST(test_virtual_functions) {
    static const struct {
        enum step_kind kind;
        const char *attribute;
    } cases[] = {
        {STEP_NUMVFS, "sriov_numvfs"}, {STEP_AUTOPROBE, "sriov_drivers_autoprobe"},
    };
    _cleanup_(freep) char *path = string_format(DEVICE "/%s", cases[_i].attribute);
    char text[16];

    ck_assert_int_eq(take(cases[_i].kind, "4", "0"), -ENOENT);
    tree_file(&tree, path, "4\n");
    ck_assert_int_eq(take(cases[_i].kind, "4", "0"), 0);
    ck_assert_int_eq(attribute_read(tree.fd, path, text, sizeof(text)), 1);
    ck_assert_str_eq(text, "0");
    kernel_fail(&tree, cases[_i].attribute, EBUSY);
    ck_assert_int_eq(take(cases[_i].kind, "0", "4"), -EBUSY);
}
END_TEST

/* Bus mastering first; what has no reset says so. */
START_TEST(test_reset) {
    unsigned char config[64] = {0};

    ck_assert_int_eq(take(STEP_RESET, "", ""), -ENOENT);
    config[4] = 6;
    tree_file(&tree, DEVICE "/reset", "");
    kernel_plays = false;
    tree_data(&tree, DEVICE "/config", config, sizeof(config));
    ck_assert_int_eq(take(STEP_RESET, "", ""), 0);
    kernel_plays = true;
    kernel_fail(&tree, "reset", ENOTTY);
    ck_assert_int_eq(take(STEP_RESET, "", ""), -EOPNOTSUPP);
}
END_TEST

/* Not for the kernel: what only stands in a plan. */
START_TEST(test_nothing_to_do) {
    ck_assert_int_eq(take(STEP_STAY, "e1000e", "e1000e"), 0);
    ck_assert_int_eq(take(STEP_LOAD, "", "vfio_pci"), 0);
    ck_assert_str_eq(kernel_written(&tree), "");
}
END_TEST

/* ---- All of them */

static void take_all(const struct step *steps, size_t n) {
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(driver_step(tree.fd, DEVICE, "pci", &steps[i]), 0);
}

/* Away and back, each of it twice, as a daemon does that was killed in between. */
START_TEST(test_there_and_back) {
    struct detachment_member member = {.move = _i ? MOVE_UNBOUND : MOVE_TO_USER,
                                       .driver = (char *)"e1000e",
                                       .override = (char *)"",
                                       .target = (char *)(_i ? "" : "vfio-pci"),
                                       .vfs = -1,
                                       .autoprobe = -1};
    struct step steps[STEPS_MAX];

    for (int times = 0; times < 2; times++) {
        take_all(steps, steps_away(&member, steps));
        assert_driver(_i ? "" : "vfio-pci");
        assert_override(_i ? PIN_DRIVER : "vfio-pci");
    }
    kernel_probe(NAME); /* a pin holds */
    assert_driver(_i ? "" : "vfio-pci");
    for (int times = 0; times < 2; times++) {
        take_all(steps, steps_back(&member, WAY_BACK_PROBED, false, steps));
        assert_driver("e1000e");
        assert_override("");
    }
}
END_TEST

static void add_others(TCase *all) {
    tcase_add_test(all, test_probe);
    tcase_add_loop_test(all, test_virtual_functions, 0, 2);
    tcase_add_test(all, test_reset);
    tcase_add_test(all, test_nothing_to_do);
    tcase_add_loop_test(all, test_there_and_back, 0, 2);
}

int main(void) {
    Suite *suite = suite_create("driver-step");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_override);
    tcase_add_test(all, test_override_missing);
    tcase_add_test(all, test_override_fails);
    tcase_add_test(all, test_unbind);
    tcase_add_test(all, test_unbind_from_another);
    tcase_add_test(all, test_unbind_fails);
    tcase_add_test(all, test_bind);
    tcase_add_test(all, test_bind_is_taken);
    tcase_add_test(all, test_bind_refused);
    tcase_add_test(all, test_bind_goes_wrong);
    tcase_add_test(all, test_bind_in_silence);
    tcase_add_test(all, test_bind_without_device);
    add_others(all);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
