/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is PCI's own of a device: configuration space, reset, the files that name it. */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COMMAND 4
#define COMMAND_MASTER 0x04
#define HEADER_TYPE 14
#define CLASS_BRIDGE 0x0604
#define CLASS_VGA 0x0300

static void number_file(struct device *device, const char *name, const char *format, unsigned n) {
    char text[32];

    snprintf(text, sizeof(text), format, n);
    entry_file(device->directory, name, 0444, text);
}

/* The first bytes of configuration space, as far as anybody looks at them. */
static void config_file(struct device *d) {
    unsigned char bytes[256] = {d->vendor & 0xff,  d->vendor >> 8 & 0xff,
                                d->product & 0xff, d->product >> 8 & 0xff};
    struct entry *file = entry_file(d->directory, "config", 0644, "");

    bytes[COMMAND] = 0x03; /* I/O, memory */
    bytes[9] = d->class & 0xff;
    bytes[10] = d->class >> 8 & 0xff;
    bytes[11] = d->class >> 16 & 0xff;
    bytes[HEADER_TYPE] = d->class >> 8 == CLASS_BRIDGE ? 0x01 : 0x00;
    entry_set(file, bytes, sizeof(bytes));
    file->binary = true;
}

void pci_set_master(struct device *device, bool on) {
    struct entry *file = entry_child(device->directory, "config");

    if (!file || file->length <= COMMAND)
        return;
    file->text[COMMAND] &= ~COMMAND_MASTER;
    file->text[COMMAND] |= on ? COMMAND_MASTER : 0;
}

bool pci_is_master(const struct device *device) {
    const struct entry *file = entry_child(device->directory, "config");

    return file && file->length > COMMAND && file->text[COMMAND] & COMMAND_MASTER;
}

/* The kernel saves configuration space before and restores it after, bus mastering too. */
static int store_reset(void *owner, const char *text) {
    struct device *device = owner;
    int r;

    if (strcmp(text, "1") != 0)
        return -EINVAL;
    device_lock(device);
    r = device->gone ? -ENODEV : -device->reset_errno;
    device_unlock(device);
    return r;
}

static void reset_files(struct device *device, const char *method) {
    char text[128];

    if (method && (!*method || strcmp(method, "none") == 0))
        return;
    snprintf(text, sizeof(text), "%s\n", method ? method : "flr pm bus");
    for (char *c = text; *c; c++)
        *c = *c == ',' ? ' ' : *c;
    entry_file(device->directory, "reset_method", 0644, text);
    entry_attribute(device->directory, "reset", 0200, NULL, store_reset, device);
}

static int store_remove(void *owner, const char *text) {
    return device_remove(owner);
}

void pci_files(struct device *device, const struct device_spec *spec) {
    char text[128];

    number_file(device, "vendor", "0x%04x\n", device->vendor);
    number_file(device, "device", "0x%04x\n", device->product);
    number_file(device, "subsystem_vendor", "0x%04x\n", device->subsystem_vendor);
    number_file(device, "subsystem_device", "0x%04x\n", device->subsystem_product);
    number_file(device, "class", "0x%06x\n", device->class);
    number_file(device, "revision", "0x%02x\n", spec->revision);
    snprintf(text, sizeof(text), "%s\n", spec->removable ? spec->removable : "fixed");
    entry_file(device->directory, "removable", 0444, text);
    entry_file(device->directory, "enable", 0644, "0\n");
    entry_file(device->directory, "ari_enabled", 0444, "0\n");
    if (device->class >> 8 == CLASS_VGA)
        number_file(device, "boot_vga", "%u\n", spec->boot_vga);
    entry_attribute(device->directory, "remove", 0220, NULL, store_remove, device);
    config_file(device);
    reset_files(device, spec->reset_method);
    if (spec->totalvfs)
        sriov_files(device, spec);
}
