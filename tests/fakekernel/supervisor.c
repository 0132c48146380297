/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "supervisor.h"
#include "calls.h"
#include "model.h"
#include "remote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <linux/vfio.h>
#include <limits.h>
#include <stddef.h>
#include <sys/ioctl.h>
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

/* What the supervisor says: an error, or go on, or a descriptor to be given to the process. */
struct verdict {
    bool go_on;
    int error;
    int fd;
    bool close_on_exec;
};

static const struct verdict GO_ON = {.go_on = true, .fd = -1};

static struct verdict judge_open(pid_t pid, int directory, uint64_t address, int flags) {
    struct verdict verdict = {.fd = -1, .close_on_exec = flags & O_CLOEXEC};
    char path[PATH_MAX] = "", full[PATH_MAX + 64];
    const struct node *node;
    int r;

    if (!remote_read(pid, address, path, sizeof(path) - 1))
        return GO_ON;
    remote_path(pid, directory, path, full, sizeof(full));
    pthread_mutex_lock(&tree_lock);
    node = nodes_of_path(full);
    /* The kernel checks permissions before the driver is asked: it shall say so itself. */
    if (!node || !remote_may_open(pid, full)) {
        verdict = GO_ON;
    } else {
        r = calls_open(node);
        verdict.fd = r < 0 ? -1 : nodes_open(node, flags & (O_ACCMODE | O_NONBLOCK));
        verdict.error = r < 0 ? r : verdict.fd < 0 ? verdict.fd : 0;
    }
    pthread_mutex_unlock(&tree_lock);
    return verdict;
}

static struct verdict judge_openat2(pid_t pid, const __u64 *args) {
    struct open_how how = {0};

    if (!remote_read(pid, args[2], &how, sizeof(how)) || how.flags & O_PATH ||
        (how.flags & O_ACCMODE) == O_RDONLY)
        return GO_ON;
    return judge_open(pid, (int) args[0], args[1], (int) how.flags);
}

/* The value of an ioctl is in error too, if positive. */
static struct verdict judge_ioctl(const struct vfio_call *call) {
    struct verdict verdict = GO_ON;
    struct node *node;

    pthread_mutex_lock(&tree_lock);
    node = nodes_of_fd(call->pid, call->fd);
    if (node) {
        verdict = (struct verdict){.fd = -1, .close_on_exec = true};
        verdict.error = calls_answer(node, call, &verdict.fd);
    }
    pthread_mutex_unlock(&tree_lock);
    return verdict;
}

static struct verdict judge(const struct seccomp_notif *call) {
    const __u64 *args = call->data.args;
    pid_t pid = (pid_t) call->pid;

    switch (call->data.nr) {
    case SYS_ioctl:
        return judge_ioctl(
            &(struct vfio_call){pid, (int) args[0], (unsigned) args[1], args[2]});
#ifdef SYS_open
    case SYS_open:
        return judge_open(pid, AT_FDCWD, args[0], (int) args[1]);
#endif
    case SYS_openat2:
        return judge_openat2(pid, args);
    default:
        return judge_open(pid, (int) args[0], args[1], (int) args[2]);
    }
}

static void answer(int listener, const struct seccomp_notif *call, const struct verdict *verdict) {
    struct seccomp_notif_resp response = {.id = call->id};
    struct seccomp_notif_addfd passed = {.id = call->id,
                                         .flags = SECCOMP_ADDFD_FLAG_SEND,
                                         .srcfd = (unsigned) verdict->fd,
                                         .newfd_flags = verdict->close_on_exec ? O_CLOEXEC : 0};

    if (verdict->fd >= 0) {
        int r = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &passed) < 0 ? -errno : 0;

        close(verdict->fd);
        if (r == 0 || r == -ENOENT)
            return;
        response.error = r;
    } else if (verdict->go_on) {
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (verdict->error < 0) {
        response.error = verdict->error;
    } else {
        response.val = verdict->error;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void supervisor_run(int listener) {
    for (;;) {
        struct seccomp_notif call = {0};
        struct verdict verdict;

        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
            if (errno == EINTR || errno == ENOENT)
                continue;
            return;
        }
        verdict = judge(&call);
        answer(listener, &call, &verdict);
    }
}
