/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define FUSE_USE_VERSION 312
#include "parallel.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

/* A thread reads a request and answers it before it reads the next one. */
static _Thread_local bool opens;

static ssize_t read_request(int fd, void *buffer, size_t size, void *userdata) {
    ssize_t n = read(fd, buffer, size);
    struct fuse_in_header header;

    opens = false;
    if (n < (ssize_t) sizeof(header))
        return n;
    memcpy(&header, buffer, sizeof(header));
    opens = header.opcode == FUSE_OPEN;
    return n;
}

static ssize_t write_answer(int fd, struct iovec *parts, int count, void *userdata) {
    struct fuse_open_out out;

    if (opens && count == 2 && parts[1].iov_len == sizeof(out)) {
        memcpy(&out, parts[1].iov_base, sizeof(out));
        out.open_flags |= FOPEN_PARALLEL_DIRECT_WRITES;
        memcpy(parts[1].iov_base, &out, sizeof(out));
    }
    opens = false;
    return writev(fd, parts, count);
}

int parallel_writes(struct fuse_session *session) {
    static const struct fuse_custom_io io = {.read = read_request, .writev = write_answer};

    return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}
