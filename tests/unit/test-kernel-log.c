/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd-journal is played: what stands here is taken instead of the library's. */
#include "kernel/kernel-log.h"

#include <errno.h>
#include <stdarg.h>

#include <systemd/sd-journal.h>

#include "util/clock.h"
#include "util/string.h"

#include "tree.h"

#define NAME "0000:00:05.0"

/* ---- The journal */

struct entry {
    uint64_t time;
    const char *transport, *facility, *device, *message;
};

static struct {
    int open_result, wait_result;
    int has_files;
    const struct entry *entries;
    size_t n_entries, at;
    size_t n_late; /* so many entries are there only after a wait */
    uint64_t since;
    unsigned n_matches, n_waits, n_open;
    bool sleeps; /* a wait takes its time */
} journal;

static int dummy;
#define JOURNAL ((sd_journal *)&dummy)

int sd_journal_open(sd_journal **ret, int flags) {
    ck_assert(flags & SD_JOURNAL_SYSTEM);
    if (journal.open_result < 0)
        return journal.open_result;
    journal.n_open++;
    *ret = JOURNAL;
    return 0;
}

void sd_journal_close(sd_journal *j) {
    if (j)
        journal.n_open--;
}

int sd_journal_has_runtime_files(sd_journal *j) {
    return journal.has_files & 1;
}

int sd_journal_has_persistent_files(sd_journal *j) {
    return journal.has_files >> 1;
}

int sd_journal_add_match(sd_journal *j, const void *data, size_t size) {
    ck_assert_uint_eq(size, 0);
    ck_assert(strcmp(data, "_TRANSPORT=kernel") == 0 || strcmp(data, "SYSLOG_FACILITY=0") == 0);
    journal.n_matches++;
    return 0;
}

int sd_journal_seek_realtime_usec(sd_journal *j, uint64_t time) {
    journal.since = time;
    return 0;
}

static bool matches(const struct entry *entry) {
    return entry->time >= journal.since && string_equal(entry->transport, "kernel") &&
           string_equal(entry->facility, "0");
}

int sd_journal_next(sd_journal *j) {
    while (journal.at < journal.n_entries - journal.n_late)
        if (matches(&journal.entries[journal.at++]))
            return 1;
    return 0;
}

int sd_journal_get_data(sd_journal *j, const char *field, const void **ret, size_t *ret_size) {
    static char text[4096];
    const struct entry *entry = &journal.entries[journal.at - 1];
    const char *value = strcmp(field, "MESSAGE") == 0 ? entry->message : entry->device;

    if (!value)
        return -ENOENT;
    /* Not NUL-terminated. */
    *ret_size = (size_t)snprintf(text, sizeof(text), "%s=%sXXX", field, value) - 3;
    *ret = text;
    return 0;
}

int sd_journal_wait(sd_journal *j, uint64_t timeout) {
    ck_assert_uint_gt(timeout, 0);
    ck_assert_uint_le(timeout, KERNEL_LOG_WAIT);
    journal.n_waits++;
    journal.n_late = 0;
    if (journal.sleeps)
        usleep((useconds_t)timeout);
    return journal.wait_result;
}

static void set_up(void) {
    memset(&journal, 0, sizeof(journal));
    journal.has_files = 1;
}

static void tear_down(void) {
    ck_assert_uint_eq(journal.n_open, 0);
}

#define USE(list)                                                                                            \
    do {                                                                                                     \
        journal.entries = list;                                                                              \
        journal.n_entries = ELEMENTS_OF(list);                                                               \
    } while (0)

static void expect(const char *expected) {
    _cleanup_(freep) char *text = NULL;

    ck_assert_int_eq(kernel_log_read(NAME, 100, &text), 0);
    ck_assert_str_eq(text, expected);
}

/* ---- Reading */

START_TEST(test_read) {
    static const struct entry entries[] = {
        {99, "kernel", "0", "+pci:" NAME, "too early"},
        {100, "kernel", "0", "+pci:" NAME, "vfio-pci " NAME ": refused"},
        {101, "kernel", "0", "+pci:0000:00:06.0", "vfio-pci 0000:00:06.0: another device"},
        {101, "syslog", "0", "+pci:" NAME, "somebody says " NAME},
        {101, "kernel", "3", "+pci:" NAME, "root wrote to /dev/kmsg of " NAME},
        {102, "kernel", "0", NULL, "DMAR: " NAME ": fault"},
        {103, "kernel", "0", "+pci:" NAME, NULL},
        {104, "kernel", "0", "+pci:" NAME, "a\tb\n\x1b[31mc"},
    };

    USE(entries);
    expect("vfio-pci " NAME ": refused; DMAR: " NAME ": fault; a\\x09b\\x0a\\x1b[31mc");
    ck_assert_uint_eq(journal.n_matches, 2);
    ck_assert_uint_eq(journal.n_waits, 0);
}
END_TEST

/* journald lags. */
START_TEST(test_wait) {
    static const struct entry entries[] = {
        {100, "kernel", "0", "+pci:0000:00:06.0", "another"},
        {101, "kernel", "0", "+pci:" NAME, "it"},
    };

    USE(entries);
    journal.n_late = 1;
    expect("it");
    ck_assert_uint_eq(journal.n_waits, 1);
}
END_TEST

START_TEST(test_wait_in_vain) {
    uint64_t begin = now_monotonic();

    journal.sleeps = true;
    expect("");
    ck_assert_uint_ge(now_monotonic() - begin, KERNEL_LOG_WAIT);
    ck_assert_uint_ge(journal.n_waits, 1);
    journal.sleeps = false;
    journal.wait_result = -EBADFD;
    journal.n_waits = 0;
    expect("");
    ck_assert_uint_eq(journal.n_waits, 1);
}
END_TEST

START_TEST(test_no_journal) {
    journal.has_files = 0;
    expect("");
    ck_assert_uint_eq(journal.n_waits, 0);
    journal.open_result = -EACCES;
    expect("");
    ck_assert_uint_eq(journal.n_waits, 0);
    journal.open_result = -ENOMEM;
    char *text = NULL;
    ck_assert_int_eq(kernel_log_read(NAME, 100, &text), -ENOMEM);
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(test_persistent) {
    static const struct entry entries[] = {{100, "kernel", "0", "+pci:" NAME, "it"}};

    USE(entries);
    journal.has_files = 2;
    expect("it");
}
END_TEST

/* ---- Whose */

static const struct {
    const char *device, *message;
    bool concerns;
} whose[] = {
    {"+pci:" NAME, "no name", true},
    {"+pci:0000:00:05.1", "no name", false},
    {"+pci:0000:00:05.01", "no name", false},
    {NAME, "no name", false},
    {"c250:0", "no name", false},
    {"n3", "e1000 " NAME " eth0: NIC Link is Up", true},
    {NULL, NAME, true},
    {NULL, "vfio-pci " NAME ": Invalid", true},
    {NULL, "device (" NAME ")", true},
    {NULL, "[" NAME "]", true},
    {NULL, "it was " NAME ".", true},
    {NULL, NAME "1: no", false},
    {NULL, "1" NAME ": no", false},
    {NULL, NAME ":pcie004: no", false},
    {NULL, "pci0000:" NAME ": no", false},
    {NULL, NAME "_a", false},
    {NULL, NAME ".a", false},
    {NULL, NAME "1 and " NAME ": yes", true},
    {NULL, "", false},
};

START_TEST(test_concerns) {
    ck_assert_int_eq(kernel_log_concerns(whose[_i].device, whose[_i].message, NAME), whose[_i].concerns);
}
END_TEST

START_TEST(test_concerns_platform) {
    ck_assert(kernel_log_concerns("+platform:ff100000.ethernet", "x", "ff100000.ethernet"));
    ck_assert(kernel_log_concerns(NULL, "xgmac ff100000.ethernet: x", "ff100000.ethernet"));
    ck_assert(!kernel_log_concerns(NULL, "xgmac 1ff100000.ethernet: x", "ff100000.ethernet"));
    ck_assert(!kernel_log_concerns("+pci:", "anything", ""));
}
END_TEST

/* ---- The text */

static struct kernel_log kernel_log;

static void expect_text(const char *expected) {
    _cleanup_(freep) char *text = kernel_log_text(&kernel_log);

    ck_assert_str_eq(text, expected);
    kernel_log_done(&kernel_log);
}

static void add(const char *message) {
    ck_assert_int_eq(kernel_log_add(&kernel_log, message), 0);
}

START_TEST(test_text) {
    expect_text("");
    add("a");
    expect_text("a");
    for (char text[] = "a"; *text <= 'f'; (*text)++)
        add(text);
    expect_text("c; d; e; f");
    add("first");
    for (int i = 0; i < 100; i++)
        add("again");
    add("last");
    add("again");
    expect_text("first; again; last; again");
}
END_TEST

START_TEST(test_text_length) {
    char message[2000];

    memset(message, 'x', sizeof(message));
    message[sizeof(message) - 1] = 0;
    add("no room beside the other");
    add(message);
    _cleanup_(freep) char *text = kernel_log_text(&kernel_log);
    ck_assert_uint_eq(strlen(text), KERNEL_LOG_SIZE_MAX - 1);
    ck_assert_str_eq(text + strlen(text) - strlen("x…"), "x…");
    kernel_log_done(&kernel_log);
    /* A shorter one has room for others. */
    message[300] = 0;
    add(message);
    add("short");
    message[250] = 0;
    add(message);
    _cleanup_(freep) char *both = kernel_log_text(&kernel_log);
    ck_assert_uint_eq(strlen(both), strlen("short; ") + 250);
    kernel_log_done(&kernel_log);
}
END_TEST

/* Whole characters only, wherever the limit falls. */
START_TEST(test_text_characters) {
    char message[1000] = "";

    memset(message, 'x', (size_t)_i);
    while (strlen(message) < KERNEL_LOG_SIZE_MAX + 100)
        strcat(message, "€");
    add(message);
    _cleanup_(freep) char *text = kernel_log_text(&kernel_log);
    ck_assert(text_is_printable(text));
    ck_assert_uint_lt(strlen(text), KERNEL_LOG_SIZE_MAX);
    ck_assert_uint_gt(strlen(text), KERNEL_LOG_SIZE_MAX - 8);
    kernel_log_done(&kernel_log);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernel-log");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_read);
    tcase_add_test(all, test_wait);
    tcase_add_test(all, test_wait_in_vain);
    tcase_add_test(all, test_no_journal);
    tcase_add_test(all, test_persistent);
    tcase_add_loop_test(all, test_concerns, 0, ELEMENTS_OF(whose));
    tcase_add_test(all, test_concerns_platform);
    tcase_add_test(all, test_text);
    tcase_add_test(all, test_text_length);
    tcase_add_loop_test(all, test_text_characters, 0, 3);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
