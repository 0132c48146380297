/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fakectl COMMAND...: tells the fake kernel (see `fakectl help`) or, with `service`, the stand-in for
 * the service manager what to do. Status 0, or 1 with the errno's text on stderr. Two commands are its
 * own: `hold NODE [container|DEVICE|bind]` opens a VFIO node, claims it through a container, opens a
 * device of it too, or binds a cdev to an iommufd, as asked; says "held" and stays until its input ends
 * (an input of "b" binds then). `status NODE` prints the flags of VFIO_GROUP_GET_STATUS.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bind-iommufd.h"

#define TIMEOUT 30 /* seconds; no answer by then is a failed test, not a slow one */

static int fail(const char *what) {
    fprintf(stderr, "fakectl: %s: %s\n", what, strerror(errno));
    return 1;
}

static int node_status(int fd) {
    struct vfio_group_status status = {.argsz = sizeof(status)};

    if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status) < 0)
        return fail("VFIO_GROUP_GET_STATUS");
    printf("0x%x\n", status.flags);
    return 0;
}

/* Attaches the group to a container of its own, which stays open like everything here. */
static int claim_group(int fd, const char *device) {
    int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

    if (container < 0 || ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container) < 0)
        return fail("VFIO_GROUP_SET_CONTAINER");
    if (!device)
        return 0;
    if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
        return fail("VFIO_SET_IOMMU");
    return ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, device) < 0 ? fail("VFIO_GROUP_GET_DEVICE_FD") : 0;
}

static int claim_device(int fd) {
    struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};

    bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    if (bind.iommufd < 0 || ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0)
        return fail("VFIO_DEVICE_BIND_IOMMUFD");
    return 0;
}

static int claim(int fd, const char *how) {
    if (strcmp(how, "bind") == 0)
        return claim_device(fd);
    return claim_group(fd, strcmp(how, "container") == 0 ? NULL : how);
}

static int node(int argc, char **argv) {
    int fd = open(argv[2], O_RDWR | O_CLOEXEC);
    char byte;

    if (fd < 0)
        return fail(argv[2]);
    if (strcmp(argv[1], "status") == 0)
        return node_status(fd);
    if (argc > 3 && claim(fd, argv[3]) != 0)
        return 1;
    puts("held");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        if (byte == 'b' && claim_device(fd) == 0) {
            puts("bound");
            fflush(stdout);
        }
    return 0;
}

static int dial(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return -1;
    return fd;
}

/* The answer: the errno in the first line, text behind it. */
static int print_answer(FILE *answer) {
    char line[4096];
    int error;

    if (!fgets(line, sizeof(line), answer)) {
        fprintf(stderr, "fakectl: no answer\n");
        return 1;
    }
    error = atoi(line);
    while (fgets(line, sizeof(line), answer))
        fputs(line, error ? stderr : stdout);
    if (error)
        fprintf(stderr, "fakectl: %s\n", strerror(error));
    return error != 0;
}

int main(int argc, char **argv) {
    int fd;

    if (argc < 2) {
        fprintf(stderr, "usage: fakectl COMMAND...; try fakectl help\n");
        return 2;
    }
    if (argc > 2 && (strcmp(argv[1], "hold") == 0 || strcmp(argv[1], "status") == 0))
        return node(argc, argv);
    alarm(TIMEOUT);
    fd = dial(strcmp(argv[1], "service") == 0 ? "/run/fakekernel/manager"
                                              : "/run/fakekernel/control");
    if (fd < 0)
        return fail("fake kernel");
    for (int i = 1; i < argc; i++)
        if (write(fd, argv[i], strlen(argv[i]) + 1) < 0)
            return fail("write");
    shutdown(fd, SHUT_WR);
    return print_answer(fdopen(fd, "r"));
}
