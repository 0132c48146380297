/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The specification for container engines: what is listed, and that every reader of CDI 0.5.0 takes it. */

#include <check.h>
#include <ctype.h>
#include <errno.h>

#include "client/json.h"
#include "client/oci/cdi.h"
#include "client/oci/node.h"
#include "util/string.h"

static struct cdi cdi;

static void teardown(void) {
    cdi_done(&cdi);
}

/* A member of a group: its finding as Explain has it. */
static void add_finding(json_object *findings, uint32_t group, const char *device, const char *reason) {
    json_object *finding = json_object_new_object();

    ck_assert_int_eq(json_set(finding, "group", json_object_new_int64(group)), 0);
    ck_assert_int_eq(json_set_text(finding, "device", device), 0);
    ck_assert_int_eq(json_set_text(finding, "reason", reason), 0);
    ck_assert_int_eq(json_append(findings, finding), 0);
}

/* A group of one device on a VFIO driver. */
static void add(uint32_t group, const char *node, const char *first, const char *device) {
    _cleanup_(json_putp) json_object *findings = json_object_new_array();

    add_finding(findings, group, device, "user-driver");
    ck_assert_int_eq(cdi_add_group(&cdi, group, node, first, findings), 0);
}

/* ---- The rules of the format ------------------------------------------------------------------ */

/* Readers refuse what they do not know. */
static void check_keys(json_object *object, const char *const *known) {
    ck_assert(json_object_is_type(object, json_type_object));
    json_object_object_foreach(object, key, value) {
        ck_assert_msg(strings_contain((char *const *)known, key), "unknown key %s", key);
        (void)value;
    }
}

/* A name: letters, digits and four others; both ends a letter or a digit. */
static void check_name(const char *name) {
    size_t length = strlen(name);

    ck_assert_uint_gt(length, 0);
    for (size_t i = 0; i < length; i++)
        ck_assert(isalnum((unsigned char)name[i]) || strchr("_-.:", name[i]));
    ck_assert(isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[length - 1]));
}

static void check_node(json_object *node) {
    static const char *const keys[] = {"path", "permissions", "fileMode", NULL};

    check_keys(node, keys);
    ck_assert_str_eq(json_text(node, "permissions"), "rw");
    ck_assert_uint_eq(json_number(node, "fileMode"), 0666);
    ck_assert(string_after(json_text(node, "path"), "/dev/vfio/"));
}

static void check_hook(json_object *hook) {
    static const char *const keys[] = {"hookName", "path", "args", "timeout", NULL};

    check_keys(hook, keys);
    ck_assert(string_equal(json_text(hook, "hookName"), "createRuntime") ||
              string_equal(json_text(hook, "hookName"), "poststop"));
    ck_assert(json_text(hook, "path")[0] == '/');
    ck_assert_uint_eq(json_length(json_member(hook, "args")), 4);
    ck_assert_uint_gt(json_number(hook, "timeout"), 0);
}

static void check_device(json_object *device) {
    static const char *const keys[] = {"name", "containerEdits", NULL};
    static const char *const edits_keys[] = {"deviceNodes", "hooks", NULL};
    json_object *edits = json_member(device, "containerEdits");
    json_object *nodes = json_member(edits, "deviceNodes"), *hooks = json_member(edits, "hooks");

    check_keys(device, keys);
    check_keys(edits, edits_keys);
    check_name(json_text(device, "name"));
    ck_assert_uint_eq(json_length(nodes), 2);
    ck_assert_uint_eq(json_length(hooks), 2);
    for (size_t i = 0; i < 2; i++) {
        check_node(json_object_array_get_idx(nodes, i));
        check_hook(json_object_array_get_idx(hooks, i));
    }
}

/* Checks the document, and returns its names, joined; the caller's. */
static char *names_of(const char *text) {
    static const char *const keys[] = {"cdiVersion", "kind", "devices", NULL};
    _cleanup_(json_putp) json_object *document = json_tokener_parse(text);
    _cleanup_(strings_freep) char **names = NULL;
    json_object *devices = json_member(document, "devices");

    check_keys(document, keys);
    ck_assert_str_eq(json_text(document, "cdiVersion"), "0.5.0");
    ck_assert_str_eq(json_text(document, "kind"), "dmaownd.org/group");
    ck_assert_uint_gt(json_length(devices), 0);
    for (size_t i = 0; i < json_length(devices); i++) {
        json_object *device = json_object_array_get_idx(devices, i);
        check_device(device);
        ck_assert(!strings_contain(names, json_text(device, "name")));
        ck_assert_int_eq(strings_append(&names, json_text(device, "name")), 0);
    }
    return strings_join(names, " ");
}

/* Formats, and compares the names; "" for no document. */
static void check_names(const char *expected) {
    _cleanup_(freep) char *text = NULL;

    ck_assert_int_eq(cdi_format(&cdi, "/usr/libexec/dmaownd/oci-hook", &text), 0);
    if (!*expected) {
        ck_assert_ptr_null(text);
        return;
    }
    ck_assert_ptr_nonnull(text);
    _cleanup_(freep) char *names = names_of(text);
    ck_assert_str_eq(names, expected);
}

/* ---- Tests ------------------------------------------------------------------------------------ */

START_TEST(test_empty) {
    check_names("");
    ck_assert_int_eq(cdi_add_group(&cdi, 7, "/dev/vfio/7", "", NULL), 0);
    check_names("");
}
END_TEST

START_TEST(test_names) {
    add(9, "/dev/vfio/9", "", "fff50000.ethernet");
    add(13, "/dev/vfio/13", "", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    add(7, "/dev/vfio/7", "leased", "0000:00:05.0");
    add(8, "/dev/vfio/8", "kernel-driver", "vfio_pci-0");
    check_names("0000:00:05.0 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 fff50000.ethernet vfio_pci-0");
}
END_TEST

/* One cannot stand in a specification, and would make the whole file useless. */
START_TEST(test_odd_names) {
    static const char *const odd[] = {"",   "a/b",    "a b",  "a@b",  "a+b",        "-a",   "a-",
                                      ".a", "a.",     ":a",   "a:",   "_a",         "a\nb", "a\\x0ab",
                                      "ä",  "a\xffx", "a\"b", "a=b",  "a,b",        "a%b",  "all*"};
    char longest[CDI_NAME_LENGTH_MAX + 2] = {0};

    for (size_t i = 0; i < ELEMENTS_OF(odd); i++)
        add(7, "/dev/vfio/7", "", odd[i]);
    memset(longest, 'a', sizeof(longest) - 1);
    add(7, "/dev/vfio/7", "", longest);
    check_names("");
    add(7, "/dev/vfio/7", "", longest + 1);
    check_names(longest + 1);
}
END_TEST

START_TEST(test_policy) {
    static const char *const denials[] = {"policy-denied",   "no-rule",         "mode-denied",
                                          "lifetime-denied", "delegate-denied", "detach-denied"};
    static const char *const others[] = {"", "draining", "switching", "leased", "open-elsewhere", "quota"};

    for (size_t i = 0; i < ELEMENTS_OF(denials); i++)
        add(7, "/dev/vfio/7", denials[i], "denied");
    for (uint32_t i = 0; i < ELEMENTS_OF(others); i++) {
        char node[] = "/dev/vfio/0", name[] = "a0";
        node[sizeof(node) - 2] = name[1] = (char)('0' + i);
        add(i, node, others[i], name);
    }
    check_names("a0 a1 a2 a3 a4 a5");
}
END_TEST

START_TEST(test_members) {
    _cleanup_(json_putp) json_object *findings = json_object_new_array();

    add_finding(findings, 7, "0000:00:05.0", "user-driver");
    add_finding(findings, 7, "0000:00:05.1", "kernel-driver");
    add_finding(findings, 7, "0000:00:05.2", "free");
    add_finding(findings, 7, "0000:00:05.3", "passive");
    add_finding(findings, 8, "0000:00:05.4", "user-driver");
    add_finding(findings, 7, "0000:00:05.5", "user-driver");
    ck_assert_int_eq(json_append(findings, json_object_new_string("no finding")), 0);
    ck_assert_int_eq(json_append(findings, json_object_new_object()), 0);
    ck_assert_int_eq(cdi_add_group(&cdi, 7, "/dev/vfio/7", "kernel-driver", findings), 0);
    check_names("0000:00:05.0 0000:00:05.5");
}
END_TEST

/* A node that is not the group's own is nothing to pass on. */
START_TEST(test_nodes) {
    static const char *const odd[] = {"",           "/dev/vfio/8",  "/dev/vfio/07",   "/dev/vfio/vfio",
                                      "/dev/vfio/", "/dev/vfio/-7", "/dev/vfio/../7", "/dev/vfio/noiommu-7",
                                      "7",          "/dev/null",    "/dev/vfio/7 ",   "/dev/vfio/4294967303"};
    uint32_t group;

    for (size_t i = 0; i < ELEMENTS_OF(odd); i++)
        add(7, odd[i], "", "odd");
    check_names("");
    ck_assert_int_eq(vfio_node_parse("/dev/vfio/4294967295", &group), 0);
    ck_assert_uint_eq(group, UINT32_MAX);
    ck_assert_int_eq(vfio_node_parse(NULL, &group), -EINVAL);
}
END_TEST

/* A name stands for one device only: two buses can use one. */
START_TEST(test_ambiguous) {
    add(7, "/dev/vfio/7", "", "twice");
    add(8, "/dev/vfio/8", "", "once");
    add(9, "/dev/vfio/9", "", "twice");
    check_names("once");
    add(10, "/dev/vfio/10", "", "once");
    check_names("");
}
END_TEST

START_TEST(test_document) {
    _cleanup_(freep) char *text = NULL;

    add(7, "/dev/vfio/7", "", "0000:00:05.0");
    ck_assert_int_eq(cdi_format(&cdi, "/opt/oci-hook", &text), 0);
    _cleanup_(json_putp) json_object *document = json_tokener_parse(text);
    json_object *device = json_object_array_get_idx(json_member(document, "devices"), 0);
    json_object *hooks = json_member(json_member(device, "containerEdits"), "hooks");
    ck_assert_str_eq(json_object_to_json_string_ext(hooks, JSON_C_TO_STRING_NOSLASHESCAPE),
                     "[{\"hookName\":\"createRuntime\",\"path\":\"/opt/oci-hook\",\"args\":[\"oci-hook\","
                     "\"claim\",\"0000:00:05.0\",\"/dev/vfio/7\"],\"timeout\":30},"
                     "{\"hookName\":\"poststop\",\"path\":\"/opt/oci-hook\",\"args\":[\"oci-hook\","
                     "\"release\",\"0000:00:05.0\",\"/dev/vfio/7\"],\"timeout\":30}]");
    json_object *nodes = json_member(json_member(device, "containerEdits"), "deviceNodes");
    ck_assert_str_eq(json_text(json_object_array_get_idx(nodes, 0), "path"), "/dev/vfio/7");
    ck_assert_str_eq(json_text(json_object_array_get_idx(nodes, 1), "path"), "/dev/vfio/vfio");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cdi");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, NULL, teardown);
    tcase_add_test(all, test_empty);
    tcase_add_test(all, test_names);
    tcase_add_test(all, test_odd_names);
    tcase_add_test(all, test_policy);
    tcase_add_test(all, test_members);
    tcase_add_test(all, test_nodes);
    tcase_add_test(all, test_ambiguous);
    tcase_add_test(all, test_document);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
