/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "util/fd.h"
#include "util/intern.h"
#include "util/string.h"

#include "tree.h"

static const struct {
    const char *text;
    int result;
    uint64_t value;
} numbers[] = {
    {"0", 0, 0},
    {"7", 0, 7},
    {"18446744073709551615", 0, UINT64_MAX},
    {"18446744073709551616", -ERANGE, 0},
    {"99999999999999999999999999", -ERANGE, 0},
    {"", -EINVAL, 0},
    {NULL, -EINVAL, 0},
    {"00", -EINVAL, 0},
    {"07", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"+1", -EINVAL, 0},
    {" 1", -EINVAL, 0},
    {"1 ", -EINVAL, 0},
    {"1\n", -EINVAL, 0},
    {"0x1", -EINVAL, 0},
    {"1e3", -EINVAL, 0},
};

START_TEST(test_parse_u64) {
    uint64_t value = 4711;

    ck_assert_int_eq(parse_u64(numbers[_i].text, &value), numbers[_i].result);
    ck_assert_uint_eq(value, numbers[_i].result ? 4711 : numbers[_i].value);
}
END_TEST

START_TEST(test_parse_u32) {
    uint32_t value = 4711;

    ck_assert_int_eq(parse_u32("4294967296", &value), -ERANGE);
    ck_assert_int_eq(parse_u32("x", &value), -EINVAL);
    ck_assert_uint_eq(value, 4711);
    ck_assert_int_eq(parse_u32("4294967295", &value), 0);
    ck_assert_uint_eq(value, UINT32_MAX);
}
END_TEST

static const struct {
    const char *text;
    int result;
    uint32_t value;
} hex_numbers[] = {
    {"0x0", 0, 0},           {"0x8086", 0, 0x8086},    {"0xabCD", 0, 0xabcd},
    {"0xffffffff", 0, UINT32_MAX}, {"0x0000000000001", 0, 1}, {"0x100000000", -ERANGE, 0},
    {"0x", -EINVAL, 0},      {"8086", -EINVAL, 0},     {"0X1", -EINVAL, 0},
    {"0x1g", -EINVAL, 0},    {"", -EINVAL, 0},         {NULL, -EINVAL, 0},
    {"-0x1", -EINVAL, 0},    {"0x 1", -EINVAL, 0},     {"0xffffffffffffffffff", -ERANGE, 0},
};

START_TEST(test_parse_hex32) {
    uint32_t value = 4711;

    ck_assert_int_eq(parse_hex32(hex_numbers[_i].text, &value), hex_numbers[_i].result);
    ck_assert_uint_eq(value, hex_numbers[_i].result ? 4711 : hex_numbers[_i].value);
}
END_TEST

/* text, and what it is when escaped; the same text if it is printable and has no backslash. */
static const struct {
    const char *text, *escaped;
    bool printable;
} texts[] = {
    {"", "", true},
    {"plain ~", "plain ~", true},
    {"back\\slash", "back\\\\slash", true},
    {"caf\xc3\xa9", "caf\xc3\xa9", true},
    {"\xe2\x82\xac", "\xe2\x82\xac", true},                 /* euro */
    {"\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7", true},         /* outside the basic plane */
    {"line\nline", "line\\x0aline", false},
    {"\x1b[31m", "\\x1b[31m", false},
    {"\x7f", "\\x7f", false},
    {"\xc2\x85", "\\xc2\\x85", false},                      /* C1: next line */
    {"\xc2\xa0", "\xc2\xa0", true},                         /* the first beyond C1 */
    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8", false},             /* line separator */
    {"\xc0\xaf", "\\xc0\\xaf", false},                      /* overlong */
    {"\xe0\x80\xaf", "\\xe0\\x80\\xaf", false},             /* overlong */
    {"\xe0\x82\xa9", "\\xe0\\x82\\xa9", false},             /* overlong, no control character */
    {"\xf0\x80\x82\xa9", "\\xf0\\x80\\x82\\xa9", false},
    {"\xed\xa0\x80", "\\xed\\xa0\\x80", false},             /* surrogate */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", false},    /* beyond Unicode */
    {"\xff", "\\xff", false},
    {"\x80", "\\x80", false},
    {"a\xe2\x82", "a\\xe2\\x82", false},                    /* cut short */
    {"\xc3", "\\xc3", false},
};

START_TEST(test_text) {
    _cleanup_(freep) char *escaped = text_escape(texts[_i].text);

    ck_assert_int_eq(text_is_printable(texts[_i].text), texts[_i].printable);
    ck_assert_str_eq(escaped, texts[_i].escaped);
    ck_assert(text_is_printable(escaped));
}
END_TEST

START_TEST(test_pieces) {
    ck_assert_str_eq(string_after("lease-7", "lease-"), "7");
    ck_assert_str_eq(string_after("lease-", "lease-"), "");
    ck_assert_ptr_null(string_after("lease", "lease-"));
    ck_assert_str_eq(path_basename("a/b"), "b");
    ck_assert_str_eq(path_basename("b"), "b");
    ck_assert_str_eq(path_basename("a/"), "");
    ck_assert(string_equal(NULL, NULL));
    ck_assert(!string_equal(NULL, ""));
    ck_assert(string_equal("a", "a"));
}
END_TEST

START_TEST(test_strings) {
    _cleanup_(strings_freep) char **strings = NULL;
    char text[] = "b";

    ck_assert_uint_eq(strings_length(strings), 0);
    ck_assert(!strings_contain(strings, "a"));
    ck_assert_int_eq(strings_append(&strings, "a"), 0);
    ck_assert_int_eq(strings_append(&strings, text), 0);
    text[0] = 'x';
    ck_assert_uint_eq(strings_length(strings), 2);
    ck_assert(strings_contain(strings, "b"));
    ck_assert(!strings_contain(strings, "x"));
}
END_TEST

START_TEST(test_intern) {
    struct intern intern = {};
    char text[] = "pci";
    const char *first = intern_string(&intern, text);

    text[0] = 'x';
    ck_assert_str_eq(first, "pci");
    ck_assert_ptr_eq(intern_string(&intern, "pci"), first);
    ck_assert_ptr_ne(intern_string(&intern, "pc"), first);
    ck_assert_ptr_null(intern_string(&intern, NULL));
    intern_done(&intern);
}
END_TEST

/* An array that ends with NULL. */
#define STRINGS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})
#define NO_STRINGS ((char *const[]){NULL})

START_TEST(test_strings_equal) {
    char *const *one = STRINGS("a", "b");

    ck_assert(strings_equal(one, STRINGS("a", "b")));
    ck_assert(strings_equal(one, one));
    ck_assert(!strings_equal(one, STRINGS("b", "a")));
    ck_assert(!strings_equal(one, STRINGS("a")) && !strings_equal(STRINGS("a"), one));
    ck_assert(!strings_equal(NULL, one) && !strings_equal(one, NULL));
    ck_assert(strings_equal(NULL, NULL));
    ck_assert(strings_equal(NULL, NO_STRINGS) && strings_equal(NO_STRINGS, NULL));
}
END_TEST

static void assert_joined(char *const *strings, const char *expected) {
    _cleanup_(freep) char *joined = strings_join(strings, ", ");

    ck_assert_str_eq(joined, expected);
}

START_TEST(test_strings_join) {
    assert_joined(STRINGS("a", "b", "", "c%s"), "a, b, , c%s");
    assert_joined(STRINGS("a"), "a");
    assert_joined(NO_STRINGS, "");
    assert_joined(NULL, "");
}
END_TEST

/* ---- Files ---------------------------------------------------------------------------------- */

static struct tree tree;

static void set_up(void) {
    tree_begin(&tree);
}

static void tear_down(void) {
    tree_end(&tree);
}

START_TEST(test_file_read) {
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;

    tree_data(&tree, "file", "ab\0cd", 5);
    ck_assert_int_eq(file_read(tree.fd, "file", 5, &text, &size), 0);
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(text, "ab\0cd", 6);
    ck_assert_int_eq(file_read(tree.fd, "file", 4, &text, &size), -EFBIG);
    ck_assert_int_eq(file_read(tree.fd, "none", 4, &text, &size), -ENOENT);
    ck_assert_int_eq(file_read(tree.fd, ".", 4, &text, &size), -EISDIR);
    ck_assert_int_eq(mkfifoat(tree.fd, "fifo", 0600), 0);
    ck_assert_int_eq(file_read(tree.fd, "fifo", 4, &text, &size), -EINVAL);
    tree_link(&tree, "loop", "loop");
    ck_assert_int_eq(file_read(tree.fd, "loop", 4, &text, &size), -ELOOP);
    ck_assert_uint_eq(size, 5);
}
END_TEST

START_TEST(test_attribute_read) {
    char text[5];

    tree_file(&tree, "attribute", "flr\n");
    ck_assert_int_eq(attribute_read(tree.fd, "attribute", text, 5), 3);
    ck_assert_str_eq(text, "flr");
    ck_assert_int_eq(attribute_read(tree.fd, "attribute", text, 4), -EFBIG);
    tree_file(&tree, "attribute", "");
    ck_assert_int_eq(attribute_read(tree.fd, "attribute", text, 5), 0);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(attribute_read(tree.fd, "none", text, 5), -ENOENT);
}
END_TEST

START_TEST(test_link_read) {
    char text[5];

    tree_link(&tree, "link", "abcd");
    tree_link(&tree, "long", "abcde");
    tree_file(&tree, "file", "");
    ck_assert_int_eq(link_read(tree.fd, "link", text, 5), 4);
    ck_assert_str_eq(text, "abcd");
    ck_assert_int_eq(link_read(tree.fd, "long", text, 5), -ENAMETOOLONG);
    ck_assert_int_eq(link_read(tree.fd, "file", text, 5), -EINVAL);
    ck_assert_int_eq(link_read(tree.fd, "none", text, 5), -ENOENT);
}
END_TEST

START_TEST(test_file_replace) {
    _cleanup_(freep) char *text = NULL;
    char name[NAME_MAX + 1];
    struct stat status;

    ck_assert_int_eq(file_replace(tree.fd, "file", "old", 3, 0600), 0);
    ck_assert_int_eq(file_replace(tree.fd, "file", "", 0, 0600), 0);
    ck_assert_int_eq(file_replace(tree.fd, "file", "newer", 5, 0600), 0);
    ck_assert_int_eq(file_read(tree.fd, "file", 99, &text, NULL), 0);
    ck_assert_str_eq(text, "newer");
    ck_assert_int_eq(fstatat(tree.fd, "file", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode, S_IFREG | 0600);
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = 0;
    ck_assert_int_eq(file_replace(tree.fd, name, "x", 1, 0600), -ENAMETOOLONG);
    /* A failure leaves nothing behind. */
    tree_folder(&tree, "folder");
    ck_assert_int_eq(file_replace(tree.fd, "folder", "x", 1, 0600), -EISDIR);
    ck_assert_int_eq(faccessat(tree.fd, ".folder.new", F_OK, 0), -1);
    /* Nobody's link is followed. */
    tree_link(&tree, ".file.new", "victim");
    ck_assert_int_eq(file_replace(tree.fd, "file", "x", 1, 0600), -ELOOP);
    ck_assert_int_eq(faccessat(tree.fd, "victim", F_OK, 0), -1);
}
END_TEST

START_TEST(test_directory) {
    _cleanup_(closedirp) DIR *folder = NULL;
    unsigned n = 0;

    tree_file(&tree, "folder/a", "");
    tree_file(&tree, "folder/..b", "");
    ck_assert_int_eq(directory_open(tree.fd, "folder", &folder), 0);
    while (directory_next(folder))
        n++;
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(directory_open(tree.fd, "folder/a", &folder), -ENOTDIR);
    ck_assert_int_eq(directory_open(tree.fd, "none", &folder), -ENOENT);
}
END_TEST

static void add_strings(Suite *suite) {
    TCase *all = tree_case("strings");

    tcase_add_loop_test(all, test_parse_u64, 0, ELEMENTS_OF(numbers));
    tcase_add_test(all, test_parse_u32);
    tcase_add_loop_test(all, test_parse_hex32, 0, ELEMENTS_OF(hex_numbers));
    tcase_add_loop_test(all, test_text, 0, ELEMENTS_OF(texts));
    tcase_add_test(all, test_pieces);
    tcase_add_test(all, test_strings);
    tcase_add_test(all, test_strings_equal);
    tcase_add_test(all, test_strings_join);
    tcase_add_test(all, test_intern);
    suite_add_tcase(suite, all);
}

static void add_files(Suite *suite) {
    TCase *all = tree_case("files");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_file_read);
    tcase_add_test(all, test_attribute_read);
    tcase_add_test(all, test_link_read);
    tcase_add_test(all, test_file_replace);
    tcase_add_test(all, test_directory);
    suite_add_tcase(suite, all);
}

int main(void) {
    Suite *suite = suite_create("util");

    add_strings(suite);
    add_files(suite);
    return tree_main(suite);
}
