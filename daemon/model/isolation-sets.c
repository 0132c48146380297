/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of members that an IOMMU cannot tell apart: union-find over streams, of which the same ones
 * come to stand side by side by sorting. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/isolation-internal.h"
#include "util/cleanup.h"

/* ---- Which streams are the same to an IOMMU --------------------------------------------------- */

static bool is_whole(const struct tree_iommu *iommu) {
    return iommu->grouping == TREE_GROUP_SINGLE || iommu->n_cells == 0;
}

static bool is_masked(const struct tree_iommu *iommu) {
    return iommu->grouping == TREE_GROUP_SMMU_V2 && !is_whole(iommu);
}

static int compare_numbers(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

static int compare_cells(const struct tree_stream *a, const struct tree_stream *b) {
    int order = 0;

    for (uint32_t i = 0; order == 0 && i < a->n_cells && i < b->n_cells; i++)
        order = compare_numbers(a->cells[i], b->cells[i]);
    return order ? order : compare_numbers(a->n_cells, b->n_cells);
}

static bool begins_with(const struct tree_stream *longer, const struct tree_stream *shorter) {
    return shorter->n_cells <= longer->n_cells &&
           memcmp(shorter->cells, longer->cells, shorter->n_cells * sizeof(*longer->cells)) == 0;
}

static int compare_classes(const struct stream_place *a, const struct stream_place *b) {
    const struct tree_stream *one = a->stream, *other = b->stream;
    int order;

    if (a->iommu != b->iommu)
        return compare_numbers(one->iommu, other->iommu);
    if (is_whole(a->iommu))
        return 0;
    if (!is_masked(a->iommu))
        return compare_cells(one, other);
    order = compare_numbers(one->mask, other->mask);
    return order ? order : compare_numbers(one->id & ~one->mask, other->id & ~other->mask);
}

static int compare_places(const void *one, const void *other) {
    const struct stream_place *a = one, *b = other;
    int order = compare_classes(a, b);

    return order ? order : compare_numbers(a->member, b->member);
}

/* ---- Union-find ------------------------------------------------------------------------------- */

struct forest {
    size_t *parent, *size;
};

static void forest_done(struct forest *forest) {
    free(forest->parent);
    free(forest->size);
}

static int forest_begin(struct forest *forest, size_t n) {
    /* One more, since an allocation of nothing may be NULL. */
    forest->parent = calloc(n + 1, sizeof(*forest->parent));
    forest->size = calloc(n + 1, sizeof(*forest->size));
    if (!forest->parent || !forest->size)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        forest->parent[i] = i;
        forest->size[i] = 1;
    }
    return 0;
}

static size_t forest_root(struct forest *forest, size_t at) {
    size_t *parent = forest->parent;

    while (parent[at] != at) {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    return at;
}

static void forest_join(struct forest *forest, size_t one, size_t other) {
    one = forest_root(forest, one);
    other = forest_root(forest, other);
    if (one == other)
        return;
    if (forest->size[one] < forest->size[other]) {
        size_t larger = other;
        other = one;
        one = larger;
    }
    forest->parent[other] = one;
    forest->size[one] += forest->size[other];
}

/* ---- Classes ---------------------------------------------------------------------------------- */

/* A run of places with the same stream. */
struct stream_class {
    size_t begin, end;
    bool shared;
    unsigned overlaps; /* enum overlap bits */
};

static bool has_one_member(const struct joined_streams *joined, const struct stream_class *class) {
    return joined->places[class->begin].member == joined->places[class->end - 1].member;
}

static size_t find_classes(struct joined_streams *joined, struct stream_class *classes,
                           struct forest *forest) {
    struct stream_place *places = joined->places;
    size_t n = 0;

    for (size_t begin = 0, end; begin < joined->n_places; begin = end) {
        struct stream_class *class = &classes[n];
        for (end = begin; end < joined->n_places; end++) {
            if (compare_classes(&places[begin], &places[end]) != 0)
                break;
            places[end].class = n;
            forest_join(forest, places[begin].member, places[end].member);
        }
        *class = (struct stream_class){.begin = begin, .end = end};
        class->shared = !has_one_member(joined, class);
        n++;
    }
    return n;
}

static bool contains(const struct tree_stream *wide, const struct tree_stream *narrow) {
    return (wide->mask & narrow->mask) == narrow->mask &&
           ((wide->id ^ narrow->id) & ~wide->mask) == 0;
}

/* Two classes that collide. What one device has twice is no matter between devices. */
static void join_two(struct joined_streams *joined, struct stream_class *one,
                     struct stream_class *other, unsigned overlaps, struct forest *forest) {
    size_t first = joined->places[one->begin].member, second = joined->places[other->begin].member;

    if (has_one_member(joined, one) && has_one_member(joined, other) && first == second)
        return;
    forest_join(forest, first, second);
    one->shared = other->shared = true;
    one->overlaps |= overlaps;
    other->overlaps |= overlaps;
}

/* Two classes of one SMMUv2, with different masks. */
static void compare_masked(struct joined_streams *joined, struct stream_class *one,
                           struct stream_class *other, struct forest *forest) {
    const struct tree_stream *first = joined->places[one->begin].stream;
    const struct tree_stream *second = joined->places[other->begin].stream;

    joined->n_compared++;
    if (((first->id ^ second->id) & ~(first->mask | second->mask)) != 0)
        return;
    bool contained = contains(first, second) || contains(second, first);
    join_two(joined, one, other, contained ? OVERLAP_CONTAINED : OVERLAP_PARTIAL, forest);
}

/* Classes of one SMMUv2 stand by mask, and those of the same mask never collide: each is compared
 * with those of the masks behind its own, which on most machines are none. */
static void find_masked(struct joined_streams *joined, struct stream_class *classes,
                        size_t n_classes, struct forest *forest) {
    const struct stream_place *places = joined->places;

    for (size_t begin = 0, end; begin < n_classes; begin = end) {
        const struct stream_place *first = &places[classes[begin].begin];
        for (end = begin + 1; end < n_classes; end++) {
            const struct stream_place *next = &places[classes[end].begin];
            if (next->iommu != first->iommu || next->stream->mask != first->stream->mask)
                break;
        }
        if (!is_masked(first->iommu))
            continue;
        for (size_t other = end; other < n_classes; other++) {
            if (places[classes[other].begin].iommu != first->iommu)
                break;
            for (size_t one = begin; one < end; one++)
                compare_masked(joined, &classes[one], &classes[other], forest);
        }
    }
}

/* An iommu-map gives streams of one cell; those that begin with it stand behind. */
static void find_shorter(struct joined_streams *joined, struct stream_class *classes,
                         size_t n_classes, struct forest *forest) {
    struct stream_class *shorter = NULL;

    for (size_t i = 0; i < n_classes; i++) {
        const struct stream_place *place = &joined->places[classes[i].begin];
        const struct stream_place *before = shorter ? &joined->places[shorter->begin] : NULL;
        if (is_whole(place->iommu) || is_masked(place->iommu))
            continue;
        if (before && before->iommu == place->iommu && begins_with(place->stream, before->stream))
            join_two(joined, shorter, &classes[i], 0, forest);
        else
            shorter = &classes[i];
    }
}

static int join_classes(struct joined_streams *joined, struct forest *forest) {
    _cleanup_(freep) struct stream_class *classes = calloc(joined->n_places + 1, sizeof(*classes));

    if (!classes)
        return -ENOMEM;
    size_t n = find_classes(joined, classes, forest);
    find_masked(joined, classes, n, forest);
    find_shorter(joined, classes, n, forest);
    for (size_t i = 0; i < joined->n_places; i++) {
        joined->places[i].shared = classes[joined->places[i].class].shared;
        joined->places[i].overlaps = classes[joined->places[i].class].overlaps;
    }
    return 0;
}

/* ---- Sets ------------------------------------------------------------------------------------- */

static int collect_places(const struct device_tree *tree, const struct isolation_member *members,
                          size_t n_members, struct joined_streams *joined) {
    size_t n = 0;

    for (size_t i = 0; i < n_members; i++)
        n += members[i].n_streams;
    joined->places = calloc(n + 1, sizeof(*joined->places));
    if (!joined->places)
        return -ENOMEM;
    for (size_t i = 0; i < n_members; i++) {
        for (size_t j = 0; j < members[i].n_streams; j++) {
            const struct tree_stream *stream = &members[i].streams[j];
            const struct tree_iommu *iommu = &tree->iommus[stream->iommu];
            if (iommu->enabled)
                joined->places[joined->n_places++] =
                    (struct stream_place){.iommu = iommu, .stream = stream, .member = i};
        }
    }
    qsort(joined->places, joined->n_places, sizeof(*joined->places), compare_places);
    return 0;
}

/* By the first member of each. */
static void number_sets(struct joined_streams *joined, struct isolation_member *members,
                        size_t n_members, struct forest *forest) {
    static const size_t has_stream = SET_NONE - 1;

    for (size_t i = 0; i < n_members; i++)
        members[i].set = SET_NONE;
    for (size_t i = 0; i < joined->n_places; i++)
        members[joined->places[i].member].set = has_stream;
    for (size_t i = 0; i < n_members; i++) {
        struct isolation_member *root = &members[forest_root(forest, i)];
        if (members[i].set == SET_NONE)
            continue;
        if (root->set == has_stream)
            root->set = joined->n_sets++;
        members[i].set = root->set;
    }
}

int isolation_join(const struct device_tree *tree, struct isolation_member *members,
                   size_t n_members, struct joined_streams *ret) {
    _cleanup_(forest_done) struct forest forest = {0};
    int r = forest_begin(&forest, n_members);

    if (r == 0)
        r = collect_places(tree, members, n_members, ret);
    if (r == 0)
        r = join_classes(ret, &forest);
    if (r == 0)
        number_sets(ret, members, n_members, &forest);
    return r;
}
