/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/listen-fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fd.h"
#include "util/string.h"

#define LISTEN_FDS_START 3

void listen_fds_done(struct listen_fds *fds) {
    for (size_t i = 0; i < fds->n_fds; i++) {
        free(fds->fds[i].name);
        fd_close(fds->fds[i].fd);
    }
    fds->n_fds = 0;
}

char *listen_fd_name(const char *key) {
    char *name = strdup(key), *colon = name ? strchr(name, ':') : NULL;

    if (colon)
        *colon = '-';
    while (colon && (colon = strchr(colon, ':')))
        *colon = '_';
    return name;
}

/* The smaller, the earlier. */
static size_t rank(const char *name) {
    static const char *const order[] = {"lease", "container", "iommufd", "group-", "device-"};
    size_t i = 0;

    while (i < ELEMENTS_OF(order) && !string_after(name, order[i]))
        i++;
    return i;
}

static int compare(const void *left, const void *right) {
    const struct listen_fd *a = left, *b = right;
    size_t rank_a = rank(a->name), rank_b = rank(b->name);

    if (rank_a != rank_b)
        return rank_a < rank_b ? -1 : 1;
    return strverscmp(a->name, b->name);
}

static int read_entry(sd_bus_message *reply, struct listen_fds *fds) {
    const char *key;
    int fd, r = sd_bus_message_read(reply, "sh", &key, &fd);

    if (r < 0)
        return r;
    if (fds->n_fds == LISTEN_FDS_MAX)
        return -E2BIG;
    if (!*key || !text_is_printable(key))
        return -EBADMSG;
    /* Behind all places that fds will be moved to. */
    _cleanup_(fd_closep) int copy = fcntl(fd, F_DUPFD_CLOEXEC, LISTEN_FDS_START + LISTEN_FDS_MAX);
    if (copy < 0)
        return -errno;
    char *name = listen_fd_name(key);
    if (!name)
        return -ENOMEM;
    fds->fds[fds->n_fds++] = (struct listen_fd){.name = name, .fd = TAKE_FD(copy)};
    return sd_bus_message_exit_container(reply);
}

int listen_fds_read(sd_bus_message *reply, struct listen_fds *ret) {
    int r = sd_bus_message_enter_container(reply, 'a', "{sh}");

    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sh")) > 0)
        r = read_entry(reply, ret);
    if (r < 0)
        return r;
    qsort(ret->fds, ret->n_fds, sizeof(ret->fds[0]), compare);
    return sd_bus_message_exit_container(reply);
}

static char *names_join(const struct listen_fds *fds) {
    char *names = strdup("");

    for (size_t i = 0; names && i < fds->n_fds; i++) {
        char *longer = string_format("%s%s%s", names, i ? ":" : "", fds->fds[i].name);
        free(names);
        names = longer;
    }
    return names;
}

int listen_fds_set_environment(const struct listen_fds *fds) {
    _cleanup_(freep) char *count = string_format("%zu", fds->n_fds);
    _cleanup_(freep) char *pid = string_format("%d", (int)getpid());
    _cleanup_(freep) char *names = names_join(fds);

    if (!count || !pid || !names || setenv("LISTEN_FDS", count, 1) < 0 ||
        setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDNAMES", names, 1) < 0)
        return -ENOMEM;
    /* It would speak of whoever started this process. */
    (void)unsetenv("LISTEN_PIDFDID");
    return 0;
}

int listen_fds_place(struct listen_fds *fds) {
    for (size_t i = 0; i < fds->n_fds; i++) {
        int place = LISTEN_FDS_START + (int)i;
        if (dup2(fds->fds[i].fd, place) < 0)
            return -errno;
        fds->fds[i].fd = place;
    }
    if (close_range(LISTEN_FDS_START + (unsigned)fds->n_fds, UINT_MAX, 0) < 0)
        return -errno;
    return 0;
}
