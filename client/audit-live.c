/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/audit.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "kernel/devicetree.h"
#include "kernel/sysfs.h"
#include "model/device-streams.h"
#include "util/string.h"

struct listing {
    int sysfs;
    struct model *model;
};

/* One device of sysfs. Those without a node, and what goes while it is read, have no part in this. */
static int take_device(const char *path, void *userdata) {
    const struct listing *listing = userdata;
    struct device_reading reading;
    char node[PATH_MAX];

    if (sysfs_read_device(listing->sysfs, path, &reading) < 0 ||
        devicetree_place_device(listing->sysfs, &reading.facts, node, sizeof(node)) < 0)
        return 0;
    return model_update_device(listing->model, &reading.facts, NULL);
}

int audit_live(int sysfs, struct audit *ret, char **ret_text) {
    struct listing listing = {.sysfs = sysfs, .model = &ret->model};
    struct device_tree *tree = NULL;
    int r = devicetree_read_live(sysfs, &tree, ret_text);

    ret->is_live = true;
    model_init(&ret->model);
    if (r >= 0)
        r = model_set_tree(&ret->model, tree, false);
    if (r >= 0)
        r = sysfs_list_bus_devices(sysfs, take_device, &listing);
    if (r >= 0)
        r = model_isolation_members(&ret->model, &ret->members, &ret->n_members);
    ret->tree = ret->model.tree;
    if (r >= 0)
        r = isolation_reach(ret->tree, ret->members, ret->n_members, true, &ret->isolation);
    return r;
}
