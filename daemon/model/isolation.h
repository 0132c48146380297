/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which devices the hardware cannot tell apart, by the device tree, against the groups that the
 * kernel formed. Sets are the classes of the transitive closure of "collides with one of its
 * streams". Pure. The same code judges a live machine and a file: in a file no device has a group,
 * and what the kernel would do is predicted from the kind of IOMMU (enum tree_grouping). */

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
    size_t n_members;
    char **specifiers; /* as text, without repetition: "/smmu@70000000 0x200" */
    char *text; /* one plain sentence: which nodes, which stream, the consequence */
};

struct isolation {
    struct isolation_set *sets;
    size_t n_sets;
    struct isolation_finding *findings; /* critical ones first, then by the first node */
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
