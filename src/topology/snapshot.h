/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of devices and groups with its indexes: what a registry holds, and what a scan builds privately before the
 * registry takes it. Internal to topology.
 */
#ifndef IOMMUD_TOPOLOGY_SNAPSHOT_H
#define IOMMUD_TOPOLOGY_SNAPSHOT_H

#include "topology/device.h"
#include "topology/sorted.h"

struct snapshot {
	struct list_link devices; /* device::link */
	struct list_link groups; /* group::link */
	struct sorted device_index; /* by address */
	struct sorted group_index; /* by id */
};

/* -ENOMEM as NULL. */
struct snapshot *snapshot_new(void);
struct snapshot *snapshot_free(struct snapshot *snapshot);

struct device *snapshot_find_device(const struct snapshot *snapshot, const char *address);
struct group *snapshot_find_group(const struct snapshot *snapshot, unsigned int id);

/* Makes room for as many devices and groups, so that adding them can't fail. -ENOMEM. */
int snapshot_reserve(struct snapshot *snapshot, size_t devices, size_t groups);

/* Take over what they are given. Neither the address nor the id may be there already. */
void snapshot_add_group(struct snapshot *snapshot, struct group *group);
void snapshot_add_device(struct snapshot *snapshot, struct device *device, struct group *group);

/*
 * Takes `device` out, and its group with it when that is empty then. Both are the caller's: the device to free(), the
 * group to group_free() if it has no members left; device->group stays set for whoever is told.
 */
void snapshot_remove_device(struct snapshot *snapshot, struct device *device);

/* NULL on -ENOMEM. */
struct group *group_new(unsigned int id);
struct group *group_free(struct group *group);

DEFINE_CLEANUP(snapshot, struct snapshot *, snapshot_free)
DEFINE_CLEANUP(group, struct group *, group_free)

/* Reads all devices with a group below `sysfs_fd` (borrowed). Generations are 0. A negative errno on a fault. */
int snapshot_scan(int sysfs_fd, const char *udev_data, struct snapshot **ret);

#endif
