/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What VFIO asks of devices that are not PCI functions, and what is known of their reset before they are
 * given to it. Plain facts: kernel/features.h and kernel/vfio-reset.h read them. */

#include <stdbool.h>

#include "util/string.h"

/* Whether vfio-platform, or vfio-amba, can reset a device. */
enum vfio_reset {
    VFIO_RESET_UNKNOWN,  /* nobody looked, or another driver is meant */
    VFIO_RESET_NONE,     /* no handler is there for it, or none that can be known of */
    VFIO_RESET_HANDLER,
    VFIO_RESET_IF_TAKEN, /* nothing tells, but the driver takes the device only with one (ACPI) */
    VFIO_RESET_MAX,
};

struct vfio_demands {
    bool reset_always;   /* both drivers take no device without a reset, whatever the parameter says */
    bool reset_required; /* vfio-platform takes none: its parameter reset_required, on by default */
    bool asks_each_device; /* whether its interrupts are isolated; before: the machine as a whole */
    bool type1_is_lax, iommufd_is_lax; /* their parameters allow_unsafe_interrupts are on */
};

/* The driver takes no device that it can not reset. driver may be NULL. */
static inline bool vfio_demands_reset(const struct vfio_demands *demands, const char *driver) {
    if (string_equal(driver, "vfio-platform"))
        return demands->reset_always || demands->reset_required;
    return demands->reset_always && string_equal(driver, "vfio-amba");
}
