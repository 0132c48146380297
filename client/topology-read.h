/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the PCI devices of a group, and the bridges above them, from sysfs. */

#include "client/topology.h"
#include "util/cleanup.h"

struct topology_reading {
    struct topology_chain *chains; /* in the order of the paths */
    size_t n_chains;
    struct read_function **read; /* each function once */
    size_t n_read;
};

/* paths: below the sysfs root, "devices/pci0000:00/0000:00:04.0/0000:01:00.0"; each at least ends in
 * a PCI name. Configuration space that cannot be read is one of length 0. *ret is the caller's.
 * 0, -EINVAL for another path, -ENOMEM. */
int topology_read(int sysfs, const char *const *paths, size_t n_paths, struct topology_reading *ret);
void topology_reading_done(struct topology_reading *reading);

/* "0000:00:05.0" and the like. */
bool pci_name_is_valid(const char *name, size_t length);
