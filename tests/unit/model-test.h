/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the pure layer share: short ways to say what sysfs said, and the end of main. */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/lease.h"
#include "model/model.h"
#include "util/string.h"

#define PCI(slot) "devices/pci0000:00/0000:00:" slot
#define NIC_MODALIAS "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00"

/* An Ethernet controller on PCI. */
static inline struct device_facts nic_facts(const char *path, const char *driver, int64_t group) {
    return (struct device_facts){
        .path = path,
        .bus = "pci",
        .driver = driver,
        .modalias = NIC_MODALIAS,
        .reset_methods = "flr bus",
        .group = group,
        .has_ids = true,
        .vendor = 0x8086,
        .product = 0x10d3,
        .subsystem_vendor = 0x8086,
        .subsystem_product = 0xa01f,
        .class = 0x020000,
        .numa_node = -1,
    };
}

/* A bridge between two PCI buses. */
static inline struct device_facts bridge_facts(const char *path, const char *driver, int64_t group) {
    struct device_facts facts = nic_facts(path, driver, group);

    facts.modalias = "pci:v00008086d00003420sv00000000sd00000000bc06sc04i00";
    facts.product = 0x3420;
    facts.class = 0x060400;
    facts.reset_methods = "";
    return facts;
}

/* A device on another bus, without PCI's numbers. */
static inline struct device_facts other_facts(const char *path, const char *bus, const char *driver,
                                              int64_t group) {
    return (struct device_facts){
        .path = path, .bus = bus, .driver = driver, .group = group, .numa_node = -1};
}

static inline struct device *put(struct model *model, const struct device_facts *facts) {
    struct device *device = NULL;

    ck_assert_int_eq(model_update_device(model, facts, &device), 0);
    ck_assert_ptr_nonnull(device);
    return device;
}

static inline struct device *put_nic(struct model *model, const char *path, const char *driver,
                                     int64_t group) {
    struct device_facts facts = nic_facts(path, driver, group);

    return put(model, &facts);
}

static inline struct device *put_bridge(struct model *model, const char *path, const char *driver,
                                        int64_t group) {
    struct device_facts facts = bridge_facts(path, driver, group);

    return put(model, &facts);
}

static inline struct device *put_other(struct model *model, const char *path, const char *bus,
                                       const char *driver, int64_t group) {
    struct device_facts facts = other_facts(path, bus, driver, group);

    return put(model, &facts);
}

/* Runs the suite with TAP on stdout. */
static inline int model_main(Suite *suite) {
    SRunner *runner = srunner_create(suite);

    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
