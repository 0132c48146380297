/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device is in three places: the table by path, the table by name (as head of its name or on the
 * head's list) and its group's member list. Every change to it ends on dirty_devices, and its group
 * on dirty_groups, where the manager finds them once a loop turn. */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>

#include "model/device-streams.h"
#include "model/survey.h"
#include "util/string.h"

void model_init(struct model *model) {
    *model = (struct model){0};
}

static void device_free(struct device *device) {
    free(device->path);
    free(device->modalias);
    free(device->vfio_device);
    free(device->cdev);
    free(device->physfn);
    survey_free(device->survey);
    strings_free(device->compatible);
    free(device);
}
DEFINE_CLEANUP(struct device *, device_free)

struct device *model_device(const struct model *model, const char *path) {
    struct device *device;

    HASH_FIND(by_path, model->devices, path, strlen(path), device);
    return device;
}

struct device *model_vfio_device(const struct model *model, const char *vfio_device) {
    for (struct device *device = model->devices; device; device = device->by_path.next)
        if (string_equal(device->vfio_device, vfio_device))
            return device;
    return NULL;
}

struct group *model_group(const struct model *model, uint32_t id) {
    struct group *group;

    HASH_FIND(by_id, model->groups, &id, sizeof(id), group);
    return group;
}

void model_touch_group(struct model *model, struct group *group) {
    if (group->listed)
        return;
    group->listed = true;
    group->next_dirty = model->dirty_groups;
    model->dirty_groups = group;
}

static void touch_device(struct model *model, struct device *device, unsigned changes) {
    if (!changes)
        return;
    device->changes |= (uint8_t)changes;
    if (device->group)
        model_touch_group(model, device->group);
    if (changes & (DEVICE_GROUP | DEVICE_ROLE))
        device_streams_changed(model, device);
    if (device->listed)
        return;
    device->listed = true;
    device->next_dirty = model->dirty_devices;
    model->dirty_devices = device;
}

/* The group with this number, made if it is new. NULL when out of memory. */
static struct group *obtain_group(struct model *model, uint32_t id) {
    struct group *group = model_group(model, id);

    if (group)
        return group;
    group = calloc(1, sizeof(*group));
    if (!group)
        return NULL;
    group->id = id;
    HASH_ADD(by_id, model->groups, id, sizeof(group->id), group);
    if (!group->by_id.tbl) {
        free(group);
        return NULL;
    }
    model->n_groups++;
    model_touch_group(model, group);
    return group;
}

static void unlist_group(struct model *model, struct group *group) {
    struct group **at = &model->dirty_groups;

    while (*at && *at != group)
        at = &(*at)->next_dirty;
    if (*at)
        *at = group->next_dirty;
    group->listed = false;
}

static void remove_group(struct model *model, struct group *group) {
    HASH_DELETE(by_id, model->groups, group);
    model->n_groups--;
    if (group->listed)
        unlist_group(model, group);
    group->next_dirty = model->removed_groups;
    model->removed_groups = group;
}

static void leave_group(struct model *model, struct device *device) {
    struct group *group = device->group;
    struct device **at;

    if (!group)
        return;
    for (at = &group->members; *at != device;)
        at = &(*at)->next_member;
    *at = device->next_member;
    device->next_member = NULL;
    device->group = NULL;
    group->n_members--;
    if (group->members)
        model_touch_group(model, group);
    else
        remove_group(model, group);
}

static void join_group(struct model *model, struct device *device, struct group *group) {
    struct device **at = &group->members;

    while (*at && strcmp((*at)->path, device->path) < 0)
        at = &(*at)->next_member;
    device->next_member = *at;
    *at = device;
    device->group = group;
    group->n_members++;
    model_touch_group(model, group);
}

static int set_group(struct model *model, struct device *device, int64_t id) {
    struct group *group = NULL;

    if (device->group ? device->group->id == id : id == GROUP_NONE)
        return 0;
    if (id != GROUP_NONE && !(group = obtain_group(model, (uint32_t)id)))
        return -ENOMEM;
    leave_group(model, device);
    if (group)
        join_group(model, device, group);
    device->join_reported = false;
    touch_device(model, device, DEVICE_GROUP);
    return 0;
}

static int copy_compatible(struct device *device, const char *const *compatible) {
    for (size_t i = 0; compatible && compatible[i]; i++)
        if (strings_append(&device->compatible, compatible[i]) < 0)
            return -ENOMEM;
    return 0;
}

/* Everything that stays as it is for the life of a device. */
static int set_identity(struct model *model, struct device *device, const struct device_facts *facts) {
    device->path = strdup(facts->path);
    device->modalias = strdup(facts->modalias ?: "");
    device->bus = intern_string(&model->strings, facts->bus);
    device->removable = intern_string(&model->strings, facts->removable ?: "");
    device->reset_methods = intern_string(&model->strings, "");
    if (!device->path || !device->modalias || !device->bus || !device->removable ||
        !device->reset_methods || copy_compatible(device, facts->compatible) < 0)
        return -ENOMEM;
    device->name = path_basename(device->path);
    device->has_ids = facts->has_ids;
    device->vendor = facts->vendor;
    device->product = facts->product;
    device->subsystem_vendor = facts->subsystem_vendor;
    device->subsystem_product = facts->subsystem_product;
    device->class = facts->class;
    device->numa_node = facts->numa_node;
    device->has_msi_parent = facts->has_msi_parent;
    device->soiled_by = UID_NONE;
    if (facts->physfn && !(device->physfn = strdup(facts->physfn)))
        return -ENOMEM;
    return 0;
}

static int index_name(struct model *model, struct device *device) {
    struct device *head;

    HASH_FIND(by_name, model->names, device->name, strlen(device->name), head);
    if (head) {
        device->next_same_name = head->next_same_name;
        head->next_same_name = device;
        return 0;
    }
    HASH_ADD_KEYPTR(by_name, model->names, device->name, strlen(device->name), device);
    return device->by_name.tbl ? 0 : -ENOMEM;
}

static void unindex_name(struct model *model, struct device *device) {
    struct device *head, *next = device->next_same_name;

    HASH_FIND(by_name, model->names, device->name, strlen(device->name), head);
    device->next_same_name = NULL;
    if (!head)
        return; /* it could not be indexed */
    if (head != device) {
        while (head->next_same_name != device)
            head = head->next_same_name;
        head->next_same_name = next;
        return;
    }
    HASH_DELETE(by_name, model->names, device);
    if (next)
        HASH_ADD_KEYPTR(by_name, model->names, next->name, strlen(next->name), next);
}

/* A PF that is new may have VFs that were found before it. */
static void count_vfs(struct model *model, struct device *device) {
    struct device *pf = device->physfn ? model_device(model, device->physfn) : NULL;

    if (pf)
        pf->n_vfs++;
    model->n_vfs += device->physfn != NULL;
    for (struct device *vf = model->n_vfs ? model->devices : NULL; vf; vf = vf->by_path.next)
        device->n_vfs += string_equal(vf->physfn, device->path);
}

static void uncount_vfs(struct model *model, const struct device *device) {
    struct device *pf = device->physfn ? model_device(model, device->physfn) : NULL;

    if (pf)
        pf->n_vfs--;
    model->n_vfs -= device->physfn != NULL;
}

/* The kernel tells of a VF before it links it to its PF, so the first reading may have missed that. */
static int set_late_physfn(struct model *model, struct device *device, const struct device_facts *facts) {
    if (device->physfn || !facts->physfn)
        return 0;
    device->physfn = strdup(facts->physfn);
    if (!device->physfn)
        return -ENOMEM;
    struct device *pf = model_device(model, device->physfn);
    if (pf)
        pf->n_vfs++;
    model->n_vfs++;
    return 0;
}

static int add_device(struct model *model, const struct device_facts *facts, struct device **ret) {
    _cleanup_(device_freep) struct device *device = calloc(1, sizeof(*device));

    if (!device || set_identity(model, device, facts) < 0)
        return -ENOMEM;
    HASH_ADD_KEYPTR(by_path, model->devices, device->path, strlen(device->path), device);
    if (!device->by_path.tbl)
        return -ENOMEM;
    if (index_name(model, device) < 0) {
        HASH_DELETE(by_path, model->devices, device);
        return -ENOMEM;
    }
    model->n_devices++;
    count_vfs(model, device);
    if (device_streams_add(model, device, facts) < 0) {
        *ret = TAKE_POINTER(device);
        return -ENOMEM;
    }
    touch_device(model, device, DEVICE_ADDED);
    *ret = TAKE_POINTER(device);
    return 0;
}

/* What may change while the device stays. */
static int set_state(struct model *model, struct device *device, const struct device_facts *facts) {
    const char *driver = intern_string(&model->strings, facts->driver);
    const char *reset = intern_string(&model->strings, facts->reset_methods ?: "");
    _cleanup_(freep) char *vfio = facts->vfio_device ? strdup(facts->vfio_device) : NULL;
    unsigned changes = 0;

    if ((facts->driver && !driver) || !reset || (facts->vfio_device && !vfio))
        return -ENOMEM;
    enum role role = driver_role(driver, facts->vfio_device != NULL, device_is_bridge(device));
    if (driver != device->driver) {
        changes |= DEVICE_DRIVER;
        device->known_beside = false;
        device->survey = survey_free(device->survey); /* it was about the other driver's */
    }
    if (driver != device->conflict_driver)
        device->conflict_driver = NULL;
    if (role != device->role)
        changes |= DEVICE_ROLE;
    if (reset != device->reset_methods)
        changes |= DEVICE_RESET;
    if (!string_equal(vfio, device->vfio_device)) {
        char *old = device->vfio_device;
        device->vfio_device = TAKE_POINTER(vfio);
        free(old);
        free(TAKE_POINTER(device->cdev)); /* it was the old one's */
        changes |= DEVICE_VFIO;
    }
    device->driver = driver;
    device->reset_methods = reset;
    device->role = role;
    /* The kernel may have changed its mind with the drivers: the next claim asks it again. */
    if (changes && device->group)
        device->group->kernel_disagrees = false;
    touch_device(model, device, changes);
    return 0;
}

/* A path can come back as another device before its removal was noticed. */
static bool same_device(const struct device *device, const struct device_facts *facts) {
    return string_equal(device->bus, facts->bus) &&
           string_equal(device->modalias, facts->modalias ?: "");
}

int model_update_device(struct model *model, const struct device_facts *facts,
                        struct device **ret_device) {
    struct device *device = model_device(model, facts->path);
    int r = 0;

    if (device && !same_device(device, facts)) {
        model_remove_device(model, device);
        device = NULL;
    }
    bool added = !device;
    if (added)
        r = add_device(model, facts, &device);
    if (r >= 0)
        r = set_late_physfn(model, device, facts);
    if (r >= 0)
        r = set_state(model, device, facts);
    if (r >= 0)
        r = set_group(model, device, facts->group);
    if (r < 0) {
        if (added && device)
            model_remove_device(model, device);
        return r;
    }
    device->seen = true;
    if (ret_device)
        *ret_device = device;
    return 0;
}

static void unlist_device(struct model *model, struct device *device) {
    struct device **at = &model->dirty_devices;

    while (*at && *at != device)
        at = &(*at)->next_dirty;
    if (*at)
        *at = device->next_dirty;
    device->listed = false;
}

void model_remove_device(struct model *model, struct device *device) {
    device->group_id = device->group ? device->group->id : GROUP_NONE;
    if (device->listed)
        unlist_device(model, device);
    leave_group(model, device);
    device_streams_remove(model, device);
    unindex_name(model, device);
    HASH_DELETE(by_path, model->devices, device);
    model->n_devices--;
    uncount_vfs(model, device);
    device->next_dirty = model->removed_devices;
    model->removed_devices = device;
}

void model_update_group_facts(struct model *model, struct group *group,
                              const struct group_facts *facts) {
    if (string_equal(group->facts.type, facts->type) &&
        group->facts.direct_region == facts->direct_region)
        return;
    group->facts = *facts;
    model_touch_group(model, group);
}

void model_update_node(struct model *model, struct group *group, const struct node_facts *node) {
    if (memcmp(&group->node, node, sizeof(*node)) == 0)
        return;
    if (node->present != group->node.present)
        group->was_leased = group->lease != NULL;
    group->node = *node;
    model_touch_group(model, group);
}

int model_update_cdev(struct model *model, struct device *device, const struct node_facts *node) {
    if (!node->present) {
        if (device->cdev && device->group)
            model_touch_group(model, device->group);
        free(TAKE_POINTER(device->cdev));
        return 0;
    }
    if (device->cdev && memcmp(device->cdev, node, sizeof(*node)) == 0)
        return 0;
    if (!device->cdev && !(device->cdev = malloc(sizeof(*node))))
        return -ENOMEM;
    *device->cdev = *node;
    if (device->group)
        model_touch_group(model, device->group);
    return 0;
}

void model_take_survey(struct model *model, struct device *device, struct survey *survey) {
    if (!survey_uses_equal(device->survey, survey))
        touch_device(model, device, DEVICE_USES);
    survey_free(device->survey);
    device->survey = survey;
    if (survey->vfio_reset)
        device->vfio_reset = survey->vfio_reset;
}

void model_set_open(struct model *model, struct group *group, bool open) {
    if (group->open == open)
        return;
    group->open = open;
    group->open_unseen = false;
    group->foreign_reported = false;
    model_touch_group(model, group);
}

void model_set_lease(struct model *model, struct group *group, struct lease *lease) {
    group->lease = lease;
    group->was_leased = true;
    group->foreign_reported = false;
    for (struct device *member = group->members; member; member = member->next_member) {
        member->conflict_driver = NULL;
        member->join_reported = false;
    }
    device_streams_leased(group);
    model_touch_group(model, group);
}

void model_begin_scan(struct model *model) {
    for (struct device *device = model->devices; device; device = device->by_path.next)
        device->seen = false;
}

void model_end_scan(struct model *model) {
    struct device *device, *next;

    HASH_ITER(by_path, model->devices, device, next) {
        if (!device->seen)
            model_remove_device(model, device);
    }
}

void model_forget_changes(struct model *model) {
    struct device *device;
    struct group *group;

    while ((device = model->dirty_devices)) {
        model->dirty_devices = device->next_dirty;
        device->listed = false;
        device->changes = 0;
    }
    while ((group = model->dirty_groups)) {
        model->dirty_groups = group->next_dirty;
        group->listed = false;
    }
    while ((device = model->removed_devices)) {
        model->removed_devices = device->next_dirty;
        device_free(device);
    }
    while ((group = model->removed_groups)) {
        model->removed_groups = group->next_dirty;
        free(group);
    }
}

void model_done(struct model *model) {
    struct device *device, *next;

    HASH_ITER(by_path, model->devices, device, next) {
        model_remove_device(model, device);
    }
    model_forget_changes(model);
    model->tree = device_tree_free(model->tree);
    intern_done(&model->strings);
}
