/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes that processes have open. What a node is called is udev's link in /dev/char or /dev/block,
 * since `uevent`, which says it too, may hang; the path that a process opened is its own matter. */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel/openers.h"
#include "kernel/path.h"
#include "util/fd.h"
#include "util/string.h"

/* So many processes are named for a node. */
#define PROCESSES_MAX 4

struct nodes {
    struct usage_survey *survey;
    const struct usage_part **parts; /* one a node */
    struct opener_node *nodes;
    unsigned *n_openers; /* one a node */
    size_t n;
};

/* True if there is such a node below the folder for nodes. */
static bool is_node(const struct usage_host *host, const char *name, const struct opener_node *node) {
    char path[PATH_MAX];
    struct stat status;

    return (size_t)snprintf(path, sizeof(path), "%s/%s", host->dev, name) < sizeof(path) &&
           stat(path, &status) == 0 && status.st_rdev == node->number &&
           (node->is_block ? S_ISBLK(status.st_mode) : S_ISCHR(status.st_mode));
}

/* "/dev/dri/card0"; "card0" if there is no such node. The caller's. */
static char *name_of(const struct usage_host *host, const struct opener_node *node,
                     const struct usage_part *part) {
    const char *folder = node->is_block ? "block" : "char", *name = path_basename(part->path);
    char link[PATH_MAX], target[PATH_MAX], path[PATH_MAX];

    snprintf(link, sizeof(link), "%s/%s/%u:%u", host->dev, folder, major(node->number),
             minor(node->number));
    if (link_read(AT_FDCWD, link, target, sizeof(target)) >= 0 &&
        path_resolve(folder, target, path, sizeof(path)) >= 0 && is_node(host, path, node))
        return string_format("/dev/%s", path);
    return string_format("%s%s", is_node(host, name, node) ? "/dev/" : "", name);
}

/* udev opens a disk to look at what is on it whenever somebody has written there, for a moment. */
static bool is_udev(const struct opener *opener) {
    return opener->unit && string_equal(opener->unit, "systemd-udevd.service");
}

static int on_opener(const struct opener *opener, void *userdata) {
    struct nodes *nodes = userdata;
    const struct usage_part *part = nodes->parts[opener->place];
    unsigned *n = &nodes->n_openers[opener->place];

    if (is_udev(opener) || (*n)++ >= PROCESSES_MAX)
        return 0;
    _cleanup_(freep) char *name =
        name_of(nodes->survey->host, &nodes->nodes[opener->place], part);
    if (!name)
        return -ENOMEM;
    const char *unit = opener->unit;
    return usage_say(nodes->survey, part->device, REASON_OPEN_NODE,
                     string_format("%s is open in a process", name),
                     string_format("%s is open in pid %d (%s%s%s)", name, opener->pid, opener->name,
                                   unit ? ", " : "", unit ?: ""));
}

static bool has_node(const struct usage_part *part) {
    return part->kind <= USAGE_FRAMEBUFFER;
}

static int say_unknown(const struct nodes *nodes, int error) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < nodes->n; i++)
        if (i == 0 || nodes->parts[i]->device != nodes->parts[i - 1]->device)
            r = usage_say_unknown(nodes->survey, nodes->parts[i]->device, REASON_OPEN_NODE,
                                  "who has its nodes open", error);
    return r;
}

static int search(struct nodes *nodes) {
    struct usage_survey *survey = nodes->survey;
    DIR *proc = NULL;

    for (size_t i = 0; i < survey->n_parts; i++) {
        const struct usage_part *part = &survey->parts[i];
        if (!has_node(part))
            continue;
        bool is_block = part->kind == USAGE_DISK || part->kind == USAGE_PARTITION;
        nodes->parts[nodes->n] = part;
        nodes->nodes[nodes->n++] =
            (struct opener_node){.number = part->number, .is_block = is_block};
    }
    if (nodes->n == 0)
        return 0;
    int r = directory_open(AT_FDCWD, survey->host->proc, &proc);
    if (r < 0)
        return say_unknown(nodes, r);
    closedir(proc);
    return openers_find(survey->host->proc, nodes->nodes, nodes->n, on_opener, nodes);
}

int usage_judge_nodes(struct usage_survey *survey) {
    size_t n = survey->n_parts + 1;
    struct nodes nodes = {
        .survey = survey,
        .parts = calloc(n, sizeof(*nodes.parts)),
        .nodes = calloc(n, sizeof(*nodes.nodes)),
        .n_openers = calloc(n, sizeof(*nodes.n_openers)),
    };
    int r = nodes.parts && nodes.nodes && nodes.n_openers ? search(&nodes) : -ENOMEM;

    free(nodes.parts);
    free(nodes.nodes);
    free(nodes.n_openers);
    return r;
}
