/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kernel/process.h"
#include "util/fd.h"

static int refuse_process(struct call *call, pid_t pid, int error) {
    if (error == -ESRCH)
        return call_fail(call, OUTCOME_INVALID_OPTION, "There is no process %d (any more).", pid);
    if (error == -EBADF)
        return call_fail(call, OUTCOME_INVALID_OPTION, "Option pidfd is not a pidfd.");
    return call_fail(call, OUTCOME_INVALID_OPTION, "Process %d can not be looked at: %s.", pid,
                     strerror(-error));
}

/* By the fd that the caller passed, by number, or the caller itself. Once for a call: at a later look the
 * number may be another process's. */
static int open_process(struct call *call, const struct claim_options *options, pid_t *ret_pid) {
    *ret_pid = options->pidfd >= 0 ? 0 : options->pid ?: call->caller->pid;
    if (call->pidfd < 0 && options->pidfd < 0)
        return process_open(*ret_pid, &call->pidfd);
    if (call->pidfd < 0)
        call->pidfd = fcntl(options->pidfd, F_DUPFD_CLOEXEC, 3);
    if (call->pidfd < 0)
        return -errno;
    return process_of_pidfd(call->pidfd, ret_pid);
}

/* Whoever names a process tells when it ends; that of another user is not theirs to watch. */
static int take_process(struct call *call, const struct claim_options *options,
                        struct claim *claim) {
    uid_t owner = 0;
    pid_t pid = 0;

    int r = open_process(call, options, &pid);
    if (r >= 0)
        r = process_owner(call->pidfd, pid, &owner);
    if (r >= 0)
        r = process_start_time(pid, &claim->kept_start);
    if (r < 0)
        return refuse_process(call, pid, r);
    if (owner != call->caller->uid && call->caller->uid != 0)
        return call_fail(call, OUTCOME_INVALID_OPTION,
                         "Process %d is not of uid %u; name one of your own.", pid,
                         call->caller->uid);
    claim->kept_pid = pid;
    claim->pidfd = call->pidfd;
    return CALL_PROCEEDS;
}

int call_take_keeper(struct call *call, const struct claim_options *options, struct claim *claim) {
    claim->pidfd = -1;
    claim->kept_unit = "";
    if (options->lifetime == POLICY_LIFETIME_PROCESS)
        return take_process(call, options, claim);
    if (options->lifetime != POLICY_LIFETIME_UNIT)
        return CALL_PROCEEDS;
    int r = call_look_up_unit(call, options->unit);
    claim->kept_unit = call->unit.id;
    return r;
}
