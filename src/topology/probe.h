/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads one device, or one group, from sysfs. Internal to topology: others ask the registry. All calls block only for
 * the reads; faults are negative errno, and -ENOENT means that the thing is not there (any more), which is no fault.
 */
#ifndef IOMMUD_TOPOLOGY_PROBE_H
#define IOMMUD_TOPOLOGY_PROBE_H

#include "topology/device.h"

#define PROBE_FRAMEBUFFERS 4
#define PROBE_GROUP_NAME "vfio-noiommu" /* the kernel's name of groups that vfio made itself */

/*
 * What many devices share, read once on first need. Make a new one for every scan or refresh: { .sysfs_fd = fd, .udev_data = ... }.
 * The descriptor is borrowed.
 */
struct probe {
	int sysfs_fd;
	const char *udev_data; /* borrowed; NULL: udev is not asked */
	bool framebuffers_read;
	size_t n_framebuffers;
	char framebuffers[PROBE_FRAMEBUFFERS][256]; /* where the bound firmware framebuffers lie below /sys/devices */
	bool remapping_read;
	enum msi_isolation remapping; /* of Intel's IOMMUs */
};

/*
 * Reads the device `bus`/`address`; with `bus_fd`, its bus's devices folder. Returns 0, the device (the caller's,
 * free(); its links and its group are not set) and its group's number, or -ENOENT when it is gone or has no group.
 */
int probe_device(struct probe *probe, int bus_fd, const char *bus, const char *address, struct device **ret,
		 unsigned int *ret_group);

/* Opens the devices folder of a bus. -ENOENT when the kernel has no such bus. */
int probe_open_bus(const struct probe *probe, const char *bus);

/*
 * Fills what sysfs says of the group `group->id`: regions, no_iommu, msi. `member` is any member of it: a group lies
 * behind one IOMMU. A group that is gone has no regions. `group` is untouched on failure.
 */
int probe_group(struct probe *probe, const struct device *member, struct group *group);

/* What shows something on the display now, whose folder is opened. */
enum display_holder probe_display(struct probe *probe, int device_fd, const struct device *device);

/* Whether this negative errno says that what was to be read is not there. */
bool probe_is_gone(int error);

#endif
