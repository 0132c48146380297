/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fds of a claim, on their way to a command by the LISTEN_FDS convention: from 3 on, with their
 * names in LISTEN_FDNAMES. */

#include <stddef.h>

#include <systemd/sd-bus.h>

#define LISTEN_FDS_MAX 64

/* In the order in which they are passed: lease, container, iommufd, groups, devices. */
struct listen_fds {
    struct listen_fd {
        char *name;
        int fd;
    } fds[LISTEN_FDS_MAX];
    size_t n_fds;
};

void listen_fds_done(struct listen_fds *fds);

/* The name that a key of Claim's reply has in LISTEN_FDNAMES, where colons have a meaning:
 * "device:0000:00:05.0" is "device-0000_00_05.0". The caller's; NULL when out of memory. */
char *listen_fd_name(const char *key);

/* Takes copies out of a reply that stands at an a{sh}. 0, -EBADMSG, -E2BIG, -ENOMEM, or an errno of
 * a copy that could not be made. */
int listen_fds_read(sd_bus_message *reply, struct listen_fds *ret);

/* Sets LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES for this process. 0 or -ENOMEM. */
int listen_fds_set_environment(const struct listen_fds *fds);

/* Moves the fds to their places, where an exec leaves them open, and closes all others above 2. 0
 * or a negative errno. */
int listen_fds_place(struct listen_fds *fds);
