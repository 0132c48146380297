/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any arguments of Claim, Explain, Detach, Revoke and FindGroup: nothing breaks and nothing leaks, the
 * limits hold for what is taken, and what is not is answered by one sentence with an error's name.
 *
 * The first byte of the input is the method, the second one holds bits of the world that it meets (see
 * prepare()). Then come lines, as bus-message.h says; with bit RAW it is the body of the message as it
 * stands. Messages go through a socket between two connections of the library: there is no bus. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "bus-message.h"
#include "bus/claim.h"
#include "bus/question.h"
#include "bus/units.h"
#include "bus-world.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 16384
#define ERROR_TEXT_MAX 1024
#define SENDER ":1.7"
#define SYSTEMD "org.freedesktop.systemd1"

enum { ROOT = 1, FEW_TARGETS = 2, NO_POLICY = 4, UNIT_IS_GONE = 8, RAW = 16 };

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static struct manager manager;
static struct policy *generous, *narrow;
static struct bus bus;
static sd_bus *peer;
static int peer_fd = -1;
static int fds[2]; /* what a caller passes: one that is no pidfd, and one that is */
static struct identity caller = {.name = (char[]){SENDER}, .known = true, .unit = (char[]){""}};

static unsigned world; /* the bits of this input */
static unsigned n_taken, n_answers;

/* ---- What is checked */

static size_t target_limit(void) {
    return world & NO_POLICY ? TARGETS_MAX : policy_limits(manager.policy)->targets_per_call;
}

static void check_text(const char *text, size_t limit) {
    EXPECT(text && strlen(text) <= limit && text_is_printable(text));
}

static void check_targets(const struct targets *targets) {
    EXPECT(targets->n_groups + targets->n_groupless > 0);
    EXPECT(targets->n_groups + targets->n_groupless <= target_limit());
    EXPECT(targets->n_named <= target_limit());
    for (size_t i = 0; i < targets->n_groups; i++) {
        EXPECT(model_group(&manager.model, targets->groups[i]->id) == targets->groups[i]);
        for (size_t j = 0; j < i; j++)
            EXPECT(targets->groups[i] != targets->groups[j]);
    }
    for (size_t i = 0; i < targets->n_groupless; i++)
        EXPECT(!targets->groupless[i]->group);
    for (size_t i = 0; i < targets->n_named; i++)
        EXPECT(model_device(&manager.model, targets->named[i]->path) == targets->named[i]);
}

static void check_claim_options(const struct claim_options *options, bool for_claim) {
    EXPECT(options->mode == POLICY_MODE_PATH || options->mode == POLICY_MODE_FD);
    EXPECT(policy_lifetime_to_string(options->lifetime));
    EXPECT(options->ttl <= OPTION_TTL_MAX);
    check_text(options->key, OPTION_TEXT_MAX);
    check_text(options->comment, OPTION_TEXT_MAX);
    EXPECT(!options->has_uid || options->uid != UID_NONE);
    EXPECT(!for_claim || !options->has_uid || options->mode == POLICY_MODE_PATH);
    EXPECT(!options->container ||
           (options->mode == POLICY_MODE_FD && options->interface == LEASE_INTERFACE_GROUP));
    EXPECT((options->unit != NULL) == (options->lifetime == POLICY_LIFETIME_UNIT));
    EXPECT(options->lifetime == POLICY_LIFETIME_PROCESS || (!options->pid && options->pidfd < 0));
}

static void check_claim(const struct claim *claim) {
    EXPECT(claim->lifetime != POLICY_LIFETIME_PROCESS || claim->kept_pid > 0);
    EXPECT(claim->lifetime != POLICY_LIFETIME_UNIT || unit_name_is_valid(claim->kept_unit));
    EXPECT(claim->mode != POLICY_MODE_FD || claim->n_groups <= LEASE_FDS_MAX);
}

/* What would be answered can be said, whatever the devices are called. */
static void judge(const struct claim *claim) {
    struct verdict_request request = manager_request(&manager, claim);
    _cleanup_(verdict_done) struct verdict verdict = {0};
    bool same;

    verdict_reach(&request, &verdict);
    EXPECT(verdict.grantable == (verdict.first == REASON_NONE));
    EXPECT(!(world & NO_POLICY) || !verdict.grantable);
    for (size_t i = 0; i < verdict.n_findings; i++) {
        _cleanup_(freep) char *text = finding_text(&verdict.findings[i], &request);
        check_text(text, ERROR_TEXT_MAX);
    }
    (void)manager_find_repeated(&manager, claim, &same);
}

/* ---- Handlers: the parts of the daemon's that read a message */

static int take(struct call *call, int r) {
    n_taken++;
    r = sd_bus_reply_method_return(call->message, NULL);
    EXPECT(r >= 0);
    return CALL_DONE;
}

static int ask(struct call *call, bool for_claim) {
    _cleanup_(question_done) struct question question = {0};
    int r = question_read(call, for_claim, &question);

    if (r != CALL_PROCEEDS)
        return r;
    check_targets(&question.targets);
    check_claim_options(&question.options, for_claim);
    check_claim(&question.claim);
    judge(&question.claim);
    return take(call, r);
}

static int ask_claim(struct call *call) {
    return ask(call, true);
}

static int ask_explain(struct call *call) {
    return ask(call, false);
}

static int ask_switch(struct call *call) {
    _cleanup_(question_done) struct question question = {0};
    struct switch_options options;
    int r = question_read_switch(call, &options, &question);

    if (r != CALL_PROCEEDS)
        return r;
    check_targets(&question.targets);
    EXPECT(options.wait <= OPTION_WAIT_MAX);
    judge(&question.claim);
    return take(call, r);
}

static int ask_revoke(struct call *call) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct revoke_options options;
    int r = revoke_options_read(call->message, &options, &refusal);

    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    EXPECT(options.timeout <= OPTION_TIMEOUT_MAX);
    return take(call, r);
}

static int find_group(struct call *call) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct group *group = NULL;
    struct device *device = NULL;
    const char *target;
    int r = sd_bus_message_read(call->message, "s", &target);

    if (r < 0)
        return r;
    (void)bus_find_device(&manager, target);
    (void)bus_find_group(&manager, target);
    (void)bus_find_lease(&manager, target);
    r = target_find(&manager, target, &group, &device, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    EXPECT(group || device);
    return take(call, r);
}

static const struct method {
    const char *name, *signature;
    call_handler *handler;
} methods[] = {
    {"Claim", "asa{sv}", ask_claim},   {"Explain", "asa{sv}", ask_explain},
    {"Detach", "asa{sv}", ask_switch}, {"Revoke", "a{sv}", ask_revoke},
    {"FindGroup", "s", find_group},
};

/* ---- The two ends */

static int on_call(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    for (size_t i = 0; i < ELEMENTS_OF(methods); i++)
        if (sd_bus_message_is_method_call(message, NULL, methods[i].name))
            return call_start(&bus, message, methods[i].handler);
    return 0;
}

/* As systemd says it. */
static void answer_unit(sd_bus_message *call) {
    const char *load = world & UNIT_IS_GONE ? "not-found" : "loaded";
    const char *active = world & UNIT_IS_GONE ? "inactive" : "active";

    EXPECT(sd_bus_reply_method_return(call, "a{sv}", 4, "Id", "s", "a.service", "LoadState", "s", load,
                                      "ActiveState", "s", active, "Job", "(uo)", 0, "/") >= 0);
}

/* A body that is none is the library's to refuse, all else has a name of the interface. */
static void check_error(const sd_bus_error *error) {
    bool ours = string_after(error->name, BUS_NAME ".Error.");

    EXPECT(ours || (world & RAW));
    if (!ours)
        return;
    check_text(error->message, ERROR_TEXT_MAX);
    EXPECT(*error->message && error->message[strlen(error->message) - 1] == '.');
}

static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "GetAll")) {
        answer_unit(message);
        return 1;
    }
    n_answers++;
    if (sd_bus_message_is_method_error(message, NULL))
        check_error(sd_bus_message_get_error(message));
    else
        EXPECT(n_taken == 1);
    return 1;
}

static void connect_ends(void) {
    sd_id128_t id;
    int ends[2];

    EXPECT(sd_id128_randomize(&id) == 0);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    EXPECT(sd_bus_new(&bus.connection) >= 0 && sd_bus_new(&peer) >= 0);
    EXPECT(sd_bus_set_fd(bus.connection, ends[0], ends[0]) >= 0);
    EXPECT(sd_bus_negotiate_fds(bus.connection, 1) >= 0 && sd_bus_negotiate_fds(peer, 1) >= 0);
    EXPECT(sd_bus_set_fd(peer, ends[1], ends[1]) >= 0);
    EXPECT(sd_bus_set_server(peer, 1, id) >= 0);
    EXPECT(sd_bus_add_filter(peer, NULL, on_answer, NULL) >= 0);
    EXPECT(sd_bus_add_filter(bus.connection, NULL, on_call, NULL) >= 0);
    EXPECT(sd_bus_start(peer) >= 0 && sd_bus_start(bus.connection) >= 0);
    for (unsigned rounds = 0; sd_bus_is_ready(bus.connection) <= 0 || sd_bus_is_ready(peer) <= 0; rounds++) {
        EXPECT(rounds < 1000);
        EXPECT(sd_bus_process(bus.connection, NULL) >= 0 && sd_bus_process(peer, NULL) >= 0);
    }
    peer_fd = ends[1];
}

static void disconnect_ends(void) {
    units_drop_all(&bus);
    bus.connection = sd_bus_close_unref(bus.connection);
    peer = sd_bus_close_unref(peer);
}

/* Until neither side has anything left to say. False if one has hung up. */
static bool pump(void) {
    int ours, theirs;

    do {
        ours = sd_bus_process(bus.connection, NULL);
        theirs = sd_bus_process(peer, NULL);
    } while (ours > 0 || theirs > 0);
    return ours == 0 && theirs == 0 && sd_bus_is_open(bus.connection) > 0 && sd_bus_is_open(peer) > 0;
}

/* ---- The input */

static void set_up(void) {
    world_fill(&manager.model, &manager.leases);
    generous = world_policy("64");
    narrow = world_policy("3");
    fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    fds[1] = pidfd_open(getpid(), 0);
    EXPECT(generous && narrow && fds[0] >= 0 && fds[1] >= 0);
    caller.pid = getpid();
    caller.bus = &bus;
    bus.manager = &manager;
    bus.loop = ev_loop_new(EVFLAG_NOENV | EVFLAG_AUTO);
    EXPECT(bus.loop);
    HASH_ADD_KEYPTR(hh, bus.identities, caller.name, strlen(caller.name), &caller);
    connect_ends();
}

static void prepare(uint8_t bits) {
    world = bits;
    manager.policy = world & NO_POLICY ? NULL : world & FEW_TARGETS ? narrow : generous;
    caller.uid = world & ROOT ? 0 : 1000;
    n_taken = n_answers = 0;
}

/* 0 if it was sent: text need not be what the library takes. */
static int send_call(const struct method *method, const char *text) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    uint64_t cookie; /* whoever asks for none gets no answer */
    int r = sd_bus_message_new_method_call(peer, &message, NULL, "/a", "a.b", method->name);

    if (r >= 0)
        r = sd_bus_message_set_sender(message, SENDER);
    if (r >= 0 && *method->signature == 's')
        r = sd_bus_message_append(message, "s", text);
    if (r >= 0 && string_after(method->signature, "as"))
        r = append_targets(message, text);
    if (r >= 0 && *method->signature == 'a')
        r = append_options(message, text, fds);
    return r < 0 ? r : sd_bus_send(peer, message, &cookie);
}

/* By the first letter of its name. */
static const struct method *method_of(uint8_t letter) {
    for (size_t i = 0; i < ELEMENTS_OF(methods); i++)
        if (methods[i].name[0] == letter)
            return &methods[i];
    return &methods[letter % ELEMENTS_OF(methods)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > INPUT_MAX)
        return 0;
    if (!bus.loop)
        set_up();
    const struct method *method = method_of(data[0]);
    _cleanup_(freep) char *text = strndup((const char *)data + 2, size - 2);
    EXPECT(text);
    prepare(data[1]);
    int r = !(world & RAW) ? send_call(method, text)
            : size > 2     ? write_raw_call(peer_fd, method->name, method->signature, data + 2, size - 2)
                           : -EINVAL;
    bool connected = pump();
    EXPECT(n_answers <= 1 && (r < 0 || n_answers == 1 || (world & RAW)));
    calls_drop_all(&bus);
    EXPECT(!bus.calls);
    if (!connected) {
        EXPECT(world & RAW);
        disconnect_ends();
        connect_ends();
    }
    return 0;
}
