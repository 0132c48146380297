/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What outlives the daemon: one file a lease below the state folder (/run/dmaownd), written before
 * access is given and removed after it was taken back. The files are private to dmaownd. */

#include <stdint.h>

#include "model/detachment.h"
#include "model/lease.h"

struct state;

/* Opens (makes, 0700) the folder and locks it. -EBUSY (named in a log line) if another dmaownd has
 * it. boot_id: of this boot, files of another boot are removed with a line in the log. */
int state_open(const char *directory, const char *boot_id, struct state **ret);
struct state *state_close(struct state *state);
DEFINE_CLEANUP(struct state *, state_close)

/* Writes or replaces the lease's file, atomically. 0 or a negative errno; -EINVAL or -EFBIG if the
 * lease is beyond what state_load would take back (state-json.h has the limits). */
int state_save(struct state *state, const struct lease *lease);
/* Removes the lease's file; it is no error if there is none. */
int state_remove(struct state *state, uint64_t id);

/* Reads every lease of this boot into book. A file that is truncated, hostile or too large (1 MiB)
 * is moved to NAME.bad, named in the log, and left out; *ret_bad counts those. */
int state_load(struct state *state, struct lease_book *book, unsigned *ret_bad);

/* The same for detachments: written before the first driver is touched. found takes each over; a
 * negative errno from it ends the loading. */
int state_save_detachment(struct state *state, const struct detachment *detachment);
int state_remove_detachment(struct state *state, uint64_t id);
typedef int state_detachment_found(struct detachment *detachment, void *userdata);
int state_load_detachments(struct state *state, state_detachment_found *found, void *userdata,
                           unsigned *ret_bad);

/* Devices that dmaownd --reserve-device has given to VFIO since the boot, each once: found gets the
 * driver_override before and the path. A negative errno from it ends this, and what is left comes again. */
typedef int state_reserved_found(const char *override, const char *path, void *userdata);
int state_take_reserved(struct state *state, state_reserved_found *found, void *userdata);

/* Who had which device open that was not reset since, a line each. *ret is the caller's; -ENOENT if
 * there is none of this boot. */
int state_write_soiled(struct state *state, const char *text);
int state_read_soiled(struct state *state, char **ret);

/* A number that was never returned before in this boot, also across a crash. */
int state_next_id(struct state *state, uint64_t *ret);

/* Small facts that are cached for this boot, such as the kernel's model. *ret is the caller's;
 * -ENOENT if there is none of this boot. */
int state_read_cache(struct state *state, const char *name, char **ret);
int state_write_cache(struct state *state, const char *name, const char *value);

/* The id of this boot, from /proc/sys/kernel/random/boot_id. */
int boot_id_read(char ret[37]);
