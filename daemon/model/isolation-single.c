/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What holds for a member by itself: two IOMMUs, a disabled one, or none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/isolation-internal.h"
#include "util/cleanup.h"
#include "util/string.h"

/* ---- Flags ------------------------------------------------------------------------------------ */

/* Whether a member names this IOMMU, itself or for the functions behind it. */
static bool names(const struct isolation_member *member, size_t iommu) {
    const struct tree_master *master = member->master;

    for (size_t i = 0; i < member->n_streams; i++)
        if (member->streams[i].iommu == iommu)
            return true;
    for (size_t i = 0; !member->is_function && i < master->n_maps; i++)
        if (master->maps[i].iommu == iommu)
            return true;
    return false;
}

static bool names_disabled(const struct device_tree *tree, const struct isolation_member *member) {
    const struct tree_master *master = member->master;

    for (size_t i = 0; i < member->n_streams; i++)
        if (!tree->iommus[member->streams[i].iommu].enabled)
            return true;
    for (size_t i = 0; !member->is_function && i < master->n_maps; i++)
        if (!tree->iommus[master->maps[i].iommu].enabled)
            return true;
    return false;
}

static bool has_two_iommus(const struct device_tree *tree, const struct isolation_member *member) {
    size_t first = SET_NONE;

    for (size_t i = 0; i < member->n_streams; i++) {
        size_t iommu = member->streams[i].iommu;
        if (!tree->iommus[iommu].enabled)
            continue;
        if (first != SET_NONE && iommu != first)
            return true;
        first = iommu;
    }
    return false;
}

static bool uses_enabled_iommu(const struct device_tree *tree, const struct tree_master *master) {
    if (!master->enabled)
        return false;
    for (size_t i = 0; i < master->n_streams; i++)
        if (tree->iommus[master->streams[i].iommu].enabled)
            return true;
    for (size_t i = 0; i < master->n_maps; i++)
        if (tree->iommus[master->maps[i].iommu].enabled)
            return true;
    return false;
}

static bool somebody_uses_iommu(const struct device_tree *tree) {
    for (size_t i = 0; i < tree->n_masters; i++)
        if (uses_enabled_iommu(tree, &tree->masters[i]))
            return true;
    return false;
}

/* A part of a device does DMA through the device: what the node above says counts. */
static int is_below_one(const struct device_tree *tree, const char *node, bool *ret) {
    _cleanup_(freep) char *above = strdup(node);

    if (!above)
        return -ENOMEM;
    *ret = false;
    for (char *slash; !*ret && (slash = strrchr(above, '/')) && slash != above;) {
        *slash = 0;
        const struct tree_master *master = device_tree_master(tree, above);
        *ret = master && (master->has_iommus || master->has_map);
    }
    return 0;
}

static int lacks_iommus(const struct device_tree *tree, const struct isolation_member *member,
                        bool *ret) {
    const struct tree_master *master = member->master;
    bool below = false;
    int r = 0;

    *ret = !member->is_function && master->enabled && master->looks_like_master &&
           !master->has_iommus && !master->has_map && !isolation_is_iommu(tree, master->node);
    if (*ret)
        r = is_below_one(tree, master->node, &below);
    *ret = *ret && !below;
    return r;
}

int isolation_flag_members(struct isolation_check *check) {
    bool used = somebody_uses_iommu(check->tree);

    for (size_t i = 0; i < check->n_members; i++) {
        struct isolation_member *member = &check->members[i];
        bool lacks = false;
        int r = used ? lacks_iommus(check->tree, member, &lacks) : 0;
        if (r < 0)
            return r;
        member->flags = (has_two_iommus(check->tree, member) ? ISOLATION_TWO_IOMMUS : 0) |
                        (names_disabled(check->tree, member) ? ISOLATION_DISABLED_IOMMU : 0) |
                        (lacks ? ISOLATION_NO_IOMMUS : 0);
    }
    return 0;
}

/* ---- Two IOMMUs ------------------------------------------------------------------------------- */

bool isolation_drives_several(const struct tree_iommu *iommu) {
    return strstr(iommu->compatible, "exynos-sysmmu") || strstr(iommu->compatible, "-dart");
}

static enum isolation_level level_of_two(const struct isolation_check *check, size_t index) {
    const struct isolation_member *member = &check->members[index];

    for (size_t i = 0; i < member->n_streams; i++) {
        const struct tree_iommu *iommu = &check->tree->iommus[member->streams[i].iommu];
        if (iommu->enabled && !isolation_drives_several(iommu))
            return ISOLATION_WARNING;
    }
    return ISOLATION_INFO;
}

static int add_enabled_streams(struct isolation_finding *finding,
                               const struct isolation_check *check, size_t index) {
    const struct isolation_member *member = &check->members[index];
    int r = 0;

    for (size_t i = 0; r == 0 && i < member->n_streams; i++)
        if (check->tree->iommus[member->streams[i].iommu].enabled)
            r = finding_add_stream(finding, check->tree, &member->streams[i]);
    return r;
}

static int find_two_iommus(struct isolation_check *check, size_t index) {
    enum isolation_level level = level_of_two(check, index);
    struct isolation_finding *finding = isolation_add(check, REASON_TWO_IOMMUS, level);
    _cleanup_(sentence_done) struct sentence sentence = {0};
    int r = finding ? finding_add_member(finding, index) : -ENOMEM;

    if (r == 0)
        r = add_enabled_streams(finding, check, index);
    if (r == 0)
        r = sentence_begin(&sentence);
    if (r < 0)
        return r;
    finding_sort(finding, check->members);
    fprintf(sentence.file, "%s is behind more than one IOMMU (",
            isolation_name(&check->members[index]));
    write_streams(sentence.file, finding);
    fputs(level == ISOLATION_INFO
              ? "), which the driver of these IOMMUs provides for."
              : "): Linux up to 6.12 attaches it to one of them without a word, and its DMA through "
                "another is blocked or is not translated.",
          sentence.file);
    return sentence_end(&sentence, finding);
}

/* ---- A disabled IOMMU ------------------------------------------------------------------------- */

static int write_disabled(struct isolation_finding *finding, const struct isolation_check *check,
                          const char *iommu) {
    _cleanup_(sentence_done) struct sentence sentence = {0};
    int r = sentence_begin(&sentence);

    if (r < 0)
        return r;
    finding_sort(finding, check->members);
    size_t n = write_members(sentence.file, finding, check->members, NULL, NULL);
    fprintf(sentence.file,
            n == 1 ? " names the IOMMU %s, which is disabled: its DMA is not translated, so that it "
                     "can reach all of memory."
                   : " name the IOMMU %s, which is disabled: their DMA is not translated, so that "
                     "they can reach all of memory.",
            iommu);
    return sentence_end(&sentence, finding);
}

static int find_disabled(struct isolation_check *check, size_t iommu) {
    struct isolation_finding *finding = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < check->n_members; i++) {
        const struct isolation_member *member = &check->members[i];
        if (!(member->flags & ISOLATION_DISABLED_IOMMU) || !names(member, iommu))
            continue;
        if (!finding)
            finding = isolation_add(check, REASON_DISABLED_IOMMU, ISOLATION_WARNING);
        r = finding ? finding_add_member(finding, i) : -ENOMEM;
        for (size_t j = 0; r == 0 && j < member->n_streams; j++)
            if (member->streams[j].iommu == iommu)
                r = finding_add_stream(finding, check->tree, &member->streams[j]);
    }
    if (r == 0 && finding)
        r = write_disabled(finding, check, check->tree->iommus[iommu].node);
    return r;
}

/* ---- No IOMMU --------------------------------------------------------------------------------- */

static int find_no_iommus(struct isolation_check *check) {
    _cleanup_(sentence_done) struct sentence sentence = {0};
    struct isolation_finding *finding = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < check->n_members; i++) {
        if (!(check->members[i].flags & ISOLATION_NO_IOMMUS))
            continue;
        if (!finding)
            finding = isolation_add(check, REASON_NO_IOMMUS, ISOLATION_INFO);
        r = finding ? finding_add_member(finding, i) : -ENOMEM;
    }
    if (r == 0 && finding)
        r = sentence_begin(&sentence);
    if (r < 0 || !finding)
        return r;
    finding_sort(finding, check->members);
    size_t n = write_members(sentence.file, finding, check->members, NULL, NULL);
    fputs(n == 1 ? " seems to do DMA by itself and names no IOMMU, while others do: then it can "
                   "reach all of memory."
                 : " seem to do DMA by themselves and name no IOMMU, while others do: then they can "
                   "reach all of memory.",
          sentence.file);
    return sentence_end(&sentence, finding);
}

int isolation_find_single(struct isolation_check *check) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < check->n_members; i++)
        if (check->members[i].flags & ISOLATION_TWO_IOMMUS)
            r = find_two_iommus(check, i);
    for (size_t i = 0; r == 0 && i < check->tree->n_iommus; i++)
        if (!check->tree->iommus[i].enabled)
            r = find_disabled(check, i);
    return r == 0 ? find_no_iommus(check) : r;
}
