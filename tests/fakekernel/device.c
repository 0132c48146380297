/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"
#include "devicetree.h"
#include "iommu.h"
#include "uevent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct device *devices;
static struct group *groups;

struct group *group_find(unsigned id) {
    struct group *group = NULL;

    HASH_FIND(hh, groups, &id, sizeof(id), group);
    return group;
}

struct group *group_next(struct group *group) {
    return group ? group->hh.next : groups;
}

unsigned group_free_id(void) {
    unsigned id = 0;

    while (group_find(id))
        id++;
    return id;
}

struct group *group_get(unsigned id) {
    struct group *group = group_find(id);
    char name[64];

    if (group)
        return group;
    group = calloc(1, sizeof(*group));
    group->id = id;
    snprintf(name, sizeof(name), "kernel/iommu_groups/%u", id);
    group->directory = entry_directory(tree_root(), name);
    entry_directory(group->directory, "devices");
    entry_file(group->directory, "type", 0644, "DMA-FQ\n");
    entry_file(group->directory, "reserved_regions", 0444,
               "0x00000000fee00000 0x00000000feefffff msi\n");
    HASH_ADD(hh, groups, id, sizeof(group->id), group);
    return group;
}

static void group_put(struct group *group) {
    if (--group->members)
        return;
    HASH_DEL(groups, group);
    iommu_forget_group(group);
    entry_remove(group->directory);
    free(group);
}

void device_join(struct device *device, struct group *group) {
    struct group *old = device->group;

    if (group) {
        group->members++;
        entry_link(device->directory, "iommu_group", group->directory);
        entry_link(entry_child(group->directory, "devices"), device->name, device->directory);
    } else {
        entry_remove_child(device->directory, "iommu_group");
    }
    device->group = group;
    if (old) {
        if (old != group)
            entry_remove_child(entry_child(old->directory, "devices"), device->name);
        group_put(old);
    }
}

struct device *device_next(struct device *device) {
    return device ? device->hh.next : devices;
}

struct device *device_find(const char *name) {
    struct device *device = NULL;

    HASH_FIND_STR(devices, name, device);
    if (!device && strchr(name, '/')) {
        struct entry *entry = tree_resolve(name, true);

        if (entry && entry->kind == ENTRY_DIRECTORY)
            device = entry->owner;
    }
    return device;
}

static struct entry *place(const struct device_spec *spec) {
    struct entry *all = entry_directory(tree_root(), "devices"), *entry;
    struct device *parent = spec->parent ? device_find(spec->parent) : NULL;
    char path[512];

    if (spec->path)
        return entry_directory(tree_root(), spec->path);
    if (strcmp(spec->bus, "pci") == 0 && (!parent || parent->bus != bus_get("pci"))) {
        snprintf(path, sizeof(path), "pci%.7s", spec->name);
        entry = entry_directory(parent ? parent->directory : all, path);
    } else if (parent)
        entry = parent->directory;
    else if (strcmp(spec->bus, "mdev") == 0)
        entry = entry_directory(all, "virtual/mtty/mtty");
    else
        entry = entry_directory(all, "platform");
    return entry_directory(entry, spec->name);
}

static char *device_modalias(const struct device *d, const struct device_spec *spec) {
    char *text = NULL;
    int r;

    if (spec->modalias)
        return strdup(spec->modalias);
    if (d->node >= 0)
        return devicetree_modalias(d->node, spec->bus);
    if (strcmp(spec->bus, "pci") == 0)
        r = asprintf(&text, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", d->vendor, d->product,
                     d->subsystem_vendor, d->subsystem_product, d->class >> 16,
                     d->class >> 8 & 0xff, d->class & 0xff);
    else if (spec->compatible)
        r = asprintf(&text, "of:N%sT(null)C%s", "ethernet", spec->compatible);
    else
        r = asprintf(&text, "%s:%s", spec->bus, spec->name);
    if (r < 0)
        abort();
    return text;
}

static char *constant_uevent(const struct device *d, const struct device_spec *spec) {
    char *text = NULL;
    int r;

    if (d->node >= 0)
        return devicetree_uevent(d->node, spec->bus, d->modalias);
    if (strcmp(spec->bus, "pci") == 0)
        r = asprintf(&text,
                     "PCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
                     "PCI_SLOT_NAME=%s\nMODALIAS=%s\n",
                     d->class, d->vendor, d->product, d->subsystem_vendor, d->subsystem_product,
                     d->name, d->modalias);
    else if (spec->compatible)
        r = asprintf(&text,
                     "OF_NAME=ethernet\nOF_FULLNAME=/soc/%s\nOF_COMPATIBLE_0=%s\n"
                     "OF_COMPATIBLE_N=1\nMODALIAS=%s\n",
                     d->name, spec->compatible, d->modalias);
    else
        r = asprintf(&text, "MODALIAS=%s\n", d->modalias);
    if (r < 0)
        abort();
    return text;
}

static void firmware_node(struct device *device, const char *compatible) {
    struct entry *soc = entry_directory(tree_root(), "firmware/devicetree/base/soc");
    struct entry *node = entry_directory(soc, device->name);
    struct entry *file = entry_file(node, "compatible", 0444, "");

    entry_set(file, compatible, strlen(compatible) + 1);
    entry_link(device->directory, "of_node", node);
}

static struct device *device_new(const struct device_spec *spec) {
    struct device *device = calloc(1, sizeof(*device));

    device->name = strdup(spec->name);
    device->bus = bus_get(spec->bus);
    device->native = spec->native ? strdup(spec->native) : NULL;
    device->vendor = spec->vendor;
    device->product = spec->product;
    device->subsystem_vendor = spec->subsystem_vendor;
    device->subsystem_product = spec->subsystem_product;
    device->class = spec->class;
    device->vfio_id = -1;
    device->interface_index = 7;
    device->node = spec->node ? devicetree_find(spec->node) : -1;
    device->references = 1;
    device->modalias = device_modalias(device, spec);
    device->uevent = constant_uevent(device, spec);
    device->directory = place(spec);
    device->directory->owner = device;
    HASH_ADD_KEYPTR(hh, devices, device->name, strlen(device->name), device);
    return device;
}

static void fill(struct device *device, const struct device_spec *spec) {
    char text[512];

    entry_link(device->directory, "subsystem", device->bus->directory);
    snprintf(text, sizeof(text), "%s\n", device->modalias);
    entry_file(device->directory, "modalias", 0444, text);
    snprintf(text, sizeof(text), "%d\n", spec->numa_node);
    entry_file(device->directory, "numa_node", 0644, text);
    if (strcmp(spec->bus, "pci") == 0)
        pci_files(device, spec);
    if (device->node >= 0)
        entry_link(device->directory, "of_node", devicetree_entry(device->node));
    else if (spec->compatible)
        firmware_node(device, spec->compatible);
    device_files(device);
}

/* Up to 6.14 a device of a device tree has none until it is probed. */
static void first_group(struct device *device, const char *word) {
    if (!word)
        device->late = devicetree_present();
    else if (strcmp(word, "late") == 0)
        device->late = true;
    else if (strcmp(word, "new") == 0)
        device_join(device, group_get(group_free_id()));
    else if (strcmp(word, "none") != 0)
        device_join(device, group_get((unsigned) strtoul(word, NULL, 10)));
}

int device_add(const struct device_spec *spec) {
    struct device *device;
    int r = 0;

    if (device_find(spec->name))
        return -EEXIST;
    if (spec->node && devicetree_find(spec->node) < 0)
        return -ENOENT;
    device = device_new(spec);
    fill(device, spec);
    first_group(device, spec->group);
    entry_link(device->bus->devices, device->name, device->directory);
    device_event(device, "add");
    if (spec->driver && strcmp(spec->driver, "none") != 0)
        r = device_attach_driver(device, driver_get(device->bus, spec->driver));
    else if (!spec->driver && (device->native || device->node >= 0) && bus_autoprobes(device->bus))
        r = device_probe(device);
    return r < 0 ? r : 0;
}

int device_remove(struct device *device) {
    device_get(device);
    sriov_disable(device);
    device_detach(device);
    if (device->gone) {
        device_put(device);
        return -ENODEV;
    }
    device->gone = true;
    entry_remove_child(device->bus->devices, device->name);
    device_join(device, NULL);
    iommu_release(device);
    device_event(device, "remove");
    HASH_DEL(devices, device);
    entry_remove(device->directory);
    device_put(device);
    device_put(device);
    return 0;
}

struct device *device_get(struct device *device) {
    device->references++;
    return device;
}

void device_put(struct device *device) {
    if (--device->references)
        return;
    free(device->name);
    free(device->driver_override);
    free(device->interface);
    free(device->disk);
    if (device->sriov)
        free(device->sriov->native);
    free(device->sriov);
    free(device->native);
    free(device->modalias);
    free(device->uevent);
    free(device);
}
