/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this kernel enforces. */

#include <stdbool.h>

#include "model/vfio-facts.h"

enum kernel_model {
    KERNEL_MODEL_CLAIM,    /* 5.19 and later: a driver's bind and a user's claim are exclusive */
    KERNEL_MODEL_NOTIFIER, /* before: a wrong bind stops the host */
    KERNEL_MODEL_NONE,     /* no IOMMU: no groups */
};

const char *kernel_model_to_string(enum kernel_model model);
int kernel_model_from_string(const char *text, enum kernel_model *ret);

/* By the names in kallsyms (path, normally /proc/kallsyms): costs 50 to 450 ms, so it is read once
 * a boot. -ENODATA if the file is not readable or tells nothing. */
int kernel_model_from_symbols(const char *path, enum kernel_model *ret);

/* By the release, e.g. "6.1.0-56-amd64": a guess, since distributions backport. */
enum kernel_model kernel_model_from_release(const char *release);

/* Interrupts are remapped: a chip with prefix IR- in /proc/interrupts (x86), or ITS- (arm64: a GICv3 ITS
 * raises for a device those alone that are its own; it is seen once a driver uses it). */
bool interrupts_are_remapped(void);

/* What VFIO asks of platform and AMBA devices. release is that of the kernel, NULL for the running one;
 * what depends on it is a guess, since distributions backport:
 *   - 6.1 and 6.2 refuse a device without reset with -ENOENT whatever reset_required says, and vfio-amba
 *     does so too (measured on Debian's 6.1.192; since "vfio/platform: Use the new device life cycle
 *     helpers" in 6.1, until "vfio: platform: ignore missing reset if disabled at module init" in 6.3).
 *   - Since 6.3 ("vfio/type1: Convert to iommu_group_has_isolated_msi()") each device of a group is asked
 *     whether its interrupts are isolated, and before the machine: a device without an MSI domain, as
 *     most platform devices are, makes VFIO_SET_IOMMU fail with EPERM (measured on 6.12.117).
 * The parameters are read anew: two of them can be written at any time. */
void vfio_demands_read(int sysfs, const char *release, struct vfio_demands *ret);

/* vfio-platform's parameter: 1, 0; -ENOENT while the module is not loaded; another errno. */
int vfio_reset_required(int sysfs);
