/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a look at a device found that can not be had without blocking: what the host needs it for, and
 * which VFIO drivers could take it. Pure: the look itself is kernel/usage.h and kernel/vfio-driver.h, in
 * a worker. */

#include <stdbool.h>
#include <stddef.h>

#include "model/outcome.h"
#include "model/vfio-facts.h"
#include "util/cleanup.h"

/* More uses of one device than these are not kept; the look says so in the last one. */
#define SURVEY_USES_MAX 32
#define SURVEY_CANDIDATES_MAX 4

/* One thing that the host needs the device for, or (REASON_DATA_ON_DISK) may want to know of. */
struct device_use {
    enum reason reason;
    char *public_text; /* "nvme0n1p2 is mounted, through dm-0": without paths, processes, commands */
    char *text;        /* "nvme0n1p2 is mounted on /, through dm-0" */
};

/* A VFIO driver that is there or can be loaded. */
struct vfio_candidate {
    char *driver; /* "vfio-pci" */
    char *module; /* "vfio_pci" */
    bool loaded;
};

struct survey {
    struct device_use uses[SURVEY_USES_MAX];
    size_t n_uses;
    bool asked_for_drivers; /* the rest was looked for, too */
    struct vfio_candidate candidates[SURVEY_CANDIDATES_MAX]; /* best first */
    size_t n_candidates;
    enum reason problem; /* why no driver can take it; REASON_NONE */
    char *problem_text;
    enum vfio_reset vfio_reset; /* goes to the device; UNKNOWN where none was asked for */
    char *override; /* driver_override: "" for none, NULL where the bus has no overrides */
    int vfs;        /* sriov_numvfs, -1 where there is none */
    int autoprobe;  /* sriov_drivers_autoprobe, -1 where there is none */
};

/* NULL when out of memory. */
struct survey *survey_new(void);
struct survey *survey_free(struct survey *survey);
DEFINE_CLEANUP(struct survey *, survey_free)

/* 0 or -ENOMEM; what is beyond the limits above is dropped. Texts are copied. */
int survey_add_use(struct survey *survey, enum reason reason, const char *public_text,
                   const char *text);
int survey_add_candidate(struct survey *survey, const char *driver, const char *module, bool loaded);

/* What one look found about drivers is the newer one's too, which did not ask. */
void survey_keep_drivers(struct survey *newer, struct survey *older);

/* Both say the same of what the host needs. */
bool survey_uses_equal(const struct survey *one, const struct survey *other);
