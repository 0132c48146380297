/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/oci/granted.h"

#include <errno.h>

#include "client/caller.h"
#include "util/string.h"

static int find_group(sd_bus *bus, const char *device, char **ret, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *path;
    int r = sd_bus_call_method(bus, DAEMON_NAME, DAEMON_PATH, MANAGER_INTERFACE, "FindGroup", error, &reply,
                               "s", device);

    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &path);
    if (r < 0)
        return r;
    return (*ret = strdup(path)) ? 0 : -ENOMEM;
}

int granted_node(sd_bus *bus, const char *lease, const char *device, char **ret_node, sd_bus_error *error) {
    _cleanup_(freep) char *group = NULL, *node = NULL;
    _cleanup_(strings_freep) char **groups = NULL;
    int r = find_group(bus, device, &group, error);

    if (r >= 0)
        r = sd_bus_get_property_strv(bus, DAEMON_NAME, lease, LEASE_INTERFACE, "Groups", error, &groups);
    if (r < 0)
        return r;
    if (strings_length(groups) == 1 && string_equal(groups[0], group)) {
        r = sd_bus_get_property_string(bus, DAEMON_NAME, group, GROUP_INTERFACE, "Node", error, &node);
        if (r < 0)
            return r;
    }
    *ret_node = TAKE_POINTER(node);
    return 0;
}
