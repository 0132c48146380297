/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fail(int r, const char *what) {
    fprintf(stderr, "caller: %s: %s\n", what, strerror(-r));
    return 1;
}

struct input {
    char text[4096];
    size_t used;
};

/* What has come, line by line: 1 at the end of the input, or what on_line said. */
static int read_lines(struct input *input, sd_bus *bus,
                      int (*on_line)(sd_bus *bus, char *line, void *userdata), void *userdata) {
    ssize_t n = read(0, input->text + input->used, sizeof(input->text) - input->used - 1);
    char *end;
    int r = 0;

    if (n <= 0)
        return 1;
    input->used += (size_t) n;
    input->text[input->used] = '\0';
    while (r == 0 && (end = strchr(input->text, '\n'))) {
        char line[sizeof(input->text)];

        *end = '\0';
        strcpy(line, input->text);
        input->used -= (size_t) (end + 1 - input->text);
        memmove(input->text, end + 1, input->used + 1);
        if (on_line)
            r = on_line(bus, line, userdata);
        fflush(stdout);
    }
    return r;
}

int serve_lines(sd_bus *bus, int (*on_line)(sd_bus *bus, char *line, void *userdata), void *userdata) {
    struct input input = {.used = 0};

    fflush(stdout);
    for (;;) {
        bool connected = bus && sd_bus_is_open(bus) > 0;
        struct pollfd polls[] = {{0, POLLIN, 0}, {connected ? sd_bus_get_fd(bus) : -1, POLLIN, 0}};
        int r = connected ? sd_bus_process(bus, NULL) : 0;

        if (r < 0)
            return fail(r, "bus");
        if (r > 0)
            continue;
        if (connected)
            sd_bus_flush(bus);
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            return fail(-errno, "poll");
        if (polls[0].revents && read_lines(&input, bus, on_line, userdata) != 0)
            return 0;
    }
}

int until_input_ends(sd_bus *bus) {
    return serve_lines(bus, NULL, NULL);
}

static void print_basic(sd_bus_message *m, char type) {
    union {
        uint8_t y;
        int32_t i;
        uint32_t u;
        uint64_t t;
        int b;
        const char *s;
    } value = {0};

    sd_bus_message_read_basic(m, type, &value);
    switch (type) {
    case 's':
    case 'o':
        printf("%s", value.s);
        break;
    case 'b':
        printf("%s", value.b ? "true" : "false");
        break;
    case 'u':
        printf("%u", value.u);
        break;
    case 't':
        printf("%llu", (unsigned long long) value.t);
        break;
    default:
        printf("?");
    }
}

void print_all(sd_bus_message *m) {
    const char *contents;
    char type;

    while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
        if (type == 'a' || type == 'v' || type == 'e' || type == 'r') {
            sd_bus_message_enter_container(m, type, contents);
            print_all(m);
            sd_bus_message_exit_container(m);
            continue;
        }
        printf(" ");
        print_basic(m, type);
    }
}

static int append_descriptor(sd_bus_message *m, int fd) {
    int r = fd < 0 ? -errno : sd_bus_message_append(m, "v", "h", fd);

    if (fd >= 0)
        close(fd);
    return r;
}

static int append_pipe(sd_bus_message *m) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    close(ends[1]);
    return append_descriptor(m, ends[0]);
}

static int append_rubbish(sd_bus_message *m, int count) {
    int r = sd_bus_message_open_container(m, 'v', "ah");

    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "h");
    for (int i = 0; r >= 0 && i < count; i++)
        r = sd_bus_message_append(m, "h", 2);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, char type, const char *value) {
    switch (type) {
    case 'b':
        return sd_bus_message_append(m, "v", "b", strcmp(value, "true") == 0);
    case 'u':
        return sd_bus_message_append(m, "v", "u", (uint32_t) strtoul(value, NULL, 0));
    case 'i':
        return sd_bus_message_append(m, "v", "i", (int32_t) strtol(value, NULL, 0));
    case 't':
        return sd_bus_message_append(m, "v", "t", (uint64_t) strtoull(value, NULL, 0));
    case 'h':
        return append_descriptor(m, (int) syscall(SYS_pidfd_open, atoi(value), 0));
    case 'k':
        return sd_bus_message_append(m, "v", "h", (int) syscall(SYS_pidfd_open, atoi(value), 0));
    case 'f':
        return append_descriptor(m, open(value, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    case 'p':
        return append_pipe(m);
    case 'r':
        return append_rubbish(m, atoi(value));
    default:
        return sd_bus_message_append(m, "v", "s", value);
    }
}

static int append_option(sd_bus_message *m, const char *option) {
    const char *value = strchr(option, '=');
    char key[64], type;
    int r;

    if (!value || (size_t) (value - option) >= sizeof(key))
        return -EINVAL;
    snprintf(key, sizeof(key), "%.*s", (int) (value - option), option);
    value++;
    type = strcmp(key, "ttl") == 0 ? 't' : 's';
    if (*value && value[1] == ':' && strchr("sbuithkfpr", *value)) {
        type = *value;
        value += 2;
    }
    r = sd_bus_message_open_container(m, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", key);
    if (r >= 0)
        r = append_value(m, type, value);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int append_options(sd_bus_message *m, int argc, char **argv) {
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    for (int i = 0; r >= 0 && i < argc; i++)
        r = append_option(m, argv[i]);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int new_call(sd_bus *bus, const char *member, int count, char **targets, sd_bus_message **ret) {
    int r = sd_bus_message_new_method_call(bus, ret, NAME, PATH, MANAGER, member);

    if (r < 0 || !targets)
        return r;
    r = sd_bus_message_open_container(*ret, 'a', "s");
    for (int i = 0; r >= 0 && i < count; i++)
        r = sd_bus_message_append(*ret, "s", targets[i]);
    return r < 0 ? r : sd_bus_message_close_container(*ret);
}
