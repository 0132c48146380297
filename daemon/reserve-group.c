/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A group goes as a whole or not at all. */
#include "reserve-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/usage.h"
#include "model/driver-role.h"
#include "record/state-json.h"
#include "util/fd.h"
#include "util/pci-class.h"
#include "util/string.h"

#define USAGE_SIZE_MAX (64 * 1024)

struct question {
    const struct reserve *reserve;
    const struct device_reading *device;
};

/* On the way to the devices, and no obstacle: PCI bridges that nothing but pcieport drives. */
static bool is_passed_over(const struct device_facts *facts) {
    return facts->has_ids && pci_class_is_bridge(facts->class) &&
           (!facts->driver || string_equal(facts->driver, "pcieport"));
}

/* What usage_write said: 1 with the text of the first use. */
static int first_use(int output, char **ret) {
    _cleanup_(freep) char *text = calloc(1, USAGE_SIZE_MAX);
    char *rest = text, *line;

    if (!text)
        return -ENOMEM;
    if (pread(output, text, USAGE_SIZE_MAX - 1, 0) < 0)
        return -errno;
    while ((line = strsep(&rest, "\n"))) {
        struct usage_line use;
        if (usage_parse(line, &use) != 1 || reason_outcome(use.reason) != OUTCOME_DEVICE_IN_USE)
            continue;
        *ret = strdup(use.text);
        return *ret ? 1 : -ENOMEM;
    }
    return 0;
}

/* The same questions as before a detachment. Without a driver little is left that can be in use: the
 * boot display, for one. */
static int is_in_use(const struct question *question, const struct device_reading *member) {
    const char *const paths[] = {member->path};
    _cleanup_(fd_closep) int output = memfd_create("usage", MFD_CLOEXEC);
    _cleanup_(freep) char *text = NULL;

    if (output < 0)
        return -errno;
    int r = usage_write(output, question->reserve->sysfs, paths, ELEMENTS_OF(paths));
    if (r >= 0)
        r = first_use(output, &text);
    if (r > 0)
        reserve_refuse(question->reserve, question->device, "%s is in use: %s",
                       path_basename(member->path), text);
    return r;
}

/* 1 if it can not go with the group. */
static int judge_member(const struct question *question, const struct device_reading *member) {
    const struct device_facts *facts = &member->facts;
    const char *name = path_basename(member->path);
    long long group = question->device->facts.group;

    if (!reserve_rule(question->reserve->policy, member)) {
        reserve_refuse(question->reserve, question->device,
                       "policy reserves it, but not %s, which is in the same group %lld; a group goes as "
                       "a whole",
                       name, group);
        return 1;
    }
    if (driver_role(facts->driver, facts->vfio_device, false) == ROLE_KERNEL) {
        reserve_refuse(question->reserve, question->device,
                       "%s of the same group %lld has the driver %s already; dmaownd detaches the group "
                       "when it starts, if nothing uses it",
                       name, group, facts->driver);
        return 1;
    }
    return is_in_use(question, member);
}

/* 0 goes on; 1 ends it. */
static int look_at_member(const char *path, void *userdata) {
    const struct question *question = userdata;
    struct device_reading member;
    int r = sysfs_read_device(question->reserve->sysfs, path, &member);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    return is_passed_over(&member.facts) ? 0 : judge_member(question, &member);
}

static bool lease_has_group(const struct reserve *reserve, const char *name, uint32_t group) {
    _cleanup_(lease_freep) struct lease *lease = NULL;
    _cleanup_(freep) char *text = NULL;
    const char *fault;
    size_t size;

    if (file_read(reserve->state, name, STATE_FILE_SIZE_MAX, &text, &size) < 0 ||
        lease_from_json(text, size, reserve->boot_id, &lease, &fault) != 0)
        return false;
    for (size_t i = 0; i < lease->n_groups; i++)
        if (lease->groups[i].id == group && !lease->groups[i].lost)
            return true;
    return false;
}

/* A device that joins a leased group would be the holder's: what joins is the daemon's matter then. */
static int group_is_leased(const struct reserve *reserve, uint32_t group) {
    _cleanup_(closedirp) DIR *folder = NULL;
    struct dirent *entry;
    int r = directory_open(reserve->state, ".", &folder);

    while (r >= 0 && (entry = directory_next(folder)))
        if (string_after(entry->d_name, "lease-") &&
            lease_has_group(reserve, entry->d_name, group))
            return 1;
    return r;
}

int reserve_group_agrees(const struct reserve *reserve, const struct device_reading *device) {
    struct question question = {reserve, device};
    uint32_t group = (uint32_t)device->facts.group;
    int r = sysfs_list_members(reserve->sysfs, group, look_at_member, &question);

    if (r != 0)
        return r < 0 && r != -ENOENT ? r : 0;
    r = group_is_leased(reserve, group);
    if (r > 0)
        reserve_refuse(reserve, device, "it joins group %u, which is leased", group);
    return r < 0 ? r : r == 0;
}
