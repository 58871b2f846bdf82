/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares states field by field, changes only what it is told to. Both lists are sorted: one walk finds all. */
#include "topology/changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool device_is_same(const struct device *left, const struct device *right)
{
	const struct device_id *l = &left->id, *r = &right->id;

	return left->node == right->node && strcmp(left->bus, right->bus) == 0 && strcmp(l->address, r->address) == 0 &&
	       strcmp(left->parent, right->parent) == 0 && l->vendor == r->vendor && l->device == r->device &&
	       l->subsystem_vendor == r->subsystem_vendor && l->subsystem_device == r->subsystem_device &&
	       l->class == r->class;
}

void device_take_state(struct device *device, const struct device *fresh)
{
	memcpy(device->driver, fresh->driver, sizeof(device->driver));
	memcpy(device->physical_function, fresh->physical_function, sizeof(device->physical_function));
	device->max_virtual_functions = fresh->max_virtual_functions;
	device->parent_group = fresh->parent_group;
	memcpy(device->upstream, fresh->upstream, sizeof(device->upstream));
	device->numa_node = fresh->numa_node;
	memcpy(device->path, fresh->path, sizeof(device->path));
	memcpy(device->serial, fresh->serial, sizeof(device->serial));
	device->reset_methods = fresh->reset_methods;
	device->boot_display = fresh->boot_display;
	device->bridge = fresh->bridge;
}

bool change_between(const struct device *former, const struct device *fresh, struct change *ret)
{
	bool rebound = strcmp(former->driver, fresh->driver) != 0;
	bool display = former->boot_display != fresh->boot_display;
	bool parent = former->parent_group != fresh->parent_group;
	bool rest = strcmp(former->physical_function, fresh->physical_function) != 0 ||
		    former->max_virtual_functions != fresh->max_virtual_functions ||
		    former->numa_node != fresh->numa_node || strcmp(former->path, fresh->path) != 0 ||
		    strcmp(former->serial, fresh->serial) != 0 || former->reset_methods != fresh->reset_methods ||
		    former->bridge != fresh->bridge;

	if (!rebound && !display && !parent && !rest)
		return false;
	ret->kind = !rebound ? DEVICE_CHANGED : fresh->driver[0] ? DEVICE_BOUND : DEVICE_UNBOUND;
	ret->verdict_input = rebound || display || parent;
	ret->former_driver = former->driver;
	return true;
}

static bool regions_equal(const struct group *left, const struct group *right)
{
	if (left->n_regions != right->n_regions)
		return false;
	for (size_t i = 0; i < left->n_regions; i++) {
		const struct reserved_region *l = &left->regions[i], *r = &right->regions[i];

		if (l->start != r->start || l->end != r->end || strcmp(l->type, r->type) != 0)
			return false;
	}
	return true;
}

static bool groups_equal(const struct group *left, const struct group *right)
{
	return left->no_iommu == right->no_iommu && left->msi == right->msi && regions_equal(left, right);
}

static void changes_add(struct changes *changes, enum registry_change kind, struct device *device,
			const char *former_driver)
{
	changes->items[changes->n++] = (struct change){
		.kind = kind, .verdict_input = true, .device = device, .former_driver = former_driver
	};
}

static void compare_devices(struct changes *changes, struct device *former, struct device *fresh)
{
	struct change change;

	if (former->group->id != fresh->group->id || !device_is_same(former, fresh)) {
		changes_add(changes, DEVICE_REMOVED, former, former->driver);
		changes_add(changes, DEVICE_ADDED, fresh, "");
	} else if (change_between(former, fresh, &change)) {
		change.device = fresh;
		change.verdict_input |= !groups_equal(former->group, fresh->group);
		changes->items[changes->n++] = change;
	} else if (!groups_equal(former->group, fresh->group)) {
		changes_add(changes, DEVICE_CHANGED, fresh, former->driver);
	}
}

int changes_find(const struct snapshot *former, const struct snapshot *fresh, struct changes *ret)
{
	const struct sorted *left = &former->device_index, *right = &fresh->device_index;
	struct changes changes = { .items = calloc(left->n + right->n + 1, sizeof(struct change)) };
	size_t i = 0, j = 0;

	if (!changes.items)
		return -ENOMEM;
	while (i < left->n || j < right->n) {
		struct device *l = i < left->n ? left->items[i] : NULL;
		struct device *r = j < right->n ? right->items[j] : NULL;
		int order = !l ? 1 : !r ? -1 : strcmp(l->id.address, r->id.address);

		if (order < 0)
			changes_add(&changes, DEVICE_REMOVED, l, l->driver);
		else if (order > 0)
			changes_add(&changes, DEVICE_ADDED, r, "");
		else
			compare_devices(&changes, l, r);
		i += order <= 0;
		j += order >= 0;
	}
	*ret = changes;
	return 0;
}

void changes_detach_removed(const struct changes *changes, const struct snapshot *fresh)
{
	for (size_t i = 0; i < changes->n; i++) {
		struct device *device = changes->items[i].device;
		struct group *survivor;

		if (changes->items[i].kind != DEVICE_REMOVED)
			continue;
		list_unlink(&device->group_link);
		device->group->n_devices--;
		survivor = snapshot_find_group(fresh, device->group->id);
		if (survivor)
			device->group = survivor;
	}
}

void changes_clear(struct changes *changes)
{
	free(changes->items);
	*changes = (struct changes){ 0 };
}
