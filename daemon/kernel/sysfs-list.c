/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups, and the folders of links that say which devices there are. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "kernel/path.h"
#include "kernel/sysfs.h"
#include "util/fd.h"
#include "util/string.h"

/* Far more than the one page that the kernel writes. */
#define REGIONS_SIZE_MAX (64 * 1024)

/* Buses whose drivers take the ownership of DMA when they bind (dma_configure, Linux 5.19 and
 * later; cdx from 6.4 on). */
static const char *const buses[] = {"pci", "platform", "amba", "fsl-mc", "cdx"};

static bool is_gone(int error) {
    return error == -ENOENT || error == -ENODEV || error == -ENOTDIR;
}

/* True if a line "0x… 0x… type" names a region that stays mapped one to one. */
static bool names_direct_region(char *lines) {
    char *rest = lines, *line;

    while ((line = strsep(&rest, "\n"))) {
        char *space = strrchr(line, ' ');
        if (space && string_equal(space + 1, "direct"))
            return true;
    }
    return false;
}

int sysfs_read_group(int sysfs, uint32_t id, struct group_facts *ret) {
    struct group_facts facts = {};
    _cleanup_(freep) char *regions = NULL;
    char path[64];

    snprintf(path, sizeof(path), "kernel/iommu_groups/%u", id);
    _cleanup_(fd_closep) int group = openat(sysfs, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return is_gone(-errno) ? -ENOENT : -errno;
    if (attribute_read(group, "type", facts.type, sizeof(facts.type)) < 0 ||
        !text_is_printable(facts.type))
        facts.type[0] = 0;
    int r = file_read(group, "reserved_regions", REGIONS_SIZE_MAX, &regions, NULL);
    if (r < 0 && !is_gone(r))
        return r;
    facts.direct_region = regions && names_direct_region(regions);
    *ret = facts;
    return 0;
}

/* Calls found for each link in folder with the place that it leads to. What is no link, or leads
 * out of the root, is no device. */
static int list_links(int sysfs, const char *folder, sysfs_path_handler *found, void *userdata) {
    _cleanup_(closedirp) DIR *links = NULL;
    char target[PATH_MAX], path[PATH_MAX];
    struct dirent *entry;
    int r = directory_open(sysfs, folder, &links);

    if (r < 0)
        return is_gone(r) ? -ENOENT : r;
    while ((entry = directory_next(links))) {
        if (link_read(dirfd(links), entry->d_name, target, sizeof(target)) < 0 ||
            path_resolve(folder, target, path, sizeof(path)) < 0)
            continue;
        r = found(path, userdata);
        if (r != 0)
            return r;
    }
    return 0;
}

int sysfs_list_members(int sysfs, uint32_t id, sysfs_path_handler *found, void *userdata) {
    char folder[64];

    snprintf(folder, sizeof(folder), "kernel/iommu_groups/%u/devices", id);
    return list_links(sysfs, folder, found, userdata);
}

int sysfs_list_groups(int sysfs, sysfs_group_handler *found, void *userdata) {
    _cleanup_(closedirp) DIR *groups = NULL;
    struct dirent *entry;
    uint32_t id;
    int r = directory_open(sysfs, "kernel/iommu_groups", &groups);

    /* A kernel without IOMMU support has no such folder, and no group. */
    if (r < 0)
        return is_gone(r) ? 0 : r;
    while ((entry = directory_next(groups))) {
        if (parse_u32(entry->d_name, &id) < 0)
            continue;
        r = found(id, userdata);
        if (r != 0)
            return r;
    }
    return 0;
}

int sysfs_list_bus_devices(int sysfs, sysfs_path_handler *found, void *userdata) {
    char folder[64];

    for (size_t i = 0; i < ELEMENTS_OF(buses); i++) {
        snprintf(folder, sizeof(folder), "bus/%s/devices", buses[i]);
        int r = list_links(sysfs, folder, found, userdata);
        if (r != 0 && r != -ENOENT)
            return r;
    }
    return 0;
}

int sysfs_read_number(int sysfs, const char *attribute, unsigned *ret_major, unsigned *ret_minor) {
    char text[32];
    uint32_t major, minor;
    ssize_t length = attribute_read(sysfs, attribute, text, sizeof(text));


    if (length < 0)
        return is_gone((int)length) ? -ENOENT : (int)length;
    char *colon = strchr(text, ':');
    if (!colon)
        return -EINVAL;
    *colon = 0;
    if (parse_u32(text, &major) < 0 || parse_u32(colon + 1, &minor) < 0)
        return -EINVAL;
    *ret_major = major;
    *ret_minor = minor;
    return 0;
}
