/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Patterns of fnmatch(3) without flags, sorted by how much work they are (private to the policy
 * layer). The text is borrowed. */

#include <stdbool.h>
#include <stddef.h>

enum pattern_kind {
    PATTERN_LITERAL, /* compares whole */
    PATTERN_PREFIX,  /* only stars behind the prefix */
    PATTERN_GLOB,    /* everything else; the prefix is still compared first */
};

struct pattern {
    const char *text;
    size_t prefix; /* bytes before the first special character */
    enum pattern_kind kind;
};

/* A pattern, or a literal in which no character is special. */
struct pattern pattern_make(const char *text);
struct pattern pattern_make_literal(const char *text);

/* NULL if the pattern is well-formed, else what is wrong with it: "a [ that no ] closes". */
const char *pattern_fault(const char *text);

bool pattern_matches(const struct pattern *pattern, const char *text);

/* True only if everything that inner matches is matched by outer; false where that is not plain. */
bool pattern_covers(const struct pattern *outer, const struct pattern *inner);
