/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One device that can be a DMA master, as it was last read from sysfs. Pure: no system call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/driver-role.h"
#include "model/node-facts.h"
#include "model/vfio-facts.h"
#include "util/cleanup.h"
#include "util/hash.h"

#define GROUP_NONE ((int64_t)-1)

struct group;
struct survey;
struct detachment_member;
struct device_streams;

#define UID_NONE ((uid_t)-1)

/* A function's own id, and one for each bridge above it that puts its own in its place. */
#define DEVICE_REQUESTERS_MAX 8

/* What one reading of sysfs says of a device. The strings are borrowed. */
struct device_facts {
    const char *path;        /* below the sysfs root: "devices/pci0000:00/0000:00:05.0" */
    const char *bus;         /* "pci", "platform", … */
    const char *driver;      /* the bound driver, NULL if none */
    const char *modalias;    /* "" if none */
    const char *vfio_device; /* "vfio0", NULL without a vfio-dev folder */
    const char *removable;   /* as sysfs says: "removable", "fixed", "unknown"; NULL if not said */
    const char *reset_methods;       /* as sysfs says: "flr bus"; "" if none */
    const char *const *compatible;   /* NULL-terminated; NULL without a device-tree node */
    bool has_msi_parent;     /* the node names who raises its message-signalled interrupts */
    int64_t group;           /* GROUP_NONE, or the number of the IOMMU group */
    bool has_ids;            /* the five ids below are known (PCI) */
    uint32_t vendor, product, subsystem_vendor, subsystem_product;
    uint32_t class;          /* 0x020000 for an Ethernet controller */
    int numa_node;           /* -1 if unknown */
    const char *physfn;      /* of a VF: the path of its PF; NULL for others */
    const char *tree_node;   /* its node in the device tree, of a PCI function that of its host
                              * bridge: "/soc/dma@700a0000"; NULL without */
    uint32_t requesters[DEVICE_REQUESTERS_MAX]; /* of a PCI function with such a node: what ids its DMA
                                                 * carries, its own first */
    unsigned n_requesters;
    bool names_iommus; /* that node has `iommus` or `iommu-map` */
};

struct device {
    char *path;
    const char *name; /* inside path */
    const char *bus, *driver, *removable, *reset_methods; /* interned; driver may be NULL */
    char *modalias;
    char *vfio_device;
    struct node_facts *cdev; /* /dev/vfio/devices/VFIO_DEVICE; NULL while there is none */
    char **compatible;
    bool has_msi_parent;
    int64_t group_id; /* once removed: the group it was in, or GROUP_NONE */
    uint32_t vendor, product, subsystem_vendor, subsystem_product, class;
    int numa_node;
    bool has_ids;
    char *physfn;       /* of a VF: the path of its PF; NULL for others */
    unsigned n_vfs;     /* devices whose PF it is */
    struct device_streams *streams; /* what the device tree says of it; NULL without a node */
    struct survey *survey; /* what was found at the last look; NULL before the first */
    enum vfio_reset vfio_reset; /* by the last look that asked; outlives a change of driver */
    const struct detachment_member *detached; /* what dmaownd moved or pinned; NULL if it did not */
    uid_t soiled_by;    /* who had it open and may have left it running; UID_NONE */
    bool lent;          /* on a VFIO driver when its group was granted last */
    bool reset_failed;  /* … and a reset was tried since, in vain */
    bool exported;      /* announced on the bus */
    bool listed;        /* on model::dirty_devices */
    bool seen;          /* by the scan that runs now */
    uint8_t changes;    /* enum device_change bits */
    const char *conflict_driver; /* interned: the driver that was reported beside a lease */
    unsigned switching; /* transactions that move it right now; a pin of the guard is one, too */
    bool known_beside;  /* its host driver was there when a group on its streams was granted */
    bool moved_by_hand; /* from where dmaownd had it: it is not moved back */
    bool guard_failed;  /* it could not be pinned since the last tick */
    bool join_reported; /* its joining a leased group was reported */
    enum role role;

    struct group *group;           /* NULL without a group */
    struct device *next_member;    /* group::members */
    struct device *next_dirty;     /* model::dirty_devices */
    UT_hash_handle by_path;        /* model::devices */
    struct device *next_same_name; /* model::names: devices of one name on different buses */
    UT_hash_handle by_name;        /* model::names; only the first of a name is in the table */
};

/* A bridge of the PCI hierarchy, by its class. */
bool device_is_bridge(const struct device *device);

/* True if the device, as the kernel counts it, drives its group: role kernel. */
static inline bool device_blocks(const struct device *device) {
    return device->role == ROLE_KERNEL;
}

/* The driver that rules match by: the host's own while dmaownd has moved the device away; NULL if it
 * has none. */
const char *device_host_driver(const struct device *device);
/* It is on its way to userspace right now. */
bool device_is_leaving(const struct device *device);
/* Somebody else than uid had it open and may have left it running. */
bool device_is_soiled_for(const struct device *device, uid_t uid);

/* True if one of the reset methods resets this function alone: device_specific, acpi, flr, af_flr; or if
 * the device is on vfio-platform or vfio-amba, and that can reset it. */
bool device_has_function_reset(const struct device *device, const struct vfio_demands *demands);

/* Whether driver, being vfio-platform or vfio-amba, resets the device at its first open and last close,
 * as far as it is known. False for all other drivers, and for NULL. */
bool device_is_reset_by(const struct device *device, const char *driver,
                        const struct vfio_demands *demands);

/* The device is on one of the two, and nobody has looked yet whether that can reset it. */
bool device_reset_is_unknown(const struct device *device, const struct vfio_demands *demands);
