/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "record/entry.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "util/fd.h"
#include "util/string.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* How long a journal that hangs may hold the daemon, in ms. Once it did, it may not again until it
 * moves. */
#define JOURNAL_PATIENCE 200

void entry_begin(struct entry *entry, const char *message, int priority) {
    entry->n_fields = 0;
    entry->used = 0;
    entry_add(entry, "MESSAGE", message && *message ? message : "(no message)", ENTRY_MESSAGE_MAX);
    entry_add_number(entry, "PRIORITY", (uint64_t)priority);
}

/* Length of text when cut at limit bytes, not within a character. */
static size_t length_within(const char *text, size_t limit) {
    size_t length = strnlen(text, limit + 1);

    if (length <= limit)
        return length;
    for (length = limit; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80;)
        length--;
    return length;
}

void entry_add(struct entry *entry, const char *key, const char *value, size_t limit) {
    _cleanup_(freep) char *escaped = NULL;

    if (!value || !*value || entry->n_fields == ENTRY_FIELDS_MAX)
        return;
    if (!text_is_printable(value)) {
        escaped = text_escape(value);
        value = escaped ? escaped : "(out of memory)";
    }
    size_t n_key = strlen(key), n_value = length_within(value, limit);
    if (entry->used + n_key + 1 + n_value > sizeof(entry->buffer))
        return;
    char *field = entry->buffer + entry->used, *end = mempcpy(field, key, n_key);
    *end++ = '=';
    end = mempcpy(end, value, n_value);
    entry->fields[entry->n_fields++] =
        (struct iovec){.iov_base = field, .iov_len = (size_t)(end - field)};
    entry->used += (size_t)(end - field);
}

void entry_add_number(struct entry *entry, const char *key, uint64_t value) {
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    entry_add(entry, key, text, sizeof(text));
}

/* A socket of our own, connected to the journal's. */
struct probe {
    int fd;
    dev_t device; /* of the socket that it is connected to */
    ino_t inode;
    bool hangs;
};

static int probe_connect(struct probe *probe, const struct stat *status) {
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    fd_close(probe->fd);
    *probe = (struct probe){
        .fd = TAKE_FD(fd), .device = status->st_dev, .inode = status->st_ino};
    return 0;
}

/* sd_journal_sendv blocks while the journal's queue is full, and says success where there is no
 * journal. So both are looked at before. */
static int journal_ready(void) {
    static struct probe probe = {.fd = -1};
    struct stat status;

    if (stat(JOURNAL_SOCKET, &status) < 0)
        return -errno;
    if (probe.fd < 0 || probe.device != status.st_dev || probe.inode != status.st_ino) {
        int r = probe_connect(&probe, &status);
        if (r < 0)
            return r;
    }
    struct pollfd item = {.fd = probe.fd, .events = POLLOUT};
    int r = poll(&item, 1, probe.hangs ? 0 : JOURNAL_PATIENCE);
    if (r < 0)
        return -errno;
    probe.hangs = r == 0;
    return probe.hangs ? -EAGAIN : 0;
}

int entry_to_journal(const struct entry *entry) {
    int r = journal_ready();

    return r < 0 ? r : sd_journal_sendv(entry->fields, entry->n_fields);
}

/* A line under construction; what has no room is left out. */
struct line {
    size_t used;
    char text[2 * ENTRY_SIZE_MAX];
};

static void line_add(struct line *line, const char *text, size_t length) {
    if (line->used + length >= sizeof(line->text))
        return;
    memcpy(line->text + line->used, text, length);
    line->used += length;
}

/* Quotes a value that has spaces or quotes, so that a line can be taken apart again. */
static void line_add_field(struct line *line, const char *field, size_t length) {
    const char *equals = memchr(field, '=', length);
    size_t n_key = (size_t)(equals - field) + 1;

    line_add(line, " ", 1);
    if (!memchr(field, ' ', length) && !memchr(field, '"', length)) {
        line_add(line, field, length);
        return;
    }
    line_add(line, field, n_key);
    line_add(line, "\"", 1);
    for (const char *at = field + n_key; at < field + length; at++) {
        if (*at == '"')
            line_add(line, "\\", 1);
        line_add(line, at, 1);
    }
    line_add(line, "\"", 1);
}

void entry_to_stderr(const struct entry *entry) {
    static const size_t n_message = sizeof("MESSAGE=") - 1;
    struct line line;

    line.used = 0;
    line_add(&line, "dmaownd: ", strlen("dmaownd: "));
    line_add(&line, (const char *)entry->fields[0].iov_base + n_message,
             entry->fields[0].iov_len - n_message);
    for (int i = 1; i < entry->n_fields; i++)
        line_add_field(&line, entry->fields[i].iov_base, entry->fields[i].iov_len);
    line_add(&line, "\n", 1);
    (void)fd_write_all(STDERR_FILENO, line.text, line.used);
}
