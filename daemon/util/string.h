/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strings and numbers out of text. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "util/cleanup.h"

static inline bool string_equal(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The text behind prefix, or NULL if text does not begin with it. */
const char *string_after(const char *text, const char *prefix);

/* The part of a path behind its last '/'. */
const char *path_basename(const char *path);

/* A whole decimal number, no sign, no space, no leading zero but "0" itself.
 * -EINVAL if text is not one, -ERANGE if it is too large. */
int parse_u64(const char *text, uint64_t *ret);
int parse_u32(const char *text, uint32_t *ret);

/* A hexadecimal number with 0x in front. -EINVAL, -ERANGE. */
int parse_hex32(const char *text, uint32_t *ret);

/* True for valid UTF-8 without control characters (C0, DEL, C1). */
bool text_is_printable(const char *text);

/* A copy of text in which what is not printable ASCII or UTF-8 stands as \xNN; backslash as \\.
 * For text that comes from elsewhere and goes to a terminal or a log. NULL when out of memory. */
char *text_escape(const char *text);

/* Appends a copy of text to a NULL-terminated array. Returns 0 or -ENOMEM. */
int strings_append(char ***strings, const char *text);
size_t strings_length(char *const *strings);
/* Both may be NULL, which is the same as empty. */
bool strings_equal(char *const *a, char *const *b);
/* The caller's; NULL when out of memory. */
char *strings_join(char *const *strings, const char *separator);
bool strings_contain(char *const *strings, const char *text);

/* asprintf that returns the string, or NULL when out of memory. */
char *string_format(const char *format, ...) _printf_(1, 2);
