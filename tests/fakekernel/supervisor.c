/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "supervisor.h"
#include "model.h"
#include "nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGUMENT(n) (offsetof(struct seccomp_data, args[n]))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned) (offset))
#define MASK(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (unsigned) (bits))
#define EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned) (value), yes, no)

int supervisor_filter(void) {
    struct sock_filter code[] = {
        LOAD(offsetof(struct seccomp_data, nr)),
#ifdef SYS_open
        EQUAL(SYS_open, 4, 0),
#else
        EQUAL(-1, 4, 0),
#endif
        EQUAL(SYS_openat, 5, 0),
        EQUAL(SYS_openat2, 12, 0),
        EQUAL(SYS_ioctl, 7, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        LOAD(ARGUMENT(1)), /* open: flags */
        BPF_STMT(BPF_JMP | BPF_JA, 1),
        LOAD(ARGUMENT(2)), /* openat: flags */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_PATH, 5, 0),
        MASK(O_ACCMODE),
        EQUAL(O_RDONLY, 3, 4),
        LOAD(ARGUMENT(1)), /* ioctl: the type in its command */
        MASK(0xff00),
        EQUAL(VFIO_TYPE << 8, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    int fd = (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                           SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);

    return fd < 0 ? -errno : fd;
}

static bool remote(pid_t pid, bool out, uint64_t address, void *data, size_t size) {
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = out ? pwrite(fd, data, size, (off_t) address) : pread(fd, data, size, (off_t) address);
    close(fd);
    return n > 0;
}

static void remote_link(pid_t pid, const char *name, char *to, size_t size) {
    char path[PATH_MAX];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    n = readlink(path, to, size - 1);
    to[n > 0 ? n : 0] = '\0';
}

/* What the path means to the process; only the forms that lead to a node are followed. */
static void absolute_path(pid_t pid, int directory, const char *path, char *to, size_t size) {
    static const char *const prefixes[] = {"/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/"};
    char base[PATH_MAX], name[32];

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) {
            snprintf(name, sizeof(name), "fd/%d", atoi(path + strlen(prefixes[i])));
            remote_link(pid, name, to, size);
            return;
        }
    if (*path == '/') {
        snprintf(to, size, "%s", path);
        return;
    }
    snprintf(name, sizeof(name), directory == AT_FDCWD ? "cwd" : "fd/%d", directory);
    remote_link(pid, name, base, sizeof(base));
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
static bool may_open(pid_t pid, const char *path) {
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

/* A container's claim went with its opener, whoever has not asked since. */
static void first_open(unsigned id) {
    struct group *group = group_find(id);

    if (group)
        group->container = false;
}

static int judge_open(pid_t pid, int directory, uint64_t address) {
    char path[PATH_MAX] = "", full[PATH_MAX + 64];
    unsigned group;
    int r = 0;

    if (!remote(pid, false, address, path, sizeof(path) - 1))
        return 0;
    absolute_path(pid, directory, path, full, sizeof(full));
    pthread_mutex_lock(&tree_lock);
    if (nodes_of_path(full, &group)) {
        if (!nodes_open(group))
            first_open(group);
        else if (may_open(pid, full))
            r = -EBUSY;
    }
    pthread_mutex_unlock(&tree_lock);
    return r;
}

static int group_status(pid_t pid, struct group *group, uint64_t address) {
    struct vfio_group_status status = {sizeof(status), 0};

    if (group_user_claimed(group))
        status.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
    else if (!group->disagrees && !group_has_kernel_driver(group))
        status.flags |= VFIO_GROUP_FLAGS_VIABLE;
    return remote(pid, true, address, &status, sizeof(status)) ? 0 : -EFAULT;
}

static int group_ioctl(pid_t pid, struct group *group, unsigned command, uint64_t address) {
    switch (command) {
    case VFIO_GROUP_GET_STATUS:
        return group_status(pid, group, address);
    case VFIO_GROUP_SET_CONTAINER:
        if (group_user_claimed(group))
            return -EINVAL;
        if (group_has_kernel_driver(group))
            return -EPERM;
        group->container = true;
        return 0;
    case VFIO_GROUP_UNSET_CONTAINER:
        if (!group->container)
            return -EINVAL;
        group->container = false;
        return 0;
    default:
        return -ENOTTY;
    }
}

/* 1: no node of ours, let the kernel answer. */
static int judge_ioctl(pid_t pid, int fd, unsigned command, uint64_t address) {
    struct group *group;
    unsigned id;
    int r;

    pthread_mutex_lock(&tree_lock);
    r = nodes_of_fd(pid, fd, &id);
    if (r == 0)
        r = 1;
    else if (r > 0) {
        group = group_find(id);
        r = group ? group_ioctl(pid, group, command, address) : -ENODEV;
    }
    pthread_mutex_unlock(&tree_lock);
    return r;
}

static int judge_openat2(pid_t pid, const __u64 *args) {
    struct open_how how = {0};

    if (!remote(pid, false, args[2], &how, sizeof(how)) || how.flags & O_PATH)
        return 0;
    return judge_open(pid, (int) args[0], args[1]);
}

static void judge(const struct seccomp_notif *call, struct seccomp_notif_resp *answer) {
    const __u64 *args = call->data.args;
    pid_t pid = (pid_t) call->pid;
    int r = 0;

    answer->id = call->id;
    switch (call->data.nr) {
    case SYS_ioctl:
        r = judge_ioctl(pid, (int) args[0], (unsigned) args[1], args[2]);
        if (r == 0)
            return;
        break;
#ifdef SYS_open
    case SYS_open:
        r = judge_open(pid, AT_FDCWD, args[0]);
        break;
#endif
    case SYS_openat2:
        r = judge_openat2(pid, args);
        break;
    default:
        r = judge_open(pid, (int) args[0], args[1]);
    }
    if (r < 0)
        answer->error = r;
    else
        answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

void supervisor_run(int listener) {
    for (;;) {
        struct seccomp_notif call = {0};
        struct seccomp_notif_resp answer = {0};

        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
            if (errno == EINTR || errno == ENOENT)
                continue;
            return;
        }
        judge(&call, &answer);
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}
