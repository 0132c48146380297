/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init.h"
#include "control.h"
#include "journal.h"
#include "services.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_POLL (4 + SERVICES * (1 + STORE_SIZE))

enum { POLL_SIGNAL, POLL_CONTROL, POLL_JOURNAL, POLL_FIRST_SERVICE };

static pid_t command_pid;
static int command_status = -1;

static int signals_open(sigset_t *mask) {
    sigemptyset(mask);
    sigaddset(mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void start_command(char **command, const sigset_t *mask) {
    command_pid = fork();
    if (command_pid != 0)
        return;
    sigprocmask(SIG_UNBLOCK, mask, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(command[0], command);
    fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
    _exit(127);
}

static void reap(int signals) {
    struct signalfd_siginfo ignored;
    int status;
    pid_t pid;

    while (read(signals, &ignored, sizeof(ignored)) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (service_exited(pid, status) || pid != command_pid)
            continue;
        command_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

static void accept_request(int listener) {
    char request[16384], *words[64], *at = request;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), count = 0;
    size_t used = 0;
    ssize_t n;

    if (fd < 0)
        return;
    while (used < sizeof(request) && (n = read(fd, request + used, sizeof(request) - used)) > 0)
        used += (size_t) n;
    while (at < request + used && count < 63) {
        words[count++] = at;
        at += strnlen(at, (size_t) (request + used - at)) + 1;
    }
    words[count] = NULL;
    service_request(count, words, fd);
}

static void watch_services(struct pollfd *polls, int *count) {
    struct service *service;

    for (int i = 0; (service = service_at(i)); i++) {
        polls[(*count)++] = (struct pollfd){service->notify_fd, POLLIN, 0};
        for (int s = 0; s < service->stored; s++)
            polls[(*count)++] = (struct pollfd){service->store[s].poll ? service->store[s].fd : -1,
                                                0, 0};
    }
}

/* As polled; stops at the first change of a store, since positions are then another's. */
static void serve_services(const struct pollfd *polls, int count) {
    struct service *service;
    int at = POLL_FIRST_SERVICE;

    for (int i = 0; (service = service_at(i)) && at < count; i++) {
        if (polls[at++].revents) {
            service_notified(service);
            return;
        }
        for (int s = 0; s < service->stored; s++)
            if (polls[at++].revents & (POLLHUP | POLLERR)) {
                service_forget_fd(service, s);
                return;
            }
    }
}

static void loop(int signals, int control, int journal) {
    while (command_status < 0) {
        struct pollfd polls[MAX_POLL] = {
            {signals, POLLIN, 0}, {control, POLLIN, 0}, {journal, POLLIN, 0}};
        int count = POLL_FIRST_SERVICE;

        watch_services(polls, &count);
        if (poll(polls, (nfds_t) count, services_give_up() ? 100 : -1) < 0 && errno != EINTR)
            return;
        /* Notifications first: a service that says something and exits has said it. */
        serve_services(polls, count);
        if (polls[POLL_JOURNAL].revents)
            journal_receive(journal);
        if (polls[POLL_SIGNAL].revents)
            reap(signals);
        if (polls[POLL_CONTROL].revents)
            accept_request(control);
    }
}

static int start_bus(const char *config, int signals) {
    struct service *bus = service_named("bus", true);
    char option[512];
    char *words[] = {(char *) "dbus-daemon", (char *) "--nofork", (char *) "--nopidfile", option};

    snprintf(option, sizeof(option), "--config-file=%s", config);
    for (int i = 0; i < 4; i++)
        bus->words[i] = strdup(words[i]);
    if (service_spawn(bus) < 0)
        return -1;
    while (!bus->ready && bus->pid) {
        struct pollfd polls[] = {{bus->notify_fd, POLLIN, 0}, {signals, POLLIN, 0}};

        poll(polls, 2, -1);
        if (polls[0].revents)
            service_notified(bus);
        else if (polls[1].revents)
            reap(signals);
    }
    return bus->pid ? 0 : -1;
}

int init_run(char **command, const char *bus_config) {
    int control = control_listen("/run/fakekernel/manager");
    int journal = journal_open();
    sigset_t mask;
    int signals = signals_open(&mask);

    if (control < 0 || journal < 0 || signals < 0) {
        fprintf(stderr, "fakekernel: init: %s\n", strerror(errno));
        return 125;
    }
    if (bus_config && start_bus(bus_config, signals) < 0) {
        fprintf(stderr, "fakekernel: dbus-daemon did not start; see below\n");
        if (system("cat /run/fakekernel/bus.log >&2"))
            return 125;
        return 125;
    }
    start_command(command, &mask);
    loop(signals, control, journal);
    return command_status;
}
