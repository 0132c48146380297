/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Words of the command line to values, and values to words for people. Everything that is made
 * here for output is printable: what came from elsewhere is escaped. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

/* A time span: a whole number, with s (or nothing), m, h, d or w behind it. At least one second.
 * -EINVAL if it is not one, -ERANGE if it is zero or too large. */
int duration_parse(const char *text, uint64_t *ret_seconds);

/* The same where no time at all ("0") is a time too. */
int wait_parse(const char *text, uint64_t *ret_seconds);

/* A user or group by number or name; 4294967295 is no id. -EINVAL, -ERANGE; -ENOENT: no such
 * name. */
int user_parse(const char *text, uid_t *ret);
int group_parse(const char *text, gid_t *ret);

/* "alice", or "1000" if no such user is known. The caller's; NULL when out of memory. */
char *user_format(uid_t uid);

/* Local time "2026-11-22 10:30:00" of microseconds since 1970; "-" for 0 or what no calendar
 * has. */
char *time_format(uint64_t usec);

/* PropertyName to property_name. The caller's; NULL when out of memory. */
char *key_format(const char *name);

/* The object path of a lease: from its number or its path. -EINVAL if text is neither. */
int lease_path_parse(const char *text, char **ret);

/* Of candidates (NULL-terminated), the one that text was probably meant to be, or NULL. */
const char *text_suggest(const char *text, const char *const *candidates);
