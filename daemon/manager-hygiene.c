/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that a user had open may go on writing to memory, or hold what it was told. It is reset before
 * somebody else gets it; who had it last outlives the daemon. */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "kernel/reset.h"
#include "util/fd.h"
#include "util/string.h"

/* ---- who had what */

static char *list_soiled(const struct manager *manager) {
    char *text = strdup("");

    for (const struct device *device = manager->model.devices; text && device;
         device = device->by_path.next) {
        if (device->soiled_by == UID_NONE)
            continue;
        char *longer = string_format("%s%u %d %s\n", text, device->soiled_by, device->reset_failed,
                                     device->path);
        free(text);
        text = longer;
    }
    return text;
}

static void save_soiled(struct manager *manager) {
    _cleanup_(freep) char *text = list_soiled(manager);
    int r = text ? state_write_soiled(manager->state, text) : -ENOMEM;

    if (r < 0)
        log_message(LOG_ERR, "Which devices are to be reset can not be written down: %s.",
                    strerror(-r));
}

static void take_soiled_line(struct manager *manager, char *line) {
    const char *uid = strsep(&line, " "), *failed = strsep(&line, " ");
    struct device *device = line ? model_device(&manager->model, line) : NULL;
    uint32_t number;

    if (!device || parse_u32(uid, &number) < 0)
        return;
    device->soiled_by = number;
    device->reset_failed = string_equal(failed, "1");
}

int manager_load_soiled(struct manager *manager) {
    _cleanup_(freep) char *text = NULL;
    int r = state_read_soiled(manager->state, &text);
    char *rest = text, *line;

    if (r < 0 && r != -ENOENT && r != -ENOMEM)
        log_message(LOG_ERR, "Which devices are to be reset can not be read: %s.", strerror(-r));
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    while ((line = strsep(&rest, "\n")))
        if (*line)
            take_soiled_line(manager, line);
    return 0;
}

/* What the daemon before this one saw of opens is not known: then it is taken to have been opened. */
static bool was_opened(const struct lease *lease, const struct lease_group *group) {
    return lease->mode == POLICY_MODE_FD || lease->interface == LEASE_INTERFACE_CDEV ||
           group->opened;
}

/* vfio-platform and vfio-amba open no device whose reset handler fails, if it has one at all; vfio-fsl-mc
 * resets what was closed, and what mediates a device keeps its users apart. vfio-pci tries, and tells
 * nobody whether it could. A driver that went waited for the last close. */
static bool is_reset_by_vfio(const struct manager *manager, const struct device *device) {
    bool platform = string_equal(device->bus, "platform");
    struct vfio_demands demands;

    if (!platform && !string_equal(device->bus, "amba"))
        return !string_equal(device->bus, "pci");
    vfio_demands_read(manager->sysfs, NULL, &demands);
    return device_is_reset_by(device, device->driver ?: platform ? "vfio-platform" : "vfio-amba", &demands);
}

unsigned manager_count_enabled(const struct manager *manager, const struct device *device) {
    char path[PATH_MAX], text[16];
    uint32_t count;

    if ((size_t)snprintf(path, sizeof(path), "%s/enable", device->path) >= sizeof(path) ||
        attribute_read(manager->sysfs, path, text, sizeof(text)) <= 0 || parse_u32(text, &count) < 0)
        return 0;
    return count;
}

static void sample_group(struct manager *manager, struct lease_group *group) {
    const struct group *known = model_group(&manager->model, group->id);

    if (group->opened || group->lost || !known)
        return;
    for (const struct device *member = known->members; member; member = member->next_member)
        if (member->role == ROLE_USER && manager_count_enabled(manager, member) > 0)
            group->opened = true;
}

void manager_sample_opens(struct manager *manager, struct lease *lease) {
    for (size_t i = 0; lease->mode == POLICY_MODE_PATH && i < lease->n_groups; i++)
        sample_group(manager, &lease->groups[i]);
}

/* A device without a VFIO driver could not be opened, unless that driver was taken from it since: by a
 * revocation, as far as a daemon knows that was not there when the lease was granted. */
static bool soil(struct manager *manager, const struct lease *lease, const char *path) {
    struct device *device = model_device(&manager->model, path);
    bool lent = device && (device->lent || device->role == ROLE_USER ||
                           (lease->unbind && device->role == ROLE_FREE));

    if (!lent || device_is_bridge(device) || is_reset_by_vfio(manager, device))
        return false;
    device->lent = false;
    bool changes = device->soiled_by != lease->holder || device->reset_failed;
    device->soiled_by = lease->holder;
    device->reset_failed = false;
    return changes;
}

/* A VFIO device that joined the group is reached through the group's fd. */
static bool soil_joined(struct manager *manager, const struct lease *lease, uint32_t id) {
    const struct group *group = model_group(&manager->model, id);
    bool changes = false;

    for (const struct device *member = group ? group->members : NULL; member;
         member = member->next_member)
        if (member->role == ROLE_USER)
            changes = soil(manager, lease, member->path) || changes;
    return changes;
}

void manager_note_soiled(struct manager *manager, const struct lease *lease) {
    bool changes = false;

    if (lease->holder == 0)
        return;
    for (size_t i = 0; i < lease->n_groups; i++) {
        if (lease->groups[i].lost || !was_opened(lease, &lease->groups[i]))
            continue;
        for (char **path = lease->groups[i].devices; path && *path; path++)
            changes = soil(manager, lease, *path) || changes;
        changes = soil_joined(manager, lease, lease->groups[i].id) || changes;
    }
    if (changes)
        save_soiled(manager);
}

void manager_note_clean(struct manager *manager, const char *path) {
    struct device *device = model_device(&manager->model, path);

    if (!device || device->soiled_by == UID_NONE)
        return;
    device->soiled_by = UID_NONE;
    device->reset_failed = false;
    save_soiled(manager);
}

/* ---- cleaning */

/* The manager's own: a reset that is under way goes on when whoever asked for it has left, and nobody is
 * granted the groups meanwhile. */
struct manager_cleaning {
    struct manager *manager;
    struct cleaning_device {
        struct manager_cleaning *cleaning;
        char *path;
        struct worker *worker;
    } *devices;
    size_t n, running;
    uint32_t groups[CLAIM_GROUPS_MAX]; /* nobody else's meanwhile */
    size_t n_groups;
    manager_surveyed *done; /* NULL: nobody waits */
    void *userdata;
    struct manager_cleaning *next; /* manager::cleanings */
};

static bool needs_cleaning(const struct claim *claim, const struct device *device) {
    return device_is_soiled_for(device, claim->holder.uid) && !device->reset_failed &&
           *device->reset_methods;
}

bool manager_needs_cleaning(const struct claim *claim) {
    for (size_t i = 0; i < claim->n_groups; i++)
        for (const struct device *member = claim->groups[i]->members; member;
             member = member->next_member)
            if (needs_cleaning(claim, member))
                return true;
    return false;
}

static int clean(int output, void *userdata) {
    const struct cleaning_device *device = userdata;
    _cleanup_(fd_closep) int sysfs = fd_open_directory(
        AT_FDCWD, device->cleaning->manager->options.sysfs_directory);

    return sysfs < 0 ? sysfs : device_clean(sysfs, device->path);
}

static void note_failed(struct manager *manager, const char *path, int error) {
    struct device *device = model_device(&manager->model, path);

    if (!device)
        return;
    device->reset_failed = true;
    save_soiled(manager);
    log_message(LOG_WARNING, "Device %s, which uid %u had open, can not be reset: %s.", device->name,
                device->soiled_by, strerror(-error));
}

static struct manager_cleaning *cleaning_free(struct manager_cleaning *cleaning);

static void on_clean(int result, const char *output, size_t size, void *userdata) {
    struct cleaning_device *device = userdata;
    struct manager_cleaning *cleaning = device->cleaning;

    device->worker = NULL;
    if (result < 0)
        note_failed(cleaning->manager, device->path, result);
    else
        manager_note_clean(cleaning->manager, device->path);
    if (--cleaning->running)
        return;
    manager_surveyed *done = cleaning->done;
    void *data = cleaning->userdata;
    cleaning_free(cleaning);
    if (done)
        done(0, data);
}

static void mark_groups(struct manager_cleaning *cleaning, bool cleaned) {
    for (size_t i = 0; i < cleaning->n_groups; i++) {
        struct group *group = model_group(&cleaning->manager->model, cleaning->groups[i]);
        if (group && cleaned)
            group->switching++;
        else if (group && group->switching)
            group->switching--;
    }
}

static struct manager_cleaning *cleaning_free(struct manager_cleaning *cleaning) {
    if (!cleaning)
        return NULL;
    for (struct manager_cleaning **at = &cleaning->manager->cleanings; *at; at = &(*at)->next)
        if (*at == cleaning) {
            *at = cleaning->next;
            break;
        }
    mark_groups(cleaning, false);
    for (size_t i = 0; i < cleaning->n; i++) {
        worker_free(cleaning->devices[i].worker);
        free(cleaning->devices[i].path);
    }
    free(cleaning->devices);
    free(cleaning);
    return NULL;
}
DEFINE_CLEANUP(struct manager_cleaning *, cleaning_free)

void manager_abandon_cleaning(struct manager_cleaning *cleaning) {
    if (cleaning)
        cleaning->done = NULL;
}

void manager_free_cleanings(struct manager *manager) {
    while (manager->cleanings)
        cleaning_free(manager->cleanings);
}

static int start_cleaning(struct manager_cleaning *cleaning, const struct device *device) {
    struct cleaning_device *added = &cleaning->devices[cleaning->n++];

    *added = (struct cleaning_device){.cleaning = cleaning, .path = strdup(device->path)};
    if (!added->path)
        return -ENOMEM;
    int r = worker_start_unlimited(cleaning->manager->loop, clean, on_clean, added, &added->worker);
    cleaning->running += r >= 0;
    return r;
}

int manager_clean(struct manager *manager, const struct claim *claim, manager_surveyed *done,
                  void *userdata, struct manager_cleaning **ret) {
    _cleanup_(cleaning_freep) struct manager_cleaning *cleaning =
        calloc(1, sizeof(*cleaning));
    size_t room = 0;

    if (!cleaning)
        return -ENOMEM;
    cleaning->manager = manager;
    cleaning->done = done;
    cleaning->userdata = userdata;
    for (size_t i = 0; i < claim->n_groups; i++)
        room += claim->groups[i]->n_members;
    cleaning->devices = calloc(room, sizeof(*cleaning->devices));
    if (!cleaning->devices)
        return -ENOMEM;
    for (size_t i = 0; i < claim->n_groups; i++)
        for (const struct device *member = claim->groups[i]->members; member;
             member = member->next_member)
            if (needs_cleaning(claim, member)) {
                int r = start_cleaning(cleaning, member);
                if (r < 0)
                    return r;
            }
    for (size_t i = 0; i < claim->n_groups; i++)
        cleaning->groups[cleaning->n_groups++] = claim->groups[i]->id;
    mark_groups(cleaning, true);
    cleaning->next = manager->cleanings;
    manager->cleanings = cleaning;
    *ret = TAKE_POINTER(cleaning);
    return 0;
}
