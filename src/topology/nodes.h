/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nodes below /dev by which user space gets a device on a vfio driver: its own, and that of its group. */
#ifndef IOMMUD_TOPOLOGY_NODES_H
#define IOMMUD_TOPOLOGY_NODES_H

#include <stddef.h>
#include <sys/types.h>

#define DEVICE_NODES_MAX 2
#define DEVICE_NODE_NAME_MAX 48

struct device_node {
	char name[DEVICE_NODE_NAME_MAX]; /* below /dev: "vfio/devices/vfio0", "vfio/12" */
	dev_t number;
};

struct device_nodes {
	struct device_node list[DEVICE_NODES_MAX]; /* the device's own first, if this kernel makes such */
	size_t n;
};

/*
 * From sysfs, by the device's open folder. Reads nothing that waits for the device's lock. 0, also with none: the device is on
 * no vfio driver; or a negative errno.
 */
int device_nodes_read(int sysfs_fd, int device_fd, struct device_nodes *ret);

#endif
