/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/topology-config.h"

#include <string.h>

#include <linux/pci_regs.h>

/* As many as fit, so that a list that leads back into itself ends. */
#define CAPABILITIES_MAX ((CONFIG_CONVENTIONAL_SIZE - CONFIG_HEADER_SIZE) / 4)
#define EXTENDED_MAX ((TOPOLOGY_CONFIG_MAX - CONFIG_CONVENTIONAL_SIZE) / 8)

/* Little endian; 0 beyond the end. */
static uint32_t config_read(const struct topology_function *function, size_t offset, size_t size) {
    uint32_t value = 0;

    if (offset > function->length || function->length - offset < size)
        return 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint32_t)function->config[offset + i] << (8 * i);
    return value;
}

static bool has_capabilities(const struct topology_function *function) {
    return config_read(function, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST;
}

/* Offset of a capability, 0 if there is none. */
static size_t capability_find(const struct topology_function *function, uint32_t id) {
    if (!has_capabilities(function))
        return 0;
    size_t offset = config_read(function, PCI_CAPABILITY_LIST, 1) & ~3u;
    for (size_t i = 0; i < CAPABILITIES_MAX && offset >= CONFIG_HEADER_SIZE; i++) {
        uint32_t found = config_read(function, offset + PCI_CAP_LIST_ID, 1);
        if (found == id)
            return offset;
        if (found == 0xff)
            break;
        offset = config_read(function, offset + PCI_CAP_LIST_NEXT, 1) & ~3u;
    }
    return 0;
}

static size_t extended_find(const struct topology_function *function, uint32_t id) {
    size_t offset = CONFIG_CONVENTIONAL_SIZE;

    for (size_t i = 0; i < EXTENDED_MAX && offset >= CONFIG_CONVENTIONAL_SIZE; i++) {
        uint32_t header = config_read(function, offset, 4);
        if (header == 0 || header == UINT32_MAX)
            break;
        if (PCI_EXT_CAP_ID(header) == id)
            return offset;
        offset = PCI_EXT_CAP_NEXT(header);
    }
    return 0;
}

/* Without the bit that says that there are more functions in the slot. */
static uint32_t header_type(const struct topology_function *function) {
    return config_read(function, PCI_HEADER_TYPE, 1) & 0x7f;
}

static enum config_kind express_kind(uint32_t type) {
    switch (type) {
    case PCI_EXP_TYPE_ROOT_PORT:
    case PCI_EXP_TYPE_DOWNSTREAM:
        return CONFIG_PORT;
    case PCI_EXP_TYPE_UPSTREAM:
        return CONFIG_UPSTREAM;
    case PCI_EXP_TYPE_PCI_BRIDGE:
        return CONFIG_TO_PCI;
    case PCI_EXP_TYPE_PCIE_BRIDGE:
        return CONFIG_LEGACY;
    case PCI_EXP_TYPE_RC_EC:
        return CONFIG_COLLECTOR;
    default:
        return CONFIG_ENDPOINT;
    }
}

enum config_kind config_kind(const struct topology_function *function) {
    /* A device that is gone or without power reads as all ones. */
    if (function->length < CONFIG_HEADER_SIZE || header_type(function) == 0x7f)
        return CONFIG_UNREADABLE;
    if (header_type(function) == PCI_HEADER_TYPE_CARDBUS)
        return CONFIG_LEGACY;
    if (has_capabilities(function) && function->length < CONFIG_CONVENTIONAL_SIZE)
        return CONFIG_UNREADABLE;
    size_t express = capability_find(function, PCI_CAP_ID_EXP);
    if (!express)
        return header_type(function) == PCI_HEADER_TYPE_NORMAL ? CONFIG_CONVENTIONAL : CONFIG_LEGACY;
    uint32_t flags = config_read(function, express + PCI_EXP_FLAGS, 2);
    return express_kind((flags & PCI_EXP_FLAGS_TYPE) >> 4);
}

/* The kernel takes every function but the first of a slot for one of several. */
bool config_is_multifunction(const struct topology_function *function) {
    const char *dot = strrchr(function->name, '.');

    if (function->virtual)
        return false;
    return (config_read(function, PCI_HEADER_TYPE, 1) & 0x80) || (dot && dot[1] != '0');
}

enum config_acs config_acs(const struct topology_function *function, unsigned *ret_missing) {
    const unsigned wanted = TOPOLOGY_ACS_SOURCE_VALIDATION | TOPOLOGY_ACS_REQUEST_REDIRECT |
                            TOPOLOGY_ACS_COMPLETION_REDIRECT | TOPOLOGY_ACS_UPSTREAM_FORWARDING;
    size_t offset = extended_find(function, PCI_EXT_CAP_ID_ACS);

    *ret_missing = 0;
    if (!offset)
        return CONFIG_ACS_ABSENT;
    /* What it does not offer is wired so that it needs no switch. */
    unsigned offered = config_read(function, offset + PCI_ACS_CAP, 2);
    unsigned on = config_read(function, offset + PCI_ACS_CTRL, 2);
    *ret_missing = wanted & offered & ~on;
    return *ret_missing ? CONFIG_ACS_OFF : CONFIG_ACS_ON;
}

uint32_t config_identity(const struct topology_function *function) {
    return config_read(function, PCI_VENDOR_ID, 4);
}
