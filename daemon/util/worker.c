/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "util/cleanup.h"
#include "util/fd.h"

struct worker {
    struct ev_loop *loop;
    ev_io input;
    ev_timer limit;
    int pipe;
    pid_t process; /* 0: none. Nobody else waits for it, so the number stays its own. */
    worker_done *done;
    void *userdata;
    char *output;
    size_t size;
    struct worker *next; /* orphans */
};

/* Given up while they ran. They end when the kernel lets go of them, and are zombies until then. */
static struct worker *orphans;

static size_t reap_orphans(void) {
    size_t n = 0;

    for (struct worker **at = &orphans, *orphan; (orphan = *at);) {
        if (waitpid(orphan->process, NULL, WNOHANG) == 0) {
            at = &orphan->next;
            n++;
            continue;
        }
        *at = orphan->next;
        free(orphan);
    }
    return n;
}

const char *worker_output(const struct worker *worker) {
    return worker->output ?: "";
}

struct worker *worker_free(struct worker *worker) {
    if (!worker)
        return NULL;
    ev_io_stop(worker->loop, &worker->input);
    ev_timer_stop(worker->loop, &worker->limit);
    fd_close(worker->pipe);
    free(worker->output);
    if (worker->process > 0) {
        (void)kill(worker->process, SIGKILL);
        worker->next = orphans;
        orphans = worker;
    } else {
        free(worker);
    }
    (void)reap_orphans();
    return NULL;
}
DEFINE_CLEANUP(struct worker *, worker_free)

/* The worker has closed its end, which is the last thing that it does. */
static void finish(struct worker *worker, int result) {
    int status;

    if (waitpid(worker->process, &status, 0) < 0)
        result = -errno;
    else if (result == 0)
        result = WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
    worker->process = 0;
    worker->output[worker->size] = 0;
    worker->done(result, worker->output, worker->size, worker->userdata);
    worker_free(worker);
}

static void on_input(struct ev_loop *loop, ev_io *watcher, int events) {
    struct worker *worker = watcher->data;
    char *grown = realloc(worker->output, worker->size + 4096 + 1);

    if (!grown)
        return;
    worker->output = grown;
    grown[worker->size] = 0;
    ssize_t n = read(worker->pipe, grown + worker->size, 4096);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0 && worker->size + (size_t)n <= WORKER_OUTPUT_MAX) {
        worker->size += (size_t)n;
        grown[worker->size] = 0;
        return;
    }
    if (n != 0)
        (void)kill(worker->process, SIGKILL);
    /* What wrote too much may have ended well by now. */
    finish(worker, n == 0 ? 0 : n < 0 ? -EIO : -EFBIG);
}

/* It may be stuck in the kernel: nobody waits for its end. */
static void on_limit(struct ev_loop *loop, ev_timer *timer, int events) {
    struct worker *worker = timer->data;

    worker->done(-ETIMEDOUT, "", 0, worker->userdata);
    worker_free(worker);
}

/* An open copy of, say, the bus's socket would outlive the daemon in a stuck worker. */
static void close_all_but(int kept) {
    if (kept > 3)
        (void)close_range(3, (unsigned)kept - 1, 0);
    (void)close_range((unsigned)kept + 1, ~0u, 0);
}

/* What a daemon that was killed has begun is the next one's to finish or undo. */
static void end_with_parent(pid_t parent) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
}

static _Noreturn void run_child(int output, pid_t parent, worker_function *run, void *userdata) {
    sigset_t none;

    end_with_parent(parent);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    close_all_but(output);
    int r = run(output, userdata);
    _exit(r < 0 ? (-r & 0xff) : 0);
}

int worker_start_unlimited(struct ev_loop *loop, worker_function *run, worker_done *done,
                           void *userdata, struct worker **ret) {
    _cleanup_(worker_freep) struct worker *worker = calloc(1, sizeof(*worker));
    _cleanup_(fd_closep) int output = -1;
    int ends[2];

    (void)reap_orphans();
    if (!worker)
        return -ENOMEM;
    worker->pipe = -1;
    worker->loop = loop;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    worker->pipe = ends[0];
    output = ends[1];
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        free(TAKE_POINTER(worker));
        run_child(output, parent, run, userdata);
    }
    worker->process = pid;
    worker->done = done;
    worker->userdata = userdata;
    ev_io_init(&worker->input, on_input, worker->pipe, EV_READ);
    worker->input.data = worker;
    ev_io_start(loop, &worker->input);
    ev_timer_init(&worker->limit, on_limit, WORKER_SECONDS_MAX, 0.);
    worker->limit.data = worker;
    *ret = TAKE_POINTER(worker);
    return 0;
}

int worker_start(struct ev_loop *loop, worker_function *run, worker_done *done, void *userdata,
                 struct worker **ret) {
    if (reap_orphans() > WORKER_ORPHANS_MAX)
        return -EUSERS;
    int r = worker_start_unlimited(loop, run, done, userdata, ret);

    if (r >= 0)
        ev_timer_start(loop, &(*ret)->limit);
    return r;
}
