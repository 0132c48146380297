/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vfio-open [-u UID] [-g GID] [-h] [-c] [-d DEVICE] NODE
 *
 * Opens a VFIO group node and prints what the kernel says of it, on one line:
 *     flags=0xN            the flags of VFIO_GROUP_GET_STATUS (1 viable, 2 container set)
 *     open: ERRNO          the node did not open
 *     container: ERRNO ... a later step failed
 * -u, -g  become this uid and gid first (no other groups)
 * -h      hold the node open until killed; " held" is printed behind the flags
 * -c      also put the group into a container: the kernel's own claim
 * -d      also open this device of the group (needs a container and the type 1 IOMMU): while
 *         it is open, an unbind of the device hangs in the kernel
 * Ends with 0, or 1 when any step failed, 2 on wrong usage. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int step_failed(const char *step) {
    printf("%s: %s\n", step, strerrorname_np(errno));
    fflush(stdout);
    return 1;
}

static int attach(int group, const char *device) {
    int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (container < 0)
        return step_failed("container");
    if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
        return step_failed("set-container");
    if (!device)
        return 0;
    if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
        return step_failed("set-iommu");
    if (ioctl(group, VFIO_GROUP_GET_DEVICE_FD, device) < 0)
        return step_failed("device");
    return 0;
}

static int become(long uid, long gid) {
    if (gid >= 0 && (setgroups(0, NULL) < 0 || setgid(gid) < 0))
        return step_failed("setgid");
    if (uid >= 0 && setuid(uid) < 0)
        return step_failed("setuid");
    return 0;
}

static int visit(const char *node, bool claim, bool hold, const char *device) {
    struct vfio_group_status status = {.argsz = sizeof(status)};

    int group = open(node, O_RDWR | O_CLOEXEC);
    if (group < 0)
        return step_failed("open");
    if ((claim || device) && attach(group, device) != 0)
        return 1;
    if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0)
        return step_failed("status");
    printf("flags=0x%x%s\n", status.flags, hold ? " held" : "");
    fflush(stdout);
    if (hold)
        pause();
    return 0;
}

int main(int argc, char **argv) {
    long uid = -1, gid = -1;
    bool claim = false, hold = false;
    const char *device = NULL;
    int option;

    while ((option = getopt(argc, argv, "u:g:hcd:")) != -1)
        switch (option) {
        case 'u': uid = atol(optarg); break;
        case 'g': gid = atol(optarg); break;
        case 'h': hold = true; break;
        case 'c': claim = true; break;
        case 'd': device = optarg; break;
        default: return 2;
        }
    if (optind != argc - 1)
        return 2;
    if (uid >= 0 && gid < 0)
        gid = uid;
    if (become(uid, gid) != 0)
        return 1;
    return visit(argv[optind], claim, hold, device);
}
