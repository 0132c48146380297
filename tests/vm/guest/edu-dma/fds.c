/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "fds.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

bool report(bool good, const char *what) {
    if (good)
        printf("ok: %s\n", what);
    else
        printf("failed: %s: %s\n", what, strerrorname_np(errno));
    return good;
}

bool report_data(bool good, const char *what) {
    printf("%s: %s\n", good ? "ok" : "failed", what);
    return good;
}

/* Both spellings of a name: group:7 of the bus, group-7 of LISTEN_FDNAMES. */
static bool is_device(const char *name, const char *device) {
    if (strncmp(name, "device", 6) != 0)
        return false;
    name += 7;
    for (; *name && *device; name++, device++)
        if (*name != *device && !(*name == '_' && *device == ':'))
            return false;
    return *name == *device;
}

static void take_fd(struct fds *fds, const char *device, const char *name, int fd) {
    printf("given: %s\n", name);
    if (!strncmp(name, "group", 5) && fds->group < 0)
        fds->group = fd;
    else if (!strcmp(name, "container"))
        fds->container = fd;
    else if (!strcmp(name, "iommufd"))
        fds->iommufd = fd;
    else if (!strcmp(name, "lease"))
        fds->lease = fd;
    else if (is_device(name, device))
        fds->device = fd;
}

bool fds_from_environment(struct fds *fds, const char *device) {
    const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
    char *names = getenv("LISTEN_FDNAMES");

    errno = ENOENT;
    if (!count || !names || (pid && atoi(pid) != getpid()))
        return report(false, "LISTEN_FDS for this process");
    for (int i = 0; i < atoi(count); i++)
        take_fd(fds, device, strsep(&names, ":") ?: "unknown", 3 + i);
    return true;
}

static int append_option(sd_bus_message *call, char *option) {
    char *value = strchr(option, '=');

    if (!value || value == option)
        return -EINVAL;
    char kind = value[-1];
    value[kind == ':' || kind == '?' ? -1 : 0] = 0;
    value++;
    if (kind == ':')
        return sd_bus_message_append(call, "{sv}", option, "t", strtoull(value, NULL, 10));
    if (kind == '?')
        return sd_bus_message_append(call, "{sv}", option, "b", atoi(value));
    return sd_bus_message_append(call, "{sv}", option, "s", value);
}

static int append_options(sd_bus_message *call, char **options) {
    int r = sd_bus_message_open_container(call, 'a', "{sv}");
    if (r >= 0)
        r = sd_bus_message_append(call, "{sv}", "mode", "s", "fd");
    for (; r >= 0 && *options; options++)
        r = append_option(call, *options);
    return r < 0 ? r : sd_bus_message_close_container(call);
}

static int take_reply(struct fds *fds, const char *device, sd_bus_message *reply) {
    const char *lease, *name;
    int fd;

    int r = sd_bus_message_read(reply, "o", &lease);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "{sh}");
    if (r < 0)
        return r;
    printf("lease: %s\n", lease);
    while ((r = sd_bus_message_read(reply, "{sh}", &name, &fd)) > 0)
        take_fd(fds, device, name, fcntl(fd, F_DUPFD_CLOEXEC, 3)); /* the message closes its own */
    return r;
}

bool fds_from_claim(struct fds *fds, const char *device, const char *target, char **options) {
    sd_bus *bus;
    sd_bus_message *call = NULL, *reply = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;

    int r = sd_bus_open_system(&bus);
    if (r >= 0)
        r = sd_bus_message_new_method_call(bus, &call, "org.dmaownd1", "/org/dmaownd1",
                                           "org.dmaownd1.Manager", "Claim");
    if (r >= 0)
        r = sd_bus_message_append(call, "as", 1, target);
    if (r >= 0)
        r = append_options(call, options);
    if (r >= 0)
        r = sd_bus_call(bus, call, 60 * 1000000ULL, &error, &reply);
    if (sd_bus_error_is_set(&error)) {
        printf("failed: claim: %s: %s\n", error.name, error.message);
        return false;
    }
    if (r >= 0)
        r = take_reply(fds, device, reply);
    sd_bus_message_unref(reply);
    errno = -r;
    return report(r >= 0, "claim over the bus");
}

bool fds_from_nodes(struct fds *fds, const char *group, const char *device) {
    if (group) {
        fds->group = open(group, O_RDWR | O_CLOEXEC);
        return report(fds->group >= 0, "open the group");
    }
    fds->device = open(device, O_RDWR | O_CLOEXEC);
    if (!report(fds->device >= 0, "open the device"))
        return false;
    fds->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    return report(fds->iommufd >= 0, "open iommu");
}

void fds_hand_on(const struct fds *fds, const char *device, char **command) {
    char device_key[64], names[160] = "", number[16];
    struct { const char *name; int fd; } all[] = {
        {"group-0", fds->group}, {"container", fds->container}, {"lease", fds->lease},
        {"iommufd", fds->iommufd}, {device_key, fds->device}};
    const unsigned length = sizeof(all) / sizeof(all[0]);
    int count = 0;

    /* Out of the way first: none is to be overwritten before it is copied. */
    for (unsigned i = 0; i < length; i++)
        all[i].fd = fcntl(all[i].fd, F_DUPFD_CLOEXEC, 64);
    snprintf(device_key, sizeof(device_key), "device-%s", device);
    for (char *c = device_key; *c; c++)
        *c = *c == ':' ? '_' : *c;
    for (unsigned i = 0; i < length; i++) {
        if (all[i].fd < 0)
            continue;
        dup2(all[i].fd, 3 + count);
        strcat(strcat(names, count++ ? ":" : ""), all[i].name);
    }
    snprintf(number, sizeof(number), "%d", count);
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    fflush(stdout);
    execvp(command[0], command);
    report(false, "execute");
}

static int hiding_place[2];

/* A message of one byte with room for one fd. */
struct parcel {
    char byte;
    union { char buffer[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control;
    struct iovec data;
    struct msghdr message;
};

static void prepare_parcel(struct parcel *parcel) {
    *parcel = (struct parcel){.data = {&parcel->byte, 1}};
    parcel->message.msg_iov = &parcel->data;
    parcel->message.msg_iovlen = 1;
    parcel->message.msg_control = &parcel->control;
    parcel->message.msg_controllen = sizeof(parcel->control);
    parcel->control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
}

bool fds_hide_device(struct fds *fds) {
    struct parcel parcel;

    prepare_parcel(&parcel);
    memcpy(CMSG_DATA(&parcel.control.header), &fds->device, sizeof(int));
    bool done = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, hiding_place) == 0 &&
                sendmsg(hiding_place[0], &parcel.message, 0) == 1;
    close(fds->device);
    return report(done, "hide the device");
}

bool fds_find_device(struct fds *fds) {
    struct parcel parcel;

    prepare_parcel(&parcel);
    bool done = recvmsg(hiding_place[1], &parcel.message, MSG_CMSG_CLOEXEC) == 1;
    memcpy(&fds->device, CMSG_DATA(&parcel.control.header), sizeof(int));
    return report(done, "find the device again");
}
