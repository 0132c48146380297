/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A change of mounts or swaps is told by POLLPRI and POLLERR, once. These files are readable at all
 * times and writable never, and libev knows no POLLPRI but takes an error for readiness of both kinds:
 * waiting for them to be writable is waiting for a change. */
#include "kernel/usage-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <ev.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "util/fd.h"

/* Reads of one wakeup; what waits then makes the next. */
#define READS_MAX 256

struct usage_watch {
    struct ev_loop *loop;
    usage_changed *changed;
    void *userdata;
    ev_io mounts, swaps, network;
};

static void stop(struct ev_loop *loop, ev_io *io) {
    ev_io_stop(loop, io);
    fd_close(io->fd);
}

struct usage_watch *usage_watch_free(struct usage_watch *watch) {
    if (!watch)
        return NULL;
    stop(watch->loop, &watch->mounts);
    stop(watch->loop, &watch->swaps);
    stop(watch->loop, &watch->network);
    free(watch);
    return NULL;
}
DEFINE_CLEANUP(struct usage_watch *, usage_watch_free)

/* The socket, or a negative errno. */
static int open_network(void) {
    static const int groups[] = {
        RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
        RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEXTHOP,
    };
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};

    _cleanup_(fd_closep) int fd =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    /* An old kernel lacks some. */
    for (size_t i = 0; i < ELEMENTS_OF(groups); i++)
        (void)setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]));
    return TAKE_FD(fd);
}

static void on_file(struct ev_loop *loop, ev_io *io, int events) {
    struct usage_watch *watch = io->data;

    watch->changed(watch->userdata);
}

/* What it says is not looked at. An overrun (ENOBUFS) is a change like any other. */
static void on_network(struct ev_loop *loop, ev_io *io, int events) {
    struct usage_watch *watch = io->data;
    char part[64];

    for (int i = 0; i < READS_MAX; i++)
        if (recv(io->fd, part, sizeof(part), MSG_TRUNC) < 0 && errno != ENOBUFS)
            break;
    watch->changed(watch->userdata);
}

static void start(struct usage_watch *watch, ev_io *io, int fd, int events,
                  void (*told)(struct ev_loop *, ev_io *, int)) {
    ev_io_init(io, told, fd, events);
    io->data = watch;
    if (fd >= 0)
        ev_io_start(watch->loop, io);
}

/* A container may hide one; the survey says so, and the watch does without. */
static void start_file(struct usage_watch *watch, ev_io *io, const char *path) {
    start(watch, io, open(path, O_RDONLY | O_CLOEXEC), EV_WRITE, on_file);
}

int usage_watch_new(struct ev_loop *loop, usage_changed *changed, void *userdata,
                    struct usage_watch **ret) {
    _cleanup_(usage_watch_freep) struct usage_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->loop = loop;
    watch->changed = changed;
    watch->userdata = userdata;
    watch->mounts.fd = watch->swaps.fd = watch->network.fd = -1;
    int network = open_network();
    if (network < 0)
        return network;
    start(watch, &watch->network, network, EV_READ, on_network);
    start_file(watch, &watch->mounts, "/proc/1/mountinfo");
    start_file(watch, &watch->swaps, "/proc/swaps");
    *ret = TAKE_POINTER(watch);
    return 0;
}
