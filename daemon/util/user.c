/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "util/fd.h"
#include "util/string.h"

int user_groups(uid_t uid, gid_t *ret) {
    struct passwd entry, *found = NULL;
    char buffer[16384];
    int n = USER_GROUPS_MAX;

    int r = getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found);
    if (r != 0 || !found)
        return -r;
    return getgrouplist(found->pw_name, found->pw_gid, ret, &n) < 0 ? -E2BIG : n;
}

int user_groups_write(uid_t uid, int output) {
    gid_t gids[USER_GROUPS_MAX];
    int n = user_groups(uid, gids);

    for (int i = 0; i < n; i++)
        if (dprintf(output, "%u\n", gids[i]) < 0)
            return -EIO;
    return n < 0 ? n : 0;
}

int user_groups_read(const char *output, gid_t **ret, size_t *ret_n) {
    _cleanup_(freep) char *copy = strdup(output);
    _cleanup_(freep) gid_t *gids = calloc(USER_GROUPS_MAX, sizeof(*gids));
    char *rest = copy, *line;
    size_t n = 0;

    if (!copy || !gids)
        return -ENOMEM;
    while ((line = strsep(&rest, "\n")) && *line) {
        int r = n < USER_GROUPS_MAX ? parse_u32(line, &gids[n++]) : -E2BIG;
        if (r < 0)
            return r;
    }
    *ret = TAKE_POINTER(gids);
    *ret_n = n;
    return 0;
}

int user_find_in_file(const char *name, uid_t *ret) {
    _cleanup_(fclosep) FILE *file = fopen("/etc/passwd", "re");
    struct passwd *entry;

    while (file && (entry = fgetpwent(file)))
        if (string_equal(entry->pw_name, name)) {
            *ret = entry->pw_uid;
            return 0;
        }
    return -ENOENT;
}

int group_find_in_file(const char *name, gid_t *ret) {
    _cleanup_(fclosep) FILE *file = fopen("/etc/group", "re");
    struct group *entry;

    while (file && (entry = fgetgrent(file)))
        if (string_equal(entry->gr_name, name)) {
            *ret = entry->gr_gid;
            return 0;
        }
    return -ENOENT;
}
