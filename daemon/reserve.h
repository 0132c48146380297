/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* dmaownd --reserve-device: gives devices that policy reserves to a VFIO driver before a host driver
 * takes them. udev runs it for each device that is added, ahead of loading the device's module; it needs
 * neither the bus nor the daemon.
 *
 * The first run of a boot sees to all devices that there are, and the others wait for it: the module of
 * one device's driver would take other devices too, whose turn has not come yet.
 *
 * Left in the state folder for the daemon, each with the id of the boot in the first line:
 *   reserved-NAME   the device was given to VFIO while no driver had it. Second line: driver_override
 *                   before; third: the sysfs path
 *   autoprobe-NAME  sriov_drivers_autoprobe of the PF was set to 0, because policy reserves its VFs.
 *                   Second line: what it was; third: the sysfs path
 *   reserve-scan    all devices of this boot were looked at */

#include <stdbool.h>

struct module_places;

struct reserve_options {
    const char *config_directory, *sysfs_directory, *state_directory;
    /* NULL: the system's own. For tests. */
    const struct module_places *module_places;
    int (*load_module)(const char *name);
    int (*bind_driver)(int sysfs, const char *bus, const char *name, const char *driver);
};

/* device: as in udev's $devpath, "/devices/pci0000:00/0000:00:05.0". What can not be done for a device,
 * and why, is logged; that is no error. 0 or a negative errno. */
int reserve_device(const struct reserve_options *options, const char *device);

/* The same for VFs alone, of all PFs that are there: after the policy has changed. For a worker. */
int reserve_virtual_functions(const struct reserve_options *options);
