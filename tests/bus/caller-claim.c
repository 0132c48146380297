/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A claim whose descriptors are kept, and what can be done with them. */
#include "caller.h"

#include "../fakekernel/bind-iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DESCRIPTORS 64

static struct {
    char key[64];
    int fd;
} kept[DESCRIPTORS];
static int count;
static char lease[128];
static int call_argc;
static char **call_argv;

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static int find(const char *key) {
    for (int i = 0; key && i < count; i++)
        if (strcmp(kept[i].key, key) == 0)
            return kept[i].fd;
    return -1;
}

/* Keeps what is in the reply and prints its keys, sorted. */
static int keep(sd_bus_message *reply) {
    const char *key, *keys[DESCRIPTORS];
    int fd, found = 0, r = sd_bus_message_enter_container(reply, 'a', "{sh}");

    while (r > 0 && (r = sd_bus_message_read(reply, "{sh}", &key, &fd)) > 0) {
        if (count == DESCRIPTORS)
            return -ENOSPC;
        snprintf(kept[count].key, sizeof(kept[count].key), "%s", key);
        kept[count].fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        keys[found++] = kept[count++].key;
    }
    qsort(keys, (size_t) found, sizeof(*keys), compare);
    for (int i = 0; i < found; i++)
        printf(" %s", keys[i]);
    printf("\n");
    return r;
}

static int print_error(int r, const sd_bus_error *error) {
    printf("%s: %s\n", error->name ? error->name : strerror(-r), error->message ? error->message : "");
    return 0;
}

/* Words with a '=' are options, the others targets. */
static int send_claim(sd_bus *bus, sd_bus_message **ret, sd_bus_error *error) {
    char *targets[DESCRIPTORS * 2], *options[DESCRIPTORS];
    int n_targets = 0, n_options = 0, r;
    sd_bus_message *m = NULL;

    for (int i = 0; i < call_argc; i++) {
        if (strchr(call_argv[i], '='))
            options[n_options++ % DESCRIPTORS] = call_argv[i];
        else
            targets[n_targets++ % (DESCRIPTORS * 2)] = call_argv[i];
    }
    r = new_call(bus, "Claim", n_targets, targets, &m);
    if (r >= 0)
        r = append_options(m, n_options, options);
    if (r >= 0)
        r = sd_bus_call(bus, m, 60ULL * 1000 * 1000, error, ret);
    sd_bus_message_unref(m);
    return r;
}

/* "LEASE KEY..." or "ERROR: text". */
static int do_claim(sd_bus *bus) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *path;
    int r = send_claim(bus, &reply, &error);

    if (r < 0)
        return print_error(r, &error);
    r = sd_bus_message_read(reply, "o", &path);
    if (r >= 0) {
        snprintf(lease, sizeof(lease), "%s", path);
        printf("%s", lease);
        r = keep(reply);
    }
    sd_bus_message_unref(reply);
    return r < 0 ? r : 0;
}

static void close_key(const char *key) {
    int closed = 0;

    for (int i = 0; key && i < count;) {
        if (strcmp(key, "all") != 0 && strcmp(kept[i].key, key) != 0) {
            i++;
            continue;
        }
        close(kept[i].fd);
        kept[i] = kept[--count];
        closed++;
    }
    printf("closed %d\n", closed);
}

static void do_release(sd_bus *bus) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "Release", &error, NULL, "o", lease);

    if (r < 0)
        print_error(r, &error);
    else
        printf("released\n");
    sd_bus_error_free(&error);
}

/* Another lifetime for it; the words are options. */
static void do_lifetime(sd_bus *bus, char **save) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    char *options[DESCRIPTORS], *word;
    sd_bus_message *m = NULL;
    int n = 0, r = sd_bus_message_new_method_call(bus, &m, NAME, lease, NAME ".Lease", "SetLifetime");

    while (n < DESCRIPTORS && (word = strtok_r(NULL, " ", save)))
        options[n++] = word;
    if (r >= 0)
        r = append_options(m, n, options);
    if (r >= 0)
        r = sd_bus_call(bus, m, 0, &error, NULL);
    if (r < 0)
        print_error(r, &error);
    else
        printf("set\n");
    sd_bus_message_unref(m);
    sd_bus_error_free(&error);
}

static void print_result(int r) {
    if (r < 0)
        printf("%s\n", strerrorname_np(errno));
    else
        printf("ok\n");
}

static void do_status(const char *key) {
    struct vfio_group_status status = {.argsz = sizeof(status)};

    if (ioctl(find(key), VFIO_GROUP_GET_STATUS, &status) < 0)
        print_result(-1);
    else
        printf("0x%x\n", status.flags);
}

/* Through the group and the container that came with it; the device stays open as "device". */
static void do_device(const char *key, const char *device) {
    int container = find("container"), fd;

    if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
        print_result(-1);
        return;
    }
    fd = ioctl(find(key), VFIO_GROUP_GET_DEVICE_FD, device);
    print_result(fd);
    if (fd < 0 || count == DESCRIPTORS)
        return;
    snprintf(kept[count].key, sizeof(kept[count].key), "device");
    kept[count++].fd = fd;
}

static void do_bind(const char *key) {
    struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = find("iommufd")};

    print_result(ioctl(find(key), VFIO_DEVICE_BIND_IOMMUFD, &bind));
}

/* In place, with every descriptor that is kept, and without a connection. */
static void do_exec(sd_bus *bus, char *words) {
    char *argv[32] = {NULL}, *save = NULL;
    int argc = 0;

    for (char *word = strtok_r(words, " ", &save); word && argc < 31;
         word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    for (int i = 0; i < count; i++)
        fcntl(kept[i].fd, F_SETFD, 0);
    sd_bus_flush_close_unref(bus);
    if (argc > 0)
        execvp(argv[0], argv);
    print_result(-1);
    exit(127);
}

/* A child with copies, but no connection, which lives until it is killed. */
static void do_fork(sd_bus *bus) {
    int connection = sd_bus_get_fd(bus);
    pid_t pid = fork();

    if (pid == 0) {
        close(0);
        close(connection);
        for (;;)
            pause();
    }
    printf("%d\n", pid);
}

static int on_command(sd_bus *bus, char *line, void *userdata) {
    char *words = strchr(line, ' '), *save = NULL, *verb, *a, *b;

    if (strncmp(line, "exec ", 5) == 0)
        do_exec(bus, words);
    verb = strtok_r(line, " ", &save);
    if (verb && strcmp(verb, "lifetime") == 0) {
        do_lifetime(bus, &save);
        return 0;
    }
    a = strtok_r(NULL, " ", &save);
    b = strtok_r(NULL, " ", &save);
    if (!verb)
        return 0;
    if (strcmp(verb, "close") == 0)
        close_key(a);
    else if (strcmp(verb, "status") == 0)
        do_status(a);
    else if (strcmp(verb, "device") == 0)
        do_device(a, b);
    else if (strcmp(verb, "bind") == 0)
        do_bind(a);
    else if (strcmp(verb, "fork") == 0)
        do_fork(bus);
    else if (strcmp(verb, "again") == 0)
        return do_claim(bus);
    else if (strcmp(verb, "release") == 0)
        do_release(bus);
    else if (strcmp(verb, "leave") == 0) {
        sd_bus_flush(bus);
        sd_bus_close(bus);
        printf("left\n");
    } else
        printf("what is %s?\n", verb);
    return 0;
}

int claim(sd_bus *bus, int argc, char **argv) {
    int r;

    call_argc = argc;
    call_argv = argv;
    r = do_claim(bus);
    if (r < 0)
        return fail(r, "Claim");
    return serve_lines(bus, on_command, NULL);
}
