/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nodes of VFIO: who may open them, who has them open, and access for a holder by an ACL entry.
 * A node is always taken by O_PATH and compared with the number in sysfs first. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/node-facts.h"

/* A node by its place in /dev, and the attribute in sysfs that has its device number. */
struct node_name {
    char path[128];
    char number[1152]; /* below the sysfs root */
};

struct node_name node_of_group(uint32_t id); /* /dev/vfio/7 */
/* /dev/vfio/devices/vfio0, if it is that of the device at this path below the sysfs root: names are
 * reused as soon as they are free. */
struct node_name node_of_cdev(const char *device_path, const char *vfio_device);
struct node_name node_of_iommu(void);        /* /dev/iommu */
struct node_name node_of_container(void);    /* /dev/vfio/vfio */

/* Looks at a node. A missing one is no error: ret->present is false. */
int node_read(int sysfs, const struct node_name *node, struct node_facts *ret);

/* udev has finished with the node: /run/udev/data/cMAJ:MIN exists, or no udev runs. */
bool node_settled(int sysfs, const struct node_name *node);

/* Gives uid an entry rw- with an explicit mask rw-, and reads it back. Root needs none: the
 * minimal ACL is written. -ENODEV if the node is not the one that sysfs means; -EIO if it did not
 * hold. */
int node_grant(int sysfs, const struct node_name *node, uid_t uid);

/* Writes the minimal ACL (owner, group, other as 0600), and reads it back. 0 also if the node is
 * gone. */
int node_withdraw(int sysfs, const struct node_name *node);

/* For a node that many use (/dev/iommu): adds or takes away the entry of uid, and leaves alone what
 * others have. Errors as above; taking away from a node that is gone is no error. */
int node_share(int sysfs, const struct node_name *node, uid_t uid);
int node_unshare(int sysfs, const struct node_name *node, uid_t uid);

/* Opens a node for reading and writing, close-on-exec. Returns the fd, the caller's, or a negative
 * errno: -ENODEV if the name is not the node that sysfs means. */
int node_open(int sysfs, const struct node_name *node);

/* The device number of a node that is the one that sysfs means. 0 or a negative errno. */
int node_device(int sysfs, const struct node_name *node, dev_t *ret);

enum node_status {
    NODE_VIABLE,     /* opened, and VFIO_GROUP_GET_STATUS says viable */
    NODE_NOT_VIABLE, /* opened, and it says not */
    NODE_OPEN,       /* EBUSY: somebody has the group, or a device of it, open */
    NODE_ABSENT,     /* no node, or its group lost its last VFIO device (ENODEV) */
};

/* Opens a group's node and asks the kernel. An outcome, or a negative errno that says what it is
 * (EPERM and EACCES too). Without ret_fd the node is open for an instant only; with it, it stays so
 * if it is viable, and the fd is the caller's. An innocent opener would meet EBUSY meanwhile: only
 * before a grant and at the end of draining. */
int node_ask_kernel(int sysfs, uint32_t id, int *ret_fd);

/* Attaches a group to a container: the kernel's own claim (VFIO_GROUP_SET_CONTAINER; vfio(4) of the
 * kernel's documentation). 0, -EPERM (a kernel driver holds a device of it), or what it says. */
int node_attach(int group, int container);

/* Opens, closes, appearance and change of nodes, by inotify on /dev/vfio and /dev/vfio/devices. */
struct node_watch;

enum node_event {
    NODE_EVENT_OPENED,
    NODE_EVENT_CLOSED,
    NODE_EVENT_CHANGED, /* made, removed, or other mode, owner or ACL */
    NODE_EVENT_LOST,    /* events were lost, or a folder was made or removed: look at all (id 0) */
};

/* vfio_device: "vfio0" for a cdev, and then id means nothing; NULL for a group's node. */
typedef void node_event_handler(enum node_event event, uint32_t id, const char *vfio_device,
                                void *userdata);

/* /dev/vfio need not exist: it is watched for through /dev; its devices folder likewise. */
int node_watch_new(struct node_watch **ret);
struct node_watch *node_watch_free(struct node_watch *watch);
int node_watch_fd(const struct node_watch *watch);
int node_watch_receive(struct node_watch *watch, node_event_handler *handler, void *userdata);

/* The daemon itself has just opened and closed the group's node (node_ask_kernel said viable or not):
 * of the events that wait now, one OPENED and one CLOSED of it are not reported. A node is open once
 * at a time, so these are its own, or such as can not be told from them. To be called before the
 * next node_watch_receive. 0 or -ENOMEM. */
int node_watch_skip(struct node_watch *watch, uint32_t id);

/* For tests: other folders than /dev/vfio and /run/udev. The strings are borrowed for good. */
void node_use_folders(const char *nodes, const char *udev);
const char *node_folder(void);
