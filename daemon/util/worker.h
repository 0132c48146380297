/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A worker process for work that can block: the user database, the kernel's symbol table. A task
 * stuck in the kernel can not be killed and must not take the daemon with it, so it is a process
 * and no thread, and it keeps none of the daemon's fds. */

#include <stddef.h>

struct ev_loop;
struct worker;

/* What a worker may write; more ends it as failed. */
#define WORKER_OUTPUT_MAX (1024 * 1024)

/* Runs in the worker: writes its answer to output. A negative errno makes it fail. */
typedef int worker_function(int output, void *userdata);

/* A worker that takes longer has failed with -ETIMEDOUT. */
#define WORKER_SECONDS_MAX 12.

/* With more that were given up and are stuck in the kernel still, no further one with a limit starts:
 * -EUSERS. */
#define WORKER_ORPHANS_MAX 64

/* Called once, in the daemon. result: 0 or a negative errno. output: NUL-terminated, borrowed. */
typedef void worker_done(int result, const char *output, size_t size, void *userdata);

/* Starts one. The worker is freed after done was called. */
int worker_start(struct ev_loop *loop, worker_function *run, worker_done *done, void *userdata,
                 struct worker **ret);

/* The same without a limit, for what may rightly hang in the kernel for as long as somebody holds a
 * device (bind, unbind). It can be given up by worker_free like any other, also when the daemon ends:
 * nobody waits for it then. A worker never outlives the daemon by more than the system call that it is
 * in. */
int worker_start_unlimited(struct ev_loop *loop, worker_function *run, worker_done *done,
                           void *userdata, struct worker **ret);

/* What it has written so far, NUL-terminated; borrowed until the loop runs on. */
const char *worker_output(const struct worker *worker);

/* Gives up on it: done is not called, and the process is killed if the kernel lets go of it. */
struct worker *worker_free(struct worker *worker);
