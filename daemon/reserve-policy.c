/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The policy as it matters when devices are added. */
#include "reserve-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "record/audit.h"
#include "util/fd.h"
#include "util/pci-class.h"
#include "util/string.h"
#include "util/user.h"

/* A key has no other spelling: escapes in one are an error. */
static bool file_may_apply(int folder, const char *name) {
    _cleanup_(freep) char *text = NULL;
    int r = file_read(folder, name, POLICY_FILE_SIZE_MAX, &text, NULL);

    return r == 0 && strstr(text, "\"reserve\"");
}

bool reserve_policy_may_apply(const char *directory) {
    _cleanup_(fd_closep) int folder = fd_open_directory(AT_FDCWD, directory);
    _cleanup_(closedirp) DIR *more = NULL;
    struct dirent *entry;
    bool found = folder >= 0 && file_may_apply(folder, "policy.json");

    if (folder < 0 || found || directory_open(folder, "policy.d", &more) < 0)
        return found;
    while (!found && (entry = directory_next(more)))
        found = file_may_apply(dirfd(more), entry->d_name);
    return found;
}

/* Ids for names that only a user database would know: each its own, so that rules can be compared, and
 * far from those that people have. */
struct made_up {
    char **names;
    uint32_t first;
};

static int make_up(struct made_up *made_up, const char *name, uint32_t *ret) {
    size_t n = strings_length(made_up->names);

    for (size_t i = 0; i < n; i++)
        if (string_equal(made_up->names[i], name)) {
            *ret = made_up->first + (uint32_t)i;
            return 0;
        }
    int r = strings_append(&made_up->names, name);
    if (r >= 0)
        *ret = made_up->first + (uint32_t)n;
    return r;
}

/* The database can hang for as long as a network is not there. */
static int find_user(void *userdata, const char *name, uid_t *ret) {
    return user_find_in_file(name, ret) == 0 ? 0 : make_up(userdata, name, ret);
}

static int find_group(void *userdata, const char *name, gid_t *ret) {
    return group_find_in_file(name, ret) == 0 ? 0 : make_up(userdata, name, ret);
}

static void log_first_error(const struct policy_report *report) {
    const struct policy_message *error = policy_report_first_error(report);
    _cleanup_(freep) char *text = error ? policy_message_format(error) : NULL;

    log_message(LOG_ERR, "No device is kept for userspace, because the policy is faulty: %s",
                text ?: "it could not be read.");
}

int reserve_policy_load(const char *directory, struct policy **ret) {
    struct made_up made_up = {.first = 4000000000};
    struct policy_names names = {.user = find_user, .group = find_group, .userdata = &made_up};
    _cleanup_(policy_report_done) struct policy_report report = {0};
    int r = policy_load(directory, &names, ret, &report);

    strings_free(made_up.names);
    if (r == POLICY_INVALID)
        log_first_error(&report);
    return r;
}

struct policy_device reserve_policy_view(const struct device_reading *reading) {
    const struct device_facts *facts = &reading->facts;

    return (struct policy_device){
        .bus = facts->bus,
        .name = path_basename(facts->path),
        .path = facts->path,
        .driver = facts->driver,
        .modalias = facts->modalias,
        .compatible = facts->compatible,
        .has_ids = facts->has_ids,
        .vendor = facts->vendor,
        .product = facts->product,
        .subsystem_vendor = facts->subsystem_vendor,
        .subsystem_product = facts->subsystem_product,
        .class = facts->class,
        .numa_node = facts->numa_node,
        .removable = facts->removable,
    };
}

const struct policy_rule *reserve_rule(const struct policy *policy,
                                       const struct device_reading *reading) {
    struct policy_device view = reserve_policy_view(reading);

    /* No VFIO driver takes one. */
    if (view.has_ids && pci_class_is_bridge(view.class))
        return NULL;
    return policy_reserves(policy, &view);
}
