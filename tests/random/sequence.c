/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sequence.h"

#include <stdio.h>
#include <string.h>

#include "naive.h"

/* ---- Chance */

void dice_seed(struct dice *dice, uint64_t seed) {
    dice->state = (seed + 1) * 0x9e3779b97f4a7c15u;
    for (unsigned i = 0; i < 4; i++)
        (void)dice_draw(dice, 2);
}

unsigned dice_draw(struct dice *dice, unsigned limit) {
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return (unsigned)((dice->state >> 32) % limit);
}

/* ---- Making events */

/* One of several, by weight. */
static unsigned draw_weighted(struct dice *dice, const unsigned *weights, unsigned n) {
    unsigned sum = 0, i = 0;

    for (unsigned k = 0; k < n; k++)
        sum += weights[k];
    unsigned at = dice_draw(dice, sum);
    while (at >= weights[i])
        at -= weights[i++];
    return i;
}

static void make_claim(struct dice *dice, unsigned features, struct event *event) {
    static const uint8_t lifetimes[] = {LIFETIME_CONNECTION, LIFETIME_PERSISTENT,
                                        LIFETIME_PERSISTENT, LIFETIME_FD, LIFETIME_PROCESS};

    event->targets = (uint8_t)(1u << dice_draw(dice, N_GROUPS));
    if (dice_draw(dice, 4) == 0)
        event->targets |= (uint8_t)(1u << dice_draw(dice, N_GROUPS));
    if (dice_draw(dice, 8) == 0)
        event->targets |= (uint8_t)dice_draw(dice, 1u << N_GROUPS);
    event->place = NO_PLACE;
    if (dice_draw(dice, 8) == 0) {
        event->place = (uint8_t)dice_draw(dice, N_PLACES);
        event->targets = dice_draw(dice, 2) ? event->targets : 0;
    }
    event->holder = (uint8_t)slot_users[event->slot];
    if (dice_draw(dice, 8) == 0)
        event->holder = (uint8_t)dice_draw(dice, N_USERS);
    event->mode = MODE_PATH;
    if (features & FEATURE_FD && dice_draw(dice, 3) == 0) {
        event->mode = MODE_FD;
        event->container = dice_draw(dice, 2);
    }
    event->lifetime = lifetimes[dice_draw(dice, sizeof(lifetimes))];
    if ((event->lifetime == LIFETIME_FD && !(features & FEATURE_LIFETIME_FD)) ||
        (event->lifetime == LIFETIME_PROCESS && !(features & FEATURE_LIFETIME_PROCESS)))
        event->lifetime = LIFETIME_CONNECTION;
    if (dice_draw(dice, features & FEATURE_RARE_RESTARTS ? 20 : 6) == 0)
        event->ttl = TTL_SHORT;
    else if (dice_draw(dice, 8) == 0)
        event->ttl = dice_draw(dice, 8) ? TTL_LONG : TTL_BAD;
    event->key = dice_draw(dice, 6) ? 0 : (uint8_t)(1 + dice_draw(dice, 2));
}

static const unsigned common_weights[N_KINDS] = {
    [EVENT_ADD] = 14,       [EVENT_REMOVE] = 4,  [EVENT_BIND] = 30,  [EVENT_UNBIND] = 7,
    [EVENT_MOVE] = 3,       [EVENT_DIRECT] = 1,  [EVENT_TOUCH] = 2,  [EVENT_OPEN] = 14,
    [EVENT_CLOSE] = 9,      [EVENT_CLAIM] = 36,  [EVENT_RELEASE] = 10, [EVENT_REVOKE] = 2,
    [EVENT_DISCONNECT] = 1, [EVENT_PASS] = 1,    [EVENT_RELOAD] = 1, [EVENT_KILL] = 1,
    [EVENT_START] = 1,      [EVENT_DROP] = 2,    [EVENT_HAND] = 8,
};

static enum kind draw_kind(struct dice *dice, unsigned features, bool early) {
    unsigned weights[N_KINDS];

    memcpy(weights, common_weights, sizeof(weights));
    if (!(features & FEATURE_HAND))
        weights[EVENT_HAND] = 0;
    if (!(features & FEATURE_REVOKE))
        weights[EVENT_REVOKE] = 0;
    if (!(features & (FEATURE_LIFETIME_FD | FEATURE_LIFETIME_PROCESS)))
        weights[EVENT_DROP] = 0;
    if (features & FEATURE_RARE_RESTARTS)
        weights[EVENT_PASS] = 0;
    if (early) {
        memset(weights, 0, sizeof(weights));
        weights[EVENT_ADD] = 2;
        weights[EVENT_BIND] = 3;
    }
    return (enum kind)draw_weighted(dice, weights, N_KINDS);
}

/* Of that kind, or of any. */
static void make_event(struct dice *dice, unsigned features, bool early, enum kind kind,
                       struct event *event) {
    static const unsigned drivers[N_DRIVERS] = {
        [DRIVER_VFIO] = 20, [DRIVER_VARIANT] = 2, [DRIVER_STUB] = 2,
        [DRIVER_PORT] = 2,  [DRIVER_HOST] = 3,    [DRIVER_UIO] = 1,
    };

    if (kind == N_KINDS)
        kind = draw_kind(dice, features, early);
    *event = (struct event){.kind = (uint8_t)kind};
    event->place = (uint8_t)dice_draw(dice, N_PLACES);
    event->group = (int8_t)dice_draw(dice, N_GROUPS);
    event->driver = (uint8_t)draw_weighted(dice, drivers, N_DRIVERS);
    event->slot = (uint8_t)dice_draw(dice, N_SLOTS);
    event->argument = (uint8_t)dice_draw(dice, 64);
    if ((event->kind == EVENT_ADD || event->kind == EVENT_MOVE) && dice_draw(dice, 12) == 0)
        event->group = NO_GROUP;
    if (event->kind == EVENT_TOUCH)
        event->argument = (uint8_t)(dice_draw(dice, 2) * dice_draw(dice, ACCESS_ALL + 1));
    if (event->kind == EVENT_OPEN || event->kind == EVENT_DIRECT)
        event->argument = (uint8_t)(event->argument % 4 == 0);
    if (event->kind == EVENT_PASS)
        event->argument = features & FEATURE_TIME && dice_draw(dice, 8) == 0;
    if (event->kind == EVENT_RELOAD) {
        event->argument = (uint8_t)dice_draw(dice, N_POLICIES);
        if (event->argument == 0 && dice_draw(dice, 4))
            event->argument = 1;
        event->slot = dice_draw(dice, 6) ? 0 : event->slot;
    }
    if (event->kind == EVENT_HAND) {
        event->lifetime = dice_draw(dice, 2) ? LIFETIME_PROCESS : LIFETIME_PERSISTENT;
        event->holder = (uint8_t)slot_users[event->slot];
    }
    if (event->kind == EVENT_CLAIM)
        make_claim(dice, features, event);
}

/* Most random events would do nothing: a few are drawn, and the first that does something is taken.
 * The answer is the naive statement's, as it is meant to be. */
static void make_useful_event(struct dice *dice, unsigned features, bool early,
                              struct naive *naive, struct event *event) {
    static struct naive after;

    enum kind kind = N_KINDS;

    for (unsigned tries = 1 + dice_draw(dice, 20); tries > 0; tries--) {
        make_event(dice, features, early, kind, event);
        kind = event->kind == EVENT_CLAIM && dice_draw(dice, 5) ? EVENT_CLAIM : N_KINDS;
        after = *naive;
        if (!*naive_apply(&after, event).error)
            break;
    }
    *naive = after;
}

void sequence_make(uint64_t seed, unsigned features, struct event *events, size_t n) {
    static struct naive naive;
    struct dice dice;

    dice_seed(&dice, seed);
    naive_init(&naive, FAULT_NONE);
    if (n == 0)
        return;
    /* A policy that allows something first. */
    events[0] = (struct event){.kind = EVENT_RELOAD,
                               .argument = (uint8_t)(1 + dice_draw(&dice, POLICY_BAD - 1))};
    (void)naive_apply(&naive, &events[0]);
    for (size_t i = 1; i < n; i++)
        make_useful_event(&dice, features, i < 16, &naive, &events[i]);
}

/* ---- Describing them */

static const char *const kind_names[N_KINDS] = {
    [EVENT_ADD] = "add",         [EVENT_REMOVE] = "remove",         [EVENT_BIND] = "bind",
    [EVENT_UNBIND] = "unbind",   [EVENT_MOVE] = "move",             [EVENT_DIRECT] = "direct-region",
    [EVENT_TOUCH] = "touch-node", [EVENT_OPEN] = "open",            [EVENT_CLOSE] = "close",
    [EVENT_CLAIM] = "claim",     [EVENT_RELEASE] = "release",       [EVENT_REVOKE] = "revoke",
    [EVENT_PASS] = "time-passes", [EVENT_DISCONNECT] = "disconnect", [EVENT_RELOAD] = "reload",
    [EVENT_KILL] = "kill",       [EVENT_START] = "start",           [EVENT_DROP] = "drop-keeper",
    [EVENT_HAND] = "set-lifetime",
};

struct line {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void say(struct line *line, const char *format, ...) {
    __builtin_va_list arguments;

    __builtin_va_start(arguments, format);
    int n = vsnprintf(line->text + line->used, line->size - line->used, format, arguments);
    __builtin_va_end(arguments);
    line->used += n < 0 || line->used + (size_t)n >= line->size ? line->size - line->used - 1
                                                                : (size_t)n;
}

static void say_group(struct line *line, int group) {
    if (group == NO_GROUP)
        say(line, " no-group");
    else
        say(line, " %d", FIRST_GROUP + group);
}

static void say_slot(struct line *line, unsigned slot) {
    say(line, " by %s#%u", user_names[slot_users[slot]], slot);
}

static const char *lifetime_name(unsigned lifetime) {
    return lifetime == LIFETIME_CONNECTION   ? "connection"
           : lifetime == LIFETIME_FD         ? "fd"
           : lifetime == LIFETIME_PROCESS    ? "process"
           : lifetime == LIFETIME_UNIT       ? "unit"
           : lifetime == LIFETIME_PERSISTENT ? "persistent"
                                             : "any";
}

static void say_claim(struct line *line, const struct event *event) {
    for (int i = 0; i < N_GROUPS; i++)
        if (event->targets & 1u << i)
            say_group(line, i);
    if (event->place != NO_PLACE)
        say(line, " %s", places[event->place].name);
    say_slot(line, event->slot);
    say(line, " %s", lifetime_name(event->lifetime));
    if (event->holder != slot_users[event->slot])
        say(line, " for %s", user_names[event->holder]);
    if (event->mode == MODE_FD)
        say(line, event->container ? " fd container" : " fd");
    if (event->ttl)
        say(line, " ttl=%u", event->ttl == TTL_BAD ? 0 : event->ttl);
    if (event->key)
        say(line, " key=%u", event->key);
}

static void say_node(struct line *line, const struct event *event) {
    say_group(line, event->group);
    if (event->kind == EVENT_TOUCH)
        say(line, " for %s", event->argument == ACCESS_NONE  ? "none"
                             : event->argument == ACCESS_ALL ? "all"
                                                             : user_names[event->argument]);
    else if (event->kind == EVENT_DIRECT)
        say(line, event->argument ? " on" : " off");
    else if (event->kind == EVENT_OPEN)
        say(line, " by %s%s", user_names[slot_users[event->slot]],
            event->argument ? " with a container" : "");
}

void event_describe(const struct event *event, char *text, size_t size) {
    struct line line = {.text = text, .size = size};

    say(&line, "%s", kind_names[event->kind]);
    switch (event->kind) {
    case EVENT_ADD:
    case EVENT_MOVE:
        say(&line, " %s", places[event->place].name);
        say_group(&line, event->group);
        break;
    case EVENT_BIND:
        say(&line, " %s %s", places[event->place].name,
            driver_names[places[event->place].bus][event->driver] ?: "(no such driver)");
        break;
    case EVENT_REMOVE:
    case EVENT_UNBIND:
        say(&line, " %s", places[event->place].name);
        break;
    case EVENT_DIRECT:
    case EVENT_TOUCH:
    case EVENT_OPEN:
    case EVENT_CLOSE:
        say_node(&line, event);
        break;
    case EVENT_CLAIM:
        say_claim(&line, event);
        break;
    case EVENT_RELEASE:
    case EVENT_REVOKE:
    case EVENT_RELOAD:
        say(&line, " %u", event->argument);
        say_slot(&line, event->slot);
        break;
    case EVENT_HAND:
        say(&line, " %u %s", event->argument, event->lifetime == LIFETIME_PROCESS ? "process" : "persistent");
        say_slot(&line, event->slot);
        break;
    case EVENT_DROP:
        say(&line, " %u", event->argument);
        break;
    case EVENT_DISCONNECT:
        say_slot(&line, event->slot);
        break;
    case EVENT_PASS:
        say(&line, event->argument ? " long" : " short");
        break;
    }
}

void sequence_print(const struct event *events, size_t n) {
    char text[160];

    for (size_t i = 0; i < n; i++) {
        event_describe(&events[i], text, sizeof(text));
        printf("#   %2zu. %s\n", i + 1, text);
    }
}
