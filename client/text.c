/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/text.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>

#include <systemd/sd-bus.h>

#include "util/string.h"

#define LEASE_PREFIX "/org/dmaownd1/lease/"

/* Longer words are nobody's slip of the finger. */
#define SUGGEST_LENGTH_MAX 32

int duration_parse(const char *text, uint64_t *ret_seconds) {
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    size_t digits = strspn(text, "0123456789");
    uint64_t factor = 1, count;
    int r;

    if (text[digits]) {
        factor = 0;
        for (size_t i = 0; i < ELEMENTS_OF(units); i++)
            if (units[i].unit == text[digits])
                factor = units[i].seconds;
        if (!factor || text[digits + 1])
            return -EINVAL;
    }
    _cleanup_(freep) char *number = strndup(text, digits);
    if (!number)
        return -ENOMEM;
    r = parse_u64(number, &count);
    if (r < 0)
        return r;
    if (count == 0 || __builtin_mul_overflow(count, factor, &count))
        return -ERANGE;
    *ret_seconds = count;
    return 0;
}

int wait_parse(const char *text, uint64_t *ret_seconds) {
    if (strcmp(text, "0") != 0 && strcmp(text, "0s") != 0)
        return duration_parse(text, ret_seconds);
    *ret_seconds = 0;
    return 0;
}

/* A number that can be an id, or -ENOENT if text is not a number at all. */
static int id_parse(const char *text, uint32_t *ret) {
    uint32_t id;

    if (!isdigit((unsigned char)*text))
        return *text ? -ENOENT : -EINVAL;
    int r = parse_u32(text, &id);
    if (r < 0)
        return r;
    if (id == UINT32_MAX)
        return -ERANGE;
    *ret = id;
    return 0;
}

int user_parse(const char *text, uid_t *ret) {
    uint32_t id;
    int r = id_parse(text, &id);

    if (r == -ENOENT) {
        struct passwd *user = getpwnam(text);
        if (!user)
            return -ENOENT;
        id = user->pw_uid;
    } else if (r < 0) {
        return r;
    }
    *ret = id;
    return 0;
}

int group_parse(const char *text, gid_t *ret) {
    uint32_t id;
    int r = id_parse(text, &id);

    if (r == -ENOENT) {
        struct group *group = getgrnam(text);
        if (!group)
            return -ENOENT;
        id = group->gr_gid;
    } else if (r < 0) {
        return r;
    }
    *ret = id;
    return 0;
}

char *user_format(uid_t uid) {
    struct passwd *user = getpwuid(uid);

    return user ? text_escape(user->pw_name) : string_format("%u", (unsigned)uid);
}

char *time_format(uint64_t usec) {
    time_t seconds = (time_t)(usec / 1000000);
    char text[64];
    struct tm local;

    if (usec == 0 || !localtime_r(&seconds, &local) ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local) == 0)
        return strdup("-");
    return strdup(text);
}

char *key_format(const char *name) {
    char *key = malloc(strlen(name) * 2 + 1), *out = key;

    if (!key)
        return NULL;
    for (const char *at = name; *at; at++) {
        bool upper = isupper((unsigned char)*at);
        if (upper && at > name && !isupper((unsigned char)at[-1]))
            *out++ = '_';
        *out++ = upper ? (char)tolower((unsigned char)*at) : *at;
    }
    *out = 0;
    return key;
}

int lease_path_parse(const char *text, char **ret) {
    const char *number = string_after(text, LEASE_PREFIX);
    uint64_t id;

    if (parse_u64(number ? number : text, &id) < 0)
        return -EINVAL;
    char *path = string_format(LEASE_PREFIX "%llu", (unsigned long long)id);
    if (!path)
        return -ENOMEM;
    *ret = path;
    return 0;
}

/* Levenshtein's distance; both at most SUGGEST_LENGTH_MAX long. */
static size_t text_distance(const char *a, const char *b) {
    size_t row[SUGGEST_LENGTH_MAX + 1], length = strlen(b);

    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t change = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            size_t shift = (row[j] < diagonal ? row[j] : diagonal) + 1;
            row[j + 1] = change < shift ? change : shift;
        }
    }
    return row[length];
}

const char *text_suggest(const char *text, const char *const *candidates) {
    const char *best = NULL;
    size_t nearest = 3;

    if (strlen(text) > SUGGEST_LENGTH_MAX)
        return NULL;
    for (; *candidates; candidates++) {
        if (strlen(*candidates) > SUGGEST_LENGTH_MAX)
            continue;
        size_t distance = text_distance(text, *candidates);
        if (strlen(text) >= 2 && string_after(*candidates, text))
            distance = 1;
        if (distance < nearest && distance < strlen(*candidates)) {
            nearest = distance;
            best = *candidates;
        }
    }
    return best;
}
