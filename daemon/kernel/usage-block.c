/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Up from a disk or partition through all that stands on it (holders, their partitions, loop devices)
 * to what is mounted or swapped on. */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/fd.h"
#include "util/string.h"

struct search {
    struct usage_survey *survey;
    const struct usage_mounts *mounts;
    size_t device;
    const char *root;                       /* name of the disk or partition at the bottom */
    const char *stack[USAGE_STACK_MAX];     /* names of what stands on it, upwards */
    unsigned depth;
    dev_t seen[USAGE_STACK_VISITS];
    size_t n_seen;
};

/* ", through md0, dm-3"; "" for the first n without any. */
static char *through(const struct search *search, unsigned n) {
    char *text = strdup("");

    for (unsigned i = 0; text && i < n; i++) {
        char *longer = string_format("%s%s%s", text, i == 0 ? ", through " : ", ", search->stack[i]);
        free(text);
        text = longer;
    }
    return text;
}

static int say(const struct search *search, enum reason reason, char *public_text, char *text) {
    int r = usage_say(search->survey, search->device, reason, public_text, text);

    return r < 0 ? r : 1;
}

/* ---- Leaves */

static int say_mount(const struct search *search, const char *target, unsigned n) {
    _cleanup_(freep) char *way = through(search, search->depth);
    char more[48] = "";

    if (!way)
        return -ENOMEM;
    if (n > 1)
        snprintf(more, sizeof(more), " (and %u more)", n - 1);
    return say(search, REASON_MOUNTED, string_format("%s is mounted%s", search->root, way),
               string_format("%s is mounted on %s%s%s", search->root, target, more, way));
}

/* 1 if it is mounted or swapped on. */
static int look_at_mounts(const struct search *search, dev_t number) {
    const struct usage_mounts *mounts = search->mounts;
    const char *target = NULL;
    unsigned n = 0;

    for (size_t i = 0; i < mounts->n_mounts; i++)
        if (mounts->mounts[i].number == number && n++ == 0)
            target = mounts->mounts[i].target;
    if (n > 0)
        return say_mount(search, target, n);
    for (size_t i = 0; i < mounts->n_swaps; i++)
        if (mounts->swaps[i] == number) {
            _cleanup_(freep) char *way = through(search, search->depth);
            char *text = way ? string_format("%s is swap space%s", search->root, way) : NULL;
            int r = usage_say_all(search->survey, search->device, REASON_SWAP, text);
            return r < 0 ? r : 1;
        }
    return 0;
}

/* By the topmost of the stack, which nothing uses that could be named. */
static int say_held(const struct search *search) {
    _cleanup_(freep) char *way = through(search, search->depth - 1);
    char *text = way ? string_format("%s is held by %s%s", search->root,
                                     search->stack[search->depth - 1], way) : NULL;
    int r = usage_say_all(search->survey, search->device, REASON_HELD, text);

    return r < 0 ? r : 1;
}

/* ---- The stack */

static bool was_seen(struct search *search, dev_t number) {
    for (size_t i = 0; i < search->n_seen; i++)
        if (search->seen[i] == number)
            return true;
    if (search->n_seen < ELEMENTS_OF(search->seen))
        search->seen[search->n_seen++] = number;
    return false;
}

static int look_at_disk(struct search *search, const char *path);

static int look_at_holder(struct search *search, const char *path) {
    dev_t number;
    int r = usage_read_number(search->survey->host->sysfs, path, &number);

    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    if (was_seen(search, number))
        return 1;
    bool too_many = search->depth >= USAGE_STACK_MAX || search->n_seen >= USAGE_STACK_VISITS;
    if (too_many)
        return say(search, REASON_HELD,
                   string_format("%s is held by more than can be followed", search->root),
                   string_format("%s is held by more than can be followed, such as %s", search->root,
                                 path_basename(path)));
    search->stack[search->depth++] = path_basename(path);
    r = look_at_disk(search, path);
    if (r == 0)
        r = say_held(search);
    search->depth--;
    return r;
}

static int look_at_holders(struct search *search, const char *path) {
    int sysfs = search->survey->host->sysfs, found = 0;
    _cleanup_(closedirp) DIR *holders = NULL;
    char folder[PATH_MAX], holder[PATH_MAX];
    struct dirent *entry;

    if ((size_t)snprintf(folder, sizeof(folder), "%s/holders", path) >= sizeof(folder))
        return -ENAMETOOLONG;
    int r = directory_open(sysfs, folder, &holders);
    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    while (r >= 0 && (entry = directory_next(holders))) {
        r = usage_follow(sysfs, folder, entry->d_name, holder, sizeof(holder));
        if (r >= 0)
            r = look_at_holder(search, holder);
        else if (usage_is_gone(r))
            r = 0;
        found |= r > 0;
    }
    return r < 0 ? r : found;
}

static int look_at_loops(struct search *search, dev_t number) {
    const struct usage_mounts *mounts = search->mounts;
    int r = 0, found = 0;

    for (size_t i = 0; r >= 0 && i < mounts->n_loops; i++)
        if (mounts->loops[i].number == number) {
            r = look_at_holder(search, mounts->loops[i].path);
            found |= r > 0;
        }
    return r < 0 ? r : found;
}

/* 1 if the block device itself, not its partitions, has a use that can be named. */
static int look_at_device(struct search *search, const char *path) {
    dev_t number;
    int r = usage_read_number(search->survey->host->sysfs, path, &number);

    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    int mounted = look_at_mounts(search, number);
    int held = mounted < 0 ? mounted : look_at_holders(search, path);
    int looped = held < 0 ? held : look_at_loops(search, number);
    return looped < 0 ? looped : mounted || held || looped;
}

/* ---- Disks and their partitions */

typedef int partition_handler(struct search *search, const char *path);

/* Calls found for each partition. 1 if it said 1 once. */
static int each_partition(struct search *search, const char *disk, partition_handler *found) {
    int sysfs = search->survey->host->sysfs, any = 0;
    _cleanup_(closedirp) DIR *directory = NULL;
    char path[PATH_MAX], number[16];
    struct dirent *entry;
    int r = directory_open(sysfs, disk, &directory);

    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    while (r >= 0 && (entry = directory_next(directory))) {
        if (!string_after(entry->d_name, path_basename(disk)))
            continue;
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", disk, entry->d_name) >= sizeof(path))
            return -ENAMETOOLONG;
        if (usage_attribute(sysfs, path, "partition", number, sizeof(number)) < 0)
            continue;
        r = found(search, path);
        any |= r > 0;
    }
    return r < 0 ? r : any;
}

static int look_at_held_partition(struct search *search, const char *path) {
    const char *disk = search->stack[search->depth - 1];

    search->stack[search->depth - 1] = path_basename(path);
    int r = look_at_device(search, path);
    search->stack[search->depth - 1] = disk;
    return r;
}

/* What is on top of a holder and of its partitions. */
static int look_at_disk(struct search *search, const char *path) {
    int whole = look_at_device(search, path);
    int parts = whole < 0 ? whole : each_partition(search, path, look_at_held_partition);

    return parts < 0 ? parts : whole || parts;
}

/* A use of a part of the device, be it one that nothing but an exclusive open tells. */
static int judge(struct search *search, const char *path, bool try) {
    dev_t number;

    search->root = path_basename(path);
    search->n_seen = 0;
    int r = look_at_device(search, path);
    if (r != 0 || !try)
        return r;
    r = usage_read_number(search->survey->host->sysfs, path, &number);
    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    return usage_judge_free_disk(search->survey, search->device, path, number);
}

static int judge_partition(struct search *search, const char *path) {
    return judge(search, path, true);
}

/* A whole disk can not be opened exclusively while a partition is. */
static int judge_disk(struct search *search, const char *path) {
    int parts = each_partition(search, path, judge_partition);

    return parts < 0 ? parts : judge(search, path, !parts);
}

static int judge_part(struct usage_survey *survey, const struct usage_mounts *mounts,
                      const struct usage_part *part) {
    _cleanup_(freep) struct search *search = calloc(1, sizeof(*search));
    const char *name = path_basename(part->path);

    if (!search)
        return -ENOMEM;
    *search = (struct search){.survey = survey, .mounts = mounts, .device = part->device};
    int r = judge_disk(search, part->path);
    if (r < 0 && r != -ENOMEM) {
        _cleanup_(freep) char *what = string_format("what %s is used for", name);
        return what ? usage_say_unknown(survey, part->device, REASON_HELD, what, r) : -ENOMEM;
    }
    return r;
}

/* What failed for all. */
static int say_errors(struct usage_survey *survey, const struct usage_mounts *mounts, size_t device) {
    int r = 0;

    if (mounts->mounts_error < 0)
        r = usage_say_unknown(survey, device, REASON_MOUNTED, "what is mounted", mounts->mounts_error);
    if (r >= 0 && mounts->swaps_error < 0)
        r = usage_say_unknown(survey, device, REASON_SWAP, "what is swap space", mounts->swaps_error);
    if (r >= 0 && mounts->loops_error < 0)
        r = usage_say_unknown(survey, device, REASON_HELD, "what loop devices hold", mounts->loops_error);
    return r;
}

static int judge_all(struct usage_survey *survey, const struct usage_mounts *mounts) {
    size_t said = SIZE_MAX;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < survey->n_parts; i++) {
        const struct usage_part *part = &survey->parts[i];
        if (part->kind != USAGE_DISK)
            continue;
        if (part->device != said)
            r = say_errors(survey, mounts, part->device);
        said = part->device;
        if (r >= 0)
            r = judge_part(survey, mounts, part);
    }
    return r < 0 ? r : 0;
}

int usage_judge_disks(struct usage_survey *survey) {
    struct usage_mounts mounts;
    bool any = false;

    for (size_t i = 0; i < survey->n_parts; i++)
        any |= survey->parts[i].kind == USAGE_DISK;
    if (!any)
        return 0;
    int r = usage_mounts_read(survey->host, &mounts);
    if (r < 0)
        return r;
    r = judge_all(survey, &mounts);
    usage_mounts_clear(&mounts);
    return r;
}
