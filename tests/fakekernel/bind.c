/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"
#include "uevent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool kernel_6_1 = true;
bool kernel_ends;

void device_lock(struct device *device) {
    device_get(device);
    while (device->locked)
        pthread_cond_wait(&tree_changed, &tree_lock);
    device->locked = true;
}

void device_unlock(struct device *device) {
    device->locked = false;
    pthread_cond_broadcast(&tree_changed);
    device_put(device);
}

static void uevent_lines(struct device *device, char *text, size_t size) {
    snprintf(text, size, "%s%s%s%s", device->driver ? "DRIVER=" : "",
             device->driver ? device->driver->name : "", device->driver ? "\n" : "",
             device->uevent);
}

void device_event(struct device *device, const char *action) {
    char *path = entry_path(device->directory), text[1024];

    uevent_lines(device, text, sizeof(text));
    uevent_send(action, path, device->bus->name, text);
    free(path);
}

/* A driver's network interface, as far as events and the net/ folder go. */
static void net_interface(struct device *device, bool add) {
    struct entry *folder, *interface;
    char name[64], text[128], *path;

    snprintf(name, sizeof(name), "net/eth%lu", (unsigned long) device->directory->inode);
    if (add) {
        folder = entry_directory(device->directory, name);
        entry_link(entry_directory(tree_root(), "class/net"), name + 4, folder);
    }
    folder = entry_child(device->directory, "net");
    interface = folder ? entry_child(folder, name + 4) : NULL;
    if (!interface)
        return;
    path = entry_path(interface);
    snprintf(text, sizeof(text), "INTERFACE=%s\nIFINDEX=7\n", name + 4);
    uevent_send(add ? "add" : "remove", path, "net", text);
    free(path);
    if (!add) {
        entry_remove_child(entry_directory(tree_root(), "class/net"), name + 4);
        entry_remove(folder);
    }
}

bool driver_matches(const struct driver *driver, const struct device *device) {
    if (device->driver_override)
        return strcmp(device->driver_override, driver->name) == 0;
    return device->native && strcmp(device->native, driver->name) == 0;
}

static int probe_errno(struct device *device, struct driver *driver) {
    if (device->driver)
        return -EBUSY;
    if (device->group && !driver->managed && group_user_claimed(device->group))
        return -EBUSY;
    if (driver->fails)
        return -ENODEV;
    if (driver->vfio && device->class >> 8 == 0x0604)
        return -EINVAL;
    return 0;
}

static int attach_locked(struct device *device, struct driver *driver) {
    int r;

    if (device->late && !device->group)
        device_join(device, group_get(group_free_id()));
    r = probe_errno(device, driver);
    if (r < 0)
        return r;
    device->driver = driver;
    if (driver->vfio) {
        r = vfio_attach(device);
        if (r < 0) {
            device->driver = NULL;
            return r;
        }
    }
    entry_link(device->directory, "driver", driver->directory);
    entry_link(driver->directory, device->name, device->directory);
    if (driver->net)
        net_interface(device, true);
    device_event(device, "bind");
    return 0;
}

int device_attach_driver(struct device *device, struct driver *driver) {
    int r;

    device_lock(device);
    r = device->gone ? -ENODEV : attach_locked(device, driver);
    device_unlock(device);
    return r;
}

static void detach_locked(struct device *device) {
    struct driver *driver = device->driver;

    entry_remove_child(device->directory, "driver");
    entry_remove_child(driver->directory, device->name);
    if (driver->vfio && !kernel_6_1)
        vfio_detach_device(device);
    while (device->hang_unbind)
        pthread_cond_wait(&tree_changed, &tree_lock);
    if (driver->vfio)
        vfio_wait_closed(device->name);
    if (driver->net)
        net_interface(device, false);
    if (driver->vfio) {
        vfio_detach_device(device);
        vfio_detach_group(device);
    }
    device->driver = NULL;
    device_event(device, "unbind");
}

int device_detach(struct device *device) {
    int r = -ENODEV;

    device_lock(device);
    if (device->driver) {
        detach_locked(device);
        r = 0;
    }
    device_unlock(device);
    return r;
}

int device_probe(struct device *device) {
    struct entry *child, *next;

    HASH_ITER(hh, device->bus->drivers->children, child, next) {
        struct driver *driver = child->owner;

        if (driver && driver_matches(driver, device)) {
            int r = device_attach_driver(device, driver);

            return r < 0 ? r : 1;
        }
    }
    return 0;
}

static int store_bind(void *owner, const char *text) {
    struct driver *driver = owner;
    struct device *device = device_find(text);

    if (!device || device->bus != driver->bus || !driver_matches(driver, device))
        return -ENODEV;
    return device_attach_driver(device, driver);
}

static int store_unbind(void *owner, const char *text) {
    struct driver *driver = owner;
    struct device *device = device_find(text);

    if (!device || device->driver != driver)
        return -ENODEV;
    return device_detach(device);
}

static int store_probe(void *owner, const char *text) {
    struct device *device = device_find(text);

    if (!device || device->bus != owner)
        return -ENODEV;
    if (device->driver)
        return 0;
    return device_probe(device) < 0 ? -EINVAL : 0;
}

void driver_files(struct driver *driver) {
    entry_attribute(driver->directory, "bind", 0200, NULL, store_bind, driver);
    entry_attribute(driver->directory, "unbind", 0200, NULL, store_unbind, driver);
}

void bus_files(struct bus *bus) {
    entry_attribute(bus->directory, "drivers_probe", 0200, NULL, store_probe, bus);
    entry_file(bus->directory, "drivers_autoprobe", 0644, "1\n");
}

/* On 6.1 these two take the device lock, and so wait with a hanging unbind; on 6.12 they do not. */
static bool wait_as_6_1(struct device *device) {
    bool gone;

    device_get(device);
    while (kernel_6_1 && device->locked)
        pthread_cond_wait(&tree_changed, &tree_lock);
    gone = device->gone;
    device_put(device);
    return !gone;
}

static ssize_t show_override(void *owner, char *buffer, size_t size) {
    struct device *device = owner;

    if (!wait_as_6_1(device))
        return -ENODEV;
    return snprintf(buffer, size, "%s\n",
                    device->driver_override ? device->driver_override : "(null)");
}

static int store_override(void *owner, const char *text) {
    struct device *device = owner;

    if (!wait_as_6_1(device))
        return -ENODEV;
    free(device->driver_override);
    device->driver_override = *text ? strdup(text) : NULL;
    return 0;
}

static ssize_t show_uevent(void *owner, char *buffer, size_t size) {
    struct device *device = owner;

    if (!wait_as_6_1(device))
        return -ENODEV;
    uevent_lines(device, buffer, size);
    return (ssize_t) strlen(buffer);
}

static int store_uevent(void *owner, const char *text) {
    device_event(owner, text);
    return 0;
}

static int store_remove(void *owner, const char *text) {
    return device_remove(owner);
}

static int store_reset(void *owner, const char *text) {
    return 0;
}

void device_files(struct device *device) {
    struct entry *at = device->directory;

    entry_attribute(at, "uevent", 0644, show_uevent, store_uevent, device);
    if (strcmp(device->bus->name, "mdev") != 0)
        entry_attribute(at, "driver_override", 0644, show_override, store_override, device);
    if (strcmp(device->bus->name, "pci") == 0) {
        entry_attribute(at, "reset", 0200, NULL, store_reset, device);
        entry_attribute(at, "remove", 0220, NULL, store_remove, device);
    }
}
