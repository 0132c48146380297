/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as the file of a lease: nothing breaks, and what is taken for a lease is one that
 * would be written again, and then read as the same. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/state-json.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void write_and_read_again(const struct lease *lease) {
    _cleanup_(freep) char *text = NULL, *again = NULL;
    _cleanup_(lease_freep) struct lease *second = NULL;
    const char *fault;
    size_t size, size_again;

    EXPECT(lease->id > 0 && lease->n_groups > 0);
    int r = lease_to_json(lease, BOOT, &text, &size);
    /* JSON may be longer when it is written than it was when it was read. */
    if (r == -EFBIG)
        return;
    EXPECT(r == 0);
    EXPECT(lease_from_json(text, size, BOOT, &second, &fault) == 0);
    EXPECT(lease_to_json(second, BOOT, &again, &size_again) == 0);
    EXPECT(size == size_again && memcmp(text, again, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_(lease_freep) struct lease *lease = NULL;
    const char *fault = NULL;

    /* A copy of just this length, so that a read beyond the end is seen. */
    _cleanup_(freep) char *text = malloc(size ? size : 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    int r = lease_from_json(text, size, BOOT, &lease, &fault);
    EXPECT(r == 0 || r == STATE_OTHER_BOOT || r == -EBADMSG);
    EXPECT((r == 0) == (lease != NULL));
    EXPECT(r != -EBADMSG || fault);
    if (lease)
        write_and_read_again(lease);
    return 0;
}
