/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has descriptors of a device: what an unbind that does not come back waits for. A look at all processes, and only a
 * look: what is true of them may be over when it is read. A process that has the device mapped, but no descriptor of it
 * any more, is not seen.
 */
#ifndef IOMMUD_HELPER_HOLDERS_H
#define IOMMUD_HELPER_HOLDERS_H

#include <stddef.h>
#include <sys/types.h>

#include "hw/helper-wire.h"

/* The numbers of the device's nodes; 0: unknown, or none. */
struct holder_nodes {
	dev_t device; /* /dev/vfio/devices/vfioN */
	dev_t group; /* /dev/vfio/GROUP */
};

struct holders {
	struct helper_holder list[HELPER_HOLDERS_MAX];
	size_t n;
	size_t more; /* that had no place in the list */
};

/* What sysfs shows of the device, by its open folder, now; leaves alone in `nodes` what it does not show. */
void holder_nodes_read(int sysfs_fd, int device_fd, struct holder_nodes *nodes);

/*
 * `proc` is a mounted procfs. Processes that have the device's own node open; and those that have a device that was opened by
 * its group (its descriptor names none) together with this group. Without any of these, those that have some VFIO device
 * whose name does not say which, as unsure. 0 or a negative errno.
 */
int holders_find(const char *proc, const struct holder_nodes *nodes, struct holders *ret);

#endif
