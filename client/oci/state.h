/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a container runtime tells its hooks (Open Container Initiative, runtime specification 1.0): the
 * container's state, and the configuration in its bundle. Pure: bytes in, values out. Functions return 0 or
 * a negative errno; with -EBADMSG, *ret_problem is a sentence about the input, which is never freed. */

#include <stddef.h>
#include <sys/types.h>

#include "util/cleanup.h"

/* Annotations can make a state long; a configuration lists every device of a privileged container. */
#define OCI_STATE_SIZE_MAX (1024 * 1024)
#define OCI_CONFIG_SIZE_MAX (16 * 1024 * 1024)

/* Engines use 64 characters. With its prefix an id is to fit into a lease's key. */
#define OCI_ID_LENGTH_MAX 200

struct oci_state {
    char *id;     /* letters, digits, and "_", "+", "-", "." */
    char *bundle; /* absolute path */
    pid_t pid;    /* 0: the container has no process (any more) */
};

/* ret is filled when 0 is returned, and then oci_state_done()'s. */
int oci_state_parse(const char *text, size_t size, struct oci_state *ret, const char **ret_problem);
void oci_state_done(struct oci_state *state);

/* Which device the container gets as the node path. -ENOENT: none. */
int oci_config_find_node(const char *text, size_t size, const char *path, dev_t *ret,
                         const char **ret_problem);
