/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One PCI device in sysfs, by its open folder: a device that is removed takes the folder's content with it, so nothing
 * done through it can hit another device that came to the same address.
 *
 * Every function may block for as long as the kernel holds the device's lock (a driver's remove() that waits), also those
 * that only read: to be called from a worker. All return 0 or a negative errno.
 */
#ifndef IOMMUD_HELPER_PCI_H
#define IOMMUD_HELPER_PCI_H

#include "helper/device-state.h"
#include "helper/transition.h"

struct pci_device {
	int sysfs_fd; /* borrowed */
	int fd; /* the folder */
	char address[DEVICE_ADDRESS_MAX];
};

/* What the authority must know beyond the snapshot. */
struct pci_facts {
	bool bridge; /* header type is not 0 */
	bool no_iommu; /* vfio's own group without translation */
	char group[16]; /* the number of its IOMMU group; empty: it has none */
	char physical_function[DEVICE_ADDRESS_MAX]; /* of a virtual function; empty: it is none */
	size_t group_size; /* devices in its IOMMU group; 0: it has none */
};

/* `address` must be valid. -ENOENT if there is no such device. */
int pci_device_open(int sysfs_fd, const char *address, struct pci_device *ret);
void pci_device_close(struct pci_device *device);

int pci_device_read_snapshot(const struct pci_device *device, struct device_state *ret);
int pci_device_read_facts(const struct pci_device *device, struct pci_facts *ret);

/* The Device Serial Number capability in `size` bytes of configuration space; 0 if it is not there. */
uint64_t pci_parse_serial(const uint8_t *config, size_t size);

/* The steps of a transition on a struct pci_device. */
extern const struct device_ops pci_device_ops;

#endif
