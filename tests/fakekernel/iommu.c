/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include "devicetree.h"
#include "iommu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 64
#define SID_MAX 0xffff

enum kind { KIND_V3, KIND_V2, KIND_SINGLE, KIND_TEGRA, KIND_VIRTIO };

/* On SMMUv2 a stream match register, on the others what a stream is to the driver. */
struct stream {
    uint32_t id, mask;
    unsigned users;
    struct group *group;
    struct stream *next;
};

struct iommu {
    int node;
    enum kind kind;
    struct entry *entry; /* in class/iommu */
    struct stream *streams;
    struct group *single;
    struct iommu *next;
};

/* Of a device: dev_iommu. */
struct iommu_use {
    struct iommu *iommu;
    struct stream *streams[STREAMS_MAX];
    unsigned count;
};

/* What a device asks for: iommu_fwspec. */
struct request {
    struct iommu *iommu;
    uint32_t ids[STREAMS_MAX], masks[STREAMS_MAX];
    unsigned count;
};

static struct iommu *iommus;

static const struct {
    const char *compatible;
    enum kind kind;
    const char *entry; /* name in class/iommu with the address; NULL: the device's */
} kinds[] = {
    {"arm,smmu-v3", KIND_V3, "smmu3.0x%016" PRIx64},
    {"arm,mmu-500", KIND_V2, "smmu.0x%016" PRIx64},
    {"arm,mmu-401", KIND_V2, "smmu.0x%016" PRIx64},
    {"arm,smmu-v2", KIND_V2, "smmu.0x%016" PRIx64},
    {"rockchip,iommu", KIND_SINGLE, NULL},
    {"nvidia,tegra124-mc", KIND_TEGRA, NULL},
    {"virtio,mmio", KIND_VIRTIO, NULL},
};

void iommu_add(struct device *device) {
    struct iommu *iommu;
    uint64_t address = 0;
    char name[96];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (!devicetree_is_compatible(device->node, kinds[i].compatible) ||
            !devicetree_has(device->node, "#iommu-cells"))
            continue;
        iommu = calloc(1, sizeof(*iommu));
        *iommu = (struct iommu){.node = device->node, .kind = kinds[i].kind, .next = iommus};
        iommus = iommu;
        devicetree_address(device->node, &address);
        snprintf(name, sizeof(name), "iommu/%s", device->name);
        if (kinds[i].entry)
            snprintf(name + 6, sizeof(name) - 6, kinds[i].entry, address);
        iommu->entry = entry_directory(device->directory, name);
        entry_directory(iommu->entry, "devices");
        entry_link(entry_directory(tree_root(), "class/iommu"), iommu->entry->name, iommu->entry);
        return;
    }
}

static struct iommu *iommu_of(int node) {
    struct iommu *iommu = iommus;

    while (iommu && iommu->node != node)
        iommu = iommu->next;
    return iommu;
}

/* ---- What a device asks for */

/* The host bridge of a PCI function, else the device itself; -1 if the tree does not know it. */
static int master_of(const struct device *device) {
    struct entry *at = device->directory;

    for (; at->parent; at = at->parent) {
        const struct device *above = at->kind == ENTRY_DIRECTORY ? at->owner : NULL;

        if (above && above->node >= 0)
            return above->node;
    }
    return -1;
}

static bool is_pci(const struct device *device) {
    return strcmp(device->bus->name, "pci") == 0;
}

/* of_xlate(): one more stream. A second IOMMU of the same kind is not noticed: the streams are looked
 * for on the first one, by Rockchip's on the last. */
static int ask(struct request *request, const struct reference *to) {
    struct iommu *iommu = iommu_of(to->node);
    uint32_t id = to->count > 0 ? to->cells[0] : 0, mask = 0;

    if (!iommu) /* disabled, or of no kind that there is */
        return -ENODEV;
    if (request->count == STREAMS_MAX || (request->iommu && request->iommu->kind != iommu->kind))
        return -EINVAL;
    if (iommu->kind == KIND_V2) {
        id &= SID_MAX;
        mask = to->count > 1 ? to->cells[1] : devicetree_cell(to->node, "stream-match-mask", 0);
    }
    if (!request->iommu || iommu->kind == KIND_SINGLE)
        request->iommu = iommu;
    request->ids[request->count] = id;
    request->masks[request->count++] = mask & SID_MAX;
    return 0;
}

static int ask_all(const struct device *device, struct request *request) {
    unsigned bus = 0, slot = 0, function = 0;
    int node = master_of(device), r;
    struct reference to;

    if (node < 0)
        return -ENODEV;
    if (is_pci(device)) {
        sscanf(device->name, "%*x:%x:%x.%u", &bus, &slot, &function);
        r = devicetree_iommu_map(node, bus << 8 | slot << 3 | function, &to);
        return r < 0 ? r : ask(request, &to);
    }
    for (unsigned i = 0; (r = devicetree_iommus(node, i, &to)) == 0; i++) {
        r = ask(request, &to);
        if (r < 0)
            return r;
    }
    if (r == -ENOENT)
        r = request->count ? 0 : -ENODEV;
    return r;
}

/* ---- Streams */

static struct stream *stream_new(struct iommu *iommu, uint32_t id, uint32_t mask) {
    struct stream *stream = calloc(1, sizeof(*stream));

    *stream = (struct stream){.id = id, .mask = mask, .next = iommu->streams};
    iommu->streams = stream;
    return stream;
}

static bool uses(const struct iommu_use *use, const struct stream *stream) {
    for (unsigned i = 0; i < use->count; i++)
        if (use->streams[i] == stream)
            return true;
    return false;
}

/* arm_smmu_find_sme(): a register that holds all of it; none may hold a part. */
static int match_v2(struct iommu *iommu, uint32_t id, uint32_t mask, struct stream **ret) {
    for (struct stream *s = iommu->streams; s; s = s->next) {
        if ((mask & s->mask) == mask && !((id ^ s->id) & ~s->mask)) {
            *ret = s;
            return 0;
        }
        if (!((id ^ s->id) & ~(s->mask | mask)))
            return -EINVAL;
    }
    *ret = stream_new(iommu, id, mask);
    return 0;
}

/* arm_smmu_insert_master(): a stream has one master. */
static int match_v3(struct iommu *iommu, const struct iommu_use *use, uint32_t id, struct stream **ret) {
    if (id > SID_MAX)
        return -ERANGE;
    for (struct stream *s = iommu->streams; s; s = s->next)
        if (s->id == id) {
            *ret = s;
            return uses(use, s) ? 0 : -EEXIST;
        }
    *ret = stream_new(iommu, id, 0);
    return 0;
}

static int match(struct iommu *iommu, const struct iommu_use *use, uint32_t id, uint32_t mask,
                 struct stream **ret) {
    if (iommu->kind == KIND_V2)
        return match_v2(iommu, id, mask, ret);
    if (iommu->kind == KIND_V3)
        return match_v3(iommu, use, id, ret);
    for (struct stream *s = iommu->streams; s; s = s->next)
        if (s->id == id) {
            *ret = s;
            return 0;
        }
    *ret = stream_new(iommu, id, 0);
    return 0;
}

static void stream_put(struct iommu *iommu, struct stream *stream) {
    struct stream **at = &iommu->streams;

    if (--stream->users)
        return;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    free(stream);
}

static void use_free(struct iommu_use *use) {
    for (unsigned i = 0; use && i < use->count; i++)
        stream_put(use->iommu, use->streams[i]);
    free(use);
}

static struct iommu_use *take(const struct request *request) {
    struct iommu_use *use = calloc(1, sizeof(*use));

    use->iommu = request->iommu;
    for (unsigned i = 0; i < request->count; i++) {
        struct stream *stream;

        if (match(use->iommu, use, request->ids[i], request->masks[i], &stream) < 0) {
            use_free(use);
            return NULL;
        }
        stream->users++;
        use->streams[use->count++] = stream;
    }
    return use;
}

/* ---- Groups */

/* pci_device_group() on a machine whose ports have no ACS: with what is above, and with the slot. */
static struct group *pci_group(const struct device *device) {
    size_t slot = strcspn(device->name, ".");

    for (struct entry *at = device->directory->parent; at; at = at->parent) {
        const struct device *above = at->owner;

        if (above && is_pci(above) && above->group)
            return above->group;
    }
    for (struct device *d = device_next(NULL); d; d = device_next(d))
        if (is_pci(d) && d->group && strncmp(d->name, device->name, slot + 1) == 0)
            return d->group;
    return NULL;
}

static struct group *new_group(const struct device *device) {
    struct group *group = is_pci(device) ? pci_group(device) : NULL;

    if (group)
        return group;
    group = group_get(group_free_id());
    entry_file(group->directory, "type", 0644, "DMA\n");
    entry_file(group->directory, "reserved_regions", 0444,
               "0x0000000008000000 0x00000000080fffff msi\n");
    return group;
}

/* arm_smmu_device_group(): the last stream counts, and what has none gets a new one for all. */
static struct group *group_v2(const struct device *device, struct iommu_use *use) {
    struct group *group = NULL;

    for (unsigned i = 0; i < use->count; i++) {
        struct group *other = use->streams[i]->group;

        if (group && other && group != other)
            return NULL;
        group = other;
    }
    if (group)
        return group;
    group = new_group(device);
    for (unsigned i = 0; i < use->count; i++)
        use->streams[i]->group = group;
    return group;
}

/* tegra_smmu_device_group(): by the first stream; display controllers and video image compositor are one. */
static struct group *group_tegra(const struct device *device, struct iommu_use *use) {
    static const uint32_t drm[] = {1, 2, 24};
    struct stream *first = use->streams[0];
    bool is_drm = false, other_is_drm;

    for (size_t i = 0; i < sizeof(drm) / sizeof(*drm); i++)
        is_drm |= first->id == drm[i];
    for (struct stream *s = use->iommu->streams; s && !first->group; s = s->next) {
        other_is_drm = false;
        for (size_t i = 0; i < sizeof(drm) / sizeof(*drm); i++)
            other_is_drm |= s->id == drm[i];
        if (is_drm && other_is_drm)
            first->group = s->group;
    }
    if (!first->group)
        first->group = new_group(device);
    return first->group;
}

static struct group *device_group(const struct device *device, struct iommu_use *use) {
    switch (use->iommu->kind) {
    case KIND_V2:
        return group_v2(device, use);
    case KIND_TEGRA:
        return group_tegra(device, use);
    case KIND_SINGLE:
        if (!use->iommu->single)
            use->iommu->single = new_group(device);
        return use->iommu->single;
    default:
        return new_group(device);
    }
}

void iommu_configure(struct device *device) {
    struct request request = {0};
    struct group *group;

    if (device->group || !device->late)
        return;
    if (!devicetree_present()) {
        device_join(device, group_get(group_free_id()));
        return;
    }
    iommu_release(device);
    if (ask_all(device, &request) < 0)
        return;
    device->iommu = take(&request);
    group = device->iommu ? device_group(device, device->iommu) : NULL;
    if (!group) {
        iommu_release(device);
        return;
    }
    device_join(device, group);
    entry_link(device->directory, "iommu", request.iommu->entry);
    entry_link(entry_child(request.iommu->entry, "devices"), device->name, device->directory);
}

void iommu_release(struct device *device) {
    if (!device->iommu)
        return;
    entry_remove_child(entry_child(device->iommu->iommu->entry, "devices"), device->name);
    entry_remove_child(device->directory, "iommu");
    use_free(device->iommu);
    device->iommu = NULL;
}

void iommu_forget_group(const struct group *group) {
    for (struct iommu *iommu = iommus; iommu; iommu = iommu->next) {
        if (iommu->single == group)
            iommu->single = NULL;
        for (struct stream *s = iommu->streams; s; s = s->next)
            s->group = s->group == group ? NULL : s->group;
    }
}

bool iommu_is_coherent(const struct device *device) {
    if (!device->iommu)
        return true;
    switch (device->iommu->iommu->kind) {
    case KIND_V2:
        return devicetree_has(device->iommu->iommu->node, "dma-coherent") ||
               (device->node >= 0 && devicetree_has(device->node, "dma-coherent"));
    case KIND_V3:
    case KIND_VIRTIO:
        return true;
    default:
        return false;
    }
}
