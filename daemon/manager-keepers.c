/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a lease lives with: the read end of a pipe whose write end the claimant has (lifetime fd), or
 * a pidfd (lifetime process). Each is also in the fd store, under the lease's name.
 *
 * The fds sit in an epoll of their own, which the loop watches: with no event asked for, a pipe
 * reports the hang-up alone, so that whoever writes into it wakes nobody. */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <syslog.h>

#include "kernel/process.h"
#include "record/fd-store.h"
#include "util/fd.h"

#define EVENTS_PER_TURN 64

struct keeper {
    uint64_t lease;
    int fd;
    UT_hash_handle hh;
};

static struct keeper *find_keeper(const struct manager *manager, uint64_t lease) {
    struct keeper *keeper;

    HASH_FIND(hh, manager->keepers, &lease, sizeof(lease), keeper);
    return keeper;
}

/* A readable pidfd says that the process has ended; of a pipe only the hang-up counts. */
static int watch_keeper(struct manager *manager, const struct lease *lease, int fd) {
    struct epoll_event event = {
        .events = lease->lifetime == POLICY_LIFETIME_PROCESS ? EPOLLIN : 0,
        .data.u64 = lease->id,
    };

    return epoll_ctl(manager->keepers_ended, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Takes fd over, also on failure. */
static int add_keeper(struct manager *manager, const struct lease *lease, int fd) {
    _cleanup_(fd_closep) int owned = fd;
    _cleanup_(freep) struct keeper *keeper = calloc(1, sizeof(*keeper));

    if (!keeper)
        return -ENOMEM;
    int r = watch_keeper(manager, lease, fd);
    if (r < 0)
        return r;
    keeper->lease = lease->id;
    keeper->fd = fd;
    HASH_ADD(hh, manager->keepers, lease, sizeof(keeper->lease), keeper);
    if (!keeper->hh.tbl)
        return -ENOMEM;
    (void)TAKE_FD(owned);
    (void)TAKE_POINTER(keeper);
    return 0;
}

/* Closing is not enough: while somebody else has a copy (the service manager, or the claimant whose
 * pidfd it is), the epoll would go on reporting what becomes of it. */
static void drop_keeper(struct manager *manager, struct keeper *keeper) {
    HASH_DEL(manager->keepers, keeper);
    (void)epoll_ctl(manager->keepers_ended, EPOLL_CTL_DEL, keeper->fd, NULL);
    fd_close(keeper->fd);
    free(keeper);
}

/* A failure of the store costs the lease at the next restart, which is then on record. */
static void store_keeper(const struct lease *lease, int fd) {
    char name[FD_STORE_NAME_MAX];
    int r = fd_store_put(fd_store_lease_name(lease->id, name), fd);

    if (r < 0)
        log_message(LOG_WARNING, "Lease %llu will not outlive a restart: its fd can not be stored: %s.",
                    (unsigned long long)lease->id, strerror(-r));
}

static int keep_by_pipe(struct manager *manager, const struct lease *lease, struct lease_fds *fds) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int r = lease_fds_add(fds, ends[1], "lease");
    if (r < 0) {
        fd_close(ends[0]);
        return r;
    }
    store_keeper(lease, ends[0]);
    return add_keeper(manager, lease, ends[0]);
}

static int keep_by_process(struct manager *manager, struct lease *lease, int pidfd) {
    int fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return -errno;
    store_keeper(lease, fd);
    return add_keeper(manager, lease, fd);
}

int manager_keep(struct manager *manager, struct lease *lease, int pidfd, struct lease_fds *fds) {
    bool by_fd = lease->lifetime == POLICY_LIFETIME_FD;

    if (!by_fd && lease->lifetime != POLICY_LIFETIME_PROCESS)
        return 0;
    if (HASH_COUNT(manager->keepers) >= KEEPERS_MAX)
        return -EUSERS;
    int r = by_fd ? keep_by_pipe(manager, lease, fds) : keep_by_process(manager, lease, pidfd);
    if (r < 0)
        manager_stop_keeping(manager, lease);
    return r;
}

/* In the place of the one that was: a lease has one keeper. */
static int replace_keeper(struct manager *manager, const struct lease *lease, struct keeper *keeper, int fd) {
    int r = watch_keeper(manager, lease, fd);

    if (r < 0)
        return r;
    (void)epoll_ctl(manager->keepers_ended, EPOLL_CTL_DEL, keeper->fd, NULL);
    fd_close(keeper->fd);
    keeper->fd = fd;
    return 0;
}

static int keep_by_process_instead(struct manager *manager, const struct lease *lease, int pidfd) {
    struct keeper *keeper = find_keeper(manager, lease->id);
    _cleanup_(fd_closep) int fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return -errno;
    if (!keeper && HASH_COUNT(manager->keepers) >= KEEPERS_MAX)
        return -EUSERS;
    if (!keeper)
        return add_keeper(manager, lease, TAKE_FD(fd));
    int r = replace_keeper(manager, lease, keeper, fd);
    if (r >= 0)
        (void)TAKE_FD(fd);
    return r;
}

int manager_keep_instead(struct manager *manager, const struct lease *lease, unsigned before, int pidfd) {
    bool was_stored = before == POLICY_LIFETIME_FD || before == POLICY_LIFETIME_PROCESS;
    bool by_process = lease->lifetime == POLICY_LIFETIME_PROCESS;
    char name[FD_STORE_NAME_MAX];
    int r = by_process ? keep_by_process_instead(manager, lease, pidfd) : 0;

    if (r < 0)
        return r;
    struct keeper *keeper = find_keeper(manager, lease->id);
    if (was_stored)
        fd_store_remove(fd_store_lease_name(lease->id, name));
    if (by_process)
        store_keeper(lease, keeper->fd);
    else if (keeper)
        drop_keeper(manager, keeper);
    return 0;
}

void manager_stop_keeping(struct manager *manager, const struct lease *lease) {
    struct keeper *keeper = find_keeper(manager, lease->id);
    char name[FD_STORE_NAME_MAX];

    if (keeper)
        drop_keeper(manager, keeper);
    if (lease->lifetime == POLICY_LIFETIME_FD || lease->lifetime == POLICY_LIFETIME_PROCESS)
        fd_store_remove(fd_store_lease_name(lease->id, name));
}

int manager_copy_keeper(struct manager *manager, const struct lease *lease, struct lease_fds *fds) {
    const struct keeper *keeper = find_keeper(manager, lease->id);
    char path[32];

    if (!keeper)
        return -EBADF;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", keeper->fd);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : lease_fds_add(fds, fd, "lease");
}

/* ---- ends */

static enum lease_end end_of(const struct lease *lease) {
    return lease->lifetime == POLICY_LIFETIME_PROCESS ? LEASE_END_PROCESS_EXITED
                                                      : LEASE_END_FD_CLOSED;
}

void manager_check_keepers(struct manager *manager) {
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(manager->keepers_ended, events, EVENTS_PER_TURN, 0);

    for (int i = 0; i < n; i++) {
        struct lease *lease = lease_book_find(&manager->leases, events[i].data.u64);
        if (lease && find_keeper(manager, lease->id))
            manager_end_lease(manager, lease, end_of(lease));
    }
}

static void on_ended(struct ev_loop *loop, ev_io *watcher, int events) {
    manager_check_keepers(watcher->data);
}

int manager_start_keepers(struct manager *manager) {
    manager->keepers_ended = epoll_create1(EPOLL_CLOEXEC);
    if (manager->keepers_ended < 0)
        return -errno;
    ev_io_init(&manager->keeper_input, on_ended, manager->keepers_ended, EV_READ);
    manager->keeper_input.data = manager;
    ev_io_start(manager->loop, &manager->keeper_input);
    return 0;
}

void manager_free_keepers(struct manager *manager) {
    struct keeper *keeper, *next;

    HASH_ITER(hh, manager->keepers, keeper, next) {
        drop_keeper(manager, keeper);
    }
    ev_io_stop(manager->loop, &manager->keeper_input);
    fd_close(manager->keepers_ended);
}

/* ---- after a restart */

static bool is_running(const struct lease *lease) {
    uint64_t start;

    return process_start_time(lease->kept_pid, &start) >= 0 && start == lease->kept_start;
}

/* The fd is what the lease lives with. A process that has ended meanwhile makes a good pidfd too; which one
 * that was, nobody can tell: if the lease's own is there, it was the one before. */
static bool fits(const struct lease *lease, int fd) {
    struct stat status;
    pid_t pid;

    if (lease->state != LEASE_ACTIVE)
        return false;
    if (lease->lifetime == POLICY_LIFETIME_FD)
        return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
               (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
    if (lease->lifetime != POLICY_LIFETIME_PROCESS)
        return false;
    int r = process_of_pidfd(fd, &pid);
    return r == -ESRCH ? !is_running(lease) : r >= 0 && pid == lease->kept_pid;
}

static void take_stored(const char *name, int fd, void *userdata) {
    struct manager *manager = userdata;
    uint64_t id = fd_store_lease_of(name);
    const struct lease *lease = id ? lease_book_find(&manager->leases, id) : NULL;
    const struct keeper *keeper = lease ? find_keeper(manager, id) : NULL;

    if (lease && !keeper && fits(lease, fd) && add_keeper(manager, lease, TAKE_FD(fd)) >= 0)
        return;
    /* That of a lease that drains has done its work; any other one is a stranger. */
    if (!lease || lease->state == LEASE_ACTIVE)
        log_message(LOG_WARNING, "Stored fd \"%.64s\" belongs to no lease; it is closed.", name);
    fd_close(fd);
    fd_store_remove(name);
    if (keeper)
        store_keeper(lease, keeper->fd); /* it went with the other one of its name */
}

void manager_recover_keepers(struct manager *manager) {
    int r = fd_store_take(take_stored, manager);

    if (r < 0)
        log_message(LOG_ERR, "Stored fds can not be taken back: %s.", strerror(-r));
}

/* Without its fd (stored by nobody, or dropped by a stop of the service) a process is found again by
 * its number and when it started. */
static bool find_process_again(struct manager *manager, struct lease *lease) {
    int pidfd = -1;

    if (process_open(lease->kept_pid, &pidfd) < 0)
        return false;
    if (!is_running(lease)) {
        fd_close(pidfd);
        return false;
    }
    store_keeper(lease, pidfd);
    return add_keeper(manager, lease, pidfd) >= 0;
}

bool manager_keeper_is_lost(struct manager *manager, struct lease *lease, enum lease_end *ret) {
    bool by_process = lease->lifetime == POLICY_LIFETIME_PROCESS;

    if (lease->lifetime != POLICY_LIFETIME_FD && !by_process)
        return false;
    if (find_keeper(manager, lease->id) || (by_process && find_process_again(manager, lease)))
        return false;
    *ret = by_process ? LEASE_END_PROCESS_EXITED : LEASE_END_NOT_RECOVERED;
    return true;
}
