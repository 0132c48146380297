/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "services.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_PASSED_FD 3
#define GIVE_UP 1 /* seconds after SIGKILL; as after TimeoutStopSec */

static struct service services[SERVICES];
static int service_count;

struct service *service_at(int index) {
    return index < service_count ? &services[index] : NULL;
}

static int notify_socket(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "/run/fakekernel/%s.notify", name);
    if (fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    chmod(address.sun_path, 0777);
    return fd;
}

struct service *service_named(const char *name, bool make) {
    struct service *service;

    for (int i = 0; i < service_count; i++)
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    if (!make || service_count == SERVICES || strlen(name) >= sizeof(service->name))
        return NULL;
    service = &services[service_count++];
    *service = (struct service){.client = -1};
    snprintf(service->name, sizeof(service->name), "%s", name);
    service->notify_fd = notify_socket(name);
    return service;
}

/* In the child: descriptors 3 and up are the store's, nothing else. */
static void pass_store(const struct service *service) {
    char names[8192] = "", number[16];
    size_t used = 0;
    int moved[STORE_SIZE];

    for (int i = 0; i < service->stored; i++)
        moved[i] = fcntl(service->store[i].fd, F_DUPFD, FIRST_PASSED_FD + STORE_SIZE);
    for (int i = 0; i < service->stored; i++) {
        dup2(moved[i], FIRST_PASSED_FD + i);
        used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s", i ? ":" : "",
                                  service->store[i].name);
    }
    close_range(FIRST_PASSED_FD + (unsigned) service->stored, ~0U, 0);
    if (!service->stored)
        return;
    snprintf(number, sizeof(number), "%d", service->stored);
    setenv("LISTEN_FDS", number, 1);
    snprintf(number, sizeof(number), "%d", getpid());
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

static void run_service(const struct service *service) {
    char path[128];
    sigset_t none;
    int fd;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    snprintf(path, sizeof(path), "/run/fakekernel/%s.log", service->name);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, 1);
    dup2(fd, 2);
    fd = open("/dev/null", O_RDONLY);
    dup2(fd, 0);
    snprintf(path, sizeof(path), "/run/fakekernel/%s.notify", service->name);
    setenv("NOTIFY_SOCKET", path, 1);
    pass_store(service);
    execvp(service->words[0], service->words);
    fprintf(stderr, "%s: %s\n", service->words[0], strerror(errno));
    _exit(127);
}

int service_spawn(struct service *service) {
    pid_t pid;

    service->ready = service->reloading = false;
    pid = fork();
    if (pid == 0)
        run_service(service);
    if (pid < 0)
        return -errno;
    service->pid = pid;
    return 0;
}

static void answer(struct service *service, int error, const char *text) {
    service->waiting = WAIT_NOTHING;
    if (service->client < 0)
        return;
    dprintf(service->client, "%d\n%s\n", error, text);
    close(service->client);
    service->client = -1;
}

static void clear_store(struct service *service) {
    while (service->stored)
        service_forget_fd(service, 0);
}

void service_forget_fd(struct service *service, int index) {
    close(service->store[index].fd);
    service->stored--;
    memmove(&service->store[index], &service->store[index + 1],
            sizeof(*service->store) * (size_t) (service->stored - index));
}

static const char *status_text(int status) {
    static char text[64];

    if (WIFSIGNALED(status))
        snprintf(text, sizeof(text), "signal %d", WTERMSIG(status));
    else
        snprintf(text, sizeof(text), "status %d", WEXITSTATUS(status));
    return text;
}

/* Nothing of the service is left: what waits for that goes on. */
static void ended(struct service *service) {
    service->pid = service->dead = 0;
    if (service->waiting == WAIT_RESTART) {
        service->waiting = WAIT_READY;
        service_spawn(service);
    } else if (service->waiting != WAIT_NOTHING) {
        answer(service, service->waiting == WAIT_READY ? ECHILD : 0, status_text(service->status));
    }
}

static time_t now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* As systemd does with a control group: when the main process has gone the rest is killed, and only
 * then has the service ended. The rest is its session, and becomes ours to reap. */
bool service_exited(pid_t pid, int status) {
    bool found = false;

    for (int i = 0; i < service_count; i++) {
        struct service *service = &services[i];

        if (service->pid == pid && pid) {
            service->status = status;
            service->dead = pid;
            service->dead_since = now();
            kill(-pid, SIGKILL);
            found = true;
        }
        if (service->dead && kill(-service->dead, 0) < 0)
            ended(service);
    }
    return found;
}

bool services_give_up(void) {
    bool waits = false;

    for (int i = 0; i < service_count; i++) {
        struct service *service = &services[i];

        if (service->dead && now() - service->dead_since > GIVE_UP)
            ended(service);
        waits |= service->dead != 0;
    }
    return waits;
}

static void remove_named(struct service *service, const char *name) {
    for (int i = service->stored - 1; i >= 0; i--)
        if (strcmp(service->store[i].name, name) == 0)
            service_forget_fd(service, i);
}

static void store_fd(struct service *service, int fd, const char *name, bool poll) {
    struct stored *slot = &service->store[service->stored];

    if (service->stored == STORE_SIZE) {
        close(fd);
        return;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    slot->fd = fd;
    slot->poll = poll;
    snprintf(slot->name, sizeof(slot->name), "%s", name);
    service->stored++;
}

/* The value of a line "KEY=value", copied, or NULL. */
static const char *field(const char *message, const char *key, char *to, size_t size) {
    for (const char *line = message; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == '=') {
            snprintf(to, size, "%s", line + strlen(key) + 1);
            to[strcspn(to, "\n")] = '\0';
            return to;
        }
    }
    return NULL;
}

static void act_on(struct service *service, const char *message, const int *fds, int count) {
    char value[4096], name[256] = "stored";
    bool poll = true, keep = field(message, "FDSTORE", value, sizeof(value)) && value[0] == '1';

    field(message, "FDNAME", name, sizeof(name));
    if (field(message, "FDPOLL", value, sizeof(value)))
        poll = value[0] != '0';
    if (field(message, "FDSTOREREMOVE", value, sizeof(value)))
        remove_named(service, name);
    for (int i = 0; i < count; i++) {
        if (keep)
            store_fd(service, fds[i], name, poll);
        else
            close(fds[i]);
    }
    if (field(message, "WATCHDOG", value, sizeof(value)))
        service->watchdog++;
    if (field(message, "RELOADING", value, sizeof(value)))
        service->reloading = true;
    if (field(message, "READY", value, sizeof(value))) {
        service->ready = true;
        service->reloading = false;
        if (service->waiting == WAIT_READY)
            answer(service, 0, "ready");
    }
}

void service_notified(struct service *service) {
    char message[8192], control[CMSG_SPACE(sizeof(int) * 253)];
    struct iovec part = {message, sizeof(message) - 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(service->notify_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *part_of;
    int fds[253], count = 0;

    if (n < 0)
        return;
    message[n] = '\0';
    for (part_of = CMSG_FIRSTHDR(&header); part_of; part_of = CMSG_NXTHDR(&header, part_of))
        if (part_of->cmsg_level == SOL_SOCKET && part_of->cmsg_type == SCM_RIGHTS) {
            count = (int) ((part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(part_of), sizeof(int) * (size_t) count);
        }
    act_on(service, message, fds, count);
}

static void set_command(struct service *service, int argc, char **argv) {
    for (int i = 0; service->words[i]; i++)
        free(service->words[i]);
    memset(service->words, 0, sizeof(service->words));
    for (int i = 0; i < argc && i < 31; i++)
        service->words[i] = strdup(argv[i]);
}

static void describe(struct service *service) {
    char text[16384];
    size_t used;

    used = (size_t) snprintf(text, sizeof(text), "%s %d %s watchdog %u\n",
                             service->pid ? service->ready ? "active" : "starting" : "exited",
                             service->pid, service->pid ? "-" : status_text(service->status),
                             service->watchdog);
    for (int i = 0; i < service->stored; i++)
        used += (size_t) snprintf(text + used, sizeof(text) - used, "fd %s\n",
                                  service->store[i].name);
    text[used - 1] = '\0';
    answer(service, 0, text);
}

/* Sends a signal and waits; at once when it does not run. */
static void end(struct service *service, int number, enum wait_for wait) {
    service->waiting = wait;
    if (service->pid)
        kill(service->pid, number);
    else if (wait == WAIT_RESTART) {
        service->waiting = WAIT_READY;
        service_spawn(service);
    } else
        answer(service, 0, status_text(service->status));
}

static void start(struct service *service, int argc, char **argv, bool wait) {
    if (argc > 0)
        set_command(service, argc, argv);
    if (service->pid || !service->words[0]) {
        answer(service, service->pid ? EALREADY : EINVAL, "runs already, or has no command");
        return;
    }
    service->waiting = wait ? WAIT_READY : WAIT_NOTHING;
    if (service_spawn(service) < 0 || !wait)
        answer(service, 0, "started");
}

void service_request(int argc, char **argv, int client) {
    const char *verb = argc > 1 ? argv[1] : "";
    struct service *service = argc > 2 ? service_named(argv[2], true) : NULL;

    if (!service || service->client >= 0) {
        dprintf(client, "%d\nservice: no room, or another request waits\n", EBUSY);
        close(client);
        return;
    }
    service->client = client;
    if (strcmp(verb, "start") == 0 || strcmp(verb, "launch") == 0)
        start(service, argc - 3, argv + 3, *verb == 's');
    else if (strcmp(verb, "stop") == 0) {
        clear_store(service);
        end(service, SIGTERM, WAIT_EXIT);
    } else if (strcmp(verb, "kill") == 0)
        end(service, SIGKILL, WAIT_EXIT);
    else if (strcmp(verb, "wait") == 0)
        end(service, 0, WAIT_EXIT);
    else if (strcmp(verb, "restart") == 0)
        end(service, SIGTERM, WAIT_RESTART);
    else if (strcmp(verb, "reload") == 0)
        end(service, SIGHUP, WAIT_READY);
    else if (strcmp(verb, "status") == 0)
        describe(service);
    else
        answer(service, EINVAL, "start|launch|stop|kill|wait|restart|reload|status NAME");
}
