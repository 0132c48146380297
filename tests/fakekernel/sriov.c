/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Physical and virtual functions, as drivers/pci/iov.c has them. */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VF_OFFSET 0x80
#define VF_STRIDE 2
#define DEFAULT_VF 0x10ca

static ssize_t show_numvfs(void *owner, char *buffer, size_t size) {
    const struct device *pf = owner;

    return snprintf(buffer, size, "%u\n", pf->sriov->count);
}

static ssize_t show_autoprobe(void *owner, char *buffer, size_t size) {
    const struct device *pf = owner;

    return snprintf(buffer, size, "%u\n", pf->sriov->autoprobe);
}

static int store_autoprobe(void *owner, const char *text) {
    struct device *pf = owner;

    if ((text[0] != '0' && text[0] != '1') || text[1])
        return -EINVAL;
    pf->sriov->autoprobe = text[0] == '1';
    return 0;
}

/* Domain and bus of the function, with the number of the VF's device and function on it. */
static void vf_name(const struct device *pf, unsigned index, char *to, size_t size) {
    unsigned domain = 0, bus = 0, slot = 0, function = 0, at;

    sscanf(pf->name, "%x:%x:%x.%u", &domain, &bus, &slot, &function);
    at = slot * 8 + function + VF_OFFSET + VF_STRIDE * index;
    snprintf(to, size, "%04x:%02x:%02x.%u", domain, bus + at / 256, at / 8 % 32, at % 8);
}

static void vf_links(struct device *pf, struct device *vf, unsigned index) {
    char link[32];

    snprintf(link, sizeof(link), "virtfn%u", index);
    entry_link(pf->directory, link, vf->directory);
    entry_link(vf->directory, "physfn", pf->directory);
}

static int vf_add(struct device *pf, unsigned index) {
    char name[32], *above = entry_path(pf->directory->parent), path[4096];
    struct device_spec spec = {.bus = "pci",
                               .name = name,
                               .path = path + 1,
                               .group = pf->late ? "late" : pf->group ? "new" : "none",
                               .driver = "none",
                               .native = pf->sriov->native,
                               .vendor = pf->vendor,
                               .product = pf->sriov->product,
                               .subsystem_vendor = pf->subsystem_vendor,
                               .subsystem_product = pf->subsystem_product,
                               .class = pf->class,
                               .reset_method = "flr",
                               .numa_node = -1};
    struct device *vf;
    int r;

    vf_name(pf, index, name, sizeof(name));
    snprintf(path, sizeof(path), "%s/%s", above, name);
    free(above);
    r = device_add(&spec);
    if (r < 0)
        return r;
    vf = device_find(name);
    vf->physfn = pf;
    vf_links(pf, vf, index);
    /* vfio-pci takes the VFs of its own functions: vfio_pci_bus_notifier(). */
    if (pf->driver && pf->driver->vfio)
        vf->driver_override = strdup(pf->driver->name);
    if (sriov_may_probe(vf))
        device_probe(vf);
    return 0;
}

static void vf_remove(struct device *pf, unsigned index) {
    char name[32], link[32];
    struct device *vf;

    vf_name(pf, index, name, sizeof(name));
    snprintf(link, sizeof(link), "virtfn%u", index);
    entry_remove_child(pf->directory, link);
    vf = device_find(name);
    if (vf)
        device_remove(vf);
}

void sriov_disable(struct device *pf) {
    while (pf->sriov && pf->sriov->count > 0)
        vf_remove(pf, --pf->sriov->count);
}

static int enable(struct device *pf, unsigned count) {
    int r = 0;

    for (unsigned i = 0; r == 0 && i < count; i++) {
        r = vf_add(pf, i);
        pf->sriov->count += r == 0;
    }
    if (r < 0)
        sriov_disable(pf);
    return r;
}

static int change(struct device *pf, unsigned count) {
    int r = 0;

    if (pf->gone)
        return -ENODEV;
    if (count == pf->sriov->count)
        return 0;
    if (!pf->driver || !pf->driver->sriov)
        return -ENOENT;
    if (count && pf->sriov->count)
        return -EBUSY;
    if (count)
        r = enable(pf, count);
    else
        sriov_disable(pf);
    device_event(pf, "change");
    return r;
}

static int store_numvfs(void *owner, const char *text) {
    struct device *pf = owner;
    char *end;
    unsigned long count = strtoul(text, &end, 0);
    int r;

    if (*end || end == text)
        return -EINVAL;
    if (count > pf->sriov->total)
        return -ERANGE;
    device_lock(pf);
    r = change(pf, (unsigned) count);
    device_unlock(pf);
    return r;
}

bool sriov_may_probe(const struct device *device) {
    return !device->physfn || device->physfn->sriov->autoprobe || device->driver_override;
}

bool sriov_has_vfs(const struct device *device) {
    return device->sriov && device->sriov->count > 0;
}

void sriov_files(struct device *pf, const struct device_spec *spec) {
    struct entry *at = pf->directory;
    char text[32];

    pf->sriov = calloc(1, sizeof(*pf->sriov));
    pf->sriov->total = spec->totalvfs;
    pf->sriov->autoprobe = true;
    pf->sriov->product = spec->vfdevice ? spec->vfdevice : DEFAULT_VF;
    pf->sriov->native = spec->vfnative ? strdup(spec->vfnative) : NULL;
    snprintf(text, sizeof(text), "%u\n", spec->totalvfs);
    entry_file(at, "sriov_totalvfs", 0444, text);
    snprintf(text, sizeof(text), "%x\n", pf->sriov->product);
    entry_file(at, "sriov_vf_device", 0444, text);
    snprintf(text, sizeof(text), "%u\n", VF_OFFSET);
    entry_file(at, "sriov_offset", 0444, text);
    snprintf(text, sizeof(text), "%u\n", VF_STRIDE);
    entry_file(at, "sriov_stride", 0444, text);
    entry_attribute(at, "sriov_numvfs", 0644, show_numvfs, store_numvfs, pf);
    entry_attribute(at, "sriov_drivers_autoprobe", 0644, show_autoprobe, store_autoprobe, pf);
}
