/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of switched drivers on disk: there and back, and files that nobody should trust. */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include "record/detachment-json.h"
#include "record/state-json.h"
#include "record/state.h"
#include "util/fd.h"
#include "util/string.h"

#include "tree.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER_BOOT "11111111-2222-3333-4444-555555555555"
#define NIC "devices/pci0000:00/0000:00:05.0"
#define FOUND_MAX 8

static struct tree tree;
static struct state *state;
static char folder[128];

/* What was loaded, in the order of their numbers. */
static struct detachment *found[FOUND_MAX];
static size_t n_found;

static void open_state(const char *boot) {
    state = state_close(state);
    ck_assert_int_eq(state_open(folder, boot, &state), 0);
}

static void set_up(void) {
    n_found = 0;
    tree_begin(&tree);
    snprintf(folder, sizeof(folder), "%s/state", tree.path);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    open_state(BOOT);
}

static void forget(void) {
    while (n_found)
        detachment_free(found[--n_found]);
}

static void tear_down(void) {
    forget();
    state = state_close(state);
    tree_end(&tree);
}

static struct detachment_member make_member(const char *path, enum move move) {
    return (struct detachment_member){
        .path = strdup(path),
        .bus = strdup("pci"),
        .group = 7,
        .move = move,
        .driver = strdup(move == MOVE_PINNED ? "" : "e1000e"),
        .override = strdup(""),
        .target = strdup(move == MOVE_TO_USER ? "vfio-pci" : ""),
        .vfs = -1,
        .autoprobe = -1,
    };
}

static struct detachment *make(uint64_t id) {
    struct detachment *detachment = detachment_new(3);

    ck_assert_ptr_nonnull(detachment);
    detachment->id = id;
    detachment->uid = 1000;
    free(detachment->rule);
    detachment->rule = strdup("dpdk-nics,\"für\"");
    detachment->state = DETACHMENT_REATTACHING;
    detachment->members[0] = make_member(NIC, MOVE_TO_USER);
    detachment->members[0].vfs = 4;
    detachment->members[0].autoprobe = 1;
    detachment->members[1] = make_member(NIC ".1", MOVE_PINNED);
    free(detachment->members[1].override);
    detachment->members[1].override = NULL; /* a bus without */
    detachment->members[2] = make_member(NIC ".2", MOVE_UNBOUND);
    detachment->members[2].group = 4294967295;
    detachment->members[2].vfs = 0;
    detachment->n_members = 3;
    return detachment;
}

static void save(uint64_t id) {
    _cleanup_(detachment_freep) struct detachment *detachment = make(id);

    ck_assert_int_eq(state_save_detachment(state, detachment), 0);
}

static int take(struct detachment *detachment, void *userdata) {
    ck_assert_ptr_eq(userdata, &tree);
    ck_assert_uint_lt(n_found, FOUND_MAX);
    found[n_found++] = detachment;
    return 0;
}

static unsigned load(void) {
    unsigned bad = 99;

    forget();
    ck_assert_int_eq(state_load_detachments(state, take, &tree, &bad), 0);
    return bad;
}

static bool exists(const char *name) {
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The only one that is there, and it is moved out of the way. */
static void assert_set_aside(const char *name) {
    _cleanup_(freep) char *bad = string_format("%s.bad", name);

    ck_assert_uint_eq(load(), 1);
    ck_assert_uint_eq(n_found, 0);
    ck_assert(!exists(name) && exists(bad));
    ck_assert_uint_eq(load(), 0);
}

static void assert_same_member(const struct detachment_member *one,
                               const struct detachment_member *other) {
    ck_assert_str_eq(one->path, other->path);
    ck_assert_str_eq(one->bus, other->bus);
    ck_assert_uint_eq(one->group, other->group);
    ck_assert_int_eq(one->move, other->move);
    ck_assert_str_eq(one->driver, other->driver);
    ck_assert_str_eq(one->target, other->target);
    ck_assert(string_equal(one->override, other->override));
    ck_assert_int_eq(one->vfs, other->vfs);
    ck_assert_int_eq(one->autoprobe, other->autoprobe);
}

START_TEST(test_round_trip) {
    _cleanup_(detachment_freep) struct detachment *detachment = make(12);

    detachment->guard = _i == 1;
    detachment->pending = _i == 2;
    detachment->unreset = _i == 3;
    detachment->return_at = _i == 3 ? 86400000001 : 0;
    for (int at = 0; at < DETACHMENT_STATE_MAX; at++) {
        detachment->state = (enum detachment_state)at;
        ck_assert_int_eq(state_save_detachment(state, detachment), 0);
        open_state(BOOT);
        ck_assert_uint_eq(load(), 0);
        ck_assert_uint_eq(n_found, 1);
        ck_assert_uint_eq(found[0]->id, 12);
        ck_assert_uint_eq(found[0]->uid, 1000);
        ck_assert_str_eq(found[0]->rule, detachment->rule);
        ck_assert_int_eq(found[0]->guard, detachment->guard);
        ck_assert_int_eq(found[0]->pending, detachment->pending);
        ck_assert_int_eq(found[0]->unreset, detachment->unreset);
        ck_assert_uint_eq(found[0]->return_at, detachment->return_at);
        ck_assert_int_eq(found[0]->state, at);
        ck_assert_uint_eq(found[0]->n_members, 3);
        for (size_t i = 0; i < 3; i++)
            assert_same_member(&found[0]->members[i], &detachment->members[i]);
    }
}
END_TEST

START_TEST(test_replace_and_remove) {
    struct stat status;

    save(3);
    save(3);
    ck_assert_int_eq(fstatat(tree.fd, "state/switch-3.json", &status, 0), 0);
    ck_assert_uint_eq(status.st_mode, S_IFREG | 0600);
    ck_assert_uint_eq(load(), 0);
    ck_assert_uint_eq(n_found, 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(state_remove_detachment(state, 3), 0);
    ck_assert(!exists("switch-3.json"));
    load();
    ck_assert_uint_eq(n_found, 0);
}
END_TEST

START_TEST(test_other_boot) {
    save(4);
    open_state(OTHER_BOOT);
    ck_assert_uint_eq(load(), 0);
    ck_assert_uint_eq(n_found, 0);
    ck_assert(!exists("switch-4.json") && !exists("switch-4.json.bad"));
}
END_TEST

/* Leases and switches are numbered together, and no number comes again. */
START_TEST(test_numbers) {
    uint64_t id = 0;

    save(70);
    load();
    ck_assert_int_eq(state_next_id(state, &id), 0);
    ck_assert_uint_eq(id, 71);
}
END_TEST

/* ---- Hostile files */

static char *replace_text(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);

    ck_assert_msg(at, "no %s in %s", from, text);
    return string_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static const struct {
    const char *from, *to;
} faults[] = {
    {"\"id\":5", "\"id\":6"},
    {"\"id\":5", "\"id\":0"},
    {"\"id\":5", "\"id\":-5"},
    {"\"id\":5", "\"id\":\"5\""},
    {"\"id\":5", "\"id\":5.0"},
    {"\"id\":5", "\"id\":9223372036854775807"},
    {"\"id\":5,", ""},
    {"\"boot\"", "\"root\""},
    {"\"boot\":\"", "\"boot\":7,\"x\":\""},
    {"\"uid\":1000", "\"uid\":4294967295"},
    {"\"uid\":1000", "\"uid\":true"},
    {"\"uid\":1000,", ""},
    {"\"state\":\"reattaching\"", "\"state\":\"lost\""},
    {"\"state\":\"reattaching\"", "\"state\":3"},
    {"\"state\":\"reattaching\"", "\"state\":\"detached\\u0000\""},
    {"\"state\":\"reattaching\",", ""},
    {"\"state\":", "\"guard\":1,\"state\":"},
    {"\"state\":", "\"pending\":null,\"state\":"},
    {"\"state\":", "\"unreset\":\"\",\"state\":"},
    {"\"rule\":\"dpdk", "\"rule\":\"\\ndpdk"},
    {"\"rule\":\"dpdk-nics", "\"rule\":null,\"x\":\""},
    {"\"members\":[", "\"members\":[],\"others\":["},
    {"\"members\":[", "\"members\":{},\"others\":["},
    {"\"members\":[", "\"members\":[null,"},
    {"\"members\":[", "\"members\":[[],"},
    {"\"members\":[", "\"members\":[{},"},
    {"05.0.1", "05.0.2"}, /* the same device twice */
    {"\"path\":\"devices/", "\"path\":\"/sys/devices/"},
    {"\"path\":\"devices/", "\"path\":\"devices/../"},
    {"\"path\":\"devices/", "\"path\":\"devices//"},
    {"\"path\":\"devices/", "\"path\":\"kernel/"},
    {"\"path\":\"devices/", "\"path\":\"devices/\\u0007"},
    {"\"path\":\"" NIC "\"", "\"path\":\"" NIC "/\""},
    {"\"path\":\"" NIC "\"", "\"path\":\"" NIC "/..\""},
    {"\"path\":\"" NIC "\"", "\"path\":\"\""},
    {"\"path\":\"" NIC "\",", ""},
    {"\"bus\":\"pci\"", "\"bus\":1"},
    {"\"bus\":\"pci\",", ""},
    {"\"group\":7", "\"group\":4294967296"},
    {"\"group\":7", "\"group\":-1"},
    {"\"group\":7,", ""},
    {"\"move\":\"target\"", "\"move\":\"stays\""},
    {"\"move\":\"target\"", "\"move\":\"\""},
    {"\"move\":\"target\",", ""},
    {"\"driver\":\"e1000e\"", "\"driver\":null"},
    {"\"driver\":\"e1000e\",", ""},
    {"\"driver\":\"e1000e\"", "\"driver\":\"e1000e\\u0000\""},
    {"\"override\":\"\"", "\"override\":false"},
    {"\"override\":\"\"", "\"override\":\"\\n\""},
    {"\"target\":\"vfio-pci\"", "\"target\":[]"},
    {"\"target\":\"vfio-pci\",", ""},
    {"\"vfs\":4", "\"vfs\":65536"},
    {"\"vfs\":4", "\"vfs\":-1"},
    {"\"vfs\":4", "\"vfs\":\"4\""},
    {"\"autoprobe\":1", "\"autoprobe\":null"},
    {"\"autoprobe\":1", "\"autoprobe\":99999"},
    {"]}", "]"},
    {"]}", "]}}"},
    {"]}", "]} x"},
    {"{\"boot\"", "[{\"boot\""},
    {"für", "f\xfc"},
};

START_TEST(test_fault) {
    _cleanup_(freep) char *text = NULL;

    save(5);
    ck_assert_int_eq(file_read(tree.fd, "state/switch-5.json", 65536, &text, NULL), 0);
    _cleanup_(freep) char *changed = replace_text(text, faults[_i].from, faults[_i].to);
    tree_file(&tree, "state/switch-5.json", changed);
    assert_set_aside("switch-5.json");
}
END_TEST

/* Cut anywhere, a file is not taken for a record. */
START_TEST(test_truncated) {
    _cleanup_(freep) char *text = NULL;
    struct detachment *detachment = NULL;
    const char *fault;
    size_t size;

    save(5);
    ck_assert_int_eq(file_read(tree.fd, "state/switch-5.json", 65536, &text, &size), 0);
    for (size_t i = 0; i < size; i++) {
        fault = NULL;
        ck_assert_int_eq(detachment_from_json(text, i, BOOT, &detachment, &fault), -EBADMSG);
        ck_assert_ptr_nonnull(fault);
    }
    ck_assert_ptr_null(detachment);
    ck_assert_int_eq(detachment_from_json(text, size, BOOT, &detachment, &fault), 0);
    detachment_free(detachment);
}
END_TEST

START_TEST(test_not_a_file) {
    char *huge = calloc(1, STATE_FILE_SIZE_MAX + 2);

    memset(huge, ' ', STATE_FILE_SIZE_MAX + 1);
    tree_file(&tree, "state/switch-5.json", huge);
    free(huge);
    assert_set_aside("switch-5.json");
    tree_file(&tree, "state/switch-6.json", "");
    assert_set_aside("switch-6.json");
    tree_folder(&tree, "state/switch-7.json");
    assert_set_aside("switch-7.json");
    tree_link(&tree, "state/switch-8.json", "switch-8.json");
    assert_set_aside("switch-8.json");
    ck_assert_int_eq(mkfifoat(tree.fd, "state/switch-9.json", 0600), 0);
    assert_set_aside("switch-9.json");
}
END_TEST

START_TEST(test_other_names) {
    tree_file(&tree, "state/switch-01.json", "x");
    tree_file(&tree, "state/switch-0.json", "x");
    tree_file(&tree, "state/switch-1.json.bad", "x");
    tree_file(&tree, "state/switch-.json", "x");
    tree_file(&tree, "state/lease-1.json", "x");
    tree_file(&tree, "state/.switch-1.json.new", "x");
    ck_assert_uint_eq(load(), 0);
    ck_assert(exists("switch-01.json") && exists("lease-1.json"));
    ck_assert(!exists(".switch-1.json.new"));
}
END_TEST

START_TEST(test_one_bad_among_good) {
    save(1);
    save(2);
    save(3);
    tree_file(&tree, "state/switch-2.json", "{");
    ck_assert_uint_eq(load(), 1);
    ck_assert_uint_eq(n_found, 2);
}
END_TEST

static int refuse(struct detachment *detachment, void *userdata) {
    detachment_free(detachment);
    ++*(int *)userdata;
    return -ENOMEM;
}

START_TEST(test_loading_is_ended) {
    unsigned bad = 99;
    int times = 0;

    save(1);
    save(2);
    ck_assert_int_eq(state_load_detachments(state, refuse, &times, &bad), -ENOMEM);
    ck_assert_int_eq(times, 1);
    ck_assert_uint_eq(bad, 99);
    ck_assert(exists("switch-1.json") && exists("switch-2.json"));
}
END_TEST

/* ---- What would not be read again is not written */

static void spoil(struct detachment *detachment, int how) {
    struct detachment_member *member = &detachment->members[0];

    switch (how) {
    case 0: member->path[0] = 'x'; break;
    case 1: member->bus[0] = '\n'; break;
    case 2: member->driver[0] = '\x01'; break;
    case 3: member->target[0] = '\x1b'; break;
    case 4: detachment->rule[0] = '\n'; break;
    case 5: detachment->n_members = 0; break;
    case 6: detachment->id = UINT64_MAX; break;
    default:
        free(member->override);
        member->override = calloc(1, STATE_TEXT_MAX + 2);
        memset(member->override, 'o', STATE_TEXT_MAX + 1);
    }
}

START_TEST(test_save_refuses) {
    _cleanup_(detachment_freep) struct detachment *detachment = make(1);

    spoil(detachment, _i);
    ck_assert_int_eq(state_save_detachment(state, detachment), -EINVAL);
    ck_assert(!exists("switch-1.json"));
    detachment->n_members = 3;
}
END_TEST

START_TEST(test_large) {
    _cleanup_(detachment_freep) struct detachment *detachment =
        detachment_new(STATE_MEMBERS_MAX + 1);
    char path[64];

    detachment->id = 1;
    for (size_t i = 0; i <= STATE_MEMBERS_MAX; i++) {
        snprintf(path, sizeof(path), "devices/pci0000:00/%04zx:00:00.0", i);
        detachment->members[i] = make_member(path, MOVE_TO_USER);
    }
    detachment->n_members = STATE_MEMBERS_MAX;
    ck_assert_int_eq(state_save_detachment(state, detachment), 0);
    ck_assert_uint_eq(load(), 0);
    ck_assert_uint_eq(found[0]->n_members, STATE_MEMBERS_MAX);
    detachment->n_members++;
    ck_assert_int_eq(state_save_detachment(state, detachment), -EINVAL);
}
END_TEST

/* ---- A full disk */

static bool mount_small(void) {
    int flags = geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;

    return unshare(flags) == 0 && mount(NULL, "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("small", tree_path(&tree, "state"), "tmpfs", 0, "size=16k,mode=0700") == 0;
}

static void fill_disk(void) {
    static char block[4096];
    int fd = open(tree_path(&tree, "state/filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    while (write(fd, block, sizeof(block)) > 0) {
    }
    close(fd);
}

/* What was there before is there afterwards, whole, and nothing half written. */
START_TEST(test_full_disk) {
    if (!mount_small())
        return;
    open_state(BOOT);
    save(1);
    fill_disk();
    _cleanup_(detachment_freep) struct detachment *detachment = make(1);
    detachment->state = DETACHMENT_DETACHED;
    ck_assert_int_eq(state_save_detachment(state, detachment), -ENOSPC);
    detachment->id = 2;
    ck_assert_int_eq(state_save_detachment(state, detachment), -ENOSPC);
    ck_assert(!exists("switch-2.json"));
    ck_assert_int_eq(state_write_soiled(state, "1000 0 " NIC "\n"), -ENOSPC);
    ck_assert_uint_eq(load(), 0);
    ck_assert_uint_eq(n_found, 1);
    ck_assert_int_eq(found[0]->state, DETACHMENT_REATTACHING);
    ck_assert_int_eq(state_remove_detachment(state, 1), 0);
    state = state_close(state);
    umount2(tree_path(&tree, "state"), MNT_DETACH);
}
END_TEST

static void add_hostile(TCase *all) {
    tcase_add_loop_test(all, test_fault, 0, ELEMENTS_OF(faults));
    tcase_add_test(all, test_truncated);
    tcase_add_test(all, test_not_a_file);
    tcase_add_test(all, test_other_names);
    tcase_add_test(all, test_one_bad_among_good);
    tcase_add_test(all, test_loading_is_ended);
    tcase_add_loop_test(all, test_save_refuses, 0, 8);
    tcase_add_test(all, test_large);
}

int main(void) {
    Suite *suite = suite_create("state-switch");
    TCase *all = tree_case("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, test_round_trip, 0, 4);
    tcase_add_test(all, test_replace_and_remove);
    tcase_add_test(all, test_other_boot);
    tcase_add_test(all, test_numbers);
    add_hostile(all);
    tcase_add_test(all, test_full_disk);
    suite_add_tcase(suite, all);
    return tree_main(suite);
}
