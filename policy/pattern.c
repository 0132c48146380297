/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/pattern.h"

#include <fnmatch.h>
#include <string.h>

struct pattern pattern_make_literal(const char *text) {
    return (struct pattern){ .text = text, .prefix = strlen(text), .kind = PATTERN_LITERAL };
}

struct pattern pattern_make(const char *text) {
    struct pattern pattern = { .text = text, .prefix = strcspn(text, "*?[\\") };
    const char *rest = text + pattern.prefix;

    if (!*rest)
        pattern.kind = PATTERN_LITERAL;
    else if (strspn(rest, "*") == strlen(rest))
        pattern.kind = PATTERN_PREFIX;
    else
        pattern.kind = PATTERN_GLOB;
    return pattern;
}

/* The end of the bracket expression that begins at text, or NULL if nothing closes it. */
static const char *bracket_end(const char *text) {
    const char *at = text + 1;

    if (*at == '!' || *at == '^')
        at++;
    return *at ? strchr(at + 1, ']') : NULL;
}

const char *pattern_fault(const char *text) {
    for (const char *at = text; *at; at++) {
        if (*at == '\\') {
            if (!*++at)
                return "a backslash at its end";
        } else if (*at == '[') {
            at = bracket_end(at);
            if (!at)
                return "a [ that no ] closes";
        }
    }
    return NULL;
}

bool pattern_matches(const struct pattern *pattern, const char *text) {
    if (strncmp(pattern->text, text, pattern->prefix) != 0)
        return false;
    switch (pattern->kind) {
    case PATTERN_LITERAL:
        return text[pattern->prefix] == 0;
    case PATTERN_PREFIX:
        return true;
    default:
        return fnmatch(pattern->text, text, 0) == 0;
    }
}

bool pattern_covers(const struct pattern *outer, const struct pattern *inner) {
    if (inner->kind == PATTERN_LITERAL)
        return pattern_matches(outer, inner->text);
    if (outer->kind == PATTERN_PREFIX)
        return inner->prefix >= outer->prefix &&
               memcmp(outer->text, inner->text, outer->prefix) == 0;
    return outer->kind == inner->kind && strcmp(outer->text, inner->text) == 0;
}
