/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"
#include "devicetree.h"
#include "iommu.h"
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

bool driver_matches(const struct driver *driver, const struct device *device) {
    if (device->driver_override)
        return strcmp(device->driver_override, driver->name) == 0;
    for (size_t i = 0; device->node >= 0 && driver->compatible && driver->compatible[i]; i++)
        if (devicetree_is_compatible(device->node, driver->compatible[i]))
            return true;
    return device->native && strcmp(device->native, driver->name) == 0;
}

/* Of the bus, before the driver is asked: dma_configure(). */
static int configure_errno(struct device *device, const struct driver *driver) {
    if (device->group && !driver->managed && group_user_claimed(device->group))
        return -EBUSY;
    return 0;
}

/* What is measured: who cannot be reset is refused, on 6.1 whatever the parameter says; vfio-amba asks
 * for no reset from 6.12 on. */
static int platform_probe_errno(const struct device *device, const struct driver *driver) {
    struct entry *parameter = tree_walk("module/vfio_platform/parameters/reset_required");
    bool required = kernel_6_1 || (strcmp(driver->name, "vfio-platform") == 0 && parameter &&
                                   parameter->text[0] == 'Y');

    if (device->node >= 0 && required && !platform_has_reset(device))
        return -ENOENT;
    return device->group && !iommu_is_coherent(device) ? -EINVAL : 0;
}

/* The driver's own probe. */
static int probe_errno(struct device *device, const struct driver *driver) {
    if (!sriov_may_probe(device))
        return -ENODEV;
    if (driver->refuse && (!driver->refuse_only || strcmp(driver->refuse_only, device->name) == 0))
        return -driver->refuse;
    if (driver->vfio && device->class >> 8 == 0x0604)
        return -EINVAL;
    if (driver->vfio && sriov_has_vfs(device))
        return -EBUSY;
    return driver->vfio ? platform_probe_errno(device, driver) : 0;
}

static void driver_works(struct device *device, bool starts) {
    if (device->driver->managed)
        return;
    pci_set_master(device, starts);
    if (device->driver->net)
        net_interface(device, starts);
    disk_show(device, starts);
}

/* refused: the driver did not want it, as opposed to the bus. */
static int attach_locked(struct device *device, struct driver *driver, bool *ret_refused) {
    int r;

    *ret_refused = false;
    if (device->driver || !driver->directory)
        return device->driver ? -EBUSY : -ENODEV;
    iommu_configure(device);
    r = configure_errno(device, driver);
    if (r < 0)
        return r;
    r = probe_errno(device, driver);
    device->driver = driver;
    if (r == 0 && driver->vfio)
        r = vfio_attach(device);
    if (r < 0) {
        device->driver = NULL;
        *ret_refused = true;
        return r;
    }
    entry_link(device->directory, "driver", driver->directory);
    entry_link(driver->directory, device->name, device->directory);
    driver_works(device, true);
    device_event(device, "bind");
    return 0;
}

static int attach(struct device *device, struct driver *driver, bool *ret_refused) {
    int r = -ENODEV;

    *ret_refused = false;
    device_lock(device);
    if (!device->gone)
        r = attach_locked(device, driver, ret_refused);
    device_unlock(device);
    return r;
}

int device_attach_driver(struct device *device, struct driver *driver) {
    bool refused;

    return attach(device, driver, &refused);
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
    if (driver->takes_vfs)
        sriov_disable(device);
    driver_works(device, false);
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

/* A driver that refuses is no error: the next one may have its luck (__device_attach_driver()). */
int device_probe(struct device *device) {
    struct entry *child, *next;

    HASH_ITER(hh, device->bus->drivers->children, child, next) {
        struct driver *driver = child->owner;
        bool refused;
        int r;

        if (!driver || !driver_matches(driver, device))
            continue;
        r = attach(device, driver, &refused);
        if (!refused)
            return r < 0 ? r : 1;
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
    device->driver_override = *text && *text != '\n' ? strndup(text, strcspn(text, "\n")) : NULL;
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

void device_files(struct device *device) {
    struct entry *at = device->directory;

    entry_attribute(at, "uevent", 0644, show_uevent, store_uevent, device);
    if (strcmp(device->bus->name, "mdev") != 0)
        entry_attribute(at, "driver_override", 0644, show_override, store_override, device);
}
