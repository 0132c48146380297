/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any lines as the kernel's log and as the answers of worker processes: nothing breaks, what comes out
 * of the log is printable and short, and an answer is taken whole or not at all. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel-log.h"
#include "kernel/openers.h"
#include "kernel/usage.h"
#include "kernel/vfio-driver.h"
#include "util/string.h"
#include "util/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void read_usage(const char *line) {
    _cleanup_(freep) char *copy = strdup(line);
    struct usage_line usage;

    EXPECT(copy);
    int r = usage_parse(copy, &usage);
    EXPECT(r == 1 || r == 0 || r == -EBADMSG);
    EXPECT(r != 0 || string_equal(copy, line));
    if (r != 1)
        return;
    EXPECT(reason_to_string(usage.reason) && *usage.text && *usage.public_text);
    EXPECT(text_is_printable(usage.text) && text_is_printable(usage.public_text));
}

static void read_vfio_driver(const char *line) {
    _cleanup_(freep) char *copy = strdup(line);
    struct vfio_line vfio;

    EXPECT(copy);
    int r = vfio_driver_parse(copy, &vfio);
    EXPECT(r == 1 || r == 0 || r == -EBADMSG);
    EXPECT(r != 0 || string_equal(copy, line));
    if (r != 1)
        return;
    EXPECT(!vfio.driver == !vfio.module && !vfio.driver == (vfio.reason != REASON_NONE));
    EXPECT(!vfio.driver || !strchr(vfio.driver, '/'));
    EXPECT(vfio.driver || (vfio.text && *vfio.text));
}

static void read_openers(const char *answer) {
    char **texts = NULL;
    bool certain;

    (void)openers_read(answer, &texts, &certain);
    for (size_t i = 0; texts && texts[i]; i++)
        EXPECT(string_after(texts[i], "process "));
    strings_free(texts);
}

static void read_groups(const char *answer) {
    _cleanup_(freep) gid_t *gids = NULL;
    size_t n = 0;

    if (user_groups_read(answer, &gids, &n) >= 0)
        EXPECT(n <= strlen(answer));
}

static void add_to_log(struct kernel_log *log, const char *line) {
    EXPECT(kernel_log_add(log, line) == 0);
    EXPECT(log->n_entries > 0 && log->n_entries <= KERNEL_LOG_ENTRIES_MAX);
    (void)kernel_log_concerns(line, line, "0000:00:05.0");
    EXPECT(!kernel_log_concerns(line, line, ""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_(freep) char *answer = strndup((const char *)data, size);
    _cleanup_(kernel_log_done) struct kernel_log log = {0};

    EXPECT(answer);
    read_openers(answer);
    read_groups(answer);
    for (const char *at = answer; *at;) {
        size_t length = strcspn(at, "\n");
        _cleanup_(freep) char *line = strndup(at, length);
        EXPECT(line);
        read_usage(line);
        read_vfio_driver(line);
        add_to_log(&log, line);
        at += length + (at[length] == '\n');
    }
    _cleanup_(freep) char *text = kernel_log_text(&log);
    EXPECT(text && strlen(text) < KERNEL_LOG_SIZE_MAX && text_is_printable(text));
    return 0;
}
