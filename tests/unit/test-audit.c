/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/audit.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "record/denials.h"
#include "record/entry.h"
#include "record/message-ids.h"
#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

#define SECOND UINT64_C(1000000)

static struct tree tree;
static struct audit *audit;

/* What goes to standard error lands in a file. */
static void set_up(void) {
    tree_begin(&tree);
    ck_assert_ptr_nonnull(freopen(tree_path(&tree, "stderr"), "w", stderr));
    ck_assert_int_eq(audit_new(true, &audit), 0);
}

static void tear_down(void) {
    audit = audit_free(audit);
    tree_end(&tree);
}

/* All that was written up to now; the caller's. */
static char *written(void) {
    char *text = NULL;

    ck_assert_int_eq(file_read(tree.fd, "stderr", 1 << 20, &text, NULL), 0);
    return text;
}

static void assert_written(const char *expected) {
    _cleanup_(freep) char *text = written();

    ck_assert_str_eq(text, expected);
}

static unsigned n_lines(void) {
    _cleanup_(freep) char *text = written();
    unsigned n = 0;

    for (const char *at = text; (at = strchr(at, '\n')); at++)
        n++;
    return n;
}

START_TEST(test_all_fields) {
    static const uint32_t groups[] = {7, 0};
    static const char *const devices[] = {"0000:00:05.0", "0000:00:05.1", NULL};

    audit_write(audit, &(struct audit_event){
                           .kind = AUDIT_GRANTED,
                           .message = "Group 7 was granted.",
                           .groups = groups,
                           .n_groups = 2,
                           .devices = devices,
                           .lease = 12,
                           .uid = 1000,
                           .claimant_uid = 0,
                           .pid = 4711,
                           .unit = "dpdk.service",
                           .sender = ":1.42",
                           .rule = "dpdk-nics",
                           .reason = "because",
                       });
    assert_written("dmaownd: Group 7 was granted. PRIORITY=5 DMAOWND_EVENT=granted DMAOWND_GROUP=7 "
                   "DMAOWND_GROUP=0 DMAOWND_DEVICES=\"0000:00:05.0 0000:00:05.1\" DMAOWND_LEASE=12 "
                   "DMAOWND_UID=1000 DMAOWND_CLAIMANT_UID=0 DMAOWND_PID=4711 OBJECT_PID=4711 "
                   "DMAOWND_UNIT=dpdk.service DMAOWND_SENDER=:1.42 DMAOWND_RULE=dpdk-nics "
                   "DMAOWND_REASON=because MESSAGE_ID=8d5c8ba86f124f1fa74e4deff27f2173\n");
}
END_TEST

START_TEST(test_no_fields) {
    audit_write(audit, &(struct audit_event){.kind = AUDIT_STARTED,
                                             .uid = AUDIT_UID_NONE,
                                             .claimant_uid = AUDIT_UID_NONE,
                                             .unit = ""});
    assert_written("dmaownd: (no message) PRIORITY=5 DMAOWND_EVENT=started "
                   "MESSAGE_ID=c500ac5744064612822d1c428ada53e6\n");
}
END_TEST

/* Text of a caller can not make a second entry, another field, or colours. */
START_TEST(test_hostile_text) {
    audit_write(audit, &(struct audit_event){.kind = AUDIT_DENIED,
                                             .message = "No.\ndmaownd: Group 7 was granted.",
                                             .uid = AUDIT_UID_NONE,
                                             .claimant_uid = AUDIT_UID_NONE,
                                             .unit = "a\" DMAOWND_EVENT=granted \"",
                                             .sender = "\033[31mred\xff",
                                             .reason = "caf\xc3\xa9"});
    assert_written("dmaownd: No.\\x0admaownd: Group 7 was granted. PRIORITY=4 DMAOWND_EVENT=denied "
                   "DMAOWND_UNIT=\"a\\\" DMAOWND_EVENT=granted \\\"\" "
                   "DMAOWND_SENDER=\\x1b[31mred\\xff DMAOWND_REASON=caf\xc3\xa9 "
                   "MESSAGE_ID=a69fbe29e9ba4a16b443592d5a24288e\n");
}
END_TEST

static const char *field_of(const struct entry *entry, int i) {
    static char field[ENTRY_SIZE_MAX + 1];

    snprintf(field, sizeof(field), "%.*s", (int)entry->fields[i].iov_len,
             (const char *)entry->fields[i].iov_base);
    return field;
}

START_TEST(test_limits) {
    static char text[ENTRY_SIZE_MAX * 2];
    struct entry entry;

    memset(text, 'x', sizeof(text) - 1);
    entry_begin(&entry, "m", 5);
    entry_add(&entry, "KEY", text, 10);
    ck_assert_str_eq(field_of(&entry, 2), "KEY=xxxxxxxxxx");
    memcpy(text, "xxxxxxxxx\xc3\xa9", 11); /* a character across the limit goes whole */
    entry_add(&entry, "KEY", text, 10);
    ck_assert_str_eq(field_of(&entry, 3), "KEY=xxxxxxxxx");
    entry_add(&entry, "KEY", text, sizeof(text)); /* no room */
    ck_assert_int_eq(entry.n_fields, 4);
    for (int i = 0; i < 2 * ENTRY_FIELDS_MAX; i++)
        entry_add_number(&entry, "N", 1);
    ck_assert_int_eq(entry.n_fields, ENTRY_FIELDS_MAX);
    entry_to_stderr(&entry);
    ck_assert_uint_eq(n_lines(), 1);
}
END_TEST

/* As many groups and devices as a claim can have, with the longest names. */
START_TEST(test_large_event) {
    uint32_t groups[64];
    const char *devices[4097] = {};
    char name[256];

    memset(name, 'd', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    for (size_t i = 0; i < ELEMENTS_OF(groups); i++)
        groups[i] = UINT32_MAX;
    for (size_t i = 0; i < 4096; i++)
        devices[i] = name;
    audit_write(audit, &(struct audit_event){.kind = AUDIT_ENDED,
                                             .message = "Ended.",
                                             .groups = groups,
                                             .n_groups = 64,
                                             .devices = devices,
                                             .uid = 1,
                                             .claimant_uid = 1,
                                             .reason = "released"});
    _cleanup_(freep) char *text = written();
    ck_assert_ptr_nonnull(strstr(text, " DMAOWND_REASON=released MESSAGE_ID="));
    ck_assert_uint_eq(n_lines(), 1);
}
END_TEST

#define COUNT(...) +1
#define PRIORITY_OF(kind, event, level, id) [kind] = (level),

/* Nothing shares a class of journald's rate limit with what a caller can cause at will. */
START_TEST(test_priorities) {
    static const int priorities[] = {AUDIT_KINDS(PRIORITY_OF)};

    ck_assert_int_eq(0 AUDIT_KINDS(COUNT), AUDIT_KIND_MAX);
    for (int i = 0; i < AUDIT_KIND_MAX; i++) {
        bool at_will = i == AUDIT_DENIED || i == AUDIT_FOREIGN;
        ck_assert_int_eq(priorities[i] == LOG_WARNING, at_will);
        ck_assert_int_le(priorities[i], LOG_NOTICE);
    }
}
END_TEST

static void deny(uid_t uid, uid_t claimant, uint64_t now) {
    audit_write_denial(audit,
                       &(struct audit_event){.kind = AUDIT_DENIED,
                                             .message = "No.",
                                             .uid = uid,
                                             .claimant_uid = claimant},
                       now);
}

START_TEST(test_denial_budget) {
    for (int i = 0; i < 1000; i++)
        deny(1000, AUDIT_UID_NONE, SECOND);
    ck_assert_uint_eq(n_lines(), DENIALS_BUDGET);
    deny(1001, AUDIT_UID_NONE, SECOND); /* another's budget is not touched */
    ck_assert_uint_eq(n_lines(), DENIALS_BUDGET + 1);
    audit_flush_denials(audit, 60 * SECOND);
    ck_assert_uint_eq(n_lines(), DENIALS_BUDGET + 1);
    audit_flush_denials(audit, 61 * SECOND);
    ck_assert_uint_eq(n_lines(), DENIALS_BUDGET + 2);
    _cleanup_(freep) char *text = written();
    ck_assert_ptr_nonnull(strstr(text, "dmaownd: 980 further claims of user 1000 were denied. "
                                       "PRIORITY=4 DMAOWND_EVENT=denied DMAOWND_UID=1000 "
                                       "DMAOWND_CLAIMANT_UID=1000 MESSAGE_ID="));
    ck_assert_ptr_nonnull(strstr(text, " DMAOWND_COUNT=980\n"));
    audit_flush_denials(audit, 200 * SECOND);
    ck_assert_uint_eq(n_lines(), DENIALS_BUDGET + 2);
    deny(1000, AUDIT_UID_NONE, 200 * SECOND);
    ck_assert_uint_eq(n_lines(), DENIALS_BUDGET + 3);
}
END_TEST

/* Naming another holder each time gives no fresh budget. */
START_TEST(test_denial_by_claimant) {
    for (uid_t uid = 0; uid < 100; uid++)
        deny(uid, 1000, SECOND);
    ck_assert_uint_eq(n_lines(), DENIALS_BUDGET);
}
END_TEST

static uint64_t summed;
static unsigned n_summaries;

static void sum(uid_t uid, uint64_t count, void *userdata) {
    summed += count;
    n_summaries++;
}

START_TEST(test_denials_of_many_users) {
    static struct denials denials;
    unsigned recorded = 0, n = 0;

    for (unsigned round = 0; round < 3 * DENIALS_BUDGET; round++)
        for (uid_t uid = 0; uid < 4 * DENIALS_USERS_MAX; uid++, n++)
            recorded += denials_count(&denials, uid, SECOND);
    ck_assert_uint_eq(recorded, (DENIALS_USERS_MAX + 1) * DENIALS_BUDGET);
    denials_flush(&denials, 2 * SECOND, sum, NULL);
    ck_assert_uint_eq(n_summaries, 0);
    denials_flush(&denials, UINT64_MAX, sum, NULL);
    ck_assert_uint_eq(n_summaries, DENIALS_USERS_MAX + 1);
    ck_assert_uint_eq(recorded + summed, n);
    ck_assert_uint_eq(denials.n_users, 0);
}
END_TEST

/* A window starts again by itself, but not over a summary that is still owed. */
START_TEST(test_denial_window) {
    static struct denials denials;

    for (int i = 0; i < DENIALS_BUDGET; i++)
        ck_assert(denials_count(&denials, 1, SECOND));
    ck_assert(denials_count(&denials, 1, 61 * SECOND));
    for (int i = 1; i < DENIALS_BUDGET; i++)
        ck_assert(denials_count(&denials, 1, 62 * SECOND));
    ck_assert(!denials_count(&denials, 1, 62 * SECOND));
    ck_assert(!denials_count(&denials, 1, 300 * SECOND));
    denials_flush(&denials, 300 * SECOND, sum, NULL);
    ck_assert_uint_eq(summed, 2);
    ck_assert(denials_count(&denials, 1, 300 * SECOND));
}
END_TEST

START_TEST(test_log) {
    log_message(LOG_ERR, "before %s\n\033", "opening");
    log_open(true);
    log_message(LOG_DEBUG, "after");
    assert_written("dmaownd: before opening\\x0a\\x1b\ndmaownd: after\n");
}
END_TEST

/* ---- The journal: its socket, in a mount namespace of the test's ----------------------------- */

static int journal = -1;

static void bind_journal(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX,
                                  .sun_path = "/run/systemd/journal/socket"};

    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(journal, 0);
    ck_assert_int_eq(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void journal_set_up(void) {
    set_up();
    audit = audit_free(audit);
    ck_assert_int_eq(audit_new(false, &audit), 0);
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
    ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
    ck_assert_int_eq(mkdir("/run/systemd/journal", 0755), 0);
}

static void started(void) {
    audit_write(audit, &(struct audit_event){.kind = AUDIT_STARTED,
                                             .message = "dmaownd started.",
                                             .uid = AUDIT_UID_NONE,
                                             .claimant_uid = AUDIT_UID_NONE});
}

static size_t received(char *text, size_t size) {
    ssize_t length = recv(journal, text, size - 1, MSG_DONTWAIT);

    text[length > 0 ? length : 0] = 0;
    return length > 0 ? (size_t)length : 0;
}

START_TEST(test_journal) {
    char text[4096];

    bind_journal();
    started();
    ck_assert_uint_gt(received(text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "MESSAGE=dmaownd started.\n"));
    ck_assert_ptr_nonnull(strstr(text, "PRIORITY=5\n"));
    ck_assert_ptr_nonnull(strstr(text, "DMAOWND_EVENT=started\n"));
    ck_assert_ptr_nonnull(strstr(text, "MESSAGE_ID=c500ac5744064612822d1c428ada53e6\n"));
    ck_assert_ptr_null(strstr(text, "CODE_FILE"));
    log_open(false);
    log_message(LOG_INFO, "a line");
    ck_assert_uint_gt(received(text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "MESSAGE=a line\n"));
    ck_assert_ptr_nonnull(strstr(text, "PRIORITY=6\n"));
    assert_written("");
}
END_TEST

/* An entry that the journal does not take is not lost. */
START_TEST(test_no_journal) {
    char text[4096];

    started();
    ck_assert_uint_eq(n_lines(), 1);
    bind_journal(); /* it comes, goes and comes again */
    started();
    ck_assert_uint_eq(n_lines(), 1);
    ck_assert_uint_gt(received(text, sizeof(text)), 0);
    close(journal);
    unlink("/run/systemd/journal/socket");
    started();
    ck_assert_uint_eq(n_lines(), 2);
    bind_journal();
    started();
    ck_assert_uint_eq(n_lines(), 2);
    ck_assert_uint_gt(received(text, sizeof(text)), 0);
}
END_TEST

/* Nor does one that hangs stop the daemon: the test would not end. */
START_TEST(test_journal_hangs) {
    char text[4096];

    bind_journal(); /* one that went, then the one that hangs */
    started();
    close(journal);
    unlink("/run/systemd/journal/socket");
    bind_journal();
    for (int i = 0; i < 2000; i++)
        started();
    unsigned n = n_lines();
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_lt(n, 2000);
    while (received(text, sizeof(text)) > 0)
        n++;
    ck_assert_uint_eq(n, 2000);
    started();
    ck_assert_uint_gt(received(text, sizeof(text)), 0);
}
END_TEST

static void add_entries(Suite *suite) {
    TCase *all = tree_case("entries");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_all_fields);
    tcase_add_test(all, test_no_fields);
    tcase_add_test(all, test_hostile_text);
    tcase_add_test(all, test_limits);
    tcase_add_test(all, test_large_event);
    tcase_add_test(all, test_priorities);
    tcase_add_test(all, test_denial_budget);
    tcase_add_test(all, test_denial_by_claimant);
    tcase_add_test(all, test_denials_of_many_users);
    tcase_add_test(all, test_denial_window);
    tcase_add_test(all, test_log);
    suite_add_tcase(suite, all);
}

static void add_journal(Suite *suite) {
    TCase *all = tree_case("journal");

    tcase_add_checked_fixture(all, journal_set_up, tear_down);
    tcase_add_test(all, test_journal);
    tcase_add_test(all, test_no_journal);
    tcase_add_test(all, test_journal_hangs);
    suite_add_tcase(suite, all);
}

int main(void) {
    Suite *suite = suite_create("audit");

    add_entries(suite);
    if (geteuid() == 0)
        add_journal(suite);
    else
        printf("# the journal's part needs root\n");
    return tree_main(suite);
}
