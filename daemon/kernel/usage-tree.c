/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folders below a device. A class device is told by its link "subsystem" and its file "dev". */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel/path.h"
#include "kernel/sysfs.h"
#include "util/fd.h"
#include "util/string.h"

/* Folders without devices in them, some with thousands of files. */
static const char *const dull[] = {
    "holders", "integrity", "mq",     "msi_irqs",   "power",
    "queue",   "queues",    "slaves", "statistics", "trace",
};

struct walk {
    struct usage_survey *survey;
    size_t device;
    bool is_pci;        /* the device itself */
    unsigned n_folders, n_parts;
    char path[PATH_MAX]; /* of the folder */
    size_t length;
};

/* What a folder holds that tells what it is. */
struct folder {
    bool has_dev, has_ifindex, is_partition, is_empty;
    char subsystem[64];
};

ssize_t usage_attribute(int sysfs, const char *path, const char *name, char *ret, size_t size) {
    char full[PATH_MAX];

    if ((size_t)snprintf(full, sizeof(full), "%s/%s", path, name) >= sizeof(full))
        return -ENAMETOOLONG;
    return attribute_read(sysfs, full, ret, size);
}

int usage_follow(int sysfs, const char *folder, const char *link, char *ret, size_t size) {
    char full[PATH_MAX], target[PATH_MAX];

    if ((size_t)snprintf(full, sizeof(full), "%s/%s", folder, link) >= sizeof(full))
        return -ENAMETOOLONG;
    ssize_t length = link_read(sysfs, full, target, sizeof(target));
    if (length < 0)
        return (int)length;
    return path_resolve(folder, target, ret, size);
}

void usage_link_name(int sysfs, const char *path, const char *link, char *ret, size_t size) {
    char full[PATH_MAX], target[PATH_MAX];

    ret[0] = 0;
    if ((size_t)snprintf(full, sizeof(full), "%s/%s", path, link) >= sizeof(full) ||
        link_read(sysfs, full, target, sizeof(target)) < 0)
        return;
    snprintf(ret, size, "%s", path_basename(target));
}

int usage_read_number(int sysfs, const char *path, dev_t *ret) {
    char attribute[PATH_MAX];
    unsigned number_major, number_minor;

    if ((size_t)snprintf(attribute, sizeof(attribute), "%s/dev", path) >= sizeof(attribute))
        return -ENAMETOOLONG;
    int r = sysfs_read_number(sysfs, attribute, &number_major, &number_minor);
    if (r < 0)
        return r;
    *ret = makedev(number_major, number_minor);
    return 0;
}

/* ---- Parts */

static int add_part(struct walk *walk, const struct usage_part *part) {
    struct usage_survey *survey = walk->survey;
    struct usage_part *grown = reallocarray(survey->parts, survey->n_parts + 1, sizeof(*grown));
    char *path = strdup(walk->path);

    if (grown)
        survey->parts = grown;
    if (!grown || !path) {
        free(path);
        return -ENOMEM;
    }
    grown[survey->n_parts] = *part;
    grown[survey->n_parts].path = path;
    survey->n_parts++;
    walk->n_parts++;
    return 0;
}

static enum usage_kind kind_of(const struct folder *folder) {
    if (string_equal(folder->subsystem, "block"))
        return folder->is_partition ? USAGE_PARTITION : USAGE_DISK;
    if (string_equal(folder->subsystem, "tty"))
        return USAGE_TERMINAL;
    return string_equal(folder->subsystem, "graphics") ? USAGE_FRAMEBUFFER : USAGE_CHARACTER;
}

static int add_node(struct walk *walk, const struct folder *folder) {
    struct usage_part part = {.kind = kind_of(folder), .device = walk->device};
    int r = usage_read_number(walk->survey->host->sysfs, walk->path, &part.number);

    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    return add_part(walk, &part);
}

static int add_other(struct walk *walk, enum usage_kind kind) {
    struct usage_part part = {.kind = kind, .device = walk->device};

    return add_part(walk, &part);
}

static int add_netdev(struct walk *walk) {
    struct usage_part part = {.kind = USAGE_NETDEV, .device = walk->device};
    char text[16];
    uint32_t index;
    ssize_t length =
        usage_attribute(walk->survey->host->sysfs, walk->path, "ifindex", text, sizeof(text));

    if (length < 0)
        return usage_is_gone((int)length) ? 0 : (int)length;
    int r = parse_u32(text, &index);
    if (r < 0)
        return r;
    part.ifindex = index;
    return add_part(walk, &part);
}

static int visit(struct walk *walk, unsigned depth);

/* Looks at a device of a class that is not below this one but belongs to it. */
static int visit_elsewhere(struct walk *walk, const char *class, const char *name, unsigned depth) {
    char saved[PATH_MAX], folder[64], path[PATH_MAX];

    snprintf(folder, sizeof(folder), "class/%s", class);
    int r = usage_follow(walk->survey->host->sysfs, folder, name, path, sizeof(path));
    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    size_t length = walk->length;
    strcpy(saved, walk->path);
    strcpy(walk->path, path);
    walk->length = strlen(path);
    r = visit(walk, depth + 1);
    strcpy(walk->path, saved);
    walk->length = length;
    return r;
}

/* With multipath, below the controller is only nvme0c1n2, which nobody can open: a path to nvme0n2,
 * which belongs to the subsystem. */
static int visit_path_of_nvme(struct walk *walk, unsigned depth) {
    unsigned subsystem, controller, name_space;
    char head[64], generic[64], rest;

    if (sscanf(path_basename(walk->path), "nvme%uc%un%u%c", &subsystem, &controller, &name_space,
               &rest) != 3)
        return 0;
    snprintf(head, sizeof(head), "nvme%un%u", subsystem, name_space);
    snprintf(generic, sizeof(generic), "ng%un%u", subsystem, name_space);
    int r = visit_elsewhere(walk, "block", head, depth);
    return r < 0 ? r : visit_elsewhere(walk, "nvme-generic", generic, depth);
}

static int take_folder(struct walk *walk, const struct folder *folder, unsigned depth) {
    if (string_equal(folder->subsystem, "vfio-dev"))
        return 0;
    if (folder->has_ifindex && string_equal(folder->subsystem, "net"))
        return add_netdev(walk);
    if (string_equal(folder->subsystem, "mdev"))
        return add_other(walk, USAGE_MEDIATED);
    if (folder->is_empty && string_equal(path_basename(walk->path), "net"))
        return add_other(walk, USAGE_EMPTY_NET);
    if (folder->has_dev && folder->subsystem[0])
        return add_node(walk, folder);
    if (string_equal(folder->subsystem, "block"))
        return visit_path_of_nvme(walk, depth);
    return 0;
}

/* ---- Folders */

static bool is_dull(const char *name) {
    for (size_t i = 0; i < ELEMENTS_OF(dull); i++)
        if (string_equal(name, dull[i]))
            return true;
    return false;
}

static bool is_folder(DIR *directory, const struct dirent *entry) {
    struct stat status;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

static void note_entry(struct folder *folder, const char *name) {
    folder->is_empty = false;
    if (string_equal(name, "dev"))
        folder->has_dev = true;
    else if (string_equal(name, "ifindex"))
        folder->has_ifindex = true;
    else if (string_equal(name, "partition"))
        folder->is_partition = true;
}

/* Reads a folder; *ret_below are the names of those below it. */
static int read_folder(struct walk *walk, struct folder *ret, char ***ret_below) {
    int sysfs = walk->survey->host->sysfs;
    _cleanup_(closedirp) DIR *directory = NULL;
    struct dirent *entry;
    int r = directory_open(sysfs, walk->path, &directory);

    if (r < 0)
        return r;
    *ret = (struct folder){.is_empty = true};
    errno = 0;
    while (r >= 0 && (entry = directory_next(directory))) {
        note_entry(ret, entry->d_name);
        if (is_folder(directory, entry) && !is_dull(entry->d_name))
            r = strings_append(ret_below, entry->d_name);
        errno = 0;
    }
    if (r >= 0)
        r = -errno;
    usage_link_name(sysfs, walk->path, "subsystem", ret->subsystem, sizeof(ret->subsystem));
    return r;
}

static int visit_below(struct walk *walk, char *const *names, unsigned depth) {
    size_t length = walk->length;
    int r = 0;

    for (; r >= 0 && names && *names; names++) {
        int n = snprintf(walk->path + length, sizeof(walk->path) - length, "/%s", *names);
        if ((size_t)n >= sizeof(walk->path) - length)
            return -ENAMETOOLONG;
        walk->length = length + (size_t)n;
        r = visit(walk, depth + 1);
    }
    walk->path[length] = 0;
    walk->length = length;
    return r;
}

/* -E2BIG: there is more than can be looked at. */
static int visit(struct walk *walk, unsigned depth) {
    _cleanup_(strings_freep) char **below = NULL;
    struct folder folder;

    if (depth > USAGE_DEPTH_MAX || ++walk->n_folders > USAGE_FOLDERS_MAX ||
        walk->n_parts >= USAGE_PARTS_MAX)
        return -E2BIG;
    int r = read_folder(walk, &folder, &below);
    if (r < 0)
        return usage_is_gone(r) ? 0 : r;
    if (depth == 0)
        walk->is_pci = string_equal(folder.subsystem, "pci");
    /* Behind a bridge: the hardware's, and not the driver's. */
    else if (depth == 1 && walk->is_pci && string_equal(folder.subsystem, "pci"))
        return 0;
    r = take_folder(walk, &folder, depth);
    return r < 0 ? r : visit_below(walk, below, depth);
}

int usage_walk(struct usage_survey *survey, size_t device) {
    struct walk walk = {.survey = survey, .device = device};
    const char *path = survey->paths[device];

    walk.length = strlen(path);
    if (walk.length >= sizeof(walk.path))
        return usage_say_unknown(survey, device, REASON_HELD, "what is below it", -ENAMETOOLONG);
    strcpy(walk.path, path);
    int r = visit(&walk, 0);
    if (r == -E2BIG)
        return usage_say_all(survey, device, REASON_HELD,
                             strdup("there is more below it than can be looked at"));
    if (r < 0 && r != -ENOMEM)
        return usage_say_unknown(survey, device, REASON_HELD, "what is below it", r);
    return r;
}
