/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/fd-store.h"

#include <errno.h>
#include <stdio.h>

#include <systemd/sd-daemon.h>

#include "util/cleanup.h"
#include "util/string.h"

const char *fd_store_lease_name(uint64_t lease, char buffer[static FD_STORE_NAME_MAX]) {
    snprintf(buffer, FD_STORE_NAME_MAX, "lease-%llu", (unsigned long long)lease);
    return buffer;
}

uint64_t fd_store_lease_of(const char *name) {
    const char *number = string_after(name, "lease-");
    uint64_t lease;

    return number && parse_u64(number, &lease) >= 0 ? lease : 0;
}

/* FDPOLL=0: an fd whose other end is closed is still wanted, as the news that it is. */
int fd_store_put(const char *name, int fd) {
    _cleanup_(freep) char *text = string_format("FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    int r = text ? sd_pid_notify_with_fds(0, false, text, &fd, 1) : -ENOMEM;

    return r < 0 ? r : 0;
}

void fd_store_remove(const char *name) {
    (void)sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

int fd_store_take(fd_store_handler *handler, void *userdata) {
    _cleanup_(strings_freep) char **names = NULL;
    int n = sd_listen_fds_with_names(true, &names);

    for (int i = 0; i < n; i++)
        handler(names ? names[i] : "", SD_LISTEN_FDS_START + i, userdata);
    return n < 0 ? n : 0;
}
