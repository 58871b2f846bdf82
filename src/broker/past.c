/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/past.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the address is, or would have to be inserted. */
static size_t place_of(const struct past *past, const char *address, bool *ret_found)
{
	size_t low = 0, high = past->n;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(address, past->list[middle].id.address);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool is_same_device(const struct device_id *left, const struct device_id *right)
{
	return left->vendor == right->vendor && left->device == right->device &&
	       left->subsystem_vendor == right->subsystem_vendor && left->subsystem_device == right->subsystem_device &&
	       left->class == right->class;
}

static int grow(struct past *past)
{
	size_t capacity = past->capacity ? past->capacity * 2 : 16;
	struct past_device *larger;

	if (past->n < past->capacity)
		return 0;
	larger = reallocarray(past->list, capacity, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	past->list = larger;
	past->capacity = capacity;
	return 0;
}

int past_reserve(struct past *past, const struct device_id *id)
{
	bool found;
	size_t place = place_of(past, id->address, &found);
	struct past_device *device;

	if (found && is_same_device(&past->list[place].id, id))
		return 0;
	if (!found && grow(past) < 0)
		return -ENOMEM;
	device = past->list + place;
	if (!found)
		memmove(device + 1, device, (past->n++ - place) * sizeof(*device));
	*device = (struct past_device){ .id = *id };
	return 0;
}

struct past_device *past_find(const struct past *past, const struct device_id *id)
{
	bool found;
	size_t place = place_of(past, id->address, &found);

	return found && is_same_device(&past->list[place].id, id) ? &past->list[place] : NULL;
}

void past_forget(struct past *past, const char *address)
{
	bool found;
	size_t place = place_of(past, address, &found);

	if (!found)
		return;
	past->n--;
	memmove(past->list + place, past->list + place + 1, (past->n - place) * sizeof(*past->list));
}

void past_clear(struct past *past)
{
	free(past->list);
	*past = (struct past){ 0 };
}
