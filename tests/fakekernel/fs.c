/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define FUSE_USE_VERSION 312
#include "fs.h"
#include "model.h"
#include "parallel.h"
#include "writes.h"

#include <errno.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define THREADS 256 /* more than any test lets hang */

static struct fuse *filesystem;

static struct device *device_above(struct entry *entry) {
    for (; entry->parent; entry = entry->parent)
        if (entry->kind == ENTRY_DIRECTORY && entry->owner)
            return entry->owner;
    return NULL;
}

/* The entry at path after its fault was served: NULL with *ret_errno set when it is not to be used. */
static struct entry *access_entry(const char *path, int *ret_errno) {
    struct entry *entry = tree_walk(path);
    struct device *device;

    while (entry && entry->fault == FAULT_HANG) {
        pthread_cond_wait(&tree_changed, &tree_lock);
        entry = tree_walk(path);
    }
    *ret_errno = -ENOENT;
    if (!entry || entry->fault == FAULT_NONE)
        return entry;
    *ret_errno = -entry->fault_errno;
    if (entry->fault == FAULT_VANISH) {
        *ret_errno = -ENODEV;
        entry->fault = FAULT_NONE;
        device = device_above(entry);
        if (device)
            device_remove(device);
    }
    return NULL;
}

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *info) {
    struct entry *entry;
    int r = -ENOENT;

    pthread_mutex_lock(&tree_lock);
    entry = tree_walk(path);
    if (entry) {
        static const mode_t types[] = {S_IFDIR, S_IFREG, S_IFLNK};

        memset(st, 0, sizeof(*st));
        st->st_ino = entry->inode;
        st->st_mode = types[entry->kind] | entry->mode;
        st->st_nlink = 1;
        st->st_size = entry->kind == ENTRY_LINK ? 0 : entry->sized ? (off_t) entry->length : PAGE;
        r = 0;
    }
    pthread_mutex_unlock(&tree_lock);
    return r;
}

static int op_readlink(const char *path, char *buffer, size_t size) {
    struct entry *entry;
    int r;

    pthread_mutex_lock(&tree_lock);
    entry = access_entry(path, &r);
    if (entry) {
        r = entry->kind == ENTRY_LINK ? 0 : -EINVAL;
        snprintf(buffer, size, "%s", entry->text);
    }
    pthread_mutex_unlock(&tree_lock);
    return r;
}

static int op_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *info, enum fuse_readdir_flags flags) {
    struct entry *entry, *child, *next;
    int r;

    pthread_mutex_lock(&tree_lock);
    entry = access_entry(path, &r);
    if (entry) {
        static const mode_t types[] = {S_IFDIR, S_IFREG, S_IFLNK};

        fill(buffer, ".", NULL, 0, 0);
        fill(buffer, "..", NULL, 0, 0);
        HASH_ITER(hh, entry->children, child, next) {
            struct stat st = {.st_ino = child->inode, .st_mode = types[child->kind]};

            fill(buffer, child->name, &st, 0, 0);
        }
        r = 0;
    }
    pthread_mutex_unlock(&tree_lock);
    return r;
}

static int op_open(const char *path, struct fuse_file_info *info) {
    struct entry *entry;

    pthread_mutex_lock(&tree_lock);
    entry = tree_walk(path);
    pthread_mutex_unlock(&tree_lock);
    info->direct_io = 1;
    return entry ? 0 : -ENOENT;
}

static int op_read(const char *path, char *buffer, size_t size, off_t offset,
                   struct fuse_file_info *info) {
    char page[PAGE];
    const char *data = page;
    struct entry *entry;
    ssize_t length;
    int r;

    pthread_mutex_lock(&tree_lock);
    entry = access_entry(path, &r);
    length = r == -ENOENT && !entry ? -ENODEV : r;
    if (entry && entry->show) {
        length = entry->show(entry->owner, page, sizeof(page));
    } else if (entry) {
        length = (ssize_t) entry->length;
        data = entry->text;
    }
    if (length > 0) {
        length = offset >= length ? 0 : length - offset;
        length = length > (ssize_t) size ? (ssize_t) size : length;
        memcpy(buffer, data + offset, (size_t) length);
    }
    pthread_mutex_unlock(&tree_lock);
    return (int) length;
}

/* 0 or negative errno. */
static int write_entry(const char *path, const char *text, const char *data, size_t size, off_t offset) {
    struct entry *entry;
    int r;

    entry = access_entry(path, &r);
    if (!entry)
        return r;
    if (entry->store)
        return entry->store(entry->owner, text);
    if (!(entry->mode & 0222))
        return -EIO;
    if (!entry->binary)
        entry_set(entry, data, size);
    else if (offset < 0 || (size_t) offset + size > entry->length)
        return -EFBIG;
    else
        memcpy(entry->text + offset, data, size);
    return 0;
}

static int op_write(const char *path, const char *data, size_t size, off_t offset,
                    struct fuse_file_info *info) {
    char text[PAGE];
    unsigned long id;
    int r;

    if (size >= sizeof(text))
        return -EINVAL;
    memcpy(text, data, size);
    text[size] = '\0';
    if (size > 0 && text[size - 1] == '\n')
        text[size - 1] = '\0';
    pthread_mutex_lock(&tree_lock);
    r = writes_begin(path, text, data, size, offset, &id);
    if (r == 0)
        r = write_entry(path, text, data, size, offset);
    writes_end(id, r);
    pthread_mutex_unlock(&tree_lock);
    return r < 0 ? r : (int) size;
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *info) {
    return 0;
}

static void *op_init(struct fuse_conn_info *connection, struct fuse_config *config) {
    config->use_ino = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    return NULL;
}

static const struct fuse_operations operations = {
    .getattr = op_getattr,
    .readlink = op_readlink,
    .readdir = op_readdir,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .truncate = op_truncate,
    .init = op_init,
};

int fs_mount(const char *folder) {
    char *argv[] = {(char *) "fakekernel", (char *) "-o",
                    (char *) "allow_other,default_permissions,fsname=fakesys", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);

    filesystem = fuse_new(&args, &operations, sizeof(operations), NULL);
    fuse_opt_free_args(&args);
    if (!filesystem)
        return -EINVAL;
    if (fuse_mount(filesystem, folder) < 0)
        return -EIO;
    return parallel_writes(fuse_get_session(filesystem));
}

static void *serve(void *argument) {
    struct fuse_loop_config *config = fuse_loop_cfg_create();

    fuse_loop_cfg_set_max_threads(config, THREADS);
    fuse_loop_cfg_set_idle_threads(config, 16);
    fuse_loop_mt(filesystem, config);
    return NULL;
}

int fs_serve(void) {
    pthread_t thread;

    return -pthread_create(&thread, NULL, serve, NULL);
}
