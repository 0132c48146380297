/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host.h"

#include <acl/libacl.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) {
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* ---- The fake kernel's control */

static int dial(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die(path);
    return fd;
}

static int read_answer(int fd, char *answer, size_t size) {
    char text[16384];
    size_t used = 0;
    ssize_t n;

    while (used < sizeof(text) - 1 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)n;
    close(fd);
    text[used] = 0;
    char *rest = strchr(text, '\n');
    if (!rest)
        die("no answer of the fake kernel");
    if (answer)
        snprintf(answer, size, "%s", rest + 1);
    return -atoi(text);
}

int host_tell(char *answer, size_t size, const char *word, ...) {
    int fd = dial(strcmp(word, "service") == 0 ? "/run/fakekernel/manager"
                                               : "/run/fakekernel/control");
    char words[1024];
    size_t used = 0;
    va_list arguments;

    va_start(arguments, word);
    for (; word; word = va_arg(arguments, const char *))
        used += (size_t)snprintf(words + used, sizeof(words) - used, "%s", word) + 1;
    va_end(arguments);
    if (write(fd, words, used) != (ssize_t)used)
        die("the fake kernel");
    shutdown(fd, SHUT_WR);
    return read_answer(fd, answer, size);
}

/* ---- Devices */

static int add_device(const struct event *event) {
    const struct place *place = &places[event->place];
    char group[32] = "group=none", class[32], reset[64], compatible[64];

    if (event->group != NO_GROUP)
        snprintf(group, sizeof(group), "group=%d", FIRST_GROUP + event->group);
    snprintf(class, sizeof(class), "class=0x%06x", place->class);
    snprintf(reset, sizeof(reset), "reset_method=%s", place->reset ?: "");
    snprintf(compatible, sizeof(compatible), "compatible=random,%s", bus_names[place->bus]);
    if (place->bus == BUS_PCI)
        return host_tell(NULL, 0, "device", "pci", place->name, "vendor=0x8086", "product=0x10d3",
                         class, reset, "driver=none", group, NULL);
    return host_tell(NULL, 0, "device", bus_names[place->bus], place->name, compatible,
                     "driver=none", group, NULL);
}

static int set_direct_region(const struct event *event) {
    char path[96];
    int r;

    snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", FIRST_GROUP + event->group);
    if (access(path, F_OK) < 0)
        return -ENOENT;
    strcat(path, "/reserved_regions");
    r = host_tell(NULL, 0, "set", path,
                  event->argument ? "0x1000 0x1fff direct" : "0x00000000fee00000 0x00000000feefffff msi",
                  NULL);
    return r;
}

static int move_device(const char *name, int group) {
    char number[16] = "none";

    if (group != NO_GROUP)
        snprintf(number, sizeof(number), "%d", FIRST_GROUP + group);
    return host_tell(NULL, 0, "regroup", name, number, NULL);
}

/* ---- Nodes */

static const char *node_path(int group) {
    static char path[32];

    snprintf(path, sizeof(path), "/dev/vfio/%d", FIRST_GROUP + group);
    return path;
}

/* The ACL as text: a few named users at most. */
static int write_access(const char *path, enum access access) {
    char text[128];
    acl_t acl;
    int r;

    snprintf(text, sizeof(text), "u::rw,g::-,o::%s", access == ACCESS_ALL ? "rw" : "-");
    if (access != ACCESS_NONE && access != ACCESS_ALL)
        snprintf(text, sizeof(text), "u::rw,g::-,o::-,m::rw,u:%u:rw", user_ids[access]);
    acl = acl_from_text(text);
    if (!acl)
        die(text);
    r = acl_set_file(path, ACL_TYPE_ACCESS, acl) < 0 ? -errno : 0;
    acl_free(acl);
    return r;
}

int host_access(int group) {
    acl_t acl = acl_get_file(node_path(group), ACL_TYPE_ACCESS);
    struct stat st;
    int found = ACCESS_NONE;
    char *text;

    if (!acl || stat(node_path(group), &st) < 0)
        return -1;
    text = acl_to_any_text(acl, NULL, '\n', TEXT_NUMERIC_IDS | TEXT_ABBREVIATE);
    if (!text)
        die("acl_to_any_text");
    for (int user = 1; user < N_USERS; user++) {
        char entry[32];
        snprintf(entry, sizeof(entry), "u:%u:rw-", user_ids[user]);
        if (strstr(text, entry) && strstr(text, "m::rw-"))
            found = found == ACCESS_NONE ? user : ACCESS_ALL;
    }
    if (st.st_mode & S_IRWXO || !strstr(text, "g::---") || strstr(text, "g:0"))
        found = ACCESS_ALL;
    acl_free(text);
    acl_free(acl);
    return found;
}

/* ---- Holders: fakectl hold, which says so and stays */

static pid_t holders[N_GROUPS];

static void become(enum user user) {
    const gid_t dmaown = DMAOWN_GID;

    if (setgroups(user == USER_ALICE, &dmaown) < 0 ||
        setresgid(user_ids[user], user_ids[user], user_ids[user]) < 0 ||
        setresuid(user_ids[user], user_ids[user], user_ids[user]) < 0)
        _exit(127);
}

/* It is who it is to be once the pipe closes, which is when it runs another program. */
pid_t host_stay(enum user user) {
    int ready[2];
    char byte;

    if (pipe2(ready, O_CLOEXEC) < 0)
        die("pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        become(user);
        execlp("sleep", "sleep", "1000", NULL);
        _exit(127);
    }
    close(ready[1]);
    if (pid < 0 || read(ready[0], &byte, 1) != 0)
        die("fork");
    close(ready[0]);
    return pid;
}

void host_let_go(pid_t pid) {
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void hold(int group, enum user user, bool container, int output) {
    const char *folder = getenv("FAKEKERNEL");
    int input[2];
    char program[4096];

    snprintf(program, sizeof(program), "%s/fakectl", folder ?: ".");
    /* Its input never ends: it holds the other side itself. */
    if (pipe(input) < 0 || dup2(input[0], STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        !freopen("/dev/null", "w", stderr))
        _exit(127);
    become(user);
    execl(program, "fakectl", "hold", node_path(group), container ? "container" : NULL, NULL);
    _exit(127);
}

bool host_open(int group, enum user user, bool container) {
    char line[16];
    int output[2];
    ssize_t n;

    if (holders[group])
        return false;
    if (pipe2(output, 0) < 0)
        die("pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        hold(group, user, container, output[1]);
    close(output[1]);
    n = read(output[0], line, sizeof(line));
    close(output[0]);
    if (n > 0) {
        holders[group] = pid;
        return true;
    }
    waitpid(pid, NULL, 0);
    return false;
}

void host_close(int group) {
    host_let_go(holders[group]);
    holders[group] = 0;
}

void host_forget(const struct naive *naive) {
    for (int group = 0; group < N_GROUPS; group++)
        if (naive->groups[group].opener < 0)
            host_close(group);
}

/* ---- All together */

int host_happen(const struct event *event) {
    const struct place *place = &places[event->place < N_PLACES ? event->place : 0];
    const char *driver = driver_names[place->bus][event->driver];

    switch (event->kind) {
    case EVENT_ADD:
        return add_device(event);
    case EVENT_REMOVE:
        return host_tell(NULL, 0, "remove", place->name, NULL);
    case EVENT_BIND:
        return driver ? host_tell(NULL, 0, "bind", place->name, driver, NULL) : -ENODEV;
    case EVENT_UNBIND:
        return host_tell(NULL, 0, "unbind", place->name, NULL);
    case EVENT_MOVE:
        return move_device(place->name, event->group);
    case EVENT_DIRECT:
        return set_direct_region(event);
    case EVENT_TOUCH:
        return write_access(node_path(event->group), (enum access)event->argument);
    case EVENT_KILL:
        return host_tell(NULL, 0, "service", "kill", "dmaownd", NULL);
    case EVENT_START:
        return host_tell(NULL, 0, "service", "start", "dmaownd", NULL);
    default:
        return 0;
    }
}

void host_write_policy(unsigned policy) {
    char text[4096];
    FILE *file = fopen(CONFIG "/policy.json", "we");

    policy_write(policy, text, sizeof(text));
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        die(CONFIG "/policy.json");
}

void host_clear(void) {
    (void)host_happen(&(struct event){.kind = EVENT_KILL});
    for (int group = 0; group < N_GROUPS; group++)
        host_close(group);
    for (unsigned i = 0; i < N_PLACES; i++)
        (void)host_happen(&(struct event){.kind = EVENT_REMOVE, .place = (uint8_t)i});
    if (system("rm -rf " STATE) != 0)
        die(STATE);
}
