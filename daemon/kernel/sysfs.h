/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading devices and groups from sysfs, relative to one directory fd. Never opens `uevent` or
 * `driver_override`: while an unbind hangs, both block in the kernel (Linux 6.1). Every string is
 * taken as untrusted text of bounded length. */

#include <stdbool.h>
#include <stdint.h>

#include "model/device.h"
#include "model/group.h"

/* Room for the strings of one device's facts. Each is valid printable UTF-8, but for path, which is
 * as the kernel says. After a failed reading the content means nothing. */
struct device_reading {
    struct device_facts facts; /* points into the buffers below */
    char path[1024];
    char bus[64];
    char driver[256];
    char modalias[512];
    char vfio_device[64];
    char removable[16];
    char physfn[1024];
    char reset_methods[128];
    char compatible_text[1024];
    const char *compatible[33];
};

/* Reads the device at path, which is below the sysfs root and may be a symlink such as
 * "bus/pci/devices/0000:00:05.0" or "kernel/iommu_groups/7/devices/0000:00:05.0"; facts.path is
 * where it really is. 0; -ENOENT if it is gone or went while it was read; other negative errno. */
int sysfs_read_device(int sysfs, const char *path, struct device_reading *ret);

/* Reads what can change without the device going: driver, vfio device, group, reset methods.
 * Cheaper than the whole; reading must hold the device's earlier facts. */
int sysfs_refresh_device(int sysfs, struct device_reading *reading);

/* Reads type and reserved regions of a group. -ENOENT if it is gone. */
int sysfs_read_group(int sysfs, uint32_t id, struct group_facts *ret);

/* Calls found for each member of a group with a path fit for sysfs_read_device, its place resolved
 * (facts.path form). -ENOENT if the group is gone. Stops when found returns non-zero. */
typedef int sysfs_path_handler(const char *path, void *userdata);
int sysfs_list_members(int sysfs, uint32_t id, sysfs_path_handler *found, void *userdata);

/* Calls found for the number of each group. */
typedef int sysfs_group_handler(uint32_t id, void *userdata);
int sysfs_list_groups(int sysfs, sysfs_group_handler *found, void *userdata);

/* Calls found for each device on the buses whose drivers take the ownership of DMA (pci, platform,
 * amba, fsl-mc, cdx), with its resolved path, so that devices without a group are found too. */
int sysfs_list_bus_devices(int sysfs, sysfs_path_handler *found, void *userdata);

/* Device number in an attribute such as class/vfio/7/dev. -ENOENT if there is none. */
int sysfs_read_number(int sysfs, const char *attribute, unsigned *ret_major, unsigned *ret_minor);
