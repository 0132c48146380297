/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * The nodes of VFIO and the files that come of opening them. The supervisor opens in place of a
 * process and passes the descriptor; a lock that belongs to the open file (flock, and an OFD lock for
 * a bound device) stays with every copy of it, by dup, fork or SCM_RIGHTS, also while it is on its way
 * through a socket, and ends with the last one. /proc/locks tells. O_PATH and read-only opens are not
 * seen. A container, an iommufd and a device descriptor have an inode of their own each, which
 * identifies the open file. All functions need tree_lock.
 */
enum node_kind { NODE_GROUP, NODE_CDEV, NODE_CONTAINER, NODE_IOMMUFD, NODE_DEVICE };

struct node {
    enum node_kind kind;
    dev_t device;
    ino_t inode;
    unsigned group;  /* of NODE_GROUP and NODE_DEVICE */
    char name[64];   /* device of NODE_CDEV and NODE_DEVICE */
    bool dead;       /* an open file of it answers ENODEV */
    bool own;        /* made for one open; gone with it */
    bool iommu;      /* container: VFIO_SET_IOMMU was called */
    char *path;
    struct node *next;
};

/* Registers a node, or a copy of it elsewhere; name may be NULL. */
void nodes_add(enum node_kind kind, const char *path, unsigned group, const char *name);
/* The nodes of a group, or of a device, are dead. */
void nodes_forget(enum node_kind kind, unsigned group, const char *name);
/* NULL if it is no live node. */
const struct node *nodes_of_path(const char *path);
/* NULL for what is no node, or opened by O_PATH. */
struct node *nodes_of_fd(pid_t pid, int fd);
/* Opens as flags say, with the locks; fd or negative errno. */
int nodes_open(const struct node *node, int flags);
/* A device's descriptor by way of its group. */
int nodes_open_device(unsigned group, const char *name);

/* The group's file, or a device's that came of it, is open somewhere. */
bool nodes_group_open(unsigned group);
/* A file of the device is open somewhere, bound or not, through a live node or a dead one. */
bool nodes_device_open(const char *name);
/* Marks the process's open file of a cdev as bound, until it is closed. 0 or negative errno. */
int nodes_bind(pid_t pid, int fd);
bool nodes_device_bound(const char *name);
