/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the current snapshot and a descriptor of sysfs. New state is built aside, the snapshot is exchanged or changed
 * only when nothing can fail any more, and only then the listener is told. What was removed lives until it has been
 * told.
 *
 * A device whose folder, ids or group differ is another device: it is reported as removed and added, so that whoever holds
 * something on the old one never takes the new one for it.
 */
#include "topology/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/buses.h"
#include "topology/changes.h"
#include "topology/probe.h"
#include "topology/snapshot.h"
#include "util/cleanup.h"
#include "util/fileio.h"

struct registry {
	int sysfs_fd;
	const char *udev_data; /* borrowed; NULL: none */
	struct snapshot *state;
	bool scanned; /* the first scan reports nothing */
	uint64_t generation;
	registry_changed_fn changed;
	void *userdata;
};

DEFINE_CLEANUP(registry, struct registry *, registry_free)

int registry_new(int sysfs_fd, struct registry **ret)
{
	_cleanup_(cleanup_registry) struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return -ENOMEM;
	registry->sysfs_fd = fcntl(sysfs_fd, F_DUPFD_CLOEXEC, 3);
	if (registry->sysfs_fd < 0)
		return -errno;
	registry->state = snapshot_new();
	if (!registry->state)
		return -ENOMEM;
	*ret = TAKE_PTR(registry);
	return 0;
}

struct registry *registry_free(struct registry *registry)
{
	if (!registry)
		return NULL;
	snapshot_free(registry->state);
	close_fd(registry->sysfs_fd);
	free(registry);
	return NULL;
}

void registry_set_udev_data(struct registry *registry, const char *folder)
{
	registry->udev_data = folder;
}

void registry_set_listener(struct registry *registry, registry_changed_fn changed, void *userdata)
{
	registry->changed = changed;
	registry->userdata = userdata;
}

static void report(struct registry *registry, enum registry_change change, const struct device *device,
		   const char *former_driver)
{
	if (registry->changed)
		registry->changed(registry->userdata, change, device, former_driver);
}

/* A group's generation is the registry's at its last change: a group that reuses a number never repeats one. */
static void touch(struct registry *registry, struct group *group)
{
	group->generation = ++registry->generation;
}

static void touch_for(struct registry *registry, const struct change *change)
{
	if (change->verdict_input)
		touch(registry, change->device->group);
	else
		registry->generation++;
}

static void begin_generation(struct registry *registry)
{
	struct group *group;

	registry->generation++;
	list_for_each(group, &registry->state->groups, link)
		group->generation = registry->generation;
}

static void publish(struct registry *registry, struct snapshot *fresh, const struct changes *changes)
{
	_cleanup_(cleanup_snapshot) struct snapshot *former = registry->state;
	struct group *group;

	registry->state = fresh;
	list_for_each(group, &fresh->groups, link) {
		const struct group *old = snapshot_find_group(former, group->id);

		group->generation = old ? old->generation : 0;
	}
	changes_detach_removed(changes, fresh);
	for (size_t i = 0; i < changes->n; i++)
		touch_for(registry, &changes->items[i]);
	for (size_t i = 0; i < changes->n; i++)
		report(registry, changes->items[i].kind, changes->items[i].device, changes->items[i].former_driver);
}

int registry_scan(struct registry *registry)
{
	_cleanup_(cleanup_snapshot) struct snapshot *fresh = NULL;
	_cleanup_(changes_clear) struct changes changes = { 0 };
	int r = snapshot_scan(registry->sysfs_fd, registry->udev_data, &fresh);

	if (r < 0)
		return r;
	if (!registry->scanned) {
		snapshot_free(registry->state);
		registry->state = TAKE_PTR(fresh);
		registry->scanned = true;
		begin_generation(registry);
		return 0;
	}
	r = changes_find(registry->state, fresh, &changes);
	if (r < 0)
		return r;
	publish(registry, TAKE_PTR(fresh), &changes);
	return 0;
}

/* On the first bus that has it, as in a scan. */
static int probe_address(struct registry *registry, struct probe *probe, const char *address, struct device **ret,
			 unsigned int *ret_group)
{
	for (const struct bus *bus = topology_buses; bus->name; bus++) {
		_cleanup_fd_ int bus_fd = probe_open_bus(probe, bus->name);
		int r;

		if (bus_fd < 0 && probe_is_gone(bus_fd))
			continue;
		r = bus_fd < 0 ? bus_fd : probe_device(probe, bus_fd, bus->name, address, ret, ret_group);
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

/* Reads what the group `id` would be with `member` in it. Nothing is published: this can fail. */
static int probe_new_group(struct probe *probe, const struct device *member, unsigned int id, struct group **ret)
{
	_cleanup_(cleanup_group) struct group *group = group_new(id);
	int r;

	if (!group)
		return -ENOMEM;
	r = probe_group(probe, member, group);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(group);
	return 0;
}

/* A known group takes over what was read: its regions can grow with a member. A new one is published. */
static struct group *merge_group(struct registry *registry, struct group *fresh)
{
	struct group *known = snapshot_find_group(registry->state, fresh->id);

	if (!known) {
		snapshot_add_group(registry->state, fresh);
		return fresh;
	}
	free(known->regions);
	known->regions = TAKE_PTR(fresh->regions);
	known->n_regions = fresh->n_regions;
	known->no_iommu = fresh->no_iommu;
	known->msi = fresh->msi;
	group_free(fresh);
	return known;
}

static void detach_device(struct registry *registry, struct device *device)
{
	snapshot_remove_device(registry->state, device);
	touch(registry, device->group);
}

/* Tells of a detached device and frees it, with its group if that is empty. */
static void bury_device(struct registry *registry, struct device *device)
{
	struct group *group = device->group, *current = snapshot_find_group(registry->state, group->id);

	if (current)
		device->group = current;
	report(registry, DEVICE_REMOVED, device, device->driver);
	if (group->n_devices == 0)
		group_free(group);
	free(device);
}

static int add_device(struct registry *registry, struct probe *probe, struct device *former, struct device *device,
		      unsigned int group_id)
{
	_cleanup_free_ struct device *owned = device;
	_cleanup_(cleanup_group) struct group *fresh = NULL;
	struct group *group;
	int r = snapshot_reserve(registry->state, 1, 1);

	if (r < 0)
		return r;
	r = probe_new_group(probe, device, group_id, &fresh);
	if (r < 0)
		return r;
	if (former)
		detach_device(registry, former);
	group = merge_group(registry, TAKE_PTR(fresh));
	snapshot_add_device(registry->state, TAKE_PTR(owned), group);
	touch(registry, group);
	if (former)
		bury_device(registry, former);
	report(registry, DEVICE_ADDED, device, "");
	return 0;
}

static void update_device(struct registry *registry, struct device *device, const struct device *fresh)
{
	char former_driver[DEVICE_DRIVER_MAX];
	struct change change;

	if (!change_between(device, fresh, &change))
		return;
	strcpy(former_driver, device->driver);
	device_take_state(device, fresh);
	change.device = device;
	touch_for(registry, &change);
	report(registry, change.kind, device, former_driver);
}

int registry_refresh(struct registry *registry, const char *address)
{
	struct probe probe = { .sysfs_fd = registry->sysfs_fd, .udev_data = registry->udev_data };
	_cleanup_free_ struct device *fresh = NULL;
	struct device *device;
	unsigned int group_id;
	int r;

	if (!device_address_is_valid(address))
		return -EINVAL;
	device = snapshot_find_device(registry->state, address);
	r = probe_address(registry, &probe, address, &fresh, &group_id);
	if (r == -ENOENT && device) {
		detach_device(registry, device);
		bury_device(registry, device);
	}
	if (r < 0)
		return r;
	if (device && device->group->id == group_id && device_is_same(device, fresh)) {
		update_device(registry, device, fresh);
		return 0;
	}
	return add_device(registry, &probe, device, TAKE_PTR(fresh), group_id);
}

struct device *registry_find_device(struct registry *registry, const char *address)
{
	return snapshot_find_device(registry->state, address);
}

struct group *registry_find_group(struct registry *registry, unsigned int id)
{
	return snapshot_find_group(registry->state, id);
}

struct list_link *registry_devices(struct registry *registry)
{
	return &registry->state->devices;
}

struct list_link *registry_groups(struct registry *registry)
{
	return &registry->state->groups;
}

uint64_t registry_generation(const struct registry *registry)
{
	return registry->generation;
}

/* 1: on, 0: off, -1: the module is not there. */
static int read_parameter(int sysfs_fd, const char *path)
{
	char text[8];

	if (read_file_at(sysfs_fd, path, text, sizeof(text)) < 0)
		return -1;
	return strcmp(text, "Y") == 0;
}

bool registry_unsafe_interrupts_allowed(struct registry *registry)
{
	int type1 = read_parameter(registry->sysfs_fd, "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	int iommufd = read_parameter(registry->sysfs_fd, "module/iommufd/parameters/allow_unsafe_interrupts");

	return type1 != 0 && iommufd != 0 && (type1 == 1 || iommufd == 1);
}

int registry_open_device(struct registry *registry, const struct device *device)
{
	char path[128];

	snprintf(path, sizeof(path), "bus/%s/devices/%s", device->bus, device->id.address);
	return open_dir_at(registry->sysfs_fd, path);
}

int registry_read_nodes(struct registry *registry, int device_fd, struct device_nodes *ret)
{
	return device_nodes_read(registry->sysfs_fd, device_fd, ret);
}
