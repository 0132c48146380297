/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wire format is that of the D-Bus specification, "Message Protocol". */
#include "bus-message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/string.h"

#define DEPTH_MAX 8
#define HEADER_MAX 512
#define SIGNATURE_MAX 254

/* The next line of *at, which goes behind it; NULL at the end. The caller's. */
static char *take_line(const char **at) {
    size_t length = strcspn(*at, "\n");

    if (!**at)
        return NULL;
    char *line = strndup(*at, length);
    *at += length + ((*at)[length] == '\n');
    return line;
}

/* ---- Values of any type */

/* Length of the complete type at type; 0 if there is none. Whether it is a type says the library. */
static size_t type_length(const char *type) {
    unsigned depth = 0;
    size_t i = 0;

    while (type[i] == 'a')
        i++;
    for (; type[i]; i++) {
        depth += type[i] == '(' || type[i] == '{';
        if (type[i] == ')' || type[i] == '}')
            depth -= depth > 0;
        if (depth == 0)
            return i + 1;
    }
    return 0;
}

static int append_basic(sd_bus_message *message, char type, const char *text, const int *fds) {
    uint64_t number = strtoull(text, NULL, 0);
    double real = strtod(text, NULL);

    switch (type) {
    case 's':
    case 'o':
    case 'g':
        return sd_bus_message_append_basic(message, type, text);
    case 'd':
        return sd_bus_message_append_basic(message, type, &real);
    case 'x':
    case 't':
        return sd_bus_message_append_basic(message, type, &number);
    case 'h':
        return sd_bus_message_append_basic(message, type, &fds[number & 1]);
    case 'n':
    case 'q':
        return sd_bus_message_append_basic(message, type, &(uint16_t){(uint16_t)number});
    case 'y':
        return sd_bus_message_append_basic(message, type, &(uint8_t){(uint8_t)number});
    default:
        return sd_bus_message_append_basic(message, type, &(uint32_t){(uint32_t)number});
    }
}

static int append_values(sd_bus_message *message, const char *types, const char *text, const int *fds,
                         unsigned depth);

static int append_container(sd_bus_message *message, char type, const char *contents, unsigned times,
                            const char *text, const int *fds, unsigned depth) {
    int r = sd_bus_message_open_container(message, type, contents);

    for (unsigned i = 0; r >= 0 && i < times; i++)
        r = append_values(message, contents, text, fds, depth + 1);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

/* One complete type. */
static int append_value(sd_bus_message *message, const char *type, const char *text, const int *fds,
                        unsigned depth) {
    size_t length = strlen(type);
    _cleanup_(freep) char *contents = strdup(type + 1);

    if (!contents)
        return -ENOMEM;
    if (*type == 'a')
        return append_container(message, 'a', contents, strlen(text) % 3, text, fds, depth);
    if (*type == 'v')
        return append_container(message, 'v', "s", 1, text, fds, depth);
    if (*type != '(' && *type != '{')
        return append_basic(message, *type, text, fds);
    if (length < 3)
        return -EINVAL;
    contents[length - 2] = 0;
    return append_container(message, *type == '(' ? 'r' : 'e', contents, 1, text, fds, depth);
}

static int append_values(sd_bus_message *message, const char *types, const char *text, const int *fds,
                         unsigned depth) {
    int r = depth < DEPTH_MAX ? 0 : -EINVAL;

    while (r >= 0 && *types) {
        size_t length = type_length(types);
        _cleanup_(freep) char *type = strndup(types, length);
        if (!length || !type)
            return -EINVAL;
        r = append_value(message, type, text, fds, depth);
        types += length;
    }
    return r;
}

/* ---- Arguments */

int append_targets(sd_bus_message *message, const char *text) {
    int r = sd_bus_message_open_container(message, 'a', "s");

    while (r >= 0) {
        _cleanup_(freep) char *line = take_line(&text);
        if (!line)
            break;
        if (*line == 't')
            r = sd_bus_message_append(message, "s", line + 1);
    }
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_option(sd_bus_message *message, char *line, const int *fds) {
    char *type = strchr(line, '='), *value = type ? strchr(type, ':') : NULL;

    if (!value)
        return 0;
    *type++ = *value++ = 0;
    /* The library writes longer ones, and can not read them. */
    if (strlen(type) > SIGNATURE_MAX)
        return -EINVAL;
    int r = sd_bus_message_open_container(message, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append(message, "s", line + 1);
    if (r >= 0)
        r = append_container(message, 'v', type, 1, value, fds, 0);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

int append_options(sd_bus_message *message, const char *text, const int fds[static 2]) {
    int r = sd_bus_message_open_container(message, 'a', "{sv}");

    while (r >= 0) {
        _cleanup_(freep) char *line = take_line(&text);
        if (!line)
            break;
        if (*line == 'o')
            r = append_option(message, line, fds);
    }
    return r < 0 ? r : sd_bus_message_close_container(message);
}

/* ---- Bytes */

struct bytes {
    uint8_t data[HEADER_MAX];
    size_t size;
};

static void pad(struct bytes *bytes, size_t boundary) {
    while (bytes->size % boundary)
        bytes->data[bytes->size++] = 0;
}

static void put(struct bytes *bytes, const void *data, size_t size) {
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void put_number(struct bytes *bytes, uint32_t number) {
    pad(bytes, 4);
    put(bytes, &number, sizeof(number));
}

/* A field of the header: its number, its type as a signature, and a string. */
static void put_field(struct bytes *bytes, uint8_t number, char type, const char *text) {
    uint8_t head[] = {number, 1, (uint8_t)type, 0};

    pad(bytes, 8);
    put(bytes, head, sizeof(head));
    if (type == 'g')
        put(bytes, &(uint8_t){(uint8_t)strlen(text)}, 1);
    else
        put_number(bytes, (uint32_t)strlen(text));
    put(bytes, text, strlen(text) + 1);
}

int write_raw_call(int fd, const char *member, const char *signature, const void *body, size_t size) {
    const uint8_t begin[] = {__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B', 1, 0, 1};
    struct bytes header = {0};

    put(&header, begin, sizeof(begin));
    put_number(&header, (uint32_t)size);
    put_number(&header, 77);
    put_number(&header, 0); /* the length of the fields: below */
    put_field(&header, 1, 'o', "/a");
    put_field(&header, 2, 's', "a.b");
    put_field(&header, 3, 's', member);
    put_field(&header, 7, 's', ":1.7");
    put_field(&header, 8, 'g', signature);
    uint32_t length = (uint32_t)header.size - 16;
    memcpy(header.data + 12, &length, sizeof(length));
    pad(&header, 8);
    struct iovec parts[] = {{header.data, header.size}, {(void *)(uintptr_t)body, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent == (ssize_t)(header.size + size) ? 0 : -EIO;
}
