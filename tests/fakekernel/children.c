/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a driver makes of its device: network interfaces and disks. They come and go with it. */
#include "model.h"
#include "uevent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct entry *class_of(const char *name) {
    char path[64];

    snprintf(path, sizeof(path), "class/%s", name);
    return entry_directory(tree_root(), path);
}

static void event(const char *action, struct entry *entry, const char *subsystem, const char *text) {
    char *path = entry_path(entry);

    uevent_send(action, path, subsystem, text);
    free(path);
}

/* ---- network interfaces */

static void interface_files(struct device *device, struct entry *at, const char *lines) {
    char text[32];

    entry_link(class_of("net"), at->name, at);
    entry_link(at, "subsystem", class_of("net"));
    entry_link(at, "device", device->directory);
    snprintf(text, sizeof(text), "%u\n", device->interface_index);
    entry_file(at, "ifindex", 0444, text);
    entry_file(at, "uevent", 0644, lines);
    entry_file(at, "type", 0444, "1\n");
    entry_file(at, "operstate", 0444, "down\n");
}

void net_interface(struct device *device, bool add) {
    struct entry *folder, *at;
    char name[32], text[128];

    if (add)
        folder = entry_directory(device->directory, "net");
    else
        folder = entry_child(device->directory, "net");
    if (device->interface)
        snprintf(name, sizeof(name), "%s", device->interface);
    else
        snprintf(name, sizeof(name), "eth%lu", (unsigned long) device->directory->inode);
    snprintf(text, sizeof(text), "INTERFACE=%s\nIFINDEX=%u\n", name, device->interface_index);
    if (add && *name) {
        at = entry_directory(folder, name);
        interface_files(device, at, text);
        event("add", at, "net", text);
    }
    at = folder && *name ? entry_child(folder, name) : NULL;
    if (add)
        return;
    if (at)
        event("remove", at, "net", text);
    if (*name)
        entry_remove_child(class_of("net"), name);
    entry_remove(folder);
}

int device_interface(struct device *device, const char *name, unsigned index) {
    bool bound = device->driver && device->driver->net;

    if (bound)
        net_interface(device, false);
    free(device->interface);
    device->interface = strdup(strcmp(name, "none") == 0 ? "" : name);
    device->interface_index = index;
    if (bound)
        net_interface(device, true);
    return 0;
}

/* ---- disks */

static void block_files(struct entry *at, const char *number, unsigned long sectors) {
    char text[64], major[16] = "", *minor;

    snprintf(text, sizeof(text), "%lu\n", sectors);
    entry_file(at, "size", 0444, text);
    snprintf(text, sizeof(text), "%s\n", number);
    entry_file(at, "dev", 0444, text);
    entry_file(at, "ro", 0444, "0\n");
    entry_directory(at, "holders");
    entry_directory(at, "slaves");
    entry_link(at, "subsystem", class_of("block"));
    entry_link(class_of("block"), at->name, at);
    entry_link(entry_directory(tree_root(), "dev/block"), number, at);
    snprintf(major, sizeof(major), "%s", number);
    minor = strchr(major, ':');
    if (minor)
        *minor++ = '\0';
    snprintf(text, sizeof(text), "MAJOR=%s\nMINOR=%s\nDEVNAME=%s\n", major, minor ? minor : "",
             at->name);
    entry_file(at, "uevent", 0644, text);
    event("add", at, "block", text);
}

/* The name of the controller of nvme0n1. */
static void controller_name(const char *disk, char *to, size_t size) {
    size_t digits = strspn(disk + strlen("nvme"), "0123456789");

    snprintf(to, size, "%.*s", (int) (strlen("nvme") + digits), disk);
}

/* With a subsystem: the disk is there, and the controller has a path to it without a node. */
static struct entry *multipath(struct entry *controller, const char *disk) {
    struct entry *subsystem, *path;
    char name[128];

    snprintf(name, sizeof(name), "devices/virtual/nvme-subsystem/nvme-subsys%s",
             controller->name + strlen("nvme"));
    subsystem = entry_directory(tree_root(), name);
    entry_link(subsystem, controller->name, controller);
    entry_link(class_of("nvme-subsystem"), subsystem->name, subsystem);
    snprintf(name, sizeof(name), "%sc%s%s", controller->name, controller->name + strlen("nvme"),
             disk + strlen(controller->name));
    path = entry_directory(controller, name);
    entry_file(path, "hidden", 0444, "1\n");
    entry_file(path, "size", 0444, "2048\n");
    entry_link(path, "subsystem", class_of("block"));
    return entry_directory(subsystem, disk);
}

static struct entry *disk_place(struct device *device) {
    const struct disk *disk = device->disk;
    struct entry *controller;
    char name[128];

    if (strncmp(disk->name, "nvme", 4) != 0) {
        snprintf(name, sizeof(name), "block/%s", disk->name);
        return entry_directory(device->directory, name);
    }
    controller_name(disk->name, name, sizeof(name));
    controller = entry_directory(entry_directory(device->directory, "nvme"), name);
    entry_link(controller, "device", device->directory);
    entry_link(controller, "subsystem", class_of("nvme"));
    entry_link(class_of("nvme"), name, controller);
    entry_file(controller, "state", 0444, "live\n");
    return disk->multipath ? multipath(controller, disk->name)
                           : entry_directory(controller, disk->name);
}

static void forget_block(struct entry *at) {
    struct entry *child, *next, *number = entry_child(at, "dev");
    char text[32];

    HASH_ITER(hh, at->children, child, next)
        if (child->kind == ENTRY_DIRECTORY && entry_child(child, "partition"))
            forget_block(child);
    event("remove", at, "block", "");
    entry_remove_child(class_of("block"), at->name);
    if (!number)
        return;
    snprintf(text, sizeof(text), "%.*s", (int) strcspn(number->text, "\n"), number->text);
    entry_remove_child(entry_directory(tree_root(), "dev/block"), text);
}

void disk_show(struct device *device, bool add) {
    struct entry *at;
    char name[128];

    if (!device->disk)
        return;
    if (add) {
        block_files(disk_place(device), device->disk->number, device->disk->sectors);
        return;
    }
    at = tree_resolve("class/block", true);
    at = at ? entry_child(at, device->disk->name) : NULL;
    if (at) {
        snprintf(name, sizeof(name), "class/block/%s", device->disk->name);
        at = tree_resolve(name, true);
    }
    if (at) {
        forget_block(at);
        entry_remove(at);
    }
    controller_name(device->disk->name, name, sizeof(name));
    entry_remove_child(class_of("nvme"), name);
    entry_remove_child(device->directory, "nvme");
    entry_remove_child(device->directory, "block");
}

int device_disk(struct device *device, const struct disk *disk) {
    if (device->driver && !device->driver->managed)
        disk_show(device, false);
    free(device->disk);
    device->disk = malloc(sizeof(*disk));
    *device->disk = *disk;
    if (device->driver && !device->driver->managed)
        disk_show(device, true);
    return 0;
}

static struct entry *block_find(const char *name) {
    char path[128];

    snprintf(path, sizeof(path), "class/block/%s", name);
    return tree_resolve(path, true);
}

int disk_partition(const char *disk, const struct disk *part) {
    struct entry *at = block_find(disk);

    if (!at)
        return -ENOENT;
    at = entry_directory(at, part->name);
    entry_file(at, "partition", 0444, "1\n");
    block_files(at, part->number, part->sectors);
    return 0;
}

int disk_holder(const char *disk, const struct disk *holder) {
    struct entry *below = block_find(disk), *at;
    char path[128];

    if (!below)
        return -ENOENT;
    snprintf(path, sizeof(path), "devices/virtual/block/%s", holder->name);
    at = entry_directory(tree_root(), path);
    block_files(at, holder->number, holder->sectors);
    entry_link(entry_directory(at, "slaves"), below->name, below);
    entry_link(entry_directory(below, "holders"), at->name, at);
    return 0;
}
