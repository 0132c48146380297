/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Called by a container runtime: claims the group of a device for a container that starts, and releases it
 * when the container has stopped. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "client/caller.h"
#include "client/oci/granted.h"
#include "client/oci/node.h"
#include "client/oci/state.h"
#include "kernel/process.h"
#include "util/fd.h"
#include "util/string.h"

/* The container before may not be quite gone: its group drains. */
#define WAIT_SECONDS 10

#define ERROR_ALREADY_OWNED "org.dmaownd1.Error.AlreadyOwned"

/* As engines show an id. */
#define ID_SHOWN 12

struct hook {
    const char *device; /* its name in sysfs */
    const char *node;   /* "/dev/vfio/7": what the container's specification said */
    struct oci_state state;
    char *key; /* of the lease */
    sd_bus *bus;
};

static void hook_done(struct hook *hook) {
    oci_state_done(&hook->state);
    free(hook->key);
    sd_bus_flush_close_unref(hook->bus);
}

/* ---- What is said ------------------------------------------------------------------------------ */

/* Runtimes drop what a hook prints, so the journal has it too, under the fields by which an engine's own
 * entries are found. Returns the exit status. */
static int say(const struct hook *hook, int priority, const char *text) {
    _cleanup_(freep) char *escaped = text_escape(text);
    const char *id = hook->state.id ? hook->state.id : "";

    fprintf(stderr, "dmaownd: %s\n", escaped ? escaped : "out of memory");
    (void)sd_journal_send("MESSAGE=%s: %s", hook->device, escaped ? escaped : "out of memory", "PRIORITY=%i",
                          priority, "SYSLOG_IDENTIFIER=dmaownd-oci-hook", "CONTAINER_ID=%.*s", ID_SHOWN, id,
                          "CONTAINER_ID_FULL=%s", id, "OBJECT_PID=%i", (int)hook->state.pid,
                          "DMAOWND_DEVICES=%s", hook->device, NULL);
    return EXIT_FAILURE;
}

static int refuse(const struct hook *hook, const char *format, ...) _printf_(2, 3);
static int refuse(const struct hook *hook, const char *format, ...) {
    _cleanup_(freep) char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int r = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (r < 0)
        text = NULL;
    return say(hook, LOG_ERR, text ? text : "out of memory");
}

static int refuse_call(const struct hook *hook, const sd_bus_error *error, int r) {
    _cleanup_(freep) char *sentence = caller_sentence(error, r);

    return say(hook, LOG_ERR, sentence ? sentence : "out of memory");
}

/* ---- What the runtime says --------------------------------------------------------------------- */

/* A byte more than is allowed is enough to see that it is too much. */
static int read_input(char **ret, size_t *ret_size) {
    _cleanup_(freep) char *input = malloc(OCI_STATE_SIZE_MAX + 1);

    if (!input)
        return -ENOMEM;
    *ret_size = fread(input, 1, OCI_STATE_SIZE_MAX + 1, stdin);
    if (ferror(stdin))
        return -errno;
    *ret = TAKE_POINTER(input);
    return 0;
}

static int read_state(struct hook *hook, uint32_t group) {
    _cleanup_(freep) char *input = NULL;
    const char *problem = NULL;
    size_t size = 0;
    int r = read_input(&input, &size);

    if (r >= 0)
        r = oci_state_parse(input, size, &hook->state, &problem);
    if (r < 0)
        return refuse(hook, "What a container runtime tells its hooks was expected on standard input: %s.",
                      problem ? problem : strerror(-r));
    /* One lease for all devices of a group in one container. */
    hook->key = string_format("oci:%s:%u", hook->state.id, group);
    return hook->key ? EXIT_SUCCESS : refuse(hook, "out of memory");
}

/* The number of the container's node. crun names a wrong bundle where users are mapped. */
static int read_bundle(const struct hook *hook, dev_t *ret) {
    _cleanup_(freep) char *text = NULL;
    _cleanup_(fd_closep) int bundle = fd_open_directory(AT_FDCWD, hook->state.bundle);
    const char *problem = NULL;
    size_t size;
    int r = bundle < 0 ? bundle : file_read(bundle, "config.json", OCI_CONFIG_SIZE_MAX, &text, &size);

    if (r < 0 && string_equal(hook->state.bundle, "/"))
        return refuse(hook, "The runtime does not say where the container's configuration is. A container "
                            "with a user namespace of its own cannot have a device in this way.");
    if (r < 0)
        return refuse(hook, "The container's configuration %s/config.json cannot be read: %s.",
                      hook->state.bundle, strerror(-r));
    r = oci_config_find_node(text, size, hook->node, ret, &problem);
    if (r == -ENOENT)
        return refuse(hook, "The container has no node %s.", hook->node);
    if (r < 0)
        return refuse(hook, "%s in the container's configuration %s/config.json: %s.", hook->node,
                      hook->state.bundle, problem ? problem : strerror(-r));
    return EXIT_SUCCESS;
}

/* ---- A lease that is there --------------------------------------------------------------------- */

/* 0: it lives with none, or has ended meanwhile. */
static int read_process(const struct hook *hook, const char *lease, pid_t *ret, sd_bus_error *error) {
    uint32_t pid = 0;
    int r = sd_bus_get_property_trivial(hook->bus, DAEMON_NAME, lease, LEASE_INTERFACE, "Pid", error, 'u',
                                        &pid);

    if (r < 0 && sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
        sd_bus_error_free(error);
        r = 0;
    }
    if (r < 0)
        return r;
    *ret = (pid_t)pid;
    return 0;
}

/* Of a container that runs, and has the same id: ids are unique under one root folder of one runtime only. */
static bool is_of_another(const struct hook *hook, pid_t pid) {
    _cleanup_(fd_closep) int pidfd = -1;
    uid_t uid;

    if (pid == hook->state.pid)
        return false;
    int r = process_open(pid, &pidfd);
    if (r >= 0)
        r = process_owner(pidfd, pid, &uid);
    return r != -ESRCH; /* what is not known counts as running */
}

static int refuse_other(const struct hook *hook, pid_t pid, sd_bus_error *error) {
    return sd_bus_error_setf(error, ERROR_ALREADY_OWNED,
                             "The group is leased for process %i, of another container with the id %s: stop "
                             "that one first, or give this one another id.",
                             (int)pid, hook->state.id);
}

/* ---- Claim ------------------------------------------------------------------------------------- */

static int check_node(const struct hook *hook, dev_t inside) {
    struct stat status;

    if (lstat(hook->node, &status) < 0)
        return refuse(hook, "The host's %s: %s.", hook->node, strerror(errno));
    if (!S_ISCHR(status.st_mode) || status.st_rdev != inside)
        return refuse(hook,
                      "The container's %s is device %u:%u, and the host's is %u:%u now: create the container "
                      "anew.",
                      hook->node, major(inside), minor(inside), major(status.st_rdev), minor(status.st_rdev));
    return EXIT_SUCCESS;
}

/* The group's number may have become another's since the container was created. */
static int check_granted(const struct hook *hook, const char *lease, dev_t inside) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(freep) char *node = NULL;
    int r = granted_node(hook->bus, lease, hook->device, &node, &error);

    if (r < 0)
        return refuse_call(hook, &error, r);
    if (string_equal(node, hook->node))
        return check_node(hook, inside);
    return refuse(hook,
                  "The container was created with %s, which is not the node of %s now%s%s: create it anew.",
                  hook->node, hook->device, node && *node ? "; that is " : "", node ? node : "");
}

static int make_claim(const struct hook *hook, int pidfd, char **ret_lease, sd_bus_error *error) {
    _cleanup_(freep) char *comment = string_format("container %s", hook->state.id);
    const struct caller_claim claim = {
        .targets = &hook->device,
        .n_targets = 1,
        .holder = CALLER_ITSELF,
        .pidfd = pidfd,
        .key = hook->key,
        .comment = comment,
        .wait = WAIT_SECONDS,
    };

    return comment ? caller_claim(hook->bus, &claim, ret_lease, error) : -ENOMEM;
}

/* *lease: of a process that has ended, or NULL. */
static int claim_anew(const struct hook *hook, int pidfd, char **lease, sd_bus_error *error) {
    int r = *lease ? caller_release(hook->bus, *lease, WAIT_SECONDS, error) : 0;

    free(TAKE_POINTER(*lease));
    return r < 0 ? r : make_claim(hook, pidfd, lease, error);
}

/* Nothing is touched if it is another container's. A device of the same group has claimed for this container
 * before, or the lease is of a process whose end dmaownd has not seen. */
static int take_lease(const struct hook *hook, int pidfd, char **ret_lease, sd_bus_error *error) {
    _cleanup_(freep) char *lease = NULL;
    pid_t pid = 0;
    int r = caller_find_lease(hook->bus, hook->key, &lease, error);

    if (r >= 0 && lease)
        r = read_process(hook, lease, &pid, error);
    if (r >= 0 && lease && is_of_another(hook, pid))
        r = refuse_other(hook, pid, error);
    if (r >= 0 && lease && pid == hook->state.pid)
        r = caller_set_process(hook->bus, lease, pidfd, error);
    else if (r >= 0)
        r = claim_anew(hook, pidfd, &lease, error);
    if (r >= 0)
        *ret_lease = TAKE_POINTER(lease);
    return r;
}

static int claim_for(struct hook *hook, int pidfd, dev_t inside) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL, ignored = SD_BUS_ERROR_NULL;
    _cleanup_(freep) char *lease = NULL;
    int r = caller_connect(&hook->bus, &error);

    if (r >= 0)
        r = take_lease(hook, pidfd, &lease, &error);
    if (r < 0)
        return refuse_call(hook, &error, r);
    int status = check_granted(hook, lease, inside);
    /* The container does not start. */
    if (status != EXIT_SUCCESS)
        (void)caller_release(hook->bus, lease, 0, &ignored);
    return status;
}

static int hook_claim(struct hook *hook) {
    _cleanup_(fd_closep) int pidfd = -1;
    dev_t inside;

    if (hook->state.pid == 0)
        return refuse(hook, "The container %s has no process that the group could be claimed for.",
                      hook->state.id);
    int r = process_open(hook->state.pid, &pidfd);
    if (r < 0)
        return refuse(hook, "The container's process %i: %s.", (int)hook->state.pid, strerror(-r));
    int status = read_bundle(hook, &inside);
    return status == EXIT_SUCCESS ? claim_for(hook, pidfd, inside) : status;
}

/* ---- Release ----------------------------------------------------------------------------------- */

static int release_lease(const struct hook *hook, sd_bus_error *error) {
    _cleanup_(freep) char *lease = NULL;
    pid_t pid;
    int r = caller_find_lease(hook->bus, hook->key, &lease, error);

    if (r < 0 || !lease)
        return r;
    r = read_process(hook, lease, &pid, error);
    if (r < 0 || is_of_another(hook, pid))
        return r;
    return caller_release(hook->bus, lease, WAIT_SECONDS, error);
}

/* The lease ends with the container's process in any case: no failure here is one of the container. */
static int hook_release(struct hook *hook) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = caller_connect(&hook->bus, &error);

    if (r >= 0)
        r = release_lease(hook, &error);
    if (r < 0) {
        _cleanup_(freep) char *sentence = caller_sentence(&error, r);
        (void)say(hook, LOG_WARNING, sentence ? sentence : "out of memory");
    } else if (r > 0) {
        (void)say(hook, LOG_WARNING, "The container has stopped, and its device is still open.");
    }
    return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------------------------------------ */

static int usage(void) {
    fprintf(stderr, "dmaownd: usage: oci-hook claim|release DEVICE /dev/vfio/N < STATE; see dmaownd-cdi(8)"
                    "\n");
    return 2;
}

int main(int argc, char **argv) {
    _cleanup_(hook_done) struct hook hook = {0};
    uint32_t group;

    if (argc != 4 || vfio_node_parse(argv[3], &group) < 0)
        return usage();
    bool claims = strcmp(argv[1], "claim") == 0;
    if (!claims && strcmp(argv[1], "release") != 0)
        return usage();
    hook.device = argv[2];
    hook.node = argv[3];
    int status = read_state(&hook, group);
    if (status != EXIT_SUCCESS)
        return status;
    return claims ? hook_claim(&hook) : hook_release(&hook);
}
