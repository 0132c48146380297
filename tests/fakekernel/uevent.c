/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int uevent_fd = -1;

int uevent_open(void) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        close(fd);
        return -errno;
    }
    return fd;
}

void uevent_attach(int fd) {
    uevent_fd = fd;
}

static size_t append_lines(char *to, size_t size, const char *lines) {
    size_t used = 0;

    for (; *lines && used + 1 < size; lines++)
        to[used++] = *lines == '\n' ? '\0' : *lines;
    return used;
}

void uevent_send(const char *action, const char *path, const char *subsystem,
                 const char *properties) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct {
        struct nlmsghdr header;
        char payload[4096];
    } message = {.header = {.nlmsg_type = NLMSG_MIN_TYPE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    char answer[512];
    size_t used;

    if (uevent_fd < 0)
        return;
    /* %c with a NUL ends each string inside the payload. */
    used = (size_t) snprintf(message.payload, sizeof(message.payload) / 2,
                             "%s@%s%cACTION=%s%cDEVPATH=%s%cSUBSYSTEM=%s%c", action, path, 0,
                             action, 0, path, 0, subsystem, 0);
    used += append_lines(message.payload + used, sizeof(message.payload) - used, properties);
    message.header.nlmsg_len = (unsigned) (NLMSG_HDRLEN + used);
    if (sendto(uevent_fd, &message, message.header.nlmsg_len, 0, (struct sockaddr *) &kernel,
               sizeof(kernel)) < 0)
        fprintf(stderr, "fakekernel: uevent: %s\n", strerror(errno));
    while (recv(uevent_fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
        ;
}
