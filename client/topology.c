/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/topology.h"

#include <string.h>

#include "client/topology-config.h"
#include "util/cleanup.h"

const char *topology_reason_to_string(enum topology_reason reason) {
    static const char *const words[] = {
        [TOPOLOGY_UNKNOWN] = "unknown",
        [TOPOLOGY_NEEDS_ROOT] = "needs-root",
        [TOPOLOGY_PCIE_TO_PCI_BRIDGE] = "pcie-to-pci-bridge",
        [TOPOLOGY_LEGACY_BRIDGE] = "legacy-bridge",
        [TOPOLOGY_PORT_WITHOUT_ACS] = "port-without-acs",
        [TOPOLOGY_PORT_ACS_OFF] = "port-acs-off",
        [TOPOLOGY_MULTIFUNCTION] = "multifunction-without-acs",
        [TOPOLOGY_MULTIFUNCTION_ACS_OFF] = "multifunction-acs-off",
        [TOPOLOGY_ALIAS] = "requester-alias",
    };

    return (size_t)reason < ELEMENTS_OF(words) ? words[reason] : "unknown";
}

/* Sets reason and missing for a function of PCI Express by its ACS; false if it keeps apart. */
static bool acs_joins(const struct topology_function *function, enum topology_reason absent,
                      enum topology_reason off, struct topology_answer *answer) {
    enum config_acs acs = config_acs(function, &answer->missing);

    answer->reason = acs == CONFIG_ACS_ABSENT ? absent : off;
    return acs != CONFIG_ACS_ON;
}

/* Does a function in a slot with others fail to keep them apart? */
static bool slot_joins(const struct topology_function *function, struct topology_answer *answer) {
    if (!config_is_multifunction(function))
        return false;
    switch (config_kind(function)) {
    case CONFIG_UNREADABLE:
        answer->reason = TOPOLOGY_NEEDS_ROOT;
        return true;
    case CONFIG_PORT:
    case CONFIG_UPSTREAM:
    case CONFIG_ENDPOINT:
        return acs_joins(function, TOPOLOGY_MULTIFUNCTION, TOPOLOGY_MULTIFUNCTION_ACS_OFF, answer);
    default:
        answer->reason = TOPOLOGY_MULTIFUNCTION;
        return true;
    }
}

/* Does a function that has the devices behind it join them, and itself to them? */
static bool bridge_joins(const struct topology_function *function, struct topology_answer *answer) {
    *answer = (struct topology_answer){.cause = function->name};
    switch (config_kind(function)) {
    case CONFIG_UNREADABLE:
        answer->reason = TOPOLOGY_NEEDS_ROOT;
        return true;
    case CONFIG_TO_PCI:
        answer->reason = TOPOLOGY_PCIE_TO_PCI_BRIDGE;
        return true;
    case CONFIG_LEGACY:
        answer->reason = TOPOLOGY_LEGACY_BRIDGE;
        return true;
    case CONFIG_PORT:
        /* One that is not of the group keeps apart by a quirk of the kernel, whatever it says. */
        return function->member &&
               acs_joins(function, TOPOLOGY_PORT_WITHOUT_ACS, TOPOLOGY_PORT_ACS_OFF, answer);
    case CONFIG_UPSTREAM:
        return function->member && slot_joins(function, answer);
    default:
        /* An endpoint that has a hierarchy of its own behind it (Intel VMD). */
        answer->reason = TOPOLOGY_ALIAS;
        return true;
    }
}

/* Index in chain of the function called name; n_functions if there is none. */
static size_t chain_find(const struct topology_chain *chain, const char *name) {
    size_t i = 0;

    while (i < chain->n_functions && strcmp(chain->functions[i].name, name) != 0)
        i++;
    return i;
}

/* The lowest function that the ways of both to the root have in common, which may be one of the two
 * itself. False if they meet only on a root bus. */
static bool chains_meet(const struct topology_chain *a, const struct topology_chain *b,
                        size_t *ret_a) {
    for (size_t i = 0; i < a->n_functions; i++)
        if (chain_find(b, a->functions[i].name) < b->n_functions) {
            *ret_a = i;
            return true;
        }
    return false;
}

/* Up to where the kernel follows the way to the root before it looks for a group: the topmost function
 * that joins. */
static const struct topology_function *chain_top(const struct topology_chain *chain) {
    struct topology_answer answer;

    for (size_t i = chain->n_functions - 1; i > 0; i--)
        if (bridge_joins(&chain->functions[i], &answer))
            return &chain->functions[i];
    return &chain->functions[0];
}

/* Up to the dot: "0000:00:05" of "0000:00:05.0". */
static bool same_slot(const char *a, const char *b) {
    const char *dot = strrchr(a, '.');
    size_t length = dot ? (size_t)(dot - a) + 1 : 0;

    return dot && strncmp(a, b, length) == 0 && !strchr(b + length, '.');
}

/* Up to the last colon. */
static bool same_bus(const char *a, const char *b) {
    const char *colon = strrchr(a, ':');
    size_t length = colon ? (size_t)(colon - a) + 1 : 0;

    return colon && strncmp(a, b, length) == 0 && !strchr(b + length, ':');
}

static bool slots_join(const struct topology_function *a, const struct topology_function *b,
                       struct topology_answer *ret) {
    struct topology_answer answer = {.cause = a->name, .other = b->name}, second = {0};

    if (!same_slot(a->name, b->name) || !slot_joins(a, &answer) || !slot_joins(b, &second))
        return false;
    /* What the second lacks counts as much as what the first does. */
    if (second.reason == TOPOLOGY_NEEDS_ROOT || second.reason == TOPOLOGY_MULTIFUNCTION)
        answer.reason = answer.reason == TOPOLOGY_NEEDS_ROOT ? answer.reason : second.reason;
    answer.missing |= second.missing;
    *ret = answer;
    return true;
}

/* Devices for which the kernel has a quirk because they use the requester ID of another function. */
static bool is_known_alias(const struct topology_function *function) {
    static const struct {
        uint16_t vendor, device, mask;
    } known[] = {
        {0x1b4b, 0x9000, 0xf000}, /* Marvell SATA: function 1 */
        {0x1103, 0x0640, 0xfff0}, /* HighPoint RocketRAID with the same chip */
        {0x1180, 0xe832, 0xffff}, /* Ricoh: function 0 */
        {0x1180, 0xe476, 0xffff},
        {0x9005, 0x0285, 0xffff}, /* Adaptec RAID */
        {0x8086, 0x2260, 0xfffb}, /* Intel MIC x200 */
        {0x10b5, 0x87b0, 0xfffe}, /* PLX NTB */
        {0x11f8, 0x8500, 0xff00}, /* Microsemi Switchtec */
    };
    uint32_t identity = config_identity(function);

    for (size_t i = 0; i < ELEMENTS_OF(known); i++)
        if ((identity & 0xffff) == known[i].vendor &&
            ((identity >> 16) & known[i].mask) == known[i].device)
            return true;
    return false;
}

static bool aliases_join(const struct topology_function *a, const struct topology_function *b,
                         struct topology_answer *ret) {
    bool first = is_known_alias(a);

    if (!same_bus(a->name, b->name) || (!first && !is_known_alias(b)))
        return false;
    *ret = (struct topology_answer){.reason = TOPOLOGY_ALIAS, .cause = first ? a->name : b->name};
    return true;
}

/* What the bytes do not explain while some of them could not be read. */
static struct topology_answer not_explained(const struct topology_chain *a,
                                            const struct topology_chain *b) {
    const struct topology_chain *chains[] = {a, b};

    for (size_t c = 0; c < ELEMENTS_OF(chains); c++)
        for (size_t i = 0; i < chains[c]->n_functions; i++)
            if (config_kind(&chains[c]->functions[i]) == CONFIG_UNREADABLE)
                return (struct topology_answer){.reason = TOPOLOGY_NEEDS_ROOT,
                                                .cause = chains[c]->functions[i].name};
    return (struct topology_answer){.reason = TOPOLOGY_UNKNOWN};
}

struct topology_answer topology_explain(const struct topology_chain *a,
                                        const struct topology_chain *b) {
    struct topology_answer answer;
    size_t met;

    if (chains_meet(a, b, &met))
        for (size_t i = met; i < a->n_functions; i++)
            if (bridge_joins(&a->functions[i], &answer))
                return answer;
    const struct topology_function *top_a = chain_top(a), *top_b = chain_top(b);
    if (slots_join(top_a, top_b, &answer) || aliases_join(top_a, top_b, &answer))
        return answer;
    return not_explained(a, b);
}

/* Explains device i by one that leads to the first: one that is above it, or any. */
static bool connect_device(const struct topology_chain *chains, size_t n_chains, size_t i, bool any,
                           struct topology_answer *answers, size_t *with) {
    for (size_t j = 0; j < n_chains; j++) {
        if (j == i || (j > 0 && answers[j].reason == TOPOLOGY_UNKNOWN))
            continue;
        if (!any && chain_find(&chains[i], chains[j].functions[0].name) == chains[i].n_functions)
            continue;
        struct topology_answer answer = topology_explain(&chains[i], &chains[j]);
        if (answer.reason == TOPOLOGY_UNKNOWN)
            continue;
        answers[i] = answer;
        with[i] = j;
        return true;
    }
    return false;
}

void topology_explain_group(const struct topology_chain *chains, size_t n_chains,
                            struct topology_answer *answers, size_t *with) {
    bool grown = true;

    for (size_t i = 0; i < n_chains; i++) {
        answers[i] = (struct topology_answer){.reason = TOPOLOGY_UNKNOWN};
        with[i] = 0;
    }
    /* A device that nothing explains yet may be explained by one that was explained after it. */
    while (grown) {
        grown = false;
        for (size_t i = 1; i < n_chains; i++)
            if (answers[i].reason == TOPOLOGY_UNKNOWN)
                grown |= connect_device(chains, n_chains, i, false, answers, with) ||
                         connect_device(chains, n_chains, i, true, answers, with);
    }
}
