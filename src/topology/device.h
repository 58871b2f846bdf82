/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices and groups as the kernel shows them. Plain data: who reads it holds no lock and no descriptor, and must not
 * keep it across a change of the registry's generation.
 */
#ifndef IOMMUD_TOPOLOGY_DEVICE_H
#define IOMMUD_TOPOLOGY_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/device-id.h"
#include "util/list.h"

/* The names are the kernel's, from /sys/bus/pci/devices/.../reset_method; the order is the one it tries them in. */
enum reset_method {
	RESET_DEVICE_SPECIFIC = 1 << 0,
	RESET_ACPI = 1 << 1,
	RESET_FLR = 1 << 2,
	RESET_AF_FLR = 1 << 3,
	RESET_PM = 1 << 4,
	RESET_BUS = 1 << 5,
	RESET_CXL_BUS = 1 << 6,
};

struct reserved_region {
	uint64_t start;
	uint64_t end; /* inclusive */
	char type[20]; /* the kernel's word: direct, direct-relaxable, reserved, msi */
};

/* Whether interrupts of the group's devices are isolated by the IOMMU. Not in sysfs as such: see topology/probe.c. */
enum msi_isolation {
	MSI_ISOLATION_UNKNOWN,
	MSI_ISOLATED,
	MSI_NOT_ISOLATED,
};

struct group {
	struct list_link link; /* registry::groups, in order of id */
	struct list_link devices; /* device::group_link, in order of address */
	unsigned int id;
	uint64_t generation; /* grows with every change of membership, driver or verdict input of this group */
	size_t n_devices;
	bool no_iommu; /* vfio's no-IOMMU group: DMA is not translated */
	enum msi_isolation msi;
	struct reserved_region *regions;
	size_t n_regions;
};

/* What shows something on a boot display: the driver of the device itself, or a framebuffer that the firmware left. */
enum display_holder {
	DISPLAY_FREE, /* it shows nothing, or is no boot display */
	DISPLAY_DRIVER,
	DISPLAY_SIMPLE, /* simpledrm or simplefb */
	DISPLAY_EFI, /* efifb */
	DISPLAY_VESA, /* vesafb */
	DISPLAY_VGA,
	DISPLAY_EGA,
};

struct device {
	struct list_link link; /* registry::devices, in order of address */
	struct list_link group_link; /* group::devices */
	struct group *group; /* never NULL: devices without a group are not ours */
	struct device_id id;
	uint64_t
		node; /* inode of its folder in sysfs, which no other device gets, not even one that comes to its address */
	char bus[DEVICE_BUS_MAX];
	char driver[DEVICE_DRIVER_MAX]; /* empty: driver-less */
	char physical_function[DEVICE_ADDRESS_MAX]; /* empty: not a virtual function */
	unsigned int max_virtual_functions; /* that it can make; 0: it is no physical function with SR-IOV */
	char parent[DEVICE_ADDRESS_MAX]; /* of an mdev, the device that made it; empty: not an mdev */
	int parent_group; /* of an mdev, its parent's IOMMU group; -1: none */
	char upstream[16]; /* address of the PCI bridge that it is right below; empty: on a root bus, or not on PCI */
	int numa_node; /* -1: unknown */
	char path[DEVICE_PATH_MAX]; /* udev's ID_PATH; empty: not known */
	char serial
		[DEVICE_SERIAL_MAX]; /* as it can be read now; empty: not known. Of NVMe see topology/particulars.h */
	unsigned int reset_methods; /* enum reset_method */
	enum display_holder
		boot_display; /* the boot VGA device, or one with a firmware framebuffer, that shows something now */
	bool bridge; /* PCI header type 1: carries others, never handed out */
};

/* The kernel's name of one reset method bit, NULL for what is none. */
const char *reset_method_name(enum reset_method method);

/* The platform device of a firmware's framebuffer, without its number: "efi-framebuffer". NULL: it is none. */
const char *display_framebuffer_name(enum display_holder holder);

#endif
