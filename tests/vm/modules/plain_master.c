/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host driver for platform devices that are only described: it takes "dmaownd-test,served", and any
 * device whose driver_override names it, and does nothing with them.
 */
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static int plain_master_probe(struct platform_device *device)
{
    return 0;
}

static const struct of_device_id plain_master_ids[] = {
    { .compatible = "dmaownd-test,served" },
    { }
};
MODULE_DEVICE_TABLE(of, plain_master_ids);

static struct platform_driver plain_master_driver = {
    .probe = plain_master_probe,
    .driver = {
        .name = "plain_master",
        .of_match_table = plain_master_ids,
    },
};
module_platform_driver(plain_master_driver);

MODULE_DESCRIPTION("A driver that only holds its devices");
/* The driver core exports its symbols to such modules only; section 3 of the LGPL allows it. */
MODULE_LICENSE("GPL");
