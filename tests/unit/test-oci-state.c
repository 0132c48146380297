/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a container runtime tells its hooks, as runtimes do and as they should not. */

#include <check.h>
#include <errno.h>
#include <sys/sysmacros.h>

#include "client/oci/state.h"
#include "util/string.h"

/* Exactly these bytes, with none behind the end. The problem, or NULL. */
static const char *parse(const char *text, size_t size, struct oci_state *ret) {
    const char *problem = NULL;
    _cleanup_(freep) char *exact = malloc(size ? size : 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, text, size);
    int r = oci_state_parse(exact, size, ret, &problem);
    ck_assert(r == 0 || r == -EBADMSG);
    ck_assert((r == 0) == !problem);
    return problem;
}

/* ---- State ------------------------------------------------------------------------------------ */

#define BUNDLE "\"bundle\":\"/b\""

static const struct {
    const char *text;
    const char *id, *bundle;
    pid_t pid;
} good[] = {
    {"{\"ociVersion\":\"1.0\",\"id\":\"e56d\",\"pid\":2195,\"root\":\"/r\",\"bundle\":\"/b/userdata\","
     "\"status\":\"created\",\"annotations\":{\"a\":\"b\"}}",
     "e56d", "/b/userdata", 2195},
    {"{\"id\":\"a\",\"pid\":0," BUNDLE "}", "a", "/b", 0},
    {"{\"id\":\"a\"," BUNDLE "}", "a", "/b", 0},
    {"{\"id\":\"a\",\"pid\":null," BUNDLE "}", "a", "/b", 0},
    {" \n{\"id\":\"A-b_c.d+9\"," BUNDLE ",\"pid\":2147483647}\n", "A-b_c.d+9", "/b", 2147483647},
    {"{\"id\":\"..\",\"bundle\":\"/a/../b c\",\"pid\":1}", "..", "/a/../b c", 1},
};

START_TEST(test_good) {
    struct oci_state state = {0};

    ck_assert_ptr_null(parse(good[_i].text, strlen(good[_i].text), &state));
    ck_assert_str_eq(state.id, good[_i].id);
    ck_assert_str_eq(state.bundle, good[_i].bundle);
    ck_assert_int_eq(state.pid, good[_i].pid);
    oci_state_done(&state);
}
END_TEST

#define NO_OBJECT "it is not a JSON object"
#define NO_ID "its \"id\" is not"
#define NO_BUNDLE "its \"bundle\" is not"
#define NO_PID "its \"pid\" is not"

static const struct {
    const char *text, *problem;
} bad[] = {
    {"", NO_OBJECT},
    {" ", NO_OBJECT},
    {"no JSON", NO_OBJECT},
    {"[]", NO_OBJECT},
    {"null", NO_OBJECT},
    {"\"a\"", NO_OBJECT},
    {"{\"id\":\"a\",\"pid\":1," BUNDLE, NO_OBJECT},
    {"{\"id\":\"a\",\"pid\":1," BUNDLE "} {}", NO_OBJECT},
    {"{\"id\":\"a\",\"pid\":1," BUNDLE "}x", NO_OBJECT},
    {"{\"id\":\"a\xff\",\"pid\":1," BUNDLE "}", NO_OBJECT},
    {"{'id':'a','pid':1}", NO_OBJECT},
    {"{}", NO_ID},
    {"{\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":null,\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":7,\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"\",\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"a/b\",\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"a:7\",\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"a b\",\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"a\\n\",\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"a\\u0000b\",\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"\\u00e4\",\"pid\":1," BUNDLE "}", NO_ID},
    {"{\"id\":\"a\",\"pid\":1}", NO_BUNDLE},
    {"{\"id\":\"a\",\"pid\":1,\"bundle\":\"\"}", NO_BUNDLE},
    {"{\"id\":\"a\",\"pid\":1,\"bundle\":\"b\"}", NO_BUNDLE},
    {"{\"id\":\"a\",\"pid\":1,\"bundle\":\"../b\"}", NO_BUNDLE},
    {"{\"id\":\"a\",\"pid\":1,\"bundle\":[\"/b\"]}", NO_BUNDLE},
    {"{\"id\":\"a\",\"pid\":1,\"bundle\":\"/b\\u0000c\"}", NO_BUNDLE},
    {"{\"id\":\"a\",\"pid\":-1," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":\"1\"," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":1.5," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":1e3," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":true," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":[1]," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":2147483648," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":4294967297," BUNDLE "}", NO_PID},
    {"{\"id\":\"a\",\"pid\":18446744073709551617," BUNDLE "}", NO_PID},
};

START_TEST(test_bad) {
    struct oci_state state = {0};
    const char *problem = parse(bad[_i].text, strlen(bad[_i].text), &state);

    ck_assert_msg(problem && string_after(problem, bad[_i].problem), "%s: %s", bad[_i].text,
                  problem ? problem : "none");
    ck_assert_ptr_null(state.id);
}
END_TEST

START_TEST(test_nul) {
    static const char text[] = "{\"id\":\"a\",\"pid\":1," BUNDLE "}";
    struct oci_state state = {0};

    ck_assert_ptr_nonnull(parse(text, sizeof(text), &state));
}
END_TEST

START_TEST(test_long) {
    _cleanup_(freep) char *id = calloc(1, OCI_ID_LENGTH_MAX + 2);
    struct oci_state state = {0};

    memset(id, 'a', OCI_ID_LENGTH_MAX);
    _cleanup_(freep) char *longest = string_format("{\"id\":\"%s\",\"pid\":1," BUNDLE "}", id);
    ck_assert_ptr_null(parse(longest, strlen(longest), &state));
    oci_state_done(&state);
    id[OCI_ID_LENGTH_MAX] = 'a';
    _cleanup_(freep) char *longer = string_format("{\"id\":\"%s\",\"pid\":1," BUNDLE "}", id);
    ck_assert_ptr_nonnull(parse(longer, strlen(longer), &state));

    _cleanup_(freep) char *spaces = malloc(OCI_STATE_SIZE_MAX + 1);
    memset(spaces, ' ', OCI_STATE_SIZE_MAX + 1);
    memcpy(spaces, longest, strlen(longest));
    ck_assert_ptr_null(parse(spaces, OCI_STATE_SIZE_MAX, &state));
    oci_state_done(&state);
    ck_assert_str_eq(parse(spaces, OCI_STATE_SIZE_MAX + 1, &state), "it is longer than 1 MiB");
}
END_TEST

START_TEST(test_deep) {
    char deep[4096];
    struct oci_state state = {0};

    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"a\":", 5);
    ck_assert_ptr_nonnull(parse(deep, sizeof(deep), &state));
}
END_TEST

/* ---- Configuration ---------------------------------------------------------------------------- */

#define NODE(type, major, minor)                                                                   \
    "{\"path\":\"/dev/vfio/7\",\"type\":" type ",\"major\":" major ",\"minor\":" minor "}"
#define OTHER "{\"path\":\"/dev/vfio/vfio\",\"type\":\"c\",\"major\":10,\"minor\":196}"
#define CONFIG(nodes) "{\"linux\":{\"devices\":[" nodes "]}}"

static const struct {
    const char *text;
    int r;
} configs[] = {
    {CONFIG(OTHER "," NODE("\"c\"", "239", "1")), 0},
    {CONFIG(NODE("\"u\"", "239", "1")), 0},
    {CONFIG(NODE("\"c\"", "239", "1") "," OTHER "," NODE("\"c\"", "239", "1")), 0},
    {CONFIG("7,null,[],{}," NODE("\"c\"", "239", "1")), 0},
    {CONFIG(OTHER), -ENOENT},
    {CONFIG(""), -ENOENT},
    {CONFIG("{\"path\":\"/dev/vfio/70\",\"type\":\"c\",\"major\":239,\"minor\":1}"), -ENOENT},
    {CONFIG("{\"path\":\"/dev/vfio/./7\",\"type\":\"c\",\"major\":239,\"minor\":1}"), -ENOENT},
    {CONFIG("{\"path\":\"/dev/vfio/7\\u0000\",\"type\":\"c\",\"major\":239,\"minor\":1}"), -ENOENT},
    {"{}", -ENOENT},
    {"{\"linux\":null}", -ENOENT},
    {"{\"linux\":{\"devices\":{\"path\":\"/dev/vfio/7\"}}}", -ENOENT},
    {CONFIG(NODE("\"c\"", "239", "1") "," NODE("\"c\"", "239", "2")), -EBADMSG},
    {CONFIG(NODE("\"b\"", "239", "1")), -EBADMSG},
    {CONFIG(NODE("1", "239", "1")), -EBADMSG},
    {CONFIG(NODE("\"c\"", "-1", "1")), -EBADMSG},
    {CONFIG(NODE("\"c\"", "\"239\"", "1")), -EBADMSG},
    {CONFIG(NODE("\"c\"", "239", "1.0")), -EBADMSG},
    {CONFIG(NODE("\"c\"", "4335", "1")), -EBADMSG},
    {CONFIG(NODE("\"c\"", "239", "1048577")), -EBADMSG},
    {CONFIG("{\"path\":\"/dev/vfio/7\",\"type\":\"c\"}"), -EBADMSG},
    {"", -EBADMSG},
    {"[]", -EBADMSG},
    {CONFIG(OTHER) "}", -EBADMSG},
};

START_TEST(test_config) {
    const char *problem = NULL;
    dev_t node = 0;
    int r = oci_config_find_node(configs[_i].text, strlen(configs[_i].text), "/dev/vfio/7", &node, &problem);

    ck_assert_msg(r == configs[_i].r, "%s: %i", configs[_i].text, r);
    ck_assert((r == -EBADMSG) == (problem != NULL));
    ck_assert_uint_eq(node, r == 0 ? makedev(239, 1) : 0);
}
END_TEST

START_TEST(test_config_long) {
    const char *problem = NULL;
    dev_t node;

    ck_assert_int_eq(oci_config_find_node("{", OCI_CONFIG_SIZE_MAX + 1, "/dev/vfio/7", &node, &problem),
                     -EBADMSG);
    ck_assert_str_eq(problem, "it is longer than 16 MiB");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("oci state");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, test_good, 0, ELEMENTS_OF(good));
    tcase_add_loop_test(all, test_bad, 0, ELEMENTS_OF(bad));
    tcase_add_test(all, test_nul);
    tcase_add_test(all, test_long);
    tcase_add_test(all, test_deep);
    tcase_add_loop_test(all, test_config, 0, ELEMENTS_OF(configs));
    tcase_add_test(all, test_config_long);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
