/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every fault that a policy can have: that it is found, where, and with what words. With --list the
 * cases are printed, for the test that holds the schema against the parser. */

#include "policy-test.h"

#define RULE(inside) RULES("{\"effect\": \"allow\", \"match\": {}" inside "}")
#define MATCH(inside) RULES("{\"effect\": \"allow\", \"match\": {" inside "}}")
#define SUBJECTS(inside) RULES("{\"effect\": \"deny\", \"match\": {}, \"subjects\": {" inside "}}")
#define ALLOW(match, subjects)                                                                     \
    "{\"effect\": \"allow\", \"match\": {" match "}, \"subjects\": {" subjects "}}"
#define DENY(match) "{\"effect\": \"deny\", \"match\": {" match "}}"

enum seen {
    BY_PARSER, /* only the parser can see it */
    BY_SCHEMA, /* the schema must refuse it too */
};

/* In text, the mark ` stands before the place that the message must name. */
static const struct {
    enum seen seen;
    const char *text;
    const char *message; /* a part of it */
} faults[] = {
    /* not JSON */
    { BY_PARSER, "`", "ends before" },
    { BY_PARSER, "{\"version\": 1`", "ends before" },
    { BY_PARSER, "`\xef\xbb\xbf{\"version\": 1}", "not JSON" },
    { BY_PARSER, "{\"version\": 1} `x", "not JSON" },
    { BY_PARSER, "{\"version\": 1,`}", "not JSON" },
    { BY_PARSER, "{\"version\": 01`}", "not JSON" },
    { BY_PARSER, "{`// comment\n\"version\": 1}", "not JSON" },
    { BY_PARSER, "{\n  \"version\": 1,\n  \"rules\": [}", "not JSON" },
    { BY_PARSER, "{`'version': 1}", "single quotes" },
    { BY_PARSER, "{\"version\": `NaN}", "NaN is not JSON" },
    { BY_PARSER, "{\"version\": 1, \"rules\": `null}", "null" },
    { BY_PARSER, RULE(", \"name\": \"a`\nb\""), "control character" },
    { BY_PARSER, RULE(", \"name\": \"a`\\u0000b\""), "\\u0000" },
    { BY_PARSER, "{\"version\": 1, `\"rul\\u0065s\": []}", "backslash" },
    { BY_PARSER, "{\"version\": 1, \"rules\": [[[[[[[[[[[[[[[`[1]]]]]]]]]]]]]]]]}", "nested" },
    { BY_PARSER, RULE(", \"name\": \"\xff\""), "utf-8" },
    /* keys given twice, at every level */
    { BY_PARSER, "{\"version\": 1, `\"version\": 1}", "given twice" },
    { BY_PARSER, "{\"version\": 1,\n \"limits\": {\"leases_per_uid\": 1,\n"
                 "  `\"leases_per_uid\": 1}}", "given twice" },
    { BY_PARSER, RULE(", `\"effect\": \"deny\""), "\"effect\" is given twice" },
    { BY_PARSER, MATCH("\"bus\": \"pci\", `\"bus\": \"pci\""), "given twice" },
    { BY_PARSER, SUBJECTS("\"users\": [1], `\"users\": [2]"), "given twice" },
    { BY_PARSER, "{\"version\": 1, \"x\": {\"é\": [{\"a\": 1, `\"a\": {}}]}}", "given twice" },
    /* the document */
    { BY_SCHEMA, "`[]", "is an object" },
    { BY_SCHEMA, "`{}", "\"version\" is missing" },
    { BY_SCHEMA, "{\"version\": `2}", "version 1" },
    { BY_SCHEMA, "{\"version\": `\"1\"}", "must be a whole number" },
    { BY_SCHEMA, "{\"version\": `true}", "must be a whole number" },
    { BY_SCHEMA, "{\"version\": 1,\n\t`\"rulez\": []}", "\"rulez\" is unknown" },
    { BY_SCHEMA, "{\"version\": 1, \"rules\": `{}}", "must be a list" },
    { BY_SCHEMA, "{\"version\": 1, \"rules\": [`1]}", "must be an object" },
    { BY_SCHEMA, "{\"version\": 1, \"limits\": `[]}", "must be an object" },
    { BY_SCHEMA, "{\"version\": 1, \"limits\": {`\"leases\": 1}}", "unknown in \"limits\"" },
    { BY_SCHEMA, "{\"version\": 1, \"limits\": {\"leases_per_uid\": `0}}", "from 1 to" },
    { BY_SCHEMA, "{\"version\": 1, \"limits\": {\"pending_per_uid\": `\"8\"}}", "whole number" },
    { BY_SCHEMA, "{\"version\": 1, \"limits\": {\"targets_per_call\": `1.5}}", "whole number" },
    /* rules */
    { BY_SCHEMA, RULES("`{\"match\": {}}"), "\"effect\" is missing" },
    { BY_SCHEMA, RULES("`{\"effect\": \"allow\"}"), "\"match\" is missing" },
    { BY_SCHEMA, RULES("{\"effect\": `\"maybe\", \"match\": {}}"), "must be \"allow\"" },
    { BY_SCHEMA, RULES("{\"effect\": `true, \"match\": {}}"), "must be a string" },
    { BY_SCHEMA, RULE(", `\"mode\": [\"fd\"]"), "\"mode\" is unknown in a rule" },
    { BY_SCHEMA, RULE(", \"name\": `\"\""), "empty string" },
    { BY_SCHEMA, RULE(", \"name\": `\"a b\""), "no name for a rule" },
    { BY_SCHEMA, RULE(", \"name\": `\".a\""), "no name for a rule" },
    { BY_SCHEMA, RULE(", \"name\": `\"a234567890123456789012345678901234567890123456789012345678901"
                      "2345\""), "no name for a rule" },
    { BY_SCHEMA, RULE(", \"name\": `1"), "must be a string" },
    { BY_SCHEMA, RULE(", \"modes\": `\"fd\""), "must be a list" },
    { BY_SCHEMA, RULE(", \"modes\": `[]"), "empty list" },
    { BY_SCHEMA, RULE(", \"modes\": [\"fd\", `\"file\"]"), "does not know the word \"file\"" },
    { BY_SCHEMA, RULE(", \"modes\": [`1]"), "must be a string" },
    { BY_SCHEMA, RULE(", \"lifetimes\": `[]"), "empty list" },
    { BY_SCHEMA, RULE(", \"lifetimes\": [`\"forever\"]"), "does not know" },
    { BY_SCHEMA, RULE(", \"require\": [`\"flr\"]"), "does not know" },
    { BY_SCHEMA, RULE(", \"require\": `{}"), "must be a list" },
    { BY_SCHEMA, RULE(", \"max_ttl\": `0"), "from 1 to" },
    { BY_SCHEMA, RULE(", \"max_ttl\": `99999999999999999999"), "from 1 to" },
    { BY_SCHEMA, RULE(", \"max_ttl\": `-5"), "from 1 to" },
    { BY_SCHEMA, RULE(", \"max_ttl\": `\"1h\""), "whole number" },
    { BY_SCHEMA, RULE(", \"max_leases\": `0"), "from 1 to" },
    { BY_SCHEMA, RULE(", \"detach\": `\"yes\""), "true or false" },
    { BY_SCHEMA, RULE(", \"reserve\": `1"), "true or false" },
    { BY_SCHEMA, RULE(", \"reattach_unreset\": `[]"), "true or false" },
    { BY_SCHEMA, RULE(", \"vfio_driver\": `\"../x\""), "name of a driver" },
    { BY_SCHEMA, RULE(", \"vfio_driver\": `false"), "must be a string" },
    { BY_SCHEMA, RULE(", \"delegate\": `[]"), "empty list" },
    { BY_SCHEMA, RULE(", \"delegate\": `\"bob\""), "must be a list" },
    { BY_PARSER, RULE(", \"delegate\": [`\"nobody-here\"]"), "unknown on this machine" },
    { BY_SCHEMA, RULES("{\"effect\": \"deny\", `\"modes\": [\"fd\"], \"match\": {}}"),
      "term of a grant" },
    { BY_SCHEMA, RULES("{\"effect\": \"deny\", \"match\": {}, `\"detach\": false}"),
      "term of a grant" },
    /* match */
    { BY_SCHEMA, RULES("{\"effect\": \"allow\", \"match\": `[]}"), "must be an object" },
    { BY_SCHEMA, MATCH("`\"device\": \"0x10d3\""), "unknown in \"match\"" },
    { BY_SCHEMA, MATCH("\"bus\": `[]"), "empty list" },
    { BY_SCHEMA, MATCH("\"bus\": `\"\""), "empty string" },
    { BY_SCHEMA, MATCH("\"bus\": `\"pc*\""), "compared whole" },
    { BY_SCHEMA, MATCH("\"bus\": [\"pci\", `7]"), "must be a string" },
    { BY_SCHEMA, MATCH("\"vendor\": `\"8086\""), "0x" },
    { BY_SCHEMA, MATCH("\"vendor\": `\"0x18086\""), "0x" },
    { BY_SCHEMA, MATCH("\"vendor\": `\"0x\""), "0x" },
    { BY_SCHEMA, MATCH("\"vendor\": `32902"), "string with a hexadecimal number" },
    { BY_SCHEMA, MATCH("\"vendor\": \"0x8086\", \"product\": [\"0x1\", `\"0x10g3\"]"), "0x10g3" },
    { BY_SCHEMA, MATCH("\"bus\": \"platform\", `\"vendor\": \"0x8086\""), "PCI devices only" },
    { BY_SCHEMA, MATCH("\"bus\": [\"amba\", \"platform\"], `\"class\": \"0x02****\""), "PCI" },
    { BY_SCHEMA, MATCH("\"bus\": \"amba\", `\"product\": \"0x1031\""), "PCI devices only" },
    { BY_SCHEMA, MATCH("\"bus\": \"fsl-mc\", `\"vendor\": \"0x1957\""), "PCI devices only" },
    { BY_SCHEMA, MATCH("`\"subsystem_vendor\": \"0x1\", \"bus\": \"usb\""), "PCI" },
    { BY_SCHEMA, MATCH("\"class\": `\"0x02\""), "six hexadecimal digits" },
    { BY_SCHEMA, MATCH("\"class\": `\"02****\""), "begin with 0x" },
    { BY_SCHEMA, MATCH("\"class\": `\"0x02000000*\""), "six hexadecimal digits" },
    { BY_SCHEMA, MATCH("\"class\": `\"0x02??\""), "six hexadecimal digits" },
    { BY_SCHEMA, MATCH("\"class\": `\"0xnet***\""), "hexadecimal digits" },
    { BY_SCHEMA, MATCH("\"class\": `\"0x02[xy]000\""), "hexadecimal digits" },
    { BY_PARSER, MATCH("\"driver\": `\"e1000[\""), "[ that no ] closes" },
    { BY_PARSER, MATCH("\"modalias\": `\"pci:\\\\\""), "a backslash at its end" },
    { BY_SCHEMA, MATCH("\"name\": `\"pci/0000\""), "hold no /" },
    { BY_SCHEMA, MATCH("\"driver\": `\"a/b\""), "hold no /" },
    { BY_SCHEMA, MATCH("\"path\": `\"/devices/pci0000:00\""), "begins with /sys/" },
    { BY_SCHEMA, MATCH("\"path\": `\"devices/*\""), "begins with /sys/" },
    { BY_SCHEMA, MATCH("\"path\": `\"/sys/devices/\""), "ends with /" },
    { BY_SCHEMA, MATCH("\"path\": `\"/sys\""), "begins with /sys/" },
    { BY_SCHEMA, MATCH("\"removable\": `\"yes\""), "fixed" },
    { BY_SCHEMA, MATCH("\"removable\": `true"), "must be a string" },
    { BY_SCHEMA, MATCH("\"numa_node\": `-2"), "from -1 to" },
    { BY_SCHEMA, MATCH("\"numa_node\": `\"one\""), "hexadecimal" },
    { BY_SCHEMA, MATCH("\"compatible\": `[]"), "empty list" },
    { BY_SCHEMA, MATCH("\"compatible\": [`\"a\\nb\"]"), "control characters" },
    /* subjects */
    { BY_SCHEMA, SUBJECTS("`\"uids\": [1]"), "unknown in \"subjects\"" },
    { BY_SCHEMA, RULES("{\"effect\": \"allow\", \"match\": {}, \"subjects\": `{}}"), "is empty" },
    { BY_SCHEMA, RULES("{\"effect\": \"allow\", \"match\": {}, \"subjects\": `[]}"), "object" },
    { BY_SCHEMA, SUBJECTS("\"users\": `[]"), "empty list" },
    { BY_SCHEMA, SUBJECTS("\"users\": `\"alice\""), "must be a list" },
    { BY_SCHEMA, SUBJECTS("\"users\": [`4294967295]"), "4294967294" },
    { BY_SCHEMA, SUBJECTS("\"users\": [`\"4294967295\"]"), "4294967294" },
    { BY_SCHEMA, SUBJECTS("\"groups\": [`4294967296]"), "4294967294" },
    { BY_SCHEMA, SUBJECTS("\"users\": [`-1]"), "4294967294" },
    { BY_SCHEMA, SUBJECTS("\"users\": [0, `1.5]"), "names and numbers" },
    { BY_SCHEMA, SUBJECTS("\"users\": [`\"01\"]"), "number of a user" },
    { BY_SCHEMA, SUBJECTS("\"users\": [`\"a:b\"]"), "cannot be the name" },
    { BY_PARSER, SUBJECTS("\"users\": [`\"nobody-here\"]"), "user \"nobody-here\" is unknown" },
    { BY_PARSER, SUBJECTS("\"users\": [`\"minus-one\"]"), "is unknown" },
    { BY_PARSER, SUBJECTS("\"users\": [`\"timeout\"]"), "could not be looked up" },
    { BY_PARSER, SUBJECTS("\"groups\": [`\"alice\"]"), "group \"alice\" is unknown" },
    { BY_SCHEMA, SUBJECTS("\"units\": [`\"dpdk\"]"), "name of a service or a scope" },
    { BY_SCHEMA, SUBJECTS("\"units\": [`\"machine.slice\"]"), "name of a service or a scope" },
    { BY_SCHEMA, SUBJECTS("\"units\": [`\"a/b.service\"]"), "name of a service or a scope" },
    { BY_PARSER, SUBJECTS("\"units\": [`\"dpdk[.service\"]"), "[ that no ] closes" },
    /* rules against each other */
    { BY_PARSER, RULES(DENY("") ", `" DENY("\"bus\": \"pci\"")), "can never apply" },
    { BY_PARSER, RULES(ALLOW("\"vendor\": \"0x8086\"", "\"users\": [1, 2]") ", `"
                       ALLOW("\"vendor\": \"0x8086\", \"product\": \"0x1\"", "\"users\": [2]")),
      "can never apply" },
    { BY_PARSER, RULES("{\"name\": \"a\", \"effect\": \"allow\", \"match\": {}}, "
                       "`{\"name\": \"a\", \"effect\": \"deny\", \"match\": {}}"), "same name" },
};

/* The text without its mark; where the mark stood, line 0 if there is none. */
static char *text_without_mark(const char *marked, unsigned *ret_line, unsigned *ret_column) {
    char *text = strdup(marked);
    char *mark = strchr(text, '`');

    *ret_line = 0;
    if (!mark)
        return text;
    *ret_line = *ret_column = 1;
    for (const char *at = text; at < mark; at++) {
        *ret_column = *at == '\n' ? 1 : *ret_column + (((unsigned char)*at & 0xc0) != 0x80);
        *ret_line += *at == '\n';
    }
    memmove(mark, mark + 1, strlen(mark));
    return text;
}

START_TEST(test_fault) {
    unsigned line, column = 0;
    _cleanup_(freep) char *text = text_without_mark(faults[_i].text, &line, &column);
    struct policy_report report = { 0 };
    struct policy *policy = NULL;

    int r = policy_parse_buffer("x.json", text, strlen(text), &test_strict, &policy, &report);
    ck_assert_msg(r == POLICY_INVALID, "%s: accepted (%d)", text, r);
    ck_assert_ptr_null(policy);
    const struct policy_message *message = policy_report_first_error(&report);
    ck_assert_ptr_nonnull(message);
    _cleanup_(freep) char *shown = policy_message_format(message);
    ck_assert_msg(strstr(message->text, faults[_i].message), "%s: %s", text, shown);
    ck_assert_str_eq(message->file, "x.json");
    ck_assert_msg(message->line >= 1 && message->column >= 1, "%s: %s", text, shown);
    if (line)
        ck_assert_msg(message->line == line && message->column == column,
                      "%s: at %u:%u and not %u:%u", text, message->line, message->column, line,
                      column);
    ck_assert_msg(message->text[strlen(message->text) - 1] == '.', "no sentence: %s", shown);
    policy_report_done(&report);
}
END_TEST

static void list_faults(void) {
    for (size_t i = 0; i < ELEMENTS_OF(faults); i++) {
        unsigned line, column;
        if (faults[i].seen != BY_SCHEMA)
            continue;
        _cleanup_(freep) char *text = text_without_mark(faults[i].text, &line, &column);
        test_list_case("refuse", text);
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && string_equal(argv[1], "--list")) {
        list_faults();
        return 0;
    }
    Suite *suite = suite_create("policy faults");
    TCase *each = tcase_create("each");
    tcase_add_loop_test(each, test_fault, 0, ELEMENTS_OF(faults));
    suite_add_tcase(suite, each);
    return test_main(suite);
}
