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

/*
 * `address` must be valid; the bus is found by it. -ENOENT if there is no such device; -ENOTUNIQ if there are two, on
 * different buses.
 */
int bus_device_open(int sysfs_fd, const char *address, struct bus_device *ret);
/* On this bus and no other. -ENOENT. */
int bus_device_open_on(int sysfs_fd, const struct bus *bus, const char *address, struct bus_device *ret);
void bus_device_close(struct bus_device *device);

bool bus_device_is_pci(const struct bus_device *device);
bool bus_device_is_mdev(const struct bus_device *device);

int bus_device_read_snapshot(const struct bus_device *device, struct device_state *ret);

/* The steps of a transition on a struct bus_device. */
extern const struct device_ops bus_device_ops;

#endif
