/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as the record of switched drivers: nothing breaks, what is taken for a record would be
 * written again and then read as the same, and its steps are few and say what they do. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/detachment-json.h"
#include "record/state-json.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_steps(const struct step *steps, size_t n) {
    EXPECT(n <= STEPS_MAX);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *text = step_text(&steps[i], "device");
        EXPECT(text && text_is_printable(text) && text[strlen(text) - 1] == '.');
    }
}

static void check_member(const struct detachment_member *member) {
    struct step steps[STEPS_MAX];

    EXPECT(member->move != MOVE_STAYS);
    EXPECT(text_is_printable(member->path) && string_after(member->path, "devices/"));
    check_steps(steps, steps_away(member, steps));
    for (int way = WAY_BACK_EXACT; way <= WAY_BACK_PROBED; way++)
        for (int soiled = 0; soiled <= 1; soiled++)
            check_steps(steps, steps_back(member, (enum way_back)way, soiled, steps));
}

static void check(const struct detachment *detachment) {
    EXPECT(detachment->id > 0 && detachment->n_members > 0);
    EXPECT(detachment->state < DETACHMENT_STATE_MAX);
    for (size_t i = 0; i < detachment->n_members; i++) {
        check_member(&detachment->members[i]);
        EXPECT(detachment_find(detachment, detachment->members[i].path) == &detachment->members[i]);
    }
}

static void write_and_read_again(const struct detachment *detachment) {
    _cleanup_(freep) char *text = NULL, *again = NULL;
    _cleanup_(detachment_freep) struct detachment *second = NULL;
    const char *fault;
    size_t size, size_again;
    int r = detachment_to_json(detachment, BOOT, &text, &size);

    /* JSON may be longer when it is written than it was when it was read. */
    if (r == -EFBIG)
        return;
    EXPECT(r == 0);
    EXPECT(detachment_from_json(text, size, BOOT, &second, &fault) == 0);
    EXPECT(detachment_to_json(second, BOOT, &again, &size_again) == 0);
    EXPECT(size == size_again && memcmp(text, again, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_(detachment_freep) struct detachment *detachment = NULL;
    const char *fault = NULL;

    /* A copy of just this length, so that a read beyond the end is seen. */
    _cleanup_(freep) char *text = malloc(size ? size : 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    int r = detachment_from_json(text, size, BOOT, &detachment, &fault);
    EXPECT(r == 0 || r == STATE_OTHER_BOOT || r == -EBADMSG);
    EXPECT((r == 0) == (detachment != NULL));
    EXPECT(r != -EBADMSG || fault);
    if (detachment) {
        check(detachment);
        write_and_read_again(detachment);
    }
    return 0;
}
