/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking a device from its driver and giving it one. All of this can block for as long as somebody
 * has the device open, and can not be killed then: only for worker processes. Paths are those of
 * kernel/sysfs.h: below the fd of the sysfs root, "devices/pci0000:00/0000:00:05.0". */

#include <limits.h>

#include "model/detachment.h"

/* Name of the driver that has the device. 1; 0 if none has; -ENOENT: there is no such device. */
int driver_name(int sysfs, const char *device_path, char ret[static NAME_MAX + 1]);

/* driver_override. 1 and "" for none; 0 where the bus has no overrides. */
int driver_override_read(int sysfs, const char *device_path, char ret[static NAME_MAX + 2]);
/* "" clears it. */
int driver_override_write(int sysfs, const char *device_path, const char *text);

/* Takes one step of a switch, and looks whether it has done what it is for: the kernel says success to
 * a probe that binds nothing. A step that is not needed any more is none: what is bound as it should be
 * is left so. 0; -EBUSY: another driver has the device; -EIO: the kernel reported no error, and yet it
 * is not as it should be; else what the kernel says. */
int driver_step(int sysfs, const char *device_path, const char *bus, const struct step *step);

/* 0 when the device has no driver (any more); else what the kernel says. -ENOENT also if there is no
 * such device. */
int driver_unbind(int sysfs, const char *device_path);

/* Binds the device called name to a driver of its bus. -EINVAL for a name that can not be one;
 * -ENOENT: no such driver; -ENODEV: no such device, it has a driver, or the driver does not take it;
 * other errors are the driver's. */
int driver_bind(int sysfs, const char *bus, const char *name, const char *driver);

/* Takes the device from its driver and gives it back, which closes what was open of it. A device
 * without a driver goes to the VFIO driver that its override names: that is how one looks whose worker
 * died in between. 0 if the driver has it then, or if there is none to be given to. An error of
 * driver_unbind or driver_bind; -EIO if the kernel reported none, and yet another driver or none has
 * the device. */
int driver_rebind(int sysfs, const char *device_path);
