/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "remote.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int memory(pid_t pid) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    return open(path, O_RDWR | O_CLOEXEC);
}

bool remote_read(pid_t pid, uint64_t address, void *data, size_t size) {
    int fd = memory(pid);
    ssize_t n = fd < 0 ? -1 : pread(fd, data, size, (off_t) address);

    if (fd >= 0)
        close(fd);
    return n > 0;
}

bool remote_write(pid_t pid, uint64_t address, const void *data, size_t size) {
    int fd = memory(pid);
    ssize_t n = fd < 0 ? -1 : pwrite(fd, data, size, (off_t) address);

    if (fd >= 0)
        close(fd);
    return n == (ssize_t) size;
}

bool remote_has_fd(pid_t pid, int fd) {
    char path[64], target[8];

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
    return readlink(path, target, sizeof(target)) >= 0;
}

static void link_of(pid_t pid, const char *name, char *to, size_t size) {
    char path[PATH_MAX];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    n = readlink(path, to, size - 1);
    to[n > 0 ? n : 0] = '\0';
}

void remote_path(pid_t pid, int directory, const char *path, char *to, size_t size) {
    static const char *const prefixes[] = {"/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/"};
    char base[PATH_MAX], name[32];

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) {
            snprintf(name, sizeof(name), "fd/%d", atoi(path + strlen(prefixes[i])));
            link_of(pid, name, to, size);
            return;
        }
    if (*path == '/') {
        snprintf(to, size, "%s", path);
        return;
    }
    snprintf(name, sizeof(name), directory == AT_FDCWD ? "cwd" : "fd/%d", directory);
    link_of(pid, name, base, sizeof(base));
    snprintf(to, size, "%.2048s/%.2000s", base, path);
}

struct identity {
    unsigned uid, gid;
    int count;
    gid_t groups[64];
};

static void identity_of(pid_t pid, struct identity *who) {
    char path[64], line[1024];
    FILE *file;

    *who = (struct identity){0};
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        char *at = line + strlen("Groups:"), *end;

        sscanf(line, "Uid: %*u %*u %*u %u", &who->uid);
        sscanf(line, "Gid: %*u %*u %*u %u", &who->gid);
        if (strncmp(line, "Groups:", strlen("Groups:")) != 0)
            continue;
        for (; who->count < 64; at = end) {
            unsigned long gid = strtoul(at, &end, 10);

            if (end == at)
                break;
            who->groups[who->count++] = (gid_t) gid;
        }
    }
    if (file)
        fclose(file);
}

/* The kernel checks permissions before the driver's EBUSY. Raw calls change this thread alone. */
bool remote_may_open(pid_t pid, const char *path) {
    struct identity who;
    bool allowed;

    identity_of(pid, &who);
    if (who.uid == 0)
        return true;
    syscall(SYS_setgroups, who.count, who.groups);
    syscall(SYS_setfsgid, who.gid);
    syscall(SYS_setfsuid, who.uid);
    allowed = faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0;
    syscall(SYS_setfsuid, 0);
    syscall(SYS_setfsgid, 0);
    syscall(SYS_setgroups, 0, NULL);
    return allowed;
}
