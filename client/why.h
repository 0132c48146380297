/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* show --why: what joins the devices of a group, from configuration space and the device tree. */

#include "client/json.h"
#include "client/verb.h"

/* devices: as in object_read(). The answer is an array with one entry for each thing that joins some
 * of them: reason, causes, devices (names), missing (parts of ACS), text, way_out. Empty for a single
 * device. *ret is the caller's. 0, -ENOMEM. */
int why_explain(int sysfs, json_object *devices, json_object **ret);

/* True if something could not be read for want of root. */
bool why_needs_root(json_object *entries);

/* For people. */
enum exit_status why_print(const struct client *client, json_object *entries);
