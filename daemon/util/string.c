/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/string.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

const char *string_after(const char *text, const char *prefix) {
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

const char *path_basename(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

int parse_u64(const char *text, uint64_t *ret) {
    uint64_t value = 0;

    if (!text || !*text || (text[0] == '0' && text[1]))
        return -EINVAL;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return -ERANGE;
    }
    *ret = value;
    return 0;
}

int parse_u32(const char *text, uint32_t *ret) {
    uint64_t value;
    int r = parse_u64(text, &value);

    if (r < 0)
        return r;
    if (value > UINT32_MAX)
        return -ERANGE;
    *ret = (uint32_t)value;
    return 0;
}

int parse_hex32(const char *text, uint32_t *ret) {
    uint32_t value = 0;
    const char *digits = text ? string_after(text, "0x") : NULL;

    if (!digits || !*digits)
        return -EINVAL;
    for (const char *at = digits; *at; at++) {
        if (!isxdigit((unsigned char)*at))
            return -EINVAL;
        if (value >> 28)
            return -ERANGE;
        value = value << 4 |
                (uint32_t)(isdigit((unsigned char)*at) ? *at - '0' : (*at | 0x20) - 'a' + 10);
    }
    *ret = value;
    return 0;
}

/* Length of the UTF-8 sequence at text if it encodes a printable character, else 0. */
static size_t printable_length(const unsigned char *text) {
    uint32_t code;
    size_t length;

    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f ? 1 : 0;
    if ((text[0] & 0xe0) == 0xc0)
        length = 2, code = text[0] & 0x1f;
    else if ((text[0] & 0xf0) == 0xe0)
        length = 3, code = text[0] & 0x0f;
    else if ((text[0] & 0xf8) == 0xf0)
        length = 4, code = text[0] & 0x07;
    else
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    static const uint32_t smallest[] = {[2] = 0x80, [3] = 0x800, [4] = 0x10000};
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    bool control = code < 0xa0 || code == 0x2028 || code == 0x2029;
    return code < smallest[length] || code > 0x10ffff || surrogate || control ? 0 : length;
}

bool text_is_printable(const char *text) {
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        size_t length = printable_length(at);
        if (!length)
            return false;
        at += length;
    }
    return true;
}

char *text_escape(const char *text) {
    static const char digits[] = "0123456789abcdef";
    char *escaped = malloc(strlen(text) * 4 + 1), *out = escaped;

    if (!escaped)
        return NULL;
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t length = printable_length(at);
        if (*at == '\\') {
            *out++ = '\\', *out++ = '\\', at++;
        } else if (length) {
            out = mempcpy(out, at, length);
            at += length;
        } else {
            *out++ = '\\', *out++ = 'x', *out++ = digits[*at >> 4], *out++ = digits[*at & 15];
            at++;
        }
    }
    *out = 0;
    return escaped;
}

size_t strings_length(char *const *strings) {
    size_t n = 0;

    while (strings && strings[n])
        n++;
    return n;
}

bool strings_contain(char *const *strings, const char *text) {
    for (; strings && *strings; strings++)
        if (strcmp(*strings, text) == 0)
            return true;
    return false;
}

int strings_append(char ***strings, const char *text) {
    size_t n = strings_length(*strings);
    _cleanup_(freep) char *copy = strdup(text);
    char **grown = reallocarray(*strings, n + 2, sizeof(char *));

    if (grown)
        *strings = grown;
    if (!copy || !grown) {
        if (grown)
            grown[n] = NULL;
        return -ENOMEM;
    }
    grown[n] = TAKE_POINTER(copy);
    grown[n + 1] = NULL;
    return 0;
}

void strings_free(char **strings) {
    for (char **string = strings; string && *string; string++)
        free(*string);
    free(strings);
}

char *string_format(const char *format, ...) {
    va_list arguments;
    char *text;

    va_start(arguments, format);
    int r = vasprintf(&text, format, arguments);
    va_end(arguments);
    return r < 0 ? NULL : text;
}

bool strings_equal(char *const *a, char *const *b) {
    size_t n = strings_length(a);

    if (n != strings_length(b))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!string_equal(a[i], b[i]))
            return false;
    return true;
}

char *strings_join(char *const *strings, const char *separator) {
    char *joined = strdup("");

    for (char *const *at = strings; joined && at && *at; at++) {
        char *longer = string_format("%s%s%s", joined, at == strings ? "" : separator, *at);
        free(joined);
        joined = longer;
    }
    return joined;
}
