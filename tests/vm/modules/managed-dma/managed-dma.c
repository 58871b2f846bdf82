// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two drivers that do nothing. "managed-dma" says to the kernel that it leaves DMA alone (driver_managed_dma), and nobody has
 * heard of it: the IOMMU core lets it into a group that user space owns. "kernel-dma" does not say so, like any driver of the
 * host's: it gets a device only if nobody owns the group's DMA. They have no ids: who wants them on a device sets
 * driver_override.
 */
#include <linux/module.h>
#include <linux/pci.h>

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return 0;
}

static struct pci_driver managed_dma_driver = {
	.name = "managed-dma",
	.probe = probe,
	.driver_managed_dma = true,
};

static struct pci_driver kernel_dma_driver = {
	.name = "kernel-dma",
	.probe = probe,
};

static int __init managed_dma_init(void)
{
	int r = pci_register_driver(&managed_dma_driver);

	if (r)
		return r;
	r = pci_register_driver(&kernel_dma_driver);
	if (r)
		pci_unregister_driver(&managed_dma_driver);
	return r;
}

static void __exit managed_dma_exit(void)
{
	pci_unregister_driver(&kernel_dma_driver);
	pci_unregister_driver(&managed_dma_driver);
}

module_init(managed_dma_init);
module_exit(managed_dma_exit);

MODULE_DESCRIPTION("Drivers that do nothing, with and without DMA, for tests");
MODULE_LICENSE("GPL");
