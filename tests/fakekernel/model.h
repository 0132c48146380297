/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "nodes.h"
#include "tree.h"

/*
 * Buses, drivers, devices and IOMMU groups, and how a kernel from 5.19 on treats them. Everything
 * here needs tree_lock held. Functions return 0 or the negative errno that the kernel would give.
 */
struct bus {
    char *name;
    struct entry *directory;
    struct entry *devices;
    struct entry *drivers;
    UT_hash_handle hh;
};

struct driver {
    char *name, *module;
    struct bus *bus;
    struct entry *directory; /* NULL while its module is not loaded */
    bool vfio;    /* makes vfio-dev/ and the group's node */
    bool managed; /* driver_managed_dma: may bind beside a user */
    bool net;     /* has a network interface below the device */
    bool sriov;   /* lets VFs be made */
    bool takes_vfs; /* when it goes its VFs go */
    int refuse;   /* errno of its probe, 0 */
    char **compatible; /* NULL-terminated: the nodes that it matches; or NULL */
    char *refuse_only; /* for this device; NULL: all */
    struct driver *next;
};

struct iommu_use;

enum module_state { MODULE_LOADED, MODULE_LOADABLE, MODULE_MISSING, MODULE_FAILS };

/* Of a physical function. */
struct sriov {
    unsigned total, count, product;
    bool autoprobe;
    char *native; /* the driver that matches its VFs */
};

struct disk {
    char name[64], number[16]; /* major:minor */
    unsigned long sectors;
    bool multipath;
};

/* Claimed by the opener, through the container whose file has this inode. */
struct container_claim {
    bool set;
    dev_t device;
    ino_t inode;
};

struct group {
    unsigned id;
    struct entry *directory;
    unsigned members;
    unsigned vfio_members; /* the node exists while it is not 0 */
    struct container_claim container;
    bool iommu;            /* VFIO_SET_IOMMU was called on that container */
    int fail_container;    /* errno of the next VFIO_GROUP_SET_CONTAINER, 0 */
    bool claimed;          /* claimed by decree of a test */
    bool disagrees;        /* VFIO says not viable whatever sysfs shows */
    UT_hash_handle hh;
};

struct device {
    char *name;
    struct bus *bus;
    struct driver *driver; /* still set while an unbind hangs, as in the kernel */
    struct group *group;
    struct entry *directory;
    char *driver_override;
    char *native;      /* the driver that matches it by its ids */
    int vfio_id;       /* X of vfio-dev/vfioX, -1 if none */
    ino_t iommufd;     /* of the iommufd that its cdev is bound to, while it is */
    unsigned vendor, product, subsystem_vendor, subsystem_product, class;
    char *modalias;
    char *uevent;      /* its constant uevent lines */
    bool locked;       /* the device lock */
    bool hang_unbind;
    int reset_errno;      /* of a write to reset, 0 */
    struct sriov *sriov;
    struct device *physfn; /* of a virtual function */
    char *interface;      /* name of its network interface, "" for one that is elsewhere; NULL: any */
    unsigned interface_index;
    struct disk *disk;
    bool late; /* gets its group at the first probe: virtio-iommu, arm64 up to 6.14 */
    int node;  /* of the device tree, -1 if none */
    struct iommu_use *iommu; /* its streams there, while it has some */
    bool gone;
    unsigned references; /* one for being in the model, one for each waiter */
    UT_hash_handle hh;
};

/* What a scenario says about a new device; strings may be NULL. */
struct device_spec {
    const char *bus, *name, *path, *parent, *driver, *native, *group, *compatible, *removable;
    const char *reset_method, *modalias, *vfnative, *node;
    unsigned totalvfs, vfdevice, boot_vga;
    unsigned vendor, product, subsystem_vendor, subsystem_product, class, revision;
    int numa_node;
};

extern bool kernel_6_1; /* an unbind that hangs hides vfio-dev only at its end, and blocks readers */
extern bool kernel_ends; /* nothing hangs any more */

void model_initialise(void);
struct bus *bus_get(const char *name); /* made when new */
struct driver *driver_get(struct bus *bus, const char *name);
struct driver *driver_find(struct bus *bus, const char *name);
bool bus_autoprobes(const struct bus *bus);
struct device *device_next(struct device *device); /* the first one after NULL */
/* By its name or a sysfs path; NULL if none. */
struct device *device_find(const char *name);
struct group *group_find(unsigned id);
struct group *group_next(struct group *group); /* the first one after NULL */

int device_add(const struct device_spec *spec);
int device_remove(struct device *device);
/* Moves it without any event; NULL: no group. */
void device_join(struct device *device, struct group *group);
struct group *group_get(unsigned id);
unsigned group_free_id(void);

/* modules.c. A new driver has the module of its own name if that is NULL, and is there if it is loaded. */
struct driver *driver_new(struct bus *bus, const char *name, const char *module);
/* Loaded or not; NULL if none. */
struct driver *driver_known(const struct bus *bus, const char *name);
/* As modprobe does; drivers take what matches. */
int module_load(const char *name);
/* -EBUSY while a driver of it is in use. */
int module_set(const char *name, enum module_state state);

/* Takes the nodes that have this too. */
void driver_add_compatible(struct driver *driver, const char *compatible);
/* Whether some module can reset devices with this node; it is loaded now: vfio_platform_get_reset(). */
bool platform_has_reset(const struct device *device);

/* pci.c, sriov.c */
void pci_files(struct device *device, const struct device_spec *spec);
void pci_set_master(struct device *device, bool on);
bool pci_is_master(const struct device *device);
void sriov_files(struct device *pf, const struct device_spec *spec);
void sriov_disable(struct device *pf);
bool sriov_may_probe(const struct device *device);
bool sriov_has_vfs(const struct device *device);

/* children.c: what the driver adds to its device, or takes away. */
void net_interface(struct device *device, bool add);
void disk_show(struct device *device, bool add);
/* "none": it is in another network namespace. */
int device_interface(struct device *device, const char *name, unsigned index);
int device_disk(struct device *device, const struct disk *disk);
int disk_partition(const char *disk, const struct disk *part);
/* loop.c: makes /dev/NAME, which can be opened and holds zeros, and sets its number. 0 or negative errno. */
int disk_loop(struct disk *disk);
/* For a child of the server: nobody but that has them open. */
void disk_close_loops(void);
int disk_holder(const char *disk, const struct disk *holder);

/* bind.c: matching is checked as a write to the bus's files would; a hung unbind returns late. */
bool driver_matches(const struct driver *driver, const struct device *device);
int device_attach_driver(struct device *device, struct driver *driver);
int device_detach(struct device *device);
/* The first driver that matches: 1 bound, 0 none, negative errno of a probe. */
int device_probe(struct device *device);
void device_lock(struct device *device);
void device_unlock(struct device *device);
struct device *device_get(struct device *device);
void device_put(struct device *device);
void device_event(struct device *device, const char *action);
void driver_files(struct driver *driver);
void bus_files(struct bus *bus);
void device_files(struct device *device);

/* vfio.c */
int vfio_attach(struct device *device);
void vfio_detach_device(struct device *device);
void vfio_detach_group(struct device *device);
/* A counted driver holds a member (owner_cnt of drivers). */
bool group_has_kernel_driver(const struct group *group);
bool group_user_claimed(struct group *group);
/* A member's cdev is bound; to another iommufd than this one, unless that is NULL. */
bool group_device_bound(const struct group *group, const struct node *iommufd);
bool group_device_open(const struct group *group);
/* Devices with a VFIO driver have a cdev from now on, or none. */
void vfio_cdev_enable(bool enable);
/* Waits until nobody has a file of the device open. */
void vfio_wait_closed(const char *name);
/* Nodes are made only where this has been set (a folder such as /dev/vfio). */
void vfio_node_folder(const char *folder);
/* major 0: the number that sysfs has for it. */
int vfio_node_create(unsigned group, unsigned major, unsigned minor);
int vfio_node_copy(unsigned group, const char *path);
void vfio_node_remove(unsigned group);
