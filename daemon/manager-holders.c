/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who keeps a switch of drivers from going on: looked for once it takes long. */
#include "manager-switch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <syslog.h>

#include "kernel/openers.h"
#include "kernel/usage.h"
#include "util/fd.h"
#include "util/string.h"

/* A step that takes longer is taken to hang; usual ones take a fraction of a second. */
#define PATIENCE_SECONDS 2.
/* Between what is used and who has VFIO's nodes open, in the worker's answer. */
#define SEPARATOR "openers\n"

struct holders {
    struct transaction *transaction;
    ev_timer patience;
    struct worker *worker;
    dev_t *nodes; /* of VFIO, as long as they had names */
    size_t n_nodes;
    char **texts; /* NULL-terminated; NULL before the look */
};

/* ---- in the worker */

static size_t list_hanging(const struct transaction *transaction, const char **ret) {
    size_t n = 0;

    for (size_t i = 0; i < transaction->n_runs; i++)
        if (transaction->runs[i].worker)
            ret[n++] = transaction->runs[i].path;
    return n;
}

static int look(int output, void *userdata) {
    const struct holders *holders = userdata;
    const struct transaction *transaction = holders->transaction;
    _cleanup_(freep) const char **paths = calloc(transaction->n_runs, sizeof(*paths));
    _cleanup_(fd_closep) int sysfs =
        fd_open_directory(AT_FDCWD, transaction->manager->options.sysfs_directory);

    if (!paths || sysfs < 0)
        return paths ? sysfs : -ENOMEM;
    int r = usage_write(output, sysfs, paths, list_hanging(transaction, paths));
    if (r >= 0)
        r = fd_write_all(output, SEPARATOR, strlen(SEPARATOR));
    return r < 0 ? r : openers_write(output, holders->nodes, holders->n_nodes);
}

/* ---- in the daemon */

static int take_uses(struct holders *holders, char *text) {
    struct usage_line usage;
    char *line;
    int r = 0;

    while (r >= 0 && (line = strsep(&text, "\n")))
        if (*line && usage_parse(line, &usage) > 0 && usage.reason == REASON_OPEN_NODE)
            r = strings_append(&holders->texts, usage.text);
    return r;
}

static void take_openers(struct holders *holders, const char *text) {
    _cleanup_(strings_freep) char **openers = NULL;
    bool certain = false;

    if (openers_read(text, &openers, &certain) < 0)
        return;
    for (char **opener = certain ? openers : NULL; opener && *opener; opener++)
        (void)strings_append(&holders->texts, *opener);
}

static void report(const struct holders *holders) {
    _cleanup_(freep) char *step =
        manager_describe_switch(holders->transaction->manager, holders->transaction->id);
    _cleanup_(freep) char *names = strings_join(holders->texts, ", ");

    log_message(LOG_WARNING, "%s takes long: %s%s.", step ?: "A switch of drivers",
                names && *names ? "held by " : "who holds the device can not be seen",
                names ?: "");
}

static void on_look(int result, const char *output, size_t size, void *userdata) {
    struct holders *holders = userdata;
    _cleanup_(freep) char *copy = strdup(output);
    char *separator = copy ? strstr(copy, SEPARATOR) : NULL;

    holders->worker = NULL;
    if (result < 0 || !separator)
        return;
    *separator = 0;
    (void)take_uses(holders, copy);
    take_openers(holders, separator + strlen(SEPARATOR));
    report(holders);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int events) {
    struct holders *holders = timer->data;

    (void)worker_start(loop, look, on_look, holders, &holders->worker);
}

static void add_node(struct holders *holders, const struct node_name *name) {
    dev_t number;

    if (node_device(holders->transaction->manager->sysfs, name, &number) < 0)
        return;
    dev_t *grown = reallocarray(holders->nodes, holders->n_nodes + 1, sizeof(*grown));
    if (!grown)
        return;
    holders->nodes = grown;
    grown[holders->n_nodes++] = number;
}

static void collect_nodes(struct holders *holders) {
    const struct detachment *detachment = holders->transaction->detachment;
    const struct model *model = &holders->transaction->manager->model;

    for (size_t i = 0; i < detachment->n_members; i++) {
        const struct device *device = model_device(model, detachment->members[i].path);
        struct node_name group = node_of_group(detachment->members[i].group);
        add_node(holders, &group);
        if (!device || !device->vfio_device)
            continue;
        struct node_name cdev = node_of_cdev(device->path, device->vfio_device);
        add_node(holders, &cdev);
    }
}

void holders_new(struct transaction *transaction) {
    struct holders *holders = calloc(1, sizeof(*holders));

    if (!holders)
        return;
    holders->transaction = transaction;
    transaction->holders = holders;
    collect_nodes(holders);
    ev_timer_init(&holders->patience, on_patience, PATIENCE_SECONDS, 0.);
    holders->patience.data = holders;
    ev_timer_start(transaction->manager->loop, &holders->patience);
}

struct holders *holders_free(struct holders *holders) {
    if (!holders)
        return NULL;
    ev_timer_stop(holders->transaction->manager->loop, &holders->patience);
    worker_free(holders->worker);
    free(holders->nodes);
    strings_free(holders->texts);
    free(holders);
    return NULL;
}

char *holders_describe(const struct holders *holders) {
    return holders && holders->texts ? strings_join(holders->texts, ", ") : NULL;
}

/* ---- of groups that cannot be switched, since somebody has them open */

struct manager_openers {
    struct worker *worker;
    dev_t *nodes;
    size_t n_nodes;
    manager_openers_found *done;
    void *userdata;
};

static int look_for_openers(int output, void *userdata) {
    const struct manager_openers *openers = userdata;

    return openers_write(output, openers->nodes, openers->n_nodes);
}

static void on_openers(int result, const char *output, size_t size, void *userdata) {
    struct manager_openers *openers = userdata;
    manager_openers_found *done = openers->done;
    void *data = openers->userdata;
    _cleanup_(strings_freep) char **texts = NULL;
    bool certain = false;

    openers->worker = NULL;
    if (result >= 0)
        (void)openers_read(output, &texts, &certain);
    _cleanup_(freep) char *names = texts ? strings_join(texts, ", ") : NULL;
    manager_openers_free(openers);
    done(names ?: "", data);
}

struct manager_openers *manager_openers_free(struct manager_openers *openers) {
    if (!openers)
        return NULL;
    worker_free(openers->worker);
    free(openers->nodes);
    free(openers);
    return NULL;
}
DEFINE_CLEANUP(struct manager_openers *, manager_openers_free)

int manager_find_openers(struct manager *manager, const struct claim *claim,
                         manager_openers_found *done, void *userdata,
                         struct manager_openers **ret) {
    _cleanup_(manager_openers_freep) struct manager_openers *openers = calloc(1, sizeof(*openers));

    if (!openers)
        return -ENOMEM;
    openers->done = done;
    openers->userdata = userdata;
    openers->nodes = calloc(claim->n_groups ?: 1, sizeof(*openers->nodes));
    if (!openers->nodes)
        return -ENOMEM;
    for (size_t i = 0; i < claim->n_groups; i++) {
        struct node_name name = node_of_group(claim->groups[i]->id);
        if (node_device(manager->sysfs, &name, &openers->nodes[openers->n_nodes]) >= 0)
            openers->n_nodes++;
    }
    int r = worker_start(manager->loop, look_for_openers, on_openers, openers, &openers->worker);
    if (r >= 0)
        *ret = TAKE_POINTER(openers);
    return r;
}
