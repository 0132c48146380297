/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy's memory: blocks that are only ever freed together, so that a rule that turns out to be
 * faulty needs no undoing. */

#include <stdlib.h>
#include <string.h>

#include "policy/rule.h"

struct block {
    struct block *next;
    max_align_t data[];
};

void *policy_allocate(struct policy *policy, size_t n, size_t size) {
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct block), &bytes))
        return NULL;
    struct block *block = calloc(1, bytes);
    if (!block)
        return NULL;
    block->next = policy->blocks;
    policy->blocks = block;
    return block->data;
}

char *policy_copy_string(struct policy *policy, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = policy_allocate(policy, size, 1);

    return copy ? memcpy(copy, text, size) : NULL;
}

struct policy *policy_new(void) {
    struct policy *policy = calloc(1, sizeof(*policy));

    if (policy)
        policy->limits = (struct policy_limits){
            .leases_per_uid = 16, .pending_per_uid = 8, .targets_per_call = 64,
        };
    return policy;
}

struct policy *policy_free(struct policy *policy) {
    if (!policy)
        return NULL;
    while (policy->blocks) {
        struct block *next = policy->blocks->next;
        free(policy->blocks);
        policy->blocks = next;
    }
    free(policy->rules);
    strings_free(policy->files);
    free(policy);
    return NULL;
}
