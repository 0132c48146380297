/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A block device that nothing in sysfs or in the mounts of process 1 uses. An exclusive open fails
 * with EBUSY where another mount namespace has it mounted, or something has it that leaves no holder
 * in sysfs (ZFS, a target). */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include <blkid.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/string.h"

/* Another worker of ours, or mkfs, may be trying the same at this moment. */
#define ATTEMPTS 3
#define PAUSE_NANOSECONDS (20 * 1000 * 1000)

/* O_NONBLOCK, so that no tray closes and a missing medium is no error. */
static int open_once(const char *path, dev_t number, int flags) {
    struct stat status;
    _cleanup_(fd_closep) int fd =
        open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | flags);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISBLK(status.st_mode) || status.st_rdev != number)
        return -ENOENT;
    return TAKE_FD(fd);
}

/* Exclusively for an instant only: a mount meanwhile would fail. */
static int open_free(const char *path, dev_t number) {
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    int fd = open_once(path, number, O_EXCL);

    for (int i = 1; fd == -EBUSY && i < ATTEMPTS; i++) {
        nanosleep(&pause, NULL);
        fd = open_once(path, number, O_EXCL);
    }
    if (fd < 0)
        return fd;
    fd_close(fd);
    return open_once(path, number, 0);
}

/* A name that is something else is not opened: O_EXCL on it could mean anything. */
static bool is_node(const char *path, dev_t number) {
    struct stat status;

    return stat(path, &status) == 0 && S_ISBLK(status.st_mode) && status.st_rdev == number;
}

int usage_open_disk(const struct usage_host *host, const char *name, dev_t number) {
    char path[PATH_MAX];

    int n = snprintf(path, sizeof(path), "%s/%s", host->dev, name);
    if ((size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    /* The kernel writes cciss/c0d0 as cciss!c0d0 in sysfs. */
    for (char *at = path + strlen(host->dev) + 1; *at; at++)
        if (*at == '!')
            *at = '/';
    if (is_node(path, number))
        return open_free(path, number);
    snprintf(path, sizeof(path), "%s/block/%u:%u", host->dev, major(number), minor(number));
    return is_node(path, number) ? open_free(path, number) : -ENOENT;
}

/* ---- What is on it */

static void probe_freep(blkid_probe *probe) {
    if (*probe)
        blkid_free_probe(*probe);
}

static const char *value_of(blkid_probe probe, const char *name) {
    const char *value;

    return blkid_probe_lookup_value(probe, name, &value, NULL) == 0 ? value : NULL;
}

static const char *what_it_holds(const char *usage) {
    static const struct {
        const char *usage, *text;
    } kinds[] = {
        {"filesystem", "a file system that is not mounted"},
        {"raid", "a part of a volume"},
        {"crypto", "encrypted data"},
    };

    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        if (string_equal(kinds[i].usage, usage))
            return kinds[i].text;
    return "data";
}

/* found: what the probe answered; -2 for signatures of several kinds. */
static char *describe(blkid_probe probe, int found, const char *name) {
    const char *type = value_of(probe, "TYPE"), *table = value_of(probe, "PTTYPE");

    if (found == -2)
        return string_format("%s holds data of several kinds", name);
    if (type)
        return string_format("%s holds %s (%s)", name, what_it_holds(value_of(probe, "USAGE")), type);
    return string_format("%s holds a partition table (%s)", name, table ?: "of an unknown kind");
}

/* A disk that can not be read holds nothing that could be named. */
static int say_data(struct usage_survey *survey, size_t device, const char *name, int fd) {
    if (now_monotonic() - survey->started > USAGE_PROBE_MICROSECONDS)
        return 0;
    _cleanup_(probe_freep) blkid_probe probe = blkid_new_probe();

    if (!probe || blkid_probe_set_device(probe, fd, 0, 0) < 0)
        return 0;
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
    blkid_probe_enable_partitions(probe, 1);
    int found = blkid_do_safeprobe(probe);
    if (found != 0 && found != -2)
        return 0;
    return usage_say_all(survey, device, REASON_DATA_ON_DISK, describe(probe, found, name));
}

static int say_busy(struct usage_survey *survey, size_t device, const char *name, dev_t number) {
    _cleanup_(freep) char *where = usage_mounted_elsewhere(survey->host, number);
    int r;

    if (where)
        r = usage_say(survey, device, REASON_MOUNTED,
                      string_format("%s is mounted in another mount namespace", name),
                      string_format("%s is mounted in another mount namespace, %s", name, where));
    else
        r = usage_say_all(survey, device, REASON_HELD,
                          string_format("%s is held by something that sysfs does not show: a mount in "
                                        "another mount namespace, or a driver such as ZFS", name));
    return r < 0 ? r : 1;
}

int usage_judge_free_disk(struct usage_survey *survey, size_t device, const char *path,
                          dev_t number) {
    const char *name = path_basename(path);
    char size[32];

    _cleanup_(fd_closep) int fd = survey->host->open_disk(survey->host, name, number);
    if (fd == -ENOMEDIUM)
        return 0;
    if (fd == -EBUSY)
        return say_busy(survey, device, name, number);
    if (fd < 0) {
        dev_t still;
        if (usage_is_gone(usage_read_number(survey->host->sysfs, path, &still)))
            return 0;
        _cleanup_(freep) char *what = string_format("whether %s is held", name);
        int r = what ? usage_say_unknown(survey, device, REASON_HELD, what, fd) : -ENOMEM;
        return r < 0 ? r : 1;
    }
    if (usage_attribute(survey->host->sysfs, path, "size", size, sizeof(size)) >= 0 &&
        string_equal(size, "0"))
        return 0;
    return say_data(survey, device, name, fd);
}
