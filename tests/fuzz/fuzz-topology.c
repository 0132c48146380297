/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as the configuration space of a few devices: the answer is one of those promised, about
 * functions that were asked about.
 *
 * The input is a list of functions. Each begins with a byte for its name and what is known of it, a
 * byte for how many of the following functions are above it, and two
 * bytes for the length of its configuration space, which follows. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/topology-config.h"
#include "client/topology-text.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUNCTIONS_MAX 12
#define CHAIN_MAX 4

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static const char *const names[] = {
    "0000:00:04.0", "0000:00:04.1", "0000:00:05.0", "0000:01:00.0",
    "0000:01:00.1", "0000:02:00.0", "10000:e0:06.0", "no name of PCI",
};

/* The rest of the input, and what was made of it. */
struct input {
    const uint8_t *data;
    size_t size;
    uint8_t *configs[FUNCTIONS_MAX];
    struct topology_function functions[FUNCTIONS_MAX];
    uint8_t above[FUNCTIONS_MAX];
    size_t n;
};

/* False at the end. Each configuration space is a copy of just its length, so that a read beyond the
 * end is seen. */
static bool function_take(struct input *input) {
    if (input->n == FUNCTIONS_MAX || input->size < 4)
        return false;
    uint8_t bits = input->data[0];
    size_t length = (size_t)input->data[2] | (size_t)input->data[3] << 8;
    if (length > input->size - 4)
        length = input->size - 4;
    uint8_t *config = malloc(length ? length : 1);
    if (!config)
        return false;
    memcpy(config, input->data + 4, length);
    input->configs[input->n] = config;
    input->above[input->n] = input->data[1];
    input->functions[input->n++] = (struct topology_function){
        .name = names[bits & 7],
        .config = config,
        .length = length,
        .member = bits & 8,
        .virtual = bits & 16,
    };
    input->data += 4 + length;
    input->size -= 4 + length;
    return true;
}

static bool is_asked_about(const struct input *input, const char *name) {
    for (size_t i = 0; i < input->n; i++)
        if (input->functions[i].name == name)
            return true;
    return false;
}

static void check_answer(const struct input *input, const struct topology_answer *answer) {
    _cleanup_(freep) char *text = topology_text(answer), *way_out = topology_way_out(answer);

    EXPECT(text && *text && way_out);
    EXPECT(strcmp(topology_reason_to_string(answer->reason), "unknown") != 0 ||
           answer->reason == TOPOLOGY_UNKNOWN);
    EXPECT((answer->reason == TOPOLOGY_UNKNOWN) == (answer->cause == NULL));
    EXPECT(!answer->cause || is_asked_about(input, answer->cause));
    EXPECT(!answer->other || is_asked_about(input, answer->other));
    EXPECT((answer->missing & ~0x1du) == 0);
}

/* Functions i, i + 1, … as a chain. */
static struct topology_chain chain_at(const struct input *input, size_t i) {
    size_t length = 1 + input->above[i] % CHAIN_MAX;

    if (length > input->n - i)
        length = input->n - i;
    return (struct topology_chain){&input->functions[i], length};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {.data = data, .size = size};
    struct topology_chain chains[FUNCTIONS_MAX];
    struct topology_answer answers[FUNCTIONS_MAX];
    size_t with[FUNCTIONS_MAX];

    while (function_take(&input)) {
    }
    for (size_t i = 0; i < input.n; i++)
        chains[i] = chain_at(&input, i);
    if (input.n > 0)
        topology_explain_group(chains, input.n, answers, with);
    for (size_t i = 0; i < input.n; i++) {
        check_answer(&input, &answers[i]);
        EXPECT(with[i] < input.n);
    }
    for (size_t i = 0; i < input.n; i++)
        free(input.configs[i]);
    return 0;
}
