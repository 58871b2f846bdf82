/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One device in sysfs, on any of the buses that topology knows, by its open folder: a device that is removed takes the
 * folder's content with it, so nothing done through it can hit another device that came to the same address.
 *
 * Every function may block for as long as the kernel holds the device's lock (a driver's remove() that waits), also those
 * that only read: to be called from a worker. All return 0 or a negative errno.
 */
#ifndef IOMMUD_HELPER_BUS_DEVICE_H
#define IOMMUD_HELPER_BUS_DEVICE_H

#include "helper/device-state.h"
#include "helper/transition.h"
#include "topology/buses.h"

struct bus_device {
	int sysfs_fd; /* borrowed */
	int fd; /* the folder */
	const struct bus *bus;
	char address[DEVICE_ADDRESS_MAX];
};

/* What the authority must know beyond the snapshot. */
struct device_facts {
	bool bridge; /* of PCI: header type is not 0 */
	bool no_iommu; /* vfio's own group without translation */
	char group[16]; /* the number of its IOMMU group; empty: it has none */
	char physical_function[DEVICE_ADDRESS_MAX]; /* of a virtual function; empty: it is none */
	size_t group_size; /* devices in its IOMMU group; 0: it has none */
};

/*
 * `address` must be valid; the bus is found by it. -ENOENT if there is no such device; -ENOTUNIQ if there are two, on
 * different buses.
 */
int bus_device_open(int sysfs_fd, const char *address, struct bus_device *ret);
/* On this bus and no other. -ENOENT. */
int bus_device_open_on(int sysfs_fd, const struct bus *bus, const char *address, struct bus_device *ret);
void bus_device_close(struct bus_device *device);

int bus_device_read_snapshot(const struct bus_device *device, struct device_state *ret);
int bus_device_read_facts(const struct bus_device *device, struct device_facts *ret);

/* The steps of a transition on a struct bus_device. */
extern const struct device_ops bus_device_ops;

#endif
