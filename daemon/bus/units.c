/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/units.h"

#include <errno.h>
#include <syslog.h>

#include "util/hash.h"
#include "util/string.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD_NAME ".Manager"
#define SYSTEMD_UNIT SYSTEMD_NAME ".Unit"
#define UNIT_PREFIX SYSTEMD_PATH "/unit"
#define PROPERTIES "org.freedesktop.DBus.Properties"

#define UNIT_NAME_MAX 255
#define RETRY_SECONDS 5.

/* ---- One question */

bool unit_name_is_valid(const char *name) {
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                     ":-_.\\@";
    static const char *const suffixes[] = {
        ".service", ".socket", ".target", ".device", ".mount", ".automount",
        ".swap",    ".timer",  ".path",   ".slice",  ".scope",
    };
    const char *suffix = strrchr(name, '.'), *at = strchr(name, '@');
    bool known = false;

    if (!suffix || suffix == name || at == name || (at && at + 1 == suffix))
        return false;
    for (size_t i = 0; i < ELEMENTS_OF(suffixes); i++)
        known |= string_equal(suffix, suffixes[i]);
    return known && strlen(name) <= UNIT_NAME_MAX && !name[strspn(name, characters)];
}

static int read_property(sd_bus_message *reply, struct unit_state *state) {
    const char *name;
    int r = sd_bus_message_read(reply, "s", &name);

    if (r < 0)
        return r;
    if (string_equal(name, "Id"))
        return sd_bus_message_read(reply, "v", "s", &state->id);
    if (string_equal(name, "LoadState"))
        return sd_bus_message_read(reply, "v", "s", &state->load_state);
    if (string_equal(name, "ActiveState"))
        return sd_bus_message_read(reply, "v", "s", &state->active_state);
    if (string_equal(name, "Job"))
        return sd_bus_message_read(reply, "v", "(uo)", &state->job, NULL);
    return sd_bus_message_skip(reply, "v");
}

int unit_state_read(sd_bus_message *reply, struct unit_state *ret) {
    struct unit_state state = {.job = UINT32_MAX};
    int r = sd_bus_message_enter_container(reply, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
        r = read_property(reply, &state);
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    if (r < 0)
        return r;
    if (!state.id || !unit_name_is_valid(state.id) || !state.load_state || !state.active_state ||
        state.job == UINT32_MAX)
        return -EBADMSG;
    *ret = state;
    return 0;
}

/* A unit whose file was deleted or masked runs on all the same. */
enum unit_outcome unit_judge(const struct unit_state *state) {
    const char *active = state->active_state;
    bool loaded = string_equal(state->load_state, "loaded");

    if (string_equal(active, "inactive") || string_equal(active, "failed"))
        return state->job ? UNIT_ENDING : loaded ? UNIT_INACTIVE : UNIT_UNKNOWN;
    if (loaded && (string_equal(active, "active") || string_equal(active, "reloading") ||
                   string_equal(active, "activating")))
        return UNIT_ALIVE;
    return UNIT_ENDING;
}

struct question {
    unit_checked *done;
    void *userdata;
};

static int outcome_of_error(const sd_bus_error *error) {
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
        sd_bus_error_has_name(error, SYSTEMD_NAME ".NoSuchUnit"))
        return UNIT_UNKNOWN;
    int r = sd_bus_error_get_errno(error);
    return r > 0 ? -r : -EIO;
}

static int on_properties(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct question *question = userdata;
    struct unit_state state = {0};
    int r;

    if (sd_bus_message_is_method_error(reply, NULL)) {
        r = outcome_of_error(sd_bus_message_get_error(reply));
    } else {
        r = unit_state_read(reply, &state);
        if (r >= 0)
            r = (int)unit_judge(&state);
    }
    question->done(r, state.id, question->userdata);
    return 1;
}

static int new_question(sd_bus *connection, const char *path, sd_bus_message **ret) {
    int r = sd_bus_message_new_method_call(connection, ret, SYSTEMD_NAME, path, PROPERTIES, "GetAll");

    if (r >= 0)
        r = sd_bus_message_set_auto_start(*ret, false);
    if (r >= 0)
        r = sd_bus_message_append(*ret, "s", SYSTEMD_UNIT);
    return r;
}

int unit_check(struct bus *bus, const char *name, sd_bus_slot **slot, unit_checked *done,
               void *userdata) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *asked = NULL;
    _cleanup_(freep) struct question *question = NULL;
    _cleanup_(freep) char *path = NULL;

    if (!unit_name_is_valid(name))
        return UNIT_UNKNOWN;
    if (!bus->connection)
        return -ENOTCONN;
    question = malloc(sizeof(*question));
    if (!question)
        return -ENOMEM;
    *question = (struct question){.done = done, .userdata = userdata};
    int r = sd_bus_path_encode(UNIT_PREFIX, name, &path);
    if (r >= 0)
        r = new_question(bus->connection, path, &message);
    if (r >= 0)
        r = sd_bus_call_async(bus->connection, &asked, message, on_properties, question,
                              UNIT_TIMEOUT_SECONDS * UINT64_C(1000000));
    if (r >= 0)
        r = sd_bus_slot_set_destroy_callback(asked, free);
    if (r < 0)
        return r;
    (void)TAKE_POINTER(question);
    *slot = TAKE_POINTER(asked);
    return 0;
}

/* ---- Watching */

struct watch {
    struct units *units;
    char *id, *path; /* path is the key */
    unit_ended *ended;
    sd_bus_slot *check; /* under way */
    bool again;         /* something may have changed since, or it could not be checked */
    bool asked;         /* once, whatever the answer was */
    UT_hash_handle hh;
};

/* There is one while a unit is watched. */
struct units {
    struct bus *bus;
    struct watch *watches;
    sd_bus_slot *matches[4];
    ev_timer retry; /* for checks that failed */
};

static void check(struct watch *watch);

static struct watch *find_watch(const struct units *units, const char *path) {
    struct watch *watch = NULL;

    if (units && path)
        HASH_FIND_STR(units->watches, path, watch);
    return watch;
}

static struct watch *find_unit(const struct units *units, const char *id) {
    _cleanup_(freep) char *path = NULL;

    if (!units || sd_bus_path_encode(UNIT_PREFIX, id, &path) < 0)
        return NULL;
    return find_watch(units, path);
}

static void check_again(struct watch *watch) {
    watch->again = true;
    if (!watch->check)
        check(watch);
}

void units_recheck(struct bus *bus) {
    struct watch *watch, *next;

    if (!bus->units)
        return;
    HASH_ITER(hh, bus->units->watches, watch, next) {
        check_again(watch);
    }
}

/* Signals of other units come too: the rules do not name those that are watched. */
static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct watch *watch = find_watch(userdata, sd_bus_message_get_path(message));

    if (watch)
        check_again(watch);
    return 0;
}

static int on_unit_removed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    const char *id, *path;

    if (sd_bus_message_read(message, "so", &id, &path) >= 0) {
        struct watch *watch = find_watch(userdata, path);
        if (watch)
            check_again(watch);
    }
    return 0;
}

/* A queued job that is cancelled changes nothing else of an inactive unit. */
static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    const char *id;

    if (sd_bus_message_read(message, "uoss", NULL, NULL, &id, NULL) >= 0) {
        struct watch *watch = find_unit(userdata, id);
        if (watch)
            check_again(watch);
    }
    return 0;
}

static int on_subscribed(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const sd_bus_error *refusal = sd_bus_message_get_error(reply);

    if (refusal && !sd_bus_error_has_name(refusal, SYSTEMD_NAME ".AlreadySubscribed"))
        log_message(LOG_WARNING, "systemd will not tell when units end: %s",
                    refusal->message ?: refusal->name);
    return 1;
}

static int call_manager(struct bus *bus, const char *member, sd_bus_message_handler_t done) {
    return sd_bus_call_method_async(bus->connection, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                    SYSTEMD_MANAGER, member, done, NULL, NULL);
}

/* systemd is there again (it has executed itself, or it is a new one): what it sent in between is
 * lost, and it may not know that we listen. */
static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct units *units = userdata;
    const char *new_owner;

    if (sd_bus_message_read(message, "sss", NULL, NULL, &new_owner) < 0 || !*new_owner)
        return 0;
    (void)call_manager(units->bus, "Subscribe", on_subscribed);
    units_recheck(units->bus);
    return 0;
}

static int add_matches(struct units *units) {
    static const struct {
        const char *rule;
        sd_bus_message_handler_t handler;
    } matches[] = {
        {"type='signal',sender='" SYSTEMD_NAME "',interface='" PROPERTIES "',"
         "member='PropertiesChanged',path_namespace='" UNIT_PREFIX "',arg0='" SYSTEMD_UNIT "'",
         on_changed},
        {"type='signal',sender='" SYSTEMD_NAME "',interface='" SYSTEMD_MANAGER "',"
         "member='UnitRemoved',path='" SYSTEMD_PATH "'",
         on_unit_removed},
        {"type='signal',sender='" SYSTEMD_NAME "',interface='" SYSTEMD_MANAGER "',"
         "member='JobRemoved',path='" SYSTEMD_PATH "'",
         on_job_removed},
        {"type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
         "member='NameOwnerChanged',path='/org/freedesktop/DBus',arg0='" SYSTEMD_NAME "'",
         on_owner_changed},
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(matches); i++)
        r = sd_bus_add_match_async(units->bus->connection, &units->matches[i], matches[i].rule,
                                   matches[i].handler, NULL, units);
    return r < 0 ? r : 0;
}

static void watch_free(struct watch *watch) {
    sd_bus_slot_unref(watch->check);
    free(watch->id);
    free(watch->path);
    free(watch);
}

static void forget(struct watch *watch) {
    HASH_DEL(watch->units->watches, watch);
    watch_free(watch);
}

static void units_free(struct units *units) {
    struct watch *watch, *next;

    HASH_ITER(hh, units->watches, watch, next) {
        forget(watch);
    }
    for (size_t i = 0; i < ELEMENTS_OF(units->matches); i++)
        sd_bus_slot_unref(units->matches[i]);
    ev_timer_stop(units->bus->loop, &units->retry);
    free(units);
}
DEFINE_CLEANUP(struct units *, units_free)

void units_drop_all(struct bus *bus) {
    if (!bus->units)
        return;
    units_free(TAKE_POINTER(bus->units));
    if (bus->connection)
        (void)call_manager(bus, "Unsubscribe", NULL);
}

static void forget_and_leave(struct bus *bus, struct watch *watch) {
    forget(watch);
    if (!bus->units->watches)
        units_drop_all(bus);
}

static void retry_later(struct units *units) {
    if (ev_is_active(&units->retry))
        return;
    ev_now_update(units->bus->loop);
    ev_timer_set(&units->retry, RETRY_SECONDS, 0.);
    ev_timer_start(units->bus->loop, &units->retry);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events) {
    struct units *units = timer->data;
    struct watch *watch, *next;

    HASH_ITER(hh, units->watches, watch, next) {
        if (watch->again)
            check_again(watch);
    }
}

static bool all_asked(const struct units *units) {
    for (const struct watch *watch = units ? units->watches : NULL; watch; watch = watch->hh.next)
        if (!watch->asked)
            return false;
    return true;
}

void units_when_asked(struct bus *bus, units_asked *asked) {
    if (all_asked(bus->units))
        asked(bus);
    else
        bus->units_asked = asked;
}

static void note_asked(struct bus *bus) {
    units_asked *asked = bus->units_asked;

    if (!asked || !all_asked(bus->units))
        return;
    bus->units_asked = NULL;
    asked(bus);
}

static void take_answer(struct watch *watch, int result) {
    struct units *units = watch->units;

    watch->asked = true;
    watch->check = sd_bus_slot_unref(watch->check);
    if (result == UNIT_INACTIVE || result == UNIT_UNKNOWN) {
        _cleanup_(freep) char *unit = TAKE_POINTER(watch->id);
        unit_ended *ended = watch->ended;
        struct bus *bus = units->bus;
        forget_and_leave(bus, watch);
        ended(bus, unit);
    } else if (result < 0) {
        watch->again = true;
        retry_later(units);
    } else if (watch->again) {
        check(watch);
    }
}

static void on_checked(int result, const char *id, void *userdata) {
    struct watch *watch = userdata;
    struct bus *bus = watch->units->bus;

    take_answer(watch, result);
    note_asked(bus);
}

static void check(struct watch *watch) {
    struct units *units = watch->units;

    watch->again = unit_check(units->bus, watch->id, &watch->check, on_checked, watch) != 0;
    if (watch->again)
        retry_later(units);
}

static int units_begin(struct bus *bus) {
    _cleanup_(units_freep) struct units *units = calloc(1, sizeof(*units));

    if (!units)
        return -ENOMEM;
    units->bus = bus;
    ev_init(&units->retry, on_retry);
    units->retry.data = units;
    int r = add_matches(units);
    /* systemd sends no signals about units as long as nobody has asked it to. */
    if (r >= 0)
        r = call_manager(bus, "Subscribe", on_subscribed);
    if (r < 0)
        return r;
    bus->units = TAKE_POINTER(units);
    return 0;
}

static int add_watch(struct units *units, const char *id, unit_ended *ended) {
    struct watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->units = units;
    watch->ended = ended;
    watch->id = strdup(id);
    int r = sd_bus_path_encode(UNIT_PREFIX, id, &watch->path);
    if (r >= 0 && watch->id)
        HASH_ADD_KEYPTR(hh, units->watches, watch->path, strlen(watch->path), watch);
    if (!watch->hh.tbl) {
        watch_free(watch);
        return -ENOMEM;
    }
    check(watch);
    return 0;
}

int units_watch(struct bus *bus, const char *id, unit_ended *ended) {
    if (!unit_name_is_valid(id))
        return -EINVAL;
    if (!bus->connection)
        return -ENOTCONN;
    if (find_unit(bus->units, id))
        return 0;
    int r = bus->units ? 0 : units_begin(bus);
    if (r >= 0)
        r = add_watch(bus->units, id, ended);
    if (r < 0 && bus->units && !bus->units->watches)
        units_drop_all(bus);
    return r;
}

void units_unwatch(struct bus *bus, const char *id) {
    struct watch *watch = find_unit(bus->units, id);

    if (!watch)
        return;
    forget_and_leave(bus, watch);
    note_asked(bus);
}
