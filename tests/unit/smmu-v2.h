/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Linux' driver of an SMMUv2 does as devices are probed (arm-smmu.c of 6.1 to 6.12): which match
 * registers their streams get, and with them which group, or that they are refused. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/device-tree.h"

enum { PROBED_STREAMS_MAX = 16 };

/* A match register, and the group that its stream was given to; 0 is none. */
struct match {
    uint32_t id, mask;
    unsigned users, group;
};

struct smmu {
    struct match matches[64];
    unsigned n_groups;
};

static bool holds_all_of(uint32_t id, uint32_t mask, const struct tree_stream *stream) {
    return (stream->mask & mask) == stream->mask && ((stream->id ^ id) & ~mask) == 0;
}

/* The register for a stream; NULL where the stream meets one that does not hold all of it. */
static struct match *match_stream(struct smmu *smmu, const struct tree_stream *stream) {
    struct match *unused = NULL;

    for (struct match *match = smmu->matches; match < smmu->matches + 64; match++) {
        if (match->users == 0) {
            unused = unused ?: match;
            continue;
        }
        if (holds_all_of(match->id, match->mask, stream))
            return match;
        if (((stream->id ^ match->id) & ~(stream->mask | match->mask)) == 0)
            return NULL;
    }
    *unused = (struct match){.id = stream->id, .mask = stream->mask};
    return unused;
}

static unsigned release(struct match **matches, size_t n) {
    while (n > 0)
        matches[--n]->users--;
    return 0;
}

/* The group that a device gets when it is probed; 0 where it is refused. */
static unsigned probe(struct smmu *smmu, const struct tree_stream *streams, size_t n_streams) {
    struct match *matches[PROBED_STREAMS_MAX];
    unsigned group = 0;

    for (size_t i = 0; i < n_streams; i++) {
        matches[i] = match_stream(smmu, &streams[i]);
        if (!matches[i])
            return release(matches, i);
        matches[i]->users++;
    }
    for (size_t i = 0; i < n_streams; i++) {
        if (group && matches[i]->group && matches[i]->group != group)
            return release(matches, n_streams);
        group = matches[i]->group;
    }
    if (group)
        return group;
    group = ++smmu->n_groups;
    for (size_t i = 0; i < n_streams; i++)
        matches[i]->group = group;
    return group;
}
