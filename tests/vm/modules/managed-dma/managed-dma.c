// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that says to the kernel that it leaves DMA alone (driver_managed_dma), and that nobody has heard of: the IOMMU core
 * lets it into a group that user space owns. It has no ids: who wants it on a device sets driver_override.
 */
#include <linux/module.h>
#include <linux/pci.h>

static int managed_dma_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return 0;
}

static struct pci_driver managed_dma_driver = {
	.name = "managed-dma",
	.probe = managed_dma_probe,
	.driver_managed_dma = true,
};

module_pci_driver(managed_dma_driver);

MODULE_DESCRIPTION("A driver that leaves DMA alone, for tests");
MODULE_LICENSE("GPL");
