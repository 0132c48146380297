/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_DEPTH 16

pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t tree_changed = PTHREAD_COND_INITIALIZER;

static struct entry *root;
static ino_t last_inode = 1;

static struct entry *entry_new(struct entry *parent, const char *name, enum entry_kind kind,
                               mode_t mode) {
    struct entry *entry = calloc(1, sizeof(*entry));

    entry->name = strdup(name);
    entry->kind = kind;
    entry->mode = mode;
    entry->inode = last_inode++;
    entry->parent = parent;
    if (parent)
        HASH_ADD_KEYPTR(hh, parent->children, entry->name, strlen(entry->name), entry);
    return entry;
}

struct entry *tree_root(void) {
    if (!root)
        root = entry_new(NULL, "", ENTRY_DIRECTORY, 0755);
    return root;
}

struct entry *entry_child(struct entry *directory, const char *name) {
    struct entry *child = NULL;

    HASH_FIND_STR(directory->children, name, child);
    return child;
}

struct entry *tree_walk(const char *path) {
    char copy[PATH_MAX], *save = NULL;
    struct entry *at = tree_root();

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *part = strtok_r(copy, "/", &save); part && at; part = strtok_r(NULL, "/", &save))
        at = at->kind == ENTRY_DIRECTORY ? entry_child(at, part) : NULL;
    return at;
}

static struct entry *resolve_from(struct entry *at, const char *path, bool follow_last, int depth) {
    char copy[PATH_MAX], *save = NULL;
    char *part, *next;

    snprintf(copy, sizeof(copy), "%s", path);
    for (part = strtok_r(copy, "/", &save); part && at; part = next) {
        next = strtok_r(NULL, "/", &save);
        if (strcmp(part, "..") == 0) {
            at = at->parent ? at->parent : at;
            continue;
        }
        struct entry *child = at->kind == ENTRY_DIRECTORY ? entry_child(at, part) : NULL;
        if (child && child->kind == ENTRY_LINK && (next || follow_last))
            child = depth > 0 ? resolve_from(at, child->text, true, depth - 1) : NULL;
        at = child;
    }
    return at;
}

struct entry *tree_resolve(const char *path, bool follow_last) {
    if (strncmp(path, "/sys/", 5) == 0)
        path += 4;
    return resolve_from(tree_root(), path, follow_last, LINK_DEPTH);
}

char *entry_path(const struct entry *entry) {
    char *path = NULL, *parent;

    if (!entry->parent)
        return strdup("");
    parent = entry_path(entry->parent);
    if (asprintf(&path, "%s/%s", parent, entry->name) < 0)
        abort();
    free(parent);
    return path;
}

struct entry *entry_directory(struct entry *parent, const char *path) {
    char copy[PATH_MAX], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        struct entry *child = entry_child(parent, part);

        parent = child ? child : entry_new(parent, part, ENTRY_DIRECTORY, 0755);
    }
    return parent;
}

void entry_set(struct entry *file, const void *data, size_t length) {
    free(file->text);
    file->text = malloc(length + 1);
    memcpy(file->text, data, length);
    file->text[length] = '\0';
    file->length = length;
}

struct entry *entry_file(struct entry *parent, const char *name, mode_t mode, const char *text) {
    struct entry *file;

    entry_remove_child(parent, name);
    file = entry_new(parent, name, ENTRY_FILE, mode);
    entry_set(file, text, strlen(text));
    return file;
}

struct entry *entry_attribute(struct entry *parent, const char *name, mode_t mode,
                              ssize_t (*show)(void *, char *, size_t),
                              int (*store)(void *, const char *), void *owner) {
    struct entry *file = entry_file(parent, name, mode, "");

    file->show = show;
    file->store = store;
    file->owner = owner;
    return file;
}

struct entry *entry_link_text(struct entry *parent, const char *name, const char *target) {
    struct entry *link;

    entry_remove_child(parent, name);
    link = entry_new(parent, name, ENTRY_LINK, 0777);
    entry_set(link, target, strlen(target));
    return link;
}

struct entry *entry_link(struct entry *parent, const char *name, struct entry *target) {
    char *from = entry_path(parent), *to = entry_path(target);
    char text[PATH_MAX] = "";
    size_t common = 0, used = 0;

    for (size_t i = 0;; i++) {
        bool from_end = from[i] == '/' || !from[i], to_end = to[i] == '/' || !to[i];

        if (from_end && to_end)
            common = i;
        if (from[i] != to[i] || !from[i])
            break;
    }
    for (const char *c = from + common; *c; c++)
        if (*c == '/')
            used += (size_t) snprintf(text + used, sizeof(text) - used, "../");
    snprintf(text + used, sizeof(text) - used, "%s", to[common] ? to + common + 1 : "");
    free(from);
    free(to);
    return entry_link_text(parent, name, text);
}

void entry_remove(struct entry *entry) {
    struct entry *child, *next;

    if (!entry)
        return;
    HASH_ITER(hh, entry->children, child, next)
        entry_remove(child);
    if (entry->parent)
        HASH_DEL(entry->parent->children, entry);
    free(entry->name);
    free(entry->text);
    free(entry);
}

void entry_remove_child(struct entry *directory, const char *name) {
    entry_remove(entry_child(directory, name));
}

static int dump_file(struct entry *file, int folder_fd) {
    char buffer[4096];
    const char *data = file->text;
    ssize_t length = (ssize_t) file->length;
    int fd;

    if (file->show) {
        length = file->show(file->owner, buffer, sizeof(buffer));
        data = buffer;
    }
    fd = openat(folder_fd, file->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, file->mode | 0200);
    if (fd < 0)
        return -errno;
    if (length > 0 && write(fd, data, (size_t) length) != length) {
        close(fd);
        return -EIO;
    }
    close(fd);
    return 0;
}

static int dump_entry(struct entry *entry, int folder_fd) {
    int fd, r;

    if (entry->kind == ENTRY_LINK)
        return symlinkat(entry->text, folder_fd, entry->name) < 0 ? -errno : 0;
    if (entry->kind == ENTRY_FILE)
        return dump_file(entry, folder_fd);
    if (mkdirat(folder_fd, entry->name, 0755) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(folder_fd, entry->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = tree_dump(entry, fd);
    close(fd);
    return r;
}

int tree_dump(struct entry *entry, int folder_fd) {
    struct entry *child, *next;

    HASH_ITER(hh, entry->children, child, next) {
        int r = dump_entry(child, folder_fd);

        if (r < 0)
            return r;
    }
    return 0;
}
