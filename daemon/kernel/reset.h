/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking from a device what its last user left running. Nobody may use it meanwhile: it has no driver,
 * or a VFIO driver and no opener. A reset takes up to a minute, and while an unbind hangs all of this
 * blocks: only for worker processes. Paths are those of kernel/sysfs.h.
 * Sources: PCI Local Bus Specification 3.0, 6.2.2 (command register, offset 4, bit 2: bus master); Linux
 * drivers/pci/pci-sysfs.c. */

/* Has the kernel reset the device, by the best of its reset_method that works. -ENOENT without the
 * attribute (not PCI, or no method); -ENOTTY and others: what the kernel says. A method that is named
 * need not work: `bus` fails with -EIO or -ENOTTY while something else is on the bus. */
int device_reset(int sysfs, const char *path);

/* Whether the device may write to memory by itself: 1 on, 0 off. -ENOENT: not PCI, or gone; -EIO: it does
 * not answer (all ones), which says nothing of what it does. */
int bus_master_read(int sysfs, const char *path);

/* Takes that from it; what is off is not written to. 0 if it was seen to be off then. Errors of
 * bus_master_read; -EPERM where the kernel is locked down (Secure Boot); -EIO if it stayed on. */
int bus_master_clear(int sysfs, const char *path);

/* All of it: bus mastering off, reset, and bus mastering seen to be off after it. 0 if the device is
 * clean; -ENOENT or -EOPNOTSUPP: it has no reset (bus mastering is off, if it has that); any other
 * error: it has one which failed, or it lost its answer with it (-EIO, -ENODEV), or bus mastering could
 * not be taken away, and it is not clean. */
int device_clean(int sysfs, const char *path);
