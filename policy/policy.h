/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The policy: which devices may go to userspace, for whom and on what terms.
 *
 * A policy is read from JSON files (policy.schema.json, dmaownd-policy(5)), checked strictly and
 * compiled; it never changes afterwards. Questions to it are pure: no system call, no memory, no
 * clock. A rule belongs to its policy and is valid until policy_free().
 *
 * Functions return 0 or a negative errno; POLICY_INVALID says that the files are faulty, with the
 * reasons in the report. Outputs are untouched unless 0 is returned. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

/* The policy's files have an error (a positive outcome, not an errno). */
#define POLICY_INVALID 1

/* What is read: more is an error that names the file or the place. */
#define POLICY_FILE_SIZE_MAX (1024 * 1024)
#define POLICY_TOTAL_SIZE_MAX (4 * 1024 * 1024)
#define POLICY_FILES_MAX 256
#define POLICY_DEPTH_MAX 16
#define POLICY_RULES_MAX 4096
#define POLICY_LIST_MAX 1024
#define POLICY_STRING_MAX 1024
#define POLICY_NAME_MAX 64
#define POLICY_MESSAGES_MAX 64

/* ---- Words that the policy, the API and the log share -------------------------------------- */

/* How a grant is handed over. */
enum policy_mode {
    POLICY_MODE_PATH = 1 << 0, /* "path": an ACL on the node */
    POLICY_MODE_FD = 1 << 1,   /* "fd": open file descriptors */
    POLICY_MODE_ALL = (1 << 2) - 1,
};

/* What ends a grant beside Release. */
enum policy_lifetime {
    POLICY_LIFETIME_CONNECTION = 1 << 0, /* "connection" */
    POLICY_LIFETIME_FD = 1 << 1,         /* "fd" */
    POLICY_LIFETIME_PROCESS = 1 << 2,    /* "process" */
    POLICY_LIFETIME_UNIT = 1 << 3,       /* "unit" */
    POLICY_LIFETIME_PERSISTENT = 1 << 4, /* "persistent" */
    POLICY_LIFETIME_ALL = (1 << 5) - 1,
};

/* What the group and its devices must offer. */
enum policy_require {
    POLICY_REQUIRE_ISOLATED = 1 << 0,            /* "isolated" */
    POLICY_REQUIRE_RESET = 1 << 1,               /* "reset" */
    POLICY_REQUIRE_INTERRUPT_REMAPPING = 1 << 2, /* "interrupt-remapping" */
    POLICY_REQUIRE_ALL = (1 << 3) - 1,
};

/* The bit for a word, or -EINVAL; the word for one bit, or NULL. */
int policy_mode_from_string(const char *text);
int policy_lifetime_from_string(const char *text);
int policy_require_from_string(const char *text);
const char *policy_mode_to_string(unsigned bit);
const char *policy_lifetime_to_string(unsigned bit);
const char *policy_require_to_string(unsigned bit);

/* ---- What a policy is asked about ---------------------------------------------------------- */

/* The facts about a device that a rule can match; everything is borrowed for the call. No pattern
 * matches a string that is NULL or empty. */
struct policy_device {
    const char *bus;               /* "pci", "platform", … */
    const char *name;              /* as in sysfs: "0000:00:05.0" */
    const char *path;              /* below the sysfs root: "devices/pci0000:00/0000:00:05.0";
                                    * rules are written with "/sys/" before it */
    const char *driver;            /* recorded host driver while detached, else the bound one */
    const char *modalias;          /* without the newline */
    const char *const *compatible; /* NULL terminated, or NULL */
    bool has_ids;                  /* the next five are valid (PCI) */
    uint32_t vendor, product, subsystem_vendor, subsystem_product;
    uint32_t class;                /* the 24 bits of sysfs's class: 0x020000 */
    int numa_node;                 /* -1: none */
    const char *removable;         /* "fixed", "removable", "unknown", or NULL */
};

/* Who asks. gids hold the primary group too. */
struct policy_subject {
    uid_t uid;
    const gid_t *gids;
    size_t n_gids;
    const char *unit; /* the system unit that the caller runs in, or NULL */
};

/* ---- Rules and decisions ------------------------------------------------------------------- */

enum policy_effect {
    POLICY_DENY,
    POLICY_ALLOW,
};

struct policy_match;
struct policy_subjects;

/* One compiled rule; read it freely. The terms of a deny rule are all empty. */
struct policy_rule {
    const char *name;         /* unique; "FILE:LINE:COLUMN" for a rule without one */
    const char *file;         /* where the rule stands: path of the file as it was opened */
    unsigned line, column;    /* and the place of its opening bracket */
    enum policy_effect effect;
    unsigned modes;           /* bits of enum policy_mode */
    unsigned lifetimes;       /* bits of enum policy_lifetime */
    unsigned require;         /* bits of enum policy_require */
    bool detach;              /* host drivers may be switched away */
    bool reserve;             /* kept for userspace from the start */
    bool reattach_unreset;    /* go back to the host without a working reset */
    uint32_t max_ttl;         /* seconds; 0: no limit */
    uint32_t max_leases;      /* of one claimant under this rule; 0: no limit */
    const char *vfio_driver;  /* or NULL: choose by bus and modalias */
    const uid_t *delegates;   /* users that the caller may claim for */
    size_t n_delegates;

    const struct policy_match *match;       /* private */
    const struct policy_subjects *subjects; /* private */
    size_t index;                           /* position in the policy */
};

struct policy;

/* NULL is accepted; returns NULL. */
struct policy *policy_free(struct policy *policy);
static inline void policy_freep(struct policy **policy) {
    policy_free(*policy);
}

/* The first rule that applies to the device and the subject; NULL: none, which means deny. */
const struct policy_rule *policy_decide(const struct policy *policy,
                                        const struct policy_device *device,
                                        const struct policy_subject *subject);

/* The rule that keeps the device for userspace from the start, whoever will come for it, or NULL:
 * the first allow rule with `reserve` whose match holds, and before which no deny rule that matches
 * the device speaks of all whom it speaks of. Allow rules without `reserve` leave it alone, whom
 * they are for. Whether users and groups are known does not matter, so that a policy whose names are
 * not looked up (early at boot) will do.
 * The caller leaves out what no VFIO driver takes: PCI bridges. */
const struct policy_rule *policy_reserves(const struct policy *policy,
                                          const struct policy_device *device);

/* For a claim by one user for another: the deny rule that stands against the holder, or NULL.
 * granted is the rule that allowed the device to the claimant. The first rule that applies to the
 * holder decides, but a deny rule without users and groups (it stands against everyone) counts
 * only if it comes before granted, which names the holder as a delegate. holder->unit is NULL
 * when it is not known: a deny rule with `units` then does not apply. */
const struct policy_rule *policy_denies_holder(const struct policy *policy,
                                               const struct policy_device *device,
                                               const struct policy_subject *holder,
                                               const struct policy_rule *granted);

/* What the rules of several devices allow together: the tightest of each term. The VFIO driver is
 * not a term: it is a matter of each device, take it from the device's own rule. */
struct policy_terms {
    uid_t holder;
    unsigned modes, lifetimes, require; /* bits */
    bool detach, reserve, reattach_unreset;
    bool delegated;   /* every rule names holder as a delegate; true while there is no rule */
    uint32_t max_ttl; /* seconds; 0: no limit */
    uint32_t max_leases; /* smallest of all; 0: no limit */
    const struct policy_rule *max_leases_rule; /* the rule that says so: count leases under it */
    size_t n_rules;   /* how many rules were added; the terms mean nothing while 0 */
};

/* Starts with everything allowed; holder is the user who will hold the lease. */
void policy_terms_init(struct policy_terms *terms, uid_t holder);
/* Tightens the terms by an allow rule; the same rule again changes nothing. */
void policy_terms_add(struct policy_terms *terms, const struct policy_rule *rule);
bool policy_rule_delegates(const struct policy_rule *rule, uid_t uid);

/* ---- The policy as a whole ----------------------------------------------------------------- */

struct policy_limits {
    uint32_t leases_per_uid;   /* default 16 */
    uint32_t pending_per_uid;  /* calls that wait for an answer; default 8 */
    uint32_t targets_per_call; /* default 64 */
};

const struct policy_limits *policy_limits(const struct policy *policy);
size_t policy_rule_count(const struct policy *policy);
const struct policy_rule *policy_rule_at(const struct policy *policy, size_t index);
/* By name, for a lease that remembers its rule's name; NULL if there is none. */
const struct policy_rule *policy_rule_find(const struct policy *policy, const char *name);
/* The files that were read, in order, NULL terminated; borrowed. */
const char *const *policy_files(const struct policy *policy);
/* True if any rule names units: only then must a caller's unit be known. */
bool policy_uses_units(const struct policy *policy);

/* ---- Loading ------------------------------------------------------------------------------- */

enum policy_severity {
    POLICY_WARNING,
    POLICY_ERROR,
};

struct policy_message {
    enum policy_severity severity;
    char *file;      /* as it was opened */
    unsigned line;   /* from 1; 0: the file as a whole */
    unsigned column; /* from 1, in characters */
    char *text;      /* a sentence: what, why, and the way out; printable, no newline */
};

/* What was found; at most POLICY_MESSAGES_MAX messages are kept, all are counted. */
struct policy_report {
    struct policy_message *messages;
    size_t n_messages;
    size_t n_errors, n_warnings;
};

/* An empty report is { 0 }. Loading adds to it. */
void policy_report_done(struct policy_report *report);
/* "FILE:LINE:COLUMN: error: TEXT", the caller's; NULL when out of memory. */
char *policy_message_format(const struct policy_message *message);
/* The first error, or NULL. */
const struct policy_message *policy_report_first_error(const struct policy_report *report);

/* How names become numbers. Each distinct name is asked for once in a load, so that a resolver that
 * notes the names and answers -ENOENT lists all names that a policy mentions. -ENOENT means that
 * the name is unknown; another errno that it could not be looked up, which counts as unknown too.
 * strict: an unknown name is an error (a check); else it is dropped with a warning from an allow
 * rule and stays an error in a deny rule. A rule whose subjects were all dropped applies to
 * nobody. */
struct policy_names {
    int (*user)(void *userdata, const char *name, uid_t *ret);
    int (*group)(void *userdata, const char *name, gid_t *ret);
    void *userdata;
    bool strict;
};

/* Fills names with resolvers that ask the user database: they may block. */
void policy_names_system(struct policy_names *names, bool strict);

/* Reads DIRECTORY/policy.json, then DIRECTORY/policy.d/ *.json in byte order. Without files the
 * policy is empty and denies all. All files are read even after an error. report may be NULL.
 * Returns 0, POLICY_INVALID (this includes files that cannot be read) or -ENOMEM. */
int policy_load(const char *directory, const struct policy_names *names, struct policy **ret,
                struct policy_report *report) _must_check_;

/* The paths of the files that policy_load() would read, in this order, NULL-terminated; the
 * caller's. NULL if there are none. A negative errno if they cannot be listed. */
int policy_list_files(const char *directory, char ***ret) _must_check_;

/* policy_load() of these files, in this order; each must exist. */
int policy_load_files(const char *const *paths, size_t n_paths, const struct policy_names *names,
                      struct policy **ret, struct policy_report *report) _must_check_;

/* The same from memory; name stands for the file in messages and rules. */
int policy_parse_buffer(const char *name, const void *data, size_t size,
                        const struct policy_names *names, struct policy **ret,
                        struct policy_report *report) _must_check_;
