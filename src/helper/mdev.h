/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An mdev, which can't be moved: it is on its parent's vfio driver from its making to its end. Linux lets nobody bind one
 * again that was unbound (mdev_match() fits no driver), and only its end waits for the last descriptor. So giving one back is
 * to remove it and to have its parent make it again, of the same type, under the same address.
 *
 * A helper that dies in between leaves a note in the journal's folder: by that the mdev is made again, and one that was
 * removed by somebody else is not.
 */
#ifndef IOMMUD_HELPER_MDEV_H
#define IOMMUD_HELPER_MDEV_H

#include "helper/bus-device.h"

#define MDEV_TYPE_MAX 64

struct mdev {
	struct bus_device device; /* its fd is -1 while `removed` */
	int journal_dir_fd; /* borrowed */
	const struct device_state *saved; /* as journalled, borrowed */
	char parent[DEVICE_ADDRESS_MAX];
	char type[MDEV_TYPE_MAX];
	bool removed; /* by us, and to be made again */
};

/*
 * Whether the mdev could be made again as it is: 0; -EOPNOTSUPP and why not in `ret`; or another negative errno. One with
 * settings of its own could not, for these end with it.
 */
int mdev_can_return(const struct bus_device *device, char *ret, size_t size);

/* Opens the mdev that was journalled as `saved`, there or not. -ENOENT: it is gone, and not by us. */
int mdev_open(int sysfs_fd, int journal_dir_fd, const struct device_state *saved, struct mdev *ret);
void mdev_close(struct mdev *mdev);

/* The steps of a transition on a struct mdev: an unbind removes it, a bind has it made again. */
extern const struct device_ops mdev_ops;

#endif
