/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/libvirt/leased.h"

#include <stdbool.h>

#include "client/caller.h"
#include "util/string.h"

#define ERROR_NO_SUCH_TARGET "org.dmaownd1.Error.NoSuchTarget"

/* 1, 0 or a negative errno. */
static int is_leased(sd_bus *bus, char *const *groups, const char *target, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *group;
    int r = sd_bus_call_method(bus, DAEMON_NAME, DAEMON_PATH, MANAGER_INTERFACE, "FindGroup", error, &reply,
                               "s", target);

    if (r < 0 && sd_bus_error_has_name(error, ERROR_NO_SUCH_TARGET)) {
        sd_bus_error_free(error);
        return 0;
    }
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &group);
    return r < 0 ? r : strings_contain(groups, group);
}

int leased_misses(sd_bus *bus, const char *lease, char *const *targets, const char **ret,
                  sd_bus_error *error) {
    _cleanup_(strings_freep) char **groups = NULL;
    int r = sd_bus_get_property_strv(bus, DAEMON_NAME, lease, LEASE_INTERFACE, "Groups", error, &groups);

    *ret = NULL;
    for (; r >= 0 && targets && *targets; targets++) {
        r = is_leased(bus, groups, *targets, error);
        if (r == 0) {
            *ret = *targets;
            return 0;
        }
    }
    return r < 0 ? r : 0;
}
