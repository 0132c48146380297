/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/libvirt/domain-process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "kernel/process.h"
#include "util/fd.h"
#include "util/string.h"

#define PID_FILE_MAX 64
#define COMMAND_LINE_MAX (4 << 20)

int libvirt_process_open(int *ret_pidfd) {
    _cleanup_(fd_closep) int pidfd = -1;
    pid_t parent = getppid();

    /* An orphan's parent is whoever adopts orphans. */
    if (parent <= 1)
        return -ESRCH;
    int r = process_open(parent, &pidfd);
    if (r < 0)
        return r;
    /* Still the parent, so that its number was not another's meanwhile. */
    if (getppid() != parent)
        return -ESRCH;
    *ret_pidfd = TAKE_FD(pidfd);
    return 0;
}

static int read_pid(const char *folder, const char *name, pid_t *ret) {
    _cleanup_(freep) char *path = string_format("%s/%s.pid", folder, name), *text = NULL;
    uint32_t pid;

    if (!path)
        return -ENOMEM;
    int r = file_read(AT_FDCWD, path, PID_FILE_MAX, &text, NULL);
    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = 0;
    if (parse_u32(text, &pid) < 0 || pid == 0 || pid > INT32_MAX)
        return -EINVAL;
    *ret = (pid_t)pid;
    return 0;
}

/* Its words are one behind the other, each with a NUL behind it. */
static int check_command_line(pid_t pid, const char *uuid) {
    _cleanup_(freep) char *line = NULL;
    char path[64];
    size_t size;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    int r = file_read(AT_FDCWD, path, COMMAND_LINE_MAX, &line, &size);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    for (const char *word = line; word < line + size; word += strlen(word) + 1)
        if (strcmp(word, "-uuid") == 0 && word + sizeof("-uuid") < line + size &&
            strcasecmp(word + sizeof("-uuid"), uuid) == 0)
            return 0;
    return -ESRCH;
}

static int open_running(pid_t pid, const struct domain *domain, int *ret_pidfd) {
    _cleanup_(fd_closep) int pidfd = -1;
    uid_t euid;
    int r = process_open(pid, &pidfd);

    if (r >= 0)
        r = check_command_line(pid, domain->uuid);
    /* It has not ended since it was opened, so that the command line was its own. */
    if (r >= 0)
        r = process_owner(pidfd, pid, &euid);
    if (r < 0)
        return r;
    *ret_pidfd = TAKE_FD(pidfd);
    return 0;
}

int process_runs_domain(pid_t pid, const struct domain *domain) {
    _cleanup_(fd_closep) int pidfd = -1;
    int r = open_running(pid, domain, &pidfd);

    if (r == -ESRCH)
        return 0;
    return r < 0 ? r : 1;
}

int qemu_process_open(const char *folder, const struct domain *domain, int *ret_pidfd) {
    pid_t pid;
    int r = read_pid(folder, domain->name, &pid);

    return r < 0 ? r : open_running(pid, domain, ret_pidfd);
}
