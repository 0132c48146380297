// SPDX-License-Identifier: GPL-2.0
/*
 * Announces itself as the VFIO variant driver of QEMU's edu device, and then takes none: what a
 * variant does that finds its device without the firmware it needs.
 */
#include <linux/module.h>
#include <linux/pci.h>

static int refusing_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	dev_err(&device->dev, "refusing-vfio-pci finds no firmware that it knows\n");
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
	.name = "refusing-vfio-pci",
	.id_table = refusing_ids,
	.probe = refusing_probe,
	.remove = refusing_remove,
	.driver_managed_dma = true,
};
module_pci_driver(refusing_driver);

MODULE_DESCRIPTION("A VFIO variant driver that refuses every device");
/* The driver core's symbols are exported to such modules only. */
MODULE_LICENSE("GPL");
