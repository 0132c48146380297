/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "nodes.h"

#include <stdint.h>

/* An ioctl of a process on the open file of a node. Needs tree_lock. */
struct vfio_call {
    pid_t pid;
    int fd;
    unsigned command;
    uint64_t argument;
};

/*
 * Its value, or negative errno. When the answer is a new descriptor of the process, it is in *ret_fd,
 * else that is -1.
 */
int calls_answer(struct node *node, const struct vfio_call *call, int *ret_fd);
/* Opening the node: 0 or the errno, negative, of the driver's open(). */
int calls_open(const struct node *node);
