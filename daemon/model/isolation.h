/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which devices the hardware cannot tell apart, by the device tree, against the groups that the
 * kernel formed. Sets are the classes of the transitive closure of "collides with one of its
 * streams". Pure. The same code judges a live machine and a file: in a file no device has a group,
 * and what the kernel would do is predicted from the kind of IOMMU (enum tree_grouping).
 *
 * Streams of an IOMMU that is disabled are in no set: nothing translates them, so that a device with
 * only such streams reaches all of memory and not just that of some partner, and Linux never gives
 * it a group. It has SET_NONE and the flag.
 *
 * Findings of a live machine, of one set each:
 *   split, critical    members in more than one group; about those that have one
 *   half, critical     a driver runs a member that has no group, others are in the set; about all
 *   half, warning      … and no others are: its DMA is not translated (its IOMMU has no driver, or
 *                      refused it). Nobody else's group is touched by that, so it blocks nothing
 *   pending, info      members without group that no driver runs; about those
 * A group that is larger than its sets is as it should be.
 *
 * Findings of a file, of one set at one IOMMU each (Linux 6.1 to 6.12):
 *   SMMUv3             half, critical: the second on a stream is refused
 *   one a device       split, critical
 *   SMMUv2             one group is normal. split: it needs more than that the members share streams,
 *                      for arm_smmu_device_group() looks at the last stream of a device only. The
 *                      first member to be probed makes a group for all of its streams, and another
 *                      one joins it only if its own last stream is among these; a warning if that
 *                      depends on which is first, critical if it holds for none. half, critical:
 *                      masks that overlap in part, of which the second is refused; a warning where
 *                      one holds the other, and the order decides
 *   by stream, single  none: one group is normal
 *   over two IOMMUs    split: Linux puts a device on one of them; critical if it shares both
 * Either way: two-iommus (a warning; information where the driver handles several), disabled-iommu
 * (a warning, one an IOMMU), no-iommus (information, one for all), map-overlap (a warning where Linux
 * does not let such functions share a group or where an entry counts for nothing, else information).
 * What is below a node with iommus is taken for a part of that device, and lacks none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/device-tree.h"
#include "model/driver-role.h"
#include "model/outcome.h"

#define SET_NONE ((size_t)-1)

/* What holds for one member by itself. */
enum isolation_flag {
    ISOLATION_TWO_IOMMUS = 1 << 0,     /* Linux up to 6.12 puts it on one of them only, silently */
    ISOLATION_DISABLED_IOMMU = 1 << 1, /* the node that it names is disabled: DMA is not translated */
    ISOLATION_MAP_OVERLAP = 1 << 2,    /* entries of its iommu-map overlap, or one holds another
                                        * master's stream */
    ISOLATION_NO_IOMMUS = 1 << 3,      /* it looks like a master, names no IOMMU, and others do */
};

/* Filled by the caller but for the last two. Strings and streams are borrowed. */
struct isolation_member {
    const char *device; /* "platform/700a2000.samec"; NULL in a file */
    const struct tree_master *master; /* its node; of a PCI function: the host bridge's */
    const struct tree_stream *streams; /* a function: what its requester ids are mapped to */
    size_t n_streams;
    bool is_function;
    int64_t group;      /* GROUP_NONE, also in a file */
    const char *driver; /* NULL if none, also in a file */
    enum role role;

    size_t set;     /* in isolation::sets; SET_NONE without streams */
    unsigned flags; /* enum isolation_flag bits */
};

enum isolation_level { ISOLATION_INFO, ISOLATION_WARNING, ISOLATION_CRITICAL };
/* "info", "warning", "critical". */
const char *isolation_level_to_string(enum isolation_level level);
/* 0, or -EINVAL. */
int isolation_level_from_string(const char *text, enum isolation_level *ret);

/* One set; with one member, too. members: places in the array, ascending. */
struct isolation_set {
    size_t *members;
    size_t n_members;
};

struct isolation_finding {
    enum reason kind; /* REASON_SPLIT, REASON_HALF, REASON_PENDING, REASON_TWO_IOMMUS,
                       * REASON_DISABLED_IOMMU, REASON_MAP_OVERLAP, REASON_NO_IOMMUS */
    enum isolation_level level;
    size_t *members; /* those that it is about */
    size_t n_members; /* at least one; by node, then by device */
    char **specifiers; /* in order, as text, without repetition: "/smmu@70000000 0x200";
                        * NULL if none */
    char *text; /* one plain sentence: which nodes, which stream, the consequence */
};

struct isolation {
    struct isolation_set *sets;
    size_t n_sets;
    struct isolation_finding *findings; /* by level, critical ones first, then by the first node */
    size_t n_findings;
};

/* Fills set and flags of each member, and *ret, which must be zeroed; isolation_done frees it, also
 * after an error. is_live: members are devices with the groups that they have; else they are the
 * enabled masters of a file. 0 or -ENOMEM. */
int isolation_reach(const struct device_tree *tree, struct isolation_member *members,
                    size_t n_members, bool is_live, struct isolation *ret);
void isolation_done(struct isolation *isolation);

/* For a file: a member for each enabled master that names an IOMMU or looks like a master. *ret is
 * the caller's (free), its contents borrowed from the tree. 0 or -ENOMEM. */
int isolation_members_of_file(const struct device_tree *tree, struct isolation_member **ret,
                              size_t *ret_n);

/* The same, but for the findings: only sets and flags are filled. Cheap enough for every bind. */
int isolation_find_sets(const struct device_tree *tree, struct isolation_member *members,
                        size_t n_members, size_t *ret_n_sets);
