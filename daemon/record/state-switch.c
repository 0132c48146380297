/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Detachments below the state folder, one switch-N.json each, and who soiled which device. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "record/detachment-json.h"
#include "record/json-fields.h"
#include "record/state-internal.h"
#include "record/state-json.h"
#include "record/state.h"
#include "util/fd.h"
#include "util/string.h"

#define PREFIX "switch-"
#define SOILED "soiled"
#define SOILED_SIZE_MAX (4 * 1024 * 1024)

static void switch_name(uint64_t id, char *ret, size_t size) {
    snprintf(ret, size, PREFIX "%llu.json", (unsigned long long)id);
}

int state_save_detachment(struct state *state, const struct detachment *detachment) {
    _cleanup_(freep) char *text = NULL;
    char name[64];
    size_t size;
    int r = detachment_to_json(detachment, state->boot_id, &text, &size);

    if (r < 0)
        return r;
    switch_name(detachment->id, name, sizeof(name));
    return file_replace(state->directory, name, text, size, 0600);
}

int state_remove_detachment(struct state *state, uint64_t id) {
    char name[64];

    switch_name(id, name, sizeof(name));
    return unlinkat(state->directory, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* 0 with *ret set, or with NULL where the file gives none. */
static int load_detachment(struct state *state, const char *name, struct detachment **ret,
                           unsigned *bad) {
    _cleanup_(detachment_freep) struct detachment *detachment = NULL;
    _cleanup_(freep) char *text = NULL;
    const char *fault = NULL;
    size_t size;
    int r = file_read(state->directory, name, STATE_FILE_SIZE_MAX, &text, &size);

    *ret = NULL;
    if (r >= 0)
        r = detachment_from_json(text, size, state->boot_id, &detachment, &fault);
    if (r == STATE_OTHER_BOOT)
        return state_drop_of_other_boot(state, name);
    if (r == 0 && detachment->id != state_number_of(name, PREFIX)) {
        fault = "id";
        r = -EBADMSG;
    }
    if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
        return r;
    if (r < 0) {
        ++*bad;
        return state_set_aside(state, name, fault ?: strerror(-r));
    }
    *ret = TAKE_POINTER(detachment);
    return 0;
}

static int load_entry(struct state *state, const char *name, state_detachment_found *found,
                      void *userdata, unsigned *bad) {
    struct detachment *detachment;

    if (string_after(name, "." PREFIX)) /* half written when a daemon ended */
        (void)unlinkat(state->directory, name, 0);
    if (state_number_of(name, PREFIX) == 0)
        return 0;
    int r = load_detachment(state, name, &detachment, bad);
    if (r < 0 || !detachment)
        return r;
    if (detachment->id >= state->next)
        state->next = detachment->id + 1;
    return found(detachment, userdata);
}

int state_load_detachments(struct state *state, state_detachment_found *found, void *userdata,
                           unsigned *ret_bad) {
    _cleanup_(closedirp) DIR *folder = NULL;
    struct dirent *entry;
    unsigned bad = 0;
    int r = directory_open(state->directory, ".", &folder);

    while (r >= 0 && (entry = directory_next(folder)))
        r = load_entry(state, entry->d_name, found, userdata, &bad);
    if (r >= 0)
        *ret_bad = bad;
    return r;
}

int state_write_soiled(struct state *state, const char *text) {
    _cleanup_(freep) char *whole = string_format("%s\n%s", state->boot_id, text);

    return whole ? file_replace(state->directory, SOILED, whole, strlen(whole), 0600) : -ENOMEM;
}

int state_read_soiled(struct state *state, char **ret) {
    _cleanup_(freep) char *text = NULL;
    int r = file_read(state->directory, SOILED, SOILED_SIZE_MAX, &text, NULL);

    if (r < 0)
        return r;
    const char *rest = string_after(text, state->boot_id);
    if (!rest || *rest != '\n')
        return -ENOENT;
    *ret = strdup(rest + 1);
    return *ret ? 0 : -ENOMEM;
}

/* ---- markers of dmaownd --reserve-device: boot id, driver_override before, path; a line each */

#define RESERVED "reserved-"
#define RESERVED_SIZE_MAX 4096

static int take_marker(struct state *state, const char *name, state_reserved_found *found,
                       void *userdata) {
    _cleanup_(freep) char *text = NULL;
    int r = file_read(state->directory, name, RESERVED_SIZE_MAX, &text, NULL);
    char *rest = text;

    if (r < 0)
        return r == -ENOMEM ? r : 0;
    const char *boot_id = strsep(&rest, "\n"), *override = strsep(&rest, "\n"),
               *path = strsep(&rest, "\n");
    if (!path || !string_equal(boot_id, state->boot_id) || !device_is_valid(path) ||
        !text_is_valid(override, STATE_TEXT_MAX))
        return 0;
    return found(override, path, userdata);
}

/* Forgotten once they are taken over: what has become of the device since is on record elsewhere. */
int state_take_reserved(struct state *state, state_reserved_found *found, void *userdata) {
    _cleanup_(closedirp) DIR *folder = NULL;
    struct dirent *entry;
    int r = directory_open(state->directory, ".", &folder);

    while (r >= 0 && (entry = directory_next(folder))) {
        if (!string_after(entry->d_name, RESERVED))
            continue;
        r = take_marker(state, entry->d_name, found, userdata);
        if (r >= 0)
            (void)unlinkat(state->directory, entry->d_name, 0);
    }
    return r < 0 ? r : 0;
}
