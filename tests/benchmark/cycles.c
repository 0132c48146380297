/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cycles ADDRESS FIRST GROUPS COUNT: COUNT leases come and go, of each of the groups FIRST,
 * FIRST + 1, … one after the other, with changing terms and ends. Fails at the first answer that is
 * not a grant. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "benchmark/client.h"

#define GROUPS_MAX 64

enum way_out {
    END_RELEASE,
    END_CLOSE, /* the fd that keeps the lease */
    END_LEAVE, /* the bus */
};

/* Lifetime unit is missing: there is no systemd here. */
static const struct way {
    const char *mode, *lifetime;
    bool container, keyed, commented;
    uint64_t ttl;
    enum way_out end;
} ways[] = {
    {"path", "connection", false, false, false, 0, END_RELEASE},
    {"fd", "connection", false, false, true, 0, END_RELEASE},
    {"path", "fd", false, true, false, 0, END_CLOSE},
    {"path", "persistent", false, true, true, 3600, END_RELEASE},
    {"fd", "fd", true, false, true, 60, END_CLOSE},
    {"path", "process", false, false, true, 0, END_RELEASE},
    {"fd", "persistent", true, true, false, 0, END_RELEASE},
    {"path", "connection", false, true, true, 86400, END_RELEASE},
    {"fd", "process", false, true, true, 0, END_RELEASE},
    {"path", "persistent", false, false, false, 0, END_RELEASE},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))
static const struct way leaving = {"path", "connection", false, true, true, 0, END_LEAVE};
/* Every so many cycles of a group its claimant leaves the bus and comes back as another. */
#define LEAVE_EVERY 50

struct cycles {
    const char *address;
    sd_event *event;
    sd_bus *watch;
    struct slot *slots;
    unsigned first, n_slots, wanted, begun, ended;
};

/* A group and who claims it. */
struct slot {
    struct cycles *all;
    sd_bus *bus;
    unsigned group, turn;
    const struct way *way;
    char lease[64];
    bool answered;
};

static void join(struct slot *slot) {
    slot->bus = connect_to(slot->all->address);
    check("loop", sd_bus_attach_event(slot->bus, slot->all->event, 0));
}

static void leave(struct slot *slot) {
    sd_bus_detach_event(slot->bus);
    slot->bus = sd_bus_flush_close_unref(slot->bus);
}

static void send_call(struct slot *slot, sd_bus_message *message,
                      sd_bus_message_handler_t handler) {
    check("sending", sd_bus_call_async(slot->bus, NULL, message, handler, slot, 0));
    sd_bus_message_unref(message);
}

static int on_released(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    if (sd_bus_message_is_method_error(reply, NULL))
        fail("Release", -EIO, sd_bus_message_get_error(reply));
    return 1;
}

/* The fds in the answer are closed behind this. */
static int on_claimed(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    struct slot *slot = userdata;
    const char *lease;

    if (sd_bus_message_is_method_error(reply, NULL))
        fail("Claim", -EIO, sd_bus_message_get_error(reply));
    check("answer of Claim", sd_bus_message_read(reply, "o", &lease));
    snprintf(slot->lease, sizeof(slot->lease), "%s", lease);
    slot->answered = true;
    return 1;
}

static void end(struct slot *slot) {
    slot->answered = false;
    if (slot->way->end == END_RELEASE) {
        send_call(slot, release_message(slot->bus, slot->lease), on_released);
    } else if (slot->way->end == END_LEAVE) {
        leave(slot);
        join(slot);
    }
}

static void begin(struct slot *slot) {
    char target[16], key[32];

    snprintf(target, sizeof(target), "%u", slot->group);
    snprintf(key, sizeof(key), "%u-%u", slot->group, slot->turn);
    slot->way = ++slot->turn % LEAVE_EVERY == 0 ? &leaving : &ways[slot->turn % WAYS];
    struct terms terms = {
        .mode = slot->way->mode,
        .lifetime = slot->way->lifetime,
        .container = slot->way->container,
        .key = slot->way->keyed ? key : NULL,
        .comment = slot->way->commented ? "one of many, for the benchmark" : NULL,
        .ttl = slot->way->ttl,
    };
    slot->all->begun++;
    send_call(slot, claim_message(slot->bus, target, &terms), on_claimed);
}

/* The group can be granted again. */
static int on_ended(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct cycles *all = userdata;
    const uint32_t *groups;
    size_t size;

    check("LeaseEnded", sd_bus_message_skip(message, "o"));
    check("LeaseEnded", sd_bus_message_read_array(message, 'u', (const void **)&groups, &size));
    if (size != sizeof(*groups) || *groups - all->first >= all->n_slots)
        fail("LeaseEnded", -EBADMSG, NULL);
    struct slot *slot = &all->slots[*groups - all->first];
    all->ended++;
    if (all->begun < all->wanted)
        begin(slot);
    return 0;
}

static void start(struct cycles *all) {
    check("loop", sd_event_new(&all->event));
    all->watch = connect_to(all->address);
    wait_for_name(all->watch, MANAGER_NAME);
    check("LeaseEnded",
          sd_bus_match_signal(all->watch, NULL, MANAGER, "LeaseEnded", on_ended, all));
    check("loop", sd_bus_attach_event(all->watch, all->event, 0));
    all->slots = calloc(all->n_slots, sizeof(*all->slots));
    for (unsigned i = 0; i < all->n_slots; i++) {
        all->slots[i] = (struct slot){.all = all, .group = all->first + i};
        join(&all->slots[i]);
        begin(&all->slots[i]);
    }
}

static void run(struct cycles *all) {
    while (all->ended < all->wanted) {
        check("loop", sd_event_run(all->event, UINT64_MAX));
        for (unsigned i = 0; i < all->n_slots; i++)
            if (all->slots[i].answered)
                end(&all->slots[i]);
    }
    for (unsigned i = 0; i < all->n_slots; i++)
        leave(&all->slots[i]);
}

int main(int argc, char **argv) {
    struct cycles all = {0};

    if (argc == 5)
        all = (struct cycles){.address = argv[1],
                              .first = (unsigned)atoi(argv[2]),
                              .n_slots = (unsigned)atoi(argv[3]),
                              .wanted = (unsigned)atoi(argv[4])};
    if (all.n_slots == 0 || all.n_slots > GROUPS_MAX || all.wanted < all.n_slots) {
        fprintf(stderr, "usage: cycles ADDRESS FIRST GROUPS COUNT\n");
        return 2;
    }
    start(&all);
    run(&all);
    return 0;
}
