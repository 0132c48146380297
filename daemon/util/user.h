/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The user database. It can block for long (a directory service): only for worker processes. */

#include <stddef.h>
#include <sys/types.h>

#define USER_GROUPS_MAX 4096

/* The groups of a user, into ret with room for USER_GROUPS_MAX. Returns how many; 0 for a uid that
 * is not known; a negative errno. */
int user_groups(uid_t uid, gid_t *ret);

/* The same as a worker's answer: one number a line. */
int user_groups_write(uid_t uid, int output);
/* Reads that answer. *ret is the caller's. */
int user_groups_read(const char *output, gid_t **ret, size_t *ret_n);

/* By name, out of /etc/passwd and /etc/group themselves and not out of the database, so that nothing
 * blocks. -ENOENT. */
int user_find_in_file(const char *name, uid_t *ret);
int group_find_in_file(const char *name, gid_t *ret);
