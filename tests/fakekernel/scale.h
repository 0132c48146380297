/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Adds count PCI devices, 8 to a group, each an e1000e-like NIC: every second group wholly on vfio-pci,
 * the others on e1000e; and one platform device for every hundred. Needs tree_lock.
 */
int scale_add(unsigned count);
