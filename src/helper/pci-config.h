/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the helper reads in the configuration space of a PCI device. */
#ifndef IOMMUD_HELPER_PCI_CONFIG_H
#define IOMMUD_HELPER_PCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE 4096

struct pci_config {
	uint8_t bytes[PCI_CONFIG_SIZE];
	size_t size; /* that could be read: 64 without CAP_SYS_ADMIN, 256 of a conventional device */
};

/* By the device's open folder in sysfs. 0 or a negative errno. */
int pci_config_read(int device_fd, struct pci_config *ret);

/* By the header type; what can't be seen counts as a bridge. */
bool pci_config_is_bridge(const struct pci_config *config);

/* The Device Serial Number; 0 if it is not there. */
uint64_t pci_config_serial(const struct pci_config *config);

#endif
