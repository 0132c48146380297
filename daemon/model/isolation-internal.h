/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the isolation check share: who collides with whom (isolation-sets.c), and how a
 * finding is put together (isolation-finding.c). */

#include <stdio.h>

#include "model/isolation.h"

/* How the stream of another member lies against one of an SMMUv2 where they collide and are not the
 * same: the driver takes a stream into a match register only if that holds all of it, and refuses
 * it otherwise (arm_smmu_find_sme). */
enum overlap {
    OVERLAP_CONTAINED = 1 << 0, /* one holds the other: it is refused if the narrow one comes first */
    OVERLAP_PARTIAL = 1 << 1,   /* neither does: the second is refused */
};

/* One stream of one member, on an IOMMU that is enabled. */
struct stream_place {
    const struct tree_iommu *iommu;
    const struct tree_stream *stream;
    size_t member;
    size_t class;  /* the same for streams that are the same to the IOMMU */
    bool shared;   /* a stream of another member collides with it */
    unsigned overlaps; /* enum overlap bits */
};

struct joined_streams {
    struct stream_place *places; /* by IOMMU, then by what it compares, then by member */
    size_t n_places, n_sets;
    size_t n_compared; /* pairs of classes: a test looks at it */
};

/* Fills the members' sets. The caller frees places, also after an error. 0 or -ENOMEM. */
int isolation_join(const struct device_tree *tree, struct isolation_member *members,
                   size_t n_members, struct joined_streams *ret);

/* One check, handed from part to part. isolation is NULL where only flags are asked for. */
struct isolation_check {
    const struct device_tree *tree;
    struct isolation_member *members;
    size_t n_members;
    struct isolation *isolation;
    struct joined_streams joined; /* with the sets: sorted by set, IOMMU, member, place in the tree */
    size_t *set_begins;           /* where the places of each set begin; and the end of the last */
};

/* Each part: 0 or -ENOMEM. */
int isolation_find_map_overlaps(struct isolation_check *check);  /* isolation-maps.c: also the flag */
int isolation_find_single(struct isolation_check *check);        /* isolation-single.c */
int isolation_compare_groups(struct isolation_check *check);     /* isolation-live.c */
int isolation_predict(struct isolation_check *check);            /* isolation-file.c */
int isolation_flag_members(struct isolation_check *check);       /* isolation-single.c */

/* A new finding without anything; NULL when out of memory. It stays valid until the next one. */
struct isolation_finding *isolation_add(struct isolation_check *check, enum reason kind,
                                        enum isolation_level level);
/* 0 or -ENOMEM. */
int finding_add_member(struct isolation_finding *finding, size_t member);
int finding_add_stream(struct isolation_finding *finding, const struct device_tree *tree,
                       const struct tree_stream *stream);
/* Brings members and specifiers in order, each once: by node, then by device. */
void finding_sort(struct isolation_finding *finding, const struct isolation_member *members);

/* Whether a node is one of the tree's IOMMUs. */
bool isolation_is_iommu(const struct device_tree *tree, const char *node);

/* Whether the driver of an IOMMU puts a device on several of them at once. */
bool isolation_drives_several(const struct tree_iommu *iommu);

/* Adds each member of a set that wanted() takes. 0 or -ENOMEM. */
typedef bool member_test(const struct isolation_member *member);
int finding_add_members(struct isolation_finding *finding, const struct isolation_check *check,
                        const struct isolation_set *set, member_test *wanted);
/* Adds the streams that members of a set have in common; of a set of one: all. 0 or -ENOMEM. */
int finding_add_shared(struct isolation_finding *finding, const struct isolation_check *check,
                       size_t set);

/* What a member is called in a sentence: its node, a PCI function by its device. */
const char *isolation_name(const struct isolation_member *member);

/* Sentences are written to a stream in memory. A list is cut: "A, B, C, D and 12 more". */
#define LIST_SHOWN_MAX 4
struct sentence {
    FILE *file;
    char *text;
    size_t size;
};
void sentence_done(struct sentence *sentence);
/* 0 or -ENOMEM. */
int sentence_begin(struct sentence *sentence);
/* Moves the text into the finding. 0 or -ENOMEM. */
int sentence_end(struct sentence *sentence, struct isolation_finding *finding);
/* What stands before the item at index of a list of n: "", ", " or " and "; false when the rest is
 * cut, which it then says itself. */
bool list_goes_on(FILE *file, size_t index, size_t n);
/* A list of the finding's members that wanted() takes, or of all if NULL; write() adds what else is
 * to be said of one, or is NULL. Returns how many there are. */
typedef void member_writer(FILE *file, const struct isolation_member *member);
size_t write_members(FILE *file, const struct isolation_finding *finding,
                     const struct isolation_member *members, member_test *wanted,
                     member_writer *write);
/* "stream 0x200 of /smmu@70000000 and stream 0x210 of /smmu@70000000". */
void write_streams(FILE *file, const struct isolation_finding *finding);
