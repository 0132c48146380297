/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a device tree into facts. Its content is untrusted: sizes, depths and counts are limited,
 * and what is malformed is an error or a mistake on record, never a crash. */

#include <stdbool.h>
#include <stddef.h>

#include "model/device-tree.h"
#include "model/device.h"

/* Of a blob. The largest that Debian ships has 200 KiB. */
#define DEVICETREE_SIZE_MAX (16 * 1024 * 1024)
#define DEVICETREE_DEPTH_MAX 64
#define DEVICETREE_NODES_MAX 65536

/* From a flattened tree in memory. -EBADMSG if it is none or damaged: *ret_text then says what and
 * where (the caller's); -E2BIG beyond a limit, with a text, too; -ENOMEM. */
int devicetree_read_blob(const void *blob, size_t size, struct device_tree **ret, char **ret_text);

/* From a .dtb file; text as above, also when it cannot be read. */
int devicetree_read_file(const char *path, struct device_tree **ret, char **ret_text);

/* The tree that the machine runs with, below the sysfs root: firmware/fdt, else (not root) the
 * folders of firmware/devicetree/base. -ENOENT where the machine has no device tree: without `base`,
 * whether there is an fdt or not (an ACPI boot leaves a stub). */
int devicetree_read_live(int sysfs, struct device_tree **ret, char **ret_text);

/* Of the device at path (where it really is below the sysfs root: device_facts.path): the node that
 * `of_node` leads to, as "/soc/dma@0". For a PCI function, with a node of its own or without: the node
 * of its host bridge, whose iommu-map counts (pci_dma_configure). 0; -ENOENT if there is none;
 * -ENAMETOOLONG; other negative errno. */
int devicetree_node_of(int sysfs, const char *path, char *ret, size_t size);

/* The node, as the kernel has it now, has `iommus` or `iommu-map`: also one that an overlay brought, which
 * the blob does not know. */
bool devicetree_names_iommus(int sysfs, const char *node);

/* Fills in facts (of sysfs_read_device) what belongs to the tree: tree_node, which is kept in node,
 * names_iommus, and of a PCI function the ids that its DMA carries. 0; -ENOENT if it has no node. */
int devicetree_place_device(int sysfs, struct device_facts *facts, char *node, size_t size);
