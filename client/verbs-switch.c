/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/json.h"
#include "client/options.h"
#include "client/table.h"

/* ---- The plan -------------------------------------------------------------------------------- */

static enum exit_status plan_print(const struct client *client, json_object *steps) {
    static const struct column columns[] = {
        {.title = "DEVICE", .key = "device"},
        {.title = "STEP", .key = "step"},
        {.title = "FROM", .key = "from"},
        {.title = "TO", .key = "to"},
        {.title = "TEXT", .key = "text", .wrap = true},
    };

    if (client->json)
        return json_print(steps, false) < 0 ? client_fail_memory(client) : STATUS_DONE;
    if (json_length(steps) > 0)
        return table_print(client, columns, ELEMENTS_OF(columns), steps, NULL);
    printf("nothing to do\n");
    return STATUS_DONE;
}

static enum exit_status plan_read(const struct client *client, sd_bus_message *reply) {
    _cleanup_(json_putp) json_object *steps = NULL;
    int r = json_from_message(reply, &steps);

    return r < 0 ? client_fail_reply(client, r) : plan_print(client, steps);
}

/* ---- The call -------------------------------------------------------------------------------- */

/* Which methods of the daemon a verb stands for. */
struct switch_verb {
    const char *plan, *carry_out;
    bool privileged; /* polkit may be asked */
};

static enum exit_status switch_run(struct client *client, const struct arguments *arguments,
                                   const struct switch_verb *verb) {
    _cleanup_(call_options_done) struct call_options options = {0};
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    bool plan = arguments_value(arguments, "dry-run");
    enum exit_status status = call_options_read(client, arguments, NULL, &options);

    if (status == STATUS_DONE && client->json && !plan)
        status = client_fail(client, STATUS_USAGE, "only --dry-run has something to print as JSON");
    if (status == STATUS_DONE)
        status = call_new(client, plan ? verb->plan : verb->carry_out, verb->privileged && !plan,
                          &call);
    if (status == STATUS_DONE)
        status = call_options_append(client, arguments, &options, call);
    if (status != STATUS_DONE)
        return status;
    status = call_send_late(client, call, call_options_wait(&options), &reply);
    return status == STATUS_DONE && plan ? plan_read(client, reply) : status;
}

#define SWITCH_OPTIONS                                                                             \
    {"dry-run", 'n', NULL, "print the steps, and change nothing"},                                 \
        {"wait", 'w', "SECONDS", "wait so long for who uses a device; or 10m, 1h"},                \
        {"option", 'o', "NAME=VALUE", "any option of the call, or NAME:TYPE=VALUE"}

/* ---- detach ---------------------------------------------------------------------------------- */

static enum exit_status detach_run(struct client *client, const struct arguments *arguments) {
    static const struct switch_verb detach = {"PlanDetach", "Detach", false};

    return switch_run(client, arguments, &detach);
}

static const struct verb_option detach_options[] = {
    SWITCH_OPTIONS,
    {NULL},
};

const struct verb verb_detach = {
    .name = "detach",
    .synopsis = "TARGET...",
    .summary = "Gives whole groups from the kernel to VFIO, or none",
    .help = "Every device of the groups that a host driver has goes to a VFIO driver; bridges\n"
            "stay, free devices are kept free. Needs a rule with \"detach\". What the host uses\n"
            "is refused, with the use. If a step fails, everything is put back. Returns when\n"
            "all is done; the groups stay detached until 'dmaownctl reattach' or a reboot.\n"
            "--wait waits for a device that is busy, or whose driver lets go of it late.\n",
    .options = detach_options,
    .json = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = detach_run,
};

/* ---- reattach -------------------------------------------------------------------------------- */

static enum exit_status reattach_run(struct client *client, const struct arguments *arguments) {
    static const struct switch_verb reattach = {"PlanReattach", "Reattach", true};

    return switch_run(client, arguments, &reattach);
}

static const struct verb_option reattach_options[] = {
    SWITCH_OPTIONS,
    {"reattach-unreset", 0, NULL, "also what no reset could clean (root or polkit)"},
    {NULL},
};

const struct verb verb_reattach = {
    .name = "reattach",
    .synopsis = "TARGET...",
    .summary = "Gives whole groups back to the drivers that they had",
    .help = "For groups that 'dmaownctl detach', or a claim, detached: by whoever did it, or\n"
            "root, when no lease has them. A device that a user had open is reset first;\n"
            "where that does not work it stays without a driver, unless --reattach-unreset\n"
            "says that the host shall have it nevertheless.\n",
    .options = reattach_options,
    .json = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = reattach_run,
};
