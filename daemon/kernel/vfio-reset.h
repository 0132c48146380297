/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether vfio-platform or vfio-amba can reset a device, known before it is bound. Reads module files:
 * only for worker processes.
 * Sources: Linux drivers/vfio/platform/vfio_platform_common.c (the handler's module answers to the alias
 * vfio-reset: with the *first* compatible string; ACPI: the method _RST, of which sysfs shows nothing),
 * drivers/vfio/platform/reset (the handlers), both as of 6.12. */

#include "kernel/modules.h"
#include "model/vfio-facts.h"

/* What is so for a device whose first compatible string this is; NULL for one that ACPI describes. driver
 * is "vfio-platform" or "vfio-amba", release as in features.h. *ret is never VFIO_RESET_UNKNOWN. 1: the
 * driver will refuse the device for its lack of a reset; 0: not for that; -ENOMEM. */
int vfio_reset_find(int sysfs, struct modules *modules, const char *release, const char *driver,
                    const char *compatible, enum vfio_reset *ret);

/* What to do about a refusal, a clause; the caller's, NULL when out of memory. */
char *vfio_reset_advice(int sysfs, const char *release, const char *driver, const char *compatible);
