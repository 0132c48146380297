/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/detachment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/group.h"
#include "util/string.h"

struct detachment *detachment_new(size_t n_members) {
    struct detachment *detachment = calloc(1, sizeof(*detachment));

    if (!detachment)
        return NULL;
    detachment->rule = strdup("");
    detachment->members = calloc(n_members ?: 1, sizeof(*detachment->members));
    if (!detachment->rule || !detachment->members)
        return detachment_free(detachment);
    return detachment;
}

void detachment_member_done(struct detachment_member *member) {
    free(member->path);
    free(member->bus);
    free(member->driver);
    free(member->override);
    free(member->target);
    *member = (struct detachment_member){0};
}

struct detachment *detachment_free(struct detachment *detachment) {
    if (!detachment)
        return NULL;
    for (size_t i = 0; i < detachment->n_members; i++)
        detachment_member_done(&detachment->members[i]);
    free(detachment->members);
    free(detachment->rule);
    free(detachment);
    return NULL;
}

void detachment_remove(struct detachment *detachment, size_t index) {
    struct detachment_member *members = detachment->members;

    detachment_member_done(&members[index]);
    detachment->n_members--;
    memmove(&members[index], &members[index + 1],
            (detachment->n_members - index) * sizeof(*members));
}

struct detachment_member *detachment_find(const struct detachment *detachment, const char *path) {
    for (size_t i = 0; i < detachment->n_members; i++)
        if (string_equal(detachment->members[i].path, path))
            return &detachment->members[i];
    return NULL;
}

bool detachment_has_group(const struct detachment *detachment, uint32_t group) {
    for (size_t i = 0; i < detachment->n_members; i++)
        if (detachment->members[i].group == group)
            return true;
    return false;
}

bool detachment_begins_group(const struct detachment *detachment, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (detachment->members[i].group == detachment->members[index].group)
            return false;
    return true;
}

uint32_t *detachment_list_groups(const struct detachment *detachment, size_t *ret_n) {
    uint32_t *groups = calloc(detachment->n_members ?: 1, sizeof(*groups));
    size_t n = 0;

    for (size_t i = 0; groups && i < detachment->n_members; i++)
        if (detachment->members[i].group != DETACHMENT_NO_GROUP && detachment_begins_group(detachment, i))
            groups[n++] = detachment->members[i].group;
    *ret_n = groups ? n : 0;
    return groups;
}

/* ---- words */

static const char *const states[DETACHMENT_STATE_MAX] = {
    [DETACHMENT_DETACHING] = "detaching",
    [DETACHMENT_DETACHED] = "detached",
    [DETACHMENT_REATTACHING] = "reattaching",
    [DETACHMENT_UNDOING] = "undoing",
};

static const char *const moves[] = {
    [MOVE_STAYS] = "stays",
    [MOVE_TO_USER] = "target",
    [MOVE_PINNED] = "pinned",
    [MOVE_UNBOUND] = "unbound",
};

static const char *const kinds[STEP_KIND_MAX] = {
    [STEP_STAY] = "stay",           [STEP_LOAD] = "load",         [STEP_NUMVFS] = "numvfs",
    [STEP_AUTOPROBE] = "autoprobe", [STEP_RESET] = "reset",       [STEP_PIN] = "pin",
    [STEP_OVERRIDE] = "override",   [STEP_UNBIND] = "unbind",     [STEP_BIND] = "bind",
    [STEP_PROBE] = "probe",
};

static int find_word(const char *const *words, size_t n, const char *text) {
    for (size_t i = 0; i < n; i++)
        if (string_equal(words[i], text))
            return (int)i;
    return -EINVAL;
}

const char *detachment_state_to_string(enum detachment_state state) {
    return states[state];
}

int detachment_state_from_string(const char *text, enum detachment_state *ret) {
    int found = find_word(states, ELEMENTS_OF(states), text);

    if (found >= 0)
        *ret = (enum detachment_state)found;
    return found < 0 ? found : 0;
}

const char *move_to_string(enum move move) {
    return moves[move];
}

int move_from_string(const char *text, enum move *ret) {
    int found = find_word(moves, ELEMENTS_OF(moves), text);

    if (found >= 0)
        *ret = (enum move)found;
    return found < 0 ? found : 0;
}

const char *step_kind_to_string(enum step_kind kind) {
    return kinds[kind];
}

/* ---- who moves */

static bool is_named(const struct device *device, struct device *const *named, size_t n_named) {
    for (size_t i = 0; i < n_named; i++)
        if (named[i] == device)
            return true;
    return false;
}

/* The container that holds an object of fsl-mc, if it is in the same group and leaves the kernel. */
static const struct device *leaving_container(const struct device *device) {
    size_t length = (size_t)(device->name - device->path) - 1;

    if (!device->group || !string_equal(device->bus, "fsl-mc"))
        return NULL;
    for (const struct device *member = device->group->members; member; member = member->next_member)
        if (member->role == ROLE_KERNEL && strlen(member->path) == length &&
            strncmp(member->path, device->path, length) == 0)
            return member;
    return NULL;
}

/* Without regard to what becomes of the others. */
static enum move move_alone(const struct device *device, struct device *const *named,
                            size_t n_named) {
    if (leaving_container(device))
        return MOVE_STAYS;
    switch (device->role) {
    case ROLE_KERNEL:
        return device_is_bridge(device) ? MOVE_UNBOUND : MOVE_TO_USER;
    case ROLE_FREE:
        return is_named(device, named, n_named) ? MOVE_TO_USER : MOVE_PINNED;
    default:
        return MOVE_STAYS;
    }
}

static bool some_member_is_users(const struct group *group, struct device *const *named,
                                 size_t n_named) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->role == ROLE_USER || move_alone(member, named, n_named) == MOVE_TO_USER)
            return true;
    return false;
}

enum move device_move(const struct device *device, struct device *const *named, size_t n_named) {
    enum move move = move_alone(device, named, n_named);

    if (move == MOVE_PINNED && device->group &&
        !some_member_is_users(device->group, named, n_named))
        return MOVE_TO_USER;
    /* Pinned, or left unbound, by what is on record already. */
    return move == MOVE_PINNED && device->detached ? MOVE_STAYS : move;
}

bool device_follows_container(const struct device *device) {
    return leaving_container(device) != NULL;
}

bool group_has_user_afterwards(const struct group *group, struct device *const *named,
                               size_t n_named) {
    for (const struct device *member = group->members; member; member = member->next_member)
        if (member->role == ROLE_USER || device_move(member, named, n_named) == MOVE_TO_USER)
            return true;
    return false;
}

/* ---- steps */

static void add(struct step *steps, size_t *n, enum step_kind kind, const char *from,
                const char *to) {
    steps[(*n)++] = (struct step){.kind = kind, .from = from ?: "", .to = to ?: ""};
}

static void add_number(struct step *steps, size_t *n, enum step_kind kind, int from, int to) {
    struct step *step = &steps[(*n)++];

    *step = (struct step){.kind = kind};
    snprintf(step->number[0], sizeof(step->number[0]), "%d", from);
    snprintf(step->number[1], sizeof(step->number[1]), "%d", to);
    step->from = step->number[0];
    step->to = step->number[1];
}

/* A PF's own VFs go with its driver, and those of its next user are to be nobody's. */
static void add_vfs_away(const struct detachment_member *member, struct step *steps, size_t *n) {
    if (member->vfs > 0)
        add_number(steps, n, STEP_NUMVFS, member->vfs, 0);
    if (member->autoprobe > 0)
        add_number(steps, n, STEP_AUTOPROBE, member->autoprobe, 0);
}

size_t steps_away(const struct detachment_member *member, struct step ret[static STEPS_MAX]) {
    size_t n = 0;

    if (member->move == MOVE_STAYS) {
        add(ret, &n, STEP_STAY, member->driver, *member->target ? member->target : member->driver);
        return n;
    }
    if (member->move != MOVE_TO_USER) {
        add(ret, &n, STEP_PIN, member->override, PIN_DRIVER);
        if (*member->driver)
            add(ret, &n, STEP_UNBIND, member->driver, "");
        return n;
    }
    add_vfs_away(member, ret, &n);
    add(ret, &n, STEP_OVERRIDE, member->override, member->target);
    if (*member->driver)
        add(ret, &n, STEP_UNBIND, member->driver, "");
    add(ret, &n, STEP_BIND, "", member->target);
    return n;
}

/* Somebody set it for later, beside a driver that it would not let in. */
static bool override_is_for_another(const struct detachment_member *member) {
    return *member->driver && member->override && *member->override &&
           !string_equal(member->override, member->driver);
}

size_t steps_back(const struct detachment_member *member, enum way_back way, bool soiled,
                  struct step ret[static STEPS_MAX]) {
    bool another = override_is_for_another(member);
    size_t n = 0;

    if (soiled && member->move == MOVE_TO_USER)
        add(ret, &n, STEP_RESET, "", "");
    /* Before the host has the device: what fails then leaves it where its record says it is. */
    if (member->move == MOVE_TO_USER && member->autoprobe > 0)
        add_number(ret, &n, STEP_AUTOPROBE, 0, member->autoprobe);
    if (member->move == MOVE_TO_USER)
        add(ret, &n, STEP_UNBIND, member->target, "");
    add(ret, &n, STEP_OVERRIDE, member->move == MOVE_TO_USER ? member->target : PIN_DRIVER,
        another ? member->driver : member->override);
    if (*member->driver)
        add(ret, &n, STEP_BIND, "", member->driver);
    else if (way == WAY_BACK_PROBED)
        add(ret, &n, STEP_PROBE, "", "");
    if (another)
        add(ret, &n, STEP_OVERRIDE, member->driver, member->override);
    if (member->move == MOVE_TO_USER && member->vfs > 0)
        add_number(ret, &n, STEP_NUMVFS, 0, member->vfs);
    return n;
}

static char *override_text(const struct step *step, const char *name) {
    if (!*step->to)
        return string_format("Device %s: clear driver_override (%s).", name,
                             *step->from ? step->from : "none");
    return string_format("Device %s: set driver_override to %s.", name, step->to);
}

char *step_text(const struct step *step, const char *name) {
    switch (step->kind) {
    case STEP_STAY:
        if (!string_equal(step->from, step->to))
            return string_format("Device %s goes to %s with its container.", name, step->to);
        return *step->to ? string_format("Device %s stays on %s.", name, step->to)
                         : string_format("Device %s stays without a driver.", name);
    case STEP_LOAD:
        return string_format("Load module %s.", step->to);
    case STEP_NUMVFS:
        return string_format("Device %s: set the number of its VFs from %s to %s.", name, step->from,
                             step->to);
    case STEP_AUTOPROBE:
        return string_format("Device %s: let host drivers take its VFs: %s.", name,
                             string_equal(step->to, "0") ? "no" : "yes");
    case STEP_RESET:
        return string_format("Device %s: clear bus mastering and reset it.", name);
    case STEP_PIN:
        return string_format("Device %s: pin it, so that no driver takes it.", name);
    case STEP_OVERRIDE:
        return override_text(step, name);
    case STEP_UNBIND:
        return string_format("Device %s: unbind it from %s.", name, step->from);
    case STEP_BIND:
        return string_format("Device %s: bind it to %s.", name, step->to);
    default:
        return string_format("Device %s: ask the kernel for a driver.", name);
    }
}
