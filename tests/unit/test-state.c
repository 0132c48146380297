/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/state.h"

#include <errno.h>
#include <sys/wait.h>

#include "record/audit.h"
#include "record/state-json.h"
#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER_BOOT "11111111-2222-3333-4444-555555555555"
#define NIC "devices/pci0000:00/0000:00:05.0"

static struct tree tree;
static struct state *state;
static struct lease_book book;
static char folder[128];

static void open_state(void) {
    ck_assert_int_eq(state_open(folder, BOOT, &state), 0);
}

static void set_up(void) {
    tree_begin(&tree);
    snprintf(folder, sizeof(folder), "%s/state", tree.path);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    open_state();
}

static void tear_down(void) {
    lease_book_done(&book);
    state = state_close(state);
    tree_end(&tree);
}

static char **devices_of(const char *first, const char *second) {
    char **devices = NULL;

    ck_assert_int_eq(strings_append(&devices, first), 0);
    if (second)
        ck_assert_int_eq(strings_append(&devices, second), 0);
    return devices;
}

static struct lease *make_lease(uint64_t id) {
    struct lease *lease = lease_new(2);

    ck_assert_ptr_nonnull(lease);
    lease->id = id;
    lease->claimant = 1000;
    lease->holder = 64055;
    lease->gids = calloc(2, sizeof(gid_t));
    lease->gids[0] = 1000;
    lease->gids[1] = 4294967294;
    lease->n_gids = 2;
    lease->pid = 4711;
    lease->unit = strdup("dpdk-\\x2d1.service");
    lease->sender = strdup(":1.42");
    lease->bus_id = strdup("0123456789abcdef0123456789abcdef");
    lease->rule = strdup("dpdk-nics,\"quoted\"");
    lease->key = strdup("");
    lease->comment = strdup("für den Versuch");
    lease->mode = POLICY_MODE_PATH;
    lease->lifetime = POLICY_LIFETIME_PERSISTENT;
    lease->interface = LEASE_INTERFACE_CDEV;
    lease->since = 1637000000000000;
    lease->expires = 86400000000;
    lease->state = LEASE_DRAINING;
    lease->end = LEASE_END_DEVICE_GONE;
    lease->groups[0] = (struct lease_group){.id = 7, .devices = devices_of(NIC, NIC ".1")};
    lease->groups[1] = (struct lease_group){.id = 0, .devices = devices_of(NIC ".2", NULL),
                                            .lost = true};
    return lease;
}

static void save(uint64_t id) {
    _cleanup_(lease_freep) struct lease *lease = make_lease(id);

    ck_assert_int_eq(state_save(state, lease), 0);
}

static unsigned load(void) {
    unsigned bad = 99;

    ck_assert_int_eq(state_load(state, &book, &bad), 0);
    return bad;
}

static bool exists(const char *name) {
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* As after a crash: the numbers and the lock go, the files stay. */
static void crash(void) {
    lease_book_done(&book);
    book = (struct lease_book){};
    state = state_close(state);
    open_state();
}

START_TEST(test_round_trip) {
    _cleanup_(lease_freep) struct lease *lease = make_lease(12);

    save(12);
    crash();
    ck_assert_uint_eq(load(), 0);
    ck_assert_uint_eq(book.n_leases, 1);
    const struct lease *loaded = lease_book_find(&book, 12);
    ck_assert_ptr_nonnull(loaded);
    ck_assert_uint_eq(loaded->claimant, lease->claimant);
    ck_assert_uint_eq(loaded->holder, lease->holder);
    ck_assert_uint_eq(loaded->n_gids, 2);
    ck_assert_mem_eq(loaded->gids, lease->gids, 2 * sizeof(gid_t));
    ck_assert_int_eq(loaded->pid, lease->pid);
    ck_assert_str_eq(loaded->unit, lease->unit);
    ck_assert_str_eq(loaded->sender, lease->sender);
    ck_assert_str_eq(loaded->bus_id, lease->bus_id);
    ck_assert_str_eq(loaded->rule, lease->rule);
    ck_assert_str_eq(loaded->key, lease->key);
    ck_assert_str_eq(loaded->comment, lease->comment);
    ck_assert_uint_eq(loaded->mode, lease->mode);
    ck_assert_uint_eq(loaded->lifetime, lease->lifetime);
    ck_assert_int_eq(loaded->interface, lease->interface);
    ck_assert_uint_eq(loaded->since, lease->since);
    ck_assert_uint_eq(loaded->expires, lease->expires);
    ck_assert_int_eq(loaded->state, lease->state);
    ck_assert_int_eq(loaded->end, lease->end);
    ck_assert_uint_eq(loaded->n_groups, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(loaded->groups[i].id, lease->groups[i].id);
        ck_assert_int_eq(loaded->groups[i].lost, lease->groups[i].lost);
        ck_assert_uint_eq(strings_length(loaded->groups[i].devices),
                          strings_length(lease->groups[i].devices));
        for (size_t j = 0; lease->groups[i].devices[j]; j++)
            ck_assert_str_eq(loaded->groups[i].devices[j], lease->groups[i].devices[j]);
    }
}
END_TEST

START_TEST(test_save_replaces) {
    _cleanup_(lease_freep) struct lease *lease = make_lease(3);

    save(3);
    lease->state = LEASE_ACTIVE;
    ck_assert_int_eq(state_save(state, lease), 0);
    load();
    ck_assert_uint_eq(book.n_leases, 1);
    ck_assert_int_eq(lease_book_find(&book, 3)->state, LEASE_ACTIVE);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(state_remove(state, 3), 0);
    ck_assert(!exists("lease-3.json"));
}
END_TEST

START_TEST(test_private) {
    struct stat status;

    save(1);
    ck_assert_int_eq(fstatat(tree.fd, "state", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode, S_IFDIR | 0700);
    ck_assert_int_eq(fstatat(tree.fd, "state/lease-1.json", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode, S_IFREG | 0600);
    ck_assert_int_eq(fchmodat(tree.fd, "state", 0777, 0), 0);
    crash();
    ck_assert_int_eq(fstatat(tree.fd, "state", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode, S_IFDIR | 0700);
}
END_TEST

START_TEST(test_folder_of_someone_else) {
    struct state *other = NULL;

    tree_folder(&tree, "real");
    tree_link(&tree, "link", "real");
    ck_assert_int_lt(state_open(tree_path(&tree, "link"), BOOT, &other), 0);
    tree_file(&tree, "file", "");
    ck_assert_int_lt(state_open(tree_path(&tree, "file"), BOOT, &other), 0);
    ck_assert_int_eq(state_open(tree_path(&tree, "no/such"), BOOT, &other), -ENOENT);
    ck_assert_int_eq(state_open(tree_path(&tree, "real"), "short", &other), -EINVAL);
    if (geteuid() == 0) {
        ck_assert_int_eq(fchownat(tree.fd, "real", 65534, 65534, 0), 0);
        ck_assert_int_eq(state_open(tree_path(&tree, "real"), BOOT, &other), -EPERM);
    }
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(test_lock) {
    struct state *second = NULL;
    pid_t child = fork();
    int status;

    if (child == 0) /* another process, as a second daemon is */
        _exit(state_open(folder, BOOT, &second) == -EBUSY ? 0 : 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(state_open(folder, BOOT, &second), -EBUSY);
    state = state_close(state);
    ck_assert_int_eq(state_open(folder, BOOT, &second), 0);
    state = second;
}
END_TEST

START_TEST(test_other_boot) {
    save(5);
    state = state_close(state);
    ck_assert_int_eq(state_open(folder, OTHER_BOOT, &state), 0);
    ck_assert_uint_eq(load(), 0);
    ck_assert_uint_eq(book.n_leases, 0);
    ck_assert(!exists("lease-5.json"));
    ck_assert(!exists("lease-5.json.bad"));
}
END_TEST

/* What the file of a lease is changed into, by a replacement of its text. */
static const struct {
    const char *from, *to;
} faults[] = {
    {"\"id\":5,", ""},
    {"\"id\":5,", "\"id\":\"5\","},
    {"\"id\":5,", "\"id\":-5,"},
    {"\"id\":5,", "\"id\":5.0,"},
    {"\"id\":5,", "\"id\":6,"}, /* not the number in the name */
    {"\"id\":5,", "\"id\":99999999999999999999999,"},
    {"\"claimant\":1000", "\"claimant\":4294967295"},
    {"\"claimant\":1000", "\"claimant\":-1"},
    {"\"holder\":64055", "\"holder\":4294967296"},
    {"\"holder\":64055", "\"holder\":null"},
    {"\"pid\":4711", "\"pid\":2147483648"},
    {"\"since\":1637000000000000", "\"since\":9223372036854775807"},
    {"\"expires\":86400000000", "\"expires\":true"},
    {"\"mode\":\"path\"", "\"mode\":\"paths\""},
    {"\"mode\":\"path\"", "\"mode\":\"\""},
    {"\"lifetime\":\"persistent\"", "\"lifetime\":\"eternal\""},
    {"\"interface\":\"cdev\"", "\"interface\":\"cdevs\""},
    {"\"state\":\"draining\"", "\"state\":\"drained\""},
    {"\"end\":\"device-gone\"", "\"end\":\"nothing\""},
    {",\"end\":\"device-gone\"", ""},
    {"\"sender\":\":1.42\"", "\"sender\":\":1.\\u0000\""},
    {"\"sender\":\":1.42\"", "\"sender\":\":1.\\n\""},
    {"\"sender\":\":1.42\"", "\"sender\":\":1.\xff\""},
    {"\"sender\":\":1.42\"", "\"sender\":[\":1.42\"]"},
    {"\"key\":\"\",", ""},
    {"\"gids\":[1000", "\"gids\":[-1"},
    {"\"gids\":[1000", "\"gids\":[\"1000\""},
    {"\"gids\":[1000", "\"gids\":[4294967295"},
    {"\"gids\":[1000,4294967294]", "\"gids\":{}"},
    {"\"id\":7,", "\"id\":0,"}, /* twice the same group */
    {"\"id\":7,", "\"id\":4294967296,"},
    {"\"lost\":false", "\"lost\":0"},
    {"\"" NIC "\"", "\"/" NIC "\""},
    {"\"" NIC "\"", "\"devices/../etc\""},
    {"\"" NIC "\"", "\"devices/..\""},
    {"\"" NIC "\"", "\"devices/\""},
    {"\"" NIC "\"", "\"devices//a\""},
    {"\"" NIC "\"", "\"bus/pci\""},
    {"\"" NIC "\"", "7"},
    {"\"boot\":\"" BOOT "\"", "\"boot\":7"},
    {"{\"boot\"", "[\"boot\""},
    {"}]}", "}]"},
    {"}]}", "}]}{}"},
    {"\"groups\":[", "\"groups\":[7,"},
    {"\"groups\":[", "\"groups\":[],\"x\":["},
    {"\"groups\":[", "\"groups\":[[[[[[[[[[[[[["},
    {"{\"boot\"", "// \n{\"boot\""},
};

static char *changed_text(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);

    ck_assert_msg(at, "%s is not in %s", from, text);
    return string_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void assert_set_aside(const char *name) {
    char bad[300];

    snprintf(bad, sizeof(bad), "%s.bad", name);
    ck_assert_uint_eq(load(), 1);
    ck_assert_uint_eq(book.n_leases, 0);
    ck_assert(!exists(name));
    ck_assert(exists(bad));
    ck_assert_uint_eq(load(), 0); /* and not looked at again */
}

START_TEST(test_fault) {
    _cleanup_(freep) char *text = NULL;

    save(5);
    ck_assert_int_eq(file_read(tree.fd, "state/lease-5.json", 65536, &text, NULL), 0);
    _cleanup_(freep) char *changed = changed_text(text, faults[_i].from, faults[_i].to);
    tree_file(&tree, "state/lease-5.json", changed);
    assert_set_aside("lease-5.json");
}
END_TEST

/* Cut anywhere, a file is not taken for a lease. */
START_TEST(test_truncated) {
    _cleanup_(freep) char *text = NULL;
    struct lease *lease = NULL;
    const char *fault;
    size_t size;

    save(5);
    ck_assert_int_eq(file_read(tree.fd, "state/lease-5.json", 65536, &text, &size), 0);
    for (size_t i = 0; i < size; i++)
        ck_assert_int_eq(lease_from_json(text, i, BOOT, &lease, &fault), -EBADMSG);
    ck_assert_int_eq(lease_from_json(text, size, BOOT, &lease, &fault), 0);
    lease_free(lease);
}
END_TEST

START_TEST(test_not_a_file) {
    char *huge = calloc(1, STATE_FILE_SIZE_MAX + 2);

    memset(huge, ' ', STATE_FILE_SIZE_MAX + 1);
    tree_file(&tree, "state/lease-5.json", huge);
    free(huge);
    assert_set_aside("lease-5.json");
    tree_file(&tree, "state/lease-6.json", "");
    assert_set_aside("lease-6.json");
    tree_folder(&tree, "state/lease-7.json");
    assert_set_aside("lease-7.json");
    tree_link(&tree, "state/lease-8.json", "lease-8.json");
    assert_set_aside("lease-8.json");
    ck_assert_int_eq(mkfifoat(tree.fd, "state/lease-9.json", 0600), 0);
    assert_set_aside("lease-9.json");
}
END_TEST

START_TEST(test_other_names) {
    tree_file(&tree, "state/lease-01.json", "x");
    tree_file(&tree, "state/lease-1.json.bad", "x");
    tree_file(&tree, "state/.lease-1.json.new", "x");
    tree_file(&tree, "state/lease-99999999999999999999999999999999999999.json", "x");
    tree_file(&tree, "state/notes", "x");
    ck_assert_uint_eq(load(), 0);
    ck_assert(exists("lease-01.json"));
    ck_assert(!exists(".lease-1.json.new"));
}
END_TEST

START_TEST(test_one_bad_among_good) {
    save(1);
    save(2);
    save(3);
    tree_file(&tree, "state/lease-2.json", "{");
    ck_assert_uint_eq(load(), 1);
    ck_assert_uint_eq(book.n_leases, 2);
}
END_TEST

static void spoil(struct lease *lease, int how) {
    switch (how) {
    case 0: lease->comment[0] = '\n'; break;
    case 1: lease->groups[0].devices[0][0] = 'x'; break;
    case 2: lease->n_groups = 0; break;
    case 3: lease->mode = POLICY_MODE_ALL; break;
    case 4: lease->since = UINT64_MAX; break;
    default:
        free(lease->key);
        lease->key = calloc(1, STATE_TEXT_MAX + 2);
        memset(lease->key, 'k', STATE_TEXT_MAX + 1);
    }
}

/* What would not be read again is not written: the claim fails, and no lease is lost later. */
START_TEST(test_save_refuses) {
    struct lease *lease = make_lease(1);

    spoil(lease, _i);
    ck_assert_int_eq(state_save(state, lease), -EINVAL);
    ck_assert(!exists("lease-1.json"));
    lease->n_groups = 2;
    lease_free(lease);
}
END_TEST

START_TEST(test_large_lease) {
    _cleanup_(lease_freep) struct lease *lease = make_lease(1);
    char **devices = calloc(STATE_DEVICES_MAX + 2, sizeof(char *));

    strings_free(lease->groups[0].devices);
    lease->groups[0].devices = devices;
    for (size_t i = 0; i < STATE_DEVICES_MAX - 1; i++)
        devices[i] = string_format("devices/pci0000:00/0000:00:01.0/0000:01:00.0/%04zx:00.0", i);
    ck_assert_int_eq(state_save(state, lease), 0);
    ck_assert_uint_eq(load(), 0);
    ck_assert_uint_eq(strings_length(lease_book_find(&book, 1)->groups[0].devices),
                      STATE_DEVICES_MAX - 1);
    devices[STATE_DEVICES_MAX - 1] = strdup("devices/one-too-many");
    ck_assert_int_eq(state_save(state, lease), -EINVAL);
}
END_TEST

static uint64_t next_id(void) {
    uint64_t id = 0;

    ck_assert_int_eq(state_next_id(state, &id), 0);
    return id;
}

START_TEST(test_numbers) {
    uint64_t last = 0;

    for (int i = 0; i < 400; i++) {
        uint64_t id = next_id();
        ck_assert_uint_gt(id, last);
        last = id;
        if (i % 100 == 99)
            crash();
    }
    ck_assert_uint_lt(last, 700); /* a crash costs a block, not more */
}
END_TEST

START_TEST(test_numbers_of_other_boot) {
    for (int i = 0; i < 100; i++)
        (void)next_id();
    state = state_close(state);
    ck_assert_int_eq(state_open(folder, OTHER_BOOT, &state), 0);
    ck_assert_uint_eq(next_id(), 1);
}
END_TEST

static const char *const bad_numbers[] = {
    "", BOOT, BOOT "\n", BOOT "\n-1", BOOT "\n0", BOOT "\n99999999999999999999", "\n500",
    BOOT "x500",
};

/* Even without the file no number of a living lease is given out again. */
START_TEST(test_numbers_lost) {
    save(70);
    tree_file(&tree, "state/next", bad_numbers[_i]);
    crash();
    load();
    ck_assert_uint_eq(next_id(), 71);
}
END_TEST

START_TEST(test_cache) {
    char *value = NULL;

    ck_assert_int_eq(state_read_cache(state, "kernel-model", &value), -ENOENT);
    ck_assert_int_eq(state_write_cache(state, "kernel-model", "claim"), 0);
    ck_assert_int_eq(state_read_cache(state, "kernel-model", &value), 0);
    ck_assert_str_eq(value, "claim");
    free(value);
    ck_assert_int_eq(state_write_cache(state, "../x", "claim"), -EINVAL);
    state = state_close(state);
    ck_assert_int_eq(state_open(folder, OTHER_BOOT, &state), 0);
    ck_assert_int_eq(state_read_cache(state, "kernel-model", &value), -ENOENT);
}
END_TEST

START_TEST(test_boot_id) {
    char id[37];

    ck_assert_int_eq(boot_id_read(id), 0);
    ck_assert_uint_eq(strlen(id), 36);
}
END_TEST

static void add_leases(TCase *all) {
    tcase_add_test(all, test_round_trip);
    tcase_add_test(all, test_save_replaces);
    tcase_add_test(all, test_private);
    tcase_add_test(all, test_folder_of_someone_else);
    tcase_add_test(all, test_lock);
    tcase_add_test(all, test_other_boot);
    tcase_add_loop_test(all, test_fault, 0, ELEMENTS_OF(faults));
    tcase_add_test(all, test_truncated);
    tcase_add_test(all, test_not_a_file);
    tcase_add_test(all, test_other_names);
    tcase_add_test(all, test_one_bad_among_good);
    tcase_add_loop_test(all, test_save_refuses, 0, 6);
    tcase_add_test(all, test_large_lease);
}

int main(void) {
    Suite *suite = suite_create("state");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    add_leases(all);
    tcase_add_test(all, test_numbers);
    tcase_add_test(all, test_numbers_of_other_boot);
    tcase_add_loop_test(all, test_numbers_lost, 0, ELEMENTS_OF(bad_numbers));
    tcase_add_test(all, test_cache);
    tcase_add_test(all, test_boot_id);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
