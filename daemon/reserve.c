/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>

#include "kernel/driver-switch.h"
#include "kernel/module-load.h"
#include "record/audit.h"
#include "record/state.h"
#include "reserve-internal.h"
#include "util/fd.h"
#include "util/string.h"

#define SCAN_MARK "reserve-"
#define SCAN_NAME "scan"
#define LOCK_FILE "reserve-lock"

/* As many as a PF can have on its own bus. */
#define VFS_MAX 256

void reserve_refuse(const struct reserve *reserve, const struct device_reading *device,
                    const char *format, ...) {
    char reason[512];
    va_list arguments;

    if (reserve->scanning)
        return;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    log_message(LOG_NOTICE, "%s is not kept for userspace: %s.", path_basename(device->path), reason);
}

/* ---- VFs that are not there yet ------------------------------------------------------------ */

/* The product number of a PF's VFs. */
static int read_vf_product(const struct reserve *reserve, const char *path, uint32_t *ret) {
    _cleanup_(freep) char *attribute = string_format("%s/sriov_vf_device", path);
    char text[16], *end;

    if (!attribute)
        return -ENOMEM;
    ssize_t length = attribute_read(reserve->sysfs, attribute, text, sizeof(text));
    if (length <= 0)
        return length < 0 ? (int)length : -ENOENT;
    unsigned long value = strtoul(text, &end, 16);
    if (*end || value > UINT16_MAX)
        return -EBADMSG;
    *ret = (uint32_t)value;
    return 0;
}

/* A VF has the vendor and the class of its PF, and a product number of its own. Its subsystem and its
 * modalias are not known before it is there. */
static struct policy_device vf_view(const struct device_reading *pf, uint32_t product) {
    return (struct policy_device){
        .bus = pf->facts.bus,
        .has_ids = true,
        .vendor = pf->facts.vendor,
        .product = product,
        .class = pf->facts.class,
        .numa_node = pf->facts.numa_node,
        .removable = pf->facts.removable,
    };
}

/* How the VFs are numbered, from the PF on. */
struct vf_places {
    unsigned domain, pf; /* bus, device and function in one number */
    uint32_t offset, stride, total;
};

static int read_decimal(const struct reserve *reserve, const char *path, const char *attribute,
                        uint32_t *ret) {
    _cleanup_(freep) char *file = string_format("%s/%s", path, attribute);
    char text[16];

    if (!file)
        return -ENOMEM;
    ssize_t length = attribute_read(reserve->sysfs, file, text, sizeof(text));
    return length < 0 ? (int)length : parse_u32(text, ret);
}

static int read_vf_places(const struct reserve *reserve, const struct device_reading *pf,
                          struct vf_places *ret) {
    unsigned bus, device, function;
    struct vf_places places;

    if (sscanf(path_basename(pf->path), "%x:%2x:%2x.%1x", &places.domain, &bus, &device, &function) != 4)
        return -EINVAL;
    places.pf = bus << 8 | (device & 31) << 3 | (function & 7);
    int r = read_decimal(reserve, pf->path, "sriov_offset", &places.offset);
    if (r >= 0)
        r = read_decimal(reserve, pf->path, "sriov_stride", &places.stride);
    if (r >= 0)
        r = read_decimal(reserve, pf->path, "sriov_totalvfs", &places.total);
    if (r >= 0)
        *ret = places;
    return r;
}

/* The rule for the VF at place i, whose folder will be beside the PF's. */
static const struct policy_rule *rule_for_place(const struct reserve *reserve,
                                                const struct device_reading *pf, struct policy_device *vf,
                                                const struct vf_places *places, uint32_t i) {
    unsigned number = (places->pf + places->offset + places->stride * i) & 0xffff;
    int folder = (int)(path_basename(pf->path) - pf->path);
    char name[32], path[PATH_MAX];

    snprintf(name, sizeof(name), "%04x:%02x:%02x.%x", places->domain, number >> 8, (number >> 3) & 31,
             number & 7);
    snprintf(path, sizeof(path), "%.*s%s", folder, pf->path, name);
    vf->name = name;
    vf->path = path;
    const struct policy_rule *rule = policy_reserves(reserve->policy, vf);
    vf->name = vf->path = NULL;
    return rule;
}

/* The rule that reserves a VF, any of them. */
static const struct policy_rule *rule_for_vfs(const struct reserve *reserve,
                                              const struct device_reading *pf, uint32_t product) {
    struct policy_device vf = vf_view(pf, product);
    const struct policy_rule *rule = policy_reserves(reserve->policy, &vf);
    struct vf_places places;

    if (rule || read_vf_places(reserve, pf, &places) < 0)
        return rule;
    for (uint32_t i = 0; !rule && i < places.total && i < VFS_MAX; i++)
        rule = rule_for_place(reserve, pf, &vf, &places, i);
    return rule;
}

static int stop_autoprobe(const struct reserve *reserve, const struct device_reading *pf,
                          const struct policy_rule *rule) {
    _cleanup_(freep) char *attribute = string_format("%s/sriov_drivers_autoprobe", pf->path);
    const char *name = path_basename(pf->path);
    char before[16];

    if (!attribute)
        return -ENOMEM;
    ssize_t length = attribute_read(reserve->sysfs, attribute, before, sizeof(before));
    if (length < 0 || string_equal(before, "0"))
        return 0;
    int r = reserve_mark(reserve, AUTOPROBE_MARK, name, before, pf->path);
    if (r >= 0)
        r = reserve_write(reserve->sysfs, pf->path, "sriov_drivers_autoprobe", "0");
    if (r < 0) {
        reserve_unmark(reserve, AUTOPROBE_MARK, name);
        return r;
    }
    log_message(LOG_INFO, "No host driver takes the virtual functions of %s: the rule %s reserves them.",
                name, rule->name);
    return 0;
}

static int see_to_vfs(const struct reserve *reserve, const struct device_reading *device) {
    uint32_t product = 0;

    if (!device->facts.has_ids || read_vf_product(reserve, device->path, &product) < 0)
        return 0;
    const struct policy_rule *rule = rule_for_vfs(reserve, device, product);
    return rule ? stop_autoprobe(reserve, device, rule) : 0;
}

/* ---- One device ---------------------------------------------------------------------------- */

/* Without any IOMMU no VFIO driver takes a device, and to try would only keep the host from it. */
static bool has_iommu(const struct reserve *reserve) {
    _cleanup_(closedirp) DIR *folder = NULL;

    return directory_open(reserve->sysfs, "class/iommu", &folder) >= 0 && directory_next(folder);
}

/* Some IOMMUs give a device its group when a driver first probes it (arm64 before Linux 6.15,
 * virtio-iommu): then what the group is decides afterwards. */
static int bind_without_group(const struct reserve *reserve, struct device_reading *device,
                              const struct policy_rule *rule) {
    if (!has_iommu(reserve)) {
        reserve_refuse(reserve, device, "this machine has no IOMMU in use");
        return 0;
    }
    int r = reserve_bind(reserve, device, rule);
    if (r <= 0)
        return r;
    struct device_reading now;
    r = sysfs_read_device(reserve->sysfs, device->path, &now);
    if (r >= 0)
        r = now.facts.group == GROUP_NONE ? 0 : reserve_group_agrees(reserve, &now);
    if (r > 0)
        return 1;
    int undone = reserve_undo(reserve, device);
    return r < 0 ? r : undone;
}

static int bind_with_group(const struct reserve *reserve, struct device_reading *device,
                           const struct policy_rule *rule) {
    int r = reserve_group_agrees(reserve, device);

    return r > 0 ? reserve_bind(reserve, device, rule) : r;
}

/* A bus of those whose devices VFIO drivers take. */
static bool is_known_bus(const char *bus) {
    static const char *const buses[] = {"pci", "platform", "amba", "fsl-mc"};

    for (size_t i = 0; i < ELEMENTS_OF(buses); i++)
        if (string_equal(bus, buses[i]))
            return true;
    return false;
}

static int see_to_device(const struct reserve *reserve, struct device_reading *device) {
    const char *name = path_basename(device->path);
    int r = see_to_vfs(reserve, device);

    if (r < 0)
        log_message(LOG_WARNING, "%s: host drivers can not be kept from its virtual functions: %s.", name,
                    strerror(-r));
    const struct policy_rule *rule = reserve_rule(reserve->policy, device);
    if (!rule || device->facts.driver)
        return 0;
    r = device->facts.group == GROUP_NONE ? bind_without_group(reserve, device, rule)
                                          : bind_with_group(reserve, device, rule);
    if (r > 0)
        log_message(LOG_INFO, "%s is kept for userspace by the rule %s.", name, rule->name);
    return r;
}

/* What is wrong with one device is no reason to leave the others to host drivers. */
static int reserve_one(const char *path, void *userdata) {
    const struct reserve *reserve = userdata;
    struct device_reading device;
    int r = sysfs_read_device(reserve->sysfs, path, &device);

    if (r >= 0 && is_known_bus(device.facts.bus))
        r = see_to_device(reserve, &device);
    if (r < 0 && r != -ENOENT)
        log_message(LOG_ERR, "%s is not kept for userspace: %s.", path_basename(path), strerror(-r));
    return 0;
}

/* ---- The run ------------------------------------------------------------------------------- */

static int scan(struct reserve *reserve) {
    char done[8];

    if (reserve_read_mark(reserve, SCAN_MARK, SCAN_NAME, done, sizeof(done)) >= 0)
        return 0;
    reserve->scanning = true;
    int r = sysfs_list_bus_devices(reserve->sysfs, reserve_one, reserve);
    reserve->scanning = false;
    return r < 0 ? r : reserve_mark(reserve, SCAN_MARK, SCAN_NAME, "", "");
}

static int open_state(const char *path) {
    struct stat status;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    _cleanup_(fd_closep) int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &status) < 0)
        return -errno;
    return status.st_uid == geteuid() ? TAKE_FD(folder) : -EPERM;
}

/* One at a time: members of a group are added together. */
static int take_lock(int folder) {
    _cleanup_(fd_closep) int lock =
        openat(folder, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (lock < 0)
        return -errno;
    while (flock(lock, LOCK_EX) < 0)
        if (errno != EINTR)
            return -errno;
    return TAKE_FD(lock);
}

static int run(struct reserve *reserve, const char *path) {
    _cleanup_(fd_closep) int sysfs = fd_open_directory(AT_FDCWD, reserve->options.sysfs_directory);
    _cleanup_(fd_closep) int state = open_state(reserve->options.state_directory);

    if (sysfs < 0 || state < 0)
        return sysfs < 0 ? sysfs : state;
    _cleanup_(fd_closep) int lock = take_lock(state);
    if (lock < 0)
        return lock;
    reserve->sysfs = sysfs;
    reserve->state = state;
    int r = boot_id_read(reserve->boot_id);
    if (r >= 0)
        r = scan(reserve);
    /* Also after a scan: it may have come since, and if not there is to be said why. */
    return r < 0 ? r : reserve_one(path, reserve);
}

int reserve_device(const struct reserve_options *options, const char *device) {
    struct reserve reserve = {.options = *options};
    const char *path = *device == '/' ? device + 1 : device;
    _cleanup_(policy_freep) struct policy *policy = NULL;

    if (!string_after(path, "devices/")) {
        log_message(LOG_ERR, "\"%s\" is no path of a device; it begins with /devices/.", device);
        return -EINVAL;
    }
    if (!reserve_policy_may_apply(options->config_directory))
        return 0;
    int r = reserve_policy_load(options->config_directory, &policy);
    if (r != 0)
        return r < 0 ? r : 0;
    reserve.policy = policy;
    reserve.options.load_module = options->load_module ?: module_insert;
    reserve.options.bind_driver = options->bind_driver ?: driver_bind;
    r = run(&reserve, path);
    if (r < 0)
        log_message(LOG_ERR, "No device is kept for userspace: %s.", strerror(-r));
    return r;
}

static int see_to_vfs_of(const char *path, void *userdata) {
    const struct reserve *reserve = userdata;
    struct device_reading device;

    if (sysfs_read_device(reserve->sysfs, path, &device) >= 0)
        (void)see_to_vfs(reserve, &device);
    return 0;
}

int reserve_virtual_functions(const struct reserve_options *options) {
    struct reserve reserve = {.options = *options};
    _cleanup_(policy_freep) struct policy *policy = NULL;
    _cleanup_(fd_closep) int sysfs = fd_open_directory(AT_FDCWD, options->sysfs_directory);
    _cleanup_(fd_closep) int state = open_state(options->state_directory);
    int r = reserve_policy_load(options->config_directory, &policy);

    if (r != 0 || sysfs < 0 || state < 0)
        return r < 0 ? r : sysfs < 0 ? sysfs : state < 0 ? state : 0;
    reserve.policy = policy;
    reserve.sysfs = sysfs;
    reserve.state = state;
    r = boot_id_read(reserve.boot_id);
    return r < 0 ? r : sysfs_list_bus_devices(sysfs, see_to_vfs_of, &reserve);
}
