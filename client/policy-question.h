/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the policy says of whole groups, out of what the daemon knows of their devices. */

#include "client/json.h"
#include "policy/policy.h"

/* Asks for one device, as the daemon describes it (keys as in object_read()). The answer: device,
 * driver, effect ("allow", "deny", "exempt"), rule (null if none applies), file, line; rule_index
 * is put in *ret_rule (NULL if none). *ret is the caller's. 0, -ENOMEM. */
int policy_ask(const struct policy *policy, const struct policy_subject *subject,
               json_object *device, json_object **ret, const struct policy_rule **ret_rule);

/* PCI bridges without a driver, or on pcieport, belong to the way to a device, not to the device:
 * no rule need allow them. */
bool policy_exempts(json_object *device);

/* The combined terms, as an object. NULL when out of memory. */
json_object *policy_terms_to_json(const struct policy_terms *terms);

/* Finds svNNNNNNNN and sdNNNNNNNN in the modalias of a PCI device. False if there are none. */
bool modalias_subsystem(const char *modalias, uint32_t *ret_vendor, uint32_t *ret_product);
