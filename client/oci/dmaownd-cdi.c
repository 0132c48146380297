/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the specification of devices for container engines as the kernel and the policy have it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "client/caller.h"
#include "client/oci/cdi-ask.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/string.h"

/* Where engines look, wherever this was installed. */
#define CDI_DIRECTORY "/run/cdi"
#define FILE_NAME "dmaownd.org-group.json"
#define LEASE_PREFIX DAEMON_PATH "/lease/"

/* A storm of changes is looked at so often, the first change at once. */
#define REFRESH_INTERVAL_USEC (200 * UINT64_C(1000))
/* After a question that had no answer. */
#define RETRY_USEC (5 * UINT64_C(1000000))

struct publisher {
    sd_event *event;
    sd_bus *bus;
    sd_event_source *timer; /* when to look again */
    char *daemon;           /* its unique name; NULL while there is none */
    int directory;
    const char *hook;
    bool known;    /* written says what is there */
    char *written; /* NULL: no file */
    struct cdi listed; /* what was found the last time */
    bool complained;   /* of a group that there was no answer about */
    uint64_t looked;
};

static void publisher_done(struct publisher *publisher) {
    sd_event_source_disable_unref(publisher->timer);
    sd_bus_flush_close_unref(publisher->bus);
    sd_event_unref(publisher->event);
    fd_close(publisher->directory);
    free(publisher->daemon);
    free(publisher->written);
    cdi_done(&publisher->listed);
}

/* <N> is the priority, for the journal. */
static void say(int priority, const char *what, const char *text) {
    _cleanup_(freep) char *escaped = text ? text_escape(text) : NULL;

    fprintf(stderr, "<%d>dmaownd-cdi: %s: %s\n", priority, what, escaped ? escaped : "out of memory");
}

static void complain(int priority, const char *what, const sd_bus_error *error, int r) {
    _cleanup_(freep) char *sentence = caller_sentence(error, r);

    say(priority, what, sentence);
}

/* ---- The file --------------------------------------------------------------------------------- */

/* text NULL: no file. Nothing is touched when nothing has changed. */
static int publish(struct publisher *publisher, const char *text) {
    int r = 0;

    if (publisher->known && string_equal(publisher->written, text))
        return 0;
    char *copy = text ? strdup(text) : NULL;
    if (text)
        r = copy ? file_replace(publisher->directory, FILE_NAME, text, strlen(text), 0644) : -ENOMEM;
    else if (unlinkat(publisher->directory, FILE_NAME, 0) < 0 && errno != ENOENT)
        r = -errno;
    free(publisher->written);
    publisher->written = copy;
    publisher->known = r >= 0;
    return r;
}

/* Once for as long as there is one. */
static void say_problem(struct publisher *publisher, const char *problem) {
    if (problem && !publisher->complained)
        say(LOG_WARNING, "a group is not judged", problem);
    publisher->complained = problem != NULL;
}

static int publish_all(struct publisher *publisher, struct cdi *cdi) {
    _cleanup_(freep) char *text = NULL;
    int r = cdi_format(cdi, publisher->hook, &text);

    return r < 0 ? r : publish(publisher, text);
}

/* 1: not all groups could be judged. */
static int look(struct publisher *publisher, sd_bus_error *error) {
    _cleanup_(cdi_done) struct cdi cdi = {0};
    _cleanup_(freep) char *problem = NULL;
    int r = 0;

    if (publisher->daemon)
        r = cdi_ask(publisher->bus, publisher->daemon, &publisher->listed, &cdi, &problem, error);
    if (r >= 0)
        r = publish_all(publisher, &cdi);
    if (r < 0)
        return r;
    (void)sd_notifyf(false, "READY=1\nSTATUS=%zu devices are published%s%s", cdi.n_devices,
                     publisher->daemon ? "" : "; dmaownd does not run",
                     problem ? "; not all groups could be judged" : "");
    say_problem(publisher, problem);
    cdi_done(&publisher->listed);
    publisher->listed = cdi;
    cdi = (struct cdi){0};
    return problem != NULL;
}

/* ---- When to look ----------------------------------------------------------------------------- */

static int look_at(struct publisher *publisher, uint64_t usec) {
    int r = sd_event_source_set_time(publisher->timer, usec);

    return r < 0 ? r : sd_event_source_set_enabled(publisher->timer, SD_EVENT_ONESHOT);
}

/* Without an answer of the daemon nothing is known to be true. */
static void publish_nothing(struct publisher *publisher) {
    (void)sd_notify(false, "READY=1\nSTATUS=no device is published");
    (void)publish(publisher, NULL);
    cdi_done(&publisher->listed);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    struct publisher *publisher = userdata;
    int r = look(publisher, &error);

    publisher->looked = now_monotonic();
    if (r == 0)
        return 0;
    if (r < 0) {
        complain(LOG_WARNING, "no device is published", &error, r);
        publish_nothing(publisher);
    }
    return look_at(publisher, publisher->looked + RETRY_USEC);
}

/* Also when one is due later. */
static int look_soon(struct publisher *publisher) {
    return look_at(publisher, publisher->looked + REFRESH_INTERVAL_USEC);
}

/* ---- What the bus says ------------------------------------------------------------------------ */

/* What the list is made of. Owners and leases come and go without a change to it. */
static bool is_shown(const char *property) {
    static const char *const shown[] = {"Node", "Devices", "Driver", "Role"};

    for (size_t i = 0; i < ELEMENTS_OF(shown); i++)
        if (string_equal(property, shown[i]))
            return true;
    return false;
}

static int read_changed(sd_bus_message *signal, bool *shown) {
    const char *name;
    int r = sd_bus_message_enter_container(signal, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(signal, 'e', "sv")) > 0) {
        r = sd_bus_message_read(signal, "s", &name);
        if (r >= 0) {
            *shown = *shown || is_shown(name);
            r = sd_bus_message_skip(signal, "v");
        }
        if (r >= 0)
            r = sd_bus_message_exit_container(signal);
    }
    return r < 0 ? r : sd_bus_message_exit_container(signal);
}

/* Changed with a value, or invalidated without one. */
static bool shows_change(sd_bus_message *signal) {
    _cleanup_(strings_freep) char **invalidated = NULL;
    bool shown = false;
    int r = sd_bus_message_skip(signal, "s");

    if (r >= 0)
        r = read_changed(signal, &shown);
    if (r >= 0)
        r = sd_bus_message_read_strv(signal, &invalidated);
    for (size_t i = 0; i < strings_length(invalidated); i++)
        shown = shown || is_shown(invalidated[i]);
    return r >= 0 && shown;
}

static bool is_of_interest(sd_bus_message *signal) {
    const char *path;

    if (sd_bus_message_is_signal(signal, "org.freedesktop.DBus.Properties", "PropertiesChanged"))
        return shows_change(signal);
    if (sd_bus_message_is_signal(signal, "org.freedesktop.DBus.ObjectManager", NULL))
        return sd_bus_message_read(signal, "o", &path) > 0 && !string_after(path, LEASE_PREFIX);
    return sd_bus_message_is_signal(signal, MANAGER_INTERFACE, "PolicyReloaded");
}

static int on_signal(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
    struct publisher *publisher = userdata;

    /* Anybody can send a signal to our own name. */
    if (!string_equal(sd_bus_message_get_sender(signal), publisher->daemon) || !is_of_interest(signal))
        return 0;
    return look_soon(publisher);
}

static int set_daemon(struct publisher *publisher, const char *name) {
    char *copy = *name ? strdup(name) : NULL;

    if (*name && !copy)
        return -ENOMEM;
    free(publisher->daemon);
    publisher->daemon = copy;
    return look_at(publisher, 0);
}

static int on_owner_changed(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
    const char *new;

    if (!string_equal(sd_bus_message_get_sender(signal), "org.freedesktop.DBus") ||
        sd_bus_message_read(signal, "sss", NULL, NULL, &new) < 0)
        return 0;
    return set_daemon(userdata, new);
}

static int find_daemon(struct publisher *publisher, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *name;
    int r = sd_bus_call_method(publisher->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "GetNameOwner", error, &reply, "s", DAEMON_NAME);

    if (sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
        sd_bus_error_free(error);
        return set_daemon(publisher, "");
    }
    if (r >= 0)
        r = sd_bus_message_read(reply, "s", &name);
    return r < 0 ? r : set_daemon(publisher, name);
}

/* ---- Start and end ---------------------------------------------------------------------------- */

static int listen_to_bus(struct publisher *publisher, sd_bus_error *error) {
    int r = caller_connect(&publisher->bus, error);

    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(publisher->bus, true);
    if (r >= 0)
        r = sd_bus_attach_event(publisher->bus, publisher->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_add_match(publisher->bus, NULL,
                             "type='signal',sender='" DAEMON_NAME "',path_namespace='" DAEMON_PATH "'",
                             on_signal, publisher);
    if (r >= 0)
        r = sd_bus_add_match(publisher->bus, NULL,
                             "type='signal',sender='org.freedesktop.DBus',"
                             "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                             "arg0='" DAEMON_NAME "'",
                             on_owner_changed, publisher);
    return r < 0 ? r : find_daemon(publisher, error);
}

/* Signals of the system end the loop. */
static int loop_new(struct publisher *publisher) {
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int r = sd_event_default(&publisher->event);
    if (r >= 0)
        r = sd_event_add_signal(publisher->event, NULL, SIGINT, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(publisher->event, NULL, SIGTERM, NULL, NULL);
    /* All messages that are there come before the look. */
    if (r >= 0)
        r = sd_event_add_time(publisher->event, &publisher->timer, CLOCK_MONOTONIC, 0, 1000, on_time,
                              publisher);
    if (r >= 0)
        r = sd_event_source_set_priority(publisher->timer, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sd_event_set_watchdog(publisher->event, true);
    return r;
}

static int open_directory(struct publisher *publisher, const char *path) {
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = fd_open_directory(AT_FDCWD, path);
    if (fd < 0)
        return fd;
    publisher->directory = fd;
    return 0;
}

/* Returns the exit status. */
static int run(const char *directory, const char *hook) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(publisher_done) struct publisher publisher = {.directory = -1, .hook = hook};
    int r = open_directory(&publisher, directory);

    if (r < 0) {
        complain(LOG_ERR, directory, NULL, r);
        return EXIT_FAILURE;
    }
    r = loop_new(&publisher);
    if (r >= 0)
        r = listen_to_bus(&publisher, &error);
    if (r >= 0)
        r = sd_event_loop(publisher.event);
    if (r < 0)
        complain(LOG_ERR, "stops", &error, r);
    (void)sd_notify(false, "STOPPING=1");
    publisher.known = false;
    int removed = publish(&publisher, NULL);
    if (removed < 0)
        complain(LOG_ERR, "the specification cannot be removed", NULL, removed);
    return r == 0 && removed >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Of one that could not do it itself. Returns the exit status. */
static int remove_file(const char *directory) {
    _cleanup_(fd_closep) int fd = fd_open_directory(AT_FDCWD, directory);

    if (fd == -ENOENT || (fd >= 0 && (unlinkat(fd, FILE_NAME, 0) == 0 || errno == ENOENT)))
        return EXIT_SUCCESS;
    complain(LOG_ERR, "the specification cannot be removed", NULL, fd < 0 ? fd : -errno);
    return EXIT_FAILURE;
}

static void usage(void) {
    printf("dmaownd-cdi [OPTION]...\n"
           "Tells container engines which devices policy lets them have; see dmaownd-cdi(8).\n\n"
           "  --directory DIR    where engines look (default " CDI_DIRECTORY ")\n"
           "  --hook PATH        the hooks' program (default " PKGLIBEXECDIR "/oci-hook)\n"
           "  --remove           remove what one that died has left, and end\n"
           "  --version          print the version, and end\n"
           "  --help             print this, and end\n");
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"directory", required_argument, NULL, 'd'},
        {"hook", required_argument, NULL, 'k'},
        {"remove", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL},
    };
    const char *directory = CDI_DIRECTORY, *hook = PKGLIBEXECDIR "/oci-hook";
    bool removes = false;
    int option;

    while ((option = getopt_long(argc, argv, "hV", options, NULL)) >= 0)
        switch (option) {
        case 'd':
            directory = optarg;
            break;
        case 'k':
            hook = optarg;
            break;
        case 'r':
            removes = true;
            break;
        case 'h':
            usage();
            return EXIT_SUCCESS;
        case 'V':
            printf("dmaownd-cdi %s\n", PACKAGE_VERSION);
            return EXIT_SUCCESS;
        default:
            return 2;
        }
    if (optind < argc) {
        fprintf(stderr, "dmaownd-cdi: it takes no argument, and '%s' is one\n", argv[optind]);
        return 2;
    }
    (void)umask(022);
    return removes ? remove_file(directory) : run(directory, hook);
}
