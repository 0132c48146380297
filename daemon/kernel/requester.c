/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/requester.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/path.h"
#include "util/fd.h"
#include "util/string.h"

/* "0000:00:05.0" */
static bool parse_function(const char *name, uint32_t *ret) {
    unsigned domain, bus, device, function;
    int length = 0;

    if (sscanf(name, "%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &length) != 4 ||
        (name[length] && name[length] != '/') || device > 31 || function > 7)
        return false;
    *ret = bus << 8 | device << 3 | function;
    return true;
}

static bool is_express(int sysfs, const char *path) {
    char attribute[PATH_MAX];
    int length = snprintf(attribute, sizeof(attribute), "%s/current_link_speed", path);

    return length < (int)sizeof(attribute) && faccessat(sysfs, attribute, F_OK, 0) == 0;
}

static void add(uint32_t id, uint32_t *ids, unsigned *n, size_t size) {
    for (unsigned i = 0; i < *n; i++)
        if (ids[i] == id)
            return;
    if (*n < size)
        ids[(*n)++] = id;
}

/* Shortens path by its last part. False if what is left is no PCI function. */
static bool go_up(char *path, uint32_t *ret) {
    char *slash = strrchr(path, '/');

    if (!slash)
        return false;
    *slash = 0;
    return parse_function(path_basename(path), ret);
}

unsigned requesters_of(int sysfs, const char *path, uint32_t *ret, size_t size) {
    char above[PATH_MAX];
    uint32_t id, bridge;
    unsigned n = 0;

    if (strlen(path) >= sizeof(above) || !parse_function(path_basename(path), &id))
        return 0;
    strcpy(above, path);
    add(id, ret, &n, size);
    bool below_is_express = is_express(sysfs, above);
    while (go_up(above, &bridge)) {
        bool express = is_express(sysfs, above);
        if (!express)
            add(bridge, ret, &n, size);
        else if (!below_is_express)
            add(id & 0xff00, ret, &n, size); /* the bridge's own side of that bus */
        below_is_express = express;
        id = bridge;
    }
    return n;
}
