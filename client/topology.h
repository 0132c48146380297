/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why the kernel has two PCI devices in one IOMMU group: the rules of Linux's pci_device_group() and
 * pci_acs_enabled() over the bytes of configuration space. Pure, and bounded whatever the bytes are.
 * The kernel decided when it found the devices; the bytes are those of now. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bridges above a device; a hierarchy has at most 256 buses, real ones a handful of levels. */
#define TOPOLOGY_DEPTH_MAX 32
#define TOPOLOGY_CONFIG_MAX 4096

/* One function. config may be any bytes of any length: 64 is what others than root can read, 256 all
 * of a conventional PCI device, 4096 all of PCI Express. */
struct topology_function {
    const char *name; /* as in sysfs, "0000:00:05.0" */
    const uint8_t *config;
    size_t length;
    bool member;  /* is itself in the group */
    bool virtual; /* a VF: it shares its slot with nobody */
};

/* A device and the bridges above it: functions[0] is the device, the last is on a root bus. */
struct topology_chain {
    const struct topology_function *functions;
    size_t n_functions; /* at least 1 */
};

enum topology_reason {
    TOPOLOGY_UNKNOWN,
    TOPOLOGY_NEEDS_ROOT,         /* the bytes that decide could not be read */
    TOPOLOGY_PCIE_TO_PCI_BRIDGE, /* what is behind it has one requester ID */
    TOPOLOGY_LEGACY_BRIDGE,      /* the same, of conventional PCI, or PCI to PCI Express */
    TOPOLOGY_PORT_WITHOUT_ACS,
    TOPOLOGY_PORT_ACS_OFF,
    TOPOLOGY_MULTIFUNCTION, /* functions of one slot that have no ACS between them */
    TOPOLOGY_MULTIFUNCTION_ACS_OFF,
    TOPOLOGY_ALIAS, /* a device known to use the requester ID of another */
};

/* What the kernel wants of ACS, by the bits of the capability. */
enum topology_acs {
    TOPOLOGY_ACS_SOURCE_VALIDATION = 0x01,
    TOPOLOGY_ACS_REQUEST_REDIRECT = 0x04,
    TOPOLOGY_ACS_COMPLETION_REDIRECT = 0x08,
    TOPOLOGY_ACS_UPSTREAM_FORWARDING = 0x10,
};

struct topology_answer {
    enum topology_reason reason;
    const char *cause; /* the function that joins them; NULL where unknown. Borrowed from a chain */
    const char *other; /* the second function of a slot, else NULL */
    unsigned missing;  /* enum topology_acs, offered and not switched on */
};

/* The word of the API: "pcie-to-pci-bridge". */
const char *topology_reason_to_string(enum topology_reason reason);

/* Why a and b, two devices of one group, are together. */
struct topology_answer topology_explain(const struct topology_chain *a,
                                        const struct topology_chain *b);

/* The same for a group: answers[i] says why chains[i] is together with chains[with[i]]; each device
 * but the first gets another device that leads to the first. Unknown ones are with the first.
 * At least one chain; answers[0] is unknown, with itself. */
void topology_explain_group(const struct topology_chain *chains, size_t n_chains,
                            struct topology_answer *answers, size_t *with);
