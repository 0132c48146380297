/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * IOMMUs of a device tree, and how their drivers in Linux form groups: arm_smmu_device_group() and its
 * like. With tree_lock held.
 */
struct device;
struct group;

/* The device is an IOMMU, if one of the kinds that are known; it does not matter whether it has a driver. */
void iommu_add(struct device *device);
/* At each probe (dma_configure()): a device that has streams and no group yet gets one, or, as the
 * rule of its IOMMU may be, none; the kernel goes on with the probe in both cases. */
void iommu_configure(struct device *device);
/* It goes: its streams are free. */
void iommu_release(struct device *device);
/* Nobody is in it any more. */
void iommu_forget_group(const struct group *group);
/* Whether VFIO may have it (IOMMU_CAP_CACHE_COHERENCY). True for devices without a node. */
bool iommu_is_coherent(const struct device *device);
