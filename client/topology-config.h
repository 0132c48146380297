/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What configuration space says of one function. Reads nothing beyond its length, whatever its
 * lists point to. Values as in the PCI Express specification and linux/pci_regs.h. */

#include "client/topology.h"

#define CONFIG_HEADER_SIZE 64
#define CONFIG_CONVENTIONAL_SIZE 256

/* What kind of a function it is, for requester IDs and ACS. */
enum config_kind {
    CONFIG_UNREADABLE,   /* too few bytes to tell */
    CONFIG_ENDPOINT,     /* PCI Express: endpoint, or integrated into the root complex */
    CONFIG_CONVENTIONAL, /* a device of conventional PCI */
    CONFIG_PORT,         /* root port, or downstream port of a switch */
    CONFIG_UPSTREAM,     /* upstream port of a switch */
    CONFIG_TO_PCI,       /* bridge from PCI Express to PCI */
    CONFIG_LEGACY,       /* bridge of conventional PCI, or from PCI to PCI Express */
    CONFIG_COLLECTOR,    /* event collector of the root complex */
};

enum config_kind config_kind(const struct topology_function *function);

bool config_is_multifunction(const struct topology_function *function);

enum config_acs {
    CONFIG_ACS_ON,     /* it keeps its peers apart */
    CONFIG_ACS_OFF,    /* it could, and is not told to: *ret_missing says what is missing */
    CONFIG_ACS_ABSENT, /* it has no such capability */
};

/* ACS of a PCI Express function, all of whose bytes are there. */
enum config_acs config_acs(const struct topology_function *function, unsigned *ret_missing);

/* Vendor and device; 0 where there are no bytes. */
uint32_t config_identity(const struct topology_function *function);
