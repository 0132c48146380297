/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A driver for QEMU's edu device that does on demand what drivers do on a bad day. It drives
 * nothing. Under /sys/module/stubborn/parameters:
 *
 *   hold    while it is Y, remove() does not return: an unbind hangs, uninterruptibly
 *   refuse  while it is not 0, probe() fails with this errno and says so in the kernel's log
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool hold;
module_param(hold, bool, 0644);

static int refuse;
module_param(refuse, int, 0644);

static int stubborn_probe(struct pci_dev *device, const struct pci_device_id *id)
{
    int error = READ_ONCE(refuse);

    if (error)
        dev_err(&device->dev, "stubborn does not want this device (%d)\n", error);
    return -error;
}

static void stubborn_remove(struct pci_dev *device)
{
    if (READ_ONCE(hold))
        dev_info(&device->dev, "stubborn does not let go\n");
    while (READ_ONCE(hold))
        msleep(20);
}

static const struct pci_device_id stubborn_ids[] = {
    { PCI_DEVICE(0x1234, 0x11e8) },
    { }
};
MODULE_DEVICE_TABLE(pci, stubborn_ids);

static struct pci_driver stubborn_driver = {
    .name = "stubborn",
    .id_table = stubborn_ids,
    .probe = stubborn_probe,
    .remove = stubborn_remove,
};
module_pci_driver(stubborn_driver);

MODULE_DESCRIPTION("A driver whose unbind hangs and whose bind fails on demand");
/* The driver core exports its symbols to such modules only; section 3 of the LGPL allows it. */
MODULE_LICENSE("GPL");
