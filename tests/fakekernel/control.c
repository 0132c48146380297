/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"
#include "control-commands.h"
#include "devicetree.h"
#include "model.h"
#include "scale.h"
#include "uevent.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "device BUS NAME [vendor=0x] [product=0x] [class=0x] [subsystem_vendor=0x]\n"
    "       [subsystem_product=0x] [revision=0x] [driver=D|none] [native=D] [group=N|new|late|none]\n"
    "       [parent=DEVICE] [path=devices/...] [compatible=C] [node=/PATH] [modalias=M] [numa=N]\n"
    "       [removable=R] [reset_method=M,M|none] [boot_vga=1] [totalvfs=N] [vfdevice=0x] [vfnative=D]\n"
    "driver BUS NAME [vfio] [managed] [net] [sriov] [fails] [refuse=ERRNO|none] [only=DEVICE]\n"
    "       [compatible=C]... [module=M] (of a new one)\n"
    "fdt FILE (.dtb or .dts, from the folder of the scenario: its devices; the drivers come first)\n"
    "remove DEVICE | bind DEVICE DRIVER | unbind DEVICE | probe DEVICE\n"
    "hang DEVICE (its unbind) | release DEVICE\n"
    "regroup DEVICE N|new|none (no event) | drop-group N | claim N on|off |\n"
    "disagree N on|off (VFIO_GROUP_GET_STATUS with sysfs)\n"
    "fail-container N ERRNO|none (of VFIO_GROUP_SET_CONTAINER)\n"
    "fault PATH ERRNO|hang|vanish|none (the next access; vanish removes the device)\n"
    "set PATH TEXT | link PATH TARGET | rm PATH (no event)\n"
    "node N recreate | remove | MAJOR:MINOR | copy PATH\n"
    "event ACTION DEVICE [KEY=VALUE...] | burst N DEVICE\n"
    "kernel 6.1|6.12|6.12-cdev | scale N | state | help\n";

/* Of the scenario. */
static char folder[PATH_MAX] = ".";

static int set_number(unsigned *field, const char *text) {
    char *end;

    *field = (unsigned) strtoul(text, &end, 0);
    return *end ? -EINVAL : 0;
}

static int spec_word(struct device_spec *spec, char *word) {
    char *value = strchr(word, '=');
    const struct {
        const char *key;
        const char **text;
        unsigned *number;
    } fields[] = {
        {"vendor", NULL, &spec->vendor},
        {"product", NULL, &spec->product},
        {"class", NULL, &spec->class},
        {"subsystem_vendor", NULL, &spec->subsystem_vendor},
        {"subsystem_product", NULL, &spec->subsystem_product},
        {"revision", NULL, &spec->revision},
        {"numa", NULL, (unsigned *) &spec->numa_node},
        {"driver", &spec->driver, NULL},
        {"native", &spec->native, NULL},
        {"group", &spec->group, NULL},
        {"parent", &spec->parent, NULL},
        {"path", &spec->path, NULL},
        {"compatible", &spec->compatible, NULL},
        {"node", &spec->node, NULL},
        {"modalias", &spec->modalias, NULL},
        {"removable", &spec->removable, NULL},
        {"reset_method", &spec->reset_method, NULL},
        {"vfnative", &spec->vfnative, NULL},
        {"totalvfs", NULL, &spec->totalvfs},
        {"vfdevice", NULL, &spec->vfdevice},
        {"boot_vga", NULL, &spec->boot_vga},
    };

    if (!value)
        return -EINVAL;
    *value++ = '\0';
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        if (strcmp(word, fields[i].key) == 0) {
            if (fields[i].number)
                return set_number(fields[i].number, value);
            *fields[i].text = value;
            return 0;
        }
    return -EINVAL;
}

static int do_device(int argc, char **argv, FILE *answer) {
    struct device_spec spec = {.bus = argv[1], .name = argv[2], .numa_node = -1};

    for (int i = 3; i < argc; i++)
        if (spec_word(&spec, argv[i]) < 0) {
            fprintf(answer, "device: what is %s?\n", argv[i]);
            return -EINVAL;
        }
    return device_add(&spec);
}

static int driver_word(struct driver *driver, const char *word) {
    driver->vfio |= strcmp(word, "vfio") == 0;
    driver->managed |= strcmp(word, "managed") == 0 || driver->vfio;
    driver->net |= strcmp(word, "net") == 0;
    driver->sriov |= strcmp(word, "sriov") == 0;
    if (strcmp(word, "fails") == 0)
        driver->refuse = ENODEV;
    if (strncmp(word, "compatible=", 11) == 0)
        driver_add_compatible(driver, word + 11);
    if (strncmp(word, "only=", 5) == 0) {
        free(driver->refuse_only);
        driver->refuse_only = strdup(word + 5);
    }
    if (strncmp(word, "refuse=", 7) != 0)
        return 0;
    free(driver->refuse_only);
    driver->refuse_only = NULL;
    driver->refuse = errno_of(word + 7);
    return driver->refuse || strcmp(word + 7, "none") == 0 ? 0 : -EINVAL;
}

static int do_driver(int argc, char **argv, FILE *answer) {
    struct bus *bus = bus_get(argv[1]);
    struct driver *driver = driver_known(bus, argv[2]);
    int r = 0;

    for (int i = 3; i < argc && !driver; i++)
        if (strncmp(argv[i], "module=", 7) == 0)
            driver = driver_new(bus, argv[2], argv[i] + 7);
    if (!driver)
        driver = driver_get(bus, argv[2]);
    for (int i = 3; i < argc && r == 0; i++)
        r = driver_word(driver, argv[i]);
    return r;
}

static int do_on_device(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[1]);
    int r;

    if (!device)
        return -ENODEV;
    switch (argv[0][0]) {
    case 'b':
        return argc < 3 ? -EINVAL
                        : device_attach_driver(device, driver_get(device->bus, argv[2]));
    case 'u':
        return device_detach(device);
    case 'p':
        r = device_probe(device);
        return r < 0 ? r : 0;
    default:
        device->hang_unbind = true;
        return 0;
    }
}

static int do_remove(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[1]);

    return device ? device_remove(device) : -ENODEV;
}

static int do_regroup(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[1]);
    struct group *group = NULL;

    if (!device)
        return -ENODEV;
    if (strcmp(argv[2], "new") == 0)
        group = group_get(group_free_id());
    else if (strcmp(argv[2], "none") != 0)
        group = group_get((unsigned) atoi(argv[2]));
    device_join(device, group);
    return 0;
}

static int do_drop_group(int argc, char **argv, FILE *answer) {
    struct entry *groups = entry_directory(tree_root(), "kernel/iommu_groups");
    struct group *group = group_find((unsigned) atoi(argv[1]));
    struct device *device;

    if (!group)
        return -ENOENT;
    /* The last member that leaves takes the group with it. */
    while (entry_child(groups, argv[1])) {
        struct entry *members = entry_child(group->directory, "devices");

        device = members->children ? device_find(members->children->name) : NULL;
        if (!device)
            return -EIO;
        device_join(device, NULL);
    }
    return 0;
}

static int do_claim(int argc, char **argv, FILE *answer) {
    struct group *group = group_find((unsigned) atoi(argv[1]));

    if (!group)
        return -ENOENT;
    *(*argv[0] == 'c' ? &group->claimed : &group->disagrees) = strcmp(argv[2], "on") == 0;
    return 0;
}

static int do_fail_container(int argc, char **argv, FILE *answer) {
    struct group *group = group_find((unsigned) atoi(argv[1]));

    if (!group)
        return -ENOENT;
    group->fail_container = errno_of(argv[2]);
    return group->fail_container || strcmp(argv[2], "none") == 0 ? 0 : -EINVAL;
}

static int do_fault(int argc, char **argv, FILE *answer) {
    struct entry *entry = tree_resolve(argv[1], false);

    if (!entry)
        return -ENOENT;
    entry->fault_errno = errno_of(argv[2]);
    entry->fault = entry->fault_errno ? FAULT_ERRNO : FAULT_NONE;
    if (strcmp(argv[2], "hang") == 0)
        entry->fault = FAULT_HANG;
    else if (strcmp(argv[2], "vanish") == 0)
        entry->fault = FAULT_VANISH;
    else if (strcmp(argv[2], "none") != 0 && entry->fault == FAULT_NONE)
        return -EINVAL;
    pthread_cond_broadcast(&tree_changed);
    return 0;
}

/* The folder of path, made if need be, and the last name. */
static struct entry *folder_of(char *path, char **ret_name) {
    char *slash = strrchr(path, '/');
    struct entry *found;

    if (!slash)
        return NULL;
    *slash = '\0';
    *ret_name = slash + 1;
    found = tree_resolve(path, true);
    return found ? found
                 : entry_directory(tree_root(), strncmp(path, "/sys/", 5) == 0 ? path + 5 : path);
}

static int do_path(int argc, char **argv, FILE *answer) {
    struct entry *at;
    char *name, text[4096];

    at = folder_of(argv[1], &name);
    if (!at || (argc < 3 && argv[0][0] != 'r'))
        return -EINVAL;
    if (argv[0][0] == 'r')
        entry_remove_child(at, name);
    else if (argv[0][0] == 'l')
        entry_link_text(at, name, argv[2]);
    else {
        snprintf(text, sizeof(text), "%s\n", argv[2]);
        entry_file(at, name, 0644, text);
    }
    return 0;
}

static int do_node(int argc, char **argv, FILE *answer) {
    unsigned group = (unsigned) atoi(argv[1]), major, minor;

    if (strcmp(argv[2], "copy") == 0)
        return argc < 4 ? -EINVAL : vfio_node_copy(group, argv[3]);
    if (strcmp(argv[2], "recreate") == 0)
        return vfio_node_create(group, 0, 0);
    if (strcmp(argv[2], "remove") == 0) {
        vfio_node_remove(group);
        return 0;
    }
    if (sscanf(argv[2], "%u:%u", &major, &minor) != 2)
        return -EINVAL;
    return vfio_node_create(group, major, minor);
}

static int do_event(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[2]);
    char lines[2048] = "", *path;
    size_t used = 0;

    if (!device)
        return -ENODEV;
    if (argc == 3) {
        device_event(device, argv[1]);
        return 0;
    }
    for (int i = 3; i < argc && used < sizeof(lines); i++)
        used += (size_t) snprintf(lines + used, sizeof(lines) - used, "%s\n", argv[i]);
    path = entry_path(device->directory);
    uevent_send(argv[1], path, device->bus->name, lines);
    free(path);
    return 0;
}

static int do_burst(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[2]);

    if (!device)
        return -ENODEV;
    for (int i = atoi(argv[1]); i > 0; i--)
        device_event(device, "change");
    return 0;
}

static int do_kernel(int argc, char **argv, FILE *answer) {
    kernel_6_1 = strcmp(argv[1], "6.1") == 0;
    vfio_cdev_enable(strcmp(argv[1], "6.12-cdev") == 0);
    return 0;
}

static int do_scale(int argc, char **argv, FILE *answer) {
    return scale_add((unsigned) atoi(argv[1]));
}

static int do_state(int argc, char **argv, FILE *answer) {
    struct entry *groups = entry_directory(tree_root(), "kernel/iommu_groups"), *g, *gn, *d, *dn;

    HASH_ITER(hh, groups->children, g, gn) {
        struct entry *members = entry_child(g, "devices");

        HASH_ITER(hh, members->children, d, dn) {
            struct device *device = device_find(d->name);

            fprintf(answer, "%s %s %s\n", g->name, d->name,
                    device && device->driver ? device->driver->name : "-");
        }
    }
    return 0;
}

static int do_fdt(int argc, char **argv, FILE *answer) {
    char path[2 * PATH_MAX];

    if (*argv[1] == '/')
        return devicetree_load(argv[1]);
    snprintf(path, sizeof(path), "%s/%s", folder, argv[1]);
    return devicetree_load(path);
}

static int do_help(int argc, char **argv, FILE *answer) {
    fputs(HELP, answer);
    fputs(SWITCH_HELP, answer);
    return 0;
}

static const struct command commands[] = {
    {"device", 3, do_device},   {"driver", 3, do_driver},         {"remove", 2, do_remove},
    {"bind", 3, do_on_device},  {"unbind", 2, do_on_device},      {"probe", 2, do_on_device},
    {"hang", 2, do_on_device},  {"regroup", 3, do_regroup},
    {"claim", 3, do_claim},     {"drop-group", 2, do_drop_group}, {"fault", 3, do_fault},
    {"set", 3, do_path},        {"link", 3, do_path},             {"rm", 2, do_path},
    {"node", 3, do_node},       {"event", 3, do_event},           {"burst", 3, do_burst},
    {"kernel", 2, do_kernel},   {"scale", 2, do_scale},           {"state", 1, do_state},
    {"fdt", 2, do_fdt},         {"disagree", 3, do_claim},  {"fail-container", 3, do_fail_container},
    {"help", 1, do_help},       {NULL, 0, NULL},
};

static const struct command *find_command(const char *name) {
    const struct command *const lists[] = {commands, switch_commands};

    for (size_t i = 0; name && i < sizeof(lists) / sizeof(*lists); i++)
        for (const struct command *command = lists[i]; command->name; command++)
            if (strcmp(command->name, name) == 0)
                return command;
    return NULL;
}

int control_execute(int argc, char **argv, FILE *answer) {
    const struct command *command = find_command(argc > 0 ? argv[0] : NULL);
    int r;

    if (!command || argc < command->words) {
        fprintf(answer, "unknown or incomplete command; try: fakectl help\n");
        return -EINVAL;
    }
    pthread_mutex_lock(&tree_lock);
    r = command->run(argc, argv, answer);
    pthread_mutex_unlock(&tree_lock);
    return r;
}

int control_split(char *line, char **words, int size) {
    char *save = NULL;
    int count = 0;

    for (char *word = strtok_r(line, " \t\n", &save); word && count < size - 1;
         word = strtok_r(NULL, " \t\n", &save))
        words[count++] = word;
    words[count] = NULL;
    return count;
}

int control_file(const char *path) {
    char line[4096], *words[64];
    FILE *file = fopen(path, "re");
    int r = 0, number = 0;

    if (!file)
        return -errno;
    if (strrchr(path, '/'))
        snprintf(folder, sizeof(folder), "%.*s", (int) (strrchr(path, '/') - path), path);
    while (r == 0 && fgets(line, sizeof(line), file)) {
        int count;

        number++;
        line[strcspn(line, "#")] = '\0';
        count = control_split(line, words, 64);
        r = count ? control_execute(count, words, stderr) : 0;
        if (r < 0)
            fprintf(stderr, "%s:%d: %s: %s\n", path, number, words[0], strerror(-r));
    }
    fclose(file);
    return r;
}
