/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/oci/node.h"

#include <errno.h>

#include "util/string.h"

int vfio_node_parse(const char *path, uint32_t *ret_group) {
    const char *number = path ? string_after(path, VFIO_NODE_PREFIX) : NULL;

    return number && parse_u32(number, ret_group) >= 0 ? 0 : -EINVAL;
}
