/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/state-json.h"
#include "util/string.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

_Static_assert(MODE_PATH == (int)POLICY_MODE_PATH && MODE_FD == (int)POLICY_MODE_FD, "modes");
_Static_assert(LIFETIME_CONNECTION == (int)POLICY_LIFETIME_CONNECTION &&
                   LIFETIME_FD == (int)POLICY_LIFETIME_FD &&
                   LIFETIME_PROCESS == (int)POLICY_LIFETIME_PROCESS &&
                   LIFETIME_PERSISTENT == (int)POLICY_LIFETIME_PERSISTENT,
               "lifetimes");

bool subject_must(struct subject *subject, bool condition, const char *what) {
    if (!condition && !subject->broken)
        subject->broken = what;
    return condition;
}

/* ---- Policies */

static int find_user(void *userdata, const char *name, uid_t *ret) {
    for (unsigned i = 0; i < N_USERS; i++)
        if (string_equal(name, user_names[i])) {
            *ret = user_ids[i];
            return 0;
        }
    return -ENOENT;
}

static int find_unix_group(void *userdata, const char *name, gid_t *ret) {
    if (!string_equal(name, "dmaown"))
        return -ENOENT;
    *ret = DMAOWN_GID;
    return 0;
}

static bool parse_policy(unsigned i, struct policy **ret) {
    const struct policy_names names = {
        .user = find_user, .group = find_unix_group, .strict = true};
    _cleanup_(policy_report_done) struct policy_report report = {0};
    char text[4096];

    policy_write(i, text, sizeof(text));
    int r = policy_parse_buffer("policy.json", text, strlen(text), &names, ret, &report);
    if ((r == 0) == (i != POLICY_BAD) && report.n_warnings == 0)
        return true;
    printf("# policy %u:\n%s", i, text);
    for (size_t k = 0; k < report.n_messages; k++)
        printf("# %s\n", report.messages[k].text);
    return false;
}

static void start_empty(struct subject *subject) {
    model_init(&subject->model);
    subject->host = (struct verdict_host){
        .has_iommu = true, .enforces = true, .remaps_interrupts = true,
        .vfio.reset_required = true};
    subject->policy = subject->policies[0];
    subject->policy_file = 0;
    subject->next_id = 1;
    subject->up = true;
    subject->broken = NULL;
    memset(subject->dropped, 0, sizeof(subject->dropped));
}

bool subject_init(struct subject *subject) {
    *subject = (struct subject){0};
    for (unsigned i = 0; i < N_POLICIES; i++)
        if (!parse_policy(i, &subject->policies[i]))
            return false;
    start_empty(subject);
    return true;
}

static void forget_saved(struct subject *subject) {
    while (subject->n_saved > 0)
        free(subject->saved[--subject->n_saved]);
}

void subject_reset(struct subject *subject) {
    lease_book_done(&subject->book);
    model_done(&subject->model);
    forget_saved(subject);
    start_empty(subject);
}

void subject_done(struct subject *subject) {
    subject_reset(subject);
    model_done(&subject->model);
    for (unsigned i = 0; i < N_POLICIES; i++)
        policy_free(subject->policies[i]);
}

/* ---- Facts */

static void read_place(struct subject *subject, const struct naive *kernel, unsigned i) {
    const struct naive_place *place = &kernel->places[i];
    bool vfio = place->driver == DRIVER_VFIO || place->driver == DRIVER_VARIANT;
    struct device_facts facts = {
        .path = places[i].path,
        .bus = bus_names[places[i].bus],
        .driver = driver_names[places[i].bus][place->driver],
        .modalias = "",
        .vfio_device = vfio && i % 2 ? "vfio0" : NULL, /* before 6.1 there is none */
        .reset_methods = places[i].reset,
        .group = place->group == NO_GROUP ? GROUP_NONE : FIRST_GROUP + place->group,
        .has_ids = places[i].bus == BUS_PCI,
        .class = places[i].class,
        .numa_node = -1,
    };
    struct device *device = model_device(&subject->model, places[i].path);

    if (place->present)
        subject_must(subject, model_update_device(&subject->model, &facts, NULL) == 0,
                     "a device is not taken in");
    else if (device)
        model_remove_device(&subject->model, device);
}

static void read_node(struct subject *subject, const struct naive *kernel, int id) {
    const struct naive_group *known = &kernel->groups[id];
    struct group *group = model_group(&subject->model, (uint32_t)(FIRST_GROUP + id));
    struct group_facts facts = {.type = "DMA", .direct_region = known->direct};
    struct node_facts node;

    if (!group)
        return;
    memset(&node, 0, sizeof(node));
    if (naive_has_node(kernel, id)) {
        node.present = node.owner_access = true;
        node.other_access = known->access == ACCESS_ALL;
        if (known->access != ACCESS_NONE && known->access != ACCESS_ALL) {
            node.entries[0] = (struct node_entry){
                .id = user_ids[known->access], .access = true, .full = true};
            node.n_entries = 1;
        }
    } else {
        model_set_open(&subject->model, group, false);
    }
    model_update_node(&subject->model, group, &node);
    model_update_group_facts(&subject->model, group, &facts);
}

static void read_nodes(struct subject *subject, const struct naive *kernel) {
    for (int i = 0; i < N_GROUPS; i++)
        read_node(subject, kernel, i);
}

/* ---- Leases end */

void subject_end_lease(struct lease *lease, enum lease_end end) {
    if (lease->state == LEASE_DRAINING)
        return;
    lease->state = LEASE_DRAINING;
    lease->end = end;
}

static bool has_drained(const struct subject *subject, const struct naive *kernel,
                        struct lease *lease) {
    bool drained = lease->state == LEASE_DRAINING;

    for (size_t i = 0; i < lease->n_groups; i++) {
        struct lease_group *group = &lease->groups[i];
        if (lease->state == LEASE_DRAINING && !group->lost &&
            kernel->groups[group->id - FIRST_GROUP].opener < 0)
            group->drained = true;
        drained = drained && (group->lost || group->drained);
    }
    return drained;
}

static void finish_drained(struct subject *subject, const struct naive *kernel) {
    struct lease *lease, *next;

    HASH_ITER(by_id, subject->book.leases, lease, next) {
        if (!has_drained(subject, kernel, lease))
            continue;
        for (size_t i = 0; i < lease->n_groups; i++) {
            struct group *group = model_group(&subject->model, lease->groups[i].id);
            if (group && group->lease == lease)
                model_set_lease(&subject->model, group, NULL);
        }
        lease_book_remove(&subject->book, lease);
        lease_free(lease);
    }
}

static void lose_group(struct group *group) {
    struct lease *lease = group->lease;

    group->lease = NULL;
    for (size_t i = 0; lease && i < lease->n_groups; i++)
        if (lease->groups[i].id == group->id)
            lease->groups[i].lost = true;
    if (lease)
        subject_end_lease(lease, LEASE_END_DEVICE_GONE);
}

void subject_follow_up(struct subject *subject, const struct naive *kernel) {
    for (struct group *gone = subject->model.removed_groups; gone; gone = gone->next_dirty)
        lose_group(gone);
    for (struct group *group = subject->model.groups; group; group = group->by_id.next)
        if (group->lease && !group_has_role(group, ROLE_USER))
            subject_end_lease(group->lease, LEASE_END_DEVICE_GONE);
    finish_drained(subject, kernel);
    model_forget_changes(&subject->model);
}

static void end_expired(struct subject *subject, uint64_t now) {
    uint64_t next = lease_book_next_deadline(&subject->book);

    if (!next || next > now * 1000000)
        return;
    for (struct lease *lease = subject->book.leases; lease; lease = lease->by_id.next)
        if (lease->expires && lease->expires <= now * 1000000)
            subject_end_lease(lease, LEASE_END_EXPIRED);
}

static void end_dropped(struct subject *subject) {
    for (struct lease *lease = subject->book.leases; lease; lease = lease->by_id.next)
        if (subject->dropped[lease->id])
            subject_end_lease(lease, lease->lifetime == POLICY_LIFETIME_FD
                                         ? LEASE_END_FD_CLOSED
                                         : LEASE_END_PROCESS_EXITED);
}

/* The keeper of a connection lease is its sender, ":SLOT.SERIAL". */
static void end_disconnected(struct subject *subject, const struct naive *kernel) {
    for (struct lease *lease = subject->book.leases; lease; lease = lease->by_id.next) {
        unsigned slot = 0, serial = 0;
        (void)sscanf(lease->sender, ":%u.%u", &slot, &serial);
        if (lease->lifetime == POLICY_LIFETIME_CONNECTION && serial != kernel->serials[slot])
            subject_end_lease(lease, LEASE_END_DISCONNECTED);
    }
}

void subject_settle(struct subject *subject, const struct naive *kernel) {
    if (!subject->up)
        return;
    read_nodes(subject, kernel);
    subject_follow_up(subject, kernel);
    end_expired(subject, kernel->now);
    end_dropped(subject);
    end_disconnected(subject, kernel);
    subject_follow_up(subject, kernel);
    read_nodes(subject, kernel);
}

/* ---- Down and up */

static void go_down(struct subject *subject) {
    if (!subject->up)
        return;
    for (struct lease *lease = subject->book.leases; lease; lease = lease->by_id.next) {
        size_t n = subject->n_saved;
        if (subject_must(subject,
                         lease_to_json(lease, BOOT, &subject->saved[n],
                                       &subject->saved_sizes[n]) == 0,
                         "a lease can not be written"))
            subject->n_saved++;
    }
    lease_book_done(&subject->book);
    model_done(&subject->model);
    subject->up = false;
}

static void load_lease(struct subject *subject, size_t i) {
    const char *text = subject->saved[i], *fault = "";
    struct lease *lease = NULL;
    _cleanup_(freep) char *again = NULL;
    size_t size;

    if (!subject_must(subject,
                      lease_from_json(text, subject->saved_sizes[i], BOOT, &lease, &fault) == 0,
                      "a lease can not be read"))
        return;
    subject_must(subject,
                 lease_to_json(lease, BOOT, &again, &size) == 0 && strcmp(again, text) == 0,
                 "a lease is not the same after it was written and read");
    if (!subject_must(subject, lease_book_add(&subject->book, lease) == 0, "an id is taken"))
        lease_free(lease);
}

/* Granted to somebody else since, in another group. */
static bool granted_since(const struct subject *subject, const struct lease *lease,
                          const char *path) {
    for (struct lease *other = subject->book.leases; other; other = other->by_id.next)
        for (size_t i = 0; other->id > lease->id && i < other->n_groups; i++)
            if (!other->groups[i].lost && strings_contain(other->groups[i].devices, path))
                return true;
    return false;
}

/* How many of the lease's own devices are in the group. */
static size_t count_known(const struct subject *subject, const struct lease *lease,
                          const struct lease_group *granted, const struct group *group) {
    size_t n = 0;

    for (char **path = granted->devices; path && *path; path++) {
        struct device *device = model_device(&subject->model, *path);
        n += device && device->group == group && !granted_since(subject, lease, *path);
    }
    return n;
}

/* The group of the same number if it has one of them, else the one that has most and no others. */
static void place_group(struct subject *subject, struct lease *lease, struct lease_group *granted) {
    struct group *best = model_group(&subject->model, granted->id);
    size_t most = 0;

    if (granted->lost)
        return;
    if (best && !count_known(subject, lease, granted, best))
        best = NULL;
    bool same = best != NULL;
    for (int id = 0; !same && id < N_GROUPS; id++) {
        struct group *group = model_group(&subject->model, (uint32_t)(FIRST_GROUP + id));
        size_t n = group ? count_known(subject, lease, granted, group) : 0;
        if (n > most && n == group->n_members) {
            best = group;
            most = n;
        }
    }
    granted->lost = !best;
    if (!best) {
        subject_end_lease(lease, LEASE_END_DEVICE_GONE);
        return;
    }
    granted->id = best->id;
    model_set_lease(&subject->model, best, lease);
}

void subject_go_up(struct subject *subject, const struct naive *kernel) {
    if (subject->up)
        return;
    model_init(&subject->model);
    subject->up = true;
    subject->policy = subject->policies[subject->policy_file];
    for (unsigned i = 0; i < N_PLACES; i++)
        read_place(subject, kernel, i);
    for (size_t i = 0; i < subject->n_saved; i++)
        load_lease(subject, i);
    forget_saved(subject);
    for (struct lease *lease = subject->book.leases; lease; lease = lease->by_id.next)
        for (size_t i = 0; i < lease->n_groups; i++)
            place_group(subject, lease, &lease->groups[i]);
    read_nodes(subject, kernel);
    model_forget_changes(&subject->model);
    end_dropped(subject);
    end_expired(subject, kernel->now);
    subject_follow_up(subject, kernel);
    end_disconnected(subject, kernel);
    subject_follow_up(subject, kernel);
}

void subject_hear(struct subject *subject, const struct naive *kernel, const struct event *event) {
    struct group *group = NULL;

    if (event->kind == EVENT_KILL)
        go_down(subject);
    else if (event->kind == EVENT_START)
        subject_go_up(subject, kernel);
    if (!subject->up)
        return;
    if (event->kind <= EVENT_MOVE)
        read_place(subject, kernel, event->place);
    read_nodes(subject, kernel);
    if (event->kind == EVENT_OPEN || event->kind == EVENT_CLOSE)
        group = model_group(&subject->model, (uint32_t)(FIRST_GROUP + event->group));
    if (group)
        model_set_open(&subject->model, group, kernel->groups[event->group].opener >= 0);
}
