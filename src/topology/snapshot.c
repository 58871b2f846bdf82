/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns its devices and groups. The lists are in the order of the indexes, so a link's place comes from its neighbour in
 * the index, never from a walk.
 */
#include "topology/snapshot.h"

#include <stdlib.h>
#include <string.h>

static int compare_address(const void *key, const void *item)
{
	return strcmp(key, ((const struct device *)item)->id.address);
}

static int compare_id(const void *key, const void *item)
{
	unsigned int left = *(const unsigned int *)key, right = ((const struct group *)item)->id;

	return (left > right) - (left < right);
}

struct snapshot *snapshot_new(void)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	list_init(&snapshot->devices);
	list_init(&snapshot->groups);
	return snapshot;
}

struct snapshot *snapshot_free(struct snapshot *snapshot)
{
	struct device *device, *next_device;
	struct group *group, *next_group;

	if (!snapshot)
		return NULL;
	list_for_each_safe(device, next_device, &snapshot->devices, link)
		free(device);
	list_for_each_safe(group, next_group, &snapshot->groups, link)
		group_free(group);
	sorted_clear(&snapshot->device_index);
	sorted_clear(&snapshot->group_index);
	free(snapshot);
	return NULL;
}

struct group *group_new(unsigned int id)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	list_init(&group->link);
	list_init(&group->devices);
	group->id = id;
	return group;
}

struct group *group_free(struct group *group)
{
	if (!group)
		return NULL;
	free(group->regions);
	free(group);
	return NULL;
}

struct device *snapshot_find_device(const struct snapshot *snapshot, const char *address)
{
	bool found;
	size_t place = sorted_search(&snapshot->device_index, address, compare_address, &found);

	return found ? snapshot->device_index.items[place] : NULL;
}

struct group *snapshot_find_group(const struct snapshot *snapshot, unsigned int id)
{
	bool found;
	size_t place = sorted_search(&snapshot->group_index, &id, compare_id, &found);

	return found ? snapshot->group_index.items[place] : NULL;
}

int snapshot_reserve(struct snapshot *snapshot, size_t devices, size_t groups)
{
	int r = sorted_reserve(&snapshot->device_index, devices);

	return r < 0 ? r : sorted_reserve(&snapshot->group_index, groups);
}

void snapshot_add_group(struct snapshot *snapshot, struct group *group)
{
	struct list_link *before = &snapshot->groups;
	bool found;
	size_t place = sorted_search(&snapshot->group_index, &group->id, compare_id, &found);

	if (place < snapshot->group_index.n)
		before = &((struct group *)snapshot->group_index.items[place])->link;
	sorted_insert(&snapshot->group_index, place, group);
	list_append(before, &group->link); /* "at the end" of a list is: before its head; and so before any node */
}

/* From the end, where a scan, which comes in order, finds the place at once. */
static void join_group(struct group *group, struct device *device)
{
	struct list_link *before = &group->devices;

	while (before->prev != &group->devices) {
		const struct device *last = list_entry(before->prev, struct device, group_link);

		if (strcmp(last->id.address, device->id.address) < 0)
			break;
		before = before->prev;
	}
	list_append(before, &device->group_link);
	device->group = group;
	group->n_devices++;
}

void snapshot_add_device(struct snapshot *snapshot, struct device *device, struct group *group)
{
	struct list_link *before = &snapshot->devices;
	bool found;
	size_t place = sorted_search(&snapshot->device_index, device->id.address, compare_address, &found);

	if (place < snapshot->device_index.n)
		before = &((struct device *)snapshot->device_index.items[place])->link;
	sorted_insert(&snapshot->device_index, place, device);
	list_append(before, &device->link);
	join_group(group, device);
}

void snapshot_remove_device(struct snapshot *snapshot, struct device *device)
{
	struct group *group = device->group;
	bool found;
	size_t place = sorted_search(&snapshot->device_index, device->id.address, compare_address, &found);

	sorted_remove(&snapshot->device_index, place);
	list_unlink(&device->link);
	list_unlink(&device->group_link);
	if (--group->n_devices > 0)
		return;
	place = sorted_search(&snapshot->group_index, &group->id, compare_id, &found);
	sorted_remove(&snapshot->group_index, place);
	list_unlink(&group->link);
}
