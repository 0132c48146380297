/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-fixture.h"

/* ---- One device ------------------------------------------------------------------------------ */

START_TEST(test_empty) {
    ck_assert_ptr_null(model_device(&model, PCI("05.0")));
    ck_assert_ptr_null(model_group(&model, 0));
    ck_assert(!model_has_changes(&model));
    model_begin_scan(&model);
    model_end_scan(&model);
    model_forget_changes(&model);
}
END_TEST

START_TEST(test_add) {
    char path[] = PCI("05.0"), bus[] = "pci", driver[] = "e1000e", modalias[] = "pci:v0";
    struct device_facts facts = nic_facts(path, driver, 7);
    const char *const compatible[] = {"calxeda,hb-xgmac", "syscon", NULL};

    facts.bus = bus;
    facts.modalias = modalias;
    facts.compatible = compatible;
    facts.removable = "fixed";
    facts.numa_node = 1;
    struct device *device = put(&model, &facts);
    path[0] = bus[0] = driver[0] = modalias[0] = '?'; /* the strings were only borrowed */
    ck_assert_str_eq(device->path, PCI("05.0"));
    ck_assert_str_eq(device->name, "0000:00:05.0");
    ck_assert_str_eq(device->bus, "pci");
    ck_assert_str_eq(device->driver, "e1000e");
    ck_assert_str_eq(device->modalias, "pci:v0");
    ck_assert_str_eq(device->removable, "fixed");
    ck_assert_str_eq(device->reset_methods, "flr bus");
    ck_assert_str_eq(device->compatible[1], "syscon");
    ck_assert_ptr_null(device->compatible[2]);
    ck_assert_uint_eq(device->vendor, 0x8086);
    ck_assert_uint_eq(device->product, 0x10d3);
    ck_assert_uint_eq(device->subsystem_vendor, 0x8086);
    ck_assert_uint_eq(device->subsystem_product, 0xa01f);
    ck_assert_uint_eq(device->class, 0x020000);
    ck_assert_int_eq(device->numa_node, 1);
    ck_assert_int_eq(device->role, ROLE_KERNEL);
    ck_assert_ptr_eq(device->group, model_group(&model, 7));
    ck_assert_ptr_eq(device, model_device(&model, PCI("05.0")));
    ck_assert(changes_of(device) & DEVICE_ADDED);
    ck_assert(group_listed(7));
    ck_assert_uint_eq(model.n_devices, 1);
    ck_assert_uint_eq(model.n_groups, 1);
}
END_TEST

START_TEST(test_add_bare) {
    struct device *device = put_other(&model, "devices/platform/a", "platform", NULL, GROUP_NONE);

    ck_assert_str_eq(device->modalias, "");
    ck_assert_str_eq(device->removable, "");
    ck_assert_str_eq(device->reset_methods, "");
    ck_assert_ptr_null(device->driver);
    ck_assert_ptr_null(device->compatible);
    ck_assert_ptr_null(device->vfio_device);
    ck_assert_ptr_null(device->group);
    ck_assert_int_eq(device->role, ROLE_FREE);
    ck_assert_int_eq(changes_of(device), DEVICE_ADDED);
    ck_assert_uint_eq(model.n_groups, 0);
}
END_TEST

START_TEST(test_same_again) {
    struct device *device = put_nic(&model, PCI("05.0"), "e1000e", 7);

    model_forget_changes(&model);
    ck_assert(!model_has_changes(&model));
    ck_assert_ptr_eq(put_nic(&model, PCI("05.0"), "e1000e", 7), device);
    ck_assert(!model_has_changes(&model));
    ck_assert_int_eq(model_update_device(&model, &(struct device_facts){
        .path = PCI("06.0"), .bus = "pci", .group = GROUP_NONE}, NULL), 0);
    ck_assert_uint_eq(model.n_devices, 2);
}
END_TEST

START_TEST(test_bind_and_unbind) {
    struct device *device = put_nic(&model, PCI("05.0"), "e1000e", 7);

    model_forget_changes(&model);
    put_nic(&model, PCI("05.0"), NULL, 7);
    ck_assert_int_eq(changes_of(device), DEVICE_DRIVER | DEVICE_ROLE);
    ck_assert_int_eq(device->role, ROLE_FREE);
    ck_assert(group_listed(7));
    model_forget_changes(&model);
    put_nic(&model, PCI("05.0"), "vfio-pci", 7);
    ck_assert_int_eq(changes_of(device), DEVICE_DRIVER | DEVICE_ROLE);
    ck_assert_int_eq(device->role, ROLE_USER);
    model_forget_changes(&model);
    put_nic(&model, PCI("05.0"), "mlx5_vfio_pci", 7);
    ck_assert_int_eq(changes_of(device), DEVICE_DRIVER);
    ck_assert(group_listed(7));
}
END_TEST

START_TEST(test_vfio_device_and_resets) {
    struct device_facts facts = nic_facts(PCI("05.0"), "odd", 7);
    struct device *device = put(&model, &facts);

    model_forget_changes(&model);
    facts.vfio_device = "vfio0";
    put(&model, &facts);
    ck_assert_int_eq(changes_of(device), DEVICE_ROLE | DEVICE_VFIO);
    ck_assert_str_eq(device->vfio_device, "vfio0");
    model_forget_changes(&model);
    facts.vfio_device = "vfio1";
    put(&model, &facts);
    ck_assert_int_eq(changes_of(device), DEVICE_VFIO);
    model_forget_changes(&model);
    facts.vfio_device = NULL;
    put(&model, &facts);
    ck_assert_int_eq(changes_of(device), DEVICE_ROLE | DEVICE_VFIO);
    ck_assert_ptr_null(device->vfio_device);
    model_forget_changes(&model);
    facts.reset_methods = "bus";
    put(&model, &facts);
    ck_assert_int_eq(changes_of(device), DEVICE_RESET);
    ck_assert_str_eq(device->reset_methods, "bus");
}
END_TEST

START_TEST(test_changes_add_up) {
    struct device *device = put_nic(&model, PCI("05.0"), "e1000e", 7);

    put_nic(&model, PCI("05.0"), NULL, 7);
    put_nic(&model, PCI("05.0"), "vfio-pci", 8);
    ck_assert_int_eq(changes_of(device),
                     DEVICE_ADDED | DEVICE_DRIVER | DEVICE_ROLE | DEVICE_GROUP | DEVICE_RESET);
    model_forget_changes(&model);
    ck_assert_int_eq(changes_of(device), 0);
    ck_assert(!group_listed(8));
}
END_TEST

START_TEST(test_remove) {
    struct device *device = put_nic(&model, PCI("05.0"), "e1000e", 7);

    model_remove_device(&model, device);
    ck_assert_ptr_null(model_device(&model, PCI("05.0")));
    ck_assert_ptr_null(model_group(&model, 7));
    ck_assert_uint_eq(model.n_devices, 0);
    ck_assert_uint_eq(model.n_groups, 0);
    ck_assert_ptr_null(model.dirty_devices);
    ck_assert_ptr_null(model.dirty_groups);
    ck_assert_ptr_eq(device_removed(PCI("05.0")), device);
    ck_assert(group_removed(7));
    ck_assert_int_eq(device->group_id, 7); /* still readable, with the group it was in */
    ck_assert_ptr_null(device->group);
    ck_assert_str_eq(device->driver, "e1000e");
    model_forget_changes(&model);
    ck_assert(!model_has_changes(&model));
}
END_TEST

START_TEST(test_remove_without_group) {
    struct device *device = put_nic(&model, PCI("05.0"), NULL, GROUP_NONE);

    model_remove_device(&model, device);
    ck_assert_int_eq(device->group_id, GROUP_NONE);
    ck_assert_ptr_null(model.removed_groups);
}
END_TEST

/* A flag that is not cleared would hide the change from the manager for good. */
START_TEST(test_remove_and_back) {
    struct device *device = put_nic(&model, PCI("05.0"), "e1000e", 7);

    model_forget_changes(&model);
    model_remove_device(&model, device);
    struct device *again = put_nic(&model, PCI("05.0"), "vfio-pci", 7);
    ck_assert_ptr_ne(again, device);
    ck_assert_ptr_eq(device_removed(PCI("05.0")), device);
    ck_assert(changes_of(again) & DEVICE_ADDED);
    ck_assert(group_removed(7));
    ck_assert(group_listed(7));
    model_forget_changes(&model);
    ck_assert_ptr_eq(model_device(&model, PCI("05.0")), again);
    ck_assert_str_eq(members_of(7), "0");
}
END_TEST

/* ---- Names, and paths that come back --------------------------------------------------------- */

START_TEST(test_same_name_on_buses) {
    static const char *const paths[] = {"devices/a/eth", "devices/b/eth", "devices/c/eth",
                                        "devices/d/eth"};
    static const char *const buses[] = {"pci", "platform", "amba", "fsl-mc"};
    static const unsigned orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 3, 0, 1}};
    bool left[4] = {true, true, true, true};

    for (size_t i = 0; i < 4; i++)
        put_other(&model, paths[i], buses[i], NULL, (int64_t)i);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            char target[32];
            struct group *group = NULL;
            struct device *device = NULL;
            snprintf(target, sizeof(target), "%s/eth", buses[k]);
            ck_assert_int_eq(model_find_target(&model, target, &group, &device),
                             left[k] ? TARGET_FOUND : TARGET_UNKNOWN);
            ck_assert_ptr_eq(device, left[k] ? model_device(&model, paths[k]) : NULL);
        }
        model_remove_device(&model, model_device(&model, paths[orders[_i][i]]));
        left[orders[_i][i]] = false;
    }
    ck_assert_ptr_null(model.names);
}
END_TEST

/* The removal was lost: what stands at the path now is another device. */
START_TEST(test_same_path_other_device) {
    struct device_facts facts = nic_facts(PCI("05.0"), "vfio-pci", 7);
    struct device *old = put(&model, &facts);
    struct lease lease = {.id = 1};

    model_set_lease(&model, old->group, &lease);
    model_forget_changes(&model);
    facts.modalias = "pci:v00008086d00001521";
    facts.product = 0x1521;
    struct device *device = put(&model, &facts);
    ck_assert_ptr_ne(device, old);
    ck_assert_ptr_eq(device_removed(PCI("05.0")), old);
    ck_assert_uint_eq(device->product, 0x1521);
    ck_assert(changes_of(device) & DEVICE_ADDED);
    ck_assert(group_removed(7));
    ck_assert_ptr_null(device->group->lease); /* it was another device's */
    ck_assert_uint_eq(model.n_devices, 1);
    model_forget_changes(&model);
    facts.bus = "platform";
    ck_assert_ptr_ne(put(&model, &facts), device);
}
END_TEST

/* ---- Scans and order ------------------------------------------------------------------------- */

START_TEST(test_scan) {
    put_nic(&model, PCI("05.0"), NULL, 7);
    put_nic(&model, PCI("05.1"), NULL, 7);
    put_nic(&model, PCI("06.0"), NULL, 8);
    model_forget_changes(&model);
    model_begin_scan(&model);
    put_nic(&model, PCI("05.1"), NULL, 7);
    put_nic(&model, PCI("07.0"), NULL, 9);
    ck_assert_uint_eq(model.n_devices, 4);
    model_end_scan(&model);
    ck_assert_uint_eq(model.n_devices, 2);
    ck_assert_str_eq(members_of(7), "1");
    ck_assert_str_eq(members_of(9), "0");
    ck_assert_ptr_nonnull(device_removed(PCI("05.0")));
    ck_assert_ptr_nonnull(device_removed(PCI("06.0")));
    ck_assert(group_removed(8) && !group_removed(7));
    model_forget_changes(&model);
    model_begin_scan(&model); /* the marks of the scan before do not count */
    put_nic(&model, PCI("05.1"), NULL, 7);
    model_end_scan(&model);
    ck_assert_uint_eq(model.n_devices, 1);
}
END_TEST

/* A bind that overtakes its add, and an add that comes after the scan saw the device. */
START_TEST(test_out_of_order) {
    struct device *device = put_nic(&model, PCI("05.0"), "vfio-pci", 7);

    ck_assert_ptr_eq(put_nic(&model, PCI("05.0"), "vfio-pci", 7), device);
    ck_assert_str_eq(members_of(7), "0");
    model_begin_scan(&model);
    model_remove_device(&model, device); /* removed in mid-scan, and plugged in again */
    put_nic(&model, PCI("05.0"), NULL, GROUP_NONE);
    put_nic(&model, PCI("05.0"), "e1000e", 3);
    model_end_scan(&model);
    ck_assert_uint_eq(model.n_devices, 1);
    ck_assert_str_eq(members_of(3), "0");
    ck_assert_str_eq(members_of(7), "none");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_empty);
    tcase_add_test(all, test_add);
    tcase_add_test(all, test_add_bare);
    tcase_add_test(all, test_same_again);
    tcase_add_test(all, test_bind_and_unbind);
    tcase_add_test(all, test_vfio_device_and_resets);
    tcase_add_test(all, test_changes_add_up);
    tcase_add_test(all, test_remove);
    tcase_add_test(all, test_remove_without_group);
    tcase_add_test(all, test_remove_and_back);
    tcase_add_loop_test(all, test_same_name_on_buses, 0, 4);
    tcase_add_test(all, test_same_path_other_device);
    tcase_add_test(all, test_scan);
    tcase_add_test(all, test_out_of_order);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
