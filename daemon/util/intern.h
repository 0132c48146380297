/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strings that many objects share (bus and driver names): one copy each, compared by pointer. They
 * live as long as the table, which is bounded by what the kernel names. */

#include "util/cleanup.h"
#include "util/hash.h"

struct interned;

struct intern {
    struct interned *strings;
};

/* The shared copy of text; NULL for NULL, and NULL when out of memory. */
const char *intern_string(struct intern *intern, const char *text);
void intern_done(struct intern *intern);
