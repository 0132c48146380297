/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A device tree out of a few lines of text, its members, and what is found of them, as text again.
 * Streams are written as "/smmu 0x200 0xf, /smmu 0x210", entries of iommu-map as
 * "0x0 /smmu 0x100 0x10, …", findings as "critical half: samec samed (/v3 0x200)", one a line. */

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/device.h"
#include "model/isolation.h"
#include "util/cleanup.h"
#include "util/string.h"

#include "model-test.h"

enum { SCENE_MAX = 96 };

struct scene {
    struct tree_iommu iommus[12];
    struct tree_master masters[SCENE_MAX];
    struct tree_stream streams[SCENE_MAX];
    struct tree_map maps[SCENE_MAX];
    size_t n_streams, n_maps;
    struct device_tree tree;
    struct isolation_member members[SCENE_MAX];
    struct tree_stream mapped[SCENE_MAX]; /* of functions */
    char devices[SCENE_MAX][64];
    size_t n_members;
    struct isolation isolation;
    char text[4096];
};

struct scene_device {
    const char *node, *streams, *group, *driver; /* group: a number, or NULL */
};

static inline void scene_begin(struct scene *scene) {
    *scene = (struct scene){0};
    scene->tree.iommus = scene->iommus;
    scene->tree.masters = scene->masters;
}

static inline void scene_end(struct scene *scene) {
    isolation_done(&scene->isolation);
}

static inline struct tree_iommu *scene_iommu(struct scene *scene, const char *node,
                                             enum tree_grouping grouping, uint32_t n_cells) {
    struct tree_iommu *iommu = &scene->iommus[scene->tree.n_iommus++];

    ck_assert_uint_le(scene->tree.n_iommus, ELEMENTS_OF(scene->iommus));
    *iommu = (struct tree_iommu){
        .node = (char *)node, .compatible = (char *)"", .grouping = grouping, .enabled = true,
        .n_cells = n_cells};
    return iommu;
}

static inline size_t scene_find_iommu(const struct scene *scene, const char *node, size_t length) {
    for (size_t i = 0; i < scene->tree.n_iommus; i++)
        if (strlen(scene->iommus[i].node) == length &&
            strncmp(scene->iommus[i].node, node, length) == 0)
            return i;
    ck_abort_msg("no such IOMMU: %.*s", (int)length, node);
    return 0;
}

static inline void scene_stream(struct scene *scene, const char *text, const char *end) {
    struct tree_stream *stream = &scene->streams[scene->n_streams++];
    const char *space = memchr(text, ' ', (size_t)(end - text)) ?: end;
    char *at = (char *)space;

    ck_assert_uint_le(scene->n_streams, SCENE_MAX);
    stream->iommu = scene_find_iommu(scene, text, (size_t)(space - text));
    while (at < end)
        stream->cells[stream->n_cells++] = (uint32_t)strtoul(at, &at, 0);
    tree_stream_set(&scene->iommus[stream->iommu], stream);
}

/* A master; streams may be NULL. Nodes are to be given in order. */
static inline struct tree_master *scene_master(struct scene *scene, const char *node,
                                               const char *streams) {
    struct tree_master *master = &scene->masters[scene->tree.n_masters++];

    ck_assert_uint_le(scene->tree.n_masters, SCENE_MAX);
    ck_assert(scene->tree.n_masters == 1 || strcmp(master[-1].node, node) < 0);
    *master = (struct tree_master){
        .node = (char *)node, .enabled = true, .has_iommus = streams != NULL,
        .streams = &scene->streams[scene->n_streams], .map_mask = UINT32_MAX};
    for (const char *at = streams, *end; at; at = *end ? end + 2 : NULL) {
        end = strchrnul(at, ',');
        scene_stream(scene, at, end);
        master->n_streams++;
    }
    return master;
}

/* The iommu-map of the last master. */
static inline void scene_map(struct scene *scene, const char *text) {
    struct tree_master *master = &scene->masters[scene->tree.n_masters - 1];

    master->has_map = true;
    master->maps = &scene->maps[scene->n_maps];
    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 2 : NULL) {
        struct tree_map *map = &master->maps[master->n_maps++];
        char iommu[32];
        ck_assert_int_eq(sscanf(at, "%" SCNx32 " %31s %" SCNx32 " %" SCNx32, &map->requester, iommu,
                                &map->id, &map->length),
                         4);
        map->iommu = scene_find_iommu(scene, iommu, strlen(iommu));
        ck_assert_uint_le(++scene->n_maps, SCENE_MAX);
    }
}

static inline struct isolation_member *scene_member(struct scene *scene,
                                                    const struct tree_master *master,
                                                    const char *device, const char *group,
                                                    const char *driver) {
    struct isolation_member *member = &scene->members[scene->n_members];

    ck_assert_uint_lt(scene->n_members, SCENE_MAX);
    snprintf(scene->devices[scene->n_members], sizeof(scene->devices[0]), "%s", device);
    *member = (struct isolation_member){
        .device = scene->devices[scene->n_members++],
        .master = master,
        .streams = master->streams,
        .n_streams = master->n_streams,
        .group = group ? strtol(group, NULL, 10) : GROUP_NONE,
        .driver = driver,
        .role = driver_role(driver, false, false),
    };
    return member;
}

/* A function behind the last master. */
static inline void scene_function(struct scene *scene, const char *device, uint32_t requester,
                                  const char *group, const char *driver) {
    const struct tree_master *bridge = &scene->masters[scene->tree.n_masters - 1];
    struct tree_stream *stream = &scene->mapped[scene->n_members];
    struct isolation_member *member = scene_member(scene, bridge, device, group, driver);

    member->is_function = true;
    member->streams = stream;
    member->n_streams = tree_map_requester(bridge, &scene->tree, requester, stream);
}

/* Masters that are live devices, up to a node that is NULL. */
static inline void scene_devices(struct scene *scene, const struct scene_device *devices) {
    for (; devices->node; devices++) {
        char name[64];
        snprintf(name, sizeof(name), "platform/%s", path_basename(devices->node));
        scene_member(scene, scene_master(scene, devices->node, devices->streams), name,
                     devices->group, devices->driver);
    }
}

static inline void scene_write_finding(FILE *file, const struct scene *scene,
                                       const struct isolation_finding *finding) {
    fprintf(file, "%s %s:", isolation_level_to_string(finding->level),
            reason_to_string(finding->kind));
    for (size_t i = 0; i < finding->n_members; i++) {
        const struct isolation_member *member = &scene->members[finding->members[i]];
        fprintf(file, " %s",
                path_basename(member->is_function ? member->device : member->master->node));
    }
    if (finding->specifiers) {
        _cleanup_(freep) char *joined = strings_join(finding->specifiers, ", ");
        fprintf(file, " (%s)", joined);
    }
    fputs("\n", file);
}

/* All findings as text. */
static inline const char *scene_findings(struct scene *scene, bool is_live) {
    FILE *file = fmemopen(scene->text, sizeof(scene->text), "w");

    isolation_done(&scene->isolation);
    ck_assert_int_eq(isolation_reach(&scene->tree, scene->members, scene->n_members, is_live,
                                     &scene->isolation),
                     0);
    for (size_t i = 0; i < scene->isolation.n_findings; i++) {
        const struct isolation_finding *finding = &scene->isolation.findings[i];
        ck_assert_ptr_nonnull(finding->text);
        ck_assert_uint_gt(finding->n_members, 0);
        scene_write_finding(file, scene, finding);
    }
    fputc(0, file);
    fclose(file);
    return scene->text;
}

/* The same of a file: its masters are the members. */
static inline const char *scene_predictions(struct scene *scene) {
    _cleanup_(freep) struct isolation_member *members = NULL;

    ck_assert_int_eq(isolation_members_of_file(&scene->tree, &members, &scene->n_members), 0);
    ck_assert_uint_le(scene->n_members, SCENE_MAX);
    memcpy(scene->members, members, scene->n_members * sizeof(*members));
    return scene_findings(scene, false);
}

/* The sets after one of the two above: "samec samed; dmaa". */
static inline const char *scene_sets(struct scene *scene) {
    FILE *file = fmemopen(scene->text, sizeof(scene->text), "w");

    for (size_t i = 0; i < scene->isolation.n_sets; i++) {
        const struct isolation_set *set = &scene->isolation.sets[i];
        fputs(i > 0 ? "; " : "", file);
        for (size_t j = 0; j < set->n_members; j++) {
            const struct isolation_member *member = &scene->members[set->members[j]];
            ck_assert_uint_eq(member->set, i);
            fprintf(file, "%s%s", j > 0 ? " " : "",
                    path_basename(member->is_function ? member->device : member->master->node));
        }
    }
    fputc(0, file);
    fclose(file);
    return scene->text;
}

/* The sentence of the only finding of a kind. */
static inline const char *scene_sentence(const struct scene *scene, enum reason kind) {
    const char *text = NULL;

    for (size_t i = 0; i < scene->isolation.n_findings; i++) {
        if (scene->isolation.findings[i].kind != kind)
            continue;
        ck_assert_ptr_null(text);
        text = scene->isolation.findings[i].text;
    }
    ck_assert_ptr_nonnull(text);
    return text;
}
