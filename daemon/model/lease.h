/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Leases, and the book that holds them. Pure: no system call, no clock; times come in as values. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "util/cleanup.h"
#include "util/hash.h"

/* DEFAULT is what a claim may ask for, and never a lease's own: group where that node exists. */
enum lease_interface { LEASE_INTERFACE_GROUP, LEASE_INTERFACE_CDEV, LEASE_INTERFACE_DEFAULT };
enum lease_state { LEASE_ACTIVE, LEASE_DRAINING };

/* Why a lease ended; the words of LeaseEnded and of the journal. */
enum lease_end {
    LEASE_END_RELEASED,
    LEASE_END_DISCONNECTED,
    LEASE_END_FD_CLOSED,
    LEASE_END_PROCESS_EXITED,
    LEASE_END_UNIT_STOPPED,
    LEASE_END_EXPIRED,
    LEASE_END_DEVICE_GONE,
    LEASE_END_REVOKED,
    LEASE_END_NOT_RECOVERED,
    LEASE_END_MAX,
};

const char *lease_interface_to_string(enum lease_interface interface);
const char *lease_state_to_string(enum lease_state state);
int lease_state_from_string(const char *text, enum lease_state *ret);
const char *lease_end_to_string(enum lease_end end);
int lease_end_from_string(const char *text, enum lease_end *ret);

/* One group of a lease, with the devices that it had when it was granted: group numbers are reused,
 * so a group is found again by its members. */
struct lease_group {
    uint32_t id;
    char **devices; /* sysfs paths, NULL-terminated */
    bool lost;      /* no member of it is left */
    bool withdrawn; /* while the lease drains: the holder's access is gone */
    bool complained; /* that its end can not go on was logged */
    bool opened;    /* the holder had it open, or may have had */
    bool drained;   /* while the lease drains: nobody has it open any more */
};

struct lease {
    uint64_t id;
    uid_t claimant;  /* who asked, and whose quota it counts for */
    uid_t holder;    /* whose access it is */
    gid_t *gids;     /* the claimant's, as the bus vouched for them: a reload judges by them */
    size_t n_gids;
    pid_t pid;       /* of the claimant; for the record only */
    char *unit;      /* system unit of the claimant, "" if none */
    char *sender;    /* bus name of the claimant */
    char *bus_id;    /* GetId of the bus that sender is a name on */
    char *rule;      /* names of the rules that allowed it, comma separated */
    char *key;       /* "" if none */
    char *comment;   /* "" if none */
    pid_t kept_pid;  /* lifetime process: that process … */
    uint64_t kept_start; /* … and when it started (process_start_time), since a pid is reused */
    char *kept_unit; /* lifetime unit: that unit; "" otherwise */
    unsigned mode;     /* one POLICY_MODE_… */
    unsigned lifetime; /* one POLICY_LIFETIME_… */
    enum lease_interface interface;
    uint64_t since;    /* realtime, µs */
    uint64_t expires;  /* boottime, µs; 0 without ttl */
    uint64_t revoke_at; /* boottime, µs: it is being revoked and ends then; 0 if not */
    bool unbind;       /* … and its last step is to unbind the VFIO drivers */
    enum lease_state state;
    enum lease_end end; /* meaningful while draining */
    bool reattach;      /* drivers are switched back when it has ended … */
    uint32_t reattach_after; /* … so many seconds later */
    bool container;     /* its groups were attached to one */
    bool unsaved;       /* what it has become is not on disk yet */
    bool iommu_withdrawn; /* while it drains: so is the holder's access to /dev/iommu */
    bool policy_stale;  /* the policy in force would not grant it again */
    bool exported;
    char **openers;    /* while it drains: who has its groups open, as far as that is known; or NULL */
    struct lease_group *groups;
    size_t n_groups;

    UT_hash_handle by_id; /* lease_book::leases */
};

/* An empty lease with room for n_groups, or NULL when out of memory. */
struct lease *lease_new(size_t n_groups);
struct lease *lease_free(struct lease *lease);
DEFINE_CLEANUP(struct lease *, lease_free)
/* Whose entry stands in the ACL of the lease's nodes: the holder's, or 0 (nobody's but root's) where
 * the holder got fds. */
uid_t lease_node_user(const struct lease *lease);
/* Claimant, holder and root see all of a lease; what others run is no stranger's business. */
bool lease_is_visible_to(const struct lease *lease, uid_t uid);
/* "Group 7" or "Groups 7, 8", cut to size. */
void lease_describe_groups(const struct lease *lease, char *buffer, size_t size);

/* All leases, draining ones included. */
struct lease_book {
    struct lease *leases;
    size_t n_leases;
};

/* Takes lease over. -EEXIST if the id is taken, -ENOMEM. */
int lease_book_add(struct lease_book *book, struct lease *lease);
/* Takes lease out of the book; it is the caller's again. */
void lease_book_remove(struct lease_book *book, struct lease *lease);
void lease_book_done(struct lease_book *book);
struct lease *lease_book_find(const struct lease_book *book, uint64_t id);
/* The active lease of claimant under key, or NULL. */
struct lease *lease_book_find_key(const struct lease_book *book, uid_t claimant, const char *key);
/* Leases of claimant, draining ones included; with rule not NULL only those under that rule. */
size_t lease_book_count(const struct lease_book *book, uid_t claimant, const char *rule);
/* When an active lease ends by itself: its time is over, or it was revoked; 0: never. */
uint64_t lease_deadline(const struct lease *lease);
/* The earliest of these, 0 if there is none. */
uint64_t lease_book_next_deadline(const struct lease_book *book);
