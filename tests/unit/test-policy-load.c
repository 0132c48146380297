/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Policies from folders and files, the good and the odd ones, and the limits on what is read. */

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy-test.h"

#define RULE(name)                                                                                 \
    "{\"name\": \"" name "\", \"effect\": \"allow\", \"match\": {\"name\": \"" name "\"}}"

#define TEMPLATE "/tmp/test-policy-XXXXXX"

static char folder[] = TEMPLATE;
static struct policy *policy;
static struct policy_report report;

static void write_file(const char *name, const char *text) {
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void) {
    strcpy(folder, TEMPLATE);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(mkdir("policy.d", 0755), 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
    return remove(path);
}

static void teardown(void) {
    policy = policy_free(policy);
    policy_report_done(&report);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int load(void) {
    policy = policy_free(policy);
    policy_report_done(&report);
    return policy_load(folder, &test_strict, &policy, &report);
}

/* The load fails, and says of which file and why. */
static void expect_fault(const char *file, const char *text) {
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    ck_assert_int_eq(load(), POLICY_INVALID);
    ck_assert_ptr_null(policy);
    ck_assert_uint_eq(report.n_errors, 1);
    ck_assert_str_eq(report.messages[0].file, *file ? path : folder);
    ck_assert_msg(strstr(report.messages[0].text, text), "%s", report.messages[0].text);
}

START_TEST(test_nothing) {
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(policy_rule_count(policy), 0);
    ck_assert_ptr_null(policy_files(policy)[0]);
    ck_assert_int_eq(rmdir("policy.d"), 0);
    ck_assert_int_eq(load(), 0);
    policy = policy_free(policy);
    ck_assert_int_eq(policy_load("/nonexistent/dmaownd", &test_strict, &policy, NULL), 0);
    ck_assert_uint_eq(policy_rule_count(policy), 0);
}
END_TEST

START_TEST(test_order) {
    static const char *const names[] = { "main", "B", "a-1", "a.b", "a_" };
    static const char *const files[] = {
        "policy.json", "policy.d/10-B.json", "policy.d/2.json", "policy.d/A.json",
        "policy.d/a.json",
    };

    write_file("policy.json", RULES(RULE("main")));
    write_file("policy.d/a.json", RULES(RULE("a_")));
    write_file("policy.d/A.json", RULES(RULE("a.b")));
    write_file("policy.d/2.json", RULES(RULE("a-1")));
    write_file("policy.d/10-B.json", RULES(RULE("B")));
    write_file("policy.d/.hidden.json", "not JSON");
    write_file("policy.d/README", "not JSON");
    write_file("policy.d/a.json~", "not JSON");
    write_file("policy.d/.json", "not JSON");
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(policy_rule_count(policy), ELEMENTS_OF(names));
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        const char *file = policy_files(policy)[i];
        ck_assert_str_eq(policy_rule_at(policy, i)->name, names[i]);
        ck_assert_uint_eq(policy_rule_at(policy, i)->index, i);
        ck_assert_str_eq(policy_rule_at(policy, i)->file, file);
        ck_assert_str_eq(file + strlen(folder) + 1, files[i]);
    }
    ck_assert_ptr_null(policy_files(policy)[ELEMENTS_OF(names)]);
}
END_TEST

START_TEST(test_faults_across_files) {
    write_file("policy.json", RULES(RULE("a")));
    write_file("policy.d/1.json", RULES(RULE("a")));
    expect_fault("policy.d/1.json", "same name");
    write_file("policy.d/1.json", RULES("{\"effect\": \"deny\", \"match\": {\"name\": \"a\"},"
                                        " \"subjects\": {\"users\": [0]}}"));
    expect_fault("policy.d/1.json", "can never apply");
    write_file("policy.json", "{\"version\": 1, \"limits\": {\"leases_per_uid\": 3}}");
    write_file("policy.d/1.json", "{\"version\": 1, \"limits\": {\"pending_per_uid\": 4}}");
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(policy_limits(policy)->leases_per_uid, 3);
    ck_assert_uint_eq(policy_limits(policy)->pending_per_uid, 4);
    ck_assert_uint_eq(policy_limits(policy)->targets_per_call, 64);
    write_file("policy.d/2.json", "{\"version\": 1, \"limits\": {\"leases_per_uid\": 4}}");
    expect_fault("policy.d/2.json", "policy.json:1:27");
}
END_TEST

START_TEST(test_every_file_is_read) {
    write_file("policy.json", "[");
    write_file("policy.d/1.json", "{");
    ck_assert_int_eq(mkdir("policy.d/2.json", 0755), 0);
    ck_assert_int_eq(load(), POLICY_INVALID);
    ck_assert_uint_eq(report.n_errors, 3);
}
END_TEST

START_TEST(test_links) {
    write_file("elsewhere", RULES(RULE("a")));
    ck_assert_int_eq(symlink("elsewhere", "policy.json"), 0);
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(policy_rule_count(policy), 1);
    ck_assert_int_eq(unlink("elsewhere"), 0);
    expect_fault("policy.json", "does not exist");
    ck_assert_int_eq(unlink("policy.json"), 0);
    ck_assert_int_eq(symlink("policy.json", "policy.json"), 0);
    expect_fault("policy.json", "leads to itself");
    ck_assert_int_eq(unlink("policy.json"), 0);
    ck_assert_int_eq(symlink("gone", "policy.d/9.json"), 0);
    expect_fault("policy.d/9.json", "does not exist");
}
END_TEST

START_TEST(test_odd_files) {
    ck_assert_int_eq(mkdir("policy.json", 0755), 0);
    expect_fault("policy.json", "not a regular file");
    ck_assert_int_eq(rmdir("policy.json"), 0);
    ck_assert_int_eq(mkfifo("policy.json", 0644), 0);
    expect_fault("policy.json", "not a regular file");
    ck_assert_int_eq(unlink("policy.json"), 0);
    ck_assert_int_eq(symlink("/dev/null", "policy.json"), 0);
    expect_fault("policy.json", "not a regular file");
    ck_assert_int_eq(unlink("policy.json"), 0);
    write_file("policy.json", "");
    expect_fault("policy.json", "ends before");
    ck_assert_int_eq(unlink("policy.json"), 0);
    ck_assert_int_eq(rmdir("policy.d"), 0);
    write_file("policy.d", "a file");
    expect_fault("policy.d", "cannot be read");
    ck_assert_int_eq(policy_load("/dev/null", &test_strict, &policy, NULL), POLICY_INVALID);
}
END_TEST

/* As a user whom the modes of files bind. */
START_TEST(test_unreadable) {
    write_file("policy.json", RULES(""));
    ck_assert_int_eq(chmod("policy.json", 0), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(setresuid(65534, 65534, 0), 0);
    expect_fault("policy.json", "Permission denied");
    if (getuid() == 65534)
        ck_assert_int_eq(setresuid(0, 0, 0), 0);
}
END_TEST

static void write_large(const char *name, size_t size) {
    _cleanup_(freep) char *text = malloc(size + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, ' ', size);
    memcpy(text, RULES(""), strlen(RULES("")));
    text[size] = 0;
    write_file(name, text);
}

START_TEST(test_sizes) {
    write_large("policy.json", POLICY_FILE_SIZE_MAX);
    ck_assert_int_eq(load(), 0);
    write_large("policy.json", POLICY_FILE_SIZE_MAX + 1);
    expect_fault("policy.json", "larger than");
    write_large("policy.json", POLICY_FILE_SIZE_MAX);
    write_large("policy.d/1.json", POLICY_FILE_SIZE_MAX);
    write_large("policy.d/2.json", POLICY_FILE_SIZE_MAX);
    write_large("policy.d/3.json", POLICY_FILE_SIZE_MAX);
    ck_assert_int_eq(load(), 0);
    write_file("policy.d/4.json", RULES(""));
    expect_fault("policy.d/4.json", "larger than");
}
END_TEST

START_TEST(test_file_count) {
    char name[32];

    for (int i = 0; i < POLICY_FILES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "policy.d/%03d.json", i);
        write_file(name, RULES(""));
    }
    ck_assert_int_eq(load(), 0);
    write_file("policy.d/z1.json", RULES(""));
    write_file("policy.d/z2.json", RULES(""));
    expect_fault("policy.d/z1.json", "one file more");
}
END_TEST

/* HEAD, n times ITEM with a number in it, TAIL. */
static char *repeat(const char *head, const char *item, size_t n, const char *tail) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    fputs(head, stream);
    for (size_t i = 0; i < n; i++)
        fprintf(stream, "%s%s%zu\"}", i ? "," : "", item, i);
    fputs(tail, stream);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

START_TEST(test_rule_count) {
    static const char item[] =
        "{\"effect\": \"allow\", \"match\": {\"name\": \"a\"}, \"name\": \"r";
    static const char deny[] =
        "{\"effect\": \"deny\", \"match\": {\"bus\": \"pci\"}, \"name\": \"r";

    _cleanup_(freep) char *many =
        repeat("{\"version\": 1, \"rules\": [", item, POLICY_RULES_MAX + 1, "]}");
    ck_assert_int_eq(policy_parse_buffer("x", many, strlen(many), &test_strict, &policy, &report),
                     POLICY_INVALID);
    ck_assert_ptr_nonnull(strstr(report.messages[0].text, "more than 4096 rules"));
    policy_report_done(&report);
    /* a report is bounded, and still counts */
    _cleanup_(freep) char *same = repeat("{\"version\": 1, \"rules\": [", deny, 100, "]}");
    ck_assert_int_eq(policy_parse_buffer("x", same, strlen(same), &test_strict, &policy, &report),
                     POLICY_INVALID);
    ck_assert_uint_eq(report.n_messages, POLICY_MESSAGES_MAX);
    ck_assert_uint_eq(report.n_errors, 99);
}
END_TEST

START_TEST(test_long_list) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    fputs("{\"version\": 1, \"rules\": [{\"effect\": \"deny\", \"match\": {\"name\": [\"x\"",
          stream);
    for (int i = 0; i < POLICY_LIST_MAX; i++)
        fprintf(stream, ", \"%d\"", i);
    fprintf(stream, "], \"driver\": \"%01025d\"}}]}", 0);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_int_eq(policy_parse_buffer("x", text, size, &test_strict, &policy, &report),
                     POLICY_INVALID);
    free(text);
    ck_assert_uint_eq(report.n_errors, 2);
    ck_assert_ptr_nonnull(strstr(report.messages[0].text, "more than 1024 items"));
    ck_assert_ptr_nonnull(strstr(report.messages[1].text, "more than 1024 bytes"));
}
END_TEST

/* An error is kept even where warnings came first. */
START_TEST(test_errors_before_warnings) {
    static const char item[] =
        "{\"effect\": \"allow\", \"match\": {\"product\": \"0x1\"}, \"name\": \"r";
    _cleanup_(freep) char *text =
        repeat("{\"version\": 1, \"rules\": [", item, 70, ", {\"match\": {}}]}");

    ck_assert_int_eq(policy_parse_buffer("x", text, strlen(text), &test_strict, &policy, &report),
                     POLICY_INVALID);
    ck_assert_uint_eq(report.n_warnings, 70);
    ck_assert_uint_eq(report.n_errors, 1);
    ck_assert_ptr_nonnull(policy_report_first_error(&report));
    ck_assert_uint_eq(report.n_messages, POLICY_MESSAGES_MAX);
}
END_TEST

/* In a file, messages come in the order of the text, whatever was checked first. */
START_TEST(test_order_of_messages) {
    static const char text[] = "{\"rules\": [{\"match\": {\"x\": 1},\n \"modes\": [],"
                               " \"subjects\": {},\n \"effect\": 1}], \"y\": 1}";

    ck_assert_int_eq(policy_parse_buffer("x", text, strlen(text), &test_strict, &policy, &report),
                     POLICY_INVALID);
    ck_assert_uint_eq(report.n_messages, 6);
    for (size_t i = 1; i < report.n_messages; i++)
        ck_assert(report.messages[i - 1].line * 1000 + report.messages[i - 1].column <
                  report.messages[i].line * 1000 + report.messages[i].column);
}
END_TEST

/* What comes from a file cannot write on the reader's terminal. */
START_TEST(test_messages_are_printable) {
    static const char *const texts[] = {
        "{\"version\": 1, \"\xc2\x9b\": 2}",
        "{\"version\": 1, \"\xc2\x9b\": 2, \"\xc2\x9b\": 2}",
        RULES("{\"effect\": \"allow\", \"match\": {\"name\": \"a\\u001b[31m\"}}"),
        RULES("{\"effect\": \"allow\", \"match\": {\"vendor\": \"a\\u001b[31m\"}}"),
    };

    for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
        ck_assert_int_eq(policy_parse_buffer("x\x1b", texts[i], strlen(texts[i]), &test_strict,
                                             &policy, &report), POLICY_INVALID);
    ck_assert_uint_ge(report.n_messages, ELEMENTS_OF(texts));
    for (size_t i = 0; i < report.n_messages; i++) {
        ck_assert(text_is_printable(report.messages[i].text));
        ck_assert(text_is_printable(report.messages[i].file));
    }
}
END_TEST

START_TEST(test_explicit_files) {
    const char *const files[] = { "b", "a" };

    write_file("a", RULES(RULE("a")));
    write_file("b", RULES(RULE("b")));
    ck_assert_int_eq(policy_load_files(files, 2, &test_strict, &policy, &report), 0);
    ck_assert_str_eq(policy_rule_at(policy, 0)->name, "b");
    policy = policy_free(policy);
    ck_assert_int_eq(unlink("a"), 0);
    ck_assert_int_eq(policy_load_files(files, 2, &test_strict, &policy, &report), POLICY_INVALID);
    ck_assert_str_eq(report.messages[0].file, "a");
    ck_assert_uint_eq(report.messages[0].line, 0);
    _cleanup_(freep) char *shown = policy_message_format(&report.messages[0]);
    ck_assert_int_eq(strncmp(shown, "a: error: The file is gone", 26), 0);
}
END_TEST

static size_t asked;

static int note_name(void *userdata, const char *name, uint32_t *ret) {
    asked++;
    return -ENOENT;
}

START_TEST(test_each_name_is_asked_once) {
    static const char text[] = RULES(
        "{\"effect\": \"deny\", \"match\": {},"
        "  \"subjects\": {\"users\": [\"a\", \"b\", \"a\", 7]}},"
        "{\"effect\": \"allow\", \"match\": {}, \"delegate\": [\"b\", \"c\"],"
        "  \"subjects\": {\"groups\": [\"a\", \"d\", \"8\"]}}");
    const struct policy_names names = { note_name, note_name, NULL, false };

    ck_assert_int_eq(policy_parse_buffer("x", text, strlen(text), &names, &policy, NULL),
                     POLICY_INVALID);
    ck_assert_uint_eq(asked, 5);
}
END_TEST

START_TEST(test_system_names) {
    static const char text[] = RULES("{\"effect\": \"allow\", \"match\": {}, \"subjects\":"
                                     " {\"users\": [\"root\"], \"groups\": [\"root\"]}}");
    static const char unknown[] = RULES("{\"effect\": \"allow\", \"match\": {}, \"subjects\":"
                                        " {\"users\": [\"no-such-user-dmaownd\"]}}");
    struct policy_names names;

    policy_names_system(&names, true);
    ck_assert_int_eq(policy_parse_buffer("x", text, strlen(text), &names, &policy, NULL), 0);
    policy = policy_free(policy);
    ck_assert_int_eq(policy_parse_buffer("x", unknown, strlen(unknown), &names, &policy, NULL),
                     POLICY_INVALID);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("policy load");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, test_nothing);
    tcase_add_test(all, test_order);
    tcase_add_test(all, test_faults_across_files);
    tcase_add_test(all, test_every_file_is_read);
    tcase_add_test(all, test_links);
    tcase_add_test(all, test_odd_files);
    tcase_add_test(all, test_unreadable);
    tcase_add_test(all, test_sizes);
    tcase_add_test(all, test_file_count);
    tcase_add_test(all, test_rule_count);
    tcase_add_test(all, test_long_list);
    tcase_add_test(all, test_errors_before_warnings);
    tcase_add_test(all, test_order_of_messages);
    tcase_add_test(all, test_messages_are_printable);
    tcase_add_test(all, test_explicit_files);
    tcase_add_test(all, test_each_name_is_asked_once);
    tcase_add_test(all, test_system_names);
    tcase_set_timeout(all, 60);
    suite_add_tcase(suite, all);
    return test_main(suite);
}
