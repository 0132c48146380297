/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/string.h"

#define FILE_MAX 8192
#define START_TIME_FIELD 22 /* of stat, which counts from 1 */
#define STATE_FIELD 3       /* the first one behind the command's name */

int process_open(pid_t pid, int *ret_pidfd) {
    if (pid <= 0)
        return -ESRCH;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
    *ret_pidfd = fd;
    return 0;
}

/* A file of /proc as text. -ESRCH if the process is gone. */
static int read_file(const char *path, char **ret) {
    int r = file_read(AT_FDCWD, path, FILE_MAX, ret, NULL);

    return r == -ENOENT ? -ESRCH : r;
}

/* The text behind the line's name and its tab, up to the end of the file; NULL without. */
static const char *find_line(const char *text, const char *name) {
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *value = string_after(line, name);
        if (value)
            return value;
    }
    return NULL;
}

int process_of_pidfd(int fd, pid_t *ret) {
    _cleanup_(freep) char *text = NULL;
    char path[64];
    int pid;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int r = fd < 0 ? -EBADF : read_file(path, &text);
    /* What has much to tell (an epoll) is no pidfd either. */
    if (r == -ESRCH || r == -EFBIG)
        return -EBADF;
    if (r < 0)
        return r;
    const char *value = find_line(text, "Pid:\t");
    if (!value || sscanf(value, "%d", &pid) != 1)
        return -EBADF;
    if (pid <= 0)
        return -ESRCH;
    *ret = pid;
    return 0;
}

/* It has not ended, so that its number is still its own. */
static int check_running(int pidfd) {
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    int r;

    do
        r = poll(&wait, 1, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    return r > 0 ? -ESRCH : 0;
}

int process_owner(int pidfd, pid_t pid, uid_t *ret_euid) {
    _cleanup_(freep) char *text = NULL;
    char path[64];
    unsigned euid;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    int r = read_file(path, &text);
    if (r >= 0)
        r = check_running(pidfd);
    if (r < 0)
        return r;
    const char *value = find_line(text, "Uid:\t");
    if (!value || sscanf(value, "%*u %u", &euid) != 1)
        return -EBADMSG;
    *ret_euid = euid;
    return 0;
}

/* The command's name stands in parentheses and may hold them too; behind it are numbers. */
static const char *find_field(const char *text, unsigned field) {
    const char *at = strrchr(text, ')');

    for (unsigned i = STATE_FIELD - 1; at && i < field; i++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at;
}

int process_start_time(pid_t pid, uint64_t *ret) {
    _cleanup_(freep) char *text = NULL;
    unsigned long long ticks;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int r = read_file(path, &text);
    if (r < 0)
        return r;
    const char *field = find_field(text, START_TIME_FIELD);
    if (!field || sscanf(field, "%llu", &ticks) != 1)
        return -EBADMSG;
    *ret = ticks;
    return 0;
}
