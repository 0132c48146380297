/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

/*
 * A stand-in for the service manager: starts services with NOTIFY_SOCKET, keeps what they put into
 * the fd store (sd_notify(3): FDSTORE, FDNAME, FDSTOREREMOVE, FDPOLL, BARRIER) and hands it back as
 * LISTEN_FDS. Single-threaded, for pid 1 inside. Output goes to /run/fakekernel/NAME.log.
 */
#define SERVICES 8
#define STORE_SIZE 128

enum wait_for { WAIT_NOTHING, WAIT_READY, WAIT_EXIT, WAIT_RESTART };

struct stored {
    int fd;
    char name[256];
    bool poll;
};

struct service {
    char name[32];
    char *words[32]; /* command, NULL-terminated */
    pid_t pid;       /* 0 while it does not run */
    pid_t dead;      /* the main process has gone, others of its session not yet */
    time_t dead_since;
    int status;      /* of waitpid, of the last run */
    bool ready, reloading;
    unsigned watchdog; /* WATCHDOG=1 seen */
    int notify_fd;
    struct stored store[STORE_SIZE];
    int stored;
    enum wait_for waiting;
    int client; /* fd that the answer goes to, -1 */
};

struct service *service_at(int index); /* NULL beyond the last */
struct service *service_named(const char *name, bool make);
int service_spawn(struct service *service);
/* Reads one notification. */
void service_notified(struct service *service);
/* A child, or an orphan, has gone: true if it was a service's main process. */
bool service_exited(pid_t pid, int status);
/*
 * For every turn of the loop: what hangs in the kernel is not waited for any longer. True while there
 * is something to wait for.
 */
bool services_give_up(void);
/* A stored descriptor has hung up. */
void service_forget_fd(struct service *service, int index);
/* A request of fakectl; answers at once or when what it waits for happens, and closes client. */
void service_request(int argc, char **argv, int client);
