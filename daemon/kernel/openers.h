/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who has device nodes open, by /proc/PID/fd. For people to read: a process can hide (an fd that is
 * in flight or only mapped, a thread with a table of its own, an fd that this user may not see).
 * Looks at every process, so it is for worker processes. It opens nothing of theirs and asks no file
 * system that a user may serve. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* So many processes are named. */
#define OPENERS_MAX 16

/* A worker's answer: a line for each process that has one of these character devices open (by their
 * numbers), but this one and its parent. An O_PATH fd opens no device. If there are none: a line for
 * each that has any VFIO device open, since such an fd, which tells no number, keeps its group open
 * when the group's own fd has been closed. 0 or a negative errno. */
int openers_write(int output, const dev_t *devices, size_t n_devices);

/* Reads that answer into texts like "process 812 (/usr/bin/qemu-system-x86_64, unit
 * machine-a.scope)"; those with some VFIO device end in ", which has a VFIO device open". *ret_texts
 * is the caller's, NULL when there are none; *ret_certain: they have a node itself open. */
int openers_read(const char *output, char ***ret_texts, bool *ret_certain);

/* Who has which of these nodes open: a call of found for each pair, in no order. The strings are
 * borrowed for the call; unit is NULL for none, place is the node's in the list. Stops when found
 * returns a negative errno. Processes as above. 0 or a negative errno. */
struct opener_node {
    dev_t number;
    bool is_block;
};
struct opener {
    size_t place;
    pid_t pid;
    const char *name, *unit; /* may hold any byte */
};
typedef int opener_handler(const struct opener *opener, void *userdata);
int openers_find(const char *proc, const struct opener_node *nodes, size_t n_nodes,
                 opener_handler *found, void *userdata);

/* For tests: another folder than /proc. The string is borrowed for good. */
void openers_use_folder(const char *proc);
