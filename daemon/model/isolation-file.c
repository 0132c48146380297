/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What Linux would make of a set, by the driver of the IOMMU: Linux 6.1 to 6.12. */
#include <errno.h>
#include <stdlib.h>

#include "model/isolation-internal.h"
#include "util/cleanup.h"

/* The streams of a set at one IOMMU: by member, then as the tree has them. */
struct stretch {
    const struct tree_iommu *iommu;
    const struct stream_place *places;
    size_t n_places;
};

/* ---- Findings --------------------------------------------------------------------------------- */

static bool is_shared(const struct stream_place *place) {
    return place->shared;
}

static bool is_partial(const struct stream_place *place) {
    return place->overlaps & OVERLAP_PARTIAL;
}

static bool is_contained(const struct stream_place *place) {
    return place->overlaps & OVERLAP_CONTAINED;
}

typedef bool place_test(const struct stream_place *place);

static bool has_place(const struct stretch *stretch, place_test *wanted) {
    for (size_t i = 0; i < stretch->n_places; i++)
        if (wanted(&stretch->places[i]))
            return true;
    return false;
}

static int add_places(struct isolation_finding *finding, const struct isolation_check *check,
                      const struct stretch *stretch, place_test *wanted) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < stretch->n_places; i++) {
        const struct stream_place *place = &stretch->places[i];
        if (!wanted(place))
            continue;
        r = finding_add_member(finding, place->member);
        if (r == 0)
            r = finding_add_stream(finding, check->tree, place->stream);
    }
    return r;
}

/* "A and B", between, "stream 0x200 of /smmu", after: of the places that wanted() takes. */
static int report(struct isolation_check *check, const struct stretch *stretch, place_test *wanted,
                  enum reason kind, enum isolation_level level, const char *between,
                  const char *after) {
    _cleanup_(sentence_done) struct sentence sentence = {0};
    struct isolation_finding *finding = isolation_add(check, kind, level);

    if (!finding || add_places(finding, check, stretch, wanted) < 0 || sentence_begin(&sentence) < 0)
        return -ENOMEM;
    finding_sort(finding, check->members);
    write_members(sentence.file, finding, check->members, NULL, NULL);
    fputs(between, sentence.file);
    write_streams(sentence.file, finding);
    fputs(after, sentence.file);
    return sentence_end(&sentence, finding);
}

/* ---- SMMUv2 ----------------------------------------------------------------------------------- */

/* arm_smmu_device_group() takes the group of the last stream in the tree, and makes one if that has
 * none yet. So the member that is probed first makes a group for all of its streams, and one that
 * comes later joins it if its own last stream is among these. */
static bool holds(const struct stretch *stretch, size_t begin, size_t end,
                  const struct stream_place *last) {
    for (size_t i = begin; i < end; i++) {
        const struct tree_stream *stream = stretch->places[i].stream;
        if (stretch->places[i].class == last->class ||
            ((stream->id ^ last->stream->id) & ~(stream->mask | last->stream->mask)) == 0)
            return true;
    }
    return false;
}

static size_t member_end(const struct stretch *stretch, size_t begin) {
    size_t end = begin + 1;

    while (end < stretch->n_places &&
           stretch->places[end].member == stretch->places[begin].member)
        end++;
    return end;
}

static int compare_classes(const void *one, const void *other) {
    const struct stream_place *const *a = one, *const *b = other;

    return ((*a)->class > (*b)->class) - ((*a)->class < (*b)->class);
}

/* The last streams of the members, each class once. */
static size_t collect_lasts(const struct stretch *stretch, const struct stream_place **lasts) {
    size_t n = 0, kept = 0;

    for (size_t begin = 0, end; begin < stretch->n_places; begin = end) {
        end = member_end(stretch, begin);
        lasts[n++] = &stretch->places[end - 1];
    }
    qsort(lasts, n, sizeof(*lasts), compare_classes);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || lasts[kept - 1]->class != lasts[i]->class)
            lasts[kept++] = lasts[i];
    return kept;
}

/* Whether all end up in one group if any (*ret_all), or some (*ret_some), of them comes first. */
static int judge_order(const struct stretch *stretch, bool *ret_all, bool *ret_some) {
    _cleanup_(freep) const struct stream_place **lasts = calloc(stretch->n_places, sizeof(*lasts));

    if (!lasts)
        return -ENOMEM;
    size_t n = collect_lasts(stretch, lasts);
    *ret_all = true;
    *ret_some = false;
    for (size_t begin = 0, end; begin < stretch->n_places; begin = end) {
        size_t held = 0;
        end = member_end(stretch, begin);
        while (held < n && holds(stretch, begin, end, lasts[held]))
            held++;
        *ret_all = *ret_all && held == n;
        *ret_some = *ret_some || held == n;
    }
    return 0;
}

static int predict_order(struct isolation_check *check, const struct stretch *stretch) {
    bool all, some;
    int r = judge_order(stretch, &all, &some);

    if (r < 0 || all)
        return r;
    if (some)
        return report(check, stretch, is_shared, REASON_SPLIT, ISOLATION_WARNING,
                      " have some of their streams in common (",
                      "), not all: the order in which Linux probes them decides whether they get one "
                      "group or several that cannot be told apart.");
    return report(check, stretch, is_shared, REASON_SPLIT, ISOLATION_CRITICAL,
                  " have some of their streams in common (",
                  "), not all: in whatever order Linux probes them, some get a group apart from the "
                  "others or none, though the IOMMU cannot tell them apart.");
}

static int predict_smmu_v2(struct isolation_check *check, const struct stretch *stretch) {
    int r = predict_order(check, stretch);

    if (r == 0 && has_place(stretch, is_partial))
        r = report(check, stretch, is_partial, REASON_HALF, ISOLATION_CRITICAL,
                   " have streams that overlap in part (",
                   "): Linux gives a group to the first one and refuses the others, which may then "
                   "run without a group in reach of its owner.");
    if (r == 0 && has_place(stretch, is_contained))
        r = report(check, stretch, is_contained, REASON_HALF, ISOLATION_WARNING,
                   " have streams of which one holds another (",
                   "): where Linux probes the narrower one first, it refuses the wider one, which "
                   "may then run without a group in reach of the other's owner.");
    return r;
}

/* ---- By the IOMMU ----------------------------------------------------------------------------- */

static int predict_stretch(struct isolation_check *check, const struct stretch *stretch) {
    if (!has_place(stretch, is_shared))
        return 0;
    switch (stretch->iommu->grouping) {
    case TREE_GROUP_SMMU_V3:
        return report(check, stretch, is_shared, REASON_HALF, ISOLATION_CRITICAL, " share ",
                      ": Linux gives a group only to the first one that it probes; the others can "
                      "run without one, in reach of whoever gets that group.");
    case TREE_GROUP_PER_DEVICE:
        return report(check, stretch, is_shared, REASON_SPLIT, ISOLATION_CRITICAL, " share ",
                      ": Linux gives each one a group of its own, and whoever gets one of these "
                      "groups can reach the memory that the owner of another one uses.");
    case TREE_GROUP_SMMU_V2:
        return predict_smmu_v2(check, stretch);
    default:
        return 0; /* one group, as it should be */
    }
}

/* Of a set that goes over more than one IOMMU: a device is in one group, so that those which share
 * another IOMMU with it are in another one. */
static int predict_two(struct isolation_check *check, const struct stretch *set, size_t n_sharing,
                       bool provided_for) {
    if (n_sharing > 1)
        return report(check, set, is_shared, REASON_SPLIT, ISOLATION_CRITICAL,
                      " are tied together by devices behind more than one IOMMU (",
                      "): Linux puts such a device into a group of one of these IOMMUs, and those "
                      "that share another one with it are in another group.");
    if (n_sharing == 0 || provided_for)
        return 0;
    return report(check, set, is_shared, REASON_SPLIT, ISOLATION_WARNING, " share ",
                  ", and some of them are behind another IOMMU too: where Linux attaches these there, "
                  "they get a group apart from the others.");
}

static bool joins(const struct tree_iommu *iommu) {
    return iommu->grouping != TREE_GROUP_SMMU_V3 && iommu->grouping != TREE_GROUP_PER_DEVICE;
}

static int predict_set(struct isolation_check *check, size_t index) {
    const struct stream_place *places = check->joined.places;
    size_t begin = check->set_begins[index], last = check->set_begins[index + 1];
    struct stretch whole = {places[begin].iommu, &places[begin], last - begin};
    size_t n_iommus = 0, n_sharing = 0;
    bool provided_for = true;
    int r = 0;

    for (size_t end; r == 0 && begin < last; begin = end) {
        struct stretch stretch = {places[begin].iommu, &places[begin], 0};
        for (end = begin; end < last && places[end].iommu == stretch.iommu; end++)
            stretch.n_places++;
        n_iommus++;
        n_sharing += joins(stretch.iommu) && has_place(&stretch, is_shared);
        provided_for = provided_for && isolation_drives_several(stretch.iommu);
        r = predict_stretch(check, &stretch);
    }
    return r == 0 && n_iommus > 1 ? predict_two(check, &whole, n_sharing, provided_for) : r;
}

int isolation_predict(struct isolation_check *check) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < check->isolation->n_sets; i++)
        if (check->isolation->sets[i].n_members > 1)
            r = predict_set(check, i);
    return r;
}
