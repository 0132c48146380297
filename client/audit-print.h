/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What audit-dt shows to people, from the document that --json prints. */

#include "client/json.h"
#include "client/verb.h"

/* The findings, and the mistakes of the tree among them; sets: what each IOMMU cannot tell apart,
 * too. many: the document is one of several, so that it says which, and nothing if it is clean. */
enum exit_status audit_print(const struct client *client, json_object *document, bool sets, bool many);
