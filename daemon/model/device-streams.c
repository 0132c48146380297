/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets depend on the tree and on which devices there are, not on groups or drivers: so they are found
 * again only when a device with streams comes or goes, and what they mean for a group is read off the
 * ring whenever somebody asks. */
#include "model/device-streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "util/string.h"

/* ---- Streams of one device */

static struct device_streams *streams_free(struct device_streams *streams) {
    if (streams) {
        free(streams->node);
        free(streams->streams);
        free(streams);
    }
    return NULL;
}
DEFINE_CLEANUP(struct device_streams *, streams_free)

static bool is_known(const struct device_streams *streams, const struct tree_stream *stream) {
    for (size_t i = 0; i < streams->n_streams; i++)
        if (memcmp(&streams->streams[i], stream, sizeof(*stream)) == 0)
            return true;
    return false;
}

/* A function's streams are those that its ids are mapped to. */
static int map_requesters(struct device_streams *streams, const struct device_tree *tree) {
    streams->streams = calloc(streams->n_requesters, sizeof(*streams->streams));
    if (!streams->streams)
        return -ENOMEM;
    for (unsigned i = 0; i < streams->n_requesters; i++) {
        struct tree_stream stream = {0};
        if (tree_map_requester(streams->master, tree, streams->requesters[i], &stream) &&
            !is_known(streams, &stream))
            streams->streams[streams->n_streams++] = stream;
    }
    return 0;
}

static int copy_streams(struct device_streams *streams) {
    const struct tree_master *master = streams->master;

    streams->streams = calloc(master->n_streams + 1, sizeof(*streams->streams));
    if (!streams->streams)
        return -ENOMEM;
    if (master->n_streams)
        memcpy(streams->streams, master->streams, master->n_streams * sizeof(*master->streams));
    streams->n_streams = master->n_streams;
    return 0;
}

static int read_tree(struct device_streams *streams, const struct device_tree *tree) {
    free(streams->streams);
    streams->streams = NULL;
    streams->n_streams = 0;
    streams->flags = 0;
    streams->master = tree ? device_tree_master(tree, streams->node) : NULL;
    streams->is_missing = tree && !streams->master && streams->names_iommus;
    if (!streams->master)
        return 0;
    return streams->n_requesters ? map_requesters(streams, tree) : copy_streams(streams);
}

int device_streams_add(struct model *model, struct device *device, const struct device_facts *facts) {
    if (!facts->tree_node)
        return 0;
    _cleanup_(streams_freep) struct device_streams *streams = calloc(1, sizeof(*streams));
    if (!streams || !(streams->node = strdup(facts->tree_node)))
        return -ENOMEM;
    memcpy(streams->requesters, facts->requesters, sizeof(streams->requesters));
    streams->n_requesters = facts->n_requesters;
    streams->names_iommus = facts->names_iommus;
    streams->next_in_set = device;
    if (read_tree(streams, model->tree) < 0)
        return -ENOMEM;
    model->sets_are_stale = true;
    device->streams = TAKE_POINTER(streams);
    return 0;
}

static void leave_set(struct device *device) {
    struct device *before = device;

    while (before->streams->next_in_set != device)
        before = before->streams->next_in_set;
    before->streams->next_in_set = device->streams->next_in_set;
    device->streams->next_in_set = device;
}

void device_streams_remove(struct model *model, struct device *device) {
    if (!device->streams)
        return;
    device_streams_changed(model, device);
    leave_set(device);
    model->sets_are_stale = true;
    device->streams = streams_free(device->streams);
}

void device_streams_changed(struct model *model, const struct device *device) {
    if (!device->streams)
        return;
    for (struct device *other = device->streams->next_in_set; other != device;
         other = other->streams->next_in_set)
        if (other->group)
            model_touch_group(model, other->group);
}

int model_set_tree(struct model *model, struct device_tree *tree, bool is_unreadable) {
    int r = 0;

    device_tree_free(model->tree);
    model->tree = tree;
    model->tree_is_unreadable = is_unreadable;
    model->sets_are_stale = true;
    for (struct device *device = model->devices; device; device = device->by_path.next) {
        if (!device->streams)
            continue;
        /* Nobody takes it out of its ring if it is not in this tree. */
        device->streams->next_in_set = device;
        if (device->group)
            model_touch_group(model, device->group);
        if (read_tree(device->streams, tree) < 0)
            r = -ENOMEM;
    }
    if (r < 0)
        model->tree_is_unreadable = true; /* nobody is isolated for want of memory */
    return r;
}

/* ---- Members */

void isolation_members_done(struct isolation_member *members, size_t n_members) {
    for (size_t i = 0; i < n_members; i++)
        free((char *)members[i].device);
    free(members);
}

static void fill(struct isolation_member *member, const struct device *device) {
    *member = (struct isolation_member){
        .master = device->streams->master,
        .streams = device->streams->streams,
        .n_streams = device->streams->n_streams,
        .is_function = device->streams->n_requesters,
        .group = device->group ? device->group->id : GROUP_NONE,
        .driver = device->driver,
        .role = device->role,
        .set = SET_NONE,
    };
}

static int by_path(const void *a, const void *b) {
    return strcmp((*(struct device *const *)a)->path, (*(struct device *const *)b)->path);
}

/* Devices of which the tree says something, in the order of their paths. */
static int list_devices(const struct model *model, struct device ***ret, size_t *ret_n) {
    struct device **devices = calloc(model->n_devices + 1, sizeof(struct device *));
    size_t n = 0;

    if (!devices)
        return -ENOMEM;
    for (struct device *device = model->devices; device; device = device->by_path.next)
        if (device->streams && device->streams->master)
            devices[n++] = device;
    qsort(devices, n, sizeof(struct device *), by_path);
    *ret = devices;
    *ret_n = n;
    return 0;
}

int model_isolation_members(const struct model *model, struct isolation_member **ret, size_t *ret_n) {
    _cleanup_(freep) struct device **devices = NULL;
    size_t n = 0;

    if (list_devices(model, &devices, &n) < 0)
        return -ENOMEM;
    struct isolation_member *members = calloc(n + 1, sizeof(*members));
    for (size_t i = 0; members && i < n; i++) {
        fill(&members[i], devices[i]);
        members[i].device = string_format("%s/%s", devices[i]->bus, devices[i]->name);
        if (!members[i].device) {
            isolation_members_done(members, i);
            members = NULL;
        }
    }
    if (!members)
        return -ENOMEM;
    *ret = members;
    *ret_n = n;
    return 0;
}

/* ---- Sets */

/* Links each device behind the last one that was met of its set. */
static void link_rings(struct device **devices, const struct isolation_member *members, size_t n,
                       struct device **last) {
    for (size_t i = 0; i < n; i++) {
        struct device_streams *streams = devices[i]->streams;
        struct device **of_set = members[i].set == SET_NONE ? NULL : &last[members[i].set];
        streams->flags = members[i].flags;
        streams->next_in_set = devices[i];
        if (of_set && *of_set) {
            streams->next_in_set = (*of_set)->streams->next_in_set;
            (*of_set)->streams->next_in_set = devices[i];
        }
        if (of_set)
            *of_set = devices[i];
    }
}

/* Whoever was in a set, or is in one now, may be isolated or not any more. */
static void touch_groups(struct model *model, struct device **devices, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (devices[i]->group)
            model_touch_group(model, devices[i]->group);
}

static int find_sets(struct model *model, struct device **devices, size_t n) {
    _cleanup_(freep) struct isolation_member *members = calloc(n + 1, sizeof(*members));
    _cleanup_(freep) struct device **last = calloc(n + 1, sizeof(struct device *));
    size_t n_sets;

    if (!members || !last)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        fill(&members[i], devices[i]);
    if (n > 0 && isolation_find_sets(model->tree, members, n, &n_sets) < 0)
        return -ENOMEM;
    link_rings(devices, members, n, last);
    touch_groups(model, devices, n);
    return 0;
}

/* Whose streams the device shares is not known, so it may be anybody's. */
static bool some_node_is_missing(const struct model *model) {
    for (const struct device *device = model->devices; device; device = device->by_path.next)
        if (device->streams && device->streams->is_missing)
            return true;
    return false;
}

int model_find_sets(struct model *model) {
    _cleanup_(freep) struct device **devices = NULL;
    size_t n = 0;

    if (!model->sets_are_stale)
        return 0;
    model->node_is_missing = some_node_is_missing(model);
    if (list_devices(model, &devices, &n) < 0 || find_sets(model, devices, n) < 0)
        return -ENOMEM;
    model->sets_are_stale = false;
    return 0;
}

/* ---- What they mean for a group */

enum reason sharing_reason(enum sharing sharing) {
    static const enum reason reasons[] = {
        [SHARING_NONE] = REASON_NONE,
        [SHARING_PENDING] = REASON_PENDING,
        [SHARING_HALF] = REASON_HALF,
        [SHARING_SPLIT] = REASON_SPLIT,
    };

    return reasons[sharing];
}

enum sharing device_sharing(const struct device *other, const struct group *group) {
    if (other->group == group)
        return SHARING_NONE;
    if (other->group)
        return SHARING_SPLIT;
    return other->role == ROLE_FREE || other->role == ROLE_PASSIVE ? SHARING_PENDING : SHARING_HALF;
}

/* The first of the group's devices in this ring: the others lead to the same outsiders. */
static bool is_first_of_ring(const struct device *member) {
    for (const struct device *earlier = member->group->members; earlier != member;
         earlier = earlier->next_member) {
        const struct device *at = member->streams->next_in_set;
        while (at != member && at != earlier)
            at = at->streams->next_in_set;
        if (at == earlier)
            return false;
    }
    return true;
}

static const struct device *next_in_ring(const struct device *member, const struct device *at) {
    do
        at = at->streams->next_in_set;
    while (at != member && at->group == member->group);
    return at == member ? NULL : at;
}

const struct device *group_next_outsider(const struct group *group, const struct device **member,
                                         const struct device *other) {
    const struct device *at = *member;

    if (at && (other = next_in_ring(at, other)))
        return other;
    for (at = at ? at->next_member : group->members; at; at = at->next_member) {
        if (!at->streams || at->streams->next_in_set == at || !is_first_of_ring(at))
            continue;
        if ((other = next_in_ring(at, at))) {
            *member = at;
            return other;
        }
    }
    return NULL;
}

bool group_isolation_is_unknown(const struct model *model, const struct group *group) {
    bool unknown = model->tree_is_unreadable || model->sets_are_stale || model->node_is_missing;

    for (const struct device *member = group->members; unknown && member; member = member->next_member)
        if (member->streams)
            return true;
    return false;
}

enum sharing group_sharing(const struct model *model, const struct group *group) {
    const struct device *member = NULL, *other = NULL;
    enum sharing nearest = SHARING_NONE;

    if (group_isolation_is_unknown(model, group))
        return SHARING_SPLIT;
    while ((other = group_next_outsider(group, &member, other))) {
        enum sharing sharing = device_sharing(other, group);
        nearest = sharing > nearest ? sharing : nearest;
    }
    return nearest;
}

void device_streams_leased(const struct group *group) {
    for (const struct device *member = group->members; member; member = member->next_member)
        for (struct device *other = member->streams ? member->streams->next_in_set : NULL;
             other && other != member; other = other->streams->next_in_set)
            if (other->group != group) {
                other->conflict_driver = other->driver;
                other->known_beside = other->role == ROLE_KERNEL;
            }
}
