/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/audit.h"

#include <errno.h>
#include <string.h>

#include "model/device-streams.h"
#include "util/cleanup.h"

void audit_done(struct audit *audit) {
    isolation_done(&audit->isolation);
    if (audit->is_live) {
        isolation_members_done(audit->members, audit->n_members);
        model_done(&audit->model);
    } else {
        free(audit->members);
        device_tree_free(audit->tree);
    }
    memset(audit, 0, sizeof(*audit));
}

int audit_file(const char *path, struct audit *ret, char **ret_text) {
    int r = devicetree_read_file(path, &ret->tree, ret_text);

    if (r >= 0)
        r = isolation_members_of_file(ret->tree, &ret->members, &ret->n_members);
    if (r >= 0)
        r = isolation_reach(ret->tree, ret->members, ret->n_members, false, &ret->isolation);
    return r;
}

const char *grouping_to_string(enum tree_grouping grouping) {
    switch (grouping) {
    case TREE_GROUP_SMMU_V2:
        return "smmu-v2";
    case TREE_GROUP_SMMU_V3:
        return "smmu-v3";
    case TREE_GROUP_BY_STREAM:
        return "by-stream";
    case TREE_GROUP_SINGLE:
        return "single";
    default:
        return "per-device";
    }
}
