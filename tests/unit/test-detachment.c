/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who moves and who stays, the steps there and back, and their sentences. */
#include "model/detachment.h"

#include "model-fixture.h"

static struct device *named[4];
static size_t n_named;

static struct device *name(struct device *device) {
    named[n_named++] = device;
    return device;
}

static enum move move_of(const struct device *device) {
    return device_move(device, named, n_named);
}

/* ---- Who moves */

/* With another device in the group that goes to the user anyway. */
START_TEST(test_roles) {
    static const struct {
        const char *driver;
        enum move move, when_named;
    } cases[] = {
        {"e1000e", MOVE_TO_USER, MOVE_TO_USER},
        {"a-driver-that-nobody-knows", MOVE_TO_USER, MOVE_TO_USER},
        {"uio_pci_generic", MOVE_TO_USER, MOVE_TO_USER},
        {NULL, MOVE_PINNED, MOVE_TO_USER},
        {"vfio-pci", MOVE_STAYS, MOVE_STAYS},
        {"mlx5_vfio_pci", MOVE_STAYS, MOVE_STAYS},
        {"pci-stub", MOVE_STAYS, MOVE_STAYS},
    };
    struct device *device = put_nic(&model, PCI("05.0"), cases[_i].driver, 7);

    put_nic(&model, PCI("05.1"), "igb", 7);
    ck_assert_int_eq(move_of(device), cases[_i].move);
    name(device);
    ck_assert_int_eq(move_of(device), cases[_i].when_named);
}
END_TEST

#define CONTAINER "devices/platform/80c000000.fsl-mc/dprc.1/dprc.2"

/* The objects of an fsl-mc container go, and come, with it. */
START_TEST(test_container) {
    struct device *dprc = put_other(&model, CONTAINER, "fsl-mc", "fsl_mc_dprc", 7);
    struct device *dpni = put_other(&model, CONTAINER "/dpni.5", "fsl-mc", "fsl_dpaa2_eth", 7);
    struct device *dpbp = put_other(&model, CONTAINER "/dpbp.1", "fsl-mc", NULL, 7);
    struct device *beside = put_other(&model, CONTAINER "0", "fsl-mc", "fsl_mc_dprc", 7);

    name(dpbp);
    ck_assert_int_eq(move_of(dprc), MOVE_TO_USER);
    ck_assert_int_eq(move_of(dpni), MOVE_STAYS);
    ck_assert_int_eq(move_of(dpbp), MOVE_STAYS);
    ck_assert_int_eq(move_of(beside), MOVE_TO_USER);
    ck_assert(device_follows_container(dpni) && !device_follows_container(dprc));
    ck_assert(group_has_user_afterwards(dprc->group, NULL, 0));
    /* One on another bus, and objects whose container has left already, go by themselves. */
    struct device *other = put_other(&model, CONTAINER "/x", "platform", "x", 7);
    ck_assert_int_eq(move_of(other), MOVE_TO_USER);
    put_other(&model, CONTAINER, "fsl-mc", "vfio-fsl-mc", 7);
    ck_assert_int_eq(move_of(dprc), MOVE_STAYS);
    ck_assert_int_eq(move_of(dpni), MOVE_TO_USER);
    ck_assert_int_eq(move_of(dpbp), MOVE_TO_USER);
}
END_TEST

/* A bridge is nobody's to use: a counted driver leaves it, the others stay. */
START_TEST(test_bridges) {
    static const struct {
        const char *driver;
        enum move move;
    } cases[] = {
        {NULL, MOVE_STAYS}, {"pcieport", MOVE_STAYS}, {"shpchp", MOVE_UNBOUND},
    };
    struct device *bridge = put_bridge(&model, PCI("1c.0"), cases[_i].driver, 7);

    put_nic(&model, PCI("05.0"), "e1000e", 7);
    ck_assert_int_eq(move_of(bridge), cases[_i].move);
    name(bridge);
    ck_assert_int_eq(move_of(bridge), cases[_i].move);
    ck_assert(group_has_user_afterwards(bridge->group, NULL, 0));
}
END_TEST

/* Whoever asks for a group without a driver wants to have something of it. */
START_TEST(test_group_without_user) {
    struct device *first = put_nic(&model, PCI("05.0"), NULL, 7);
    struct device *second = put_nic(&model, PCI("05.1"), NULL, 7);
    struct device *bridge = put_bridge(&model, PCI("1c.0"), NULL, 7);

    ck_assert_int_eq(move_of(first), MOVE_TO_USER);
    ck_assert_int_eq(move_of(second), MOVE_TO_USER);
    ck_assert_int_eq(move_of(bridge), MOVE_STAYS);
    ck_assert(group_has_user_afterwards(first->group, NULL, 0));
    name(first); /* then there is a user, and the other one is only kept from drivers */
    ck_assert_int_eq(move_of(first), MOVE_TO_USER);
    ck_assert_int_eq(move_of(second), MOVE_PINNED);
    put_nic(&model, PCI("05.2"), "vfio-pci", 7);
    n_named = 0;
    ck_assert_int_eq(move_of(first), MOVE_PINNED);
}
END_TEST

START_TEST(test_no_user_possible) {
    struct device *bridge = put_bridge(&model, PCI("1c.0"), "shpchp", 7);
    struct group *group = bridge->group;

    ck_assert(!group_has_user_afterwards(group, NULL, 0));
    put_bridge(&model, PCI("1c.1"), "pcieport", 7);
    put_nic(&model, PCI("05.0"), "pci-stub", 7);
    ck_assert(!group_has_user_afterwards(group, NULL, 0));
    put_nic(&model, PCI("05.1"), NULL, 7);
    ck_assert(group_has_user_afterwards(group, NULL, 0));
}
END_TEST

/* Named in one group makes no difference in another. */
START_TEST(test_named_elsewhere) {
    struct device *other = put_nic(&model, PCI("06.0"), NULL, 8);

    put_nic(&model, PCI("06.1"), "e1000e", 8);
    name(put_nic(&model, PCI("05.0"), NULL, 7));
    ck_assert_int_eq(move_of(other), MOVE_PINNED);
}
END_TEST

/* What was pinned before is not pinned once more; and a device without a group is moved alone. */
START_TEST(test_on_record) {
    struct detachment_member member = {.move = MOVE_PINNED, .driver = (char *)""};
    struct device *pinned = put_nic(&model, PCI("05.0"), NULL, 7);
    struct device *alone = put_nic(&model, PCI("06.0"), "e1000e", GROUP_NONE);

    put_nic(&model, PCI("05.1"), "vfio-pci", 7);
    ck_assert_int_eq(move_of(pinned), MOVE_PINNED);
    pinned->detached = &member;
    ck_assert_int_eq(move_of(pinned), MOVE_STAYS);
    name(pinned);
    ck_assert_int_eq(move_of(pinned), MOVE_TO_USER);
    ck_assert_int_eq(move_of(alone), MOVE_TO_USER);
    pinned->detached = NULL;
}
END_TEST

/* ---- Steps */

static struct detachment_member make_member(enum move move, const char *driver, const char *override,
                                            const char *target) {
    return (struct detachment_member){
        .path = (char *)PCI("05.0"),
        .bus = (char *)"pci",
        .group = 7,
        .move = move,
        .driver = (char *)driver,
        .override = (char *)override,
        .target = (char *)target,
        .vfs = -1,
        .autoprobe = -1,
    };
}

/* "unbind(e1000e,) bind(,vfio-pci)". One at a time. */
static const char *steps_text(const struct step *steps, size_t n) {
    static char text[512];
    size_t used = 0;

    ck_assert_uint_le(n, STEPS_MAX);
    text[0] = 0;
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s(%s,%s)", used ? " " : "",
                                 step_kind_to_string(steps[i].kind), steps[i].from, steps[i].to);
    return text;
}

static const char *away(const struct detachment_member *member) {
    struct step steps[STEPS_MAX];

    return steps_text(steps, steps_away(member, steps));
}

static const char *back(const struct detachment_member *member, enum way_back way, bool soiled) {
    struct step steps[STEPS_MAX];

    return steps_text(steps, steps_back(member, way, soiled, steps));
}

START_TEST(test_steps_of_target) {
    struct detachment_member member = make_member(MOVE_TO_USER, "e1000e", "", "vfio-pci");

    ck_assert_str_eq(away(&member),
                     "override(,vfio-pci) unbind(e1000e,) bind(,vfio-pci)");
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false),
                     "unbind(vfio-pci,) override(vfio-pci,) bind(,e1000e)");
    ck_assert_str_eq(back(&member, WAY_BACK_PROBED, false),
                     "unbind(vfio-pci,) override(vfio-pci,) bind(,e1000e)");
    ck_assert_str_eq(back(&member, WAY_BACK_PROBED, true),
                     "reset(,) unbind(vfio-pci,) override(vfio-pci,) bind(,e1000e)");
}
END_TEST

/* What was overridden before is so again. */
START_TEST(test_steps_with_override) {
    struct detachment_member member = make_member(MOVE_TO_USER, "igb_mine", "igb_mine", "vfio-pci");

    ck_assert_str_eq(away(&member),
                     "override(igb_mine,vfio-pci) unbind(igb_mine,) bind(,vfio-pci)");
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false),
                     "unbind(vfio-pci,) override(vfio-pci,igb_mine) bind(,igb_mine)");
    member.override = NULL; /* a bus without */
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false),
                     "unbind(vfio-pci,) override(vfio-pci,) bind(,igb_mine)");
    member.override = (char *)"for_later"; /* and would keep its own driver out */
    ck_assert_str_eq(away(&member),
                     "override(for_later,vfio-pci) unbind(igb_mine,) bind(,vfio-pci)");
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false),
                     "unbind(vfio-pci,) override(vfio-pci,igb_mine) bind(,igb_mine) "
                     "override(igb_mine,for_later)");
}
END_TEST

/* One that had no driver: a rollback leaves it so, a Reattach asks the kernel. */
START_TEST(test_steps_of_free) {
    struct detachment_member member = make_member(MOVE_TO_USER, "", "", "vfio-pci");

    ck_assert_str_eq(away(&member), "override(,vfio-pci) bind(,vfio-pci)");
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false),
                     "unbind(vfio-pci,) override(vfio-pci,)");
    ck_assert_str_eq(back(&member, WAY_BACK_PROBED, false),
                     "unbind(vfio-pci,) override(vfio-pci,) probe(,)");
}
END_TEST

START_TEST(test_steps_of_pinned) {
    struct detachment_member member = make_member(MOVE_PINNED, "", "", "");

    ck_assert_str_eq(away(&member), "pin(," PIN_DRIVER ")");
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false), "override(" PIN_DRIVER ",)");
    ck_assert_str_eq(back(&member, WAY_BACK_PROBED, false), "override(" PIN_DRIVER ",) probe(,)");
    /* Nobody could open it. */
    ck_assert_str_eq(back(&member, WAY_BACK_PROBED, true), "override(" PIN_DRIVER ",) probe(,)");
}
END_TEST

START_TEST(test_steps_of_bridge) {
    struct detachment_member member = make_member(MOVE_UNBOUND, "shpchp", "", "");

    ck_assert_str_eq(away(&member), "pin(," PIN_DRIVER ") unbind(shpchp,)");
    for (int way = WAY_BACK_EXACT; way <= WAY_BACK_PROBED; way++)
        ck_assert_str_eq(back(&member, (enum way_back)way, true),
                         "override(" PIN_DRIVER ",) bind(,shpchp)");
}
END_TEST

START_TEST(test_steps_of_what_stays) {
    struct detachment_member member = make_member(MOVE_STAYS, "pcieport", "", "");

    ck_assert_str_eq(away(&member), "stay(pcieport,pcieport)");
    member.driver = (char *)"";
    ck_assert_str_eq(away(&member), "stay(,)");
    /* An object whose container leaves. */
    member = make_member(MOVE_STAYS, "fsl_dpaa2_eth", "", "vfio-fsl-mc");
    ck_assert_str_eq(away(&member), "stay(fsl_dpaa2_eth,vfio-fsl-mc)");
}
END_TEST

/* VFs go before their PF's driver does, and come when it is back, under the setting of before. */
START_TEST(test_steps_of_pf) {
    struct detachment_member member = make_member(MOVE_TO_USER, "igb", "", "vfio-pci");

    member.vfs = 4;
    member.autoprobe = 1;
    ck_assert_str_eq(away(&member), "numvfs(4,0) autoprobe(1,0) override(,vfio-pci) unbind(igb,) "
                                    "bind(,vfio-pci)");
    ck_assert_str_eq(back(&member, WAY_BACK_PROBED, true),
                     "reset(,) autoprobe(0,1) unbind(vfio-pci,) override(vfio-pci,) bind(,igb) "
                     "numvfs(0,4)");
    member.vfs = 0;
    ck_assert_str_eq(away(&member),
                     "autoprobe(1,0) override(,vfio-pci) unbind(igb,) bind(,vfio-pci)");
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false),
                     "autoprobe(0,1) unbind(vfio-pci,) override(vfio-pci,) bind(,igb)");
    member.vfs = 65535;
    member.autoprobe = 0;
    ck_assert_str_eq(away(&member),
                     "numvfs(65535,0) override(,vfio-pci) unbind(igb,) bind(,vfio-pci)");
    ck_assert_str_eq(back(&member, WAY_BACK_EXACT, false),
                     "unbind(vfio-pci,) override(vfio-pci,) bind(,igb) numvfs(0,65535)");
}
END_TEST

/* ---- Sentences */

static const struct {
    struct step step;
    const char *says;
} texts[] = {
    {{.kind = STEP_STAY, .from = "pcieport", .to = "pcieport"}, "Device d stays on pcieport."},
    {{.kind = STEP_STAY, .from = "", .to = ""}, "Device d stays without a driver."},
    {{.kind = STEP_LOAD, .from = "", .to = "vfio_pci"}, "Load module vfio_pci."},
    {{.kind = STEP_NUMVFS, .from = "4", .to = "0"},
     "Device d: set the number of its VFs from 4 to 0."},
    {{.kind = STEP_AUTOPROBE, .from = "1", .to = "0"},
     "Device d: let host drivers take its VFs: no."},
    {{.kind = STEP_AUTOPROBE, .from = "0", .to = "1"},
     "Device d: let host drivers take its VFs: yes."},
    {{.kind = STEP_RESET, .from = "", .to = ""}, "Device d: clear bus mastering and reset it."},
    {{.kind = STEP_PIN, .from = "", .to = PIN_DRIVER},
     "Device d: pin it, so that no driver takes it."},
    {{.kind = STEP_OVERRIDE, .from = "", .to = "vfio-pci"},
     "Device d: set driver_override to vfio-pci."},
    {{.kind = STEP_OVERRIDE, .from = "vfio-pci", .to = ""},
     "Device d: clear driver_override (vfio-pci)."},
    {{.kind = STEP_OVERRIDE, .from = "", .to = ""}, "Device d: clear driver_override (none)."},
    {{.kind = STEP_UNBIND, .from = "e1000e", .to = ""}, "Device d: unbind it from e1000e."},
    {{.kind = STEP_BIND, .from = "", .to = "vfio-pci"}, "Device d: bind it to vfio-pci."},
    {{.kind = STEP_STAY, .from = "fsl_dpaa2_eth", .to = "vfio-fsl-mc"},
     "Device d goes to vfio-fsl-mc with its container."},
    {{.kind = STEP_PROBE, .from = "", .to = ""}, "Device d: ask the kernel for a driver."},
};

START_TEST(test_text) {
    _cleanup_(freep) char *text = step_text(&texts[_i].step, "d");

    ck_assert_str_eq(text, texts[_i].says);
}
END_TEST

/* ---- Words, and members */

START_TEST(test_words) {
    enum detachment_state state = DETACHMENT_STATE_MAX;
    enum move move = MOVE_PINNED;

    for (int i = 0; i < DETACHMENT_STATE_MAX; i++) {
        ck_assert_int_eq(
            detachment_state_from_string(detachment_state_to_string((enum detachment_state)i), &state),
            0);
        ck_assert_int_eq(state, i);
    }
    for (int i = MOVE_STAYS; i <= MOVE_UNBOUND; i++) {
        ck_assert_int_eq(move_from_string(move_to_string((enum move)i), &move), 0);
        ck_assert_int_eq(move, i);
    }
    ck_assert_int_eq(detachment_state_from_string("", &state), -EINVAL);
    ck_assert_int_eq(detachment_state_from_string("Detached", &state), -EINVAL);
    ck_assert_int_eq(move_from_string("pinned ", &move), -EINVAL);
    ck_assert_int_eq(move, MOVE_UNBOUND);
    for (int i = 0; i < STEP_KIND_MAX; i++)
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(step_kind_to_string((enum step_kind)i),
                             step_kind_to_string((enum step_kind)j));
}
END_TEST

START_TEST(test_members) {
    _cleanup_(detachment_freep) struct detachment *detachment = detachment_new(3);
    static const char *const paths[] = {PCI("05.0"), PCI("05.1"), PCI("06.0")};

    for (size_t i = 0; i < 3; i++)
        detachment->members[detachment->n_members++] = (struct detachment_member){
            .path = strdup(paths[i]), .driver = strdup("e1000e"), .group = 7 + (uint32_t)i / 2};
    ck_assert_ptr_eq(detachment_find(detachment, paths[1]), &detachment->members[1]);
    ck_assert_ptr_null(detachment_find(detachment, PCI("05.2")));
    ck_assert(detachment_has_group(detachment, 8));
    detachment_remove(detachment, 2);
    ck_assert(!detachment_has_group(detachment, 8));
    detachment_remove(detachment, 0);
    ck_assert_uint_eq(detachment->n_members, 1);
    ck_assert_str_eq(detachment->members[0].path, paths[1]);
    detachment_remove(detachment, 0);
    ck_assert(!detachment_has_group(detachment, 7));
}
END_TEST

/* Rules go by the driver that the host had, and "none" stays none. */
START_TEST(test_host_driver) {
    struct detachment_member member = make_member(MOVE_TO_USER, "e1000e", "", "vfio-pci");
    struct device *device = put_nic(&model, PCI("05.0"), "vfio-pci", 7);

    ck_assert_str_eq(device_host_driver(device), "vfio-pci");
    device->detached = &member;
    ck_assert_str_eq(device_host_driver(device), "e1000e");
    member.driver = (char *)"";
    ck_assert_ptr_null(device_host_driver(device));
    device->detached = NULL;
}
END_TEST

static void start(void) {
    n_named = 0;
    set_up();
}

int main(void) {
    Suite *suite = suite_create("detachment");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, start, tear_down);
    tcase_add_loop_test(all, test_roles, 0, 7);
    tcase_add_test(all, test_container);
    tcase_add_loop_test(all, test_bridges, 0, 3);
    tcase_add_test(all, test_group_without_user);
    tcase_add_test(all, test_no_user_possible);
    tcase_add_test(all, test_named_elsewhere);
    tcase_add_test(all, test_on_record);
    tcase_add_test(all, test_steps_of_target);
    tcase_add_test(all, test_steps_with_override);
    tcase_add_test(all, test_steps_of_free);
    tcase_add_test(all, test_steps_of_pinned);
    tcase_add_test(all, test_steps_of_bridge);
    tcase_add_test(all, test_steps_of_what_stays);
    tcase_add_test(all, test_steps_of_pf);
    tcase_add_loop_test(all, test_text, 0, ELEMENTS_OF(texts));
    tcase_add_test(all, test_words);
    tcase_add_test(all, test_members);
    tcase_add_test(all, test_host_driver);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
