/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has descriptors of a device: what an unbind that does not come back waits for, be it vfio's or that of a driver of the
 * host's. A look at all processes, and only a look: what is true of them may be over when it is read. A process that has the device mapped, but no descriptor of it
 * any more, is not seen.
 */
#ifndef IOMMUD_HELPER_HOLDERS_H
#define IOMMUD_HELPER_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hw/helper-wire.h"

#define HOLDER_NODES_MAX 32 /* a device with more has most of them on one name: partitions */

struct holder_node {
	dev_t number;
	bool block; /* otherwise a character device */
};

/* What can be had open of a device. */
struct holder_nodes {
	struct holder_node
		list[HOLDER_NODES_MAX]; /* /dev/vfio/devices/vfioN, or its driver's: /dev/nvme0, /dev/nvme0n1 */
	size_t n;
	dev_t group; /* /dev/vfio/GROUP; 0: unknown, or none */
	/* Said by who looks: it was on a vfio driver, so that descriptors which name no device may be of it. */
	bool vfio;
};

struct holders {
	struct helper_holder list[HELPER_HOLDERS_MAX];
	size_t n;
	size_t more; /* that had no place in the list */
};

/* holder-nodes.c: adds what sysfs shows of the device now, by its open folder; what was known stays. */
void holder_nodes_read(int sysfs_fd, int device_fd, struct holder_nodes *nodes);

/*
 * `proc` is a mounted procfs. Processes that have a node of the device open; and, of one on vfio, those that have a device that
 * was opened by its group (its descriptor names none) together with this group. Without any of these, those that have some
 * VFIO device whose name does not say which, as unsure. 0 or a negative errno.
 */
int holders_find(const char *proc, const struct holder_nodes *nodes, struct holders *ret);

#endif
