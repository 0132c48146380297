/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Every write to a file below /sys, in order, and the ones that a test wants to fail or to hang. All
 * functions need tree_lock; writes_begin() may wait, which drops it.
 */

/* Before a write of data, as text without its last newline, does anything: 0, or the negative errno with
 * which it fails. Its number, for writes_end(), is in *ret_id. */
int writes_begin(const char *path, const char *text, const char *data, size_t size, off_t offset,
                 unsigned long *ret_id);
/* result: 0 or negative errno. */
void writes_end(unsigned long id, int result);

/*
 * The Nth write from now on, of those whose path matches glob (NULL: any), fails with error. With hang
 * it waits for writes_release() first, and then fails only if error is not 0. 0 or negative errno.
 */
int writes_fate(unsigned long n, int error, const char *glob, int hang);
/* No more fates; nothing waits. */
void writes_release(void);
/* Forgets what was written. */
void writes_clear(void);
unsigned long writes_count(void);
/* A line each: number, 0 or errno or "hangs", path, text. */
void writes_print(FILE *to);
