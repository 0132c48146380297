/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random devices with streams come, go, bind and move between groups, and trees are replaced: who
 * shares a stream with a group, what the verdict says of that, and what the audit finds, against a
 * search through all pairs.
 *
 * test-random-streams [SEED [STEPS]] */
#include "random-tree.h"

#include "model/device-streams.h"
#include "model/model.h"
#include "model/verdict.h"
#include "util/string.h"

enum { PLATFORM = MASTERS_MAX + BRIDGES_MAX, N_PLACES = PLATFORM + 8, N_GROUPS = 5 };

/* A device that is there or not: one at each node, and functions behind the last two. */
struct place {
    char path[48], node[24];
    uint32_t requesters[2];
    unsigned n_requesters;
    bool present;
    const char *driver;
    int64_t group;

    struct tree_stream streams[STREAMS_MAX];
    size_t n_streams;
};

static struct random_tree random_tree;
static struct place places[N_PLACES];
static bool together[N_PLACES][N_PLACES];
static struct model model;
static bool has_tree, is_unreadable;
static enum sharing before[N_GROUPS];

/* ---- Trees ------------------------------------------------------------------------------------ */

static void *copy(const void *data, size_t size) {
    void *copied = size ? malloc(size) : NULL;

    return copied ? memcpy(copied, data, size) : NULL;
}

/* The model frees what it is given. */
static struct device_tree *copy_tree(const struct device_tree *tree) {
    struct device_tree *copied = copy(tree, sizeof(*tree));

    copied->iommus = copy(tree->iommus, tree->n_iommus * sizeof(*tree->iommus));
    copied->masters = copy(tree->masters, tree->n_masters * sizeof(*tree->masters));
    for (size_t i = 0; i < tree->n_iommus; i++) {
        copied->iommus[i].node = strdup(tree->iommus[i].node);
        copied->iommus[i].compatible = strdup("");
    }
    for (size_t i = 0; i < tree->n_masters; i++) {
        const struct tree_master *master = &tree->masters[i];
        copied->masters[i].node = strdup(master->node);
        copied->masters[i].streams = copy(master->streams, master->n_streams * sizeof(*master->streams));
        copied->masters[i].maps = copy(master->maps, master->n_maps * sizeof(*master->maps));
    }
    return copied;
}

static void find_streams(struct place *place) {
    const struct tree_master *master = NULL;

    place->n_streams = 0;
    if (has_tree)
        master = device_tree_master(&random_tree.tree, place->node);
    if (!master)
        return;
    if (place->n_requesters == 0) {
        place->n_streams = master->n_streams;
        for (size_t i = 0; i < master->n_streams; i++)
            place->streams[i] = master->streams[i];
    }
    for (unsigned i = 0; i < place->n_requesters; i++)
        place->n_streams += tree_map_requester(master, &random_tree.tree, place->requesters[i],
                                               &place->streams[place->n_streams]);
}

static void replace_tree(void) {
    unsigned kind = draw(12);

    has_tree = kind > 1;
    is_unreadable = kind == 0;
    make_tree(&random_tree);
    check(model_set_tree(&model, has_tree ? copy_tree(&random_tree.tree) : NULL, is_unreadable) == 0);
    for (size_t i = 0; i < N_PLACES; i++)
        find_streams(&places[i]);
}

/* ---- Devices ---------------------------------------------------------------------------------- */

static void make_places(void) {
    for (unsigned i = 0; i < N_PLACES; i++) {
        struct place *place = &places[i];
        bool is_function = i >= PLATFORM;
        snprintf(place->path, sizeof(place->path), "devices/%s/d%02u", is_function ? "pci" : "platform",
                 i);
        snprintf(place->node, sizeof(place->node), "/m%02u", is_function ? MASTERS_MAX - i % 4 : i);
        if (i % 16 == 5)
            place->node[0] = 0; /* not in the tree */
        for (unsigned j = draw(2); is_function && place->n_requesters <= j;)
            place->requesters[place->n_requesters++] = draw(8);
    }
}

static void read_place(const struct place *place) {
    struct device_facts facts = {
        .path = place->path,
        .bus = place->n_requesters ? "pci" : "platform",
        .driver = place->driver,
        .group = place->group,
        .numa_node = -1,
        .tree_node = *place->node ? place->node : NULL,
        .n_requesters = place->n_requesters,
    };

    memcpy(facts.requesters, place->requesters, sizeof(place->requesters));
    check(model_update_device(&model, &facts, NULL) == 0);
}

static void change_place(struct place *place) {
    static const char *const drivers[] = {NULL, NULL, "vfio-platform", "ahci", "pci-stub"};

    if (place->present && draw(4) == 0) {
        model_remove_device(&model, model_device(&model, place->path));
        place->present = false;
        return;
    }
    if (!place->present || draw(2))
        place->group = (int64_t)draw(N_GROUPS + 2) - 2;
    if (place->group < 0)
        place->group = GROUP_NONE;
    place->driver = drivers[draw(ELEMENTS_OF(drivers))];
    place->present = true;
    read_place(place);
}

static void make_closure(void) {
    for (size_t i = 0; i < N_PLACES; i++)
        for (size_t j = 0; j < N_PLACES; j++)
            together[i][j] = places[i].present && places[j].present &&
                             lists_collide(&random_tree.tree, places[i].streams, places[i].n_streams,
                                           places[j].streams, places[j].n_streams);
    for (size_t k = 0; k < N_PLACES; k++)
        for (size_t i = 0; i < N_PLACES; i++)
            for (size_t j = 0; together[i][k] && j < N_PLACES; j++)
                together[i][j] = together[i][j] || together[k][j];
}

/* ---- What is so of a group -------------------------------------------------------------------- */

static bool is_member(const struct place *place, unsigned group) {
    return place->present && place->group == (int64_t)group;
}

static enum sharing sharing_of(size_t outsider, unsigned group) {
    const struct place *place = &places[outsider];
    bool shares = false;

    for (size_t i = 0; i < N_PLACES; i++)
        shares = shares || (is_member(&places[i], group) && together[i][outsider]);
    if (!shares || is_member(place, group))
        return SHARING_NONE;
    if (place->group != GROUP_NONE)
        return SHARING_SPLIT;
    bool runs = place->driver && strcmp(place->driver, "pci-stub") != 0;
    return runs ? SHARING_HALF : SHARING_PENDING;
}

static enum sharing nearest_of(unsigned group) {
    enum sharing nearest = SHARING_NONE;

    for (size_t i = 0; i < N_PLACES; i++) {
        enum sharing sharing = sharing_of(i, group);
        nearest = sharing > nearest ? sharing : nearest;
        if (is_unreadable && is_member(&places[i], group) && *places[i].node)
            return SHARING_SPLIT;
    }
    return nearest;
}

static bool has_members(unsigned group) {
    for (size_t i = 0; i < N_PLACES; i++)
        if (is_member(&places[i], group))
            return true;
    return false;
}

/* ---- What is said of it ----------------------------------------------------------------------- */

static enum sharing sharing_that(enum reason reason) {
    return reason == REASON_SPLIT  ? SHARING_SPLIT
           : reason == REASON_HALF ? SHARING_HALF
           : reason == REASON_PENDING ? SHARING_PENDING
                                      : SHARING_NONE;
}

/* The verdict names each outsider once, by what it is, and a member that it shares a stream with. */
static void check_verdict(unsigned group) {
    static const struct verdict_host host = {
        .has_iommu = true, .enforces = true, .remaps_interrupts = true};
    struct group *asked = model_group(&model, group);
    struct verdict_request request = {.host = &host, .model = &model, .groups = &asked, .n_groups = 1};
    _cleanup_(verdict_done) struct verdict verdict = {0};
    enum sharing said[N_PLACES] = {0};

    verdict_reach(&request, &verdict);
    for (size_t i = 0; i < verdict.n_findings; i++) {
        const struct finding *finding = &verdict.findings[i];
        enum sharing sharing = sharing_that(finding->reason);
        if (sharing == SHARING_NONE || !finding->other)
            continue;
        size_t outsider = 0;
        while (strcmp(places[outsider].path, finding->other->path) != 0)
            outsider++;
        check(said[outsider] == SHARING_NONE);
        said[outsider] = sharing;
        check(finding->blocks == (sharing >= SHARING_HALF));
        check(finding->device->group == asked);
    }
    for (size_t i = 0; i < N_PLACES; i++)
        check(said[i] == sharing_of(i, group));
}

/* The audit's findings of this kind are about the group. */
static bool is_found(const struct isolation *isolation, const struct isolation_member *members,
                     enum reason kind, unsigned group) {
    for (size_t i = 0; i < isolation->n_findings; i++) {
        const struct isolation_finding *finding = &isolation->findings[i];
        for (size_t j = 0; finding->kind == kind && j < finding->n_members; j++)
            if (members[finding->members[j]].group == (int64_t)group)
                return true;
    }
    return false;
}

static bool has_outsider(unsigned group, enum sharing sharing) {
    for (size_t i = 0; i < N_PLACES; i++)
        if (sharing_of(i, group) == sharing)
            return true;
    return false;
}

static void check_audit(void) {
    _cleanup_(isolation_done) struct isolation isolation = {0};
    struct isolation_member *members;
    size_t n;

    check(model_isolation_members(&model, &members, &n) == 0);
    check(isolation_reach(&random_tree.tree, members, n, true, &isolation) == 0);
    for (unsigned group = 0; group < N_GROUPS; group++) {
        check(is_found(&isolation, members, REASON_SPLIT, group) ==
              has_outsider(group, SHARING_SPLIT));
        check(is_found(&isolation, members, REASON_HALF, group) == has_outsider(group, SHARING_HALF));
    }
    isolation_members_done(members, n);
}

static void check_everything(void) {
    check(model_find_sets(&model) == 0);
    make_closure();
    for (unsigned i = 0; i < N_GROUPS; i++) {
        const struct group *group = model_group(&model, i);
        check((group != NULL) == has_members(i));
        if (!group)
            continue;
        check(group_sharing(&model, group) == nearest_of(i));
        check(group->listed || nearest_of(i) == before[i]);
        check_verdict(i);
    }
    if (has_tree)
        check_audit();
}

static void forget_changes(void) {
    model_forget_changes(&model);
    for (unsigned i = 0; i < N_GROUPS; i++)
        before[i] = nearest_of(i);
}

int main(int argc, char **argv) {
    unsigned long n_steps = read_arguments(argc, argv, 20000);

    model_init(&model);
    make_places();
    for (step = 1; step <= n_steps; step++) {
        if (step % 64 == 1)
            replace_tree();
        for (unsigned n = 1 + draw(3); n > 0; n--)
            change_place(&places[draw(N_PLACES)]);
        check_everything();
        if (draw(3) == 0)
            forget_changes();
    }
    model_done(&model);
    printf("ok 1 - %lu random changes\n", n_steps);
    return EXIT_SUCCESS;
}
