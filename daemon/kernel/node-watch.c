/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /dev/vfio comes with the first group that a VFIO driver binds and may go again. Only while it is
 * missing is its parent watched: /dev sees an event for every device that comes and goes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "kernel/node.h"
#include "util/fd.h"
#include "util/string.h"

#define NODE_MASK                                                                                  \
    (IN_OPEN | IN_CLOSE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF |           \
     IN_MOVE_SELF | IN_ONLYDIR)
#define CDEV_FOLDER "devices"
#define PARENT_MASK (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

/* Reads of one call of node_watch_receive, each of some hundred events. */
#define READS_MAX 64

struct skip {
    uint32_t id;
    bool open, close; /* yet to be skipped */
};

struct node_watch {
    int fd;
    int nodes;  /* watch descriptor of the nodes' folder, -1 without */
    int cdevs;  /* of the folder "devices" in it, -1 without */
    int parent; /* of its parent, -1 without */
    struct skip *skips;
    size_t n_skips;
};

struct node_watch *node_watch_free(struct node_watch *watch) {
    if (!watch)
        return NULL;
    fd_close(watch->fd);
    free(watch->skips);
    free(watch);
    return NULL;
}
DEFINE_CLEANUP(struct node_watch *, node_watch_free)

static int add_watch(int fd, const char *path, uint32_t mask) {
    int r = inotify_add_watch(fd, path, mask);

    return r < 0 ? -errno : r;
}

static int watch_parent(struct node_watch *watch) {
    char parent[PATH_MAX];

    snprintf(parent, sizeof(parent), "%s", node_folder());
    char *slash = strrchr(parent, '/');
    if (!slash)
        return -EINVAL;
    slash[slash == parent] = 0;
    int r = add_watch(watch->fd, parent, PARENT_MASK);
    if (r < 0)
        return r;
    watch->parent = r;
    return 0;
}

static const char *cdev_folder(char path[static PATH_MAX]) {
    snprintf(path, PATH_MAX, "%s/" CDEV_FOLDER, node_folder());
    return path;
}

/* There is none on a kernel without cdevs, and none before the first. */
static void arm_cdevs(struct node_watch *watch) {
    char path[PATH_MAX];

    watch->cdevs = add_watch(watch->fd, cdev_folder(path), NODE_MASK);
}

/* Watches the folder, or its parent until there is one. */
static int arm(struct node_watch *watch) {
    int r = add_watch(watch->fd, node_folder(), NODE_MASK);

    if (r == -ENOENT || r == -ENOTDIR) {
        if (watch->parent < 0)
            r = watch_parent(watch);
        if (watch->parent < 0)
            return r;
        /* It may have come before its parent was watched. */
        r = add_watch(watch->fd, node_folder(), NODE_MASK);
        if (r == -ENOENT || r == -ENOTDIR)
            return 0;
    }
    if (r < 0)
        return r;
    watch->nodes = r;
    arm_cdevs(watch);
    if (watch->parent >= 0)
        (void)inotify_rm_watch(watch->fd, watch->parent);
    watch->parent = -1;
    return 0;
}

int node_watch_new(struct node_watch **ret) {
    _cleanup_(node_watch_freep) struct node_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->nodes = watch->cdevs = watch->parent = -1;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        return -errno;
    int r = arm(watch);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(watch);
    return 0;
}

int node_watch_fd(const struct node_watch *watch) {
    return watch->fd;
}

int node_watch_skip(struct node_watch *watch, uint32_t id) {
    struct skip *grown = reallocarray(watch->skips, watch->n_skips + 1, sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    watch->skips = grown;
    grown[watch->n_skips++] = (struct skip){.id = id, .open = true, .close = true};
    return 0;
}

/* True if the event is one that was to be skipped; it is then done with. */
static bool take_skip(struct node_watch *watch, uint32_t id, enum node_event event) {
    for (size_t i = 0; i < watch->n_skips; i++) {
        struct skip *skip = &watch->skips[i];
        bool *due = event == NODE_EVENT_OPENED ? &skip->open : &skip->close;
        if (skip->id != id || !*due)
            continue;
        *due = false;
        if (!skip->open && !skip->close)
            *skip = watch->skips[--watch->n_skips];
        return true;
    }
    return false;
}

static enum node_event kind_of(const struct inotify_event *event) {
    if (event->mask & IN_OPEN)
        return NODE_EVENT_OPENED;
    return event->mask & IN_CLOSE ? NODE_EVENT_CLOSED : NODE_EVENT_CHANGED;
}

/* The folder is there, and its first nodes may have been made before it was watched. */
static void find_cdevs(struct node_watch *watch, node_event_handler *handler, void *userdata) {
    _cleanup_(closedirp) DIR *folder = NULL;
    struct dirent *entry;
    char path[PATH_MAX];

    arm_cdevs(watch);
    if (directory_open(AT_FDCWD, cdev_folder(path), &folder) < 0)
        return;
    while ((entry = directory_next(folder)))
        handler(NODE_EVENT_CHANGED, 0, entry->d_name, userdata);
}

static void dispatch_node(struct node_watch *watch, const struct inotify_event *event,
                          node_event_handler *handler, void *userdata) {
    enum node_event kind = kind_of(event);
    uint32_t id;

    if (event->len == 0)
        return;
    if (string_equal(event->name, CDEV_FOLDER) && event->mask & (IN_CREATE | IN_MOVED_TO))
        find_cdevs(watch, handler, userdata);
    if (parse_u32(event->name, &id) < 0)
        return;
    if (kind != NODE_EVENT_CHANGED && take_skip(watch, id, kind))
        return;
    handler(kind, id, NULL, userdata);
}

static void dispatch_cdev(struct node_watch *watch, const struct inotify_event *event,
                          node_event_handler *handler, void *userdata) {
    if (event->mask & IN_MOVE_SELF)
        (void)inotify_rm_watch(watch->fd, watch->cdevs);
    if (event->mask & (IN_IGNORED | IN_MOVE_SELF))
        watch->cdevs = -1;
    else if (event->len > 0)
        handler(kind_of(event), 0, event->name, userdata);
}

/* Among the events that were lost may have been those of the folders themselves. */
static int lose(struct node_watch *watch, node_event_handler *handler, void *userdata) {
    watch->nodes = watch->cdevs = -1;
    int r = arm(watch);

    watch->n_skips = 0;
    handler(NODE_EVENT_LOST, 0, NULL, userdata);
    return r;
}

static int dispatch(struct node_watch *watch, const struct inotify_event *event,
                    node_event_handler *handler, void *userdata) {
    if (event->mask & IN_Q_OVERFLOW)
        return lose(watch, handler, userdata);
    if (event->wd == watch->parent) {
        bool gone = event->mask & IN_IGNORED;
        if (gone)
            watch->parent = -1;
        if (!gone && (event->len == 0 || !string_equal(event->name, path_basename(node_folder()))))
            return 0;
        return lose(watch, handler, userdata);
    }
    if (event->wd == watch->cdevs)
        dispatch_cdev(watch, event, handler, userdata);
    if (event->wd != watch->nodes)
        return 0;
    if (event->mask & IN_MOVE_SELF)
        (void)inotify_rm_watch(watch->fd, watch->nodes);
    if (event->mask & (IN_IGNORED | IN_MOVE_SELF)) {
        watch->nodes = -1;
        return lose(watch, handler, userdata);
    }
    dispatch_node(watch, event, handler, userdata);
    return 0;
}

int node_watch_receive(struct node_watch *watch, node_event_handler *handler, void *userdata) {
    _Alignas(struct inotify_event) char buffer[8192];

    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t length = read(watch->fd, buffer, sizeof(buffer));
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EAGAIN) {
            /* What the daemon's own opens left in the queue was in it when they were done. */
            watch->n_skips = 0;
            return 0;
        }
        if (length < 0)
            return -errno;
        for (char *at = buffer; at < buffer + length;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            int r = dispatch(watch, event, handler, userdata);
            if (r < 0)
                return r;
            at += sizeof(*event) + event->len;
        }
    }
    return 0;
}
