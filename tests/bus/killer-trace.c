/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "killer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int stops = -1;

int trace_fd(void) {
    sigset_t mask;

    if (stops >= 0)
        return stops;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    stops = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return stops;
}

static bool is_waiting_call(uint64_t number) {
#ifdef SYS_epoll_wait
    if (number == SYS_epoll_wait)
        return true;
#endif
    return number == SYS_epoll_pwait || number == SYS_epoll_pwait2;
}

/* At a system call's entry the daemon may be killed; a wait with a time of 0 is no wait. */
static void on_call(struct trace *trace) {
    struct __ptrace_syscall_info info = {0};

    ptrace(PTRACE_GET_SYSCALL_INFO, trace->pid, sizeof(info), &info);
    trace->waits = false;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    trace->waits = is_waiting_call(info.entry.nr) && info.entry.args[3] != 0;
    if (!trace->armed || ++trace->calls != trace->kill_at)
        return;
    kill(trace->pid, SIGKILL);
}

static void on_stop(struct trace *trace, int status) {
    int sig = WSTOPSIG(status), event = status >> 16, pass = 0;

    if (WIFEXITED(status) || WIFSIGNALED(status)) {
        trace->dead = true;
        return;
    }
    if (sig == (SIGTRAP | 0x80))
        on_call(trace);
    else if (event == 0)
        pass = sig;
    ptrace(PTRACE_SYSCALL, trace->pid, NULL, pass);
}

void trace_serve(struct trace *trace) {
    struct signalfd_siginfo ignored[16];
    int status;

    while (read(stops, ignored, sizeof(ignored)) > 0)
        ;
    while (!trace->dead && waitpid(trace->pid, &status, __WALL | WNOHANG) == trace->pid)
        on_stop(trace, status);
}

int trace_begin(struct trace *trace, int pid) {
    *trace = (struct trace){.pid = pid};
    trace_fd();
    if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) < 0)
        return -errno;
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
        return -errno;
    while (!trace->waits && !trace->dead) {
        struct pollfd stop = {stops, POLLIN, 0};

        if (poll(&stop, 1, 10 * 1000) <= 0)
            return -ETIMEDOUT;
        trace_serve(trace);
    }
    return trace->dead ? -ESRCH : 0;
}

void trace_arm(struct trace *trace, unsigned kill_at) {
    trace->armed = true;
    trace->calls = 0;
    trace->kill_at = kill_at;
}

/* Whatever it stops for first will do, see PTRACE_INTERRUPT in ptrace(2). */
void trace_end(struct trace *trace) {
    int status, sig;

    if (trace->dead || ptrace(PTRACE_INTERRUPT, trace->pid, NULL, NULL) < 0 ||
        waitpid(trace->pid, &status, __WALL) != trace->pid)
        return;
    trace->dead = WIFEXITED(status) || WIFSIGNALED(status);
    if (trace->dead)
        return;
    sig = WSTOPSIG(status);
    ptrace(PTRACE_DETACH, trace->pid, NULL,
           sig == (SIGTRAP | 0x80) || status >> 16 ? 0 : sig);
}
