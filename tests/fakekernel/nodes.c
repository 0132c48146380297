/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nodes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct node {
    dev_t device;
    ino_t inode;
    unsigned group;
    bool dead;
    char *path;
    struct node *next;
};

static struct node *nodes;
static char inside[64]; /* identity of the pid namespace */

void nodes_of_process(pid_t init) {
    char path[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/ns/pid", init);
    n = readlink(path, inside, sizeof(inside) - 1);
    inside[n > 0 ? n : 0] = '\0';
}

void nodes_add(const char *path, unsigned group) {
    struct node *node;
    struct stat st;

    if (stat(path, &st) < 0)
        return;
    node = calloc(1, sizeof(*node));
    *node = (struct node){st.st_dev, st.st_ino, group, false, strdup(path), nodes};
    nodes = node;
}

void nodes_forget(unsigned group) {
    for (struct node *node = nodes; node; node = node->next)
        if (node->group == group)
            node->dead = true;
}

static const struct node *node_of_stat(const struct stat *st) {
    for (const struct node *node = nodes; node; node = node->next)
        if (node->device == st->st_dev && node->inode == st->st_ino)
            return node;
    return NULL;
}

int nodes_of_path(const char *path, unsigned *ret_group) {
    for (const struct node *node = nodes; node; node = node->next)
        if (!node->dead && strcmp(node->path, path) == 0) {
            *ret_group = node->group;
            return 1;
        }
    return 0;
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

static const struct node *node_of_fd(pid_t pid, int fd) {
    char link[64];
    struct stat st;

    snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
    if (!may_be_node(link) || stat(link, &st) < 0)
        return NULL;
    return node_of_stat(&st);
}

int nodes_of_fd(pid_t pid, int fd, unsigned *ret_group) {
    const struct node *node = node_of_fd(pid, fd);

    if (!node)
        return 0;
    if (node->dead)
        return -ENODEV;
    *ret_group = node->group;
    return 1;
}

static bool process_has(pid_t pid, unsigned group) {
    char path[64];
    struct dirent *file;
    bool found = false;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    folder = opendir(path);
    if (!folder)
        return false;
    while (!found && (file = readdir(folder))) {
        int fd = atoi(file->d_name);
        const struct node *node = isdigit(*file->d_name) ? node_of_fd(pid, fd) : NULL;

        found = node && !node->dead && node->group == group && !is_path_only(pid, fd);
    }
    closedir(folder);
    return found;
}

static bool is_inside(const char *pid) {
    char path[300], identity[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%s/ns/pid", pid);
    n = readlink(path, identity, sizeof(identity) - 1);
    if (n <= 0)
        return false;
    identity[n] = '\0';
    return strcmp(identity, inside) == 0;
}

bool nodes_open(unsigned group) {
    struct dirent *process;
    bool found = false;
    DIR *folder;

    if (!*inside)
        return false;
    folder = opendir("/proc");
    if (!folder)
        return false;
    while (!found && (process = readdir(folder)))
        found = isdigit(*process->d_name) && is_inside(process->d_name) &&
                process_has(atoi(process->d_name), group);
    closedir(folder);
    return found;
}
