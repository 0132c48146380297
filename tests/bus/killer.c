/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * killer VARIANT ACTION FIRST STRIDE: lets the daemon do one thing again and again, kills it with SIGKILL
 * at the entry of one system call after another, has it started again, and checks what must hold. Prints
 * each complaint, and in the end "points N tried M complaints K". Runs as root beside the daemon, which
 * runs as the service dmaownd; its caller is alice.
 *
 * Variants: path (two groups, persistent), fd (two groups and a container, lifetime fd), process, cdev.
 * Actions: claim, release, close (its descriptors are closed), hand (another process is to have the lease),
 * keep (it is to be persistent). With the variant switch, two groups that
 * the kernel has, they are claim, detach and reattach: see killer-switch.c.
 */
#include "caller.h"
#include "killer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ALICE 1001
#define BOUND (10 * 1000) /* ms, of every wait: no verdict on speed */
#define QUIET 40          /* ms without a call of a daemon that waits: it is through */
#define MANY 5000

static const struct variant {
    const char *name;
    char *targets[3];
    int n_targets;
    char *options[6];
    int n_options;
} variants[] = {
    {"path", {"8", "9"}, 2, {"lifetime=persistent", "key=job", "comment=kill"}, 3},
    {"fd", {"8", "9"}, 2, {"mode=fd", "container=b:true", "lifetime=fd"}, 3},
    {"process", {"9"}, 1, {"lifetime=process", NULL}, 2},
    {"switch", {"8", "9"}, 2, {NULL}, 0},
    {"cdev", {"9"}, 1, {"interface=cdev", "lifetime=persistent"}, 2},
};

enum action {
    ACTION_CLAIM,
    ACTION_RELEASE,
    ACTION_CLOSE,
    ACTION_DETACH,
    ACTION_REATTACH,
    ACTION_HAND,
    ACTION_KEEP,
    N_ACTIONS,
};

static const char *const action_names[N_ACTIONS] = {"claim",    "release", "close", "detach",
                                                    "reattach", "hand",    "keep"};

/* Who is to have a lease that is handed over. */
static pid_t heir;

static sd_bus *admin;
sd_bus *alice;

struct asked asked;

/* What came of its claim. */
static struct {
    char lease[64];
    struct {
        char key[64];
        int fd;
    } fds[16];
    int n_fds;
} caller;

static void close_fds(bool lease_too) {
    for (int i = caller.n_fds - 1; i >= 0; i--)
        if (lease_too || strcmp(caller.fds[i].key, "lease") != 0) {
            close(caller.fds[i].fd);
            caller.fds[i] = caller.fds[--caller.n_fds];
        }
}

static void take_claim(sd_bus_message *reply) {
    const char *path = "", *key;
    int fd;

    sd_bus_message_read(reply, "o", &path);
    snprintf(caller.lease, sizeof(caller.lease), "%s", path);
    sd_bus_message_enter_container(reply, 'a', "{sh}");
    while (caller.n_fds < 16 && sd_bus_message_read(reply, "{sh}", &key, &fd) > 0) {
        snprintf(caller.fds[caller.n_fds].key, sizeof(caller.fds[0].key), "%s", key);
        caller.fds[caller.n_fds++].fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    asked.answered = true;
    asked.failed = sd_bus_message_is_method_error(m, NULL);
    if (asked.failed && !sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) &&
        !sd_bus_message_is_method_error(m, SD_BUS_ERROR_SERVICE_UNKNOWN))
        printf("an answer that should not be: %s\n", sd_bus_message_get_error(m)->message);
    if (!asked.failed && sd_bus_message_has_signature(m, "oa{sh}"))
        take_claim(m);
    return 0;
}

int send_targets(const char *member, int n_targets, char *const *targets, int n_options,
                 char *const *options) {
    sd_bus_message *m = NULL;
    int r = new_call(alice, member, n_targets, (char **) targets, &m);

    asked = (struct asked){.called = true};
    if (r >= 0)
        r = append_options(m, n_options, (char **) options);
    if (r >= 0)
        r = sd_bus_call_async(alice, NULL, m, on_answer, NULL, BOUND * 1000ULL);
    sd_bus_message_unref(m);
    return r < 0 ? r : sd_bus_flush(alice);
}

static int send_claim(const struct variant *variant) {
    return send_targets("Claim", variant->n_targets, variant->targets, variant->n_options,
                        variant->options);
}

static int send_release(void) {
    asked.called = true;
    asked.answered = false;
    int r = sd_bus_call_method_async(alice, NULL, NAME, PATH, MANAGER, "Release", on_answer, NULL, "o",
                                     caller.lease);
    return r < 0 ? r : sd_bus_flush(alice);
}

static int send_lifetime(enum action action) {
    char process[] = "lifetime=process", persistent[] = "lifetime=persistent", pid[32];
    char *options[] = {action == ACTION_HAND ? process : persistent, pid};
    sd_bus_message *m = NULL;
    int r = sd_bus_message_new_method_call(alice, &m, NAME, caller.lease, NAME ".Lease", "SetLifetime");

    asked = (struct asked){.called = true};
    snprintf(pid, sizeof(pid), "pid=u:%d", heir);
    if (r >= 0)
        r = append_options(m, action == ACTION_HAND ? 2 : 1, options);
    if (r >= 0)
        r = sd_bus_call_async(alice, NULL, m, on_answer, NULL, BOUND * 1000ULL);
    sd_bus_message_unref(m);
    return r < 0 ? r : sd_bus_flush(alice);
}

int follow(struct trace *trace) {
    for (;;) {
        struct pollfd polls[] = {{sd_bus_get_fd(alice), POLLIN, 0}, {trace_fd(), POLLIN, 0}};
        int r = sd_bus_process(alice, NULL);
        bool idle;

        if (trace)
            trace_serve(trace);
        if (r > 0)
            continue;
        if (r < 0)
            return r;
        if (asked.answered && (!trace || trace->dead))
            return 0;
        idle = asked.answered && trace && trace->waits && (asked.called || trace->calls);
        r = poll(polls, trace ? 2 : 1, idle ? QUIET : BOUND);
        if (r == 0)
            return idle ? 0 : -ETIMEDOUT;
    }
}

static bool claim_now(const struct variant *variant, const char *where) {
    int r;

    close_fds(true);
    *caller.lease = '\0';
    r = send_claim(variant);
    if (r >= 0)
        r = follow(NULL);
    return says(r >= 0 && *caller.lease, where, "group can not be claimed (anew)");
}

static const struct seen_lease *find(const struct seen *seen, const char *path) {
    for (int i = 0; i < seen->n_leases; i++)
        if (strcmp(seen->leases[i].path, path) == 0 && strcmp(seen->leases[i].state, "active") == 0)
            return &seen->leases[i];
    return NULL;
}

static bool fds_work(const char *where) {
    struct vfio_group_status status = {.argsz = sizeof(status)};
    bool good = true;

    for (int i = 0; i < caller.n_fds; i++)
        if (strncmp(caller.fds[i].key, "group:", 6) == 0)
            good &= says(ioctl(caller.fds[i].fd, VFIO_GROUP_GET_STATUS, &status) == 0 &&
                             status.flags == 3,
                         where, "%s does not work", caller.fds[i].key);
    return good;
}

/* It lives with what it had or with what it was to have; with that for certain if the caller was told so. */
static bool has_lifetime(const struct variant *variant, enum action action, const struct seen_lease *lease,
                         bool told, const char *where) {
    bool handed = lease && strcmp(lease->lifetime, "process") == 0 && lease->pid == (unsigned) heir;
    bool kept = lease && strcmp(lease->lifetime, "persistent") == 0;
    bool new = action == ACTION_HAND ? handed : kept;
    bool old = lease && strcmp(lease->lifetime, strcmp(variant->name, "path") == 0 ? "persistent"
                                                                                   : variant->name) == 0;

    return says(lease != NULL, where, "the lease is gone, with its descriptors and processes there") &&
           says(new || (old && !told), where, "it lives with %s %u", lease->lifetime, lease->pid);
}

/* Who was told something can rely on it; what nobody was told of is not there, if it lives with an fd. */
static bool is_as_told(const struct variant *variant, enum action action, const struct seen *seen,
                       const char *where) {
    bool told = asked.answered && !asked.failed, by_fd = strcmp(variant->name, "fd") == 0;

    if (action == ACTION_HAND || action == ACTION_KEEP)
        return has_lifetime(variant, action, find(seen, caller.lease), told, where);
    if (action == ACTION_CLOSE)
        return says(!find(seen, caller.lease), where, "the lease is there without its descriptor");
    if (action == ACTION_RELEASE)
        return says(!told || !find(seen, caller.lease), where, "the lease was released and is there");
    if (told)
        return says(find(seen, caller.lease) != NULL, where, "%s was answered and is gone",
                    caller.lease) &&
               fds_work(where);
    for (int i = 0; by_fd && i < seen->n_leases; i++)
        if (strcmp(seen->leases[i].state, "active") == 0)
            return says(false, where, "%s is active, and nobody has its descriptor",
                        seen->leases[i].path);
    return true;
}

bool start_daemon(const char *where) {
    char answer[8192] = "";
    int r = EALREADY;

    for (int i = 0; i < BOUND && r == EALREADY; i++) {
        r = manager_ask("start", answer, sizeof(answer));
        if (r == EALREADY)
            usleep(1000);
    }
    return says(r == 0, where, "the daemon does not start: %s", answer);
}

/* Everything is released and ends. */
static bool clean(struct seen *seen, const char *where) {
    close_fds(true);
    for (int i = 0; i < seen->n_leases; i++)
        sd_bus_call_method(admin, NAME, PATH, MANAGER, "Release", NULL, NULL, "o",
                           seen->leases[i].path);
    for (int i = 0; i < BOUND / 5; i++) {
        if (look(admin, seen) < 0)
            return false;
        if (seen->n_leases == 0)
            return is_sound(seen, where);
        usleep(5000);
    }
    return says(false, where, "%s does not end", seen->leases[0].path);
}

static int act(const struct variant *variant, enum action action, struct trace *trace, unsigned point) {
    asked.called = false;
    asked.answered = true;
    asked.failed = false;
    trace_arm(trace, point);
    if (action == ACTION_CLAIM)
        return send_claim(variant);
    if (action == ACTION_RELEASE)
        return send_release();
    if (action == ACTION_HAND || action == ACTION_KEEP)
        return send_lifetime(action);
    close_fds(true);
    return 0;
}

/* 1: there is no such point, it was through before. */
static int try_point(const struct variant *variant, enum action action, unsigned point,
                     unsigned *ret_calls, const char *where) {
    struct trace trace;
    struct seen seen;
    bool good = true, dead;
    int r;

    *caller.lease = '\0';
    if (action != ACTION_CLAIM && !claim_now(variant, where))
        return -EIO;
    if (action == ACTION_RELEASE)
        close_fds(false);
    r = trace_begin(&trace, daemon_pid());
    if (r >= 0)
        r = act(variant, action, &trace, point);
    if (r >= 0)
        r = follow(&trace);
    good &= says(r >= 0, where, "it hangs: %s", strerror(-r));
    trace_end(&trace);
    dead = trace.dead;
    *ret_calls = trace.calls;
    if (dead && !start_daemon(where))
        return -EIO;
    if (look(admin, &seen) < 0)
        return -EIO;
    good &= is_sound(&seen, where);
    good &= is_as_told(variant, action, &seen, where);
    good &= clean(&seen, where);
    if (action == ACTION_CLAIM)
        good &= claim_now(variant, where) && look(admin, &seen) >= 0 && is_sound(&seen, where) &&
                clean(&seen, where);
    return good ? !dead : -EBADE;
}

static int run(const struct variant *variant, enum action action, unsigned first, unsigned stride) {
    static const enum switched switches[] = {[ACTION_CLAIM] = SWITCHED_CLAIM,
                                             [ACTION_DETACH] = SWITCHED_AWAY,
                                             [ACTION_REATTACH] = SWITCHED_BACK};
    unsigned tried = 0, complaints = 0, calls = 0;
    char where[64];
    int r = 0;

    for (unsigned point = first; r <= 0 && point < MANY; point += stride) {
        snprintf(where, sizeof(where), "%s, point %u", variant->name, point);
        if (strcmp(variant->name, "switch") == 0)
            r = try_switch_point(switches[action], point, &calls, where);
        else
            r = try_point(variant, action, point, &calls, where);
        tried += r != 1;
        complaints += r < 0;
        if (r == -EIO || complaints > 20)
            break;
    }
    printf("points %u tried %u complaints %u\n", calls, tried, complaints);
    return complaints || r < 0 ? 1 : 0;
}

/* As seen by the bus, a connection's user is the one who made it. */
static int connect_as(uid_t uid, sd_bus **ret) {
    int r = seteuid(uid) < 0 ? -errno : sd_bus_open_system(ret);

    if (seteuid(0) < 0)
        return -errno;
    return r;
}

/* A process of alice's; it is when this returns. */
static pid_t sleeper(void) {
    int ends[2];
    char byte;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid != 0) {
        close(ends[1]);
        pid = read(ends[0], &byte, 1) == 1 ? pid : -1;
        close(ends[0]);
        return pid;
    }
    if (setresgid(ALICE, ALICE, ALICE) < 0 || setresuid(ALICE, ALICE, ALICE) < 0 ||
        write(ends[1], "a", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static int usage(void) {
    fprintf(stderr, "usage: killer path|fd|process|cdev claim|release|close|hand|keep FIRST STRIDE\n"
                    "       killer switch claim|detach|reattach FIRST STRIDE\n");
    return 2;
}

int main(int argc, char **argv) {
    struct variant variant = {NULL};
    pid_t child = sleeper();
    int action = -1, r;
    char option[32];

    for (size_t i = 0; argc == 5 && i < sizeof(variants) / sizeof(*variants); i++)
        if (strcmp(argv[1], variants[i].name) == 0)
            variant = variants[i];
    for (int i = 0; argc == 5 && i < N_ACTIONS; i++)
        action = strcmp(argv[2], action_names[i]) == 0 ? i : action;
    if (!variant.name || action < 0)
        return usage();
    heir = sleeper();
    snprintf(option, sizeof(option), "pid=u:%d", child);
    if (strcmp(variant.name, "process") == 0)
        variant.options[1] = option;
    setvbuf(stdout, NULL, _IOLBF, 0);
    r = connect_as(ALICE, &alice);
    if (r >= 0)
        r = connect_as(0, &admin);
    if (r < 0)
        return fail(r, "system bus");
    r = run(&variant, (enum action) action, (unsigned) atoi(argv[3]), (unsigned) atoi(argv[4]));
    kill(child, SIGKILL);
    kill(heir, SIGKILL);
    return r;
}
