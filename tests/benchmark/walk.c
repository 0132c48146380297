/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* walk [--count] SYSFS: reads what a cold start of dmaownd reads (daemon/kernel/sysfs.c), each
 * thing once, and keeps nothing: the floor for a cold start. --count prints how much that was. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned long links, files, folders, devices, groups;

/* Length of the link's target, which is in ret then; 0 if there is none. */
static size_t read_link(int folder, const char *name, char *ret, size_t size) {
    ssize_t length = readlinkat(folder, name, ret, size - 1);

    links++;
    if (length < 0)
        length = 0;
    ret[length] = 0;
    return (size_t)length;
}

static size_t read_file(int folder, const char *name, char *ret, size_t size) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t length = 0;

    files++;
    if (fd >= 0) {
        length = read(fd, ret, size - 1);
        close(fd);
    }
    if (length < 0)
        length = 0;
    ret[length] = 0;
    return (size_t)length;
}

static DIR *open_folder(int folder, const char *name) {
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    folders++;
    return fd < 0 ? NULL : fdopendir(fd);
}

static struct dirent *next(DIR *folder) {
    struct dirent *entry;

    do
        entry = readdir(folder);
    while (entry && entry->d_name[0] == '.');
    return entry;
}

/* path: below the root, where the device really is. */
static void read_device(int sysfs, const char *path) {
    char text[PATH_MAX];
    int device = openat(sysfs, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (device < 0)
        return;
    devices++;
    if (read_link(device, "driver", text, sizeof(text)) > 0) {
        DIR *vfio = open_folder(device, "vfio-dev");
        if (vfio) {
            (void)next(vfio);
            closedir(vfio);
        }
    }
    read_link(device, "iommu_group", text, sizeof(text));
    read_file(device, "modalias", text, sizeof(text));
    bool is_pci = strncmp(text, "pci:", 4) == 0;
    read_file(device, "removable", text, sizeof(text));
    read_file(device, "numa_node", text, sizeof(text));
    read_file(device, is_pci ? "reset_method" : "of_node/compatible", text, sizeof(text));
    read_link(device, "subsystem", text, sizeof(text));
    close(device);
}

/* Follows links such as ../../../devices/pci0000:00/… in a folder. */
static void read_members(int sysfs, const char *name, bool read_them) {
    char target[PATH_MAX];
    struct dirent *entry;
    DIR *folder = open_folder(sysfs, name);

    while (folder && (entry = next(folder))) {
        read_link(dirfd(folder), entry->d_name, target, sizeof(target));
        const char *path = strstr(target, "devices/");
        if (path && read_them)
            read_device(sysfs, path);
    }
    if (folder)
        closedir(folder);
}

static void read_group(int sysfs, const char *id) {
    char path[PATH_MAX], text[4096];

    groups++;
    snprintf(path, sizeof(path), "kernel/iommu_groups/%s", id);
    int group = openat(sysfs, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return;
    read_file(group, "type", text, sizeof(text));
    read_file(group, "reserved_regions", text, sizeof(text));
    close(group);
    snprintf(path, sizeof(path), "class/vfio/%s/dev", id);
    read_file(sysfs, path, text, sizeof(text));
    snprintf(path, sizeof(path), "kernel/iommu_groups/%s/devices", id);
    read_members(sysfs, path, true);
}

int main(int argc, char **argv) {
    static const char *const buses[] = {"pci", "platform", "amba", "fsl-mc", "cdx"};
    bool count = argc == 3 && strcmp(argv[1], "--count") == 0;
    int sysfs = argc == 2 + count ? open(argv[argc - 1], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    char path[64];
    struct dirent *entry;

    if (sysfs < 0) {
        fprintf(stderr, "usage: walk [--count] SYSFS\n");
        return 2;
    }
    DIR *all = open_folder(sysfs, "kernel/iommu_groups");
    while (all && (entry = next(all)))
        read_group(sysfs, entry->d_name);
    if (all)
        closedir(all);
    for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
        snprintf(path, sizeof(path), "bus/%s/devices", buses[i]);
        read_members(sysfs, path, false);
    }
    if (count)
        printf("%lu groups, %lu devices: %lu files, %lu links, %lu folders\n", groups, devices,
               files, links, folders);
    return 0;
}
