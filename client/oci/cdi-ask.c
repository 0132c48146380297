/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/oci/cdi-ask.h"

#include <errno.h>
#include <unistd.h>

#include "client/caller.h"
#include "client/json.h"
#include "util/string.h"

/* The daemon answers both at once. */
#define CALL_TIMEOUT_USEC (20 * UINT64_C(1000000))

#define ERROR_NO_SUCH_TARGET "org.dmaownd1.Error.NoSuchTarget"

/* The claim that the hook will make, of a process that there is. */
static int explain_call_new(sd_bus *bus, const char *daemon, const char *group, sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = sd_bus_message_new_method_call(bus, &call, daemon, DAEMON_PATH, MANAGER_INTERFACE, "Explain");

    if (r >= 0)
        r = sd_bus_message_append(call, "asa{sv}", 1, group, 2, "lifetime", "s", "process", "pid", "u",
                                  (uint32_t)getpid());
    if (r >= 0)
        *ret = TAKE_POINTER(call);
    return r;
}

static int ask_about(sd_bus *bus, const char *daemon, uint32_t group, const char *node, struct cdi *cdi,
                     sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(json_putp) json_object *findings = NULL;
    _cleanup_(freep) char *target = string_format("%u", group);
    const char *first;
    int grantable;
    int r = target ? explain_call_new(bus, daemon, target, &call) : -ENOMEM;

    if (r >= 0)
        r = sd_bus_call(bus, call, CALL_TIMEOUT_USEC, error, &reply);
    if (r < 0 && sd_bus_error_has_name(error, ERROR_NO_SUCH_TARGET)) {
        sd_bus_error_free(error);
        return 0; /* it went meanwhile, and a signal says so */
    }
    if (r >= 0)
        r = sd_bus_message_read(reply, "bs", &grantable, &first);
    if (r >= 0)
        r = json_from_message(reply, &findings);
    return r < 0 ? r : cdi_add_group(cdi, group, node, first, findings);
}

int cdi_ask(sd_bus *bus, const char *daemon, struct cdi *cdi, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    const char *node;
    uint32_t group;
    int r =
        sd_bus_message_new_method_call(bus, &call, daemon, DAEMON_PATH, MANAGER_INTERFACE, "ListGroups");

    if (r >= 0)
        r = sd_bus_call(bus, call, CALL_TIMEOUT_USEC, error, &reply);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(ussuso)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(ussuso)", &group, NULL, NULL, NULL, &node, NULL)) > 0)
        if (*node)
            r = ask_about(bus, daemon, group, node, cdi, error);
    return r < 0 ? r : 0;
}
