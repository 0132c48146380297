/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/features.h"

#include <errno.h>

#include "util/string.h"

#include "tree.h"

static const struct {
    const char *text;
    int result;
    enum kernel_model model;
} symbols[] = {
    {"0000000000000000 T _text\n0000000000000000 T iommu_group_alloc\n"
     "0000000000000000 T iommu_group_claim_dma_owner\n", 0, KERNEL_MODEL_CLAIM},
    {"0000000000000000 t iommu_group_claim_dma_owner\t[iommu]", 0, KERNEL_MODEL_CLAIM},
    {"0 T _text\n0 T iommu_group_alloc\n0 T iommu_group_get\n", 0, KERNEL_MODEL_NOTIFIER},
    {"0 T __pfx_iommu_group_claim_dma_owner\n0 T iommu_group_claim_dma_owner_x\n"
     "0 T iommu_group_alloc\n", 0, KERNEL_MODEL_NOTIFIER},
    {"0 T _text\n0 T start_kernel\n", 0, KERNEL_MODEL_NONE},
    {"", -ENODATA, KERNEL_MODEL_NONE},
    {"iommu_group_claim_dma_owner\n", -ENODATA, KERNEL_MODEL_NONE},
    {"0 T\n0 T \n\n \n  \n", -ENODATA, KERNEL_MODEL_NONE},
};

START_TEST(test_symbols) {
    enum kernel_model model = KERNEL_MODEL_NONE;
    struct tree tree;

    tree_begin(&tree);
    tree_file(&tree, "kallsyms", symbols[_i].text);
    ck_assert_int_eq(kernel_model_from_symbols(tree_path(&tree, "kallsyms"), &model),
                     symbols[_i].result);
    ck_assert_int_eq(model, symbols[_i].model);
    tree_end(&tree);
}
END_TEST

START_TEST(test_no_symbols) {
    enum kernel_model model = KERNEL_MODEL_NONE;

    ck_assert_int_eq(kernel_model_from_symbols("/nonexistent", &model), -ENODATA);
    ck_assert_int_eq(kernel_model_from_symbols("/", &model), -ENODATA);
}
END_TEST

static const struct {
    const char *release;
    enum kernel_model model;
} releases[] = {
    {"6.1.0-56-amd64", KERNEL_MODEL_CLAIM},    {"5.19.0", KERNEL_MODEL_CLAIM},
    {"5.18.19", KERNEL_MODEL_NOTIFIER},        {"5.4.0-1-generic", KERNEL_MODEL_NOTIFIER},
    {"10.0", KERNEL_MODEL_CLAIM},              {"4.19.0-27-amd64", KERNEL_MODEL_NOTIFIER},
    {"", KERNEL_MODEL_NOTIFIER},               {"unknown", KERNEL_MODEL_NOTIFIER},
    {"6", KERNEL_MODEL_NOTIFIER},
};

START_TEST(test_release) {
    ck_assert_int_eq(kernel_model_from_release(releases[_i].release), releases[_i].model);
}
END_TEST

START_TEST(test_words) {
    for (int i = KERNEL_MODEL_CLAIM; i <= KERNEL_MODEL_NONE; i++) {
        enum kernel_model model = KERNEL_MODEL_NONE;
        const char *word = kernel_model_to_string((enum kernel_model)i);
        ck_assert_int_eq(kernel_model_from_string(word, &model), 0);
        ck_assert_int_eq(model, i);
    }
    enum kernel_model model;
    ck_assert_int_eq(kernel_model_from_string("Claim", &model), -EINVAL);
    ck_assert_int_eq(kernel_model_from_string("", &model), -EINVAL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("features");
    TCase *all = tree_case("all");

    tcase_add_loop_test(all, test_symbols, 0, ELEMENTS_OF(symbols));
    tcase_add_test(all, test_no_symbols);
    tcase_add_loop_test(all, test_release, 0, ELEMENTS_OF(releases));
    tcase_add_test(all, test_words);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
