/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/oci/cdi-ask.h"

#include <errno.h>
#include <unistd.h>

#include "client/caller.h"
#include "client/exit-status.h"
#include "client/json.h"
#include "util/clock.h"
#include "util/string.h"

/* The daemon answers both at once, but for a question about a driver that hangs. */
#define LIST_TIMEOUT_USEC (20 * UINT64_C(1000000))
#define EXPLAIN_TIMEOUT_USEC (5 * UINT64_C(1000000))
/* No question is begun after that: the service's watchdog asks, too. */
#define LAST_QUESTION_USEC (40 * UINT64_C(1000000))

#define ERROR_NO_SUCH_TARGET "org.dmaownd1.Error.NoSuchTarget"

/* The claim that the hook will make, of a process that there is. */
static int explain_call_new(sd_bus *bus, const char *daemon, const char *group, sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = sd_bus_message_new_method_call(bus, &call, daemon, DAEMON_PATH, MANAGER_INTERFACE, "Explain");

    if (r >= 0)
        r = sd_bus_message_append(call, "asa{sv}", 1, group, 2, "lifetime", "s", "process", "pid", "u",
                                  (uint32_t)getpid());
    if (r >= 0)
        *ret = TAKE_POINTER(call);
    return r;
}

struct look {
    sd_bus *bus;
    const char *daemon;
    const struct cdi *known;
    struct cdi *cdi;
    char *problem;
    uint64_t until;
};

static int explain(const struct look *look, uint32_t group, const char *node, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(json_putp) json_object *findings = NULL;
    _cleanup_(freep) char *target = string_format("%u", group);
    const char *first;
    int grantable;
    int r = target ? explain_call_new(look->bus, look->daemon, target, &call) : -ENOMEM;

    if (r >= 0)
        r = sd_bus_call(look->bus, call, EXPLAIN_TIMEOUT_USEC, error, &reply);
    if (r >= 0)
        r = sd_bus_message_read(reply, "bs", &grantable, &first);
    if (r >= 0)
        r = json_from_message(reply, &findings);
    return r < 0 ? r : cdi_add_group(look->cdi, group, node, first, findings);
}

/* ---- No answer about a group ------------------------------------------------------------------ */

static bool is_one_of(const sd_bus_error *error, const char *const *names) {
    while (*names && !sd_bus_error_has_name(error, *names))
        names++;
    return *names;
}

static bool is_timeout(const sd_bus_error *error) {
    static const char *const names[] = {SD_BUS_ERROR_TIMEOUT, "org.freedesktop.DBus.Error.TimedOut", NULL};

    return is_one_of(error, names);
}

/* What is true of all groups: no memory, no daemon. */
static bool ends_look(const sd_bus_error *error, int r) {
    if (!sd_bus_error_is_set(error))
        return r == -ENOMEM;
    return exit_status_from_error(error->name) == STATUS_UNREACHABLE && !is_timeout(error);
}

static int note_problem(struct look *look, uint32_t group, const char *node, const sd_bus_error *error,
                        int r) {
    static const char *const passing[] = {"org.dmaownd1.Error.Busy", "org.dmaownd1.Error.QuotaExceeded",
                                          SD_BUS_ERROR_LIMITS_EXCEEDED, NULL};
    const char *text = !sd_bus_error_is_set(error) ? strerror(-r) : error->message ?: error->name;

    if (!look->problem && !(look->problem = string_format("group %u: %s", group, text)))
        return -ENOMEM;
    if (is_timeout(error) || is_one_of(error, passing))
        return cdi_add_known(look->cdi, look->known, node);
    return 0;
}

static int explain_in_time(const struct look *look, uint32_t group, const char *node, sd_bus_error *error) {
    if (now_monotonic() < look->until)
        return explain(look, group, node, error);
    return sd_bus_error_set(error, SD_BUS_ERROR_TIMEOUT, "the answers about other groups took too long");
}

static int ask_about(struct look *look, uint32_t group, const char *node, sd_bus_error *error) {
    int r = explain_in_time(look, group, node, error);

    if (r >= 0 || ends_look(error, r))
        return r;
    /* If it is there no more, a signal says so. */
    r = sd_bus_error_has_name(error, ERROR_NO_SUCH_TARGET) ? 0 : note_problem(look, group, node, error, r);
    sd_bus_error_free(error);
    return r;
}

/* ----------------------------------------------------------------------------------------------- */

static int ask_about_all(struct look *look, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    const char *node;
    uint32_t group;
    int r = sd_bus_message_new_method_call(look->bus, &call, look->daemon, DAEMON_PATH, MANAGER_INTERFACE,
                                           "ListGroups");

    if (r >= 0)
        r = sd_bus_call(look->bus, call, LIST_TIMEOUT_USEC, error, &reply);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(ussuso)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(ussuso)", &group, NULL, NULL, NULL, &node, NULL)) > 0)
        if (*node)
            r = ask_about(look, group, node, error);
    return r < 0 ? r : 0;
}

int cdi_ask(sd_bus *bus, const char *daemon, const struct cdi *known, struct cdi *cdi, char **ret_problem,
            sd_bus_error *error) {
    struct look look = {
        .bus = bus,
        .daemon = daemon,
        .known = known,
        .cdi = cdi,
        .until = now_monotonic() + LAST_QUESTION_USEC,
    };
    int r = ask_about_all(&look, error);

    if (r < 0)
        free(look.problem);
    else
        *ret_problem = look.problem;
    return r;
}
