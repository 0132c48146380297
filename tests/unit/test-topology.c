/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why PCI devices share a group, out of configuration space alone. */

#include <check.h>
#include <stdlib.h>

#include "client/topology-config.h"
#include "client/topology-text.h"
#include "topology-fixture.h"
#include "util/cleanup.h"

/* The hierarchy of a test: a device, what is above it, and a second device. */
static struct space first, second, bridge, port;

/* Two chains with their functions. */
struct pair {
    struct topology_function a[4], b[4];
    size_t n_a, n_b;
};

static struct topology_answer explain(const struct pair *pair) {
    struct topology_chain a = {pair->a, pair->n_a}, b = {pair->b, pair->n_b};
    struct topology_answer forward = topology_explain(&a, &b), backward = topology_explain(&b, &a);

    /* It does not matter which is asked about first. */
    ck_assert_int_eq(forward.reason, backward.reason);
    ck_assert_uint_eq(forward.missing, backward.missing);
    return forward;
}

/* Two devices below a port. */
static struct pair below_port(void) {
    return (struct pair){
        .a = {space_function(&first, "0000:01:00.0"), space_function(&port, "0000:00:04.0")},
        .b = {space_function(&second, "0000:01:01.0"), space_function(&port, "0000:00:04.0")},
        .n_a = 2,
        .n_b = 2,
    };
}

static void check_text(const struct topology_answer *answer, const char *part) {
    _cleanup_(freep) char *text = topology_text(answer), *way_out = topology_way_out(answer);

    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(way_out);
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in '%s'", part, text);
    ck_assert(*way_out || answer->reason == TOPOLOGY_UNKNOWN);
}

START_TEST(test_port_without_acs) {
    space_express(&first, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&second, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&port, 1, PCI_EXP_TYPE_ROOT_PORT);
    struct pair pair = below_port();
    struct topology_answer answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_PORT_WITHOUT_ACS);
    ck_assert_str_eq(answer.cause, "0000:00:04.0");
    check_text(&answer, "The port 0000:00:04.0 has no ACS");
    /* The port is in the group too, and why is the same. */
    pair.b[0] = pair.b[1];
    pair.n_b = 1;
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_PORT_WITHOUT_ACS);
    /* One that the kernel knows better is not in the group. */
    pair.a[1].member = pair.b[0].member = false;
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
}
END_TEST

START_TEST(test_port_with_acs) {
    space_express(&first, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&second, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&port, 1, PCI_EXP_TYPE_ROOT_PORT);
    space_acs(&port, ACS_ALL, ACS_KERNEL);
    struct pair pair = below_port();
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    /* Offered and not on. */
    space_acs(&port, ACS_ALL, TOPOLOGY_ACS_SOURCE_VALIDATION | TOPOLOGY_ACS_REQUEST_REDIRECT);
    struct topology_answer answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_PORT_ACS_OFF);
    ck_assert_uint_eq(answer.missing,
                      TOPOLOGY_ACS_COMPLETION_REDIRECT | TOPOLOGY_ACS_UPSTREAM_FORWARDING);
    check_text(&answer, "completion-redirect, upstream-forwarding");
    /* What is not offered is not missing. */
    space_acs(&port, TOPOLOGY_ACS_SOURCE_VALIDATION, TOPOLOGY_ACS_SOURCE_VALIDATION);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    /* Egress control is nobody's concern. */
    space_acs(&port, ACS_ALL | 0x20, ACS_KERNEL);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
}
END_TEST

/* A port with ACS, a bridge, two devices of conventional PCI. */
static struct pair below_bridge(void) {
    space_conventional(&first, 0);
    space_conventional(&second, 0);
    space_express(&port, 1, PCI_EXP_TYPE_ROOT_PORT);
    space_acs(&port, ACS_ALL, ACS_KERNEL);
    return (struct pair){
        .a = {space_function(&first, "0000:02:01.0"), space_function(&bridge, "0000:01:00.0"),
              space_function(&port, "0000:00:08.0")},
        .b = {space_function(&second, "0000:02:02.0"), space_function(&bridge, "0000:01:00.0"),
              space_function(&port, "0000:00:08.0")},
        .n_a = 3,
        .n_b = 3,
    };
}

START_TEST(test_bridges) {
    static const struct {
        unsigned type;
        enum topology_reason reason;
    } express[] = {
        {PCI_EXP_TYPE_PCI_BRIDGE, TOPOLOGY_PCIE_TO_PCI_BRIDGE},
        {PCI_EXP_TYPE_PCIE_BRIDGE, TOPOLOGY_LEGACY_BRIDGE},
    };

    for (size_t i = 0; i < ELEMENTS_OF(express); i++) {
        space_express(&bridge, 1, express[i].type);
        struct pair pair = below_bridge();
        pair.a[1].length = pair.b[1].length = bridge.length;
        struct topology_answer answer = explain(&pair);
        ck_assert_int_eq(answer.reason, express[i].reason);
        ck_assert_str_eq(answer.cause, "0000:01:00.0");
        check_text(&answer, "0000:01:00.0");
        /* The port has ACS: it is not in the group, and not the cause. */
        pair.b[0] = pair.b[1];
        pair.b[1] = pair.b[2];
        pair.n_b = 2;
        ck_assert_int_eq(explain(&pair).reason, express[i].reason);
    }
    /* CardBus has its list of capabilities elsewhere. */
    space_conventional(&bridge, PCI_HEADER_TYPE_CARDBUS);
    space_put(&bridge, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
    struct pair pair = below_bridge();
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_LEGACY_BRIDGE);
}
END_TEST

/* i82801b11-bridge with a pci-bridge below: neither has anything of PCI Express. */
START_TEST(test_legacy_bridges) {
    static struct space upper;

    space_conventional(&bridge, 1);
    space_conventional(&upper, 1);
    struct pair pair = below_bridge();
    pair.a[2] = pair.b[2] = space_function(&upper, "0000:00:09.0");
    struct topology_answer answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_LEGACY_BRIDGE);
    ck_assert_str_eq(answer.cause, "0000:01:00.0");
    /* A device that is behind the upper one only. */
    pair.b[1] = pair.b[2];
    pair.n_b = 2;
    answer = explain(&pair);
    ck_assert_str_eq(answer.cause, "0000:00:09.0");
}
END_TEST

/* x3130: an upstream port, two downstream ports; root port with ACS. */
START_TEST(test_switch) {
    static struct space upstream, downstream;

    space_express(&first, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&port, 1, PCI_EXP_TYPE_ROOT_PORT);
    space_acs(&port, ACS_ALL, ACS_KERNEL);
    space_express(&upstream, 1, PCI_EXP_TYPE_UPSTREAM);
    space_express(&downstream, 1, PCI_EXP_TYPE_DOWNSTREAM);
    struct pair pair = {
        .a = {space_function(&first, "0000:03:00.0"), space_function(&downstream, "0000:02:00.0"),
              space_function(&upstream, "0000:01:00.0"), space_function(&port, "0000:00:0a.0")},
        .b = {space_function(&downstream, "0000:02:00.0"), space_function(&upstream, "0000:01:00.0"),
              space_function(&port, "0000:00:0a.0")},
        .n_a = 4,
        .n_b = 3,
    };
    struct topology_answer answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_PORT_WITHOUT_ACS);
    ck_assert_str_eq(answer.cause, "0000:02:00.0");
    /* Devices below two downstream ports meet at the upstream port, which keeps apart. */
    pair.b[0] = space_function(&first, "0000:04:00.0");
    pair.b[1] = space_function(&downstream, "0000:02:01.0");
    pair.b[2] = space_function(&upstream, "0000:01:00.0");
    pair.b[3] = space_function(&port, "0000:00:0a.0");
    pair.n_b = 4;
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    /* A root port without ACS joins everything below. */
    space_express(&port, 1, PCI_EXP_TYPE_ROOT_PORT);
    answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_PORT_WITHOUT_ACS);
    ck_assert_str_eq(answer.cause, "0000:00:0a.0");
}
END_TEST

START_TEST(test_multifunction) {
    struct pair pair = {.n_a = 1, .n_b = 1};

    space_express(&first, 0x80, PCI_EXP_TYPE_ENDPOINT);
    space_express(&second, 0x80, PCI_EXP_TYPE_ENDPOINT);
    pair.a[0] = space_function(&first, "0000:00:03.0");
    pair.b[0] = space_function(&second, "0000:00:03.1");
    struct topology_answer answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_MULTIFUNCTION);
    ck_assert_str_eq(answer.cause, "0000:00:03.0");
    ck_assert_str_eq(answer.other, "0000:00:03.1");
    check_text(&answer, "The functions of slot 0000:00:03 have no ACS:");
    /* Only one of the two has it, and it is off. */
    space_acs(&second, ACS_KERNEL, 0);
    answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_MULTIFUNCTION);
    ck_assert_uint_eq(answer.missing, ACS_KERNEL);
    space_acs(&first, ACS_KERNEL, ACS_KERNEL & ~TOPOLOGY_ACS_UPSTREAM_FORWARDING);
    answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_MULTIFUNCTION_ACS_OFF);
    check_text(&answer, "have ACS that is not switched on (source-validation, ");
    space_acs(&second, ACS_KERNEL, ACS_KERNEL);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    /* Conventional PCI has none. */
    space_conventional(&first, 0);
    space_conventional(&second, 0);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    space_conventional(&first, 0x80);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_MULTIFUNCTION);
    /* Another slot, another bus, a VF: they are no neighbours. */
    pair.b[0].name = "0000:00:04.1";
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    pair.b[0].name = "0001:00:03.1";
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    pair.b[0].name = "0000:00:03.1";
    pair.b[0].virtual = true;
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
}
END_TEST

/* Two root ports in one slot, without ACS, and what is below them: one group of four. */
START_TEST(test_ports_in_a_slot) {
    space_express(&first, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&second, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&port, 0x81, PCI_EXP_TYPE_ROOT_PORT);
    space_express(&bridge, 0x81, PCI_EXP_TYPE_ROOT_PORT);
    struct topology_function functions[4][2] = {
        {space_function(&port, "0000:00:07.0")},
        {space_function(&bridge, "0000:00:07.1")},
        {space_function(&first, "0000:05:00.0"), space_function(&port, "0000:00:07.0")},
        {space_function(&second, "0000:06:00.0"), space_function(&bridge, "0000:00:07.1")},
    };
    struct topology_chain chains[] = {
        {functions[0], 1}, {functions[1], 1}, {functions[2], 2}, {functions[3], 2}};
    struct topology_answer answers[4];
    size_t with[4];

    topology_explain_group(chains, 4, answers, with);
    ck_assert_int_eq(answers[1].reason, TOPOLOGY_MULTIFUNCTION);
    ck_assert_int_eq(answers[2].reason, TOPOLOGY_PORT_WITHOUT_ACS);
    ck_assert_uint_eq(with[2], 0);
    ck_assert_int_eq(answers[3].reason, TOPOLOGY_PORT_WITHOUT_ACS);
    ck_assert_uint_eq(with[3], 1);
    /* Without the second port in the list it is the first port's neighbour all the same. */
    topology_explain_group(chains + 2, 2, answers, with);
    ck_assert_int_eq(answers[1].reason, TOPOLOGY_MULTIFUNCTION);
    ck_assert_str_eq(answers[1].cause, "0000:00:07.1");
    ck_assert_str_eq(answers[1].other, "0000:00:07.0");
}
END_TEST

/* Nothing is known to join them. */
START_TEST(test_unknown) {
    space_conventional(&first, 0);
    struct topology_function functions[] = {space_function(&first, "0000:00:05.0"),
                                            space_function(&first, "0000:00:06.0")};
    struct topology_chain chains[] = {{&functions[0], 1}, {&functions[1], 1}};
    struct topology_answer answers[2];
    size_t with[2];

    topology_explain_group(chains, 2, answers, with);
    ck_assert_int_eq(answers[1].reason, TOPOLOGY_UNKNOWN);
    ck_assert_uint_eq(with[1], 0);
    check_text(&answers[1], "Nothing");
}
END_TEST

/* A third device can be what joins two: 06.0 has nothing to do with 07.1, but with 07.0, which uses the
 * requester IDs of others. */
START_TEST(test_transitive) {
    space_conventional(&first, 0);
    space_conventional(&second, 0x80);
    space_conventional(&bridge, 0x80);
    space_put(&bridge, PCI_VENDOR_ID, 0x92301b4b, 4);
    struct topology_function functions[] = {space_function(&first, "0000:00:06.0"),
                                            space_function(&second, "0000:00:07.1"),
                                            space_function(&bridge, "0000:00:07.0")};
    struct topology_chain chains[] = {{&functions[0], 1}, {&functions[1], 1}, {&functions[2], 1}};
    struct topology_answer answers[3];
    size_t with[3];

    topology_explain_group(chains, 3, answers, with);
    ck_assert_int_eq(answers[2].reason, TOPOLOGY_ALIAS);
    ck_assert_uint_eq(with[2], 0);
    check_text(&answers[2], "because of 0000:00:07.0");
    ck_assert_int_eq(answers[1].reason, TOPOLOGY_MULTIFUNCTION);
    ck_assert_uint_eq(with[1], 2);
}
END_TEST

/* Intel VMD: an endpoint with a hierarchy of its own. */
START_TEST(test_hierarchy_behind_endpoint) {
    space_express(&first, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&second, 0, PCI_EXP_TYPE_RC_END);
    struct pair pair = {
        .a = {space_function(&first, "10000:e0:06.0"), space_function(&second, "0000:00:0e.0")},
        .b = {space_function(&second, "0000:00:0e.0")},
        .n_a = 2,
        .n_b = 1,
    };
    struct topology_answer answer = explain(&pair);
    ck_assert_int_eq(answer.reason, TOPOLOGY_ALIAS);
    ck_assert_str_eq(answer.cause, "0000:00:0e.0");
}
END_TEST

START_TEST(test_needs_root) {
    space_express(&first, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&second, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&port, 1, PCI_EXP_TYPE_ROOT_PORT);
    struct pair pair = below_port();
    for (size_t length = 0; length < 256; length += 64) {
        pair.a[0].length = pair.a[1].length = pair.b[0].length = pair.b[1].length = length;
        struct topology_answer answer = explain(&pair);
        ck_assert_int_eq(answer.reason, TOPOLOGY_NEEDS_ROOT);
        check_text(&answer, "could not be read in full; root can");
    }
    /* 256 bytes are all of it where the firmware does not give access to more: the kernel sees no ACS. */
    pair.a[1].length = pair.b[1].length = 256;
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_PORT_WITHOUT_ACS);
    /* All ones: the device does not answer. */
    memset(port.bytes, 0xff, sizeof(port.bytes));
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_NEEDS_ROOT);
}
END_TEST

/* Lists that lead back into themselves, beyond the end, or nowhere. */
START_TEST(test_hostile_lists) {
    space_express(&first, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&second, 0, PCI_EXP_TYPE_ENDPOINT);
    space_express(&port, 1, PCI_EXP_TYPE_ROOT_PORT);
    struct pair pair = below_port();
    space_put(&port, 0x100, PCI_EXT_CAP_ID_ERR | 1 << 16 | 0x100u << 20, 4);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_PORT_WITHOUT_ACS);
    space_put(&port, 0x100, PCI_EXT_CAP_ID_ERR | 1 << 16 | 0xffcu << 20, 4);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_PORT_WITHOUT_ACS);
    /* ACS in the last four bytes: its registers are not there, so it offers nothing. */
    space_put(&port, 0xffc, PCI_EXT_CAP_ID_ACS | 1 << 16, 4);
    ck_assert_int_eq(explain(&pair).reason, TOPOLOGY_UNKNOWN);
    space_put(&port, 0x40, PCI_CAP_ID_PM | 0x40 << 8, 2);
    ck_assert_int_eq(config_kind(&pair.a[1]), CONFIG_LEGACY);
    space_put(&port, PCI_CAPABILITY_LIST, 0xff, 1);
    ck_assert_int_eq(config_kind(&pair.a[1]), CONFIG_LEGACY);
    space_put(&port, PCI_CAPABILITY_LIST, 0x3c, 1);
    ck_assert_int_eq(config_kind(&pair.a[1]), CONFIG_LEGACY);
}
END_TEST

/* A copy of just this length, so that a read beyond the end is seen. */
static void explain_random(unsigned *seed) {
    static const char *const names[] = {"0000:01:00.0", "0000:01:00.1", "0000:00:04.0", "x", "", ".", ":"};
    struct topology_function functions[6];
    struct topology_chain chains[3] = {{functions, 2}, {functions + 2, 2}, {functions + 1, 4}};
    struct topology_answer answers[3];
    void *memory[6];
    size_t with[3];

    for (size_t i = 0; i < ELEMENTS_OF(functions); i++) {
        size_t length = (size_t)rand_r(seed) % (TOPOLOGY_CONFIG_MAX + 1);
        if (rand_r(seed) % 2)
            length = 256;
        uint8_t *bytes = memory[i] = malloc(length + 1);
        for (size_t j = 0; j < length; j++)
            bytes[j] = (uint8_t)rand_r(seed);
        if (length > PCI_HEADER_TYPE)
            bytes[PCI_HEADER_TYPE] &= 0x81;
        functions[i] = (struct topology_function){
            .name = names[(size_t)rand_r(seed) % ELEMENTS_OF(names)],
            .config = bytes,
            .length = length,
            .member = rand_r(seed) % 2,
            .virtual = rand_r(seed) % 2,
        };
    }
    topology_explain_group(chains, ELEMENTS_OF(chains), answers, with);
    for (size_t i = 0; i < ELEMENTS_OF(answers); i++) {
        _cleanup_(freep) char *text = topology_text(&answers[i]);
        ck_assert(with[i] < ELEMENTS_OF(chains) && text);
    }
    for (size_t i = 0; i < ELEMENTS_OF(memory); i++)
        free(memory[i]);
}

START_TEST(test_random_bytes) {
    unsigned seed = 4711;

    for (size_t i = 0; i < 5000; i++)
        explain_random(&seed);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("topology");
    TCase *tests = tcase_create("topology");

    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, test_port_without_acs);
    tcase_add_test(tests, test_port_with_acs);
    tcase_add_test(tests, test_bridges);
    tcase_add_test(tests, test_legacy_bridges);
    tcase_add_test(tests, test_switch);
    tcase_add_test(tests, test_multifunction);
    tcase_add_test(tests, test_ports_in_a_slot);
    tcase_add_test(tests, test_unknown);
    tcase_add_test(tests, test_transitive);
    tcase_add_test(tests, test_hierarchy_behind_endpoint);
    tcase_add_test(tests, test_needs_root);
    tcase_add_test(tests, test_hostile_lists);
    tcase_add_test(tests, test_random_bytes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
