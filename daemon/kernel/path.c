/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/path.h"

#include <errno.h>
#include <string.h>

/* Appends one component to the path of *length bytes in text, or takes the last one away. */
static int path_step(char *text, size_t size, size_t *length, const char *part, size_t n) {
    if (n == 0 || (n == 1 && part[0] == '.'))
        return 0;
    if (n == 2 && part[0] == '.' && part[1] == '.') {
        if (*length == 0)
            return -EXDEV;
        while (*length > 0 && text[--*length] != '/')
            ;
        return 0;
    }
    if (*length + (*length > 0) + n + 1 > size)
        return -ENAMETOOLONG;
    if (*length > 0)
        text[(*length)++] = '/';
    memcpy(text + *length, part, n);
    *length += n;
    return 0;
}

static int path_walk(char *text, size_t size, size_t *length, const char *path) {
    while (*path) {
        size_t n = strcspn(path, "/");
        int r = path_step(text, size, length, path, n);
        if (r < 0)
            return r;
        path += n + (path[n] == '/');
    }
    return 0;
}

int path_resolve(const char *base, const char *target, char *ret, size_t size) {
    size_t length = 0;

    if (target[0] == '/' || base[0] == '/')
        return -EXDEV;
    int r = path_walk(ret, size, &length, base);
    if (r >= 0)
        r = path_walk(ret, size, &length, target);
    if (r < 0)
        return r;
    ret[length] = 0;
    return 0;
}
