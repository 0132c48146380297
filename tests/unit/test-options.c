/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of Claim, Explain and Revoke: every one, and every combination that is none. Messages
 * are made by the library and read back; nobody sends them. */
#include "bus/options.h"

#include <fcntl.h>

#include "units-fixture.h"

static struct claim_options claim;
static struct revoke_options revocation;
static struct refusal refusal;
static sd_bus_message *message;

/* ---- Messages out of text: "mode=s:fd;ttl=t:60;container=b:1" */

static void append_value(const char *type, const char *text) {
    unsigned long long number = strtoull(text, NULL, 0);

    switch (*type) {
    case 's':
    case 'o':
        ck_assert_int_ge(sd_bus_message_append_basic(message, *type, text), 0);
        break;
    case 't':
    case 'x':
        ck_assert_int_ge(sd_bus_message_append_basic(message, *type, &(uint64_t){number}), 0);
        break;
    case 'a':
        ck_assert_int_ge(sd_bus_message_append(message, type, 1, text), 0);
        break;
    case 'v':
        ck_assert_int_ge(sd_bus_message_append(message, "v", "s", text), 0);
        break;
    default: /* u, i, b, h, and y, which is the first byte */
        ck_assert_int_ge(sd_bus_message_append_basic(message, *type, &(uint32_t){(uint32_t)number}),
                         0);
    }
}

static void append_option(char *text) {
    char *type = strchr(text, '='), *value = strchr(text, ':');

    ck_assert_msg(type && value, "%s", text);
    *type++ = *value++ = 0;
    ck_assert_int_ge(sd_bus_message_open_container(message, 'e', "sv"), 0);
    ck_assert_int_ge(sd_bus_message_append(message, "s", text), 0);
    ck_assert_int_ge(sd_bus_message_open_container(message, 'v', type), 0);
    append_value(type, value);
    ck_assert_int_ge(sd_bus_message_close_container(message), 0);
    ck_assert_int_ge(sd_bus_message_close_container(message), 0);
}

static void begin_message(void) {
    message = sd_bus_message_unref(message);
    ck_assert_int_ge(
        sd_bus_message_new_method_call(bus.connection, &message, "a.b", "/a", "a.b", "C"), 0);
}

static void make_message(const char *options) {
    _cleanup_(freep) char *copy = strdup(options);
    char *rest = copy, *option;

    begin_message();
    ck_assert_int_ge(sd_bus_message_open_container(message, 'a', "{sv}"), 0);
    while ((option = strsep(&rest, ";")))
        if (*option)
            append_option(option);
    ck_assert_int_ge(sd_bus_message_close_container(message), 0);
    ck_assert_int_ge(sd_bus_message_seal(message, 1, 0), 0);
}

static int read_claim(const char *options) {
    refusal_done(&refusal);
    make_message(options);
    return claim_options_read(message, &claim, &refusal);
}

static int read_revoke(const char *options) {
    refusal_done(&refusal);
    make_message(options);
    return revoke_options_read(message, &revocation, &refusal);
}

static void take(const char *options) {
    ck_assert_msg(read_claim(options) == OUTCOME_OK, "%s: %s", options, refusal.text);
    ck_assert_ptr_null(refusal.text);
}

/* Refused, by a whole sentence that says this; what was there before is left alone. */
static void assert_refused(const char *options, int r, const char *says) {
    ck_assert_msg(r == OUTCOME_INVALID_OPTION, "%s: %d", options, r);
    ck_assert_int_eq(refusal.outcome, OUTCOME_INVALID_OPTION);
    ck_assert_msg(strstr(refusal.text, says), "%s: %s", options, refusal.text);
    ck_assert_int_eq(refusal.text[strlen(refusal.text) - 1], '.');
    ck_assert(text_is_printable(refusal.text));
}

static void options_set_up(void) {
    set_up();
    memset(&claim, 0, sizeof(claim));
    memset(&revocation, 0, sizeof(revocation));
}

static void options_tear_down(void) {
    message = sd_bus_message_unref(message);
    refusal_done(&refusal);
    tear_down();
}

/* ---- Claim */

START_TEST(test_defaults) {
    take("");
    ck_assert_uint_eq(claim.mode, POLICY_MODE_PATH);
    ck_assert_uint_eq(claim.lifetime, POLICY_LIFETIME_CONNECTION);
    ck_assert_int_eq(claim.interface, LEASE_INTERFACE_DEFAULT);
    ck_assert_uint_eq(claim.ttl, 0);
    ck_assert(!claim.has_uid && !claim.container && !claim.detach && !claim.reattach);
    ck_assert_str_eq(claim.key, "");
    ck_assert_str_eq(claim.comment, "");
    ck_assert_int_eq(claim.pid, 0);
    ck_assert_int_eq(claim.pidfd, -1);
    ck_assert_ptr_null(claim.unit);
}
END_TEST

START_TEST(test_values) {
    take("mode=s:path;interface=s:cdev;lifetime=s:persistent;ttl=t:60;uid=u:0;key=s:vm-1;"
         "comment=s:für den Versuch;container=b:0;detach=b:0;reattach=b:0");
    ck_assert_uint_eq(claim.mode, POLICY_MODE_PATH);
    ck_assert_int_eq(claim.interface, LEASE_INTERFACE_CDEV);
    ck_assert_uint_eq(claim.lifetime, POLICY_LIFETIME_PERSISTENT);
    ck_assert_uint_eq(claim.ttl, 60);
    ck_assert(claim.has_uid && claim.uid == 0);
    ck_assert_str_eq(claim.key, "vm-1");
    ck_assert_str_eq(claim.comment, "für den Versuch");
    ck_assert(!claim.container && !claim.detach && !claim.reattach);
}
END_TEST

START_TEST(test_lifetimes) {
    static const struct {
        const char *name;
        unsigned lifetime;
    } lifetimes[] = {
        {"connection", POLICY_LIFETIME_CONNECTION}, {"fd", POLICY_LIFETIME_FD},
        {"process", POLICY_LIFETIME_PROCESS},       {"persistent", POLICY_LIFETIME_PERSISTENT},
    };

    for (size_t i = 0; i < ELEMENTS_OF(lifetimes); i++) {
        char options[64];
        snprintf(options, sizeof(options), "ttl=t:1;lifetime=s:%s", lifetimes[i].name);
        take(options);
        ck_assert_uint_eq(claim.lifetime, lifetimes[i].lifetime);
        ck_assert_uint_eq(claim.ttl, 1);
    }
    take("lifetime=s:unit;unit=s:a.service");
    ck_assert_uint_eq(claim.lifetime, POLICY_LIFETIME_UNIT);
    ck_assert_str_eq(claim.unit, "a.service");
}
END_TEST

START_TEST(test_process) {
    struct stat ours, theirs;

    take("lifetime=s:process;pid=u:812");
    ck_assert_int_eq(claim.pid, 812);
    ck_assert_int_eq(claim.pidfd, -1);
    take("pid=u:2147483647;lifetime=s:process"); /* in any order */
    ck_assert_int_eq(claim.pid, INT32_MAX);
    int fd = open("/", O_RDONLY | O_CLOEXEC);
    char options[64];
    snprintf(options, sizeof(options), "lifetime=s:process;pidfd=h:%d", fd);
    take(options);
    ck_assert_int_eq(claim.pid, 0);
    ck_assert_int_eq(fstat(fd, &ours), 0);
    ck_assert_int_eq(fstat(claim.pidfd, &theirs), 0); /* whether it is one is seen later */
    ck_assert_uint_eq(ours.st_ino, theirs.st_ino);
    close(fd);
}
END_TEST

/* A container has groups, so it asks for them where both would do. */
START_TEST(test_container) {
    take("mode=s:fd;container=b:1");
    ck_assert(claim.container);
    ck_assert_int_eq(claim.interface, LEASE_INTERFACE_GROUP);
    take("container=b:1;interface=s:group;mode=s:fd");
    ck_assert(claim.container);
    take("mode=s:fd;container=b:0;interface=s:cdev");
    ck_assert(!claim.container);
    ck_assert_int_eq(claim.interface, LEASE_INTERFACE_CDEV);
    take("mode=s:fd");
    ck_assert_uint_eq(claim.mode, POLICY_MODE_FD);
    ck_assert_int_eq(claim.interface, LEASE_INTERFACE_DEFAULT);
}
END_TEST

START_TEST(test_switching) {
    take("detach=b:1");
    ck_assert(claim.detach && !claim.reattach);
    take("reattach=b:1");
    ck_assert(claim.reattach && !claim.detach);
}
END_TEST

static const struct {
    const char *options, *says;
} refused[] = {
    {"container=b:1", "container goes with mode fd"},
    {"container=b:1;mode=s:path", "container goes with mode fd"},
    {"mode=s:fd;interface=s:cdev;container=b:1", "container goes with interface group"},
    {"container=b:1;interface=s:cdev", "container"},
    {"pid=u:812", "go with lifetime process"},
    {"pid=u:812;lifetime=s:fd", "go with lifetime process"},
    {"pid=u:812;lifetime=s:unit;unit=s:a.service", "go with lifetime process"},
    {"lifetime=s:persistent;pid=u:812", "go with lifetime process"},
    {"pidfd=h:0", "go with lifetime process"},
    {"lifetime=s:fd;pidfd=h:0", "go with lifetime process"},
    {"lifetime=s:process;pid=u:812;pidfd=h:0", "exclude each other"},
    {"lifetime=s:process;pid=u:0", "Option pid: 0 is no process"},
    {"lifetime=s:process;pid=u:2147483648", "2147483648 is no process"},
    {"lifetime=s:process;pid=u:4294967295", "4294967295 is no process"},
    {"lifetime=s:unit", "needs option unit"},
    {"unit=s:a.service", "unit goes with lifetime unit"},
    {"unit=s:", "unit goes with lifetime unit"},
    {"unit=s:a.service;lifetime=s:process", "unit goes with lifetime unit"},
    {"unit=s:a.service;lifetime=s:connection", "unit goes with lifetime unit"},
    {"lifetime=s:unit;unit=s:a\n.service", "unit has characters"},
    {"ttl=t:0", "ttl is a number of seconds from 1"},
    {"ttl=t:18446744073709551615", "ttl is a number of seconds from 1"},
    {"ttl=t:316224001", "ttl is a number of seconds from 1"},
    {"mode=s:", "mode is"},
    {"mode=s:Fd", "mode is"},
    {"mode=s:path,fd", "mode is"},
    {"interface=s:", "interface is"},
    {"interface=s:default", "interface is"},
    {"lifetime=s:", "lifetime is"},
    {"lifetime=s:session", "lifetime is"},
    {"uid=u:4294967295", "is no user"},
    {"key=s:a\tb", "key has characters"},
    {"comment=s:\x7f", "comment has characters"},
    /* wrong types */
    {"mode=b:1", "Option mode has type s, not b"},
    {"mode=o:/fd", "Option mode has type s, not o"},
    {"mode=v:fd", "Option mode has type s, not v"},
    {"mode=as:fd", "Option mode has type s, not as"},
    {"interface=u:1", "interface has type s"},
    {"lifetime=u:1", "lifetime has type s"},
    {"ttl=u:60", "ttl has type t, not u"},
    {"ttl=x:60", "ttl has type t, not x"},
    {"ttl=s:60", "ttl has type t, not s"},
    {"uid=t:900", "uid has type u, not t"},
    {"uid=i:900", "uid has type u, not i"},
    {"uid=s:dpdk", "uid has type u, not s"},
    {"container=u:1;mode=s:fd", "container has type b, not u"},
    {"container=s:true;mode=s:fd", "container has type b, not s"},
    {"detach=y:1", "detach has type b, not y"},
    {"reattach=i:1", "reattach has type b, not i"},
    {"lifetime=s:process;pid=i:812", "pid has type u, not i"},
    {"lifetime=s:process;pid=t:812", "pid has type u, not t"},
    {"lifetime=s:process;pidfd=u:0", "pidfd has type h, not u"},
    {"lifetime=s:process;pid=h:0", "pid has type u, not h"},
    {"lifetime=s:unit;unit=o:/a", "unit has type s, not o"},
    {"key=o:/a", "key has type s, not o"},
    {"comment=u:1", "comment has type s, not u"},
    /* twice, and unknown */
    {"mode=s:fd;mode=s:fd", "mode is given twice"},
    {"ttl=t:1;mode=s:fd;ttl=t:2", "ttl is given twice"},
    {"lifetime=s:process;pid=u:1;pid=u:1", "pid is given twice"},
    {"lifetime=s:process;pidfd=h:0;pidfd=h:0", "pidfd is given twice"},
    {"container=b:0;container=b:0", "container is given twice"},
    {"unit=s:a.service;unit=s:a.service", "unit is given twice"},
    {"timeout=t:1", "\"timeout\" is not known"},
    {"unbind=b:0", "\"unbind\" is not known"},
    {"Mode=s:fd", "\"Mode\" is not known; there are mode, interface"},
    {"=s:fd", "\"\" is not known"},
    {"a\x1b[2J=s:fd", "\"a\\x1b[2J\" is not known"},
    {"mode=s:fd;x=v:1", "\"x\" is not known"},
};

START_TEST(test_refused) {
    claim.ttl = 77;
    assert_refused(refused[_i].options, read_claim(refused[_i].options), refused[_i].says);
    ck_assert_uint_eq(claim.ttl, 77);
}
END_TEST

START_TEST(test_bounds) {
    char options[400] = "key=s:";

    take("ttl=t:316224000");
    ck_assert_uint_eq(claim.ttl, OPTION_TTL_MAX);
    memset(options + 6, 'k', OPTION_TEXT_MAX);
    take(options);
    ck_assert_uint_eq(strlen(claim.key), OPTION_TEXT_MAX);
    options[6 + OPTION_TEXT_MAX] = 'k';
    assert_refused("a long key", read_claim(options), "key is longer than 256 bytes");
    memcpy(options, "x", 1); /* a name of nobody's, and long */
    memset(options + 1, 'y', 300);
    strcpy(options + 300, "=s:v");
    assert_refused("a long name", read_claim(options), "yyy\" is not known");
    /* one that would be cut inside a character */
    strcpy(options + 63, "\xc3\xa9=s:v");
    assert_refused("an odd long name", read_claim(options), "y\\xc3\" is not known");
}
END_TEST

/* Something else than options stands there. */
START_TEST(test_no_options) {
    begin_message();
    ck_assert_int_ge(sd_bus_message_append(message, "s", "mode"), 0);
    ck_assert_int_ge(sd_bus_message_seal(message, 1, 0), 0);
    ck_assert_int_lt(claim_options_read(message, &claim, &refusal), 0);
}
END_TEST

/* ---- Revoke */

START_TEST(test_revoke) {
    ck_assert_int_eq(read_revoke(""), OUTCOME_OK);
    ck_assert(revocation.timeout == 0 && !revocation.unbind);
    ck_assert_int_eq(read_revoke("unbind=b:1;timeout=t:3600"), OUTCOME_OK);
    ck_assert(revocation.timeout == 3600 && revocation.unbind);
    ck_assert_int_eq(read_revoke("timeout=t:0;unbind=b:0"), OUTCOME_OK);
    ck_assert(revocation.timeout == 0 && !revocation.unbind);
}
END_TEST

static const struct {
    const char *options, *says;
} revoke_refused[] = {
    {"timeout=t:3601", "timeout is a number of seconds from 0 to 3600"},
    {"timeout=t:18446744073709551615", "timeout is a number"},
    {"timeout=u:1", "timeout has type t, not u"},
    {"timeout=s:1", "timeout has type t, not s"},
    {"unbind=u:1", "unbind has type b, not u"},
    {"unbind=b:0;unbind=b:1", "unbind is given twice"},
    {"timeout=t:1;timeout=t:1", "timeout is given twice"},
    {"mode=s:fd", "\"mode\" is not known; there are timeout and unbind"},
};

START_TEST(test_revoke_refused) {
    revocation.timeout = 77;
    assert_refused(revoke_refused[_i].options, read_revoke(revoke_refused[_i].options),
                   revoke_refused[_i].says);
    ck_assert_uint_eq(revocation.timeout, 77);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("options");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, options_set_up, options_tear_down);
    tcase_add_test(all, test_defaults);
    tcase_add_test(all, test_values);
    tcase_add_test(all, test_lifetimes);
    tcase_add_test(all, test_process);
    tcase_add_test(all, test_container);
    tcase_add_test(all, test_switching);
    tcase_add_loop_test(all, test_refused, 0, ELEMENTS_OF(refused));
    tcase_add_test(all, test_bounds);
    tcase_add_test(all, test_no_options);
    tcase_add_test(all, test_revoke);
    tcase_add_loop_test(all, test_revoke_refused, 0, ELEMENTS_OF(revoke_refused));
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
