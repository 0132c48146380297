/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which nodes say of themselves that they do DMA. A guess, for a remark only: what it misses is a
 * master without an IOMMU of which nothing is said, and what it takes for one is noise. */
#include <string.h>

#include "kernel/devicetree-internal.h"

/* Generic names (Devicetree Specification 2.2.2, and what Linux' trees use) of what does DMA nearly
 * always. */
static const char *const master_names[] = {
    "crypto",      "display-controller", "dma",           "dma-controller", "ethernet",    "gpu",
    "isp",         "jpeg-codec",         "mmc",           "npu",            "nvme",        "sata",
    "sdhci",       "ufs",                "ufshc",         "usb",            "video-codec", "video-decoder",
    "video-encoder", "virtio_mmio",      "vpu",
};

/* What is called as these are and does none, of what Debian's trees have: what the processor reads and
 * writes, what only looks at data on its way to a disk, what copies registers to memory of its own. */
static const char *const not_masters[] = {
    "arm,pl180", "arm,pl181", "arm,pl18x", "qcom,dcc", "qcom,inline-crypto-engine",
    "smsc,lan9115", "smsc,lan91c111",
};

static bool is_compatible(const struct scan_node *node, const char *wanted) {
    const struct scan_property *property = &node->properties[PROPERTY_COMPATIBLE];
    uint32_t at = 0;

    while (at < property->size) {
        const char *text = (const char *)property->data + at;
        size_t length = strnlen(text, property->size - at);
        if (strlen(wanted) == length && memcmp(text, wanted, length) == 0)
            return true;
        at += (uint32_t)length + 1;
    }
    return false;
}

static bool is_known_not_to_be_one(const struct scan_node *node) {
    for (size_t i = 0; i < ELEMENTS_OF(not_masters); i++)
        if (is_compatible(node, not_masters[i]))
            return true;
    return false;
}

static bool has_master_name(const struct scan_node *node) {
    size_t length = strcspn(node->name, "@");

    for (size_t i = 0; i < ELEMENTS_OF(master_names); i++)
        if (strlen(master_names[i]) == length && strncmp(node->name, master_names[i], length) == 0)
            return true;
    return false;
}

/* A channel of a DMA controller does it, whose node is another. */
static bool has_others_do_it(const struct scan_node *node) {
    return scan_has(node, PROPERTY_DMAS) && !scan_has(node, PROPERTY_DMA_CELLS);
}

/* What does none; what names the masters of a controller (a DMA router) too. */
static bool is_no_master(const struct scan_node *node) {
    return !node->memory_mapped || node->is_no_device || scan_has(node, PROPERTY_IOMMU_CELLS) ||
           scan_has(node, PROPERTY_INTERRUPT_CONTROLLER) || scan_has(node, PROPERTY_MSI_CONTROLLER) ||
           scan_has(node, PROPERTY_DMA_MASTERS) || has_others_do_it(node) ||
           scan_is(node, PROPERTY_DEVICE_TYPE, "cpu") || scan_is(node, PROPERTY_DEVICE_TYPE, "memory");
}

bool scan_looks_like_master(const struct scan *scan, const struct scan_node *node) {
    bool is_bus = node->has_children && scan_has(node, PROPERTY_RANGES);

    if (node->memory_mapped && !node->is_no_device && scan_is(node, PROPERTY_DEVICE_TYPE, "pci"))
        return true;
    if (is_no_master(node) || is_bus || !scan_has(node, PROPERTY_REG))
        return false;
    if (!node->names_iommu && (node->above_names_iommu || node->below_names_iommu))
        return false;
    return scan_has(node, PROPERTY_DMA_CELLS) || scan_has(node, PROPERTY_DMA_COHERENT) ||
           scan_has(node, PROPERTY_DMA_RANGES) || scan_is(node, PROPERTY_DEVICE_TYPE, "network") ||
           (has_master_name(node) && !is_known_not_to_be_one(node));
}
