/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any strings as those that sysfs and the kernel's events hold: nothing breaks, what is read is
 * printable and stays below the root, and no device is in a group that is not there.
 *
 * The input is a list of records with "\xff\n" behind each: a letter, a byte that says nothing, and the
 * text. The letters are those of struct place and of make() and ask(); the record "=" stands between
 * what is there when devices are read first and what is there when they are read again. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/devicetree.h"
#include "kernel/sysfs.h"
#include "kernel/uevent.h"
#include "model/model.h"
#include "tests/fakekernel/uevent.h"
#include "util/fd.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEPARATOR "\xff\n"
#define GROUP "kernel/iommu_groups/7"
#define COMPATIBLE "firmware/devicetree/base/soc/serial/compatible"
#define MADE_MAX 64
#define DEVICES_MAX 4
#define READINGS_MAX 12
#define EVENT_SIZE_MAX 1500
#define EVENTS_MAX 100

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

struct record {
    char kind;
    const char *data;
    size_t size;
};

/* What stands in a device's folder. */
struct place {
    char kind;
    const char *name;
    bool link;
};

static const struct place places[] = {
    {'m', "modalias", false},  {'r', "reset_method", false}, {'v', "removable", false},
    {'u', "numa_node", false}, {'d', "driver", true},        {'s', "subsystem", true},
    {'g', "iommu_group", true}, {'f', "physfn", true},       {'o', "of_node", true},
};

static const char *const folders[] = {
    "devices/pci0000:00", "devices/platform",           "bus/pci/devices", "bus/platform/devices",
    GROUP "/devices",     "firmware/devicetree/base/soc/serial", "class/vfio/7",
};

static char root[64];
static int sys = -1;
static struct uevent_monitor *monitor; /* NULL where there can be none */

static struct {
    char path[PATH_MAX];
    bool folder;
} made[MADE_MAX];
static size_t n_made, n_devices;
static char device_path[NAME_MAX + 32]; /* that the records are about now */

static struct model model;
static struct device_reading readings[READINGS_MAX];
static size_t n_readings;

/* ---- The folder that stands for sysfs */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
    return remove(path);
}

static void remove_root(void) {
    (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_parents(const char *path) {
    char parent[PATH_MAX];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
        (void)mkdirat(sys, parent, 0755);
    }
    (void)mkdirat(sys, path, 0755);
}

/* In a network namespace of our own, so that the machine's udev sees no event; the machine's own events
 * do come to where root is. */
static void open_monitor(void) {
    if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return;
    int sender = uevent_open();
    if (sender < 0 || uevent_monitor_new(&monitor) < 0)
        return;
    uevent_attach(sender);
}

static void set_up(void) {
    snprintf(root, sizeof(root), "/dev/shm/dmaownd-fuzz-XXXXXX");
    if (!mkdtemp(root)) {
        snprintf(root, sizeof(root), "/tmp/dmaownd-fuzz-XXXXXX");
        EXPECT(mkdtemp(root));
    }
    (void)atexit(remove_root);
    sys = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT(sys >= 0);
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++)
        make_parents(folders[i]);
    open_monitor();
}

static void note_made(const char *path, bool folder) {
    snprintf(made[n_made].path, sizeof(made[n_made].path), "%s", path);
    made[n_made++].folder = folder;
}

/* Nothing that one input makes is left for the next one, which would behave in another way alone. */
static void remove_made(void) {
    while (n_made > 0) {
        n_made--;
        (void)unlinkat(sys, made[n_made].path, made[n_made].folder ? AT_REMOVEDIR : 0);
    }
    n_devices = 0;
    device_path[0] = 0;
}

static void make_folder(const char *path) {
    if (n_made < MADE_MAX && mkdirat(sys, path, 0755) == 0)
        note_made(path, true);
}

static void make_file(const char *path, const char *data, size_t size) {
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    _cleanup_(fd_closep) int fd = n_made < MADE_MAX ? openat(sys, path, flags, 0644) : -1;

    if (fd < 0)
        return;
    note_made(path, false);
    EXPECT(fd_write_all(fd, data, size) == 0);
}

static void make_link(const char *path, const char *target) {
    if (n_made == MADE_MAX)
        return;
    if (symlinkat(target, sys, path) < 0 && errno == EEXIST) {
        (void)unlinkat(sys, path, 0);
        (void)symlinkat(target, sys, path);
    }
    note_made(path, false);
}

/* One part of a path. */
static bool is_name(const char *text) {
    return *text && strlen(text) <= NAME_MAX && !strchr(text, '/') && !string_equal(text, ".") &&
           !string_equal(text, "..");
}

_printf_(1, 2) static const char *path_of(const char *format, ...) {
    static char path[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    return path;
}

/* A device that is on its bus: what follows is about it. */
static void make_device(const char *bus, const char *folder, const char *name) {
    char target[PATH_MAX];

    if (!is_name(name) || n_devices == DEVICES_MAX)
        return;
    snprintf(device_path, sizeof(device_path), "%s/%s", folder, name);
    make_folder(device_path);
    snprintf(target, sizeof(target), "../../../%s", device_path);
    make_link(path_of("bus/%s/devices/%zu", bus, n_devices++), target);
}

static bool make_in_device(const struct record *record, const char *text) {
    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        if (places[i].kind != record->kind)
            continue;
        const char *path = path_of("%s/%s", device_path, places[i].name);
        if (places[i].link)
            make_link(path, text);
        else
            make_file(path, record->data, record->size);
        return true;
    }
    return false;
}

static void make_vfio_device(const char *name) {
    make_folder(path_of("%s/vfio-dev", device_path));
    make_folder(path_of("%s/vfio-dev/%s", device_path, name));
}

static void make(const struct record *record) {
    _cleanup_(freep) char *text = strndup(record->data, record->size);

    EXPECT(text);
    if (record->kind == 'n')
        make_device("pci", "devices/pci0000:00", text);
    else if (record->kind == 'p')
        make_device("platform", "devices/platform", text);
    else if (record->kind == 'M')
        make_link(path_of(GROUP "/devices/%zu", n_made), text);
    else if (record->kind == 'B')
        make_link(path_of("bus/pci/devices/link-%zu", n_made), text);
    else if (record->kind == 'G' && is_name(text))
        make_folder(path_of("kernel/iommu_groups/%s", text));
    else if (record->kind == 't')
        make_file(GROUP "/type", record->data, record->size);
    else if (record->kind == 'R')
        make_file(GROUP "/reserved_regions", record->data, record->size);
    else if (record->kind == 'D')
        make_file("class/vfio/7/dev", record->data, record->size);
    else if (record->kind == 'c')
        make_file(COMPATIBLE, record->data, record->size);
    else if (!*device_path || make_in_device(record, text))
        return;
    else if (record->kind == 'w' && is_name(text))
        make_vfio_device(text);
    else if (record->kind == 'F' && is_name(text))
        make_file(path_of("%s/%s", device_path, text), "", 0);
    else if (record->kind == 'K' && is_name(text))
        make_folder(path_of("%s/%s", device_path, text));
}

/* ---- What is read */

/* As path_resolve leaves them: below the root, and nothing in it that leads elsewhere. */
static bool is_resolved(const char *path) {
    const char *part = path;

    for (;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length <= 2 && strncmp(part, "..", length) == 0))
            return false;
        part += length;
        if (!*part)
            return true;
    }
}

static bool group_exists(int64_t id) {
    return faccessat(sys, path_of("kernel/iommu_groups/%lld", (long long)id), F_OK, 0) == 0;
}

static void check_text(const char *text, size_t room) {
    EXPECT(text && strlen(text) < room && text_is_printable(text));
}

static void check_optional(const char *text, size_t room) {
    if (text)
        check_text(text, room);
    EXPECT(!text || *text);
}

static void check_compatible(const struct device_reading *reading) {
    const char *const *compatible = reading->facts.compatible;

    for (size_t i = 0; compatible && compatible[i]; i++) {
        EXPECT(i + 1 < ELEMENTS_OF(reading->compatible) && *compatible[i]);
        check_text(compatible[i], sizeof(reading->compatible_text));
    }
}

static void check_reading(const struct device_reading *reading) {
    const struct device_facts *facts = &reading->facts;

    EXPECT(strlen(facts->path) < sizeof(reading->path));
    EXPECT(string_after(facts->path, "devices/") && is_resolved(facts->path));
    check_optional(facts->bus, sizeof(reading->bus));
    EXPECT(facts->bus);
    check_optional(facts->driver, sizeof(reading->driver));
    check_text(facts->modalias, sizeof(reading->modalias));
    check_optional(facts->vfio_device, sizeof(reading->vfio_device));
    check_optional(facts->removable, sizeof(reading->removable));
    check_text(facts->reset_methods, sizeof(reading->reset_methods));
    check_compatible(reading);
    EXPECT(facts->group == GROUP_NONE || (facts->group >= 0 && group_exists(facts->group)));
    EXPECT(facts->numa_node >= -1);
    EXPECT(!facts->has_ids || string_after(facts->modalias, "pci:v"));
    EXPECT(!facts->vfio_device || facts->driver);
    EXPECT(!facts->physfn || (string_after(facts->physfn, "devices/") && is_resolved(facts->physfn)));
}

static void check_update(const struct device_reading *reading) {
    struct device *device;

    EXPECT(model_update_device(&model, &reading->facts, &device) == 0);
    EXPECT(model_device(&model, reading->facts.path) == device);
    EXPECT(string_equal(device->driver, reading->facts.driver));
    EXPECT(device->group ? device->group->id == reading->facts.group
                         : reading->facts.group == GROUP_NONE);
}

/* The node's name goes with the facts, as the manager gives it. */
static void read_node(struct device_reading *reading) {
    static char node[PATH_MAX];
    int r = devicetree_node_of(sys, reading->path, node, sizeof(node));

    EXPECT(r <= 0);
    if (r < 0)
        return;
    check_text(node, sizeof(node));
    EXPECT(node[0] == '/' && (!node[1] || is_resolved(node + 1)));
    reading->facts.tree_node = node;
}

static int read_device(const char *path, void *userdata) {
    if (n_readings == READINGS_MAX)
        return 1;
    struct device_reading *reading = &readings[n_readings];
    /* what the reading before left is no answer */
    memset(reading, 'x', sizeof(*reading));
    int r = sysfs_read_device(sys, path, reading);
    EXPECT(r <= 0);
    if (r < 0)
        return 0;
    check_reading(reading);
    read_node(reading);
    check_update(reading);
    n_readings++;
    return 0;
}

static int read_group(uint32_t id, void *userdata) {
    struct group_facts facts;
    struct group *group = model_group(&model, id);
    int r = sysfs_read_group(sys, id, &facts);

    EXPECT(r <= 0);
    if (r < 0)
        return 0;
    check_text(facts.type, sizeof(facts.type));
    if (group)
        model_update_group_facts(&model, group, &facts);
    return 0;
}

static void read_everything(void) {
    unsigned number_major, number_minor;

    (void)sysfs_list_bus_devices(sys, read_device, NULL);
    (void)sysfs_list_members(sys, 7, read_device, NULL);
    (void)sysfs_list_groups(sys, read_group, NULL);
    EXPECT(sysfs_read_number(sys, "class/vfio/7/dev", &number_major, &number_minor) <= 0);
}

static void read_again(void) {
    for (size_t i = 0; i < n_readings; i++) {
        struct device *device = model_device(&model, readings[i].path);
        int r = sysfs_refresh_device(sys, &readings[i]);
        EXPECT(r <= 0);
        if (r == 0) {
            check_reading(&readings[i]);
            check_update(&readings[i]);
        } else if (device && r == -ENOENT) {
            model_remove_device(&model, device);
        }
    }
}

static void check_model(void) {
    size_t n_members = 0, n_with_group = 0, n = 0;

    for (const struct device *device = model.devices; device; device = device->by_path.next) {
        EXPECT(!device->group || model_group(&model, device->group->id) == device->group);
        n_with_group += device->group != NULL;
        n++;
    }
    for (const struct group *group = model.groups; group; group = group->by_id.next) {
        EXPECT(group->n_members > 0);
        n_members += group->n_members;
    }
    EXPECT(n_members == n_with_group && n == model.n_devices);
}

/* ---- Questions */

static void find_target(const char *text) {
    struct group *group = NULL;
    struct device *device = NULL;

    if (model_find_target(&model, text, &group, &device) != TARGET_FOUND)
        return;
    EXPECT(group || device);
    EXPECT(!group || model_group(&model, group->id) == group);
    EXPECT(!device || (model_device(&model, device->path) == device && device->group == group));
}

static void take_event(const struct uevent *event, void *userdata) {
    EXPECT(event->action <= UEVENT_CHANGE && event->subsystem);
    EXPECT(*event->path && string_equal(event->name, path_basename(event->path)));
    (void)read_device(event->path, NULL);
}

/* The lines of text: action, path, subsystem, and the properties. */
static void send_event(char *text) {
    char *rest = text;
    const char *action = strsep(&rest, "\n");
    const char *path = strsep(&rest, "\n") ?: "";
    const char *subsystem = strsep(&rest, "\n") ?: "";

    if (!monitor || !action)
        return;
    uevent_send(action, path, subsystem, rest ?: "");
    EXPECT(uevent_receive(monitor, EVENTS_MAX, take_event, NULL) >= 0);
}

static void ask(const struct record *record) {
    _cleanup_(freep) char *text = strndup(record->data, record->size);

    EXPECT(text);
    if (record->kind == 'x')
        find_target(text);
    else if (record->kind == 'P')
        (void)read_device(text, NULL);
    else if (record->kind == 'e' && record->size < EVENT_SIZE_MAX)
        send_event(text);
}

/* ---- The input */

/* False at the end. */
static bool take_record(const char **at, size_t *left, struct record *ret) {
    if (*left == 0)
        return false;
    const char *end = memmem(*at, *left, SEPARATOR, strlen(SEPARATOR));
    size_t length = end ? (size_t)(end - *at) : *left;
    size_t step = end ? length + strlen(SEPARATOR) : length;

    *ret = (struct record){.kind = length ? **at : 0, .data = *at + length};
    if (length > 2) {
        ret->data = *at + 2;
        ret->size = length - 2;
    }
    *at += step;
    *left -= step;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = (const char *)data;
    size_t left = size;
    struct record record;

    if (sys < 0)
        set_up();
    model_init(&model);
    n_readings = 0;
    while (take_record(&at, &left, &record) && record.kind != '=')
        make(&record);
    read_everything();
    check_model();
    while (take_record(&at, &left, &record))
        make(&record);
    read_again();
    check_model();
    for (at = (const char *)data, left = size; take_record(&at, &left, &record);)
        ask(&record);
    check_model();
    model_done(&model);
    remove_made();
    return 0;
}
