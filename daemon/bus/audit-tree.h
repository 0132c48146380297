/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/call.h"

/* AuditDeviceTree: what the device tree says of which devices share a stream, against the groups that
 * the kernel formed. No findings on a machine without a device tree. */
int run_audit_device_tree(struct call *call);
