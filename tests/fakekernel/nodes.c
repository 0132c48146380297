/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FILES "/run/fakekernel/files"
#define BOUND_BYTE 1

static struct node *nodes;

static struct node *add(enum node_kind kind, const struct stat *st, const char *path) {
    struct node *node = calloc(1, sizeof(*node));

    *node = (struct node){.kind = kind,
                          .device = st->st_dev,
                          .inode = st->st_ino,
                          .path = strdup(path),
                          .next = nodes};
    nodes = node;
    return node;
}

void nodes_add(enum node_kind kind, const char *path, unsigned group, const char *name) {
    struct node *node;
    struct stat st;

    if (stat(path, &st) < 0)
        return;
    node = add(kind, &st, path);
    node->group = group;
    snprintf(node->name, sizeof(node->name), "%s", name ? name : "");
}

void nodes_forget(enum node_kind kind, unsigned group, const char *name) {
    for (struct node *node = nodes; node; node = node->next)
        if (node->kind == kind && node->group == group &&
            (!name || strcmp(node->name, name) == 0))
            node->dead = true;
}

const struct node *nodes_of_path(const char *path) {
    for (const struct node *node = nodes; node; node = node->next)
        if (!node->dead && !node->own && strcmp(node->path, path) == 0)
            return node;
    return NULL;
}

/* Never stat() anything but a known name: it could be a file of our own FUSE. */
static bool may_be_node(const char *link) {
    char target[256];
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    char *deleted;

    if (n <= 0)
        return false;
    target[n] = '\0';
    deleted = strstr(target, " (deleted)");
    if (deleted)
        *deleted = '\0';
    for (const struct node *node = nodes; node; node = node->next)
        if (strcmp(node->path, target) == 0)
            return true;
    return false;
}

static bool is_path_only(pid_t pid, int fd) {
    char path[64], line[64];
    unsigned long flags = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
    file = fopen(path, "re");
    if (!file)
        return true;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "flags: %lo", &flags) == 1)
            break;
    fclose(file);
    return flags & O_PATH;
}

struct node *nodes_of_fd(pid_t pid, int fd) {
    char link[64];
    struct stat st;

    snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
    if (!may_be_node(link) || stat(link, &st) < 0 || is_path_only(pid, fd))
        return NULL;
    for (struct node *node = nodes; node; node = node->next)
        if (node->device == st.st_dev && node->inode == st.st_ino)
            return node;
    return NULL;
}

/* Whether some open file of the node has a lock of that kind, "FLOCK" or "OFDLCK". */
static bool is_locked(const struct node *node, const char *kind) {
    char line[256], type[16];
    unsigned major, minor;
    unsigned long inode;
    bool found = false;
    FILE *file = fopen("/proc/locks", "re");

    while (file && !found && fgets(line, sizeof(line), file))
        found = sscanf(line, "%*s %15s %*s %*s %*d %x:%x:%lu", type, &major, &minor, &inode) == 4 &&
                inode == node->inode && makedev(major, minor) == node->device &&
                strcmp(type, kind) == 0;
    if (file)
        fclose(file);
    return found;
}

/* What was open once and is not any more can have no further question. */
static void drop_closed(void) {
    struct node **at = &nodes;

    while (*at) {
        struct node *node = *at;

        if ((!node->own && !node->dead) || is_locked(node, "FLOCK")) {
            at = &node->next;
            continue;
        }
        *at = node->next;
        free(node->path);
        free(node);
    }
}

static int open_locked(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd < 0 ? -errno : fd;
}

/* A node that nobody else can open, with an inode for this open file alone. */
static int open_own(enum node_kind kind, int flags, unsigned group, const char *name) {
    static unsigned long count;
    char path[128];
    struct stat st;
    int fd;

    mkdir(FILES, 0700);
    snprintf(path, sizeof(path), FILES "/%lu", count++);
    if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) < 0)
        return -errno;
    fd = open_locked(path, flags);
    unlink(path);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        struct node *node = add(kind, &st, path);

        node->own = true;
        node->group = group;
        snprintf(node->name, sizeof(node->name), "%s", name ? name : "");
    }
    return fd;
}

int nodes_open(const struct node *node, int flags) {
    enum node_kind kind = node->kind;
    char path[256];

    snprintf(path, sizeof(path), "%s", node->path);
    drop_closed();
    if (kind == NODE_CONTAINER || kind == NODE_IOMMUFD)
        return open_own(kind, flags, 0, NULL);
    return open_locked(path, flags);
}

int nodes_open_device(unsigned group, const char *name) {
    return open_own(NODE_DEVICE, O_RDWR, group, name);
}

bool nodes_group_open(unsigned group) {
    for (const struct node *node = nodes; node; node = node->next)
        if ((node->kind == NODE_GROUP || node->kind == NODE_DEVICE) && node->group == group &&
            !node->dead && is_locked(node, "FLOCK"))
            return true;
    return false;
}

static bool device_locked(const char *name, const char *kind) {
    for (const struct node *node = nodes; node; node = node->next)
        if (strcmp(node->name, name) == 0 && is_locked(node, kind))
            return true;
    return false;
}

bool nodes_device_open(const char *name) {
    return device_locked(name, "FLOCK");
}

bool nodes_device_bound(const char *name) {
    return device_locked(name, "OFDLCK");
}

int nodes_bind(pid_t pid, int fd) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = BOUND_BYTE, .l_len = 1};
    int pidfd = (int) syscall(SYS_pidfd_open, pid, 0), copy, r;

    if (pidfd < 0)
        return -errno;
    copy = (int) syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    r = copy < 0 || fcntl(copy, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
    close(pidfd);
    if (copy >= 0)
        close(copy);
    return r;
}
