/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kept.h"

#include <unistd.h>

#include "host.h"

static int group_files[N_GROUPS]; /* of mode fd, 0: none */
static struct kept {
    int containers[4], keepers[4]; /* a retried claim gives others; 0: none */
    pid_t process;
} kept[ENDED_MAX];

static void close_file(int *fd) {
    if (*fd > 0)
        close(*fd);
    *fd = 0;
}

static void keep_file(int files[4], int fd) {
    unsigned i = 0;

    while (i < 3 && files[i])
        i++;
    close_file(&files[i]);
    files[i] = fd > 0 ? fd : 0;
}

void kept_take(unsigned id, const struct granted *granted) {
    for (int i = 0; i < N_GROUPS; i++)
        if (granted->groups[i] >= 0) {
            close_file(&group_files[i]);
            group_files[i] = granted->groups[i];
        }
    keep_file(kept[id].containers, granted->container);
    keep_file(kept[id].keepers, granted->keeper);
}

static void drop(struct kept *which) {
    for (unsigned i = 0; i < 4; i++)
        close_file(&which->keepers[i]);
    host_let_go(which->process);
    which->process = 0;
}

void kept_forget(const struct naive *naive) {
    for (int i = 0; i < N_GROUPS; i++)
        if (naive->groups[i].opener < 0)
            close_file(&group_files[i]);
    for (unsigned id = 1; id <= naive->n_granted; id++) {
        if (!naive->ended[id])
            continue;
        drop(&kept[id]);
        for (unsigned i = 0; i < 4; i++)
            close_file(&kept[id].containers[i]);
    }
}

void kept_forget_all(void) {
    for (int i = 0; i < N_GROUPS; i++)
        close_file(&group_files[i]);
    for (unsigned id = 0; id < ENDED_MAX; id++) {
        drop(&kept[id]);
        for (unsigned i = 0; i < 4; i++)
            close_file(&kept[id].containers[i]);
    }
}

void kept_drop(unsigned id) {
    drop(&kept[id]);
}

void kept_take_process(unsigned id, pid_t pid) {
    kept[id].process = pid;
}

pid_t kept_process(unsigned id) {
    return kept[id].process;
}

void kept_close(int group) {
    close_file(&group_files[group]);
}
