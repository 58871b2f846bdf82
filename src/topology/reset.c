/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "topology/reset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "topology/mdev.h"

/* Methods that reset all of the bus. The kernel uses them for one device only while that is alone there. */
#define METHODS_OF_BUS (RESET_BUS | RESET_CXL_BUS)

static bool is_alone(struct list_link *devices, const struct device *device)
{
	const struct device *other;

	list_for_each(other, devices, link) {
		if (other != device && strcmp(other->upstream, device->upstream) == 0)
			return false;
	}
	return true;
}

/*
 * The kernel lists methods once, when it finds the device: the first function of a slot is alone on its bus at that moment,
 * and keeps a "bus" that would be refused. Of a device that is alone it says all there is to say: without a method, the reset of
 * its bus does not work, or the administrator does not want it.
 */
enum reset_scope reset_scope_of(struct list_link *devices, const struct device *device)
{
	/* An mdev is made again instead, which leaves nothing of it. */
	if (device_is_mdev(device) || (device->reset_methods & ~METHODS_OF_BUS))
		return RESET_SCOPE_FUNCTION;
	if (!device->upstream[0])
		return RESET_SCOPE_NONE;
	if (!is_alone(devices, device))
		return RESET_SCOPE_BUS;
	return device->reset_methods ? RESET_SCOPE_FUNCTION : RESET_SCOPE_NONE;
}

const char *reset_scope_name(enum reset_scope scope)
{
	static const char *const names[] = { NULL, "function", "bus" };

	return names[scope];
}

static bool is_member(const struct reset_set *set, const char *address)
{
	for (size_t i = 0; i < set->n; i++) {
		if (strcmp(set->members[i].address, address) == 0)
			return true;
	}
	return false;
}

static int add_member(struct reset_set *set, const struct device *device)
{
	struct reset_member *larger = reallocarray(set->members, set->n + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	set->members = larger;
	memset(&larger[set->n], 0, sizeof(*larger));
	memcpy(larger[set->n++].address, device->id.address, sizeof(larger->address));
	return 0;
}

/* One pass is enough: what is below a bridge has a higher bus number than the bridge, and so comes later. */
static int find_bus(struct list_link *devices, const struct device *device, struct reset_set *set)
{
	const struct device *other;

	list_for_each(other, devices, link) {
		if (!other->upstream[0])
			continue;
		if (strcmp(other->upstream, device->upstream) != 0 && !is_member(set, other->upstream))
			continue;
		if (add_member(set, other) < 0)
			return -ENOMEM;
	}
	return 0;
}

int reset_set_find(struct list_link *devices, const struct device *device, struct reset_set *ret)
{
	struct reset_set set = { .scope = reset_scope_of(devices, device) };
	int r = 0;

	if (set.scope == RESET_SCOPE_FUNCTION)
		r = add_member(&set, device);
	else if (set.scope == RESET_SCOPE_BUS)
		r = find_bus(devices, device, &set);
	if (r < 0) {
		reset_set_clear(&set);
		return r;
	}
	*ret = set;
	return 0;
}

void reset_set_clear(struct reset_set *set)
{
	free(set->members);
	*set = (struct reset_set){ 0 };
}
