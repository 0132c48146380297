/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of reserve.h. */

#include "kernel/sysfs.h"
#include "policy/policy.h"
#include "reserve.h"

/* ---- reserve-policy.c */

/* True if the policy in this folder may have a rule with "reserve". Cheap, and may err on the side of
 * true. */
bool reserve_policy_may_apply(const char *directory);

/* Reads the policy, without the user database: it may not answer yet when the machine boots, and for
 * whom a device is reserved does not matter here. Faults are logged; POLICY_INVALID, or a negative
 * errno. */
int reserve_policy_load(const char *directory, struct policy **ret);

/* What a rule can match. Borrowed from the reading. */
struct policy_device reserve_policy_view(const struct device_reading *reading);

/* The rule that reserves the device; NULL for none, and for PCI bridges. */
const struct policy_rule *reserve_rule(const struct policy *policy, const struct device_reading *reading);

/* ---- reserve-bind.c */

/* One run. */
struct reserve {
    struct reserve_options options;
    int sysfs;
    int state; /* the folder */
    char boot_id[37];
    struct policy *policy;
    bool scanning; /* all devices, each of which has a run of its own to come */
};

/* Says why a device is left to the host, in a sentence without its full stop; once, and so not while
 * scanning. */
void reserve_refuse(const struct reserve *reserve, const struct device_reading *device,
                    const char *format, ...) _printf_(3, 4);

/* Gives a device without a driver to the VFIO driver that the rule wants, and leaves the marker. 1: that
 * driver has it; 0: it could not be (logged), and everything is as it was; negative errno. */
int reserve_bind(const struct reserve *reserve, const struct device_reading *device,
                 const struct policy_rule *rule);

/* Takes that back: no driver has the device afterwards but one that the kernel finds for it. */
int reserve_undo(const struct reserve *reserve, const struct device_reading *device);

/* Writes a marker of three lines. value may be "". */
int reserve_mark(const struct reserve *reserve, const char *prefix, const char *name, const char *value,
                 const char *path);
void reserve_unmark(const struct reserve *reserve, const char *prefix, const char *name);
/* The second line of a marker of this boot, into value. -ENOENT without one. */
int reserve_read_mark(const struct reserve *reserve, const char *prefix, const char *name, char *value,
                      size_t size);

#define RESERVE_MARK "reserved-"
#define AUTOPROBE_MARK "autoprobe-"

/* One write to an attribute below the device. */
int reserve_write(int sysfs, const char *device_path, const char *attribute, const char *text);

/* ---- reserve-group.c */

/* Whether policy reserves all of the device's group, and nobody has it. 1: yes; 0: no, and a line in the
 * log says why; negative errno. */
int reserve_group_agrees(const struct reserve *reserve, const struct device_reading *device);
