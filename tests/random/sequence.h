/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sequences of events on one small host: made from a seed, stored, shrunk and played again. An event
 * means something in every state of the host (it may be nothing), so that any part of a sequence is
 * a sequence. The host's inventory is here too: devices, drivers, users and policies. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- The host --------------------------------------------------------------------------------- */

#define N_PLACES 10
#define N_GROUPS 5
#define FIRST_GROUP 30 /* the number of group 0 */
#define NO_GROUP (-1)
#define ALL_PLACES ((1u << N_PLACES) - 1)

enum bus { BUS_PCI, BUS_CDX, BUS_PLATFORM, N_BUSES };

/* Where a device can be; in the order of their paths. */
struct place {
    const char *name, *path; /* path: below the root of sysfs */
    enum bus bus;
    uint32_t class;          /* of PCI */
    const char *reset;       /* reset methods of PCI */
};

enum driver {
    DRIVER_NONE,
    DRIVER_VFIO,
    DRIVER_VARIANT, /* a VFIO driver of a vendor */
    DRIVER_STUB,
    DRIVER_PORT,
    DRIVER_HOST,
    DRIVER_UIO,
    N_DRIVERS,
};

enum user { USER_ROOT, USER_ALICE, USER_BOB, USER_NOBODY, N_USERS };

/* Connections to the bus, each of one user. */
#define N_SLOTS 6

extern const struct place places[N_PLACES];
extern const char *const bus_names[N_BUSES];
extern const char *const driver_names[N_BUSES][N_DRIVERS]; /* NULL where there is none */
extern const char *const user_names[N_USERS];
extern const uint32_t user_ids[N_USERS];
extern const enum user slot_users[N_SLOTS];
#define DMAOWN_GID 2000 /* alice is in it */

/* ---- Policies --------------------------------------------------------------------------------- */

enum mode { MODE_PATH = 1, MODE_FD = 2, MODES = 3 };
enum lifetime {
    LIFETIME_CONNECTION = 1,
    LIFETIME_FD = 2,
    LIFETIME_PROCESS = 4,
    LIFETIME_UNIT = 8,
    LIFETIME_PERSISTENT = 16,
    LIFETIMES = 31,
};

struct rule {
    const char *name;
    bool deny;
    unsigned places;    /* that its match names */
    enum driver driver; /* … and they have this PCI driver, if not DRIVER_NONE */
    unsigned users;     /* 0 with deny: everyone */
    bool dmaown;        /* the Unix group is a subject too */
    unsigned modes, lifetimes; /* 0: not said, all */
    uint32_t max_ttl, max_leases;
    unsigned delegates;
    bool reset;         /* requires a reset */
};

#define RULES_MAX 4
#define N_POLICIES 8
#define POLICY_BAD 7 /* the last one is no policy */

struct rules {
    struct rule rule[RULES_MAX]; /* up to the first without a name */
    uint32_t leases_per_uid;     /* 0: not said, 16 */
};

extern const struct rules policies[N_POLICIES];

/* The policy's text, for policy.json. */
void policy_write(unsigned policy, char *text, size_t size);

/* ---- Events ----------------------------------------------------------------------------------- */

enum kind {
    EVENT_ADD,        /* place, group */
    EVENT_REMOVE,     /* place */
    EVENT_BIND,       /* place, driver */
    EVENT_UNBIND,     /* place */
    EVENT_MOVE,       /* place without a driver, group; the kernel says no word */
    EVENT_DIRECT,     /* group, argument: whether it has a direct region; without a word too */
    EVENT_TOUCH,      /* group, argument: somebody changes who may open the node (enum access) */
    EVENT_OPEN,       /* group, slot's user; argument: and claims it through a container */
    EVENT_CLOSE,      /* group */
    EVENT_CLAIM,      /* slot, and the fields below */
    EVENT_RELEASE,    /* slot, argument: which lease */
    EVENT_REVOKE,     /* slot, argument: which lease; without a timeout */
    EVENT_HAND,       /* slot, argument: which lease, lifetime: what it is to have from now on */
    EVENT_DROP,       /* argument: which lease; what keeps it goes: its fd, its process */
    EVENT_DISCONNECT, /* slot */
    EVENT_PASS,       /* time: short terms are over (argument: long ones too) */
    EVENT_RELOAD,     /* slot, argument: policy */
    EVENT_KILL,       /* the daemon; what needs it starts it */
    EVENT_START,
    N_KINDS,
};

/* Whom the ACL of a node lets in beside root. */
enum access { ACCESS_NONE = 0, ACCESS_ALL = N_USERS, ACCESS_LEAVE };

#define TTL_SHORT 1
#define TTL_LONG 1000
#define TTL_BAD UINT16_MAX /* 0 in the call, which is not allowed */
#define NO_PLACE 255

struct event {
    uint8_t kind;
    uint8_t place;    /* EVENT_CLAIM: one more target, by its name; NO_PLACE: none */
    int8_t group;
    uint8_t driver;
    uint8_t slot;
    uint8_t argument;
    uint8_t targets;  /* bits of groups, by number */
    uint8_t holder;   /* user */
    uint8_t mode, lifetime;
    uint8_t key;      /* 0: none */
    bool container;
    uint16_t ttl;     /* 0: none */
};

/* What the subject of the run can do; other events are not made. */
enum feature {
    FEATURE_FD = 1 << 0,            /* mode fd */
    FEATURE_REVOKE = 1 << 1,
    FEATURE_TIME = 1 << 2,          /* long terms */
    FEATURE_LIFETIME_FD = 1 << 3,
    FEATURE_LIFETIME_PROCESS = 1 << 4,
    FEATURE_RARE_RESTARTS = 1 << 5, /* they cost time, as do short terms */
    FEATURE_HAND = 1 << 6,
};

/* Fills events with a sequence of n; the same seed and features, the same sequence. */
void sequence_make(uint64_t seed, unsigned features, struct event *events, size_t n);

/* One line: "bind 0000:40:00.0 vfio-pci". */
void event_describe(const struct event *event, char *text, size_t size);
void sequence_print(const struct event *events, size_t n);

/* xorshift, the same numbers everywhere. */
struct dice {
    uint64_t state;
};
void dice_seed(struct dice *dice, uint64_t seed);
unsigned dice_draw(struct dice *dice, unsigned limit);
