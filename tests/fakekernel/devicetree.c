/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The blob: where it comes from, how it is shown, what it says of nodes. populate.c makes devices of it. */
#include "devicetree.h"
#include "populate.h"
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *blob;
static struct entry *base;

bool devicetree_present(void) {
    return blob;
}

static char *read_all(FILE *file, size_t *ret_size) {
    char *text = NULL, part[4096];
    FILE *to = open_memstream(&text, ret_size);
    size_t length;

    while ((length = fread(part, 1, sizeof(part), file)) > 0)
        fwrite(part, 1, length, to);
    fclose(to);
    return text;
}

/* 0 or negative errno; *ret is the caller's. */
static int read_blob(const char *path, void **ret, size_t *ret_size) {
    bool is_source = strlen(path) > 4 && strcmp(path + strlen(path) - 4, ".dts") == 0;
    char command[PATH_MAX + 64];
    FILE *file;
    int status;

    snprintf(command, sizeof(command), "exec dtc -q -I dts -O dtb '%s'", path);
    file = is_source ? popen(command, "re") : fopen(path, "re");
    if (!file)
        return -errno;
    *ret = read_all(file, ret_size);
    status = is_source ? pclose(file) : fclose(file);
    if (status == 0 && fdt_check_full(*ret, *ret_size) == 0)
        return 0;
    free(*ret);
    return -EBADMSG;
}

static struct entry *property_file(struct entry *at, const char *name, const void *data, int length) {
    struct entry *file = entry_file(at, name, 0444, "");

    entry_set(file, data, (size_t) length);
    file->sized = true;
    return file;
}

/* As drivers/of/kobj.c, with the property that drivers/of/fdt.c adds. */
static void unflatten(int node, struct entry *at) {
    const char *name = fdt_get_name(blob, node, NULL), *key;
    const void *data;
    char text[256];
    int at_property, child, length;

    fdt_for_each_property_offset(at_property, blob, node) {
        data = fdt_getprop_by_offset(blob, at_property, &key, &length);
        property_file(at, key, data, length);
    }
    snprintf(text, sizeof(text), "%.*s", (int) strcspn(name, "@"), name);
    if (!entry_child(at, "name"))
        property_file(at, "name", text, (int) strlen(text) + 1);
    fdt_for_each_subnode(child, blob, node)
        unflatten(child, entry_directory(at, fdt_get_name(blob, child, NULL)));
}

int devicetree_load(const char *path) {
    struct entry *firmware = entry_directory(tree_root(), "firmware"), *file;
    size_t size;
    int r;

    if (blob)
        return -EEXIST;
    r = read_blob(path, &blob, &size);
    if (r < 0)
        return r;
    file = property_file(firmware, "fdt", blob, (int) size);
    file->mode = 0400;
    base = entry_directory(firmware, "devicetree/base");
    unflatten(0, base);
    return populate();
}

int devicetree_find(const char *path) {
    return blob ? fdt_path_offset(blob, path) : -1;
}

const char *devicetree_path(int node) {
    static char path[PATH_MAX];

    if (fdt_get_path(blob, node, path, sizeof(path)) < 0)
        *path = '\0';
    return path;
}

struct entry *devicetree_entry(int node) {
    return entry_directory(base, devicetree_path(node));
}

const char *devicetree_compatible(int node, int n) {
    return fdt_stringlist_get(blob, node, "compatible", n, NULL);
}

bool devicetree_is_compatible(int node, const char *name) {
    return fdt_node_check_compatible(blob, node, name) == 0;
}

bool devicetree_is_enabled(int node) {
    const char *status;

    for (; node > 0; node = fdt_parent_offset(blob, node)) {
        status = fdt_getprop(blob, node, "status", NULL);
        if (status && strcmp(status, "okay") != 0 && strcmp(status, "ok") != 0)
            return false;
    }
    return true;
}

int devicetree_parent(int node) {
    return node > 0 ? fdt_parent_offset(blob, node) : -1;
}

int devicetree_child(int node, int previous) {
    int child = previous < 0 ? fdt_first_subnode(blob, node) : fdt_next_subnode(blob, previous);

    return child < 0 ? -1 : child;
}

bool devicetree_has(int node, const char *property) {
    return fdt_getprop(blob, node, property, NULL);
}

/* A property as cells, and how many. */
static const fdt32_t *cells_of(int node, const char *property, unsigned *ret_count) {
    int length = 0;
    const fdt32_t *cells = fdt_getprop(blob, node, property, &length);

    *ret_count = cells ? (unsigned) length / sizeof(*cells) : 0;
    return cells;
}

uint32_t devicetree_cell(int node, const char *property, uint32_t other) {
    unsigned count;
    const fdt32_t *cells = cells_of(node, property, &count);

    return count ? fdt32_to_cpu(cells[0]) : other;
}

/* The trees of tests have no ranges that move anything. */
bool devicetree_address(int node, uint64_t *ret) {
    int parent = fdt_parent_offset(blob, node), wanted = fdt_address_cells(blob, parent);
    unsigned count;
    const fdt32_t *cells = cells_of(node, "reg", &count);

    if (wanted < 1 || (int) count < wanted)
        return false;
    *ret = 0;
    for (int i = 0; i < wanted; i++)
        *ret = *ret << 32 | fdt32_to_cpu(cells[i]);
    return true;
}

int devicetree_iommus(int node, unsigned n, struct reference *ret) {
    unsigned count, at = 0;
    const fdt32_t *cells = cells_of(node, "iommus", &count);

    for (; at < count; n--) {
        int target = fdt_node_offset_by_phandle(blob, fdt32_to_cpu(cells[at++]));
        unsigned length = target < 0 ? 0 : devicetree_cell(target, "#iommu-cells", 0);

        if (target < 0 || length > DEVICETREE_CELLS || length > count - at)
            return -EINVAL;
        if (n == 0) {
            *ret = (struct reference){.node = target, .count = length};
            for (unsigned i = 0; i < length; i++)
                ret->cells[i] = fdt32_to_cpu(cells[at + i]);
            return 0;
        }
        at += length;
    }
    return -ENOENT;
}

int devicetree_iommu_map(int node, uint32_t requester, struct reference *ret) {
    unsigned count;
    const fdt32_t *cells = cells_of(node, "iommu-map", &count);

    requester &= devicetree_cell(node, "iommu-map-mask", UINT32_MAX);
    for (unsigned i = 0; i + 4 <= count; i += 4) {
        uint32_t first = fdt32_to_cpu(cells[i]), length = fdt32_to_cpu(cells[i + 3]);

        if (requester < first || requester - first >= length)
            continue;
        *ret = (struct reference){.node = fdt_node_offset_by_phandle(blob, fdt32_to_cpu(cells[i + 1])),
                                  .cells = {fdt32_to_cpu(cells[i + 2]) + requester - first},
                                  .count = 1};
        return ret->node < 0 ? -EINVAL : 0;
    }
    return -ENOENT;
}

/* The name without its unit address. */
static char *base_name(int node) {
    const char *name = fdt_get_name(blob, node, NULL);

    return strndup(name, strcspn(name, "@"));
}

char *devicetree_modalias(int node, const char *bus) {
    const char *type = fdt_getprop(blob, node, "device_type", NULL);
    char *text = NULL, *name = base_name(node);
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (strcmp(bus, "amba") == 0)
        fprintf(to, "amba:d%08" PRIX32, devicetree_cell(node, "arm,primecell-periphid", 0));
    else
        fprintf(to, "of:N%sT%s", name, type ? type : "(null)");
    for (int i = 0; strcmp(bus, "amba") != 0 && devicetree_compatible(node, i); i++)
        fprintf(to, "C%s", devicetree_compatible(node, i));
    fclose(to);
    free(name);
    return text;
}

char *devicetree_uevent(int node, const char *bus, const char *modalias) {
    const char *type = fdt_getprop(blob, node, "device_type", NULL);
    char *text = NULL, *name = base_name(node);
    size_t size;
    FILE *to = open_memstream(&text, &size);
    int count = 0;

    fprintf(to, "OF_NAME=%s\nOF_FULLNAME=%s\n", name, devicetree_path(node));
    if (type)
        fprintf(to, "OF_TYPE=%s\n", type);
    for (; devicetree_compatible(node, count); count++)
        fprintf(to, "OF_COMPATIBLE_%d=%s\n", count, devicetree_compatible(node, count));
    fprintf(to, "OF_COMPATIBLE_N=%d\n", count);
    if (strcmp(bus, "amba") == 0)
        fprintf(to, "AMBA_ID=%08" PRIX32 "\n", devicetree_cell(node, "arm,primecell-periphid", 0));
    fprintf(to, "MODALIAS=%s\n", modalias);
    fclose(to);
    free(name);
    return text;
}
