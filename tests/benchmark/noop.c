/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "benchmark/noop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>

#include <ev.h>

/* The bus on the loop: asked again before every poll what it waits for. */
struct noop {
    sd_bus *bus;
    ev_prepare prepare;
    ev_io input;
    int fd; /* that is passed */
};

static int method_noop(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    return sd_bus_reply_method_return(message, "");
}

static int method_pass_fd(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    const struct noop *noop = userdata;

    return sd_bus_reply_method_return(message, "h", noop->fd);
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Noop", "", "", method_noop, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("PassFd", "", "h", method_pass_fd, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static void on_input(struct ev_loop *loop, ev_io *watcher, int events) {
    struct noop *noop = watcher->data;
    int r;

    do
        r = sd_bus_process(noop->bus, NULL);
    while (r > 0);
    if (r < 0)
        ev_break(loop, EVBREAK_ALL);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events) {
    struct noop *noop = watcher->data;
    int wanted = sd_bus_get_events(noop->bus);

    if (wanted < 0) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    events = (wanted & POLLIN ? EV_READ : 0) | (wanted & POLLOUT ? EV_WRITE : 0);
    if (events == (noop->input.events & (EV_READ | EV_WRITE)))
        return;
    ev_io_stop(loop, &noop->input);
    ev_io_set(&noop->input, sd_bus_get_fd(noop->bus), events);
    ev_io_start(loop, &noop->input);
}

int noop_serve(sd_bus *bus) {
    struct noop noop = {.bus = bus, .fd = open("/dev/null", O_RDWR | O_CLOEXEC)};
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    int r = noop.fd < 0 ? -errno : 0;

    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, NULL, "/", NOOP_NAME, vtable, &noop);
    if (r >= 0)
        r = sd_bus_request_name(bus, NOOP_NAME, 0);
    if (r >= 0 && loop) {
        ev_prepare_init(&noop.prepare, on_prepare);
        noop.prepare.data = &noop;
        ev_prepare_start(loop, &noop.prepare);
        ev_io_init(&noop.input, on_input, sd_bus_get_fd(bus), EV_READ);
        noop.input.data = &noop;
        ev_io_start(loop, &noop.input);
        ev_feed_event(loop, &noop.input, EV_READ);
        ev_run(loop, 0);
        ev_loop_destroy(loop);
    }
    sd_bus_unref(bus);
    return r;
}
