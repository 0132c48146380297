/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Configuration space, built byte by byte as QEMU's devices and real ones have it. */

#include <stdint.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "client/topology.h"

#define SPACE_EXPRESS_AT 0x54
#define SPACE_ACS_AT 0x148
#define ACS_ALL 0x5f /* SV TB RR CR UF DT */
#define ACS_KERNEL 0x1d

struct space {
    uint8_t bytes[TOPOLOGY_CONFIG_MAX];
    size_t length;
};

static inline void space_put(struct space *space, size_t offset, uint32_t value, size_t size) {
    for (size_t i = 0; i < size; i++)
        space->bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

/* Conventional PCI without capabilities. */
static inline void space_conventional(struct space *space, uint8_t header) {
    memset(space, 0, sizeof(*space));
    space_put(space, PCI_VENDOR_ID, 0x10d38086, 4);
    space_put(space, PCI_HEADER_TYPE, header, 1);
    space->length = 256;
}

/* A power management capability, then that of PCI Express. */
static inline void space_express(struct space *space, uint8_t header, unsigned type) {
    space_conventional(space, header);
    space->length = TOPOLOGY_CONFIG_MAX;
    space_put(space, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
    space_put(space, PCI_CAPABILITY_LIST, 0x40, 1);
    space_put(space, 0x40, PCI_CAP_ID_PM | SPACE_EXPRESS_AT << 8, 2);
    space_put(space, SPACE_EXPRESS_AT, PCI_CAP_ID_EXP, 2);
    space_put(space, SPACE_EXPRESS_AT + PCI_EXP_FLAGS, 2 | type << 4, 2);
}

/* Error reporting, then ACS. */
static inline void space_acs(struct space *space, unsigned offered, unsigned on) {
    space_put(space, 0x100, PCI_EXT_CAP_ID_ERR | 2 << 16 | (uint32_t)SPACE_ACS_AT << 20, 4);
    space_put(space, SPACE_ACS_AT, PCI_EXT_CAP_ID_ACS | 1 << 16, 4);
    space_put(space, SPACE_ACS_AT + PCI_ACS_CAP, offered, 2);
    space_put(space, SPACE_ACS_AT + PCI_ACS_CTRL, on, 2);
}

static inline struct topology_function space_function(const struct space *space, const char *name) {
    return (struct topology_function){name, space->bytes, space->length, true, false};
}
