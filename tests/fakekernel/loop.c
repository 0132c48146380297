/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A block device that can really be opened, for a disk of the fake kernel: a loop device on memory, which
 * is gone when the server is. */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOOP_MAJOR 7
#define SECTOR 512
#define LOOPS 16

static int loops[LOOPS], loop_count;

/* A node of our own: /dev is a tmpfs. Returns the open loop device. */
static int open_loop(int number, const char *path) {
    if (mknod(path, S_IFBLK | 0600, makedev(LOOP_MAJOR, (unsigned) number)) < 0)
        return -errno;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int find_free(void) {
    int control = -1, number;

    if (mknod("/dev/loop-control", S_IFCHR | 0600, makedev(10, 237)) == 0 || errno == EEXIST)
        control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -errno;
    number = ioctl(control, LOOP_CTL_GET_FREE);
    close(control);
    return number < 0 ? -errno : number;
}

static int configure(int loop, unsigned long sectors) {
    struct loop_config config = {.info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    int memory = memfd_create("disk", MFD_CLOEXEC), r;

    if (memory < 0 || ftruncate(memory, (off_t) sectors * SECTOR) < 0)
        return -errno;
    config.fd = (unsigned) memory;
    r = ioctl(loop, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
    close(memory);
    return r;
}

int disk_loop(struct disk *disk) {
    char path[128];
    int number, loop = -1, r = loop_count < LOOPS ? -EBUSY : -EMFILE;

    snprintf(path, sizeof(path), "/dev/%s", disk->name);
    /* Others look for a free one too. */
    for (int i = 0; i < 20 && r == -EBUSY; i++) {
        unlink(path);
        number = find_free();
        loop = number < 0 ? number : open_loop(number, path);
        r = loop < 0 ? loop : configure(loop, disk->sectors);
        if (r < 0 && loop >= 0)
            close(loop);
    }
    if (r < 0) {
        unlink(path);
        return r;
    }
    snprintf(disk->number, sizeof(disk->number), "%d:%d", LOOP_MAJOR, number);
    loops[loop_count++] = loop; /* stays open, or it is no more */
    return 0;
}

void disk_close_loops(void) {
    while (loop_count > 0)
        close(loops[--loop_count]);
}
