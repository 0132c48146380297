/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each allocation of a reading fails once: it ends with -ENOMEM, and nothing is left behind. The linker
 * puts the functions of here between the libraries and the C library's. */
#include <stdarg.h>
#include <stdio.h>

#include "devicetree-fixture.h"
#include "tree.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *pointer, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
int __real_vasprintf(char **ret, const char *format, va_list arguments);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *pointer, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_vasprintf(char **ret, const char *format, va_list arguments) _printf_(2, 0);

static long countdown = -1; /* the allocation that fails; none if negative */

static bool fails(void) {
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *pointer, size_t n, size_t size) {
    return fails() ? NULL : __real_reallocarray(pointer, n, size);
}

char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size) {
    return fails() ? NULL : __real_strndup(text, size);
}

int __wrap_vasprintf(char **ret, const char *format, va_list arguments) {
    return fails() ? -1 : __real_vasprintf(ret, format, arguments);
}

typedef int reader(void);

/* Lets the first allocation fail, then the second, … until there are no more. */
static void check_reader(reader *read, int expected, long at_least) {
    for (long i = 0;; i++) {
        countdown = i;
        int r = read();
        bool is_through = countdown >= 0;
        countdown = -1;
        ck_assert_int_eq(r, is_through ? expected : -ENOMEM);
        ck_assert_int_eq(made.tree != NULL, r == 0);
        ck_assert(r != -ENOMEM || !made.text);
        forget();
        if (!is_through)
            continue;
        ck_assert_int_ge(i, at_least);
        return;
    }
}

/* A master of each kind, and a mistake of each kind. */
static void make_all(void) {
    static const char compatible[] = "vendor,dma\0dma";

    blob_begin();
    iommu("smmu", "arm,mmu-500", 1, 1);
    iommu("wide", "arm,mmu-500", 1, 17);
    node_begin("pool");
    cells("phandle", 2);
    node_end();
    for (int i = 0; i < 3; i++) {
        node_begin("dma");
        data("compatible", compatible, sizeof(compatible));
        cells("iommus", 1, 0x200, 1, 0x300, 2, 3);
        cells("iommu-map", 0, 1, 0, 1, 0, 2, 0, 1, 3);
        cells("memory-region", 2, 9);
        node_end();
    }
    blob_end();
}

START_TEST(test_blob) {
    make_all();
    check_reader(read_made, 0, 30);
}
END_TEST

static int read_unaligned(void) {
    static _Alignas(8) uint8_t copy[4096];

    memcpy(copy + 1, made.blob, made.size);
    return devicetree_read_blob(copy + 1, made.size, &made.tree, &made.text);
}

START_TEST(test_unaligned) {
    make_all();
    check_reader(read_unaligned, 0, 30);
}
END_TEST

START_TEST(test_damaged_blob) {
    make_all();
    fdt_set_size_dt_struct(made.blob, fdt_size_dt_struct(made.blob) - 12);
    check_reader(read_made, -EBADMSG, 3);
    fdt_set_magic(made.blob, 7);
    check_reader(read_made, -EBADMSG, 1);
}
END_TEST

START_TEST(test_too_much) {
    blob_begin();
    for (int i = 0; i < DEVICETREE_DEPTH_MAX; i++)
        node_begin("n");
    for (int i = 0; i < DEVICETREE_DEPTH_MAX; i++)
        node_end();
    blob_end();
    check_reader(read_made, -E2BIG, 3);
}
END_TEST

static struct tree sys;

static int read_live(void) {
    return devicetree_read_live(sys.fd, &made.tree, &made.text);
}

START_TEST(test_live) {
    tree_begin(&sys);
    check_reader(read_live, -ENOENT, 1);
    tree_data(&sys, "firmware/devicetree/base/name", "", 1);
    tree_data(&sys, "firmware/devicetree/base/soc/dma/iommus", "\0\0\0", 4);
    check_reader(read_live, 0, 8);
    make_all();
    tree_data(&sys, "firmware/fdt", made.blob, made.size);
    check_reader(read_live, 0, 30);
    tree_end(&sys);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memory of a device tree");
    TCase *tests = tree_case("memory");

    tcase_add_checked_fixture(tests, NULL, forget);
    tcase_add_test(tests, test_blob);
    tcase_add_test(tests, test_unaligned);
    tcase_add_test(tests, test_damaged_blob);
    tcase_add_test(tests, test_too_much);
    tcase_add_test(tests, test_live);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
