/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a driver means for the ownership of its device's group. The kernel keeps this to itself
 * (struct device_driver, driver_managed_dma), so it is a table: Linux 5.19 to 6.12, every driver
 * that sets the flag, and the VFIO variants of later ones (xe, ism). What is not known is taken to
 * drive DMA for the kernel. On the buses platform, amba and fsl-mc none but VFIO's own sets it: what only
 * runs a bus (simple-pm-bus, fsl_mc_dprc, the drivers of PCIe host bridges) is counted as any other, and
 * a group with such a device is not viable. */

#include <stdbool.h>

enum role {
    ROLE_FREE,    /* no driver */
    ROLE_USER,    /* a VFIO driver */
    ROLE_PASSIVE, /* coexists with a user: pcieport, pci-stub, a bridge without a driver */
    ROLE_KERNEL,  /* any other driver */
};

const char *role_to_string(enum role role);

/* Role of a device. driver may be NULL; has_vfio_device says that the device has a vfio-dev folder,
 * which only a VFIO driver makes (Linux 6.1 and later); is_pci_bridge: by its class. */
enum role driver_role(const char *driver, bool has_vfio_device, bool is_pci_bridge);

/* A driver that hands the device's DMA to userspace without containing it: uio_pci_generic,
 * igb_uio, uio_*. Such a device is the kernel's, and unsafe beside anyone. */
bool driver_is_unsafe_uio(const char *driver);
