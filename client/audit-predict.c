/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/audit.h"

#include <errno.h>
#include <stdlib.h>

#include "model/device.h"
#include "util/cleanup.h"

/* What an IOMMU knows of the devices that it was given so far: a stream match register of an SMMUv2,
 * a stream of an SMMUv3, or the group of a whole instance. */
struct entry {
    const struct tree_stream *stream;
    int64_t group;
};

struct prediction {
    const struct audit *audit;
    int64_t *groups;
    int64_t next_group;
    struct entry *entries;
    size_t n_entries;
};

static struct entry *entry_add(struct prediction *prediction, const struct tree_stream *stream,
                               int64_t group) {
    struct entry *entry = &prediction->entries[prediction->n_entries++];

    *entry = (struct entry){stream, group};
    return entry;
}

/* The first entry that the IOMMU cannot tell from the stream; of the whole instance: the first that
 * it has. NULL if there is none. */
static struct entry *entry_find(const struct prediction *prediction, const struct tree_stream *stream,
                                bool instance) {
    for (size_t i = 0; i < prediction->n_entries; i++) {
        struct entry *entry = &prediction->entries[i];
        if (instance ? entry->stream->iommu == stream->iommu
                     : tree_streams_collide(prediction->audit->tree, entry->stream, stream))
            return entry;
    }
    return NULL;
}

/* The register that the stream shares or gets; NULL where Linux refuses: a register is shared only
 * if it matches all that the stream does. */
static struct entry *register_for(struct prediction *prediction, const struct tree_stream *stream) {
    struct entry *entry = entry_find(prediction, stream, false);

    if (!entry)
        return entry_add(prediction, stream, GROUP_NONE);
    return (entry->stream->mask & stream->mask) == stream->mask ? entry : NULL;
}

/* By the registers' groups: the last one counts, unless two of them differ; a new group is noted in
 * all of them, also in those that had another one. */
static int64_t group_of_registers(struct prediction *prediction, struct entry *const *registers,
                                  size_t n) {
    int64_t group = GROUP_NONE;

    for (size_t i = 0; i < n; i++) {
        int64_t own = registers[i]->group;
        if (group != GROUP_NONE && own != GROUP_NONE && group != own)
            return GROUP_NONE;
        group = own;
    }
    if (group != GROUP_NONE)
        return group;
    group = prediction->next_group++;
    for (size_t i = 0; i < n; i++)
        registers[i]->group = group;
    return group;
}

/* Only streams of the first IOMMU that a device names count; *ret is the caller's. */
static int predict_smmu_v2(struct prediction *prediction, const struct isolation_member *member,
                           int64_t *ret) {
    _cleanup_(freep) struct entry **registers = calloc(member->n_streams, sizeof(struct entry *));
    size_t before = prediction->n_entries, n = 0;

    if (!registers)
        return -ENOMEM;
    for (size_t i = 0; i < member->n_streams; i++) {
        if (member->streams[i].iommu != member->streams[0].iommu)
            continue;
        registers[n] = register_for(prediction, &member->streams[i]);
        if (!registers[n++]) {
            prediction->n_entries = before;
            return 0;
        }
    }
    *ret = group_of_registers(prediction, registers, n);
    if (*ret == GROUP_NONE)
        prediction->n_entries = before;
    return 0;
}

static int64_t predict_smmu_v3(struct prediction *prediction, const struct isolation_member *member) {
    for (size_t i = 0; i < member->n_streams; i++)
        if (member->streams[i].iommu == member->streams[0].iommu &&
            entry_find(prediction, &member->streams[i], false))
            return GROUP_NONE;
    for (size_t i = 0; i < member->n_streams; i++)
        if (member->streams[i].iommu == member->streams[0].iommu)
            entry_add(prediction, &member->streams[i], prediction->next_group);
    return prediction->next_group++;
}

/* Devices that share a stream, or the instance, share a group. */
static int64_t predict_shared(struct prediction *prediction, const struct tree_stream *stream,
                              bool instance) {
    struct entry *entry = entry_find(prediction, stream, instance);

    return (entry ? entry : entry_add(prediction, stream, prediction->next_group++))->group;
}

static int predict_member(struct prediction *prediction, size_t index) {
    const struct audit *audit = prediction->audit;
    const struct isolation_member *member = &audit->members[index];
    int64_t *group = &prediction->groups[index];

    *group = GROUP_NONE;
    if (member->n_streams == 0 || !audit->tree->iommus[member->streams[0].iommu].enabled)
        return 0;
    switch (audit->tree->iommus[member->streams[0].iommu].grouping) {
    case TREE_GROUP_SMMU_V2:
        return predict_smmu_v2(prediction, member, group);
    case TREE_GROUP_SMMU_V3:
        *group = predict_smmu_v3(prediction, member);
        return 0;
    case TREE_GROUP_BY_STREAM:
        *group = predict_shared(prediction, &member->streams[0], false);
        return 0;
    case TREE_GROUP_SINGLE:
        /* A device that names two instances is the last one's. */
        *group = predict_shared(prediction, &member->streams[member->n_streams - 1], true);
        return 0;
    default:
        *group = prediction->next_group++;
        return 0;
    }
}

int audit_predict(const struct audit *audit, int64_t **ret) {
    _cleanup_(freep) int64_t *groups = calloc(audit->n_members ? audit->n_members : 1, sizeof(*groups));
    _cleanup_(freep) struct entry *entries = NULL;
    size_t n_streams = 1;
    int r = 0;

    for (size_t i = 0; i < audit->n_members; i++)
        n_streams += audit->members[i].n_streams;
    entries = calloc(n_streams, sizeof(*entries));
    if (!groups || !entries)
        return -ENOMEM;
    struct prediction prediction = {.audit = audit, .groups = groups, .entries = entries};
    for (size_t i = 0; r >= 0 && i < audit->n_members; i++)
        r = predict_member(&prediction, i);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(groups);
    return 0;
}
