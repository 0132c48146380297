/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nodes of VFIO groups by their path: /dev/vfio/N, with the group's number. */

#include <stdint.h>

#define VFIO_NODE_PREFIX "/dev/vfio/"
#define VFIO_CONTAINER_NODE "/dev/vfio/vfio"

/* -EINVAL if path is not the node of a group. */
int vfio_node_parse(const char *path, uint32_t *ret_group);
