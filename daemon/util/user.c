/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

int user_groups(uid_t uid, gid_t *ret) {
    struct passwd entry, *found = NULL;
    char buffer[16384];
    int n = USER_GROUPS_MAX;

    int r = getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found);
    if (r != 0 || !found)
        return -r;
    return getgrouplist(found->pw_name, found->pw_gid, ret, &n) < 0 ? -E2BIG : n;
}
