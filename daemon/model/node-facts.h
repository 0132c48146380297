/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is known of a node of VFIO (/dev/vfio/7, /dev/vfio/devices/vfio0): who may open it. Pure: no
 * system call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Named entries of a node's ACL; a node with more is taken to be open to others. */
#define NODE_ENTRIES_MAX 16

/* One named user or group in the ACL of a node, with what is left of it under the mask. */
struct node_entry {
    bool is_group;
    uint32_t id;
    bool access; /* may read or write */
    bool full;   /* may read and write */
};

/* A node, as it was last looked at. */
struct node_facts {
    bool present;    /* a character device whose number is the one that sysfs names */
    bool mismatched; /* something else has the name */
    uid_t owner;
    bool owner_access;  /* the owner's bits allow reading or writing */
    bool group_access;  /* the owning group's, under the mask */
    bool other_access;
    bool too_many_entries;
    uint8_t n_entries;
    struct node_entry entries[NODE_ENTRIES_MAX];
};

/* The node lets somebody in who is neither root nor holder. */
bool node_open_to_others(const struct node_facts *node, uid_t holder);

/* The ACL gives access to holder (root needs no entry). */
bool node_open_to(const struct node_facts *node, uid_t holder);
