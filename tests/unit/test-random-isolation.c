/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random trees and devices: sets, flags and findings against their definitions. What is said of a
 * file with an SMMUv2 is held against a statement of what its driver does, in every order of probing.
 *
 * test-random-isolation [SEED [STEPS]] */
#include "random-tree.h"
#include "smmu-v2.h"

#include "model/device.h"
#include "model/isolation.h"
#include "util/string.h"

enum { MEMBERS_MAX = 32 };

static struct random_tree random_tree;
static const struct device_tree *tree = &random_tree.tree;
static struct isolation_member members[MEMBERS_MAX];
static size_t n_members;
static struct tree_stream mapped[MEMBERS_MAX];
static char devices[MEMBERS_MAX][32];
static bool together[MEMBERS_MAX][MEMBERS_MAX]; /* the closure */

/* ---- Members ---------------------------------------------------------------------------------- */

static void make_live(struct isolation_member *member) {
    static const char *const drivers[] = {NULL, NULL, "vfio-platform", "ahci", "pci-stub"};

    snprintf(devices[n_members], sizeof(devices[n_members]), "bus/d%02zu", n_members);
    member->device = devices[n_members];
    member->group = (int64_t)draw(4) - 1;
    member->driver = drivers[draw(ELEMENTS_OF(drivers))];
    member->role = driver_role(member->driver, false, false);
}

static void make_function(const struct tree_master *bridge) {
    struct isolation_member *member = &members[n_members];

    *member = (struct isolation_member){
        .master = bridge, .is_function = true, .streams = &mapped[n_members]};
    member->n_streams = tree_map_requester(bridge, tree, draw(8), &mapped[n_members]);
    make_live(member);
    n_members++;
}

static void make_members(void) {
    n_members = 0;
    for (size_t i = 0; i < tree->n_masters; i++) {
        const struct tree_master *master = &tree->masters[i];
        if (!master->enabled)
            continue;
        members[n_members] = (struct isolation_member){
            .master = master, .streams = master->streams, .n_streams = master->n_streams};
        make_live(&members[n_members]);
        n_members++;
        for (unsigned n = master->has_map ? draw(5) : 0; n > 0; n--)
            make_function(master);
    }
}

static void make_closure(void) {
    for (size_t i = 0; i < n_members; i++)
        for (size_t j = 0; j < n_members; j++)
            together[i][j] = lists_collide(tree, members[i].streams, members[i].n_streams,
                                           members[j].streams, members[j].n_streams);
    for (size_t k = 0; k < n_members; k++)
        for (size_t i = 0; i < n_members; i++)
            for (size_t j = 0; j < n_members; j++)
                together[i][j] = together[i][j] || (together[i][k] && together[k][j]);
}

/* ---- Sets ------------------------------------------------------------------------------------- */

static void check_sets(const struct isolation *isolation) {
    size_t n_sets = 0, n_placed = 0;

    for (size_t i = 0; i < n_members; i++) {
        if (!together[i][i]) {
            check(members[i].set == SET_NONE);
            continue;
        }
        for (size_t j = 0; j < n_members; j++)
            check((members[i].set == members[j].set) == together[i][j]);
        check(members[i].set <= n_sets);
        n_sets += members[i].set == n_sets;
        check(members[i].set < isolation->n_sets);
        n_placed++;
    }
    check(isolation->n_sets == n_sets);
    for (size_t i = 0; i < n_sets; i++) {
        const struct isolation_set *set = &isolation->sets[i];
        check(set->n_members > 0);
        for (size_t j = 0; j < set->n_members; j++) {
            check(members[set->members[j]].set == i);
            check(j == 0 || set->members[j - 1] < set->members[j]);
        }
        n_placed -= set->n_members;
    }
    check(n_placed == 0);
}

/* ---- Flags ------------------------------------------------------------------------------------ */

static bool is_numbered(size_t iommu) {
    return tree->iommus[iommu].enabled && !is_one_stream(&tree->iommus[iommu]);
}

static bool is_within(uint32_t number, uint32_t from, uint32_t length) {
    return number >= from && number - from < length;
}

static bool maps_meet(const struct tree_master *a, const struct tree_map *one,
                      const struct tree_master *b, const struct tree_map *other) {
    for (uint32_t i = 0; i < 64; i++) {
        if (a == b && is_within(i, one->requester, one->length) &&
            is_within(i, other->requester, other->length))
            return true;
        if (one->iommu == other->iommu && is_numbered(one->iommu) &&
            is_within(i, one->id, one->length) && is_within(i, other->id, other->length))
            return true;
    }
    return false;
}

static bool is_inside(const struct isolation_member *member, const struct tree_master *bridge) {
    if (member->is_function || member->master == bridge)
        return false;
    for (size_t i = 0; i < member->n_streams; i++) {
        const struct tree_stream *stream = &member->streams[i];
        for (size_t j = 0; j < bridge->n_maps; j++) {
            const struct tree_map *map = &bridge->maps[j];
            if (map->iommu != stream->iommu || !is_numbered(map->iommu))
                continue;
            for (uint32_t k = 0; k < map->length; k++)
                if ((((map->id + k) ^ stream->id) & ~stream->mask) == 0)
                    return true;
        }
    }
    return false;
}

static bool bridge_meets(const struct tree_master *bridge) {
    for (size_t i = 0; i < tree->n_masters; i++) {
        const struct tree_master *other = &tree->masters[i];
        for (size_t j = 0; other->enabled && j < bridge->n_maps; j++)
            for (size_t k = 0; k < other->n_maps; k++)
                if (&bridge->maps[j] != &other->maps[k] &&
                    maps_meet(bridge, &bridge->maps[j], other, &other->maps[k]))
                    return true;
    }
    for (size_t i = 0; i < n_members; i++)
        if (is_inside(&members[i], bridge))
            return true;
    return false;
}

static bool overlaps(const struct isolation_member *member) {
    if (member->master->n_maps > 0 && bridge_meets(member->master))
        return true;
    for (size_t i = 0; i < tree->n_masters; i++)
        if (tree->masters[i].enabled && is_inside(member, &tree->masters[i]))
            return true;
    return false;
}

static unsigned flags_of(const struct isolation_member *member) {
    size_t n_enabled = 0, n_disabled = 0;

    for (size_t i = 0; i < tree->n_iommus; i++) {
        bool named = false, own = false;
        for (size_t j = 0; j < member->n_streams; j++)
            own = own || member->streams[j].iommu == i;
        for (size_t j = 0; !member->is_function && j < member->master->n_maps; j++)
            named = named || member->master->maps[j].iommu == i;
        n_enabled += own && tree->iommus[i].enabled;
        n_disabled += (own || named) && !tree->iommus[i].enabled;
    }
    return (n_enabled > 1 ? ISOLATION_TWO_IOMMUS : 0) |
           (n_disabled > 0 ? ISOLATION_DISABLED_IOMMU : 0) |
           (overlaps(member) ? ISOLATION_MAP_OVERLAP : 0);
}

static bool somebody_uses_one(void) {
    for (size_t i = 0; i < tree->n_masters; i++) {
        const struct tree_master *master = &tree->masters[i];
        for (size_t j = 0; master->enabled && j < master->n_streams; j++)
            if (tree->iommus[master->streams[j].iommu].enabled)
                return true;
        for (size_t j = 0; master->enabled && j < master->n_maps; j++)
            if (tree->iommus[master->maps[j].iommu].enabled)
                return true;
    }
    return false;
}

static void check_flags(void) {
    for (size_t i = 0; i < n_members; i++) {
        const struct isolation_member *member = &members[i];
        const struct tree_master *master = member->master;
        bool lacks = !member->is_function && master->looks_like_master && !master->has_iommus &&
                     !master->has_map && somebody_uses_one();
        check(member->flags == (flags_of(member) | (lacks ? ISOLATION_NO_IOMMUS : 0)));
    }
}

static void check_sets_alone(const struct isolation *isolation) {
    struct isolation_member copies[MEMBERS_MAX];
    size_t n_sets;

    memcpy(copies, members, sizeof(copies));
    for (size_t i = 0; i < n_members; i++)
        copies[i].flags = copies[i].set = 12345;
    check(isolation_find_sets(tree, copies, n_members, &n_sets) == 0);
    check(n_sets == isolation->n_sets);
    for (size_t i = 0; i < n_members; i++)
        check(copies[i].set == members[i].set && copies[i].flags == members[i].flags);
}

/* ---- Findings of a machine -------------------------------------------------------------------- */

static bool runs(const struct isolation_member *member) {
    return member->driver && strcmp(member->driver, "pci-stub") != 0;
}

/* Whether exactly these members are in one finding of the kind, or, if none is wanted, in none. */
static void check_finding(const struct isolation *isolation, enum reason kind, size_t set,
                          enum isolation_level level, const bool *wanted) {
    size_t n_wanted = 0, n_found = 0;

    for (size_t i = 0; i < n_members; i++)
        n_wanted += wanted[i];
    for (size_t i = 0; i < isolation->n_findings; i++) {
        const struct isolation_finding *finding = &isolation->findings[i];
        check(finding->n_members > 0 && finding->text && *finding->text);
        if (finding->kind != kind || members[finding->members[0]].set != set)
            continue;
        n_found++;
        check(finding->level == level && finding->n_members == n_wanted);
        for (size_t j = 0; j < finding->n_members; j++)
            check(wanted[finding->members[j]]);
        check(strings_length(finding->specifiers) > 0);
    }
    check(n_found == (n_wanted > 0));
}

static void check_live_set(const struct isolation *isolation, size_t set) {
    bool grouped[MEMBERS_MAX] = {0}, waiting[MEMBERS_MAX] = {0}, all[MEMBERS_MAX] = {0};
    bool split = false, half = false;
    size_t n = 0;

    for (size_t i = 0; i < n_members; i++) {
        if (members[i].set != set)
            continue;
        n++;
        grouped[i] = members[i].group != GROUP_NONE;
        waiting[i] = !grouped[i] && !runs(&members[i]);
        half = half || (!grouped[i] && runs(&members[i]));
        for (size_t j = 0; j < n_members; j++)
            split = split || (members[j].set == set && grouped[i] &&
                              members[j].group != GROUP_NONE && members[j].group != members[i].group);
    }
    for (size_t i = 0; i < n_members; i++) {
        grouped[i] = grouped[i] && split;
        all[i] = half && members[i].set == set;
    }
    check_finding(isolation, REASON_SPLIT, set, ISOLATION_CRITICAL, grouped);
    check_finding(isolation, REASON_HALF, set, n > 1 ? ISOLATION_CRITICAL : ISOLATION_WARNING, all);
    check_finding(isolation, REASON_PENDING, set, ISOLATION_INFO, waiting);
}

/* ---- Order ------------------------------------------------------------------------------------ */

/* All that is said, without the places of members. */
static char *tell(const struct isolation *isolation, const struct isolation_member *of) {
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    for (size_t i = 0; i < isolation->n_findings; i++) {
        const struct isolation_finding *finding = &isolation->findings[i];
        fprintf(file, "%s %s:", isolation_level_to_string(finding->level),
                reason_to_string(finding->kind));
        for (size_t j = 0; j < finding->n_members; j++)
            fprintf(file, " %s=%s", of[finding->members[j]].master->node,
                    of[finding->members[j]].device ?: "");
        for (char **specifier = finding->specifiers; specifier && *specifier; specifier++)
            fprintf(file, " [%s]", *specifier);
        fprintf(file, " %s\n", finding->text);
    }
    fclose(file);
    return text;
}

static void check_order(const struct isolation *isolation, bool is_live) {
    _cleanup_(isolation_done) struct isolation again = {0};
    struct isolation_member shuffled[MEMBERS_MAX];
    _cleanup_(freep) char *first = tell(isolation, members);

    memcpy(shuffled, members, sizeof(shuffled));
    for (size_t i = n_members; i > 1; i--) {
        size_t other = draw((unsigned)i);
        struct isolation_member taken = shuffled[i - 1];
        shuffled[i - 1] = shuffled[other];
        shuffled[other] = taken;
    }
    check(isolation_reach(tree, shuffled, n_members, is_live, &again) == 0);
    _cleanup_(freep) char *second = tell(&again, shuffled);
    check(strcmp(first, second) == 0);
    for (size_t i = 1; i < isolation->n_findings; i++)
        check(isolation->findings[i].level <= isolation->findings[i - 1].level);
}

static void check_live(void) {
    _cleanup_(isolation_done) struct isolation isolation = {0};

    make_members();
    make_closure();
    check(isolation_reach(tree, members, n_members, true, &isolation) == 0);
    check_sets(&isolation);
    check_flags();
    check_sets_alone(&isolation);
    for (size_t i = 0; i < isolation.n_sets; i++)
        check_live_set(&isolation, i);
    check_order(&isolation, true);
}

/* ---- Orders of probing ------------------------------------------------------------------------- */

static bool is_good_order(const size_t *order, size_t n) {
    struct smmu smmu = {0};

    for (size_t i = 0; i < n; i++)
        if (probe(&smmu, members[order[i]].streams, members[order[i]].n_streams) != 1)
            return false;
    return true;
}

/* Counts the orders in which all come into one group. */
static void try_orders(size_t *order, size_t n, size_t done, unsigned *good, unsigned *bad) {
    if (done == n) {
        ++*(is_good_order(order, n) ? good : bad);
        return;
    }
    for (size_t i = done; i < n; i++) {
        size_t taken = order[done];
        order[done] = order[i], order[i] = taken;
        try_orders(order, n, done + 1, good, bad);
        order[i] = order[done], order[done] = taken;
    }
}

static bool meet_unequally(const struct isolation_member *a, const struct isolation_member *b) {
    for (size_t i = 0; i < a->n_streams; i++)
        for (size_t j = 0; j < b->n_streams; j++) {
            const struct tree_stream *one = &a->streams[i], *other = &b->streams[j];
            if (collide(tree, one, other) &&
                (one->mask != other->mask || ((one->id ^ other->id) & ~one->mask)))
                return true;
        }
    return false;
}

/* ---- Findings of a file ----------------------------------------------------------------------- */

/* The worst that is said of a set by a finding of the kind; -1 if nothing. */
static int worst_of(const struct isolation *isolation, enum reason kind, size_t set) {
    int worst = -1;

    for (size_t i = 0; i < isolation->n_findings; i++) {
        const struct isolation_finding *finding = &isolation->findings[i];
        if (finding->kind == kind && members[finding->members[0]].set == set &&
            (int)finding->level > worst)
            worst = (int)finding->level;
    }
    return worst;
}

static unsigned n_good_sets, n_mixed_sets, n_bad_sets, n_refused_sets;

static void check_smmu_v2(const struct isolation *isolation, size_t index) {
    const struct isolation_set *set = &isolation->sets[index];
    int split = worst_of(isolation, REASON_SPLIT, index);
    int half = worst_of(isolation, REASON_HALF, index);
    unsigned good = 0, bad = 0;
    size_t order[5];
    bool unequal = false;

    if (set->n_members > ELEMENTS_OF(order))
        return;
    for (size_t i = 0; i < set->n_members; i++) {
        order[i] = set->members[i];
        if (meet_unequally(&members[order[i]], &members[order[i]]))
            return;
        for (size_t j = 0; j < i; j++)
            unequal = unequal || meet_unequally(&members[order[i]], &members[order[j]]);
    }
    try_orders(order, set->n_members, 0, &good, &bad);
    check((half >= 0) == unequal);
    check(bad > 0 || (split < 0 && half < 0));
    check(bad == 0 || split >= 0 || half >= 0);
    if (!unequal)
        check(split == (bad == 0 ? -1 : good > 0 ? ISOLATION_WARNING : ISOLATION_CRITICAL));
    n_refused_sets += unequal;
    n_good_sets += !unequal && bad == 0;
    n_mixed_sets += !unequal && bad && good;
    n_bad_sets += !unequal && bad && !good;
}

static void check_file_set(const struct isolation *isolation, size_t index) {
    const struct isolation_set *set = &isolation->sets[index];
    bool all[MEMBERS_MAX] = {0}, none[MEMBERS_MAX] = {0};
    size_t iommu = members[set->members[0]].streams[0].iommu;

    for (size_t i = 0; i < set->n_members; i++) {
        const struct isolation_member *member = &members[set->members[i]];
        all[set->members[i]] = set->n_members > 1;
        for (size_t j = 0; j < member->n_streams; j++)
            if (member->streams[j].iommu != iommu)
                return; /* more than one IOMMU: the tables of other tests */
    }
    enum tree_grouping grouping = tree->iommus[iommu].grouping;
    if (grouping == TREE_GROUP_SMMU_V2) {
        check_smmu_v2(isolation, index);
        return;
    }
    check_finding(isolation, REASON_HALF, index, ISOLATION_CRITICAL,
                  grouping == TREE_GROUP_SMMU_V3 ? all : none);
    check_finding(isolation, REASON_SPLIT, index, ISOLATION_CRITICAL,
                  grouping == TREE_GROUP_PER_DEVICE ? all : none);
}

static void check_file(void) {
    _cleanup_(isolation_done) struct isolation isolation = {0};
    _cleanup_(freep) struct isolation_member *found = NULL;

    check(isolation_members_of_file(tree, &found, &n_members) == 0);
    check(n_members <= MEMBERS_MAX);
    memcpy(members, found, n_members * sizeof(*found));
    make_closure();
    check(isolation_reach(tree, members, n_members, false, &isolation) == 0);
    check_sets(&isolation);
    check_flags();
    for (size_t i = 0; i < isolation.n_sets; i++)
        check_file_set(&isolation, i);
    check_order(&isolation, false);
}

int main(int argc, char **argv) {
    unsigned long n_steps = read_arguments(argc, argv, 20000);

    for (step = 1; step <= n_steps; step++) {
        make_tree(&random_tree);
        check_live();
        check_file();
    }
    printf("# sets at an SMMUv2: %u in one group, %u by order, %u never, %u refused\n", n_good_sets,
           n_mixed_sets, n_bad_sets, n_refused_sets);
    printf("ok 1 - %lu random trees\n", n_steps);
    return EXIT_SUCCESS;
}
