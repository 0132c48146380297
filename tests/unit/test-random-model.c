/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random events over the model, held against a second, naive statement of it after each: a table of
 * places where a device can be, from which every answer is worked out anew.
 *
 * test-random-model [SEED [STEPS]], or DMAOWND_TEST_SEED and DMAOWND_TEST_STEPS: the seed is
 * printed, and the same seed makes the same run. */
#include <time.h>

#include "model-test.h"
#include "random-steps.h"

#define N_PLACES 24
#define N_GROUPS 8

/* ---- The naive statement --------------------------------------------------------------------- */

/* A place in sysfs. Names repeat over the buses; the revision says which device is there. */
struct place {
    char path[48], name[16];
    const char *bus;
    bool bridge;
    bool present;
    unsigned revision;
    const char *driver, *vfio_device;
    int64_t group;
};

static struct place places[N_PLACES];
static bool leased[N_GROUPS], opened[N_GROUPS];

/* What was so when the changes were forgotten last. */
static struct place before[N_PLACES];
static const struct device *device_before[N_PLACES];
static bool removed[N_PLACES]; /* the device that was there then went, whatever is there now */
static bool leased_before[N_GROUPS], opened_before[N_GROUPS];

static struct model model;
static struct lease leases[N_GROUPS];
static const char *const drivers[] = {NULL, NULL, "vfio-pci", "mlx5_vfio_pci", "pcieport",
                                      "pci-stub", "e1000e", "nvme", "uio_pci_generic"};

static void make_places(void) {
    static const char *const buses[] = {"pci", "platform", "amba"};

    for (unsigned i = 0; i < N_PLACES; i++) {
        struct place *place = &places[i];
        place->bus = buses[i % 3];
        place->bridge = i % 12 == 0;
        /* Eight names, each on three buses; one of them is a number. */
        if (i / 3 == 5)
            snprintf(place->name, sizeof(place->name), "5");
        else
            snprintf(place->name, sizeof(place->name), "0000:00:%02x.0", i / 3);
        snprintf(place->path, sizeof(place->path), "devices/%s/%s", place->bus, place->name);
        place->group = GROUP_NONE;
    }
}

/* The role by its definition, for the drivers above. */
static enum role role_of(const struct place *place) {
    if (place->vfio_device)
        return ROLE_USER;
    if (!place->driver)
        return place->bridge ? ROLE_PASSIVE : ROLE_FREE;
    if (strstr(place->driver, "vfio"))
        return ROLE_USER;
    if (strncmp(place->driver, "pci", 3) == 0)
        return ROLE_PASSIVE;
    return ROLE_KERNEL;
}

static unsigned count_members(const struct place *of, int64_t group) {
    unsigned n = 0;

    for (unsigned i = 0; i < N_PLACES; i++)
        n += of[i].present && of[i].group == group;
    return n;
}

static bool has_role(int64_t group, enum role role) {
    for (unsigned i = 0; i < N_PLACES; i++)
        if (places[i].present && places[i].group == group && role_of(&places[i]) == role)
            return true;
    return false;
}

/* A group that lost its last member is gone, and with it all that was known of it. */
static void forget_empty_groups(void) {
    for (unsigned i = 0; i < N_GROUPS; i++)
        if (count_members(places, i) == 0)
            leased[i] = opened[i] = false;
}

/* ---- Events: the same to both ---------------------------------------------------------------- */

static void read_place(struct place *place) {
    char modalias[32];
    struct device_facts facts = {
        .path = place->path,
        .bus = place->bus,
        .driver = place->driver,
        .modalias = modalias,
        .vfio_device = place->vfio_device,
        .group = place->group,
        .has_ids = place->bridge,
        .class = place->bridge ? 0x060400 : 0,
        .numa_node = -1,
    };
    struct device *device;

    snprintf(modalias, sizeof(modalias), "test:%u", place->revision);
    check(model_update_device(&model, &facts, &device) == 0);
    check(device == model_device(&model, place->path));
}

static void add(struct place *place) {
    if (!place->present) {
        place->present = true;
        place->driver = drivers[draw(ELEMENTS_OF(drivers))];
        place->vfio_device = NULL;
        place->group = (int64_t)draw(N_GROUPS + 1) - 1;
    }
    read_place(place);
}

static void remove_place(struct place *place) {
    if (!place->present)
        return;
    model_remove_device(&model, model_device(&model, place->path));
    place->present = false;
    removed[place - places] = true;
    forget_empty_groups();
}

/* The removal was missed: what is read there now is another device. */
static void replace(struct place *place) {
    if (!place->present)
        return;
    bool alone = place->group >= 0 && count_members(places, place->group) == 1;
    place->revision++;
    removed[place - places] = true;
    if (alone) /* its group goes with it, before the new one makes another */
        leased[place->group] = opened[place->group] = false;
    read_place(place);
}

static void bind(struct place *place) {
    if (!place->present)
        return;
    place->driver = drivers[draw(ELEMENTS_OF(drivers))];
    place->vfio_device = place->driver && draw(8) == 0 ? "vfio0" : NULL;
    read_place(place);
}

static void unbind(struct place *place) {
    place->driver = place->vfio_device = NULL;
    if (place->present)
        read_place(place);
}

static void move(struct place *place) {
    if (!place->present)
        return;
    place->group = (int64_t)draw(N_GROUPS + 1) - 1;
    read_place(place);
    forget_empty_groups();
}

static void lease_or_open(struct place *place) {
    unsigned id = draw(N_GROUPS);
    struct group *group = model_group(&model, id);

    if (!group)
        return;
    if (draw(2)) {
        opened[id] = draw(2);
        model_set_open(&model, group, opened[id]);
    } else if (group->lease) {
        leased[id] = false;
        model_set_lease(&model, group, NULL);
    } else {
        leased[id] = true;
        model_set_lease(&model, group, &leases[id]);
    }
}

/* Some devices went without a word; a scan finds out. */
static void scan(struct place *place) {
    model_begin_scan(&model);
    for (unsigned i = 0; i < N_PLACES; i++) {
        if (places[i].present && draw(16) > 0)
            read_place(&places[i]);
        else if (places[i].present)
            removed[i] = true, places[i].present = false;
        else if (draw(32) == 0)
            add(&places[i]);
    }
    model_end_scan(&model);
    forget_empty_groups();
}

/* ---- The answers ----------------------------------------------------------------------------- */

static void check_device(unsigned index) {
    const struct place *place = &places[index];
    const struct device *device = model_device(&model, place->path);

    check(place->present == (device != NULL));
    if (!device)
        return;
    check(string_equal(device->path, place->path) && string_equal(device->name, place->name));
    check(string_equal(device->bus, place->bus));
    check(string_equal(device->driver, place->driver));
    check(string_equal(device->vfio_device, place->vfio_device));
    check(device->role == role_of(place));
    check((unsigned)atoi(device->modalias + 5) == place->revision);
    check(place->group == (device->group ? (int64_t)device->group->id : GROUP_NONE));
}

static enum owner owner_of(unsigned id) {
    if (leased[id])
        return OWNER_USER;
    if (has_role(id, ROLE_KERNEL))
        return OWNER_KERNEL;
    return opened[id] ? OWNER_FOREIGN : OWNER_NONE;
}

static void check_group(unsigned id) {
    const struct group *group = model_group(&model, id);
    unsigned n = 0, expected = count_members(places, id);

    check((group != NULL) == (expected > 0));
    if (!group)
        return;
    for (const struct device *at = group->members; at; at = at->next_member, n++) {
        check(at->group == group);
        check(!at->next_member || strcmp(at->path, at->next_member->path) < 0);
    }
    check(n == expected && group->n_members == n);
    check(group_owner(group) == owner_of(id));
    check(group_viable(group) == (has_role(id, ROLE_USER) && !has_role(id, ROLE_KERNEL)));
    check((group->lease != NULL) == leased[id] && group->open == opened[id]);
}

static void check_everything(void) {
    unsigned n_devices = 0, n_groups = 0;

    for (unsigned i = 0; i < N_PLACES; i++) {
        check_device(i);
        n_devices += places[i].present;
    }
    for (unsigned i = 0; i < N_GROUPS; i++) {
        check_group(i);
        n_groups += count_members(places, i) > 0;
    }
    check(model.n_devices == n_devices && model.n_groups == n_groups);
    check(HASH_CNT(by_path, model.devices) == n_devices);
    check(HASH_CNT(by_id, model.groups) == n_groups);
}

/* ---- Targets --------------------------------------------------------------------------------- */

static void check_target(const char *target, enum target_outcome expected, int64_t group_id,
                         const char *path) {
    struct group *group = NULL;
    struct device *device = NULL;

    check(model_find_target(&model, target, &group, &device) == expected);
    if (expected != TARGET_FOUND)
        return;
    check(group_id == (group ? (int64_t)group->id : GROUP_NONE));
    check(!path || (device && strcmp(device->path, path) == 0));
}

/* What a name alone means: found if all devices of that name are in one group, or there is one. */
static void check_name(const struct place *place) {
    unsigned n = 0;
    int64_t group = GROUP_NONE;
    bool same = true;

    if (strcmp(place->name, "5") == 0 && model_group(&model, 5)) {
        check_target("5", TARGET_FOUND, 5, NULL);
        return;
    }
    for (unsigned i = 0; i < N_PLACES; i++) {
        if (!places[i].present || strcmp(places[i].name, place->name) != 0)
            continue;
        same = same && (n == 0 || (places[i].group == group && group != GROUP_NONE));
        group = places[i].group;
        n++;
    }
    check_target(place->name, n == 0 ? TARGET_UNKNOWN : same ? TARGET_FOUND : TARGET_AMBIGUOUS,
                 group, NULL);
}

static void check_targets(const struct place *place, unsigned id) {
    enum target_outcome outcome = place->present ? TARGET_FOUND : TARGET_UNKNOWN;
    char target[96];

    check_name(place);
    snprintf(target, sizeof(target), "%s/%s", place->bus, place->name);
    check_target(target, outcome, place->group, place->path);
    snprintf(target, sizeof(target), "/sys/%s", place->path);
    check_target(target, outcome, place->group, place->path);
    snprintf(target, sizeof(target), "/sys/bus/%s/devices/%s", place->bus, place->name);
    check_target(target, outcome, place->group, place->path);
    outcome = count_members(places, id) > 0 ? TARGET_FOUND : TARGET_UNKNOWN;
    snprintf(target, sizeof(target), "/dev/vfio/%u", id);
    check_target(target, outcome, id, NULL);
    snprintf(target, sizeof(target), "/sys/kernel/iommu_groups/%u", id);
    check_target(target, outcome, id, NULL);
    if (id == 5) /* then the number may be a name */
        return;
    snprintf(target, sizeof(target), "%u", id);
    check_target(target, outcome, id, NULL);
}

/* ---- Changes --------------------------------------------------------------------------------- */

static bool device_listed(const struct device *list, const struct device *device) {
    while (list && list != device)
        list = list->next_dirty;
    return list != NULL;
}

static bool group_listed(const struct group *list, uint32_t id) {
    while (list && list->id != id)
        list = list->next_dirty;
    return list != NULL;
}

/* What the list must say of a device that was there when the changes were forgotten. */
static unsigned changes_since(unsigned index) {
    const struct place *now = &places[index], *then = &before[index];
    unsigned changes = 0;

    if (!then->present || removed[index])
        return DEVICE_ADDED;
    if (now->driver != then->driver)
        changes |= DEVICE_DRIVER;
    if (role_of(now) != role_of(then))
        changes |= DEVICE_ROLE;
    if (now->group != then->group)
        changes |= DEVICE_GROUP;
    if (now->vfio_device != then->vfio_device)
        changes |= DEVICE_VFIO;
    return changes;
}

static void check_device_changes(unsigned index) {
    const struct device *device = model_device(&model, places[index].path);

    if (before[index].present && removed[index])
        check(device_listed(model.removed_devices, device_before[index]));
    if (!device)
        return;
    unsigned changes = changes_since(index);
    check((device->changes & changes) == changes);
    check(device->listed == (device->changes != 0));
    check(device->listed == device_listed(model.dirty_devices, device));
    check(!device_listed(model.removed_devices, device));
}

static bool members_changed(unsigned id) {
    for (unsigned i = 0; i < N_PLACES; i++) {
        bool was = before[i].present && before[i].group == id;
        bool is = places[i].present && places[i].group == id;
        if (was != is || (is && (changes_since(i) || removed[i])))
            return true;
    }
    return false;
}

static void check_group_changes(unsigned id) {
    const struct group *group = model_group(&model, id);
    bool changed = members_changed(id) || leased[id] != leased_before[id] ||
                   opened[id] != opened_before[id];

    if (count_members(before, id) > 0 && !group)
        check(group_listed(model.removed_groups, id));
    if (!group)
        return;
    check(group->listed == group_listed(model.dirty_groups, id));
    check(group->listed || !changed);
}

static void forget_changes(void) {
    for (unsigned i = 0; i < N_PLACES; i++)
        check_device_changes(i);
    for (unsigned i = 0; i < N_GROUPS; i++)
        check_group_changes(i);
    model_forget_changes(&model);
    check(!model_has_changes(&model));
    memcpy(before, places, sizeof(before));
    memcpy(leased_before, leased, sizeof(leased));
    memcpy(opened_before, opened, sizeof(opened));
    memset(removed, 0, sizeof(removed));
    for (unsigned i = 0; i < N_PLACES; i++)
        device_before[i] = model_device(&model, places[i].path);
}

/* ---- The run --------------------------------------------------------------------------------- */

static void take_step(void) {
    static void (*const events[])(struct place *) = {
        add, add, add, add, remove_place, remove_place, replace, bind, bind, bind, unbind,
        move, move, lease_or_open, lease_or_open, lease_or_open,
    };
    struct place *place = &places[draw(N_PLACES)];

    if (draw(100) == 0)
        scan(place);
    else
        events[draw(ELEMENTS_OF(events))](place);
    check_everything();
    check_targets(place, draw(N_GROUPS));
    check_targets(&places[step % N_PLACES], (unsigned)(step % N_GROUPS));
    if (draw(10) == 0)
        forget_changes();
}

static unsigned long number_of(const char *argument, const char *variable,
                               unsigned long otherwise) {
    const char *text = argument ?: getenv(variable);

    return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

int main(int argc, char **argv) {
    struct timespec now;
    unsigned long n_steps;

    clock_gettime(CLOCK_REALTIME, &now);
    seed = (unsigned)number_of(argc > 1 ? argv[1] : NULL, "DMAOWND_TEST_SEED",
                               (unsigned long)now.tv_sec * 1000003 + (unsigned long)now.tv_nsec);
    n_steps = number_of(argc > 2 ? argv[2] : NULL, "DMAOWND_TEST_STEPS", 200000);
    printf("1..1\n# seed %u, %lu steps\n", seed, n_steps);
    fflush(stdout);
    make_places();
    model_init(&model);
    for (step = 1; step <= n_steps; step++)
        take_step();
    forget_changes();
    model_done(&model);
    printf("ok 1 - %lu random events\n", n_steps);
    return EXIT_SUCCESS;
}
