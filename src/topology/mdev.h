/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mediated devices: slices of a parent device, made by the parent's own driver, which does their DMA. Such a device is on a
 * vfio driver from birth, under whatever name, and the group that it is in was made by vfio for it alone: what keeps its DMA
 * apart is the parent, so it is the parent's group that is judged.
 */
#ifndef IOMMUD_TOPOLOGY_MDEV_H
#define IOMMUD_TOPOLOGY_MDEV_H

#include "topology/viability.h"

#define BUS_MDEV "mdev"

/*
 * The name of the device that made the mdev `address`, cut if it is too long; `bus_fd` is the mdev bus's devices folder. 0 or
 * a negative errno.
 */
int mdev_read_parent(int bus_fd, const char *address, char ret[DEVICE_ADDRESS_MAX]);

static inline bool device_is_mdev(const struct device *device)
{
	return device->parent[0] != '\0';
}

/* Whether both are mdevs of one parent. */
bool mdev_is_sibling(const struct device *left, const struct device *right);

/* Whether user space gets the device by the driver that it has. */
bool device_is_on_vfio(const struct device *device);

/* What is known of a parent's group. */
struct mdev_parent {
	const struct group
		*group; /* NULL: it has none: the parent is no hardware, and its driver isolates by software */
	bool leased;
};

/* Adds what `parent` has against giving the mdev away. 0, or -ENOMEM. Reads nothing but its arguments. */
int mdev_judge(const struct device *mdev, const struct mdev_parent *parent, const struct viability_options *options,
	       struct verdict *verdict);

/* Adds that `parent`, which is to leave its driver, has this mdev, which would go with the driver. 0, or -ENOMEM. */
int mdev_judge_parent(const struct device *parent, const struct device *mdev, struct verdict *verdict);

#endif
