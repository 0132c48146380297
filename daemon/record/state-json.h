/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A lease as JSON text, and back. What is read is not trusted: every field is checked. */

#include <stddef.h>

#include "model/lease.h"
#include "record/json-fields.h"

#define STATE_GROUPS_MAX 64
#define STATE_DEVICES_MAX 4096 /* of a lease */
#define STATE_GIDS_MAX 65536
#define STATE_RULES_MAX (256 * 1024) /* names of rules, comma separated */

/* *ret is the caller's. -EINVAL if the lease has something that would not be read again, -EFBIG if
 * the text would be too long, -ENOMEM. */
int lease_to_json(const struct lease *lease, const char *boot_id, char **ret, size_t *ret_size);

/* 0, STATE_OTHER_BOOT, -ENOMEM, or -EBADMSG with the fault in *ret_fault (a static string). */
int lease_from_json(const char *text, size_t size, const char *boot_id, struct lease **ret,
                    const char **ret_fault);
