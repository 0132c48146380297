/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of kernel/usage.h. First the tree below each device is walked, which gives the parts of
 * the host that hang on it; then each kind of part is judged, and what is in use is written. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/usage.h"
#include "util/cleanup.h"

/* Bounds of the work for one device. More counts as in use. */
#define USAGE_FOLDERS_MAX 100000
#define USAGE_PARTS_MAX 4096
#define USAGE_DEPTH_MAX 40       /* of folders below a device */
#define USAGE_STACK_MAX 16       /* of block devices on a block device */
#define USAGE_STACK_VISITS 1024  /* block devices looked at above one disk */

/* What disks hold is only information: after so much of the survey none is read any more, since a
 * disk that stands still, or is broken, takes its time and a worker has little. */
#define USAGE_PROBE_MICROSECONDS (3 * 1000 * 1000)

/* Where the host is looked at. */
struct usage_host {
    int sysfs;
    const char *proc, *dev;
    /* Opens a block device for reading if it can be opened exclusively and is the one of this number.
     * An fd or a negative errno; -EBUSY: somebody else has it. */
    int (*open_disk)(const struct usage_host *host, const char *name, dev_t number);
};

enum usage_kind {
    USAGE_DISK,        /* a whole block device */
    USAGE_PARTITION,
    USAGE_CHARACTER,   /* a character device */
    USAGE_TERMINAL,    /* one that is a tty */
    USAGE_FRAMEBUFFER, /* one that is a frame buffer; the last with a node */
    USAGE_NETDEV,
    USAGE_MEDIATED,    /* a mediated device (mdev) */
    USAGE_EMPTY_NET,   /* a folder `net` without any that this network namespace sees */
};

struct usage_part {
    enum usage_kind kind;
    size_t device;    /* place in the paths */
    dev_t number;     /* of a block or character device */
    unsigned ifindex; /* of a network interface */
    char *path;       /* below the sysfs root */
};

struct usage_survey {
    const struct usage_host *host;
    int output;
    const char *const *paths;
    size_t n_paths;
    struct usage_written {
        unsigned uses, information;
    } *written; /* one a path */
    struct usage_part *parts;
    size_t n_parts;
    uint64_t started; /* monotonic µs */
};

/* As usage_write, on a host of the caller's. */
int usage_write_host(int output, const struct usage_host *host, const char *const *paths,
                     size_t n_paths);

/* Writes a line; both texts are taken and freed, and NULL is -ENOMEM. Without public_text the other
 * is for everyone. */
int usage_say(struct usage_survey *survey, size_t device, enum reason reason, char *public_text,
              char *text);
/* The same for a text for everyone. */
int usage_say_all(struct usage_survey *survey, size_t device, enum reason reason, char *text);
/* What failed may hide a use: "whether sda is mounted could not be found out: Permission denied". */
int usage_say_unknown(struct usage_survey *survey, size_t device, enum reason reason,
                      const char *what, int error);

/* True for the errors of a file or folder that goes away under the reader. */
bool usage_is_gone(int error);

/* Walks the tree below device number `device`. Gone devices have no parts. */
int usage_walk(struct usage_survey *survey, size_t device);
/* Where the link leads that stands in folder (both below the sysfs root). */
int usage_follow(int sysfs, const char *folder, const char *link, char *ret, size_t size);
/* Last part of where the link of the device at path leads; "" without. */
void usage_link_name(int sysfs, const char *path, const char *link, char *ret, size_t size);
int usage_read_number(int sysfs, const char *path, dev_t *ret);
/* One line that stands below path. As attribute_read. */
ssize_t usage_attribute(int sysfs, const char *path, const char *name, char *ret, size_t size);

/* Each judges the parts of its kind of all devices. */
int usage_judge_disks(struct usage_survey *survey);
int usage_judge_netdevs(struct usage_survey *survey);
int usage_judge_nodes(struct usage_survey *survey);
int usage_judge_functions(struct usage_survey *survey); /* display, console, virtual functions */

/* What block devices are used for, by number. */
struct usage_mounts {
    struct usage_mount {
        dev_t number;
        char *target;
    } *mounts;
    size_t n_mounts;
    dev_t *swaps;
    size_t n_swaps;
    struct usage_loop {
        dev_t number; /* of the block device that is its file */
        char *path;   /* of the loop device, below the sysfs root */
    } *loops;
    size_t n_loops;
    int mounts_error, swaps_error, loops_error; /* 0, or why there may be more */
};

/* Reads the mounts of process 1, the swaps and the loop devices. -ENOMEM. */
int usage_mounts_read(const struct usage_host *host, struct usage_mounts *ret);
void usage_mounts_clear(struct usage_mounts *mounts);

/* "on /srv for pid 812 (/usr/bin/a)" if the block device is mounted in another mount namespace than
 * that of process 1, as far as it can be seen; else NULL. The caller's. */
char *usage_mounted_elsewhere(const struct usage_host *host, dev_t number);

/* Judges a block device that sysfs shows no user of: 1 in use (said), 0 not (what is on it was said),
 * or a negative errno. */
int usage_judge_free_disk(struct usage_survey *survey, size_t device, const char *path,
                          dev_t number);
int usage_open_disk(const struct usage_host *host, const char *name, dev_t number);

/* What network interfaces are used for, by index. */
struct usage_netdev {
    unsigned ifindex;
    char *address; /* one that is not link-local, with its prefix; NULL without */
    char *route;   /* "the default route", "the route to 10.1.0.0/16" */
    char *upper;   /* "is a port of br0 (bridge)", "carries eth0.5 (vlan)" */
    bool is_default_route;
};

/* Fills the records, which are there with their index. A negative errno, and then nothing is sure. */
int usage_netlink_read(struct usage_netdev *netdevs, size_t n);
