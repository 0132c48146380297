/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who moves and who stays when a group leaves the kernel, in which steps, and what is remembered of it
 * so that it can come back. Pure: PlanDetach shows the steps that kernel/driver-switch.h takes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/device.h"
#include "util/cleanup.h"
#include "util/hash.h"

/* No driver has this name: a device with it in driver_override is taken by none. */
#define PIN_DRIVER "dmaownd-held"

/* Of a device that has no group yet: one forms when its VFIO driver probes it. */
#define DETACHMENT_NO_GROUP UINT32_MAX

enum move {
    MOVE_STAYS,
    MOVE_TO_USER, /* to a VFIO driver */
    MOVE_PINNED,  /* no driver has it, and none is to take it */
    MOVE_UNBOUND, /* a bridge held by a counted driver: unbound and pinned */
};

/* How far a detachment is. DETACHING is undone after a crash, the others are finished. */
enum detachment_state {
    DETACHMENT_DETACHING,
    DETACHMENT_DETACHED,
    DETACHMENT_REATTACHING,
    DETACHMENT_UNDOING,
    DETACHMENT_STATE_MAX,
};

/* What one device was before, and where it went. */
struct detachment_member {
    char *path; /* below the sysfs root */
    char *bus;
    uint32_t group; /* or DETACHMENT_NO_GROUP */
    enum move move;
    char *driver;   /* the host driver before; "" for none */
    char *override; /* before; "" for none; NULL where the bus has no overrides */
    char *target;   /* the VFIO driver; "" for the others */
    bool gone;      /* unplugged while it was being moved: who comes in its place is another; not on disk */
    uid_t uid;      /* the record's, while it is linked to a device; not on disk */
    int vfs;        /* of a PF before; -1 for another device */
    int autoprobe;
};

/* What one call moved: whole groups, all or nothing. */
struct detachment {
    uint64_t id;
    uid_t uid;     /* who asked for it; 0 for what policy reserves and what the guard pins */
    char *rule;    /* that allowed it; "" for the guard */
    bool pending;  /* its caller has not been answered yet: undone after a crash, too */
    uint64_t return_at; /* boottime, µs: they go back then, or when they are free; 0: not by themselves */
    bool waits;    /* it is time, and somebody has it; not on disk */
    bool unsaved;  /* what it has become is not on disk yet; not on disk */
    bool unreset;  /* what can not be reset goes back as it is */
    bool stuck;    /* of a guard: its way back failed since the last tick; not on disk */
    bool guard;    /* pins only, beside a lease; they go with it */
    enum detachment_state state;
    struct detachment_member *members;
    size_t n_members;
    UT_hash_handle by_id;
};

/* An empty one with room for n_members, or NULL when out of memory. */
struct detachment *detachment_new(size_t n_members);
struct detachment *detachment_free(struct detachment *detachment);
DEFINE_CLEANUP(struct detachment *, detachment_free)
void detachment_member_done(struct detachment_member *member);
/* Forgets one member; those behind it move up. */
void detachment_remove(struct detachment *detachment, size_t index);
struct detachment_member *detachment_find(const struct detachment *detachment, const char *path);
/* Whether a member is in the group. */
bool detachment_has_group(const struct detachment *detachment, uint32_t group);
/* Each group that has formed once; the array is the caller's. NULL when out of memory. */
uint32_t *detachment_list_groups(const struct detachment *detachment, size_t *ret_n);
/* Whether no member before this one is in its group: for what is done once for each group. */
bool detachment_begins_group(const struct detachment *detachment, size_t index);

const char *detachment_state_to_string(enum detachment_state state);
int detachment_state_from_string(const char *text, enum detachment_state *ret);
const char *move_to_string(enum move move);
int move_from_string(const char *text, enum move *ret);

/* Where a member of a group goes that is detached. named: devices that the caller named, which leave
 * also if they have no driver; so do all endpoints of a group that would be nobody's to open else.
 * Of an fsl-mc container and its objects, which share a group, the container alone is moved: its host
 * driver removes the objects when it is unbound, and vfio-fsl-mc finds them again, sets driver_override of
 * each, and has them (Linux 6.12, dprc_remove in drivers/bus/fsl-mc/dprc-driver.c, and
 * drivers/vfio/fsl-mc/vfio_fsl_mc.c; the way back is the same). By reading: no machine here has one. */
enum move device_move(const struct device *device, struct device *const *named, size_t n_named);
/* It stays by device_move, and goes where its container does. */
bool device_follows_container(const struct device *device);
/* The group would have a member on a VFIO driver afterwards. */
bool group_has_user_afterwards(const struct group *group, struct device *const *named,
                               size_t n_named);

enum step_kind {
    STEP_STAY,
    STEP_LOAD,
    STEP_NUMVFS,
    STEP_AUTOPROBE,
    STEP_RESET,
    STEP_PIN,
    STEP_OVERRIDE,
    STEP_UNBIND,
    STEP_BIND,
    STEP_PROBE,
    STEP_KIND_MAX,
};

/* "unbind"; the `step` of PlanDetach. */
const char *step_kind_to_string(enum step_kind kind);

/* One write to the kernel. from and to are borrowed from the member, or constant. */
struct step {
    enum step_kind kind;
    const char *from, *to; /* drivers; numbers as text for NUMVFS and AUTOPROBE */
    char number[2][12];    /* room for these */
};

#define STEPS_MAX 8

/* Where the steps back lead: as everything was before (a rollback), or to where the kernel would have a
 * device now that had no driver then: one that was refused while the group was owned is not tried
 * again by itself. */
enum way_back { WAY_BACK_EXACT, WAY_BACK_PROBED };

/* The steps that take a member away, or back; their number. soiled: it is reset first. */
size_t steps_away(const struct detachment_member *member, struct step ret[static STEPS_MAX]);
size_t steps_back(const struct detachment_member *member, enum way_back way, bool soiled,
                  struct step ret[static STEPS_MAX]);

/* A sentence. The caller's; NULL when out of memory. */
char *step_text(const struct step *step, const char *device_name);
