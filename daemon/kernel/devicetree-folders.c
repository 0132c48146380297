/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The live tree as folders and files, for whom the blob is not readable. It becomes a blob again, so
 * that there is one reader. Links are not followed: the kernel makes none in there. */
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/devicetree-internal.h"
#include "util/fd.h"

struct flattening {
    void *blob;
    char **ret_text;
    unsigned depth, n_nodes;
};

/* -ENOBUFS, without a text: the blob has no room for it. */
static int fail_write(struct flattening *flattening, int error) {
    if (error == -FDT_ERR_NOSPACE)
        return -ENOBUFS;
    return devicetree_fail(flattening->ret_text, -EBADMSG, "The live tree cannot be flattened (%s).",
                           fdt_strerror(error));
}

static int write_property(struct flattening *flattening, int folder, const char *name) {
    _cleanup_(freep) char *data = NULL;
    size_t size;
    int r = file_read(folder, name, DEVICETREE_PROPERTY_MAX, &data, &size);

    /* gone meanwhile, or secret */
    if (r == -ENOENT || r == -EACCES)
        return 0;
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return devicetree_fail(flattening->ret_text, r == -EFBIG ? -E2BIG : r,
                               "Property %s of the live tree cannot be read: %s.", name, strerror(-r));
    r = fdt_property(flattening->blob, name, data, (int)size);
    return r < 0 ? fail_write(flattening, r) : 0;
}

static int write_node(struct flattening *flattening, int folder, const char *name);

/* One pass over the folder: its files, or its folders; a blob has properties before nodes. */
static int write_entries(struct flattening *flattening, int folder, bool is_for_nodes) {
    _cleanup_(closedirp) DIR *entries = NULL;
    struct dirent *entry;
    struct stat status;
    int r = directory_open(folder, ".", &entries);

    if (r < 0)
        return devicetree_fail(flattening->ret_text, r, "A folder of the live tree cannot be read: %s.",
                               strerror(-r));
    while (r >= 0 && (entry = directory_next(entries))) {
        if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(status.st_mode) && is_for_nodes)
            r = write_node(flattening, folder, entry->d_name);
        else if (S_ISREG(status.st_mode) && !is_for_nodes)
            r = write_property(flattening, folder, entry->d_name);
    }
    return r;
}

static int write_node(struct flattening *flattening, int parent, const char *name) {
    _cleanup_(fd_closep) int folder =
        openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (folder < 0)
        return errno == ENOENT ? 0
                               : devicetree_fail(flattening->ret_text, -errno,
                                                 "Node %s of the live tree cannot be opened: %s.", name,
                                                 strerror(errno));
    if (++flattening->depth > DEVICETREE_DEPTH_MAX || ++flattening->n_nodes > DEVICETREE_NODES_MAX)
        return devicetree_fail(flattening->ret_text, -E2BIG,
                               "The live tree has more than %d nodes, or is deeper than %d.",
                               DEVICETREE_NODES_MAX, DEVICETREE_DEPTH_MAX);
    int r = fdt_begin_node(flattening->blob, flattening->depth == 1 ? "" : name);
    if (r < 0)
        return fail_write(flattening, r);
    r = write_entries(flattening, folder, false);
    if (r >= 0)
        r = write_entries(flattening, folder, true);
    if (r < 0)
        return r;
    flattening->depth--;
    r = fdt_end_node(flattening->blob);
    return r < 0 ? fail_write(flattening, r) : 0;
}

static int flatten(int sysfs, const char *path, size_t room, void **ret, size_t *ret_size,
                   char **ret_text) {
    _cleanup_(freep) void *blob = malloc(room);
    struct flattening flattening = {.blob = blob, .ret_text = ret_text};

    if (!blob)
        return -ENOMEM;
    int r = fdt_create(blob, (int)room);
    if (r >= 0)
        r = fdt_finish_reservemap(blob);
    if (r < 0)
        return fail_write(&flattening, r);
    r = write_node(&flattening, sysfs, path);
    if (r < 0)
        return r;
    r = fdt_finish(blob);
    if (r < 0)
        return fail_write(&flattening, r);
    *ret_size = fdt_totalsize(blob);
    *ret = TAKE_POINTER(blob);
    return 0;
}

/* The library fills the whole room before it begins, and few trees need much. */
int folders_flatten(int sysfs, const char *path, void **ret, size_t *ret_size, char **ret_text) {
    int r = -ENOBUFS;

    for (size_t room = 256 * 1024; r == -ENOBUFS && room <= DEVICETREE_SIZE_MAX; room *= 4)
        r = flatten(sysfs, path, room, ret, ret_size, ret_text);
    if (r == -ENOBUFS)
        return devicetree_fail(ret_text, -E2BIG, "The live tree has more than %d bytes.",
                               DEVICETREE_SIZE_MAX);
    return r;
}
