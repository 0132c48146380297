/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines of a worker's answer, as the manager reads them. */
#include "kernel/vfio-driver.h"

#include <errno.h>

#include "util/string.h"

#include "tree.h"

START_TEST(test_parse) {
    struct vfio_line line = {};
    char text[] = "vfio\t3\tvfio-pci\tvfio_pci\tblacklisted\n";
    char reset[] = "reset\t4\thandler\n";
    char problem[] = "problem\t12\tno-reset\tlong text; more";

    ck_assert_int_eq(vfio_driver_parse(text, &line), 1);
    ck_assert_uint_eq(line.index, 3);
    ck_assert_str_eq(line.driver, "vfio-pci");
    ck_assert_str_eq(line.module, "vfio_pci");
    ck_assert_int_eq(line.state, MODULE_BLACKLISTED);
    ck_assert_int_eq(line.reason, REASON_NONE);
    ck_assert_ptr_null(line.text);
    ck_assert_int_eq(line.reset, VFIO_RESET_UNKNOWN);
    ck_assert_int_eq(vfio_driver_parse(reset, &line), 1);
    ck_assert_uint_eq(line.index, 4);
    ck_assert_ptr_null(line.driver);
    ck_assert_int_eq(line.reset, VFIO_RESET_HANDLER);
    ck_assert_int_eq(line.reason, REASON_NONE);
    ck_assert_int_eq(vfio_driver_parse(problem, &line), 1);
    ck_assert_int_eq(line.reset, VFIO_RESET_UNKNOWN);
    ck_assert_uint_eq(line.index, 12);
    ck_assert_ptr_null(line.driver);
    ck_assert_int_eq(line.reason, REASON_NO_RESET);
    ck_assert_str_eq(line.text, "long text; more");
}
END_TEST

START_TEST(test_parse_other) {
    static const char *const others[] = {"use\t0\tmounted\ta\tb\n", "", "vfio", "vfiox\t0", "problems\t0",
                                         "resets\t0\tnone",
                                         "\n"};
    struct vfio_line line = {.index = 77};

    for (size_t i = 0; i < ELEMENTS_OF(others); i++) {
        _cleanup_(freep) char *copy = strdup(others[i]);
        ck_assert_int_eq(vfio_driver_parse(copy, &line), 0);
        ck_assert_str_eq(copy, others[i]);
    }
    ck_assert_uint_eq(line.index, 77);
}
END_TEST

static const char *const malformed[] = {
    "vfio\t",
    "vfio\t0\tvfio-pci\tvfio_pci",
    "vfio\t0\tvfio-pci\tvfio_pci\t",
    "vfio\t0\tvfio-pci\tvfio_pci\tunknown",
    "vfio\t0\tvfio-pci\tvfio_pci\tloaded\tmore",
    "vfio\t-1\tvfio-pci\tvfio_pci\tloaded",
    "vfio\tx\tvfio-pci\tvfio_pci\tloaded",
    "vfio\t99999999999\tvfio-pci\tvfio_pci\tloaded",
    "vfio\t0\t\tvfio_pci\tloaded",
    "vfio\t0\t../x\tvfio_pci\tloaded",
    "vfio\t0\tvfio-pci\t..\tloaded",
    "reset\t0",
    "reset\t0\t",
    "reset\t0\tmaybe",
    "reset\tx\tnone",
    "reset\t0\tnone\tmore",
    "problem\t0\tno-reset",
    "problem\t0\tno-reset\t",
    "problem\t0\tno-reason\ttext",
    "problem\t0\tno-reset\ttext\tmore",
    "problem\t\tno-reset\ttext",
};

START_TEST(test_parse_malformed) {
    struct vfio_line line = {.index = 77};
    _cleanup_(freep) char *copy = strdup(malformed[_i]);

    ck_assert_int_eq(vfio_driver_parse(copy, &line), -EBADMSG);
    ck_assert_uint_eq(line.index, 77);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("vfio-line");
    TCase *all = tree_case("all");

    tcase_add_test(all, test_parse);
    tcase_add_test(all, test_parse_other);
    tcase_add_loop_test(all, test_parse_malformed, 0, ELEMENTS_OF(malformed));
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
