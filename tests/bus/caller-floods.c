/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many calls at once, callers that never read, and two that want the same. */
#include "caller.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KINDS 32
#define MINUTE (60ULL * 1000 * 1000)

static struct {
    char name[64];
    unsigned count;
} kinds[KINDS];
static unsigned answered;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    const sd_bus_error *e = sd_bus_message_get_error(m);
    const char *name = e ? e->name : "ok";

    answered++;
    for (int i = 0; i < KINDS; i++) {
        if (!*kinds[i].name)
            snprintf(kinds[i].name, sizeof(kinds[i].name), "%s", name);
        if (strcmp(kinds[i].name, name) == 0) {
            kinds[i].count++;
            break;
        }
    }
    return 0;
}

static int new_flood_call(sd_bus *bus, int argc, char **argv, sd_bus_message **ret) {
    int r = new_call(bus, argv[0], 1, argc > 1 ? argv + 1 : NULL, ret);

    return r >= 0 && argc > 1 ? append_options(*ret, argc - 2, argv + 2) : r;
}

static int send_burst(sd_bus *bus, unsigned count, int argc, char **argv) {
    for (unsigned i = 0; i < count; i++) {
        sd_bus_message *m = NULL;
        int r = new_flood_call(bus, argc, argv, &m);

        if (r >= 0)
            r = sd_bus_call_async(bus, NULL, m, on_answer, NULL, MINUTE);
        if (r < 0)
            return r;
        sd_bus_message_unref(m);
    }
    return 0;
}

static int wait_answers(sd_bus *bus, unsigned count) {
    while (answered < count) {
        int r = sd_bus_process(bus, NULL);

        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
        if (r < 0)
            return r;
    }
    return 0;
}

int burst(sd_bus *bus, unsigned count, int argc, char **argv) {
    int r = send_burst(bus, count, argc, argv);

    if (r >= 0)
        r = wait_answers(bus, count);
    if (r < 0)
        return fail(r, argv[0]);
    for (int i = 0; i < KINDS && *kinds[i].name; i++)
        printf("%s %u\n", kinds[i].name, kinds[i].count);
    return 0;
}

int deaf(sd_bus *bus, unsigned count, int argc, char **argv) {
    for (unsigned i = 0; i < count; i++) {
        sd_bus_message *m = NULL;
        int r = new_flood_call(bus, argc, argv, &m);

        if (r >= 0)
            r = sd_bus_send(bus, m, NULL);
        if (r < 0)
            return fail(r, argv[0]);
        sd_bus_message_unref(m);
    }
    sd_bus_flush(bus);
    printf("deaf\n");
    return until_input_ends(NULL);
}

/* One of two callers with overlapping targets: what its claim came to. */
struct rival {
    sd_bus *bus;
    char *targets[16];
    int count;
    bool answered;
    sd_bus_message *reply; /* with its descriptors */
    char lease[64], error[64];
};

static int on_rival(sd_bus_message *m, void *userdata, sd_bus_error *ignored) {
    const sd_bus_error *e = sd_bus_message_get_error(m);
    struct rival *rival = userdata;
    const char *lease = "";

    rival->answered = true;
    rival->reply = sd_bus_message_ref(m);
    if (!e)
        sd_bus_message_read(m, "o", &lease);
    snprintf(rival->lease, sizeof(rival->lease), "%s", lease);
    snprintf(rival->error, sizeof(rival->error), "%s", e ? e->name : "");
    return 0;
}

static int send_rival(struct rival *rival, int argc, char **argv) {
    sd_bus_message *m = NULL;
    int r = new_call(rival->bus, "Claim", rival->count, rival->targets, &m);

    rival->answered = false;
    if (r >= 0)
        r = append_options(m, argc, argv);
    if (r >= 0)
        r = sd_bus_call_async(rival->bus, NULL, m, on_rival, rival, MINUTE);
    sd_bus_message_unref(m);
    return r < 0 ? r : sd_bus_flush(rival->bus);
}

static int wait_rival(struct rival *rival) {
    while (!rival->answered) {
        int r = sd_bus_process(rival->bus, NULL);

        if (r == 0)
            r = sd_bus_wait(rival->bus, UINT64_MAX);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_there(const struct rival *rival) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    uint64_t id;
    int r = sd_bus_get_property_trivial(rival->bus, NAME, rival->lease, NAME ".Lease", "Id", &error,
                                        't', &id);

    sd_bus_error_free(&error);
    return r >= 0;
}

/* Until it has drained. */
static void release(struct rival *rival) {
    sd_bus_error error = SD_BUS_ERROR_NULL;

    rival->reply = sd_bus_message_unref(rival->reply);
    if (!*rival->lease)
        return;
    sd_bus_call_method(rival->bus, NAME, PATH, MANAGER, "Release", &error, NULL, "o", rival->lease);
    sd_bus_error_free(&error);
    for (int i = 0; i < 1000 && is_there(rival); i++)
        usleep(10 * 1000);
}

static void split_targets(struct rival *rival, char *text) {
    char *save = NULL;

    for (char *word = strtok_r(text, ",", &save); word && rival->count < 16;
         word = strtok_r(NULL, ",", &save))
        rival->targets[rival->count++] = word;
}

/* Both have an answer before anything is given back. */
static int one_round(struct rival rivals[2], unsigned round, int argc, char **argv) {
    int first = (int) (round % 2), r = send_rival(&rivals[first], argc, argv);

    if (r >= 0)
        r = send_rival(&rivals[!first], argc, argv);
    for (int i = 0; r >= 0 && i < 2; i++)
        r = wait_rival(&rivals[i]);
    if (r < 0)
        return fail(r, "Claim");
    printf("%s %s\n", *rivals[0].lease ? "granted" : rivals[0].error,
           *rivals[1].lease ? "granted" : rivals[1].error);
    for (int i = 0; i < 2; i++)
        release(&rivals[i]);
    return 0;
}

int overlap(sd_bus *bus, unsigned rounds, int argc, char **argv) {
    struct rival rivals[2] = {{.bus = bus}};
    int r = sd_bus_open_system(&rivals[1].bus);

    if (r < 0)
        return fail(r, "system bus");
    split_targets(&rivals[0], argv[0]);
    split_targets(&rivals[1], argv[1]);
    for (unsigned i = 0; i < rounds; i++)
        if (one_round(rivals, i, argc - 2, argv + 2) != 0)
            return 1;
    return 0;
}
