/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/audit.h"

#include <errno.h>
#include <stdio.h>

#include "model/device.h"
#include "util/string.h"

/* Text of elsewhere inside of a quoted string of DOT. There a backslash begins an escape of labels, and
 * only a quote needs one to stay in the string. 0 or -ENOMEM. */
static int print_quoted(const char *text) {
    _cleanup_(freep) char *escaped = text_escape(text);

    if (!escaped)
        return -ENOMEM;
    for (const char *at = escaped; *at; at++) {
        if (*at == '"' || *at == '\\')
            putchar('\\');
        putchar(*at);
    }
    return 0;
}

/* A node of the graph; below: the second line of its label, or NULL. rest: other attributes. */
static int print_node(char kind, size_t number, const char *text, const char *below, const char *rest) {
    printf("  %c%zu [label=\"", kind, number);
    if (print_quoted(text) < 0)
        return -ENOMEM;
    if (below)
        printf("\\n");
    if (below && print_quoted(below) < 0)
        return -ENOMEM;
    printf("\"%s];\n", rest);
    return 0;
}

/* The worst level of the findings about a member. */
static const char *member_color(const struct audit *audit, size_t index) {
    static const char *const colors[] = {
        [ISOLATION_INFO] = ", color=gray50",
        [ISOLATION_WARNING] = ", color=orange",
        [ISOLATION_CRITICAL] = ", color=red, penwidth=2",
    };
    const struct isolation *isolation = &audit->isolation;
    const char *color = "";

    /* Critical ones come first. */
    for (size_t i = isolation->n_findings; i > 0; i--) {
        const struct isolation_finding *finding = &isolation->findings[i - 1];
        for (size_t j = 0; j < finding->n_members; j++)
            if (finding->members[j] == index)
                color = colors[finding->level];
    }
    return color;
}

static int print_iommus(const struct device_tree *tree) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < tree->n_iommus; i++) {
        const struct tree_iommu *iommu = &tree->iommus[i];
        _cleanup_(freep) char *text = string_format("%s (%s)", iommu->compatible,
                                                    grouping_to_string(iommu->grouping));
        r = text ? print_node('i', i, iommu->node, text,
                              iommu->enabled ? ", shape=box" : ", shape=box, style=dashed")
                 : -ENOMEM;
    }
    return r;
}

/* What links a set to an IOMMU: the streams of its members there, each once. */
static int print_streams(const struct audit *audit, size_t set, size_t iommu) {
    _cleanup_(strings_freep) char **texts = NULL;
    const struct isolation_set *members = &audit->isolation.sets[set];
    bool found = false;

    for (size_t i = 0; i < members->n_members; i++) {
        const struct isolation_member *member = &audit->members[members->members[i]];
        for (size_t j = 0; j < member->n_streams; j++) {
            if (member->streams[j].iommu != iommu)
                continue;
            _cleanup_(freep) char *text = tree_stream_text(&member->streams[j]);
            found = true;
            if (!text || (*text && !strings_contain(texts, text) && strings_append(&texts, text) < 0))
                return -ENOMEM;
        }
    }
    if (!found)
        return 0;
    printf("  i%zu -> s%zu [label=\"", iommu, set);
    _cleanup_(freep) char *label = texts ? strings_join(texts, ", ") : strdup("");
    if (!label || print_quoted(label) < 0)
        return -ENOMEM;
    printf("\"];\n");
    return 0;
}

static int print_member(const struct audit *audit, size_t set, size_t index) {
    const struct isolation_member *member = &audit->members[index];

    if (print_node('m', index, member->master->node, member->device, member_color(audit, index)) < 0)
        return -ENOMEM;
    printf("  s%zu -> m%zu;\n", set, index);
    return 0;
}

static int print_set(const struct audit *audit, size_t index) {
    const struct isolation_set *set = &audit->isolation.sets[index];
    char title[64];

    (void)snprintf(title, sizeof(title), "set %zu", index);
    int r = print_node('s', index, title, NULL,
                       set->n_members > 1 ? ", shape=ellipse, style=bold" : ", shape=ellipse");
    for (size_t i = 0; r >= 0 && i < audit->tree->n_iommus; i++)
        r = print_streams(audit, index, i);
    for (size_t i = 0; r >= 0 && i < set->n_members; i++)
        r = print_member(audit, index, set->members[i]);
    return r;
}

/* Host bridges, whose functions have streams by a map. */
static int print_maps(const struct device_tree *tree) {
    for (size_t i = 0; i < tree->n_masters; i++) {
        const struct tree_master *master = &tree->masters[i];
        if (!master->enabled || master->n_maps == 0)
            continue;
        if (print_node('b', i, master->node, NULL, ", shape=component") < 0)
            return -ENOMEM;
        for (size_t j = 0; j < master->n_maps; j++) {
            const struct tree_map *map = &master->maps[j];
            printf("  i%zu -> b%zu [style=dashed, label=\"0x%x + 0x%x from 0x%x\"];\n", map->iommu, i,
                   map->requester, map->length, map->id);
        }
    }
    return 0;
}

int audit_print_dot(const struct audit *audit, const char *title) {
    printf("digraph \"");
    if (print_quoted(title) < 0)
        return -ENOMEM;
    printf("\" {\n  rankdir=LR;\n  node [shape=plain, fontname=sans];\n  edge [fontname=monospace];\n");
    int r = audit->tree ? print_iommus(audit->tree) : 0;
    for (size_t i = 0; r >= 0 && i < audit->isolation.n_sets; i++)
        r = print_set(audit, i);
    if (r >= 0 && audit->tree)
        r = print_maps(audit->tree);
    printf("}\n");
    return r;
}
