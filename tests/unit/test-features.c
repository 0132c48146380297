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

/* ---- What VFIO asks of devices */

static const struct {
    const char *release;
    bool reset_always, asks_each_device;
} demands_by_release[] = {
    {"5.19.0", false, false},          {"6.0.19-amd64", false, false}, {"6.1.0-56-arm64", true, false},
    {"6.2.16", true, false},           {"6.3.0-rc1", false, true},     {"6.12.117+deb12-arm64", false, true},
    {"7.0", false, true},              {"10.1.1", false, true},        {"nonsense", false, false},
};

START_TEST(test_demands) {
    struct vfio_demands demands;
    struct tree tree;

    tree_begin(&tree);
    vfio_demands_read(tree.fd, demands_by_release[_i].release, &demands);
    ck_assert_int_eq(demands.reset_always, demands_by_release[_i].reset_always);
    ck_assert_int_eq(demands.asks_each_device, demands_by_release[_i].asks_each_device);
    /* Of modules that are not loaded. */
    ck_assert(demands.reset_required);
    ck_assert(!demands.type1_is_lax);
    ck_assert(!demands.iommufd_is_lax);
    tree_end(&tree);
}
END_TEST

START_TEST(test_parameters) {
    struct vfio_demands demands;
    struct tree tree;

    tree_begin(&tree);
    ck_assert_int_eq(vfio_reset_required(tree.fd), -ENOENT);
    tree_file(&tree, "module/vfio_platform/parameters/reset_required", "N\n");
    tree_file(&tree, "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
    tree_file(&tree, "module/iommufd/parameters/allow_unsafe_interrupts", "N\n");
    ck_assert_int_eq(vfio_reset_required(tree.fd), 0);
    vfio_demands_read(tree.fd, NULL, &demands);
    ck_assert(!demands.reset_required);
    ck_assert(demands.type1_is_lax);
    ck_assert(!demands.iommufd_is_lax);
    /* What is not understood is taken for the stricter one. */
    tree_file(&tree, "module/vfio_platform/parameters/reset_required", "?\n");
    tree_file(&tree, "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "?\n");
    tree_file(&tree, "module/iommufd/parameters/allow_unsafe_interrupts", "Y\n");
    vfio_demands_read(tree.fd, NULL, &demands);
    ck_assert(demands.reset_required);
    ck_assert(!demands.type1_is_lax);
    ck_assert(demands.iommufd_is_lax);
    tree_end(&tree);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("features");
    TCase *all = tree_case("all");

    tcase_add_loop_test(all, test_symbols, 0, ELEMENTS_OF(symbols));
    tcase_add_test(all, test_no_symbols);
    tcase_add_loop_test(all, test_release, 0, ELEMENTS_OF(releases));
    tcase_add_test(all, test_words);
    tcase_add_loop_test(all, test_demands, 0, ELEMENTS_OF(demands_by_release));
    tcase_add_test(all, test_parameters);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
