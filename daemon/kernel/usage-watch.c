/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel tells of a change of mounts and swaps by POLLPRI alone; these files are readable at all
 * times, and libev knows no POLLPRI. So they sit in an epoll of their own, which is readable when one
 * of them has changed. */
#include "kernel/usage-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
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
    ev_io files_io, network_io;
    int files;    /* epoll */
    int mounts, swaps, network;
};

struct usage_watch *usage_watch_free(struct usage_watch *watch) {
    if (!watch)
        return NULL;
    ev_io_stop(watch->loop, &watch->files_io);
    ev_io_stop(watch->loop, &watch->network_io);
    fd_close(watch->files);
    fd_close(watch->mounts);
    fd_close(watch->swaps);
    fd_close(watch->network);
    free(watch);
    return NULL;
}
DEFINE_CLEANUP(struct usage_watch *, usage_watch_free)

/* Edge-triggered: to have been told is enough. */
static int open_file(struct usage_watch *watch, const char *path, int *ret) {
    struct epoll_event event = {.events = EPOLLPRI | EPOLLET};
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (epoll_ctl(watch->files, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    *ret = TAKE_FD(fd);
    return 0;
}

static int open_network(struct usage_watch *watch) {
    static const int groups[] = {
        RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
        RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEXTHOP,
    };
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};

    watch->network =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (watch->network < 0)
        return -errno;
    if (bind(watch->network, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    /* An old kernel lacks some. */
    for (size_t i = 0; i < ELEMENTS_OF(groups); i++)
        (void)setsockopt(watch->network, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
                         sizeof(groups[i]));
    return 0;
}

static void on_files(struct ev_loop *loop, ev_io *io, int events) {
    struct usage_watch *watch = io->data;
    struct epoll_event told[4];

    if (epoll_wait(watch->files, told, ELEMENTS_OF(told), 0) > 0)
        watch->changed(watch->userdata);
}

/* What it says is not looked at. An overrun (ENOBUFS) is a change like any other. */
static void on_network(struct ev_loop *loop, ev_io *io, int events) {
    struct usage_watch *watch = io->data;
    char part[64];

    for (int i = 0; i < READS_MAX; i++)
        if (recv(watch->network, part, sizeof(part), MSG_TRUNC) < 0 && errno != ENOBUFS)
            break;
    watch->changed(watch->userdata);
}

static int start(struct usage_watch *watch) {
    int r = open_network(watch);

    watch->files = epoll_create1(EPOLL_CLOEXEC);
    if (watch->files < 0)
        return -errno;
    if (r < 0)
        return r;
    /* Missing in a container that hides them; the survey says so, and the watch does without. */
    (void)open_file(watch, "/proc/1/mountinfo", &watch->mounts);
    (void)open_file(watch, "/proc/swaps", &watch->swaps);
    ev_io_init(&watch->files_io, on_files, watch->files, EV_READ);
    ev_io_init(&watch->network_io, on_network, watch->network, EV_READ);
    watch->files_io.data = watch->network_io.data = watch;
    ev_io_start(watch->loop, &watch->files_io);
    ev_io_start(watch->loop, &watch->network_io);
    return 0;
}

int usage_watch_new(struct ev_loop *loop, usage_changed *changed, void *userdata,
                    struct usage_watch **ret) {
    _cleanup_(usage_watch_freep) struct usage_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->loop = loop;
    watch->changed = changed;
    watch->userdata = userdata;
    watch->files = watch->mounts = watch->swaps = watch->network = -1;
    int r = start(watch);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(watch);
    return 0;
}
