/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/libvirt/qemu-user.h"

#include <errno.h>

#include "client/text.h"
#include "util/cleanup.h"
#include "util/string.h"

#define SPACE " \t\r"

/* What stands behind "user =" in a line, or NULL. */
static const char *value_of(const char *line) {
    const char *rest = string_after(line + strspn(line, SPACE), "user");

    if (!rest)
        return NULL;
    rest += strspn(rest, SPACE);
    return *rest == '=' ? rest + 1 + strspn(rest + 1, SPACE) : NULL;
}

/* libvirt takes the first of several. */
int qemu_conf_user(const char *text, char **ret) {
    *ret = NULL;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *value = value_of(line);
        if (!value || (*value != '"' && *value != '\''))
            continue;
        const char end[] = {*value, '\n', 0};
        size_t length = strcspn(value + 1, end);
        if (length == 0 || value[1 + length] != *value)
            continue;
        return (*ret = strndup(value + 1, length)) ? 0 : -ENOMEM;
    }
    return 0;
}

int qemu_user_find(const char *user, uid_t *ret) {
    static const char *const defaults[] = {"libvirt-qemu", "qemu", "root"};
    int r = -ENOENT;

    for (size_t i = 0; !user && r == -ENOENT && i < ELEMENTS_OF(defaults); i++)
        r = user_parse(defaults[i], ret);
    if (!user)
        return r;
    const char *number = string_after(user, "+");
    if (number && strspn(number, "0123456789") != strlen(number))
        return -EINVAL;
    return user_parse(number ? number : user, ret);
}
