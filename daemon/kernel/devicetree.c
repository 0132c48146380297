/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/devicetree.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/devicetree-internal.h"
#include "kernel/path.h"
#include "kernel/requester.h"
#include "util/fd.h"
#include "util/string.h"

#define BASE "firmware/devicetree/base"
#define BLOB "firmware/fdt"

static void scan_donep(struct scan *scan) {
    scan_done(scan);
}

static void device_tree_freep(struct device_tree **tree) {
    device_tree_free(*tree);
}

/* ---- Blobs ---------------------------------------------------------------------------------- */

static const char *header_fault(int error) {
    switch (-error) {
    case FDT_ERR_BADMAGIC:
        return "The magic number of a device tree is missing";
    case FDT_ERR_BADVERSION:
        return "The version of the format is not 17 or compatible with it";
    case FDT_ERR_TRUNCATED:
        return "It is shorter than its header says";
    default:
        return "Its header contradicts itself";
    }
}

/* A property's name is looked for up to its NUL, for each property again: names of megabytes would
 * make that long. */
static bool has_long_strings(const void *blob) {
    const char *at = (const char *)blob + fdt_off_dt_strings(blob);
    const char *end = at + fdt_size_dt_strings(blob);

    while (at < end) {
        size_t length = strnlen(at, (size_t)(end - at));
        if (length > DEVICETREE_NAME_MAX)
            return true;
        at += length + 1;
    }
    return false;
}

static int check_header(const void *blob, size_t size, char **ret_text) {
    int error = size < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED : fdt_check_header(blob);

    if (error == 0 && fdt_totalsize(blob) > size)
        error = -FDT_ERR_TRUNCATED;
    if (error == 0 && fdt_version(blob) < 17)
        error = -FDT_ERR_BADVERSION;
    if (error < 0)
        return devicetree_fail(ret_text, -EBADMSG, "%s (%zu bytes).", header_fault(error), size);
    if (fdt_off_dt_struct(blob) % 4)
        return devicetree_fail(ret_text, -EBADMSG, "The structure begins at 0x%x, which is no multiple of 4.",
                               fdt_off_dt_struct(blob));
    if (has_long_strings(blob))
        return devicetree_fail(ret_text, -E2BIG, "The name of a property has more than %d bytes.",
                               DEVICETREE_NAME_MAX);
    return 0;
}

/* The blob is aligned as libfdt wants it. */
static int read_aligned(const void *blob, size_t size, struct device_tree **ret, char **ret_text) {
    _cleanup_(scan_donep) struct scan scan = {0};
    int r = check_header(blob, size, ret_text);

    if (r < 0)
        return r;
    /* It does not say where the fault is: the pass meets nearly all of them, too, and does. */
    int fault = fdt_check_full(blob, size);
    r = scan_blob(&scan, blob, ret_text);
    if (r >= 0 && fault < 0)
        return devicetree_fail(ret_text, -EBADMSG, "%s is damaged (%s).",
                               fdt_num_mem_rsv(blob) < 0 ? "The memory reservation block" : "The tree",
                               fdt_strerror(fault));
    if (r < 0)
        return r;
    _cleanup_(device_tree_freep) struct device_tree *tree = calloc(1, sizeof(*tree));
    if (!tree)
        return -ENOMEM;
    r = facts_from_scan(&scan, tree, ret_text);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(tree);
    return 0;
}

int devicetree_read_blob(const void *blob, size_t size, struct device_tree **ret, char **ret_text) {
    _cleanup_(freep) void *aligned = NULL;

    *ret_text = NULL;
    if (size > DEVICETREE_SIZE_MAX)
        return devicetree_fail(ret_text, -E2BIG, "It has %zu bytes; more than %d are not read.", size,
                               DEVICETREE_SIZE_MAX);
    if ((uintptr_t)blob % 8 == 0)
        return read_aligned(blob, size, ret, ret_text);
    aligned = malloc(size ? size : 1);
    if (!aligned)
        return -ENOMEM;
    memcpy(aligned, blob, size);
    return read_aligned(aligned, size, ret, ret_text);
}

static int read_file_at(int directory, const char *path, struct device_tree **ret, char **ret_text) {
    _cleanup_(freep) char *blob = NULL;
    size_t size;
    int r = file_read(directory, path, DEVICETREE_SIZE_MAX, &blob, &size);

    *ret_text = NULL;
    if (r == -EFBIG)
        return devicetree_fail(ret_text, -E2BIG, "It has more than %d bytes.", DEVICETREE_SIZE_MAX);
    if (r < 0 && r != -ENOMEM)
        return devicetree_fail(ret_text, r, "It cannot be read: %s.", strerror(-r));
    if (r < 0)
        return r;
    return devicetree_read_blob(blob, size, ret, ret_text);
}

int devicetree_read_file(const char *path, struct device_tree **ret, char **ret_text) {
    return read_file_at(AT_FDCWD, path, ret, ret_text);
}

/* ---- The live tree -------------------------------------------------------------------------- */

static int read_folders(int sysfs, struct device_tree **ret, char **ret_text) {
    _cleanup_(freep) void *blob = NULL;
    size_t size;
    int r = folders_flatten(sysfs, BASE, &blob, &size, ret_text);

    return r < 0 ? r : devicetree_read_blob(blob, size, ret, ret_text);
}

int devicetree_read_live(int sysfs, struct device_tree **ret, char **ret_text) {
    *ret_text = NULL;
    _cleanup_(fd_closep) int base = fd_open_directory(sysfs, BASE);
    if (base == -ENOENT || base == -ENOTDIR)
        return devicetree_fail(ret_text, -ENOENT, "This machine was not started with a device tree.");
    if (base < 0)
        return devicetree_fail(ret_text, base, "/sys/" BASE " cannot be opened: %s.", strerror(-base));
    int r = read_file_at(sysfs, BLOB, ret, ret_text);
    if (r != -EACCES && r != -EPERM && r != -ENOENT)
        return r;
    free(TAKE_POINTER(*ret_text));
    return read_folders(sysfs, ret, ret_text);
}

/* ---- From a device to its node -------------------------------------------------------------- */

/* Whether text is hexadecimal but where format has another character than 'x'. */
static bool has_form(const char *text, size_t length, const char *format) {
    if (strlen(format) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (format[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != format[i])
            return false;
    return true;
}

/* Length of the path of what the host bridge above a PCI function belongs to: what is in front of the
 * last "pciDDDD:BB". 0 if path is no function's, or there is nothing in front. A domain has four or
 * more digits. */
static size_t bridge_length(const char *path) {
    const char *name = path_basename(path);
    size_t found = 0, n = strlen(name);

    if (n < 12 || !has_form(name + n - 8, 8, ":xx:xx.x") || strspn(name, "0123456789abcdef") != n - 8)
        return 0;
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        size_t length = strcspn(at, "/");
        if (length >= 10 && strncmp(at, "pci", 3) == 0 && has_form(at + length - 3, 3, ":xx"))
            found = (size_t)(at - path);
    }
    return found;
}

static int follow_node(int sysfs, const char *path, char *ret, size_t size) {
    char link[PATH_MAX], target[PATH_MAX], node[PATH_MAX];

    if ((size_t)snprintf(link, sizeof(link), "%s/of_node", path) >= sizeof(link))
        return -ENAMETOOLONG;
    ssize_t length = link_read(sysfs, link, target, sizeof(target));
    if (length == -ENOTDIR || length == -EINVAL)
        return -ENOENT;
    if (length < 0)
        return (int)length;
    int r = path_resolve(path, target, node, sizeof(node));
    if (r < 0)
        return r;
    char *rest = (char *)string_after(node, BASE);
    if (!rest || (*rest && *rest != '/'))
        return -ENOENT;
    for (char *at = rest; *at;) {
        size_t part = strcspn(++at, "/");
        devicetree_clean_name(at, part);
        at += part;
    }
    const char *found = *rest ? rest : "/";
    if (strlen(found) >= size)
        return -ENAMETOOLONG;
    strcpy(ret, found);
    return 0;
}

int devicetree_node_of(int sysfs, const char *path, char *ret, size_t size) {
    char above[PATH_MAX];
    size_t length = bridge_length(path);

    if (length == 0)
        return follow_node(sysfs, path, ret, size);
    if (length > sizeof(above))
        return -ENAMETOOLONG;
    memcpy(above, path, length - 1);
    above[length - 1] = 0;
    return follow_node(sysfs, above, ret, size);
}

static bool has_property(int sysfs, const char *node, const char *property) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), BASE "%s/%s", node, property);

    return length < (int)sizeof(path) && faccessat(sysfs, path, F_OK, 0) == 0;
}

bool devicetree_names_iommus(int sysfs, const char *node) {
    return has_property(sysfs, node, "iommus") || has_property(sysfs, node, "iommu-map");
}

int devicetree_place_device(int sysfs, struct device_facts *facts, char *node, size_t size) {
    int r = devicetree_node_of(sysfs, facts->path, node, size);

    if (r < 0)
        return r;
    facts->tree_node = node;
    facts->names_iommus = devicetree_names_iommus(sysfs, node);
    if (string_equal(facts->bus, "pci"))
        facts->n_requesters = requesters_of(sysfs, facts->path, facts->requesters,
                                            ELEMENTS_OF(facts->requesters));
    return 0;
}
