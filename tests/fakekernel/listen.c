/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"
#include "model.h"
#include "writes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void release_faults(struct entry *entry) {
    struct entry *child, *next;
    struct device *device;

    entry->fault = FAULT_NONE;
    HASH_ITER(hh, entry->children, child, next)
        release_faults(child);
    device = entry->kind == ENTRY_DIRECTORY ? device_find(entry->name) : NULL;
    if (device)
        device->hang_unbind = false;
}

void control_release_all(void) {
    pthread_mutex_lock(&tree_lock);
    kernel_ends = true;
    release_faults(tree_root());
    writes_release();
    pthread_cond_broadcast(&tree_changed);
    pthread_mutex_unlock(&tree_lock);
}

/* A request is its words, each with a NUL behind it, until the sender shuts its side. */
static void *answer_one(void *argument) {
    int fd = (int) (intptr_t) argument, count = 0, r;
    char request[16384], *words[64], *text = NULL, *at = request;
    size_t used = 0, size = 0;
    FILE *answer = open_memstream(&text, &size);
    ssize_t n;

    while (used < sizeof(request) && (n = read(fd, request + used, sizeof(request) - used)) > 0)
        used += (size_t) n;
    while (at < request + used && count < 63) {
        words[count++] = at;
        at += strnlen(at, (size_t) (request + used - at)) + 1;
    }
    words[count] = NULL;
    r = used == sizeof(request) ? -E2BIG : control_execute(count, words, answer);
    fclose(answer);
    dprintf(fd, "%d\n%s", -r, text);
    free(text);
    close(fd);
    return NULL;
}

void control_serve(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;

        if (fd < 0)
            return;
        /* A thread each: a remove or unbind may hang as long as a test wants. */
        if (pthread_create(&thread, NULL, answer_one, (void *) (intptr_t) fd) == 0)
            pthread_detach(thread);
    }
}

int control_listen(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 64) < 0) {
        close(fd);
        return -errno;
    }
    chmod(path, 0600);
    return fd;
}
