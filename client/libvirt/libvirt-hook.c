/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt runs this before it starts a domain, when that runs, when libvirt itself comes back to one that
 * runs, and when one has ended: see dmaownd-libvirt-hook(8). It must not ask libvirt for anything, which
 * waits for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include <systemd/sd-journal.h>

#include "client/caller.h"
#include "client/libvirt/domain-process.h"
#include "client/libvirt/domain.h"
#include "client/libvirt/leased.h"
#include "client/libvirt/qemu-user.h"
#include "util/fd.h"
#include "util/string.h"

#define IDENTIFIER "dmaownd-libvirt-hook"

/* Seconds for devices that the last user is still letting go of. */
#define WAIT 10

/* When QEMU has ended, and with it the lease, libvirt resets the devices, unless a VFIO driver has them: they
 * must not be the host's by then. Seconds that libvirt has to say that it is done. */
#define REATTACH_AFTER 30

struct hook {
    struct domain domain;
    sd_bus *bus;
    char *key;
    char *problem; /* why it did not work: a sentence; NULL when out of memory */
};

static void hook_clear(struct hook *hook) {
    domain_clear(&hook->domain);
    sd_bus_flush_close_unref(hook->bus);
    free(hook->key);
    free(hook->problem);
}

/* Returns -EIO: what is wrong is in the sentence. */
_printf_(2, 3) static int refuse(struct hook *hook, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&hook->problem, format, arguments) < 0)
        hook->problem = NULL;
    va_end(arguments);
    return -EIO;
}

static int refuse_call(struct hook *hook, const sd_bus_error *error, int r) {
    hook->problem = caller_sentence(error, r);
    return -EIO;
}

static int connect_bus(struct hook *hook) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    hook->key = domain_key(&hook->domain);
    if (!hook->key)
        return -ENOMEM;
    int r = caller_connect(&hook->bus, &error);
    return r < 0 ? refuse_call(hook, &error, r) : 0;
}

/* *ret is the caller's, NULL if the domain has no lease. */
static int find_lease(struct hook *hook, char **ret) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = hook->bus ? 0 : connect_bus(hook);

    if (r < 0)
        return r;
    r = caller_find_lease(hook->bus, hook->key, ret, &error);
    return r < 0 ? refuse_call(hook, &error, r) : 0;
}

/* The lease of a domain that runs, or may run, whatever libvirt makes of it, is left alone: it ends with
 * QEMU. */
static int check_ended(struct hook *hook, const char *lease) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    pid_t pid;
    int r = caller_lease_pid(hook->bus, lease, &pid, &error);

    if (r < 0)
        return refuse_call(hook, &error, r);
    r = pid == 0 ? 0 : process_runs_domain(pid, &hook->domain);
    if (r == 0 || r == -ENOMEM)
        return r;
    if (r < 0)
        return refuse(hook, "Whether the domain runs in process %d cannot be found out (%s); its lease is "
                            "left alone.", (int)pid, strerror(-r));
    return refuse(hook, "The domain runs, in process %d; the lease of that ends with it.", (int)pid);
}

/* Ends the domain's lease, if it has one. */
static int release_lease(struct hook *hook) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(freep) char *lease = NULL;
    int r = find_lease(hook, &lease);

    if (r >= 0 && lease)
        r = check_ended(hook, lease);
    if (r < 0 || !lease)
        return r;
    r = caller_release(hook->bus, lease, WAIT, &error);
    if (r < 0)
        return refuse_call(hook, &error, r);
    return r == 0 ? 0 : refuse(hook, "The devices of the domain are still in use, and free when that ends.");
}

/* ---- who -------------------------------------------------------------------------------------- */

static int read_conf_user(char **ret) {
    _cleanup_(freep) char *text = NULL;
    int r = file_read(AT_FDCWD, QEMU_CONF, QEMU_CONF_MAX, &text, NULL);

    *ret = NULL;
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : qemu_conf_user(text, ret);
}

static int find_holder(struct hook *hook, uid_t *ret) {
    _cleanup_(freep) char *configured = NULL;
    const char *user = hook->domain.user;
    int r = user ? 0 : read_conf_user(&configured);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return refuse(hook, QEMU_CONF ", which says whom QEMU runs as, cannot be read: %s.", strerror(-r));
    if (!user)
        user = configured;
    r = qemu_user_find(user, ret);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return refuse(hook, "QEMU is to run as '%.100s', and there is no such user.", user ? user : "");
    return 0;
}

static int open_libvirt(struct hook *hook, int *ret_pidfd) {
    int r = libvirt_process_open(ret_pidfd);

    if (r == -ESRCH)
        return refuse(hook, "libvirt, which started the hook, has ended.");
    return r < 0 ? refuse(hook, "The process of libvirt cannot be watched: %s.", strerror(-r)) : 0;
}

static int open_qemu(struct hook *hook, int *ret_pidfd) {
    int r = qemu_process_open(QEMU_PID_FOLDER, &hook->domain, ret_pidfd);

    if (r == -ENOMEM || r >= 0)
        return r;
    const char *why = r == -ESRCH ? "it names no process that runs this domain" : strerror(-r);
    return refuse(hook, "The QEMU of the domain was not found through " QEMU_PID_FOLDER "/%.100s.pid: %s.",
                  hook->domain.name, why);
}

/* ---- what libvirt does ------------------------------------------------------------------------ */

/* The lease lives with the process behind pidfd. */
static int claim(struct hook *hook, int pidfd, bool detach) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(freep) char *comment = domain_comment(&hook->domain), *lease = NULL;
    struct caller_claim terms = {
        .targets = (const char *const *)hook->domain.targets,
        .n_targets = strings_length(hook->domain.targets),
        .pidfd = pidfd,
        .detach = detach,
        .reattach = true,
        .reattach_after = REATTACH_AFTER,
        .key = hook->key,
        .comment = comment,
        .wait = WAIT,
    };
    int r = find_holder(hook, &terms.holder);

    if (r < 0)
        return r;
    if (!comment)
        return -ENOMEM;
    r = caller_claim(hook->bus, &terms, &lease, &error);
    return r < 0 ? refuse_call(hook, &error, r) : 0;
}

/* A lease of a domain that does not run is one that libvirt could not give back. */
static int on_prepare(struct hook *hook) {
    _cleanup_(fd_closep) int libvirt = -1;
    int r = release_lease(hook);

    if (r >= 0)
        r = open_libvirt(hook, &libvirt);
    return r < 0 ? r : claim(hook, libvirt, true);
}

/* From now on it lives with QEMU. */
static int hand_over(struct hook *hook, const char *lease, int qemu) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = caller_set_process(hook->bus, lease, qemu, &error);

    return r < 0 ? refuse_call(hook, &error, r) : 0;
}

#define TOO_LATE                                                                                   \
    "(A device that libvirt chooses from a network's pool is known too late: name it in an "       \
    "<interface type='hostdev'>.)"

/* What libvirt knew at `prepare` was claimed; there may be more by now. */
static int check_all_leased(struct hook *hook, const char *lease) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    const char *missing;
    int r = leased_misses(hook->bus, lease, hook->domain.targets, &missing, &error);

    if (r < 0)
        return refuse_call(hook, &error, r);
    if (!missing)
        return 0;
    return refuse(hook, "The domain has a host device that was not claimed for it before it was started: %s. "
                        TOO_LATE, missing);
}

static int on_started(struct hook *hook) {
    _cleanup_(fd_closep) int qemu = -1;
    _cleanup_(freep) char *lease = NULL;
    int r = find_lease(hook, &lease);

    if (r < 0)
        return r;
    if (!lease)
        return refuse(hook, "The domain has host devices that were not claimed for it before it was started. "
                            TOO_LATE);
    r = check_all_leased(hook, lease);
    if (r >= 0)
        r = open_qemu(hook, &qemu);
    return r < 0 ? r : hand_over(hook, lease, qemu);
}

/* For a domain that runs. It has its devices open, as a rule, and then there is no lease to be had: nobody
 * can tell any more what else they are open to. Nothing is switched under it either. */
static int claim_again(struct hook *hook, int qemu) {
    int r = claim(hook, qemu, false);
    _cleanup_(freep) char *why = TAKE_POINTER(hook->problem);

    if (r >= 0 || !why)
        return r;
    return refuse(hook, "The domain runs without a lease, and nothing is to be done about it before it "
                        "ends. (%s)",
                  why);
}

static int on_reconnect(struct hook *hook) {
    _cleanup_(fd_closep) int qemu = -1;
    _cleanup_(freep) char *lease = NULL;
    int r = find_lease(hook, &lease);

    if (r >= 0)
        r = open_qemu(hook, &qemu);
    if (r < 0)
        return r;
    if (!lease)
        return claim_again(hook, qemu);
    r = hand_over(hook, lease, qemu);
    return r < 0 ? r : check_all_leased(hook, lease);
}

/* What the domain had goes back at once, also if its lease has ended by itself. */
static int on_release(struct hook *hook) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = release_lease(hook);

    if (r < 0)
        return r;
    r = caller_reattach(hook->bus, (const char *const *)hook->domain.targets,
                        strings_length(hook->domain.targets), &error);
    return r < 0 ? refuse_call(hook, &error, r) : 0;
}

static const struct operation {
    const char *name, *part;
    int (*run)(struct hook *hook);
    bool decides; /* what does not work stops the domain */
} operations[] = {
    {"prepare", "begin", on_prepare, true},
    {"started", "begin", on_started, true},
    {"reconnect", "begin", on_reconnect, false},
    {"release", "end", on_release, false},
};

static const struct operation *find_operation(const char *name, const char *part) {
    for (size_t i = 0; i < ELEMENTS_OF(operations); i++)
        if (strcmp(name, operations[i].name) == 0 && strcmp(part, operations[i].part) == 0)
            return &operations[i];
    return NULL;
}

/* ---- the program ------------------------------------------------------------------------------ */

/* A byte more than is allowed is enough to see that it is too much. */
static int read_domain(struct hook *hook) {
    _cleanup_(freep) char *xml = malloc(DOMAIN_XML_MAX + 1);
    size_t size = xml ? fread(xml, 1, DOMAIN_XML_MAX + 1, stdin) : 0;

    if (!xml)
        return -ENOMEM;
    if (ferror(stdin))
        return refuse(hook, "The XML of the domain cannot be read: %s.", strerror(errno));
    return domain_parse(xml, size, &hook->domain, &hook->problem);
}

/* libvirt shows what a hook says only when it stops the domain: everything else is for the journal. */
static void report(const struct hook *hook, const struct operation *operation, const char *name) {
    _cleanup_(freep) char *problem = text_escape(hook->problem ? hook->problem : "Out of memory.");
    _cleanup_(freep) char *domain = text_escape(name);

    fprintf(stderr, "dmaownd: %s\n", problem ? problem : "Out of memory.");
    if (operation->decides)
        return;
    (void)sd_journal_send("PRIORITY=%d", LOG_WARNING, "SYSLOG_IDENTIFIER=%s", IDENTIFIER,
                          "MESSAGE=libvirt domain %s, %s: %s", domain ? domain : "", operation->name,
                          problem ? problem : "Out of memory.", "LIBVIRT_DOMAIN=%s", name,
                          "LIBVIRT_UUID=%s", hook->domain.uuid ? hook->domain.uuid : "", NULL);
}

int main(int argc, char **argv) {
    _cleanup_(hook_clear) struct hook hook = {0};

    if (argc < 4) {
        fprintf(stderr, "dmaownd: This is a hook of libvirt, which runs it with NAME OPERATION begin|end - "
                        "and the XML of a domain: see dmaownd-libvirt-hook(8).\n");
        return 2;
    }
    const struct operation *operation = find_operation(argv[2], argv[3]);
    /* What a user's own libvirt (qemu:///session) starts has the devices of that user's own leases. */
    if (!operation || geteuid() != 0)
        return 0;
    int r = read_domain(&hook);
    /* Most domains have no host device, and need no dmaownd. */
    if (r >= 0 && hook.domain.targets)
        r = operation->run(&hook);
    if (r >= 0)
        return 0;
    report(&hook, operation, argv[1]);
    return operation->decides ? 1 : 0;
}
