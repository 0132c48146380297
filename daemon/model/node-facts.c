/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/node-facts.h"

bool node_open_to_others(const struct node_facts *node, uid_t holder) {
    if (node->owner_access && node->owner != 0 && node->owner != holder)
        return true;
    if (node->group_access || node->other_access || node->too_many_entries)
        return true;
    for (unsigned i = 0; i < node->n_entries; i++) {
        const struct node_entry *entry = &node->entries[i];
        bool harmless = !entry->is_group && (entry->id == 0 || entry->id == holder);
        if (entry->access && !harmless)
            return true;
    }
    return false;
}

bool node_open_to(const struct node_facts *node, uid_t holder) {
    if (holder == 0 || (node->owner == holder && node->owner_access))
        return true;
    for (unsigned i = 0; i < node->n_entries; i++) {
        const struct node_entry *entry = &node->entries[i];
        if (!entry->is_group && entry->id == holder)
            return entry->full;
    }
    return false;
}
