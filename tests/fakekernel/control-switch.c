/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands that are about switching drivers: writes, modules, reset, what hangs on a device. */
#include "control-commands.h"
#include "model.h"
#include "writes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char SWITCH_HELP[] =
    "writes [count|clear] (to files of /sys: number, result, path, text)\n"
    "write-fault N ERRNO [GLOB] (the Nth write from now, of paths like GLOB; more than one may be set)\n"
    "write-hang N [GLOB] | write-fail-late N ERRNO [GLOB] (after it hung) | release (all of these)\n"
    "drivers (device, driver, override, VFs, their autoprobe; never hangs)\n"
    "reset-fails DEVICE ERRNO|none | bus-master DEVICE on|off|show\n"
    "module NAME loaded|loadable|missing|fails | load NAME (as modprobe)\n"
    "netdev DEVICE NAME|none [IFINDEX] (none: in another network namespace)\n"
    "disk DEVICE NAME MAJOR:MINOR|loop [SECTORS] [multipath] (nvme0n1 below its controller, else block/;\n"
    "       loop: there is a /dev/NAME that can be opened, if this machine has loop devices)\n"
    "partition DISK NAME MAJOR:MINOR [SECTORS] | holder DISK NAME MAJOR:MINOR [SECTORS]\n";

int errno_of(const char *name) {
    for (int i = 1; i < 200; i++)
        if (strerrorname_np(i) && strcmp(strerrorname_np(i), name) == 0)
            return i;
    return 0;
}

static int do_writes(int argc, char **argv, FILE *answer) {
    if (argc == 1)
        writes_print(answer);
    else if (strcmp(argv[1], "count") == 0)
        fprintf(answer, "%lu\n", writes_count());
    else if (strcmp(argv[1], "clear") == 0)
        writes_clear();
    else
        return -EINVAL;
    return 0;
}

static int do_write_fate(int argc, char **argv, FILE *answer) {
    bool hangs = strcmp(argv[0], "write-fault") != 0;
    bool fails = strcmp(argv[0], "write-hang") != 0;
    unsigned long n = strtoul(argv[1], NULL, 10);
    int error = 0, next = 2;

    if (fails) {
        error = argc > next ? errno_of(argv[next++]) : 0;
        if (!error)
            return -EINVAL;
    }
    return n ? writes_fate(n, error, argc > next ? argv[next] : NULL, hangs) : -EINVAL;
}

static int do_release(int argc, char **argv, FILE *answer) {
    struct device *device;

    if (argc == 1) {
        writes_release();
        return 0;
    }
    device = device_find(argv[1]);
    if (!device)
        return -ENODEV;
    device->hang_unbind = false;
    pthread_cond_broadcast(&tree_changed);
    return 0;
}

static int do_drivers(int argc, char **argv, FILE *answer) {
    for (struct device *d = device_next(NULL); d; d = device_next(d)) {
        fprintf(answer, "%s %s %s", d->name, d->driver ? d->driver->name : "-",
                d->driver_override ? d->driver_override : "-");
        if (d->sriov)
            fprintf(answer, " %u %d", d->sriov->count, d->sriov->autoprobe);
        fputc('\n', answer);
    }
    return 0;
}

static int do_reset_fails(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[1]);

    if (!device)
        return -ENODEV;
    device->reset_errno = errno_of(argv[2]);
    return device->reset_errno || strcmp(argv[2], "none") == 0 ? 0 : -EINVAL;
}

static int do_bus_master(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[1]);

    if (!device)
        return -ENODEV;
    if (strcmp(argv[2], "show") == 0)
        fprintf(answer, "%s\n", pci_is_master(device) ? "on" : "off");
    else
        pci_set_master(device, strcmp(argv[2], "on") == 0);
    return 0;
}

static int do_module(int argc, char **argv, FILE *answer) {
    static const char *const states[] = {"loaded", "loadable", "missing", "fails"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        if (strcmp(argv[2], states[i]) == 0)
            return module_set(argv[1], (enum module_state) i);
    return -EINVAL;
}

static int do_load(int argc, char **argv, FILE *answer) {
    return module_load(argv[1]);
}

static int do_netdev(int argc, char **argv, FILE *answer) {
    struct device *device = device_find(argv[1]);

    if (!device)
        return -ENODEV;
    return device_interface(device, argv[2], argc > 3 ? (unsigned) atoi(argv[3]) : 7);
}

static int do_disk(int argc, char **argv, FILE *answer) {
    struct disk disk = {.sectors = argc > 4 ? strtoul(argv[4], NULL, 10) : 2048};
    struct device *device;

    snprintf(disk.name, sizeof(disk.name), "%s", argv[2]);
    snprintf(disk.number, sizeof(disk.number), "%s", argv[3]);
    disk.multipath = strcmp(argv[argc - 1], "multipath") == 0;
    if (*argv[0] == 'p')
        return disk_partition(argv[1], &disk);
    if (*argv[0] == 'h')
        return disk_holder(argv[1], &disk);
    device = device_find(argv[1]);
    if (device && strcmp(argv[3], "loop") == 0 && disk_loop(&disk) < 0)
        snprintf(disk.number, sizeof(disk.number), "259:0");
    return device ? device_disk(device, &disk) : -ENODEV;
}

const struct command switch_commands[] = {
    {"writes", 1, do_writes},
    {"write-fault", 3, do_write_fate},
    {"write-hang", 2, do_write_fate},
    {"write-fail-late", 3, do_write_fate},
    {"release", 1, do_release},
    {"drivers", 1, do_drivers},
    {"reset-fails", 3, do_reset_fails},
    {"bus-master", 3, do_bus_master},
    {"module", 3, do_module},
    {"load", 2, do_load},
    {"netdev", 3, do_netdev},
    {"disk", 4, do_disk},
    {"partition", 4, do_disk},
    {"holder", 4, do_disk},
    {NULL, 0, NULL},
};
