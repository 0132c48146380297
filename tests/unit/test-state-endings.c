/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a lease's file says of its end: the process or unit that it lives with, and its revocation. */
#include "record/state-json.h"

#include <errno.h>
#include <limits.h>

#include "util/string.h"

#include "tree.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"

static struct lease *lease;

static void set_up(void) {
    lease = lease_new(1);
    ck_assert_ptr_nonnull(lease);
    lease->id = 5;
    lease->claimant = lease->holder = 1000;
    lease->mode = POLICY_MODE_FD;
    lease->lifetime = POLICY_LIFETIME_PROCESS;
    lease->groups[0].id = 7;
    ck_assert_int_eq(strings_append(&lease->groups[0].devices, "devices/a"), 0);
}

static void tear_down(void) {
    lease = lease_free(lease);
}

static char *text_of_lease(void) {
    char *text = NULL;
    size_t size;

    ck_assert_int_eq(lease_to_json(lease, BOOT, &text, &size), 0);
    ck_assert_uint_eq(strlen(text), size);
    return text;
}

static struct lease *read_text(const char *text) {
    struct lease *read = NULL;
    const char *fault = NULL;

    ck_assert_msg(lease_from_json(text, strlen(text), BOOT, &read, &fault) == 0, "%s: %s", fault,
                  text);
    return read;
}

static struct lease *read_again(void) {
    _cleanup_(freep) char *text = text_of_lease();

    return read_text(text);
}

START_TEST(test_process) {
    lease->kept_pid = INT_MAX;
    lease->kept_start = 123456789012;
    _cleanup_(lease_freep) struct lease *read = read_again();
    ck_assert_uint_eq(read->lifetime, POLICY_LIFETIME_PROCESS);
    ck_assert_uint_eq(read->mode, POLICY_MODE_FD);
    ck_assert_int_eq(read->kept_pid, INT_MAX);
    ck_assert_uint_eq(read->kept_start, 123456789012);
    ck_assert_str_eq(read->kept_unit, "");
    ck_assert(!read->revoke_at && !read->unbind);
}
END_TEST

START_TEST(test_unit) {
    lease->lifetime = POLICY_LIFETIME_UNIT;
    lease->kept_unit = strdup("qemu-\\x2d\"1.service");
    _cleanup_(lease_freep) struct lease *read = read_again();
    ck_assert_uint_eq(read->lifetime, POLICY_LIFETIME_UNIT);
    ck_assert_str_eq(read->kept_unit, lease->kept_unit);
    ck_assert_int_eq(read->kept_pid, 0);
}
END_TEST

START_TEST(test_revocation) {
    lease->revoke_at = 86400000001;
    _cleanup_(lease_freep) struct lease *without = read_again();
    ck_assert_uint_eq(without->revoke_at, 86400000001);
    ck_assert(!without->unbind);
    lease->unbind = true;
    _cleanup_(lease_freep) struct lease *with = read_again();
    ck_assert_uint_eq(with->revoke_at, 86400000001);
    ck_assert(with->unbind);
}
END_TEST

START_TEST(test_reattach_after) {
    lease->reattach = true;
    _cleanup_(lease_freep) struct lease *at_once = read_again();
    ck_assert(at_once->reattach && at_once->reattach_after == 0);
    lease->reattach_after = 3600;
    _cleanup_(lease_freep) struct lease *later = read_again();
    ck_assert(later->reattach && later->reattach_after == 3600);
}
END_TEST

/* As the version before these wrote it. */
#define EARLIER                                                                                    \
    "{\"boot\":\"" BOOT "\",\"id\":5,\"claimant\":1000,\"holder\":64055,\"pid\":4711,"             \
    "\"since\":1637000000000000,\"expires\":86400000000,\"mode\":\"path\","                        \
    "\"lifetime\":\"persistent\",\"interface\":\"group\",\"state\":\"active\","                    \
    "\"unit\":\"dpdk.service\",\"sender\":\":1.42\",\"bus_id\":\"0123\",\"rule\":\"dpdk-nics\","   \
    "\"key\":\"k\",\"comment\":\"\",\"gids\":[1000,44],\"groups\":[{\"id\":7,\"lost\":false,"      \
    "\"devices\":[\"devices/pci0000:00/0000:00:05.0\"]}]}"

START_TEST(test_earlier_version) {
    _cleanup_(lease_freep) struct lease *read = read_text(EARLIER);

    ck_assert_uint_eq(read->id, 5);
    ck_assert_uint_eq(read->expires, 86400000000);
    ck_assert_int_eq(read->kept_pid, 0);
    ck_assert_uint_eq(read->kept_start, 0);
    ck_assert_str_eq(read->kept_unit, "");
    ck_assert_uint_eq(read->revoke_at, 0);
    ck_assert(!read->unbind);
}
END_TEST

/* The same the other way round: what a lease does not have is not written, so that an earlier
 * version reads it too. */
START_TEST(test_nothing_more) {
    _cleanup_(freep) char *text = text_of_lease();

    ck_assert_ptr_null(strstr(text, "kept_pid"));
    ck_assert_ptr_null(strstr(text, "kept_start"));
    ck_assert_ptr_null(strstr(text, "reattach_after"));
    ck_assert_ptr_null(strstr(text, "revoke_at"));
    ck_assert_ptr_null(strstr(text, "unbind"));
}
END_TEST

/* What may stand in front of "groups", and which field is at fault; NULL: none. */
static const struct {
    const char *field, *fault;
} fields[] = {
    {"\"kept_pid\":2147483647", NULL},
    {"\"kept_pid\":0", NULL},
    {"\"kept_pid\":-1", "kept_pid"},
    {"\"kept_pid\":2147483648", "kept_pid"},
    {"\"kept_pid\":4294967297", "kept_pid"},
    {"\"kept_pid\":99999999999999999999999", "kept_pid"},
    {"\"kept_pid\":\"812\"", "kept_pid"},
    {"\"kept_pid\":812.0", "kept_pid"},
    {"\"kept_pid\":null", "kept_pid"},
    {"\"kept_start\":9223372036854775806", NULL},
    {"\"kept_start\":9223372036854775807", "kept_start"},
    {"\"kept_start\":-1", "kept_start"},
    {"\"kept_start\":[1]", "kept_start"},
    {"\"reattach_after\":4294967295", NULL},
    {"\"reattach_after\":4294967296", "reattach_after"},
    {"\"reattach_after\":-1", "reattach_after"},
    {"\"revoke_at\":9223372036854775806", NULL},
    {"\"revoke_at\":9223372036854775807", "revoke_at"},
    {"\"revoke_at\":18446744073709551615", "revoke_at"},
    {"\"revoke_at\":-1", "revoke_at"},
    {"\"revoke_at\":true", "revoke_at"},
    {"\"unbind\":false", NULL},
    {"\"unbind\":\"true\"", "unbind"},
    {"\"unbind\":\"\"", "unbind"},
    {"\"unbind\":1", "unbind"},
    {"\"unbind\":null", "unbind"},
    {"\"unbind\":[]", "unbind"},
    {"\"kept_unit\":\"\"", NULL},
    {"\"kept_unit\":\"a.service\"", NULL},
    {"\"kept_unit\":\"a\\n.service\"", "kept_unit"},
    {"\"kept_unit\":\"a\\u0000.service\"", "kept_unit"},
    {"\"kept_unit\":\"a\\u001b[2J.service\"", "kept_unit"},
    {"\"kept_unit\":\"a\\u0085.service\"", "kept_unit"},
    {"\"kept_unit\":null", "kept_unit"},
    {"\"kept_unit\":7", "kept_unit"},
    {"\"kept_unit\":[\"a.service\"]", "kept_unit"},
};

static char *with_field(const char *field) {
    const char *at = strstr(EARLIER, "\"groups\"");

    return string_format("%.*s%s,%s", (int)(at - EARLIER), EARLIER, field, at);
}

START_TEST(test_field) {
    _cleanup_(freep) char *text = with_field(fields[_i].field);
    _cleanup_(lease_freep) struct lease *read = NULL;
    const char *fault = "";
    int r = lease_from_json(text, strlen(text), BOOT, &read, &fault);

    ck_assert_int_eq(r, fields[_i].fault ? -EBADMSG : 0);
    if (fields[_i].fault)
        ck_assert_str_eq(fault, fields[_i].fault);
    ck_assert((read == NULL) == (fields[_i].fault != NULL));
}
END_TEST

START_TEST(test_long_unit) {
    char field[STATE_TEXT_MAX + 64] = "\"kept_unit\":\"";
    size_t used = strlen(field);

    memset(field + used, 'u', STATE_TEXT_MAX);
    strcpy(field + used + STATE_TEXT_MAX, "\"");
    _cleanup_(freep) char *text = with_field(field);
    _cleanup_(lease_freep) struct lease *read = read_text(text), *none = NULL;
    ck_assert_uint_eq(strlen(read->kept_unit), STATE_TEXT_MAX);
    strcpy(field + used + STATE_TEXT_MAX, "u\"");
    _cleanup_(freep) char *longer = with_field(field);
    const char *fault;
    ck_assert_int_eq(lease_from_json(longer, strlen(longer), BOOT, &none, &fault), -EBADMSG);
    ck_assert_str_eq(fault, "kept_unit");
}
END_TEST

static void spoil(int how) {
    switch (how) {
    case 0: lease->kept_unit = strdup("a\n.service"); break;
    case 1: lease->kept_unit = strdup("\xff.service"); break;
    case 2: lease->revoke_at = UINT64_MAX; break;
    case 3: lease->revoke_at = INT64_MAX; break;
    case 4: lease->expires = INT64_MAX; break;
    default:
        lease->kept_pid = 1;
        lease->kept_start = INT64_MAX;
    }
}

/* What would not be read again is not written. */
START_TEST(test_write_refuses) {
    char *text = NULL;
    size_t size;

    spoil(_i);
    ck_assert_int_eq(lease_to_json(lease, BOOT, &text, &size), -EINVAL);
    ck_assert_ptr_null(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("state-endings");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_process);
    tcase_add_test(all, test_unit);
    tcase_add_test(all, test_revocation);
    tcase_add_test(all, test_reattach_after);
    tcase_add_test(all, test_earlier_version);
    tcase_add_test(all, test_nothing_more);
    tcase_add_loop_test(all, test_field, 0, ELEMENTS_OF(fields));
    tcase_add_test(all, test_long_unit);
    tcase_add_loop_test(all, test_write_refuses, 0, 6);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
