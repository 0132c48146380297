/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The process or the unit that a lease is to live with: named by the caller, and looked at. */

#include "bus/call.h"
#include "bus/options.h"

/* Fills the keeper's part of claim. CALL_PROCEEDS, or what the handler returns. */
int call_take_keeper(struct call *call, const struct claim_options *options, struct claim *claim);
