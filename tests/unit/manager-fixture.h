/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A manager on a loop of the test's, over a tree that stands for sysfs, with a state folder and a
 * network namespace of its own. Group N has one device on vfio-pci, no node, and lease N. */

#include "manager.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

static struct tree tree;
static struct ev_loop *loop;
static struct manager *manager;
static int notify = -1; /* where the service manager would listen */
static char state_folder[128], nodes_folder[128];

/* What the listener was told, as "ended 5 released; revoking 5 10; ". */
static char heard[1024];
static char switched_text[1024]; /* of the last switch that ended */
static int load_error;           /* what asking for a module answers */

/* ---- The listener */

_printf_(1, 2) static inline void hear(const char *format, ...) {
    size_t used = strlen(heard);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(heard + used, sizeof(heard) - used, format, arguments);
    va_end(arguments);
}

static inline void on_publish(void *userdata) {
}

static inline void on_added(struct lease *lease, void *userdata) {
    hear("added %d; ", (int)lease->id);
}

static inline void on_changed(struct lease *lease, void *userdata) {
    hear("changed %d; ", (int)lease->id);
}

static inline void on_revoking(const struct lease *lease, uint64_t seconds, void *userdata) {
    hear("revoking %d %d; ", (int)lease->id, (int)seconds);
}

static inline void on_ended(struct lease *lease, void *userdata) {
    hear("ended %d %s; ", (int)lease->id, lease_end_to_string(lease->end));
}

static inline void on_conflict(const struct group *group, const char *device, const char *driver,
                               const char *text, void *userdata) {
    hear("conflict %u; ", group->id);
}

static inline void on_policy(bool ok, const char *text, void *userdata) {
}

static inline void on_switched(uint64_t id, enum outcome outcome, const char *text, void *userdata) {
    hear("switched %d %s; ", (int)id,
         outcome == OUTCOME_OK ? "well" : strrchr(outcome_error_name(outcome), '.') + 1);
    snprintf(switched_text, sizeof(switched_text), "%s", text);
}

static inline int on_load_module(const char *module, uint64_t id, void *userdata) {
    hear("load %s; ", module);
    return load_error;
}

static const struct manager_listener listener = {
    .publish = on_publish,
    .lease_added = on_added,
    .lease_changed = on_changed,
    .lease_revoking = on_revoking,
    .lease_ended = on_ended,
    .conflict = on_conflict,
    .switched = on_switched,
    .load_module = on_load_module,
    .policy_reloaded = on_policy,
};

/* ---- The tree */

static inline const char *device_path(uint32_t id) {
    static char path[64];

    snprintf(path, sizeof(path), "devices/pci0000:00/0000:00:%02x.0", id);
    return path;
}

static inline const char *below_device(uint32_t id, const char *name) {
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", device_path(id), name);
    return path;
}

static inline void make_group(uint32_t id) {
    char path[128], target[128];

    tree_file(&tree, below_device(id, "modalias"), "pci:v00008086d000010D3sv0sd0bc02sc00i00\n");
    tree_link(&tree, below_device(id, "subsystem"), "../../../bus/pci");
    tree_link(&tree, below_device(id, "driver"), "../../../bus/pci/drivers/vfio-pci");
    snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%u", id);
    tree_link(&tree, below_device(id, "iommu_group"), target);
    snprintf(path, sizeof(path), "kernel/iommu_groups/%u/devices/0000:00:%02x.0", id, id);
    snprintf(target, sizeof(target), "../../../../%s", device_path(id));
    tree_link(&tree, path, target);
}

/* ---- Leases */

static inline struct lease *make_lease(uint64_t id, unsigned lifetime) {
    struct lease *lease = lease_new(1);

    ck_assert_ptr_nonnull(lease);
    lease->id = id;
    lease->claimant = lease->holder = 1000;
    lease->mode = POLICY_MODE_FD;
    lease->lifetime = lifetime;
    lease->rule = strdup("nics");
    lease->groups[0].id = (uint32_t)id;
    ck_assert_int_eq(strings_append(&lease->groups[0].devices, device_path((uint32_t)id)), 0);
    return lease;
}

/* As a claim leaves it. */
static inline struct lease *add_lease(uint64_t id, unsigned lifetime) {
    struct lease *lease = make_lease(id, lifetime);
    struct group *group = model_group(&manager->model, (uint32_t)id);

    ck_assert_ptr_nonnull(group);
    ck_assert_int_eq(state_save(manager->state, lease), 0);
    ck_assert_int_eq(lease_book_add(&manager->leases, lease), 0);
    model_set_lease(&manager->model, group, lease);
    return lease;
}

/* In a file of its own, as a daemon before left it. */
static inline void save_lease(struct lease *lease) {
    _cleanup_(state_closep) struct state *state = NULL;
    char boot_id[37];

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    ck_assert_int_eq(state_open(state_folder, boot_id, &state), 0);
    ck_assert_int_eq(state_save(state, lease), 0);
    lease_free(lease);
}

/* ---- The service manager */

/* All that it was told: the names of fds, "+" before one that is put in and "-" before one that is
 * taken out. Fds are closed. */
static inline const char *told(void) {
    static char text[1024];
    char message[256], control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {.iov_base = message, .iov_len = sizeof(message) - 1};
    ssize_t length;

    text[0] = 0;
    for (;;) {
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof(control)};
        length = recvmsg(notify, &header, MSG_DONTWAIT);
        if (length < 0)
            return text;
        message[length] = 0;
        if (CMSG_FIRSTHDR(&header))
            close(*(int *)CMSG_DATA(CMSG_FIRSTHDR(&header)));
        const char *name = strstr(message, "FDNAME=");
        size_t used = strlen(text);
        if (name)
            snprintf(text + used, sizeof(text) - used, "%c%.*s ",
                     strstr(message, "FDSTORE=1") ? '+' : '-',
                     (int)strcspn(name + 7, "\n"), name + 7);
    }
}

static inline void listen_for_notifications(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", tree.path);
    notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(notify, 0);
    ck_assert_int_eq(bind(notify, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
}

/* ---- Construction */

/* The kernel's model is known, so that no worker is started to find it out. */
static inline void write_kernel_model(void) {
    _cleanup_(state_closep) struct state *state = NULL;
    char boot_id[37];

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    ck_assert_int_eq(state_open(state_folder, boot_id, &state), 0);
    ck_assert_int_eq(state_write_cache(state, "kernel-model", "claim"), 0);
}

static inline void set_up_outside(void) {
    ck_assert_int_eq(unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET), 0);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* the log */
    tree_begin(&tree);
    snprintf(state_folder, sizeof(state_folder), "%s/state", tree.path);
    snprintf(nodes_folder, sizeof(nodes_folder), "%s/dev/vfio", tree.path);
    tree_folder(&tree, "dev/vfio");
    tree_folder(&tree, "kernel/iommu_groups");
    tree_file(&tree, "bus/pci/drivers/vfio-pci/unbind", "");
    tree_file(&tree, "bus/pci/drivers/vfio-pci/bind", "");
    node_use_folders(nodes_folder, "/nonexistent");
    write_kernel_model();
}

static inline int start_manager(void) {
    struct manager_options options = {.config_directory = tree.path,
                                      .sysfs_directory = tree.path,
                                      .state_directory = state_folder};

    loop = ev_loop_new(EVFLAG_NOENV | EVFLAG_AUTO);
    int r = loop ? manager_new(loop, &options, &manager) : -1;
    if (r < 0)
        return r;
    manager->listener = &listener;
    return 0;
}

static inline void stop_manager(void) {
    manager = manager_free(manager);
    ev_loop_destroy(loop);
}

static inline void tear_down_outside(void) {
    notify = fd_close(notify);
    tree_end(&tree);
}

/* Lets the loop run until the listener was told this. The test's limit is the one that there is. */
static inline void run_until_heard(const char *text) {
    while (!strstr(heard, text))
        ev_run(loop, EVRUN_ONCE);
}
