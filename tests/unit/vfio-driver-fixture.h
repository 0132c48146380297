/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A tree that stands for sysfs, and module folders that tests/fakekernel/make-modules made. */

#include <sys/mman.h>
#include <unistd.h>

#include "kernel/vfio-driver.h"
#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

/* Modules do not change from test to test: made once. */
static struct tree places;
static struct tree tree;
static const char *configuration[] = {NULL, NULL};
static struct module_places where;
static const char *release;

static inline void run(const char *command) {
    ck_assert_int_eq(system(command), 0);
}

static inline void make_modules(void) {
    const char *source = getenv("top_srcdir") ?: "../..";
    char command[PATH_MAX * 2];

    tree_begin(&places);
    snprintf(command, sizeof(command),
             "'%s'/tests/fakekernel/make-modules %s 9.9 "
             "other_vfio_pci 'vfio_pci:v00001AF4d*sv*sd*bc*sc*i*' "
             "zz_vfio_pci 'vfio_pci:v00001AF4d00001041sv00001AF4sd*bc*sc*i*'",
             source, places.path);
    run(command);
}

static inline void remove_modules(void) {
    tree_end(&places);
}

static inline void set_up(void) {
    static char directory[PATH_MAX], modprobe[PATH_MAX];

    release = "6.12.1";
    tree_begin(&tree);
    tree_folder(&tree, "bus/pci/drivers");
    tree_folder(&tree, "module");
    snprintf(directory, sizeof(directory), "%s", tree_path(&places, "lib/modules/9.9"));
    tree_file(&tree, "modprobe.d/test.conf", "");
    snprintf(modprobe, sizeof(modprobe), "%s", tree_path(&tree, "modprobe.d"));
    configuration[0] = modprobe;
    where = (struct module_places){.directory = directory, .config_paths = configuration};
}

static inline void tear_down(void) {
    tree_end(&tree);
}

static inline void configure(const char *text) {
    tree_file(&tree, "modprobe.d/test.conf", text);
}

/* The answer to questions; the caller's. */
static inline char *ask_all(const struct vfio_question *questions, size_t n) {
    int output = memfd_create("answer", MFD_CLOEXEC);
    char *text = NULL, path[64];

    ck_assert_int_eq(vfio_driver_write_from(output, tree.fd, &where, release, questions, n), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", output);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
    close(output);
    return text;
}

static inline void expect(struct vfio_question question, const char *expected) {
    _cleanup_(freep) char *text = ask_all(&question, 1);

    ck_assert_str_eq(text, expected);
}

/* The vfio lines as expected, then a problem of this reason whose text holds part. */
static inline void expect_problem(struct vfio_question question, const char *expected, const char *reason,
                           const char *part) {
    _cleanup_(freep) char *text = ask_all(&question, 1);
    _cleanup_(freep) char *begin = string_format("%sproblem\t0\t%s\t", expected, reason);
    const char *rest = string_after(text, begin);

    ck_assert_msg(rest && strstr(rest, part), "%s", text);
    ck_assert_ptr_eq(strchr(rest, '\n'), rest + strlen(rest) - 1);
}

static inline struct vfio_question platform(const char *compatible) {
    return (struct vfio_question){.path = "devices/a", .bus = "platform", .compatible = compatible};
}

static inline int run_tests(const char *name, void (*add)(TCase *)) {
    Suite *suite = suite_create(name);
    TCase *all = tree_case("all");

    tcase_add_unchecked_fixture(all, make_modules, remove_modules);
    tcase_add_checked_fixture(all, set_up, tear_down);
    add(all);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
