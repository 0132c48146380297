/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What ids the DMA of a PCI function carries: its own, and where a bridge above it is no PCI Express
 * one, or leads from PCI Express to PCI, that of the bridge (Linux: pci_for_each_dma_alias). */

#include <stddef.h>
#include <stdint.h>

/* Ids of the function at path (below the sysfs root), its own first: bus << 8 | device << 3 | function.
 * At most size; their number. 0: it is no PCI function by its name. What kind a bridge is shows by what
 * sysfs lists for PCI Express alone, since capabilities are for CAP_SYS_ADMIN. */
unsigned requesters_of(int sysfs, const char *path, uint32_t *ret, size_t size);
