/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Announces itself as the VFIO variant driver of QEMU's edu device, and then takes none: what a
 * variant does that finds its device without the firmware it needs. With driver=vfio-pci it stands
 * in for vfio-pci itself.
 */
#include <linux/module.h>
#include <linux/pci.h>

static char *driver = "refusing-vfio-pci";
module_param(driver, charp, 0444);

static int refusing_probe(struct pci_dev *device, const struct pci_device_id *id)
{
    dev_err(&device->dev, "%s finds no firmware that it knows\n", driver);
    return -EOPNOTSUPP;
}

static void refusing_remove(struct pci_dev *device)
{
}

static const struct pci_device_id refusing_ids[] = {
    { PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11e8) },
    { }
};
MODULE_DEVICE_TABLE(pci, refusing_ids);

static struct pci_driver refusing_driver = {
    .id_table = refusing_ids,
    .probe = refusing_probe,
    .remove = refusing_remove,
    .driver_managed_dma = true,
};

static int __init refusing_init(void)
{
    refusing_driver.name = driver;
    return pci_register_driver(&refusing_driver);
}
module_init(refusing_init);

static void __exit refusing_exit(void)
{
    pci_unregister_driver(&refusing_driver);
}
module_exit(refusing_exit);

MODULE_DESCRIPTION("A VFIO variant driver that refuses every device");
/* The driver core exports its symbols to such modules only; section 3 of the LGPL allows it. */
MODULE_LICENSE("GPL");
