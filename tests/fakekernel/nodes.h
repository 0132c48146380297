/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Which inodes are nodes of which group, and who has them open. Answers come from the /proc of the
 * processes inside, so that copies by dup, fork and SCM_RIGHTS count, and O_PATH descriptors do not.
 * All functions need tree_lock.
 */

/* The process that is pid 1 inside; until then nothing is open. */
void nodes_of_process(pid_t init);
/* Registers a node, or a copy of it elsewhere. */
void nodes_add(const char *path, unsigned group);
/* The group's nodes are dead: an open file of them answers ENODEV from now on. */
void nodes_forget(unsigned group);
bool nodes_open(unsigned group);
/* 1 and the group, 0 for a file that is no node, -ENODEV for a dead one. */
int nodes_of_fd(pid_t pid, int fd, unsigned *ret_group);
int nodes_of_path(const char *path, unsigned *ret_group);
