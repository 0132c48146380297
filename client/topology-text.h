/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sentences for people about why devices are together. Names are put in as they are. */

#include "client/topology.h"

/* Why, and which slot or change of firmware would part them ("" if nothing is known to). The
 * caller's; NULL when out of memory. */
char *topology_text(const struct topology_answer *answer);
char *topology_way_out(const struct topology_answer *answer);

/* Word of one bit of answer.missing: "request-redirect"; NULL for others. */
const char *topology_acs_to_string(unsigned bit);
