/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What names a device: the part of it that topology reads and policy matches. */
#ifndef IOMMUD_UTIL_DEVICE_ID_H
#define IOMMUD_UTIL_DEVICE_ID_H

#include <stdbool.h>
#include <stdint.h>

#define DEVICE_ADDRESS_MAX 40 /* a PCI address needs 13, an mdev's UUID 37 */
#define DEVICE_DRIVER_MAX 40
#define DEVICE_PATH_MAX 96 /* udev's ID_PATH: "platform-40000000.pcie-pci-0000:01:00.0" */
#define DEVICE_SERIAL_MAX 32 /* an NVMe controller's has 20 characters, the PCI capability's 23 as text */
#define DEVICE_BUS_MAX 12 /* the longest that VFIO knows is "platform" */

struct device_id {
	char address[DEVICE_ADDRESS_MAX]; /* the name below /sys/bus/BUS/devices */
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class; /* 24 bits: class, subclass, programming interface */
};

/*
 * Whether `address` may be used as a file name below a bus's devices folder: 1 to DEVICE_ADDRESS_MAX - 1 characters of
 * [0-9A-Za-z:._-], and not beginning with a dot. Nothing that passes can leave the folder.
 */
bool device_address_is_valid(const char *address);

#endif
