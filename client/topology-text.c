/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/topology-text.h"

#include <stdio.h>

#include "util/string.h"

const char *topology_acs_to_string(unsigned bit) {
    switch (bit) {
    case TOPOLOGY_ACS_SOURCE_VALIDATION:
        return "source-validation";
    case TOPOLOGY_ACS_REQUEST_REDIRECT:
        return "request-redirect";
    case TOPOLOGY_ACS_COMPLETION_REDIRECT:
        return "completion-redirect";
    case TOPOLOGY_ACS_UPSTREAM_FORWARDING:
        return "upstream-forwarding";
    default:
        return NULL;
    }
}

/* "request-redirect, upstream-forwarding" */
static const char *missing_format(unsigned missing, char *buffer, size_t size) {
    size_t length = 0;

    buffer[0] = 0;
    for (unsigned bit = 1; bit <= missing && length < size; bit <<= 1)
        if ((missing & bit) && topology_acs_to_string(bit))
            length += (size_t)snprintf(buffer + length, size - length, "%s%s", length ? ", " : "",
                                       topology_acs_to_string(bit));
    return buffer;
}

/* Names the slot, so that it is the same sentence for all functions in it. */
static char *slot_text(const struct topology_answer *answer, const char *missing) {
    const char *dot = strrchr(answer->cause, '.');
    int length = (int)(dot ? (size_t)(dot - answer->cause) : strlen(answer->cause));
    const char *lack = answer->reason == TOPOLOGY_MULTIFUNCTION ? "no ACS" : "ACS that is not switched on";
    const char *opening = *missing ? " (" : "", *closing = *missing ? ")" : "";

    return string_format("The functions of slot %.*s have %s%s%s%s: what one of them asks for can reach "
                         "another without passing the IOMMU.",
                         length, answer->cause, lack, opening, missing, closing);
}

char *topology_text(const struct topology_answer *answer) {
    char missing[128];
    const char *cause = answer->cause;

    missing_format(answer->missing, missing, sizeof(missing));
    switch (answer->reason) {
    case TOPOLOGY_NEEDS_ROOT:
        return string_format("The configuration space of %s could not be read in full; root can.", cause);
    case TOPOLOGY_PCIE_TO_PCI_BRIDGE:
        return string_format("Whatever is behind the PCIe-to-PCI bridge %s asks under the bridge's own "
                             "requester ID, so that the IOMMU cannot tell one device from another.",
                             cause);
    case TOPOLOGY_LEGACY_BRIDGE:
        return string_format("%s is a bridge of conventional PCI: the IOMMU sees the bridge, and not "
                             "which device behind it asks.",
                             cause);
    case TOPOLOGY_PORT_WITHOUT_ACS:
        return string_format("The port %s has no ACS: what is behind it can reach its peers, and the "
                             "port itself, without passing the IOMMU.",
                             cause);
    case TOPOLOGY_PORT_ACS_OFF:
        return string_format("The port %s has ACS, but this part of it is not switched on: %s.", cause,
                             missing);
    case TOPOLOGY_MULTIFUNCTION:
    case TOPOLOGY_MULTIFUNCTION_ACS_OFF:
        return slot_text(answer, missing);
    case TOPOLOGY_ALIAS:
        return string_format("Requests of more than one device carry the same requester ID because of "
                             "%s, either by a known fault of that device or because it has a bus of "
                             "its own behind it (Intel VMD).",
                             cause);
    case TOPOLOGY_UNKNOWN:
    default:
        return strdup("Nothing in the configuration space explains it: the kernel may know a quirk of this "
                      "hardware, the IOMMU's driver may have a rule of its own, or ACS was changed "
                      "after the devices were found.");
    }
}

char *topology_way_out(const struct topology_answer *answer) {
    switch (answer->reason) {
    case TOPOLOGY_NEEDS_ROOT:
        return strdup("Run this as root.");
    case TOPOLOGY_PCIE_TO_PCI_BRIDGE:
    case TOPOLOGY_LEGACY_BRIDGE:
        return string_format("Move one of the devices to a slot that is not behind %s; no setting parts "
                             "them where they are.",
                             answer->cause);
    case TOPOLOGY_PORT_WITHOUT_ACS:
        return string_format("Move one of the devices to a slot below a port with ACS; or firmware of "
                             "the board or the switch that gives %s ACS.",
                             answer->cause);
    case TOPOLOGY_PORT_ACS_OFF:
    case TOPOLOGY_MULTIFUNCTION_ACS_OFF:
        return string_format("Switch on ACS in the firmware's set-up, and boot with the IOMMU on and "
                             "without pci=disable_acs_redir= (or, since Linux 6.12, with "
                             "pci=config_acs=) for %s; groups are made when devices are found.",
                             answer->cause);
    case TOPOLOGY_MULTIFUNCTION:
        return strdup("Move what shall be separate to another slot; functions of one slot are parted only "
                      "by firmware, of the device or the board, that gives all of them ACS.");
    case TOPOLOGY_ALIAS:
        return string_format("Move the other device to another bus, or use another model in place of %s; "
                             "VMD can be switched off in the firmware's set-up.",
                             answer->cause);
    case TOPOLOGY_UNKNOWN:
    default:
        return strdup("");
    }
}
