/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-test.h"

static struct lease_book book;

static void set_up(void) {
    book = (struct lease_book){0};
}

static void tear_down(void) {
    lease_book_done(&book);
    ck_assert_uint_eq(book.n_leases, 0);
    ck_assert_ptr_null(book.leases);
}

static struct lease *add_lease(uint64_t id, uid_t claimant, const char *rules) {
    struct lease *lease = lease_new(1);

    ck_assert_ptr_nonnull(lease);
    lease->id = id;
    lease->claimant = claimant;
    lease->holder = 64055; /* whose access it is counts for nothing */
    lease->rule = rules ? strdup(rules) : NULL;
    ck_assert_int_eq(lease_book_add(&book, lease), 0);
    return lease;
}

START_TEST(test_new) {
    struct lease *lease = lease_new(2), *none = lease_new(0);

    ck_assert_uint_eq(lease->n_groups, 2);
    ck_assert_int_eq(lease->state, LEASE_ACTIVE);
    ck_assert_ptr_null(lease->groups[1].devices);
    ck_assert_int_eq(strings_append(&lease->groups[0].devices, PCI("05.0")), 0);
    ck_assert_int_eq(strings_append(&lease->groups[1].devices, PCI("06.0")), 0);
    lease->gids = calloc(3, sizeof(gid_t));
    lease->unit = strdup("dpdk.service");
    lease->sender = strdup(":1.7");
    lease->bus_id = strdup("0123");
    lease->rule = strdup("nics");
    lease->key = strdup("vm-1");
    lease->comment = strdup("");
    lease->kept_unit = strdup("qemu.service");
    ck_assert_int_eq(strings_append(&lease->openers, "process 812"), 0);
    ck_assert_ptr_null(lease_free(lease)); /* a leak would be the sanitizer's to find */
    ck_assert_uint_eq(none->n_groups, 0);
    ck_assert_ptr_null(lease_free(none));
    ck_assert_ptr_null(lease_free(NULL));
}
END_TEST

START_TEST(test_book) {
    struct lease *first = add_lease(1, 900, "nics"), *large = add_lease(UINT64_MAX, 900, "nics");
    struct lease *twin = lease_new(1);

    ck_assert_uint_eq(book.n_leases, 2);
    ck_assert_ptr_eq(lease_book_find(&book, 1), first);
    ck_assert_ptr_eq(lease_book_find(&book, UINT64_MAX), large);
    ck_assert_ptr_null(lease_book_find(&book, 0));
    ck_assert_ptr_null(lease_book_find(&book, 0x100000001)); /* the id is 64 bits wide */
    twin->id = 1;
    ck_assert_int_eq(lease_book_add(&book, twin), -EEXIST);
    ck_assert_uint_eq(book.n_leases, 2);
    ck_assert_ptr_eq(lease_book_find(&book, 1), first);
    lease_book_remove(&book, first);
    ck_assert_ptr_null(lease_book_find(&book, 1));
    ck_assert_uint_eq(book.n_leases, 1);
    lease_free(first);
    ck_assert_int_eq(lease_book_add(&book, twin), 0);
    ck_assert_ptr_eq(lease_book_find(&book, 1), twin);
}
END_TEST

START_TEST(test_many) {
    for (uint64_t id = 1; id <= 3000; id++)
        add_lease(id, (uid_t)(id % 3), id % 2 ? "odd" : "even");
    ck_assert_uint_eq(book.n_leases, 3000);
    ck_assert_uint_eq(lease_book_count(&book, 1, NULL), 1000);
    ck_assert_uint_eq(lease_book_count(&book, 1, "odd"), 500);
    for (uint64_t id = 1; id <= 3000; id += 2) {
        struct lease *lease = lease_book_find(&book, id);
        lease_book_remove(&book, lease);
        lease_free(lease);
    }
    ck_assert_uint_eq(lease_book_count(&book, 1, NULL), 500);
    ck_assert_uint_eq(lease_book_count(&book, 1, "odd"), 0);
}
END_TEST

START_TEST(test_keys) {
    struct lease *lease = add_lease(1, 900, "nics"), *keyless = add_lease(2, 900, "nics");
    struct lease *other = add_lease(3, 1000, "nics"), *empty = add_lease(4, 900, "nics");

    lease->key = strdup("vm-1");
    other->key = strdup("vm-1");
    empty->key = strdup("");
    ck_assert_ptr_eq(lease_book_find_key(&book, 900, "vm-1"), lease);
    ck_assert_ptr_eq(lease_book_find_key(&book, 1000, "vm-1"), other);
    ck_assert_ptr_null(lease_book_find_key(&book, 1001, "vm-1"));
    ck_assert_ptr_null(lease_book_find_key(&book, 64055, "vm-1")); /* the holder has no key */
    ck_assert_ptr_null(lease_book_find_key(&book, 900, "vm-"));
    ck_assert_ptr_null(lease_book_find_key(&book, 900, "VM-1"));
    ck_assert_ptr_null(lease_book_find_key(&book, 900, "")); /* no key is no key to match */
    ck_assert_ptr_null(keyless->key);
    lease->state = LEASE_DRAINING; /* a new claim may use the key again */
    ck_assert_ptr_null(lease_book_find_key(&book, 900, "vm-1"));
    keyless->key = strdup("vm-1");
    ck_assert_ptr_eq(lease_book_find_key(&book, 900, "vm-1"), keyless);
}
END_TEST

/* The rules of a lease as they are kept, and whether it counts under "nics". */
static const struct {
    const char *rules;
    bool counts;
} lists[] = {
    {"nics", true},        {"nics,gpus", true},      {"gpus,nics", true}, {"a,nics,b", true},
    {"nics,nics", true},   {"", false},              {NULL, false},       {"gpus", false},
    {"nics2", false},      {"dpdk-nics", false},     {"nic", false},      {"nics-a,b-nics", false},
    {"NICS", false},       {"nics.json:3:5", false}, {"a,nicsb", false},  {"a,bnics", false},
    {",nics", true},       {"nics,", true},
};

START_TEST(test_count_by_rule) {
    add_lease(1, 900, lists[_i].rules);
    ck_assert_uint_eq(lease_book_count(&book, 900, "nics"), lists[_i].counts);
    ck_assert_uint_eq(lease_book_count(&book, 900, NULL), 1);
    ck_assert_uint_eq(lease_book_count(&book, 901, "nics"), 0);
    ck_assert_uint_eq(lease_book_count(&book, 64055, NULL), 0);
}
END_TEST

/* Rules without a name are called by their place, and a file's name may hold anything. */
START_TEST(test_count_by_place) {
    add_lease(1, 900, "nics,/etc/dmaownd/policy.d/a,b.json:3:5,gpus");
    ck_assert_uint_eq(lease_book_count(&book, 900, "/etc/dmaownd/policy.d/a,b.json:3:5"), 1);
    ck_assert_uint_eq(lease_book_count(&book, 900, "/etc/dmaownd/policy.d/a,b.json:3:55"), 0);
    ck_assert_uint_eq(lease_book_count(&book, 900, "gpus"), 1);
}
END_TEST

START_TEST(test_count_draining) {
    struct lease *lease = add_lease(1, 900, "nics");

    lease->state = LEASE_DRAINING;
    ck_assert_uint_eq(lease_book_count(&book, 900, NULL), 1);
    ck_assert_uint_eq(lease_book_count(&book, 900, "nics"), 1);
    lease_book_remove(&book, lease);
    lease_free(lease);
    ck_assert_uint_eq(lease_book_count(&book, 900, NULL), 0);
}
END_TEST

START_TEST(test_expiry) {
    ck_assert_uint_eq(lease_book_next_deadline(&book), 0);
    add_lease(1, 900, NULL);
    ck_assert_uint_eq(lease_book_next_deadline(&book), 0);
    struct lease *late = add_lease(2, 900, NULL), *soon = add_lease(3, 900, NULL);
    late->expires = UINT64_MAX;
    ck_assert_uint_eq(lease_book_next_deadline(&book), UINT64_MAX);
    soon->expires = 1;
    ck_assert_uint_eq(lease_book_next_deadline(&book), 1);
    soon->state = LEASE_DRAINING; /* it has ended already */
    ck_assert_uint_eq(lease_book_next_deadline(&book), UINT64_MAX);
    late->expires = 0;
    ck_assert_uint_eq(lease_book_next_deadline(&book), 0);
}
END_TEST

/* It may end by its time and by being revoked: the earlier counts. */
START_TEST(test_revocation) {
    struct lease *lease = add_lease(1, 900, NULL), *other = add_lease(2, 900, NULL);

    ck_assert_uint_eq(lease_deadline(lease), 0);
    lease->revoke_at = 50;
    ck_assert_uint_eq(lease_deadline(lease), 50);
    lease->expires = 60;
    ck_assert_uint_eq(lease_deadline(lease), 50);
    lease->expires = 40;
    ck_assert_uint_eq(lease_deadline(lease), 40);
    lease->revoke_at = 0;
    ck_assert_uint_eq(lease_deadline(lease), 40);
    other->revoke_at = 39;
    other->expires = 1000;
    ck_assert_uint_eq(lease_book_next_deadline(&book), 39);
    other->revoke_at = 0;
    ck_assert_uint_eq(lease_book_next_deadline(&book), 40);
    lease->revoke_at = 1;
    lease->state = LEASE_DRAINING; /* it has ended already */
    ck_assert_uint_eq(lease_deadline(lease), 0);
    ck_assert_uint_eq(lease_book_next_deadline(&book), 1000);
}
END_TEST

/* Where the holder got fds, the nodes are nobody's but root's. */
START_TEST(test_node_user) {
    struct lease *lease = add_lease(1, 900, NULL);

    lease->mode = POLICY_MODE_PATH;
    ck_assert_uint_eq(lease_node_user(lease), 64055);
    lease->mode = POLICY_MODE_FD;
    ck_assert_uint_eq(lease_node_user(lease), 0);
}
END_TEST

/* For messages: as many groups as there is room for, and never half a number. */
START_TEST(test_describe) {
    char text[64];
    struct lease *lease = lease_new(10);

    for (uint32_t i = 0; i < 10; i++)
        lease->groups[i].id = 4294967280 + i;
    lease->n_groups = 1;
    lease->groups[0].id = 7;
    lease_describe_groups(lease, text, sizeof(text));
    ck_assert_str_eq(text, "Group 7");
    lease->n_groups = 2;
    lease_describe_groups(lease, text, sizeof(text));
    ck_assert_str_eq(text, "Groups 7, 4294967281");
    lease->n_groups = 10;
    for (size_t size = 1; size <= sizeof(text); size++) {
        memset(text, '?', sizeof(text));
        lease_describe_groups(lease, text, size);
        ck_assert_uint_lt(strnlen(text, size), size);
        ck_assert(size == sizeof(text) || text[size] == '?');
        const char *last = strrchr(text, ' ');
        ck_assert(!last || strcmp(last, " 7") == 0 || strlen(last) == strlen(" 4294967281"));
    }
    ck_assert_ptr_nonnull(strstr(text, "Groups 7, 4294967281, 4294967282"));
    lease_free(lease);
}
END_TEST

START_TEST(test_words) {
    static const char *const ends[LEASE_END_MAX] = {
        "released", "disconnected", "fd-closed",   "process-exited", "unit-stopped",
        "expired",  "device-gone",  "revoked",     "not-recovered",
    };
    enum lease_end end = LEASE_END_REVOKED;
    enum lease_state state = LEASE_DRAINING;

    for (unsigned i = 0; i < LEASE_END_MAX; i++) {
        ck_assert_str_eq(lease_end_to_string(i), ends[i]);
        ck_assert_int_eq(lease_end_from_string(ends[i], &end), 0);
        ck_assert_int_eq(end, i);
    }
    end = LEASE_END_REVOKED;
    ck_assert_int_eq(lease_end_from_string("", &end), -EINVAL);
    ck_assert_int_eq(lease_end_from_string("Released", &end), -EINVAL);
    ck_assert_int_eq(lease_end_from_string(NULL, &end), -EINVAL);
    ck_assert_int_eq(end, LEASE_END_REVOKED);
    ck_assert_str_eq(lease_state_to_string(LEASE_ACTIVE), "active");
    ck_assert_str_eq(lease_state_to_string(LEASE_DRAINING), "draining");
    ck_assert_int_eq(lease_state_from_string("ended", &state), -EINVAL);
    ck_assert_int_eq(state, LEASE_DRAINING);
    ck_assert_int_eq(lease_state_from_string("active", &state), 0);
    ck_assert_int_eq(state, LEASE_ACTIVE);
    ck_assert_int_eq(lease_state_from_string("draining", &state), 0);
    ck_assert_int_eq(state, LEASE_DRAINING);
    ck_assert_str_eq(lease_interface_to_string(LEASE_INTERFACE_GROUP), "group");
    ck_assert_str_eq(lease_interface_to_string(LEASE_INTERFACE_CDEV), "cdev");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lease");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, test_new);
    tcase_add_test(all, test_book);
    tcase_add_test(all, test_many);
    tcase_add_test(all, test_keys);
    tcase_add_loop_test(all, test_count_by_rule, 0, ELEMENTS_OF(lists));
    tcase_add_test(all, test_count_by_place);
    tcase_add_test(all, test_count_draining);
    tcase_add_test(all, test_expiry);
    tcase_add_test(all, test_revocation);
    tcase_add_test(all, test_node_user);
    tcase_add_test(all, test_describe);
    tcase_add_test(all, test_words);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
