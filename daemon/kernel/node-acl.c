/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/node-acl.h"

#include <acl/libacl.h>
#include <errno.h>
#include <stdio.h>
#include <sys/acl.h>
#include <sys/stat.h>

#include "util/cleanup.h"

/* "/proc/self/fd/" and a number. */
#define FD_PATH_SIZE 32

static void fd_path(int fd, char *ret) {
    snprintf(ret, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

static void acl_freep(acl_t *acl) {
    if (*acl)
        (void)acl_free(*acl);
}

static void qualifier_freep(void **qualifier) {
    if (*qualifier)
        (void)acl_free(*qualifier);
}

static bool entry_allows(acl_entry_t entry) {
    acl_permset_t permissions;

    /* What can not be read is taken to allow. */
    return acl_get_permset(entry, &permissions) < 0 ||
           acl_get_perm(permissions, ACL_READ) != 0 || acl_get_perm(permissions, ACL_WRITE) != 0;
}

static bool entry_is_full(acl_entry_t entry) {
    acl_permset_t permissions;

    return acl_get_permset(entry, &permissions) >= 0 &&
           acl_get_perm(permissions, ACL_READ) == 1 && acl_get_perm(permissions, ACL_WRITE) == 1;
}

static int add_named(acl_entry_t entry, acl_tag_t tag, struct node_facts *facts) {
    _cleanup_(qualifier_freep) void *qualifier = acl_get_qualifier(entry);

    if (!qualifier)
        return -errno;
    if (facts->n_entries == NODE_ENTRIES_MAX) {
        facts->too_many_entries = true;
        return 0;
    }
    facts->entries[facts->n_entries++] = (struct node_entry){
        .is_group = tag == ACL_GROUP,
        .id = *(id_t *)qualifier,
        .access = entry_allows(entry),
        .full = entry_is_full(entry),
    };
    return 0;
}

/* What the mask leaves: everything where there is none. */
struct mask {
    bool allows, full;
};

static int add_entry(acl_entry_t entry, struct node_facts *facts, struct mask *mask) {
    acl_tag_t tag;

    if (acl_get_tag_type(entry, &tag) < 0)
        return -errno;
    if (tag == ACL_USER || tag == ACL_GROUP)
        return add_named(entry, tag, facts);
    bool allows = entry_allows(entry);
    if (tag == ACL_USER_OBJ)
        facts->owner_access = allows;
    else if (tag == ACL_GROUP_OBJ)
        facts->group_access = allows;
    else if (tag == ACL_MASK)
        *mask = (struct mask){.allows = allows, .full = entry_is_full(entry)};
    else
        facts->other_access = allows;
    return 0;
}

/* What the entries give, without what the mask takes away. A mask of r-- over an entry of -w- is
 * taken to allow: nobody writes such a thing, and it errs on the safe side. */
static int read_entries(acl_t acl, struct node_facts *facts) {
    struct mask mask = {.allows = true, .full = true};
    acl_entry_t entry;
    int r, which = ACL_FIRST_ENTRY;

    while ((r = acl_get_entry(acl, which, &entry)) > 0) {
        r = add_entry(entry, facts, &mask);
        if (r < 0)
            return r;
        which = ACL_NEXT_ENTRY;
    }
    if (r < 0)
        return -errno;
    facts->group_access = facts->group_access && mask.allows;
    for (size_t i = 0; i < facts->n_entries; i++) {
        facts->entries[i].access = facts->entries[i].access && mask.allows;
        facts->entries[i].full = facts->entries[i].full && mask.full;
    }
    return 0;
}

int node_acl_read(int node, mode_t mode, struct node_facts *facts) {
    char path[FD_PATH_SIZE];

    fd_path(node, path);
    _cleanup_(acl_freep) acl_t acl = acl_get_file(path, ACL_TYPE_ACCESS);
    if (acl)
        return read_entries(acl, facts);
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    facts->owner_access = mode & (S_IRUSR | S_IWUSR);
    facts->group_access = mode & (S_IRGRP | S_IWGRP);
    facts->other_access = mode & (S_IROTH | S_IWOTH);
    return 0;
}

static int acl_append(acl_t *acl, acl_tag_t tag, const id_t *id, bool allow) {
    acl_permset_t permissions;
    acl_entry_t entry;

    if (acl_create_entry(acl, &entry) < 0 || acl_set_tag_type(entry, tag) < 0)
        return -errno;
    if (id && acl_set_qualifier(entry, id) < 0)
        return -errno;
    if (acl_get_permset(entry, &permissions) < 0)
        return -errno;
    if (!allow)
        return 0;
    if (acl_add_perm(permissions, ACL_READ) < 0 || acl_add_perm(permissions, ACL_WRITE) < 0)
        return -errno;
    return 0;
}

/* Owner, group and other; with uid not NULL also its entry, and the mask that lets it count. */
static int write_acl(int node, bool owner, const uid_t *uid) {
    _cleanup_(acl_freep) acl_t acl = acl_init(5);
    char path[FD_PATH_SIZE];

    if (!acl)
        return -errno;
    int r = acl_append(&acl, ACL_USER_OBJ, NULL, owner);
    if (r >= 0)
        r = acl_append(&acl, ACL_GROUP_OBJ, NULL, false);
    if (r >= 0)
        r = acl_append(&acl, ACL_OTHER, NULL, false);
    if (r >= 0 && uid)
        r = acl_append(&acl, ACL_USER, uid, true);
    if (r >= 0 && uid)
        r = acl_append(&acl, ACL_MASK, NULL, true);
    if (r < 0)
        return r;
    fd_path(node, path);
    return acl_set_file(path, ACL_TYPE_ACCESS, acl) < 0 ? -errno : 0;
}

int node_acl_grant(int node, uid_t owner, uid_t uid) {
    return write_acl(node, owner == 0 || owner == uid, &uid);
}

int node_acl_clear(int node, uid_t owner) {
    return write_acl(node, owner == 0, NULL);
}

/* ---- one entry among others */

static bool entry_is_of(acl_entry_t entry, uid_t uid) {
    acl_tag_t tag;

    if (acl_get_tag_type(entry, &tag) < 0 || tag != ACL_USER)
        return false;
    _cleanup_(qualifier_freep) void *qualifier = acl_get_qualifier(entry);
    return qualifier && *(uid_t *)qualifier == uid;
}

static int drop_entry(acl_t acl, uid_t uid) {
    acl_entry_t entry;
    int r, which = ACL_FIRST_ENTRY;

    while ((r = acl_get_entry(acl, which, &entry)) > 0) {
        if (entry_is_of(entry, uid))
            return acl_delete_entry(acl, entry) < 0 ? -errno : 0;
        which = ACL_NEXT_ENTRY;
    }
    return r < 0 ? -errno : 0;
}

static acl_entry_t find_mask(acl_t acl) {
    acl_entry_t entry;
    acl_tag_t tag;

    for (int which = ACL_FIRST_ENTRY; acl_get_entry(acl, which, &entry) > 0;
         which = ACL_NEXT_ENTRY)
        if (acl_get_tag_type(entry, &tag) >= 0 && tag == ACL_MASK)
            return entry;
    return NULL;
}

static int apply_mask_to(acl_entry_t entry, acl_permset_t mask) {
    static const acl_perm_t each[] = {ACL_READ, ACL_WRITE, ACL_EXECUTE};
    acl_permset_t permissions;
    acl_tag_t tag;

    if (acl_get_tag_type(entry, &tag) < 0 || acl_get_permset(entry, &permissions) < 0)
        return -errno;
    if (tag != ACL_USER && tag != ACL_GROUP && tag != ACL_GROUP_OBJ)
        return 0;
    for (size_t i = 0; i < ELEMENTS_OF(each); i++)
        if (acl_get_perm(mask, each[i]) != 1 && acl_delete_perm(permissions, each[i]) < 0)
            return -errno;
    return 0;
}

/* A chmod holds entries back by the mask: without this, a wider mask, or none, would give them again
 * what was taken from them. */
static int apply_mask(acl_t acl) {
    acl_entry_t entry, mask = find_mask(acl);
    acl_permset_t allowed;
    int r, which = ACL_FIRST_ENTRY;

    if (!mask)
        return 0;
    if (acl_get_permset(mask, &allowed) < 0)
        return -errno;
    while ((r = acl_get_entry(acl, which, &entry)) > 0) {
        r = apply_mask_to(entry, allowed);
        if (r < 0)
            return r;
        which = ACL_NEXT_ENTRY;
    }
    return r < 0 ? -errno : 0;
}

static bool has_named(acl_t acl) {
    acl_entry_t entry;
    acl_tag_t tag;

    for (int which = ACL_FIRST_ENTRY; acl_get_entry(acl, which, &entry) > 0;
         which = ACL_NEXT_ENTRY)
        if (acl_get_tag_type(entry, &tag) >= 0 && (tag == ACL_USER || tag == ACL_GROUP))
            return true;
    return false;
}

/* As wide as the entries. Without named ones there is none, and the group's bits are its own again. */
static int settle_mask(acl_t *acl) {
    if (has_named(*acl))
        return acl_calc_mask(acl) < 0 ? -errno : 0;
    acl_entry_t mask = find_mask(*acl);
    return mask && acl_delete_entry(*acl, mask) < 0 ? -errno : 0;
}

static int change_entry(int node, uid_t uid, bool wanted) {
    char path[FD_PATH_SIZE];

    fd_path(node, path);
    _cleanup_(acl_freep) acl_t acl = acl_get_file(path, ACL_TYPE_ACCESS);
    if (!acl)
        return -errno;
    int r = apply_mask(acl);
    if (r >= 0)
        r = drop_entry(acl, uid);
    if (r >= 0 && wanted)
        r = acl_append(&acl, ACL_USER, &uid, true);
    if (r >= 0)
        r = settle_mask(&acl);
    if (r < 0)
        return r;
    return acl_set_file(path, ACL_TYPE_ACCESS, acl) < 0 ? -errno : 0;
}

int node_acl_add(int node, uid_t uid) {
    return change_entry(node, uid, true);
}

int node_acl_remove(int node, uid_t uid) {
    return change_entry(node, uid, false);
}
