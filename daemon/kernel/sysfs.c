/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices. A cold start reads every one of them, so a device costs as few system calls as its facts
 * allow: its folder is opened once, the PCI ids are taken from the one line of modalias, and files
 * that only some devices have are not looked for on others.
 *
 * A device can go between two of these calls, and then links read as missing, like those of a
 * device without driver or group. The link "subsystem" goes first, so it is read last: with it in
 * place, what was read before was read from a whole device. */
#include "kernel/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/path.h"
#include "util/fd.h"
#include "util/string.h"

/* Text that goes to the bus and into the log as it is, whatever the kernel was told to call it. */
static void text_clean(char *text) {
    if (text_is_printable(text))
        return;
    for (char *at = text; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
}

static void text_copy(char *ret, size_t size, const char *text) {
    size_t length = strnlen(text, size - 1);

    memcpy(ret, text, length);
    ret[length] = 0;
    text_clean(ret);
}

/* What a file or folder answers that goes away under the reader. */
static bool is_gone(int error) {
    return error == -ENOENT || error == -ENODEV || error == -ENOTDIR || error == -ENXIO;
}

/* Name of what a link of the device leads to. 1; 0 if there is no such link. Something that is
 * there and no link, or has no name, is called "?", so that a driver is not missed. */
static int link_name(int device, const char *link, char *ret, size_t size) {
    char target[PATH_MAX];
    ssize_t length = link_read(device, link, target, sizeof(target));

    if (is_gone((int)length))
        return 0;
    if (length < 0 && length != -EINVAL)
        return (int)length;
    const char *name = length > 0 ? path_basename(target) : "";
    text_copy(ret, size, *name ? name : "?");
    return 1;
}

/* One line that the device need not have: "" then. */
static int attribute_text(int device, const char *attribute, char *ret, size_t size) {
    ssize_t length = attribute_read(device, attribute, ret, size);

    if (is_gone((int)length) || length == -EFBIG || length == -EACCES || length == -EIO)
        length = 0;
    if (length < 0)
        return (int)length;
    ret[length] = 0;
    text_clean(ret);
    return 0;
}

/* Number of the group that the link "iommu_group" names, if it leads to a group that exists. */
static int group_number(int sysfs, int device, int64_t *ret) {
    char target[PATH_MAX], group[64];
    uint32_t id;
    ssize_t length = link_read(device, "iommu_group", target, sizeof(target));

    *ret = GROUP_NONE;
    if (is_gone((int)length) || length == -EINVAL)
        return 0;
    if (length < 0)
        return (int)length;
    char *slash = strrchr(target, '/');
    if (!slash || parse_u32(slash + 1, &id) < 0)
        return 0;
    *slash = 0;
    if (!string_equal(path_basename(target), "iommu_groups"))
        return 0;
    snprintf(group, sizeof(group), "kernel/iommu_groups/%u", id);
    if (faccessat(sysfs, group, F_OK, 0) == 0)
        *ret = id;
    return 0;
}

/* Name of the vfio device, "" without: only a VFIO driver makes the folder. */
static int vfio_device_name(int device, char *ret, size_t size) {
    _cleanup_(closedirp) DIR *folder = NULL;
    struct dirent *entry;
    int r = directory_open(device, "vfio-dev", &folder);

    ret[0] = 0;
    if (r < 0)
        return is_gone(r) ? 0 : r;
    while ((entry = directory_next(folder)))
        if (string_after(entry->d_name, "vfio")) {
            text_copy(ret, size, entry->d_name);
            break;
        }
    return 0;
}

/* What can change while the device stays. */
static int read_binding(int sysfs, int device, struct device_reading *reading) {
    struct device_facts *facts = &reading->facts;
    int64_t group;
    int bound = link_name(device, "driver", reading->driver, sizeof(reading->driver));

    if (bound < 0)
        return bound;
    reading->vfio_device[0] = 0;
    int r = 0;
    if (bound)
        r = vfio_device_name(device, reading->vfio_device, sizeof(reading->vfio_device));
    if (r >= 0)
        r = group_number(sysfs, device, &group);
    if (r < 0)
        return r;
    facts->driver = bound ? reading->driver : NULL;
    facts->vfio_device = reading->vfio_device[0] ? reading->vfio_device : NULL;
    facts->group = group;
    return 0;
}

static int read_reset_methods(int device, struct device_reading *reading) {
    reading->reset_methods[0] = 0;
    reading->facts.reset_methods = reading->reset_methods;
    return attribute_text(device, "reset_method", reading->reset_methods,
                          sizeof(reading->reset_methods));
}

/* The bus, and with it the proof that the device was whole until here. */
static int read_bus(int device, struct device_reading *reading) {
    int r = link_name(device, "subsystem", reading->bus, sizeof(reading->bus));

    if (r == 0)
        return -ENOENT;
    reading->facts.bus = reading->bus;
    return r < 0 ? r : 0;
}

/* Takes digits upper-case hexadecimal ones behind prefix; *text moves behind them. */
static bool take_hex(const char **text, const char *prefix, unsigned digits, uint32_t *ret) {
    const char *at = string_after(*text, prefix);
    uint32_t value = 0;

    if (!at)
        return false;
    for (unsigned i = 0; i < digits; i++, at++) {
        if (*at >= '0' && *at <= '9')
            value = value << 4 | (uint32_t)(*at - '0');
        else if (*at >= 'A' && *at <= 'F')
            value = value << 4 | (uint32_t)(*at - 'A' + 10);
        else
            return false;
    }
    *text = at;
    *ret = value;
    return true;
}

/* The ids out of pci:v00008086d000010D3sv00001AF4sd00001100bc02sc00i00. */
static void read_ids(struct device_facts *facts) {
    const char *at = facts->modalias;
    uint32_t base, sub, interface;

    if (!take_hex(&at, "pci:v", 8, &facts->vendor) || !take_hex(&at, "d", 8, &facts->product) ||
        !take_hex(&at, "sv", 8, &facts->subsystem_vendor) ||
        !take_hex(&at, "sd", 8, &facts->subsystem_product) || !take_hex(&at, "bc", 2, &base) ||
        !take_hex(&at, "sc", 2, &sub) || !take_hex(&at, "i", 2, &interface))
        return;
    facts->class = base << 16 | sub << 8 | interface;
    facts->has_ids = true;
}

static int read_numa_node(int device, int *ret) {
    char text[16], *end;
    int r = attribute_text(device, "numa_node", text, sizeof(text));

    if (r < 0)
        return r;
    long node = strtol(text, &end, 10);
    *ret = text[0] && !*end && node >= 0 && node < INT_MAX ? (int)node : -1;
    return 0;
}

/* The device tree's names for the device, a list with a NUL behind each. */
static int read_compatible(int device, struct device_reading *reading) {
    char *text = reading->compatible_text;
    size_t size = sizeof(reading->compatible_text), n = 0;
    ssize_t length = attribute_read(device, "of_node/compatible", text, size);

    if (is_gone((int)length))
        return 0;
    if (length == -EFBIG)
        length = (ssize_t)size - 1;
    if (length < 0)
        return (int)length;
    text[length] = 0;
    for (char *at = text; at < text + length && n + 1 < ELEMENTS_OF(reading->compatible);) {
        char *next = at + strlen(at) + 1;
        text_clean(at);
        if (*at)
            reading->compatible[n++] = at;
        at = next;
    }
    reading->compatible[n] = NULL;
    reading->facts.compatible = reading->compatible;
    reading->facts.has_msi_parent = faccessat(device, "of_node/msi-parent", F_OK, 0) == 0;
    return 0;
}

/* What a device is. Rules match by it, so only a device that has none may be without. */
static int read_modalias(int device, char *ret, size_t size) {
    ssize_t length = attribute_read(device, "modalias", ret, size);

    /* A PCI device's is short and of one form; no rule can name one that is longer than this. */
    if (length < 0 && !is_gone((int)length) && length != -EFBIG)
        return (int)length;
    ret[length > 0 ? length : 0] = 0;
    text_clean(ret);
    return 0;
}

/* What stays as long as the device does, but its bus. */
static int read_identity(int device, struct device_reading *reading) {
    struct device_facts *facts = &reading->facts;
    int r = read_modalias(device, reading->modalias, sizeof(reading->modalias));

    if (r >= 0)
        r = attribute_text(device, "removable", reading->removable, sizeof(reading->removable));
    if (r >= 0)
        r = read_numa_node(device, &facts->numa_node);
    if (r < 0)
        return r;
    facts->modalias = reading->modalias;
    facts->removable = reading->removable[0] ? reading->removable : NULL;
    read_ids(facts);
    return 0;
}

/* The PF of a VF: a link beside the device. What leads to no device is no PF. */
static int read_physfn(int device, struct device_reading *reading) {
    char target[PATH_MAX];
    ssize_t length = link_read(device, "physfn", target, sizeof(target));

    reading->facts.physfn = NULL;
    if (is_gone((int)length) || length == -EINVAL)
        return 0;
    if (length < 0)
        return (int)length;
    int r = path_resolve(reading->path, target, reading->physfn, sizeof(reading->physfn));
    if (r >= 0 && string_after(reading->physfn, "devices/"))
        reading->facts.physfn = reading->physfn;
    return r;
}

static int open_device(int sysfs, const char *path) {
    int device = openat(sysfs, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (device >= 0)
        return device;
    return is_gone(-errno) ? -ENOENT : -errno;
}

/* Where the device at path really is. */
static int locate(int sysfs, const char *path, char *ret, size_t size) {
    char normal[PATH_MAX], target[PATH_MAX];
    int r = path_resolve("", path, normal, sizeof(normal));

    if (r < 0)
        return r;
    ssize_t length = -EINVAL;
    if (!string_after(normal, "devices/"))
        length = link_read(sysfs, normal, target, sizeof(target));
    if (length == -EINVAL)
        return path_resolve("", normal, ret, size);
    if (length < 0)
        return is_gone((int)length) ? -ENOENT : (int)length;
    char *slash = strrchr(normal, '/');
    if (slash)
        *slash = 0;
    return path_resolve(slash ? normal : "", target, ret, size);
}

int sysfs_read_device(int sysfs, const char *path, struct device_reading *ret) {
    int r = locate(sysfs, path, ret->path, sizeof(ret->path));

    if (r < 0)
        return r;
    _cleanup_(fd_closep) int device = open_device(sysfs, ret->path);
    if (device < 0)
        return device;
    ret->facts = (struct device_facts){.path = ret->path};
    r = read_binding(sysfs, device, ret);
    if (r >= 0)
        r = read_identity(device, ret);
    if (r >= 0 && ret->facts.has_ids)
        r = read_reset_methods(device, ret);
    else
        ret->facts.reset_methods = "";
    if (r >= 0 && ret->facts.has_ids)
        r = read_physfn(device, ret);
    if (r >= 0 && !ret->facts.has_ids)
        r = read_compatible(device, ret);
    return r < 0 ? r : read_bus(device, ret);
}

int sysfs_refresh_device(int sysfs, struct device_reading *reading) {
    _cleanup_(fd_closep) int device = open_device(sysfs, reading->path);

    if (device < 0)
        return device;
    int r = read_binding(sysfs, device, reading);
    if (r >= 0 && reading->facts.has_ids)
        r = read_reset_methods(device, reading);
    return r < 0 ? r : read_bus(device, reading);
}
