/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The VFIO group nodes in /dev/vfio: who may open them, who has them open, and access for a holder
 * by an ACL entry. A node is always taken by O_PATH and compared with the number in sysfs first. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/group.h"

/* Looks at the node of a group. A missing node is no error: ret->present is false. */
int node_read(int sysfs, uint32_t id, struct node_facts *ret);

/* udev has finished with the node: /run/udev/data/cMAJ:MIN exists, or no udev runs. */
bool node_settled(int sysfs, uint32_t id);

/* Gives uid an entry rw- with an explicit mask rw-, and reads it back. Root needs none: the
 * minimal ACL is written. -ENODEV if the node is not the group's; -EIO if it did not hold. */
int node_grant(int sysfs, uint32_t id, uid_t uid);

/* Writes the minimal ACL (owner, group, other as 0600), and reads it back. 0 also if the node is
 * gone. */
int node_withdraw(int sysfs, uint32_t id);

enum node_status {
    NODE_VIABLE,     /* opened, and VFIO_GROUP_GET_STATUS says viable */
    NODE_NOT_VIABLE, /* opened, and it says not */
    NODE_OPEN,       /* EBUSY: somebody has the group, or a device of it, open */
    NODE_ABSENT,     /* no node, or its group lost its last VFIO device (ENODEV) */
};

/* Opens the node for an instant and asks the kernel. An outcome, or a negative errno that says what
 * it is (EPERM and EACCES too). An innocent opener would meet EBUSY meanwhile: only before a grant
 * and at the end of draining. */
int node_ask_kernel(int sysfs, uint32_t id);

/* Opens, closes, appearance and change of nodes, by inotify on /dev/vfio. */
struct node_watch;

enum node_event {
    NODE_EVENT_OPENED,
    NODE_EVENT_CLOSED,
    NODE_EVENT_CHANGED, /* made, removed, or other mode, owner or ACL */
    NODE_EVENT_LOST,    /* events were lost, or /dev/vfio was made or removed: look at all (id 0) */
};

typedef void node_event_handler(enum node_event event, uint32_t id, void *userdata);

/* /dev/vfio need not exist: it is watched for through /dev. */
int node_watch_new(struct node_watch **ret);
struct node_watch *node_watch_free(struct node_watch *watch);
int node_watch_fd(const struct node_watch *watch);
int node_watch_receive(struct node_watch *watch, node_event_handler *handler, void *userdata);

/* The daemon itself has just opened and closed the node (node_ask_kernel said viable or not): of
 * the events that wait now, one OPENED and one CLOSED of it are not reported. A node is open once
 * at a time, so these are its own, or such as can not be told from them. To be called before the
 * next node_watch_receive. 0 or -ENOMEM. */
int node_watch_skip(struct node_watch *watch, uint32_t id);

/* For tests: other folders than /dev/vfio and /run/udev. The strings are borrowed for good. */
void node_use_folders(const char *nodes, const char *udev);
const char *node_folder(void);
