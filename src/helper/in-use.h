/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the host uses a device: a disk below it that somebody has for himself, or a network interface that is part of
 * the host's network. Disks that nobody has are held until the driver has let go of them, so that nobody gets them meanwhile.
 */
#ifndef IOMMUD_HELPER_IN_USE_H
#define IOMMUD_HELPER_IN_USE_H

#include <stddef.h>
#include <sys/types.h>

#include "hw/helper-wire.h"

#define IN_USE_DISKS_MAX 256

struct in_use_ops {
	/*
	 * Opens the block device `number` at `name` below `dev_fd`, exclusively. The descriptor; -EBUSY: somebody has it;
	 * -ENOMEDIUM: there is nothing in it; another negative errno.
	 */
	int (*open_disk)(int dev_fd, const char *name, dev_t number);
	/* helper/host-net.h */
	int (*find_address)(unsigned int interface, char *ret, size_t size);
	int (*find_route)(unsigned int interface, char *ret, size_t size);
};

/* The host's own. */
extern const struct in_use_ops in_use_host_ops;

struct in_use {
	const struct in_use_ops *ops;
	int dev_fd; /* of /dev, borrowed */
	int disks[IN_USE_DISKS_MAX];
	size_t n_disks;
	char detail[HELPER_DETAIL_MAX];
};

/*
 * Looks at everything below the device's folder in sysfs (borrowed). 0: the host does not use it, and its disks are held
 * until in_use_release(); 1: it does, `detail` says how; or a negative errno. A disk about which nothing can be learnt counts
 * as used. Nothing is held unless it returns 0. May block.
 */
int in_use_claim(struct in_use *in_use, int device_fd);
/* May be called twice. */
void in_use_release(struct in_use *in_use);

#endif
