/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the families of verbs share. */

#include "client/json.h"
#include "client/verb.h"

/* ListGroups, as an array of objects: id, owner, verdict, device_count, node, object. */
enum exit_status groups_read(struct client *client, json_object **ret);

/* FindGroup: the object path of the target's group. */
enum exit_status group_find(struct client *client, const char *target, char **ret);

/* A group with its devices in full. */
enum exit_status group_read(struct client *client, const char *path, json_object **ret);

/* Explain, for a claim of the target that lasts; detach: after a detach, so that the findings tell
 * what the host uses. *ret: grantable, reason, findings. */
enum exit_status group_explain(struct client *client, const char *target, bool detach,
                               json_object **ret);

/* The lines of a lease, for people. */
enum exit_status lease_print(const struct client *client, json_object *lease);
