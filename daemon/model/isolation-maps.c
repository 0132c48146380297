/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries of iommu-map that overlap: what comes in, what goes out, and streams of other masters. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "model/isolation-internal.h"
#include "util/cleanup.h"

struct map_entry {
    const struct tree_master *bridge;
    const struct tree_map *map;
};

struct map_pair {
    const struct map_entry *one, *other; /* one's bridge is not behind the other's */
};

struct overlap_search {
    struct isolation_check *check;
    struct map_entry *entries;
    size_t n_entries;
};

static uint64_t input_end(const struct map_entry *entry) {
    return (uint64_t)entry->map->requester + entry->map->length;
}

static uint64_t output_end(const struct map_entry *entry) {
    return (uint64_t)entry->map->id + entry->map->length;
}

static const struct tree_iommu *iommu_of(const struct overlap_search *search,
                                         const struct map_entry *entry) {
    return &search->check->tree->iommus[entry->map->iommu];
}

/* Where the number of a stream means anything. */
static bool has_streams(const struct tree_iommu *iommu) {
    return iommu->enabled && iommu->grouping != TREE_GROUP_SINGLE && iommu->n_cells > 0;
}

/* A group for each device, or none for the second, where others share a group. */
static enum isolation_level level_of(const struct tree_iommu *iommu) {
    bool apart = iommu->grouping == TREE_GROUP_PER_DEVICE || iommu->grouping == TREE_GROUP_SMMU_V3;

    return apart ? ISOLATION_WARNING : ISOLATION_INFO;
}

/* ---- Members of a bridge ---------------------------------------------------------------------- */

static void flag_bridge(struct isolation_check *check, const struct tree_master *bridge) {
    for (size_t i = 0; i < check->n_members; i++)
        if (check->members[i].master == bridge)
            check->members[i].flags |= ISOLATION_MAP_OVERLAP;
}

static int add_bridge_as(struct isolation_finding *finding, const struct isolation_check *check,
                         const struct tree_master *bridge, bool is_function) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < check->n_members; i++)
        if (check->members[i].master == bridge && check->members[i].is_function == is_function)
            r = finding_add_member(finding, i);
    return r;
}

/* The bridge itself if it is a member, else the functions behind it. */
static int add_bridge(struct isolation_finding *finding, const struct isolation_check *check,
                      const struct tree_master *bridge) {
    size_t before = finding->n_members;
    int r = add_bridge_as(finding, check, bridge, false);

    return r == 0 && finding->n_members == before ? add_bridge_as(finding, check, bridge, true) : r;
}

static bool has_member(const struct isolation_check *check, const struct tree_master *bridge) {
    for (size_t i = 0; i < check->n_members; i++)
        if (check->members[i].master == bridge)
            return true;
    return false;
}

/* ---- What comes in ---------------------------------------------------------------------------- */

static int report_input(struct isolation_check *check, const struct map_entry *one,
                        const struct map_entry *other) {
    _cleanup_(sentence_done) struct sentence sentence = {0};
    struct isolation_finding *finding;

    if (!check->isolation || !has_member(check, one->bridge))
        return 0;
    finding = isolation_add(check, REASON_MAP_OVERLAP, ISOLATION_WARNING);
    if (!finding || add_bridge(finding, check, one->bridge) < 0 || sentence_begin(&sentence) < 0)
        return -ENOMEM;
    finding_sort(finding, check->members);
    fprintf(sentence.file,
            "Entries in the iommu-map of %s are for the same requester ids (0x%" PRIx32
            " to 0x%" PRIx64 ", and 0x%" PRIx32 " to 0x%" PRIx64
            "): the first one in the list counts, and the other says nothing of them.",
            one->bridge->node, one->map->requester, input_end(one) - 1, other->map->requester,
            input_end(other) - 1);
    return sentence_end(&sentence, finding);
}

static int compare_inputs(const void *one, const void *other) {
    const struct map_entry *a = one, *b = other;

    if (a->bridge != b->bridge)
        return a->bridge < b->bridge ? -1 : 1;
    if (a->map->requester != b->map->requester)
        return a->map->requester < b->map->requester ? -1 : 1;
    return (a->map > b->map) - (a->map < b->map);
}

/* One finding a bridge: the first two entries that meet, and these are neighbours. */
static int find_inputs(struct overlap_search *search) {
    const struct tree_master *reported = NULL;
    int r = 0;

    qsort(search->entries, search->n_entries, sizeof(*search->entries), compare_inputs);
    for (size_t i = 1; r == 0 && i < search->n_entries; i++) {
        const struct map_entry *before = &search->entries[i - 1], *entry = &search->entries[i];
        if (before->bridge != entry->bridge || entry->bridge == reported ||
            entry->map->requester >= input_end(before))
            continue;
        reported = entry->bridge;
        flag_bridge(search->check, entry->bridge);
        r = report_input(search->check, before, entry);
    }
    return r;
}

/* ---- What goes out ---------------------------------------------------------------------------- */

static int report_output(struct overlap_search *search, const struct map_pair *pair) {
    struct isolation_check *check = search->check;
    const struct map_entry *one = pair->one, *other = pair->other;
    const struct tree_iommu *iommu = iommu_of(search, one);
    _cleanup_(sentence_done) struct sentence sentence = {0};
    struct isolation_finding *finding;

    if (!has_member(check, one->bridge) && !has_member(check, other->bridge))
        return 0;
    finding = isolation_add(check, REASON_MAP_OVERLAP, level_of(iommu));
    if (!finding || add_bridge(finding, check, one->bridge) < 0 ||
        add_bridge(finding, check, other->bridge) < 0 || sentence_begin(&sentence) < 0)
        return -ENOMEM;
    finding_sort(finding, check->members);
    fprintf(sentence.file, "The iommu-map of %s", one->bridge->node);
    if (other->bridge != one->bridge)
        fprintf(sentence.file, " and that of %s", other->bridge->node);
    fprintf(sentence.file,
            " map%s two ranges of functions to the same streams of %s (0x%" PRIx32 " to 0x%" PRIx64
            ", and 0x%" PRIx32 " to 0x%" PRIx64 "): the IOMMU cannot tell these functions apart.",
            other->bridge == one->bridge ? "s" : "", iommu->node, one->map->id,
            output_end(one) - 1, other->map->id, output_end(other) - 1);
    return sentence_end(&sentence, finding);
}

static int compare_outputs(const void *one, const void *other) {
    const struct map_entry *a = one, *b = other;

    if (a->map->iommu != b->map->iommu)
        return a->map->iommu < b->map->iommu ? -1 : 1;
    if (a->map->id != b->map->id)
        return a->map->id < b->map->id ? -1 : 1;
    if (a->bridge != b->bridge)
        return a->bridge < b->bridge ? -1 : 1;
    return (a->map > b->map) - (a->map < b->map);
}

static int compare_bridges(const struct map_pair *a, const struct map_pair *b) {
    if (a->one->map->iommu != b->one->map->iommu)
        return a->one->map->iommu < b->one->map->iommu ? -1 : 1;
    if (a->one->bridge != b->one->bridge)
        return a->one->bridge < b->one->bridge ? -1 : 1;
    return (a->other->bridge > b->other->bridge) - (a->other->bridge < b->other->bridge);
}

static int compare_pairs(const void *one, const void *other) {
    const struct map_pair *a = one, *b = other;
    int order = compare_bridges(a, b);

    if (order == 0) /* entries are in order of the streams */
        order = (a->one > b->one) - (a->one < b->one);
    return order ? order : (a->other > b->other) - (a->other < b->other);
}

/* Each entry against the one before it that reaches furthest. */
static size_t collect_outputs(struct overlap_search *search, struct map_pair *pairs) {
    const struct map_entry *widest = NULL;
    size_t n = 0;

    for (size_t i = 0; i < search->n_entries; i++) {
        const struct map_entry *entry = &search->entries[i];
        bool same = widest && widest->map->iommu == entry->map->iommu;
        if (same && has_streams(iommu_of(search, entry)) && entry->map->id < output_end(widest)) {
            bool turned = entry->bridge < widest->bridge;
            pairs[n++] = (struct map_pair){turned ? entry : widest, turned ? widest : entry};
            flag_bridge(search->check, entry->bridge);
            flag_bridge(search->check, widest->bridge);
        }
        if (!same || output_end(entry) > output_end(widest))
            widest = entry;
    }
    return n;
}

/* One finding for two bridges (or one) at an IOMMU: the first two entries that meet. */
static int find_outputs(struct overlap_search *search) {
    _cleanup_(freep) struct map_pair *pairs = calloc(search->n_entries + 1, sizeof(*pairs));
    int r = 0;

    if (!pairs)
        return -ENOMEM;
    qsort(search->entries, search->n_entries, sizeof(*search->entries), compare_outputs);
    size_t n = collect_outputs(search, pairs);
    if (!search->check->isolation)
        return 0;
    qsort(pairs, n, sizeof(*pairs), compare_pairs);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (i == 0 || compare_bridges(&pairs[i - 1], &pairs[i]) != 0)
            r = report_output(search, &pairs[i]);
    return r;
}

/* ---- Streams of other masters in between ------------------------------------------------------ */

/* The smallest number from least on that is id in all bits that are not in mask; UINT64_MAX if
 * there is none. */
static uint64_t next_match(uint32_t id, uint32_t mask, uint32_t least) {
    if (((least ^ id) & ~mask) == 0)
        return least;
    /* As least above one bit, which is 0 there and 1 here, and as small as can be below it. */
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t one = UINT32_C(1) << bit, above = ~(one | (one - 1));
        if ((least & one) || ((least ^ id) & ~mask & above) || !((id | mask) & one))
            continue;
        return (least & above) | one | (id & ~mask & (one - 1));
    }
    return UINT64_MAX;
}

static bool entry_gives(const struct overlap_search *search, const struct map_entry *entry,
                        const struct tree_stream *stream) {
    const struct tree_iommu *iommu = iommu_of(search, entry);
    uint32_t mask = iommu->grouping == TREE_GROUP_SMMU_V2 ? stream->mask : 0;

    return stream->iommu == entry->map->iommu && has_streams(iommu) &&
           next_match(stream->id, mask, entry->map->id) < output_end(entry);
}

static int note_inside(struct overlap_search *search, const struct map_entry *entry, size_t index,
                       struct isolation_finding *finding, bool *ret_any) {
    struct isolation_member *member = &search->check->members[index];
    int r = 0;

    for (size_t i = 0; r == 0 && i < member->n_streams; i++) {
        if (!entry_gives(search, entry, &member->streams[i]))
            continue;
        *ret_any = true;
        member->flags |= ISOLATION_MAP_OVERLAP;
        if (!finding)
            break;
        if (finding->level < level_of(iommu_of(search, entry)))
            finding->level = level_of(iommu_of(search, entry));
        r = finding_add_member(finding, index);
        if (r == 0)
            r = finding_add_stream(finding, search->check->tree, &member->streams[i]);
    }
    return r;
}

static int report_inside(struct isolation_check *check, struct isolation_finding *finding,
                         const struct tree_master *bridge) {
    _cleanup_(sentence_done) struct sentence sentence = {0};
    int r = sentence_begin(&sentence);

    if (r < 0)
        return r;
    finding_sort(finding, check->members);
    fprintf(sentence.file, "The iommu-map of %s can map a function to the stream of ", bridge->node);
    write_members(sentence.file, finding, check->members, NULL, NULL);
    fputs(": the IOMMU cannot tell such a function from that device.", sentence.file);
    r = sentence_end(&sentence, finding);
    if (r == 0)
        r = add_bridge(finding, check, bridge);
    if (r == 0)
        finding_sort(finding, check->members);
    return r;
}

/* Of one bridge, whose entries are those from begin to end. */
static int find_inside(struct overlap_search *search, size_t begin, size_t end) {
    struct isolation_check *check = search->check;
    const struct tree_master *bridge = search->entries[begin].bridge;
    struct isolation_finding *finding = NULL;
    bool any = false;
    int r = 0;

    if (check->isolation) {
        finding = isolation_add(check, REASON_MAP_OVERLAP, ISOLATION_INFO);
        r = finding ? 0 : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < check->n_members; i++)
        for (size_t j = begin; r == 0 && j < end; j++)
            if (!check->members[i].is_function && check->members[i].master != bridge)
                r = note_inside(search, &search->entries[j], i, finding, &any);
    if (any)
        flag_bridge(check, bridge);
    if (r == 0 && finding && any)
        return report_inside(check, finding, bridge);
    if (r == 0 && finding)
        check->isolation->n_findings--;
    return r;
}

static int find_all_inside(struct overlap_search *search) {
    const struct map_entry *entries = search->entries;
    int r = 0;

    qsort(search->entries, search->n_entries, sizeof(*search->entries), compare_inputs);
    for (size_t begin = 0, end; r == 0 && begin < search->n_entries; begin = end) {
        end = begin + 1;
        while (end < search->n_entries && entries[end].bridge == entries[begin].bridge)
            end++;
        r = find_inside(search, begin, end);
    }
    return r;
}

/* ---- All of it -------------------------------------------------------------------------------- */

static size_t collect_entries(const struct device_tree *tree, struct map_entry *entries) {
    size_t n = 0;

    for (size_t i = 0; i < tree->n_masters; i++) {
        const struct tree_master *master = &tree->masters[i];
        for (size_t j = 0; master->enabled && j < master->n_maps; j++) {
            if (entries && master->maps[j].length > 0)
                entries[n] = (struct map_entry){master, &master->maps[j]};
            n += master->maps[j].length > 0;
        }
    }
    return n;
}

int isolation_find_map_overlaps(struct isolation_check *check) {
    size_t n = collect_entries(check->tree, NULL);
    _cleanup_(freep) struct map_entry *entries = calloc(n + 1, sizeof(*entries));
    struct overlap_search search = {.check = check, .entries = entries, .n_entries = n};
    int r;

    if (!entries)
        return -ENOMEM;
    if (n == 0)
        return 0;
    collect_entries(check->tree, entries);
    r = find_inputs(&search);
    if (r == 0)
        r = find_outputs(&search);
    return r == 0 ? find_all_inside(&search) : r;
}
