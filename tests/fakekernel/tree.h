/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uthash.h>

/*
 * The tree that /sys shows: directories, files and symbolic links, as kernfs has them. One lock
 * (tree_lock) covers the tree and the model behind it; every function here needs it held. A hook may
 * wait on tree_changed, which drops the lock, so no struct entry may be used after calling one.
 */
enum entry_kind { ENTRY_DIRECTORY, ENTRY_FILE, ENTRY_LINK };

/* What the next access of an entry meets, instead of what is there. */
enum fault_kind { FAULT_NONE, FAULT_ERRNO, FAULT_HANG, FAULT_VANISH };

struct entry {
    char *name;
    enum entry_kind kind;
    mode_t mode;
    ino_t inode;
    struct entry *parent;
    struct entry *children; /* hash by name */
    char *text;             /* content of a file, target of a link; may hold NULs */
    size_t length;          /* of text */
    /* Content written to buffer; returns its length or negative errno. */
    ssize_t (*show)(void *owner, char *buffer, size_t size);
    /* A write of the NUL-terminated text without its last newline; 0 or negative errno. */
    int (*store)(void *owner, const char *text);
    bool binary; /* written in place, at the offset */
    bool sized;  /* its size is that of text; the others have a page */
    void *owner; /* argument of the hooks; for a device's directory, the device */
    enum fault_kind fault;
    int fault_errno;
    UT_hash_handle hh;
};

extern pthread_mutex_t tree_lock;
extern pthread_cond_t tree_changed;

/* The root, "/sys" itself; made on first use. */
struct entry *tree_root(void);
struct entry *entry_child(struct entry *directory, const char *name);
/* The entry at a path below /sys, links not followed; NULL if none. */
struct entry *tree_walk(const char *path);
/* The same with links followed, and an optional leading "/sys"; the last one only if follow_last. */
struct entry *tree_resolve(const char *path, bool follow_last);
/* Path below /sys, with a leading slash. The caller frees it. */
char *entry_path(const struct entry *entry);

/* Find or create; a path such as "kernel/iommu_groups" makes every folder on the way. */
struct entry *entry_directory(struct entry *parent, const char *path);
/* Replaces what has that name. Text is copied. */
struct entry *entry_file(struct entry *parent, const char *name, mode_t mode, const char *text);
void entry_set(struct entry *file, const void *data, size_t length);
struct entry *entry_attribute(struct entry *parent, const char *name, mode_t mode,
                              ssize_t (*show)(void *, char *, size_t),
                              int (*store)(void *, const char *), void *owner);
/* A relative link from parent/name to target, as the kernel makes them. */
struct entry *entry_link(struct entry *parent, const char *name, struct entry *target);
struct entry *entry_link_text(struct entry *parent, const char *name, const char *target);
/* Removes it with everything below; NULL is allowed. */
void entry_remove(struct entry *entry);
void entry_remove_child(struct entry *directory, const char *name);

/* Writes the tree below entry as plain files into the folder; 0 or negative errno. */
int tree_dump(struct entry *entry, int folder_fd);
