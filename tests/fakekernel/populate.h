/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes a device of each enabled node, as drivers/of/platform.c does, and lets their drivers have them.
 * 0 or negative errno; with tree_lock held. */
int populate(void);
