/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a device tree says of IOMMUs and of the masters behind them. Pure facts, as
 * kernel/devicetree.h reads them from a blob or from /sys/firmware/devicetree/base. Bindings:
 * iommu/iommu.txt, iommu/arm,smmu.yaml, pci/pci-iommu.txt of the device-tree documentation. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As the kernel's struct of_phandle_args (MAX_PHANDLE_ARGS). */
#define TREE_CELLS_MAX 16
/* Of one tree. The largest that Debian ships has 1,112 nodes. */
#define TREE_STREAMS_MAX 16384
#define TREE_MAPS_MAX 4096
#define TREE_MEMORY_MAX 16384
#define TREE_MISTAKES_MAX 1024
/* Of one node; what is beyond is a mistake on record. */
#define TREE_COMPATIBLE_MAX 64

/* How Linux 6.12 forms groups behind an IOMMU, by its first compatible that is known: the device_group
 * operation of the drivers below drivers/iommu, with the lists of compatible that they match. Nothing
 * of 6.12 drives an IOMMU that is not in the table; it counts as one group a device. */
enum tree_grouping {
    TREE_GROUP_PER_DEVICE, /* generic_device_group: one a device, whatever streams they share
                            * (virtio, Exynos, Qualcomm before the SMMU, MediaTek's first) */
    TREE_GROUP_SMMU_V2,    /* arm_smmu_device_group: by stream match registers */
    TREE_GROUP_SMMU_V3,    /* one a device; the second on a stream is refused and has none */
    TREE_GROUP_BY_STREAM,  /* devices that share a stream share a group. Apple's DART; Tegra's SMMU,
                            * which looks at a device's first stream only and merges some by a table
                            * of its own; MediaTek's M4U, whose groups are regions of streams */
    TREE_GROUP_SINGLE,     /* generic_single_device_group: all devices of the instance (Rockchip,
                            * Allwinner, OMAP, Unisoc, Renesas' IPMMU on 64 bits) */
};

struct tree_iommu {
    char *node;               /* "/smmuv3@9050000" */
    char *compatible;         /* the first, "" if none */
    enum tree_grouping grouping;
    bool enabled;             /* neither it nor a node above it is disabled */
    uint32_t n_cells;         /* #iommu-cells */
    uint32_t match_mask;      /* stream-match-mask; 0 without. Only SMMUv2 knows it */
};

/* A stream of DMA: what one entry of `iommus`, or one function behind an `iommu-map`, means. */
struct tree_stream {
    size_t iommu;                   /* in device_tree::iommus */
    uint32_t cells[TREE_CELLS_MAX]; /* as the tree has them */
    uint32_t n_cells;
    uint32_t id, mask; /* SMMUv2: 16 bits each, the mask's bits do not count; from the second cell,
                        * else stream-match-mask of the IOMMU. Other IOMMUs: the first cell (0 if
                        * none), and no mask. */
};
/* arm_smmu_of_xlate (arm-smmu.c, 6.1 and 6.12) cuts the first cell to 16 bits. Its upper half is a
 * mask only in the old `mmu-masters` binding (CONFIG_ARM_SMMU_LEGACY_DT_BINDINGS), which nobody builds
 * and this does not read. An `iommu-map` gives one cell, whatever #iommu-cells says (of_iommu.c), so
 * behind it stream-match-mask is the only mask. */

/* One entry of `iommu-map`. */
struct tree_map {
    uint32_t requester, length; /* first requester id, and how many */
    size_t iommu;
    uint32_t id;                /* the stream of the first */
};

struct tree_master {
    char *node;        /* "/soc/dma@700a0000" */
    char **compatible; /* NULL-terminated, NULL if none */
    char **memory;     /* nodes of the reserved memory that it names (memory-region); or NULL */
    bool enabled;      /* neither it nor a node above it is disabled */
    bool has_iommus, has_map; /* the property is there, also where it is malformed */
    bool dma_coherent; /* it, or the nearest node above that says dma-coherent or dma-noncoherent */
    bool looks_like_master; /* is memory-mapped and says of itself that it does DMA: #dma-cells,
                             * dma-coherent, dma-ranges, a device_type or name that stands for one
                             * (ethernet, usb, mmc, gpu, …). Not IOMMUs, interrupt controllers, buses
                             * with children other than a PCI host bridge, functions below one, and
                             * parts of a complex in which another node names an IOMMU */
    struct tree_stream *streams; /* of `iommus` */
    size_t n_streams;
    struct tree_map *maps; /* of `iommu-map` */
    size_t n_maps;
    uint32_t map_mask;     /* `iommu-map-mask`; all ones without */
};

/* What the tree says wrongly: a reference to a node that does not exist, a list that ends in the
 * middle. The node is kept, its property is read as far as it goes. Of more than TREE_MISTAKES_MAX the
 * last says how many are left out. */
struct tree_mistake {
    char *node;
    char *text; /* a sentence: property, what is wrong */
};

struct device_tree {
    struct tree_iommu *iommus;
    size_t n_iommus;
    struct tree_master *masters; /* nodes with iommus or iommu-map, and those that look like masters;
                                  * sorted by node */
    size_t n_masters;
    struct tree_mistake *mistakes;
    size_t n_mistakes;
};

/* NULL-safe; the tree may be partly filled. Returns NULL. */
struct device_tree *device_tree_free(struct device_tree *tree);

/* The master that has this node's path; NULL if none. */
const struct tree_master *device_tree_master(const struct device_tree *tree, const char *node);

/* Whether a node's driver groups as what: by compatible, as far as Linux 6.12 knows it. */
enum tree_grouping tree_grouping_of(const char *const *compatible);

/* Fills id and mask of a stream whose cells are there. */
void tree_stream_set(const struct tree_iommu *iommu, struct tree_stream *stream);

/* The stream of a PCI function with this requester id (bus << 8 | device << 3 | function): through
 * the mask, then the first entry that holds it. False if none does, or if an entry before begins with an
 * id that the mask cuts: there of_map_id gives up. */
bool tree_map_requester(const struct tree_master *bridge, const struct device_tree *tree,
                        uint32_t requester, struct tree_stream *ret);

/* Two streams that the IOMMU cannot tell apart: of one instance, and with the same cells (those that
 * only one has do not count: an iommu-map gives one), or masks that let them meet. Any two where
 * specifiers have no cells, and where Linux makes one group of all. */
bool tree_streams_collide(const struct device_tree *tree, const struct tree_stream *a,
                          const struct tree_stream *b);

/* "0x200", "0x400 0xf" (all cells), "" without cells. The caller's; NULL when out of memory. */
char *tree_stream_text(const struct tree_stream *stream);
