/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A bridge of the PCI hierarchy (host, PCI-to-PCI, CardBus, semi-transparent), by the 24 bits of
 * sysfs's class. Others of base class 06 (ISA, RACEway, …) are devices like any other. */
static inline bool pci_class_is_bridge(uint32_t class) {
    uint32_t subclass = class >> 8;

    return subclass == 0x0600 || subclass == 0x0604 || subclass == 0x0607 || subclass == 0x0609;
}
