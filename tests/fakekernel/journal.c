/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ENTRY_SIZE (1 << 20)

int journal_open(void) {
    struct sockaddr_un address = {AF_UNIX, "/run/systemd/journal/socket"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 8 << 20;

    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    chmod(address.sun_path, 0666);
    return fd;
}

static void write_escaped(FILE *file, const char *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char) data[i];

        if (c < ' ' || c == 0x7f || c == '\\')
            fprintf(file, "\\x%02x", c);
        else
            fputc(c, file);
    }
    fputc('\n', file);
}

/* journald's native protocol: "KEY=value\n", or "KEY\n", 64 bits of little-endian length, value, "\n". */
static void write_entry(FILE *file, const char *at, const char *end) {
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t) (end - at));
        uint64_t length;

        if (!line)
            break;
        if (memchr(at, '=', (size_t) (line - at))) {
            write_escaped(file, at, (size_t) (line - at));
            at = line + 1;
            continue;
        }
        if (end - line < 9)
            break;
        memcpy(&length, line + 1, sizeof(length));
        length = le64toh(length);
        if (length > (uint64_t) (end - line - 9))
            break;
        fprintf(file, "%.*s=", (int) (line - at), at);
        write_escaped(file, line + 9, length);
        at = line + 9 + length + 1;
    }
    fputc('\n', file);
}

/* An entry too long for a datagram comes as a memfd. */
static ssize_t receive(int fd, char *buffer) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {buffer, ENTRY_SIZE};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *passed = n >= 0 ? CMSG_FIRSTHDR(&header) : NULL;
    int memfd;

    if (!passed || passed->cmsg_type != SCM_RIGHTS)
        return n;
    memcpy(&memfd, CMSG_DATA(passed), sizeof(memfd));
    n = pread(memfd, buffer, ENTRY_SIZE, 0);
    close(memfd);
    return n;
}

void journal_receive(int fd) {
    static char buffer[ENTRY_SIZE];
    ssize_t n = receive(fd, buffer);
    FILE *file;

    if (n <= 0)
        return;
    file = fopen("/run/fakekernel/journal", "ae");
    if (!file)
        return;
    write_entry(file, buffer, buffer + n);
    fclose(file);
}
