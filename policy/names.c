/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names from the user database. */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "policy/policy.h"

#define BUFFER_SIZE_MAX (1024 * 1024) /* of a group with very many members */

static int user_find(void *userdata, const char *name, uid_t *ret) {
    struct passwd entry, *found;

    for (size_t size = 4096; size <= BUFFER_SIZE_MAX; size *= 4) {
        _cleanup_(freep) char *buffer = malloc(size);
        if (!buffer)
            return -ENOMEM;
        int r = getpwnam_r(name, &entry, buffer, size, &found);
        if (r == ERANGE)
            continue;
        if (!found)
            return r == 0 ? -ENOENT : -r;
        *ret = found->pw_uid;
        return 0;
    }
    return -E2BIG;
}

static int group_find(void *userdata, const char *name, gid_t *ret) {
    struct group entry, *found;

    for (size_t size = 4096; size <= BUFFER_SIZE_MAX; size *= 4) {
        _cleanup_(freep) char *buffer = malloc(size);
        if (!buffer)
            return -ENOMEM;
        int r = getgrnam_r(name, &entry, buffer, size, &found);
        if (r == ERANGE)
            continue;
        if (!found)
            return r == 0 ? -ENOENT : -r;
        *ret = found->gr_gid;
        return 0;
    }
    return -E2BIG;
}

void policy_names_system(struct policy_names *names, bool strict) {
    *names = (struct policy_names){ .user = user_find, .group = group_find, .strict = strict };
}
