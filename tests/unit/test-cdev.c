/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO's character devices: what the model keeps of their nodes, and what the verdict makes of it. */
#include "verdict-fixture.h"

static struct device *put_vfio(const char *path, const char *vfio_device, int64_t group) {
    struct device_facts facts = nic_facts(path, "vfio-pci", group);

    facts.vfio_device = vfio_device;
    return put(&scene.model, &facts);
}

static struct node_facts node_of_root(void) {
    struct node_facts node;

    memset(&node, 0, sizeof(node));
    node.present = node.owner_access = true;
    return node;
}

static void give_cdev(struct device *device, const struct node_facts *node) {
    ck_assert_int_eq(model_update_cdev(&scene.model, device, node), 0);
}

static struct device *put_cdev(const char *path, const char *vfio_device, int64_t group) {
    struct device *device = put_vfio(path, vfio_device, group);
    struct node_facts node = node_of_root();

    give_cdev(device, &node);
    return device;
}

static void take_node(struct group *group) {
    model_update_node(&scene.model, group, &(struct node_facts){0});
}

static bool touched(uint32_t id) {
    const struct group *group = scene.model.dirty_groups;

    while (group && group->id != id)
        group = group->next_dirty;
    return group != NULL;
}

/* ---- The model ------------------------------------------------------------------------------ */

START_TEST(test_model_touches) {
    struct node_facts node = node_of_root(), none = {.mismatched = true};
    struct device *device = put_vfio(PCI("05.0"), "vfio0", 7);

    model_forget_changes(&scene.model);
    give_cdev(device, &none); /* there was none */
    ck_assert_ptr_null(device->cdev);
    ck_assert(!model_has_changes(&scene.model));
    give_cdev(device, &node);
    ck_assert_ptr_nonnull(device->cdev);
    ck_assert(device->cdev->present && touched(7));
    model_forget_changes(&scene.model);
    give_cdev(device, &node); /* as it was */
    ck_assert(!model_has_changes(&scene.model));
    node.other_access = true;
    give_cdev(device, &node);
    ck_assert(device->cdev->other_access && touched(7));
    model_forget_changes(&scene.model);
    give_cdev(device, &none);
    ck_assert_ptr_null(device->cdev);
    ck_assert(touched(7));
}
END_TEST

START_TEST(test_model_without_group) {
    struct device *device = put_cdev(PCI("1f.0"), "vfio3", GROUP_NONE);

    ck_assert_ptr_nonnull(device->cdev);
    give_cdev(device, &(struct node_facts){0});
    ck_assert_ptr_null(device->cdev);
}
END_TEST

/* The node is that of one name: another name, or none, has another node. */
START_TEST(test_model_drops_old_node) {
    struct device *device = put_cdev(PCI("05.0"), "vfio0", 7);

    put_vfio(PCI("05.0"), "vfio0", 7);
    ck_assert_ptr_nonnull(device->cdev);
    put_vfio(PCI("05.0"), "vfio0", 8); /* another group: the same node */
    ck_assert_ptr_nonnull(device->cdev);
    model_forget_changes(&scene.model);
    put_vfio(PCI("05.0"), "vfio1", 8);
    ck_assert_ptr_null(device->cdev);
    ck_assert(touched(8));
    put_cdev(PCI("05.0"), "vfio1", 8);
    put_nic(&scene.model, PCI("05.0"), "e1000e", 8);
    ck_assert_ptr_null(device->cdev);
}
END_TEST

START_TEST(test_model_finds_by_name) {
    struct device *first = put_vfio(PCI("05.0"), "vfio0", 7);
    struct device *second = put_vfio(PCI("06.0"), "vfio10", 8);

    put_nic(&scene.model, PCI("07.0"), NULL, 9);
    ck_assert_ptr_eq(model_vfio_device(&scene.model, "vfio0"), first);
    ck_assert_ptr_eq(model_vfio_device(&scene.model, "vfio10"), second);
    ck_assert_ptr_null(model_vfio_device(&scene.model, "vfio1"));
    ck_assert_ptr_null(model_vfio_device(&scene.model, ""));
    put_vfio(PCI("05.0"), NULL, 7);
    ck_assert_ptr_null(model_vfio_device(&scene.model, "vfio0"));
    model_remove_device(&scene.model, second);
    ck_assert_ptr_null(model_vfio_device(&scene.model, "vfio10"));
}
END_TEST

/* ---- Which interface ------------------------------------------------------------------------ */

static enum lease_interface interface_now(void) {
    return verdict_interface(&scene.request);
}

START_TEST(test_interface_as_asked) {
    put_cdev(PCI("05.0"), "vfio0", 7);
    scene.request.interface = LEASE_INTERFACE_CDEV;
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_CDEV);
    take_node(scene.groups[0]);
    scene.request.interface = LEASE_INTERFACE_GROUP;
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_GROUP);
}
END_TEST

START_TEST(test_interface_by_default) {
    scene.request.interface = LEASE_INTERFACE_DEFAULT;
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_GROUP);
    struct device *device = put_cdev(PCI("05.0"), "vfio0", 7);
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_GROUP); /* both: the group */
    assert_blocks("");
    take_node(scene.groups[0]);
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_CDEV);
    assert_blocks("");
    give_cdev(device, &(struct node_facts){0});
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_GROUP); /* neither */
    assert_blocks("no-node");
    scene.request.n_groups = 0;
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_GROUP);
}
END_TEST

/* One lease has one interface, so a group that has only cdevs decides for all. */
START_TEST(test_interface_of_several) {
    scene.request.interface = LEASE_INTERFACE_DEFAULT;
    put_cdev(PCI("06.0"), "vfio1", 8);
    ask_for(8);
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_CDEV);
    assert_blocks("no-node/05.0");
    put_cdev(PCI("05.0"), "vfio0", 7);
    assert_blocks("");
    allow_node(scene.groups[1]);
    ck_assert_int_eq(interface_now(), LEASE_INTERFACE_GROUP);
}
END_TEST

/* ---- The nodes of an asked-for cdev --------------------------------------------------------- */

static void cdev_set_up(void) {
    set_up();
    scene.request.interface = LEASE_INTERFACE_CDEV;
    put_cdev(PCI("05.0"), "vfio0", 7);
}

/* Whether the group has a node, and who may open that, makes no difference. */
/* It need not be there, but it leads to the same devices. */
START_TEST(test_group_node_beside_cdevs) {
    assert_blocks("");
    scene.groups[0]->node.other_access = true;
    assert_blocks("node-open-to-others");
    take_node(scene.groups[0]);
    assert_blocks("");
}
END_TEST

START_TEST(test_some_members_without) {
    put_vfio(PCI("05.1"), "vfio1", 7);
    assert_blocks("no-node/05.1");
    put_vfio(PCI("05.2"), NULL, 7);
    assert_blocks("no-node/05.1 no-node/05.2");
    put_cdev(PCI("05.1"), "vfio1", 7);
    put_cdev(PCI("05.2"), "vfio2", 7);
    assert_blocks("");
}
END_TEST

/* What is on no VFIO driver has nothing to be opened. */
START_TEST(test_members_on_other_drivers) {
    put_nic(&scene.model, PCI("05.1"), NULL, 7);
    put_nic(&scene.model, PCI("05.2"), "pci-stub", 7);
    put_bridge(&scene.model, PCI("1c.0"), "pcieport", 7);
    assert_blocks("");
    put_nic(&scene.model, PCI("05.3"), "e1000e", 7);
    assert_blocks("kernel-driver/05.3");
}
END_TEST

START_TEST(test_no_member_on_vfio) {
    put_nic(&scene.model, PCI("05.0"), NULL, 7);
    assert_blocks("no-vfio-driver");
}
END_TEST

static const struct {
    struct node_facts node;
    bool open; /* to others than dpdk */
} nodes[] = {
    {{.owner_access = true}, false},
    {{.owner = DPDK, .owner_access = true}, false},
    {{.n_entries = 1, .entries = {{.id = DPDK, .access = true, .full = true}}}, false},
    {{.n_entries = 1, .entries = {{.id = ALICE}}}, false},
    {{.other_access = true}, true},
    {{.group_access = true}, true},
    {{.too_many_entries = true}, true},
    {{.owner = ALICE, .owner_access = true}, true},
    {{.n_entries = 1, .entries = {{.id = ALICE, .access = true}}}, true},
    {{.n_entries = 1, .entries = {{.is_group = true, .id = DPDK, .access = true}}}, true},
};

START_TEST(test_open_to_others) {
    struct device *second = put_cdev(PCI("05.1"), "vfio1", 7);
    struct node_facts node = nodes[_i].node;

    node.present = true;
    give_cdev(second, &node);
    assert_blocks(nodes[_i].open ? "node-open-to-others/05.1" : "");
    /* Under a lease the entry is the holder's; that the group is leased says enough. */
    model_set_lease(&scene.model, scene.groups[0], &scene.owner);
    assert_blocks("leased");
}
END_TEST

/* Who claims for another is one of the others; whom it is for is not. */
START_TEST(test_holder_is_no_other) {
    struct node_facts node = node_of_root();

    node.n_entries = 1;
    node.entries[0] = (struct node_entry){.id = QEMU, .access = true, .full = true};
    give_cdev(model_device(&scene.model, PCI("05.0")), &node);
    assert_blocks("node-open-to-others/05.0");
    scene.delegate = "[\"libvirt-qemu\"]";
    scene.request.holder.uid = QEMU;
    assert_blocks("");
}
END_TEST

static void assert_says(enum reason reason, const char *expected) {
    judge();
    const struct finding *first = verdict_first_finding(&scene.verdict);
    ck_assert_ptr_nonnull(first);
    ck_assert_int_eq(first->reason, reason);
    _cleanup_(freep) char *text = finding_text(first, &scene.request);
    ck_assert_str_eq(text, expected);
}

START_TEST(test_texts) {
    struct device *device = model_device(&scene.model, PCI("05.0"));
    struct node_facts node = node_of_root();

    node.other_access = true;
    give_cdev(device, &node);
    assert_says(REASON_NODE_OPEN_TO_OTHERS,
                "Device 0000:00:05.0 in group 7 has a node /dev/vfio/devices/vfio0 that others may "
                "open too; take owner, mode and ACL back to root and 0600.");
    give_cdev(device, &(struct node_facts){0});
    assert_says(REASON_NO_NODE,
                "Device 0000:00:05.0 in group 7 has no cdev in /dev/vfio/devices; this kernel may "
                "have none, and interface \"group\" is to be used.");
}
END_TEST

static void add_model(Suite *suite) {
    TCase *all = tcase_create("model");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_model_touches);
    tcase_add_test(all, test_model_without_group);
    tcase_add_test(all, test_model_drops_old_node);
    tcase_add_test(all, test_model_finds_by_name);
    tcase_add_test(all, test_interface_as_asked);
    tcase_add_test(all, test_interface_by_default);
    tcase_add_test(all, test_interface_of_several);
    suite_add_tcase(suite, all);
}

static void add_verdict(Suite *suite) {
    TCase *all = tcase_create("verdict");

    tcase_add_checked_fixture(all, cdev_set_up, tear_down);
    tcase_add_test(all, test_group_node_beside_cdevs);
    tcase_add_test(all, test_some_members_without);
    tcase_add_test(all, test_members_on_other_drivers);
    tcase_add_test(all, test_no_member_on_vfio);
    tcase_add_loop_test(all, test_open_to_others, 0, ELEMENTS_OF(nodes));
    tcase_add_test(all, test_holder_is_no_other);
    tcase_add_test(all, test_texts);
    suite_add_tcase(suite, all);
}

int main(void) {
    Suite *suite = suite_create("cdev");

    add_model(suite);
    add_verdict(suite);
    return model_main(suite);
}
