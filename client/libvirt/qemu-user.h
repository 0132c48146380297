/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The user that libvirt runs QEMU as: whom the nodes of its devices must be open to. */

#include <sys/types.h>

/* Where libvirt looks, whatever dmaownd was built for. */
#define QEMU_CONF "/etc/libvirt/qemu.conf"
#define QEMU_CONF_MAX (1 << 20)

/* The value of "user" in the text of a qemu.conf. *ret is the caller's; NULL if it is not set. -ENOMEM. */
int qemu_conf_user(const char *text, char **ret);

/* The uid of what a label or qemu.conf names: "+64055", "64055" or "libvirt-qemu". NULL: libvirt's own
 * choice, the first of libvirt-qemu, qemu and root that is known here. -ENOENT: no such user; -EINVAL: no
 * user at all. */
int qemu_user_find(const char *user, uid_t *ret);
