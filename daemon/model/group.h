/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One IOMMU group: its members, and what is known of its VFIO node. Pure: no system call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/device.h"
#include "model/node-facts.h"
#include "util/hash.h"

struct lease;

enum owner { OWNER_NONE, OWNER_KERNEL, OWNER_USER, OWNER_FOREIGN };

const char *owner_to_string(enum owner owner);

/* What one reading of /sys/kernel/iommu_groups/N says. */
struct group_facts {
    char type[24];       /* "DMA", "DMA-FQ", "identity", …; "" if not said */
    bool direct_region;  /* a reserved region of type direct (not direct-relaxable) */
};

struct group {
    uint32_t id;
    struct group_facts facts;
    struct node_facts node;
    bool open;            /* somebody has the node open, as far as it was seen */
    bool open_unseen;     /* … by the kernel's EBUSY, without an event: no close will be seen */
    unsigned enabled;     /* how often its devices were enabled when that was looked at last */
    bool kernel_disagrees; /* the node's last VFIO_GROUP_GET_STATUS said not viable against the model */
    bool exported; /* announced on the bus */
    bool listed;   /* on model::dirty_groups */
    bool was_leased;      /* since its node appeared: an opener may be a former holder */
    bool foreign_reported; /* the open that is seen now was recorded */
    struct group_published {
        uint8_t owner;
        bool viable, node, isolated;
        uint64_t lease, members, blockers, type;
    } published; /* what the bus was told last, for a PropertiesChanged with what changed */
    struct device *members; /* by device::next_member, sorted by path */
    size_t n_members;
    struct lease *lease; /* active or draining; NULL if none */
    uint64_t held_for;   /* the switch that has moved it for a call that is not answered yet; 0 */
    unsigned switching;  /* transactions that move members of it right now */
    bool reserve_checked; /* whether policy keeps it for userspace */
    unsigned repairs;    /* of its node since the last tick */

    struct group *next_dirty;
    UT_hash_handle by_id;
};

/* Who drives the group now: a lease before a kernel driver before an opener nobody granted. */
enum owner group_owner(const struct group *group);

/* No kernel driver stands in the way and a VFIO driver is bound. */
bool group_viable(const struct group *group);

/* True if a member has role. */
bool group_has_role(const struct group *group, enum role role);

/* A member that a kernel which asks each device (vfio_demands) takes to have no isolated interrupts: a
 * platform or AMBA device of the device tree without msi-parent, as most are (Linux 6.12, of_msi_configure
 * in drivers/of/irq.c, which is for platform devices alone). NULL if there is none that can be known of. */
const struct device *group_find_unsafe(const struct group *group);
