/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a device tree: it is refused with a sentence, or its facts hold together, and the sets
 * of devices that cannot be told apart are those that a slow and simple search finds. Each input is
 * read as it is, and again with a header that fits its length, so that one that grew is no stranger. */

#include <errno.h>
#include <libfdt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/devicetree.h"
#include "model/device.h"
#include "model/isolation.h"
#include "util/cleanup.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More members or streams are not searched: the search is slow. */
#define MEMBERS_MAX 48
#define STREAMS_MAX 24

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* ---- The facts ------------------------------------------------------------------------------- */

static void check_stream(const struct device_tree *tree, const struct tree_stream *stream) {
    _cleanup_(freep) char *text = tree_stream_text(stream);

    EXPECT(text && stream->iommu < tree->n_iommus && stream->n_cells <= TREE_CELLS_MAX);
    EXPECT(tree_streams_collide(tree, stream, stream));
}

/* Streams of functions lie in the entry that is the first to hold them. */
static void check_maps(const struct device_tree *tree, const struct tree_master *master) {
    struct tree_stream stream;

    for (size_t i = 0; i < master->n_maps && i < 8; i++) {
        const struct tree_map *map = &master->maps[i];
        EXPECT(map->iommu < tree->n_iommus);
        if (!tree_map_requester(master, tree, map->requester, &stream))
            continue;
        check_stream(tree, &stream);
        EXPECT(stream.n_cells == 1);
        /* nobody before it, unless somebody before it has it as well */
        if (i == 0 && !(map->requester & ~master->map_mask))
            EXPECT(map->length > 0 ? stream.cells[0] == map->id : master->n_maps > 1);
    }
    for (uint32_t requester = 0; requester < 0x200; requester += 0x37)
        if (tree_map_requester(master, tree, requester, &stream))
            check_stream(tree, &stream);
}

static void check_text(const char *text) {
    EXPECT(text && text_is_printable(text));
}

static void check_master(const struct device_tree *tree, const struct tree_master *master) {
    check_text(master->node);
    EXPECT(master->node[0] == '/');
    EXPECT(strcmp(device_tree_master(tree, master->node)->node, master->node) == 0);
    EXPECT(strings_length(master->compatible) <= TREE_COMPATIBLE_MAX);
    for (char **text = master->compatible; text && *text; text++)
        check_text(*text);
    for (char **node = master->memory; node && *node; node++)
        EXPECT((*node)[0] == '/');
    EXPECT(master->has_iommus || master->n_streams == 0);
    EXPECT(master->has_map || master->n_maps == 0);
    EXPECT(master->has_iommus || master->has_map || master->looks_like_master);
    for (size_t i = 0; i < master->n_streams; i++)
        check_stream(tree, &master->streams[i]);
    check_maps(tree, master);
}

static void check_facts(const struct device_tree *tree) {
    for (size_t i = 0; i < tree->n_iommus; i++) {
        check_text(tree->iommus[i].node);
        check_text(tree->iommus[i].compatible);
    }
    for (size_t i = 0; i < tree->n_masters; i++) {
        check_master(tree, &tree->masters[i]);
        EXPECT(i == 0 || strcmp(tree->masters[i - 1].node, tree->masters[i].node) <= 0);
    }
    EXPECT(tree->n_mistakes <= TREE_MISTAKES_MAX);
    for (size_t i = 0; i < tree->n_mistakes; i++) {
        check_text(tree->mistakes[i].node);
        check_text(tree->mistakes[i].text);
    }
}

/* ---- The sets -------------------------------------------------------------------------------- */

static bool members_collide(const struct device_tree *tree, const struct isolation_member *a,
                            const struct isolation_member *b) {
    for (size_t i = 0; i < a->n_streams; i++)
        for (size_t k = 0; k < b->n_streams; k++)
            if (tree->iommus[a->streams[i].iommu].enabled &&
                tree_streams_collide(tree, &a->streams[i], &b->streams[k]))
                return true;
    return false;
}

/* Members of one set have each other's number, by handing it on until nothing changes. */
static void search_sets(const struct device_tree *tree, const struct isolation_member *members,
                        size_t n, size_t *numbers) {
    bool changed = true;

    for (size_t i = 0; i < n; i++)
        numbers[i] = i;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < n; k++) {
                if (numbers[k] <= numbers[i] || !members_collide(tree, &members[i], &members[k]))
                    continue;
                numbers[k] = numbers[i];
                changed = true;
            }
        }
    }
}

static void check_sets(const struct device_tree *tree, const struct isolation_member *members,
                       size_t n, const struct isolation *isolation) {
    size_t numbers[MEMBERS_MAX];

    for (size_t i = 0; i < n; i++) {
        EXPECT(members[i].set == SET_NONE || members[i].set < isolation->n_sets);
        if (n > MEMBERS_MAX || members[i].n_streams > STREAMS_MAX)
            return;
    }
    search_sets(tree, members, n, numbers);
    for (size_t i = 0; i < n; i++) {
        EXPECT((members[i].set == SET_NONE) == !members_collide(tree, &members[i], &members[i]));
        for (size_t k = 0; k < i; k++)
            if (members[i].set != SET_NONE && members[k].set != SET_NONE)
                EXPECT((members[i].set == members[k].set) == (numbers[i] == numbers[k]));
    }
}

static void check_findings(const struct isolation *isolation, size_t n_members) {
    for (size_t i = 0; i < isolation->n_findings; i++) {
        const struct isolation_finding *finding = &isolation->findings[i];
        EXPECT(finding->n_members > 0 && finding->text && *finding->text);
        EXPECT(i == 0 || isolation->findings[i - 1].level >= finding->level);
        for (size_t k = 0; k < finding->n_members; k++)
            EXPECT(finding->members[k] < n_members);
        for (char **text = finding->specifiers; text && *text; text++)
            check_text(*text);
    }
}

/* Functions behind a host bridge, and groups and drivers as they may be. */
static void make_live(const struct device_tree *tree, struct isolation_member *members, size_t n,
                      struct tree_stream *streams) {
    static const char *const names[] = {"platform/a", "pci/0000:00:01.0", "amba/b"};

    for (size_t i = 0; i < n; i++) {
        struct isolation_member *member = &members[i];
        member->device = names[i % ELEMENTS_OF(names)];
        member->group = i % 4 == 3 ? GROUP_NONE : (int64_t)(i % 3);
        member->driver = i % 5 < 2 ? "driver" : NULL;
        member->role = i % 5 < 2 ? ROLE_KERNEL : i % 5 == 2 ? ROLE_PASSIVE : ROLE_FREE;
        if (!member->master->has_map)
            continue;
        member->is_function = true;
        member->streams = &streams[i];
        member->n_streams = tree_map_requester(member->master, tree, (uint32_t)(8 * i), &streams[i]);
    }
}

static void check_isolation(const struct device_tree *tree, bool is_live) {
    _cleanup_(freep) struct isolation_member *members = NULL;
    _cleanup_(freep) struct tree_stream *streams = NULL;
    struct isolation isolation = {0};
    size_t n, n_sets;

    EXPECT(isolation_members_of_file(tree, &members, &n) == 0);
    streams = calloc(n + 1, sizeof(*streams));
    EXPECT(streams);
    if (is_live)
        make_live(tree, members, n, streams);
    EXPECT(isolation_find_sets(tree, members, n, &n_sets) == 0);
    EXPECT(isolation_reach(tree, members, n, is_live, &isolation) == 0);
    EXPECT(isolation.n_sets == n_sets);
    check_sets(tree, members, n, &isolation);
    check_findings(&isolation, n);
    isolation_done(&isolation);
}

/* ---- The input ------------------------------------------------------------------------------- */

static void read_bytes(const uint8_t *bytes, size_t size) {
    struct device_tree *tree = NULL;
    _cleanup_(freep) char *text = NULL;
    int r = devicetree_read_blob(bytes, size, &tree, &text);

    EXPECT(r == 0 || r == -EBADMSG || r == -E2BIG);
    EXPECT((r == 0) == (tree != NULL));
    EXPECT((r == 0) == (text == NULL));
    EXPECT(r == 0 || text_is_printable(text));
    if (!tree)
        return;
    check_facts(tree);
    check_isolation(tree, false);
    check_isolation(tree, true);
    device_tree_free(tree);
}

/* The structure is taken to reach to the end, as it does in the corpus. */
static void mend_header(uint8_t *bytes, size_t size) {
    fdt_set_magic(bytes, FDT_MAGIC);
    fdt_set_version(bytes, 17);
    fdt_set_last_comp_version(bytes, 16);
    fdt_set_totalsize(bytes, (uint32_t)size);
    fdt_set_off_dt_struct(bytes, fdt_off_dt_struct(bytes) & ~3u);
    if (fdt_off_dt_struct(bytes) < size)
        fdt_set_size_dt_struct(bytes, (uint32_t)(size - fdt_off_dt_struct(bytes)) & ~3u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_(freep) uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    read_bytes(copy, size);
    if (size < sizeof(struct fdt_header))
        return 0;
    mend_header(copy, size);
    if (memcmp(copy, data, size) != 0)
        read_bytes(copy, size);
    return 0;
}
