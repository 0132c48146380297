/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder holds "lock", "next" (the first number that was never handed out), one lease-N.json a
 * lease, and cache-NAME files. It is a tmpfs in normal use, so writing costs no disk, and a claim
 * pays for one file: numbers are reserved in blocks. */
#include "record/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>

#include "record/audit.h"
#include "record/state-internal.h"
#include "record/state-json.h"
#include "util/fd.h"
#include "util/string.h"

/* Numbers that one write of "next" reserves; a crash skips what is left of them. */
#define NUMBERS_BLOCK 64

#define CACHE_SIZE_MAX 4096

/* Two seconds in all. */
#define LOCK_ATTEMPTS 100
#define LOCK_PAUSE_US 20000

int boot_id_read(char ret[BOOT_ID_SIZE]) {
    char text[BOOT_ID_SIZE + 1];
    ssize_t length =
        attribute_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, sizeof(text));

    if (length < 0)
        return (int)length;
    if (length != BOOT_ID_SIZE - 1)
        return -EBADMSG;
    memcpy(ret, text, BOOT_ID_SIZE);
    return 0;
}

/* The file's content behind its first line, if that is this boot's id. *ret is the caller's. */
static int read_of_this_boot(struct state *state, const char *name, char **ret) {
    _cleanup_(freep) char *text = NULL;
    int r = file_read(state->directory, name, CACHE_SIZE_MAX, &text, NULL);

    if (r < 0)
        return r;
    const char *rest = string_after(text, state->boot_id);
    if (!rest || *rest != '\n')
        return -ENOENT;
    char *copy = strdup(rest + 1);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

static int write_of_this_boot(struct state *state, const char *name, const char *value) {
    _cleanup_(freep) char *text = string_format("%s\n%s", state->boot_id, value);

    if (!text)
        return -ENOMEM;
    if (strlen(text) > CACHE_SIZE_MAX)
        return -EFBIG;
    return file_replace(state->directory, name, text, strlen(text), 0600);
}

/* The folder, made if it is missing, and only ours. */
static int open_folder(const char *path) {
    struct stat status;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    _cleanup_(fd_closep) int folder =
        open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &status) < 0)
        return -errno;
    if (status.st_uid != geteuid())
        return -EPERM;
    if ((status.st_mode & 07777) != 0700 && fchmod(folder, 0700) < 0)
        return -errno;
    return TAKE_FD(folder);
}

/* The lock goes with the process that holds it, so a crash leaves none behind; but a worker that had just
 * been forked when the daemon was killed holds it for the moment that it has left. */
static int take_lock(int folder, const char *path) {
    _cleanup_(fd_closep) int lock =
        openat(folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (lock < 0)
        return -errno;
    for (unsigned attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        if (flock(lock, LOCK_EX | LOCK_NB) == 0)
            return TAKE_FD(lock);
        if (errno != EWOULDBLOCK)
            return -errno;
        (void)usleep(LOCK_PAUSE_US);
    }
    log_message(LOG_ERR, "another dmaownd runs with the state folder %s", path);
    return -EBUSY;
}

/* Where the numbers go on. Without a readable file of this boot they start at 1; state_load moves
 * them behind every lease that it finds. */
static int read_next(struct state *state) {
    _cleanup_(freep) char *text = NULL;
    uint64_t next;
    int r = read_of_this_boot(state, "next", &text);

    state->next = state->reserved = 1;
    if (r == -ENOMEM)
        return r;
    if (r == 0 && parse_u64(text, &next) == 0 && next > 0 && next < INT64_MAX)
        state->next = state->reserved = next;
    else if (r != -ENOENT)
        log_message(LOG_WARNING, "the file \"next\" in the state folder is not valid");
    return 0;
}

struct state *state_close(struct state *state) {
    if (!state)
        return NULL;
    fd_close(state->directory);
    fd_close(state->lock);
    free(state);
    return NULL;
}

int state_open(const char *directory, const char *boot_id, struct state **ret) {
    _cleanup_(state_closep) struct state *state = calloc(1, sizeof(*state));

    if (!state)
        return -ENOMEM;
    state->directory = state->lock = -1;
    if (strlen(boot_id) != BOOT_ID_SIZE - 1)
        return -EINVAL;
    memcpy(state->boot_id, boot_id, BOOT_ID_SIZE);
    state->directory = open_folder(directory);
    if (state->directory < 0)
        return state->directory;
    state->lock = take_lock(state->directory, directory);
    if (state->lock < 0)
        return state->lock;
    int r = read_next(state);
    if (r >= 0)
        *ret = TAKE_POINTER(state);
    return r;
}

static void lease_name(uint64_t id, char *ret, size_t size) {
    snprintf(ret, size, "lease-%llu.json", (unsigned long long)id);
}

int state_save(struct state *state, const struct lease *lease) {
    _cleanup_(freep) char *text = NULL;
    char name[64];
    size_t size;
    int r = lease_to_json(lease, state->boot_id, &text, &size);

    if (r < 0)
        return r;
    lease_name(lease->id, name, sizeof(name));
    return file_replace(state->directory, name, text, size, 0600);
}

int state_remove(struct state *state, uint64_t id) {
    char name[64];

    lease_name(id, name, sizeof(name));
    return unlinkat(state->directory, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

uint64_t state_number_of(const char *name, const char *prefix) {
    const char *number = string_after(name, prefix);
    char text[32];
    uint64_t id;

    if (!number)
        return 0;
    size_t length = strcspn(number, ".");
    if (!string_equal(number + length, ".json") || length >= sizeof(text))
        return 0;
    memcpy(text, number, length);
    text[length] = 0;
    return parse_u64(text, &id) < 0 ? 0 : id;
}

/* Out of the way, but kept for whoever looks into it. */
int state_set_aside(struct state *state, const char *name, const char *why) {
    char bad[NAME_MAX + 1];

    log_message(LOG_ERR, "state file %s is not valid (%s): moved to %s.bad", name, why, name);
    snprintf(bad, sizeof(bad), "%.*s.bad", NAME_MAX - 4, name);
    if (renameat(state->directory, name, state->directory, bad) < 0)
        return -errno;
    return 0;
}

int state_drop_of_other_boot(struct state *state, const char *name) {
    log_message(LOG_NOTICE, "state file %s is of another boot: removed", name);
    return unlinkat(state->directory, name, 0) < 0 ? -errno : 0;
}

/* 0 with *ret set, or what was done about a file that gives no lease: NULL. *bad counts. */
static int load_lease(struct state *state, const char *name, struct lease **ret, unsigned *bad) {
    _cleanup_(lease_freep) struct lease *lease = NULL;
    _cleanup_(freep) char *text = NULL;
    const char *fault;
    size_t size;
    int r = file_read(state->directory, name, STATE_FILE_SIZE_MAX, &text, &size);

    *ret = NULL;
    if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
        return r;
    if (r < 0) {
        ++*bad;
        return state_set_aside(state, name, strerror(-r));
    }
    r = lease_from_json(text, size, state->boot_id, &lease, &fault);
    if (r == STATE_OTHER_BOOT)
        return state_drop_of_other_boot(state, name);
    if (r == 0 && lease->id != state_number_of(name, "lease-")) {
        fault = "id";
        r = -EBADMSG;
    }
    if (r == -EBADMSG) {
        ++*bad;
        return state_set_aside(state, name, fault);
    }
    if (r == 0)
        *ret = TAKE_POINTER(lease);
    return r;
}

static int load_entry(struct state *state, const char *name, struct lease_book *book,
                      unsigned *bad) {
    _cleanup_(lease_freep) struct lease *lease = NULL;
    int r = load_lease(state, name, &lease, bad);

    if (r < 0 || !lease)
        return r;
    if (lease->id >= state->next)
        state->next = lease->id + 1;
    r = lease_book_add(book, lease);
    if (r >= 0)
        (void)TAKE_POINTER(lease);
    return r;
}

int state_load(struct state *state, struct lease_book *book, unsigned *ret_bad) {
    _cleanup_(closedirp) DIR *folder = NULL;
    struct dirent *entry;
    unsigned bad = 0;
    int r = directory_open(state->directory, ".", &folder);

    if (r < 0)
        return r;
    while ((entry = directory_next(folder))) {
        if (string_after(entry->d_name, ".lease-")) /* half written when a daemon ended */
            (void)unlinkat(state->directory, entry->d_name, 0);
        if (state_number_of(entry->d_name, "lease-") == 0)
            continue;
        r = load_entry(state, entry->d_name, book, &bad);
        if (r < 0)
            return r;
    }
    *ret_bad = bad;
    return 0;
}

int state_next_id(struct state *state, uint64_t *ret) {
    if (state->next >= state->reserved) {
        char text[24];
        snprintf(text, sizeof(text), "%llu", (unsigned long long)state->next + NUMBERS_BLOCK);
        int r = write_of_this_boot(state, "next", text);
        if (r < 0)
            return r;
        state->reserved = state->next + NUMBERS_BLOCK;
    }
    *ret = state->next++;
    return 0;
}

static int cache_name(const char *name, char *ret, size_t size) {
    if (!*name || strchr(name, '/'))
        return -EINVAL;
    return (size_t)snprintf(ret, size, "cache-%s", name) < size ? 0 : -ENAMETOOLONG;
}

int state_read_cache(struct state *state, const char *name, char **ret) {
    char file[64];
    int r = cache_name(name, file, sizeof(file));

    return r < 0 ? r : read_of_this_boot(state, file, ret);
}

int state_write_cache(struct state *state, const char *name, const char *value) {
    char file[64];
    int r = cache_name(name, file, sizeof(file));

    return r < 0 ? r : write_of_this_boot(state, file, value);
}
