/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/string.h"

static const char *const interface_names[] = {
    [LEASE_INTERFACE_GROUP] = "group",
    [LEASE_INTERFACE_CDEV] = "cdev",
};

static const char *const state_names[] = {
    [LEASE_ACTIVE] = "active",
    [LEASE_DRAINING] = "draining",
};

static const char *const end_names[LEASE_END_MAX] = {
    [LEASE_END_RELEASED] = "released",
    [LEASE_END_DISCONNECTED] = "disconnected",
    [LEASE_END_FD_CLOSED] = "fd-closed",
    [LEASE_END_PROCESS_EXITED] = "process-exited",
    [LEASE_END_UNIT_STOPPED] = "unit-stopped",
    [LEASE_END_EXPIRED] = "expired",
    [LEASE_END_DEVICE_GONE] = "device-gone",
    [LEASE_END_REVOKED] = "revoked",
    [LEASE_END_NOT_RECOVERED] = "not-recovered",
};

const char *lease_interface_to_string(enum lease_interface interface) {
    return interface_names[interface];
}

const char *lease_state_to_string(enum lease_state state) {
    return state_names[state];
}

const char *lease_end_to_string(enum lease_end end) {
    return end_names[end];
}

static int index_of(const char *const *names, size_t n_names, const char *text) {
    for (size_t i = 0; i < n_names; i++)
        if (string_equal(names[i], text))
            return (int)i;
    return -EINVAL;
}

int lease_state_from_string(const char *text, enum lease_state *ret) {
    int index = index_of(state_names, ELEMENTS_OF(state_names), text);

    if (index < 0)
        return index;
    *ret = (enum lease_state)index;
    return 0;
}

int lease_end_from_string(const char *text, enum lease_end *ret) {
    int index = index_of(end_names, ELEMENTS_OF(end_names), text);

    if (index < 0)
        return index;
    *ret = (enum lease_end)index;
    return 0;
}

struct lease *lease_new(size_t n_groups) {
    _cleanup_(lease_freep) struct lease *lease = calloc(1, sizeof(*lease));

    if (!lease)
        return NULL;
    lease->groups = calloc(n_groups ?: 1, sizeof(*lease->groups));
    if (!lease->groups)
        return NULL;
    lease->n_groups = n_groups;
    return TAKE_POINTER(lease);
}

struct lease *lease_free(struct lease *lease) {
    if (!lease)
        return NULL;
    for (size_t i = 0; lease->groups && i < lease->n_groups; i++)
        strings_free(lease->groups[i].devices);
    free(lease->groups);
    free(lease->gids);
    free(lease->unit);
    free(lease->sender);
    free(lease->bus_id);
    free(lease->rule);
    free(lease->key);
    free(lease->comment);
    free(lease->kept_unit);
    strings_free(lease->openers);
    free(lease);
    return NULL;
}

int lease_book_add(struct lease_book *book, struct lease *lease) {
    if (lease_book_find(book, lease->id))
        return -EEXIST;
    HASH_ADD(by_id, book->leases, id, sizeof(lease->id), lease);
    if (!lease->by_id.tbl)
        return -ENOMEM;
    book->n_leases++;
    return 0;
}

void lease_book_remove(struct lease_book *book, struct lease *lease) {
    HASH_DELETE(by_id, book->leases, lease);
    book->n_leases--;
}

void lease_book_done(struct lease_book *book) {
    struct lease *lease, *next;

    HASH_ITER(by_id, book->leases, lease, next) {
        lease_book_remove(book, lease);
        lease_free(lease);
    }
}

struct lease *lease_book_find(const struct lease_book *book, uint64_t id) {
    struct lease *lease;

    HASH_FIND(by_id, book->leases, &id, sizeof(id), lease);
    return lease;
}

struct lease *lease_book_find_key(const struct lease_book *book, uid_t claimant, const char *key) {
    for (struct lease *lease = book->leases; lease; lease = lease->by_id.next)
        if (lease->state == LEASE_ACTIVE && lease->claimant == claimant && *key &&
            string_equal(lease->key, key))
            return lease;
    return NULL;
}

/* rule is one of the names in list, which a comma separates. */
static bool names_rule(const char *list, const char *rule) {
    size_t length = strlen(rule);

    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, rule, length) == 0 && (at[length] == 0 || at[length] == ','))
            return true;
    }
    return false;
}

size_t lease_book_count(const struct lease_book *book, uid_t claimant, const char *rule) {
    size_t n = 0;

    for (const struct lease *lease = book->leases; lease; lease = lease->by_id.next)
        if (lease->claimant == claimant && (!rule || names_rule(lease->rule, rule)))
            n++;
    return n;
}

uint64_t lease_deadline(const struct lease *lease) {
    if (lease->state != LEASE_ACTIVE)
        return 0;
    if (!lease->expires || !lease->revoke_at)
        return lease->expires ?: lease->revoke_at;
    return lease->expires < lease->revoke_at ? lease->expires : lease->revoke_at;
}

uint64_t lease_book_next_deadline(const struct lease_book *book) {
    uint64_t next = 0;

    for (const struct lease *lease = book->leases; lease; lease = lease->by_id.next) {
        uint64_t deadline = lease_deadline(lease);
        if (deadline && (!next || deadline < next))
            next = deadline;
    }
    return next;
}

bool lease_is_visible_to(const struct lease *lease, uid_t uid) {
    return uid == 0 || uid == lease->claimant || uid == lease->holder;
}

uid_t lease_node_user(const struct lease *lease) {
    return lease->mode == POLICY_MODE_FD ? 0 : lease->holder;
}

void lease_describe_groups(const struct lease *lease, char *buffer, size_t size) {
    size_t used = (size_t)snprintf(buffer, size, lease->n_groups == 1 ? "Group" : "Groups");

    for (size_t i = 0; i < lease->n_groups && used + 16 < size; i++)
        used += (size_t)snprintf(buffer + used, size - used, "%s %u", i ? "," : "",
                                 lease->groups[i].id);
}
