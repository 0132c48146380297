/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A folder of a test's own, below /tmp, that holds what the code under test takes for a part of the
 * system; and the end of main. A test fails where the folder can not be made as asked. */

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree {
    char path[64];
    int fd;
};

static inline void tree_begin(struct tree *tree) {
    snprintf(tree->path, sizeof(tree->path), "/tmp/dmaownd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tree->path));
    tree->fd = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(tree->fd, 0);
}

static inline int tree_remove_one(const char *path, const struct stat *status, int type,
                                  struct FTW *walk) {
    return remove(path);
}

static inline void tree_end(struct tree *tree) {
    close(tree->fd);
    nftw(tree->path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes the folders above the last '/' of path. */
static inline void tree_parents(struct tree *tree, const char *path) {
    char parent[PATH_MAX];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
        mkdirat(tree->fd, parent, 0755);
    }
}

static inline void tree_folder(struct tree *tree, const char *path) {
    tree_parents(tree, path);
    ck_assert_int_eq(mkdirat(tree->fd, path, 0755), 0);
}

static inline void tree_data(struct tree *tree, const char *path, const void *data, size_t size) {
    tree_parents(tree, path);
    int fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static inline void tree_file(struct tree *tree, const char *path, const char *text) {
    tree_data(tree, path, text, strlen(text));
}

static inline void tree_link(struct tree *tree, const char *path, const char *target) {
    tree_parents(tree, path);
    ck_assert_int_eq(symlinkat(target, tree->fd, path), 0);
}

static inline void tree_unlink(struct tree *tree, const char *path) {
    ck_assert_int_eq(unlinkat(tree->fd, path, 0), 0);
}

/* The path of something in the tree; one at a time. */
static inline const char *tree_path(const struct tree *tree, const char *path) {
    static char full[PATH_MAX];

    snprintf(full, sizeof(full), "%s/%s", tree->path, path);
    return full;
}

/* A case whose tests may take their time: the limit is there for what hangs. */
static inline TCase *tree_case(const char *name) {
    TCase *tests = tcase_create(name);

    tcase_set_timeout(tests, 300);
    return tests;
}

/* Runs the suite, each test in a process of its own, and reports in TAP. */
static inline int tree_main(Suite *suite) {
    SRunner *runner = srunner_create(suite);

    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
