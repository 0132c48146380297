/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A detachment as JSON text, and back. What is read is not trusted: every field is checked. */

#include <stddef.h>

#include "model/detachment.h"

#define STATE_MEMBERS_MAX 4096 /* of a detachment */

/* *ret is the caller's. -EINVAL if it has something that would not be read again, -EFBIG, -ENOMEM. */
int detachment_to_json(const struct detachment *detachment, const char *boot_id, char **ret,
                       size_t *ret_size);

/* 0, STATE_OTHER_BOOT, -ENOMEM, or -EBADMSG with the fault in *ret_fault (a static string). */
int detachment_from_json(const char *text, size_t size, const char *boot_id,
                         struct detachment **ret, const char **ret_fault);
