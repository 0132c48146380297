/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a caller of Detach and Reattach has before him, and how it comes out. */

#include "switch-fixture.h"

#define WELL "switched 1 well; "
#define FAILED "switched 1 SwitchFailed; "

/* Groups 5 and 6 are the host's; 8 has two devices, 0000:00:08.0 on e1000e and 0000:00:09.0 without a
 * driver. */
static struct group *groups[2];
static struct claim claim;
static struct refusal refusal;

static inline void put_in_group(uint32_t id, uint32_t group) {
    _cleanup_(freep) char *path =
        string_format("kernel/iommu_groups/%u/devices/%s", group, name_of(id));
    _cleanup_(freep) char *group_path = string_format("../../../kernel/iommu_groups/%u", group);
    _cleanup_(freep) char *target = string_format("../../../../%s", device_path(id));

    put_file(below_device(id, "modalias"), "pci:v00008086d000010D3sv0sd0bc02sc00i00\n");
    tree_link(&tree, below_device(id, "subsystem"), "../../../bus/pci");
    tree_link(&tree, below_device(id, "iommu_group"), group_path);
    tree_link(&tree, path, target);
}

static inline void set_up(void) {
    set_up_switch();
    for (uint32_t id = 5; id <= 8; id++)
        make_group(id);
    put_in_group(9, 8);
    put_on(5, "e1000e", "e1000e");
    put_on(6, "e1000e", "e1000e");
    put_on(7, "vfio-pci", "e1000e");
    put_on(8, "e1000e", "e1000e");
    put_on(9, "", "e1000e");
    start_switch();
    claim = (struct claim){.caller = {.uid = 1000}, .holder = {.uid = 1000}, .groups = groups,
                           .detach = true, .pidfd = -1};
}

static inline void tear_down(void) {
    refusal_done(&refusal);
    stop_manager();
    tear_down_switch();
}

static inline void ask_for(uint32_t id) {
    groups[claim.n_groups] = model_group(&manager->model, id);
    ck_assert_ptr_nonnull(groups[claim.n_groups]);
    claim.n_groups++;
}

static inline uint64_t start_detach(void) {
    uint64_t id = 0;

    ck_assert_int_eq(manager_detach(manager, &claim, "nics", false, &id, &refusal), OUTCOME_OK);
    return id;
}

static inline void detach(const char *expected) {
    uint64_t id = start_detach();

    ck_assert_uint_eq(id, 1);
    run_until_heard("switched");
    ck_assert_str_eq(heard, expected);
    heard[0] = 0;
}

static inline struct detachment *only_record(void) {
    ck_assert_uint_eq(HASH_CNT(by_id, manager->detachments), 1);
    return manager->detachments;
}

static inline void reattach(enum way_back way, bool unreset, const char *expected) {
    ck_assert_int_eq(manager_reattach(manager, only_record(), way, unreset), 0);
    run_until_heard("switched");
    ck_assert_str_eq(heard, expected);
    heard[0] = 0;
}

static inline void assert_nothing_left(void) {
    ck_assert_ptr_null(manager->detachments);
    ck_assert_ptr_null(manager->transactions);
    ck_assert(!record_exists(1));
    for (uint32_t id = 5; id <= 9; id++) {
        ck_assert_ptr_null(device_of(id)->detached);
        ck_assert_uint_eq(device_of(id)->group->switching, 0);
    }
}

static inline void detach_one(void) {
    look_at(5, "vfio-pci", "vfio_pci", true);
    ask_for(5);
    detach(WELL);
    (void)kernel_written(&tree);
}
