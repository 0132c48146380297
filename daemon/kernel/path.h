/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paths below the sysfs root, as text. */

#include <stddef.h>

/* Puts into ret where target leads from the folder base; both are below the root and without a
 * slash in front. Works on the text alone: "..", "." and "//" go, no link is followed. -EXDEV if it
 * leads above the root or target is absolute; -ENAMETOOLONG. ret may not overlap the others. */
int path_resolve(const char *base, const char *target, char *ret, size_t size);
