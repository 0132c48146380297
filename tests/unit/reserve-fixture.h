/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The machine of test-reserve.c: a tree that stands for sysfs, with two NICs and a port in group 7. The
 * kernel's part, to bind what has the override of a driver that was loaded, is played by the functions
 * that load modules and bind drivers. */

#include "reserve.h"

#include <errno.h>

#include "kernel/modules.h"
#include "kernel/usage.h"
#include "record/state.h"
#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

#define HOST "devices/pci0000:00/"
#define NIC "0000:00:05.0"
#define SIBLING "0000:00:05.1"
#define PORT "0000:00:04.0"
#define PF "0000:00:06.0"
#define NIC_ALIAS "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\n"
#define PORT_ALIAS "pci:v00001B36d0000000Csv00000000sd00000000bc06sc04i00\n"
#define RULE(match, more)                                                                          \
    "{\"version\":1,\"rules\":[{\"name\":\"nics\",\"effect\":\"allow\",\"match\":" match           \
    ",\"reserve\":true" more "}]}"
#define NICS "{\"vendor\":\"0x8086\",\"product\":\"0x10d3\"}"

static struct tree tree, places;
static char config[PATH_MAX], sysfs[PATH_MAX], state[PATH_MAX], modules[PATH_MAX], modprobe[PATH_MAX];
static char boot_id[37];
static const char *configuration[] = {modprobe, NULL};
static struct module_places where = {.directory = modules, .config_paths = configuration};
static int load_result, bind_result;
static const char *late_group; /* of NIC, if it gets one when it is probed first */

static void make_modules(void) {
    const char *source = getenv("top_srcdir") ?: "../..";
    char command[PATH_MAX * 2];

    tree_begin(&places);
    snprintf(command, sizeof(command), "'%s'/tests/fakekernel/make-modules %s 9.9", source, places.path);
    ck_assert_int_eq(system(command), 0);
}

static void remove_modules(void) {
    tree_end(&places);
}

/* ---- The tree ------------------------------------------------------------------------------ */

static const char *at(const char *name, const char *file) {
    static char path[8][PATH_MAX];
    static unsigned next;
    char *one = path[next++ % ELEMENTS_OF(path)];

    snprintf(one, PATH_MAX, "sys/" HOST "%s/%s", name, file);
    return one;
}

static void join(const char *name, const char *group) {
    char path[PATH_MAX], target[PATH_MAX];

    snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%s", group);
    tree_link(&tree, at(name, "iommu_group"), target);
    snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%s/devices/%s", group, name);
    snprintf(target, sizeof(target), "../../../../" HOST "%s", name);
    tree_link(&tree, path, target);
}

static void add(const char *name, const char *modalias, const char *group) {
    char path[PATH_MAX], target[PATH_MAX];

    tree_file(&tree, at(name, "modalias"), modalias);
    tree_file(&tree, at(name, "driver_override"), "(null)\n");
    tree_link(&tree, at(name, "subsystem"), "../../../bus/pci");
    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", name);
    snprintf(target, sizeof(target), "../../../" HOST "%s", name);
    tree_link(&tree, path, target);
    if (group)
        join(name, group);
}

static void give_driver(const char *name, const char *driver) {
    char target[PATH_MAX];

    snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
    tree_link(&tree, at(name, "driver"), target);
}

static void set_policy(const char *text) {
    tree_file(&tree, "etc/policy.json", text);
}

static void set_up(void) {
    load_result = bind_result = 0;
    late_group = NULL;
    tree_begin(&tree);
    tree_folder(&tree, "proc");
    tree_folder(&tree, "dev");
    tree_file(&tree, "proc/1/mountinfo", "");
    tree_file(&tree, "proc/swaps", "");
    tree_file(&tree, "proc/consoles", "");
    tree_file(&tree, "modprobe.d/test.conf", "");
    tree_folder(&tree, "etc/policy.d");
    tree_folder(&tree, "sys/module");
    tree_folder(&tree, "sys/class/iommu");
    tree_folder(&tree, "sys/bus/pci/drivers");
    tree_file(&tree, "sys/bus/pci/drivers_probe", "");
    snprintf(config, sizeof(config), "%s/etc", tree.path);
    snprintf(sysfs, sizeof(sysfs), "%s/sys", tree.path);
    snprintf(state, sizeof(state), "%s/state", tree.path);
    snprintf(modprobe, sizeof(modprobe), "%s/modprobe.d", tree.path);
    snprintf(modules, sizeof(modules), "%s/lib/modules/9.9", places.path);
    static char proc[PATH_MAX], dev[PATH_MAX];
    snprintf(proc, sizeof(proc), "%s/proc", tree.path);
    snprintf(dev, sizeof(dev), "%s/dev", tree.path);
    usage_use_folders(proc, dev);
    ck_assert_int_eq(boot_id_read(boot_id), 0);
    add(NIC, NIC_ALIAS, "7");
    add(SIBLING, NIC_ALIAS, "7");
    add(PORT, PORT_ALIAS, "7");
    give_driver(PORT, "pcieport");
}

static void tear_down(void) {
    tree_end(&tree);
}

/* The first line. */
static const char *line_of(const char *path) {
    static char text[PATH_MAX];
    _cleanup_(freep) char *found = NULL;

    if (file_read(tree.fd, path, sizeof(text) - 1, &found, NULL) < 0)
        return NULL;
    found[strcspn(found, "\n")] = 0;
    return strcpy(text, found);
}

static bool exists(const char *path) {
    return faccessat(tree.fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- The kernel ---------------------------------------------------------------------------- */

static void bind_overridden(const char *name) {
    const char *override = exists(at(name, "driver_override")) ? line_of(at(name, "driver_override")) : NULL;

    if (string_equal(override, "vfio-pci") && !exists(at(name, "driver"))) {
        give_driver(name, "vfio-pci");
        if (late_group && string_equal(name, NIC))
            join(name, late_group);
    }
}

static int load(const char *name) {
    ck_assert_str_eq(name, "vfio_pci");
    if (load_result < 0)
        return load_result;
    if (!exists("sys/bus/pci/drivers/vfio-pci/bind")) {
        tree_file(&tree, "sys/bus/pci/drivers/vfio-pci/bind", "");
        tree_file(&tree, "sys/bus/pci/drivers/vfio-pci/unbind", "");
    }
    bind_overridden(NIC);
    bind_overridden(SIBLING);
    bind_overridden(PF);
    return 0;
}

static int bind_driver(int folder, const char *bus, const char *name, const char *driver) {
    ck_assert_str_eq(bus, "pci");
    ck_assert_str_eq(driver, "vfio-pci");
    if (bind_result == 0)
        bind_overridden(name);
    return bind_result;
}

static int reserve(const char *device) {
    const struct reserve_options options = {
        .config_directory = config,
        .sysfs_directory = sysfs,
        .state_directory = state,
        .module_places = &where,
        .load_module = load,
        .bind_driver = bind_driver,
    };

    return reserve_device(&options, device);
}

static void expect_reserved(const char *name) {
    char target[PATH_MAX], marker[PATH_MAX];

    ck_assert_int_gt(link_read(tree.fd, at(name, "driver"), target, sizeof(target)), 0);
    ck_assert_str_eq(path_basename(target), "vfio-pci");
    ck_assert_str_eq(line_of(at(name, "driver_override")), "vfio-pci");
    snprintf(marker, sizeof(marker), "state/reserved-%s", name);
    ck_assert_str_eq(line_of(marker), boot_id);
}

static void expect_untouched(const char *name) {
    char marker[PATH_MAX];

    ck_assert(!exists(at(name, "driver")));
    ck_assert_str_eq(line_of(at(name, "driver_override")), "(null)");
    snprintf(marker, sizeof(marker), "state/reserved-%s", name);
    ck_assert(!exists(marker));
}
