/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/isolation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/device.h"
#include "model/isolation-internal.h"
#include "util/cleanup.h"
#include "util/string.h"

/* ---- Words ------------------------------------------------------------------------------------ */

static const char *const level_words[] = {
    [ISOLATION_INFO] = "info",
    [ISOLATION_WARNING] = "warning",
    [ISOLATION_CRITICAL] = "critical",
};

const char *isolation_level_to_string(enum isolation_level level) {
    return level_words[level];
}

int isolation_level_from_string(const char *text, enum isolation_level *ret) {
    for (size_t i = 0; i < ELEMENTS_OF(level_words); i++) {
        if (string_equal(text, level_words[i])) {
            *ret = (enum isolation_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- Members of a file ------------------------------------------------------------------------ */

bool isolation_is_iommu(const struct device_tree *tree, const char *node) {
    for (size_t i = 0; i < tree->n_iommus; i++)
        if (strcmp(tree->iommus[i].node, node) == 0)
            return true;
    return false;
}

/* An IOMMU reads its tables from memory by itself, so that its node looks like that of a master. */
static bool is_member(const struct device_tree *tree, const struct tree_master *master) {
    if (!master->enabled)
        return false;
    if (master->has_iommus || master->has_map)
        return true;
    return master->looks_like_master && !isolation_is_iommu(tree, master->node);
}

int isolation_members_of_file(const struct device_tree *tree, struct isolation_member **ret,
                              size_t *ret_n) {
    struct isolation_member *members = calloc(tree->n_masters + 1, sizeof(*members));
    size_t n = 0;

    if (!members)
        return -ENOMEM;
    for (size_t i = 0; i < tree->n_masters; i++) {
        const struct tree_master *master = &tree->masters[i];
        if (is_member(tree, master))
            members[n++] = (struct isolation_member){
                .master = master,
                .streams = master->streams,
                .n_streams = master->n_streams,
                .group = GROUP_NONE,
                .set = SET_NONE,
            };
    }
    *ret = members;
    *ret_n = n;
    return 0;
}

/* ---- Sets ------------------------------------------------------------------------------------- */

static int fill_sets(struct isolation_check *check) {
    struct isolation *isolation = check->isolation;
    size_t n_sets = check->joined.n_sets;

    isolation->sets = calloc(n_sets + 1, sizeof(*isolation->sets));
    if (!isolation->sets)
        return -ENOMEM;
    isolation->n_sets = n_sets;
    for (size_t i = 0; i < check->n_members; i++)
        if (check->members[i].set != SET_NONE)
            isolation->sets[check->members[i].set].n_members++;
    for (size_t i = 0; i < n_sets; i++) {
        struct isolation_set *set = &isolation->sets[i];
        set->members = calloc(set->n_members, sizeof(*set->members));
        if (!set->members)
            return -ENOMEM;
        set->n_members = 0;
    }
    for (size_t i = 0; i < check->n_members; i++) {
        if (check->members[i].set == SET_NONE)
            continue;
        struct isolation_set *set = &isolation->sets[check->members[i].set];
        set->members[set->n_members++] = i;
    }
    return 0;
}

static int compare_by_set(const void *one, const void *other, void *context) {
    const struct stream_place *a = one, *b = other;
    const struct isolation_member *members = context;
    size_t first = members[a->member].set, second = members[b->member].set;

    if (first != second)
        return first < second ? -1 : 1;
    if (a->stream->iommu != b->stream->iommu)
        return a->stream->iommu < b->stream->iommu ? -1 : 1;
    if (a->member != b->member)
        return a->member < b->member ? -1 : 1;
    return (a->stream > b->stream) - (a->stream < b->stream);
}

static int sort_places_by_set(struct isolation_check *check) {
    struct joined_streams *joined = &check->joined;
    size_t *begins = calloc(joined->n_sets + 1, sizeof(*begins));

    if (!begins)
        return -ENOMEM;
    check->set_begins = begins;
    qsort_r(joined->places, joined->n_places, sizeof(*joined->places), compare_by_set,
            check->members);
    /* Every set has a place, so that each begin is met. */
    for (size_t i = joined->n_places; i-- > 0;)
        begins[check->members[joined->places[i].member].set] = i;
    begins[joined->n_sets] = joined->n_places;
    return 0;
}

static void check_done(struct isolation_check *check) {
    free(check->joined.places);
    free(check->set_begins);
}

int isolation_find_sets(const struct device_tree *tree, struct isolation_member *members,
                        size_t n_members, size_t *ret_n_sets) {
    _cleanup_(check_done) struct isolation_check check = {
        .tree = tree, .members = members, .n_members = n_members};
    int r = isolation_join(tree, members, n_members, &check.joined);

    if (r == 0)
        r = isolation_flag_members(&check);
    if (r == 0)
        r = isolation_find_map_overlaps(&check);
    if (r == 0)
        *ret_n_sets = check.joined.n_sets;
    return r;
}

/* ---- Findings --------------------------------------------------------------------------------- */

static int compare_findings(const void *one, const void *other, void *context) {
    const struct isolation_finding *a = one, *b = other;
    const struct isolation_member *members = context;
    const struct isolation_member *first = &members[a->members[0]], *second = &members[b->members[0]];
    int order = (int)b->level - (int)a->level;

    if (order == 0)
        order = strcmp(first->master->node, second->master->node);
    if (order == 0)
        order = (int)a->kind - (int)b->kind;
    return order ? order : strcmp(a->text, b->text);
}

int isolation_reach(const struct device_tree *tree, struct isolation_member *members,
                    size_t n_members, bool is_live, struct isolation *ret) {
    _cleanup_(check_done) struct isolation_check check = {
        .tree = tree, .members = members, .n_members = n_members, .isolation = ret};
    int r = isolation_join(tree, members, n_members, &check.joined);

    if (r == 0)
        r = isolation_flag_members(&check);
    if (r == 0)
        r = fill_sets(&check);
    if (r == 0)
        r = sort_places_by_set(&check);
    if (r == 0)
        r = isolation_find_map_overlaps(&check);
    if (r == 0)
        r = isolation_find_single(&check);
    if (r == 0)
        r = is_live ? isolation_compare_groups(&check) : isolation_predict(&check);
    if (r == 0 && ret->n_findings > 0)
        qsort_r(ret->findings, ret->n_findings, sizeof(*ret->findings), compare_findings, members);
    return r;
}

void isolation_done(struct isolation *isolation) {
    for (size_t i = 0; i < isolation->n_sets; i++)
        free(isolation->sets[i].members);
    free(isolation->sets);
    for (size_t i = 0; i < isolation->n_findings; i++) {
        free(isolation->findings[i].members);
        strings_free(isolation->findings[i].specifiers);
        free(isolation->findings[i].text);
    }
    free(isolation->findings);
    *isolation = (struct isolation){0};
}
