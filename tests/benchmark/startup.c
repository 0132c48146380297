/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* startup [--exit|--keep] COMMAND...: how long a program takes until it says READY=1 to the service
 * manager, which is this program; with --exit, until it ends. Prints "MILLISECONDS PID". With
 * --keep the program stays, else it is asked to end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 120000

static double now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A socket in the abstract namespace, told to children in NOTIFY_SOCKET. */
static int notify_socket(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(name, sizeof(name), "@dmaownd-startup-%d", (int)getpid());
    memcpy(address.sun_path, name, strlen(name));
    address.sun_path[0] = 0;
    socklen_t length = (socklen_t)(sizeof(sa_family_t) + strlen(name));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0)
        return -1;
    return setenv("NOTIFY_SOCKET", name, 1) < 0 ? -1 : fd;
}

/* True once a message holds the line READY=1; false when there was none in time. */
static bool wait_for_ready(int fd) {
    struct pollfd input = {.fd = fd, .events = POLLIN};
    char text[4096];

    while (poll(&input, 1, READY_TIMEOUT_MS) > 0) {
        ssize_t length = recv(fd, text, sizeof(text) - 1, 0);
        if (length < 0)
            return false;
        text[length] = 0;
        if (strncmp(text, "READY=1", 7) == 0 || strstr(text, "\nREADY=1"))
            return true;
    }
    return false;
}

static pid_t spawn(char **command) {
    pid_t pid = fork();

    if (pid == 0) {
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    return pid;
}

static bool wait_for_exit(pid_t pid) {
    int status;

    if (waitpid(pid, &status, 0) < 0)
        return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
    bool until_exit = argc > 2 && strcmp(argv[1], "--exit") == 0;
    bool keep = argc > 2 && strcmp(argv[1], "--keep") == 0;
    char **command = argv + 1 + (until_exit || keep);

    if (argc < 2 || !*command) {
        fprintf(stderr, "usage: startup [--exit|--keep] COMMAND...\n");
        return 2;
    }
    int fd = notify_socket();
    if (fd < 0) {
        perror("startup");
        return 1;
    }
    double begin = now_ms();
    pid_t pid = spawn(command);
    bool good = pid > 0 && (until_exit ? wait_for_exit(pid) : wait_for_ready(fd));
    double end = now_ms();
    if (good)
        printf("%.3f %d\n", end - begin, (int)pid);
    if (!until_exit && !(keep && good) && pid > 0) {
        kill(pid, good ? SIGTERM : SIGKILL);
        good = wait_for_exit(pid) && good;
    }
    return good ? 0 : 1;
}
