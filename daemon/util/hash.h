/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* uthash, set up so that a failed allocation is an error and not an exit. After HASH_ADD the caller
 * checks hash_added(head_handle): uthash leaves hh.tbl NULL when it could not add. */

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
