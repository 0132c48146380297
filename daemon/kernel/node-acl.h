/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The access control list of a node that is open with O_PATH, through /proc/self/fd. */

#include <sys/types.h>

#include "model/node-facts.h"

/* Fills the fields of access and of entries in facts; without an ACL, from mode. */
int node_acl_read(int node, mode_t mode, struct node_facts *facts);

/* Lets in the owner if he is root or uid, uid, and nobody else: user::rw- (or user::--- for another
 * owner), user:UID:rw-, group::---, mask::rw-, other::---. */
int node_acl_grant(int node, uid_t owner, uid_t uid);

/* The minimal ACL, mode 0600. (Removing the attribute would leave the mask's rw- to the group.) */
int node_acl_clear(int node, uid_t owner);

/* Adds an entry rw- for uid, and a mask that lets it count, or takes the entry away (and the mask with
 * the last one). What the others may do stays; what the mask held back is taken out of their entries. */
int node_acl_add(int node, uid_t uid);
int node_acl_remove(int node, uid_t uid);
