/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words for modes, lifetimes and requirements: one table each, in the order of the bits. */

#include <errno.h>

#include "policy/policy.h"
#include "util/string.h"

static const char *const modes[] = { "path", "fd" };
static const char *const lifetimes[] = { "connection", "fd", "process", "unit", "persistent" };
static const char *const requires[] = { "isolated", "reset", "interrupt-remapping" };

static int bit_from_string(const char *const *words, size_t n_words, const char *text) {
    for (size_t i = 0; i < n_words; i++)
        if (string_equal(words[i], text))
            return 1 << i;
    return -EINVAL;
}

static const char *bit_to_string(const char *const *words, size_t n_words, unsigned bit) {
    for (size_t i = 0; i < n_words; i++)
        if (bit == 1u << i)
            return words[i];
    return NULL;
}

int policy_mode_from_string(const char *text) {
    return bit_from_string(modes, ELEMENTS_OF(modes), text);
}

int policy_lifetime_from_string(const char *text) {
    return bit_from_string(lifetimes, ELEMENTS_OF(lifetimes), text);
}

int policy_require_from_string(const char *text) {
    return bit_from_string(requires, ELEMENTS_OF(requires), text);
}

const char *policy_mode_to_string(unsigned bit) {
    return bit_to_string(modes, ELEMENTS_OF(modes), bit);
}

const char *policy_lifetime_to_string(unsigned bit) {
    return bit_to_string(lifetimes, ELEMENTS_OF(lifetimes), bit);
}

const char *policy_require_to_string(unsigned bit) {
    return bit_to_string(requires, ELEMENTS_OF(requires), bit);
}
