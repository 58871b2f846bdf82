/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device was like before it was touched: what a restore brings back, and what tells it from another device; and
 * where it was moved, for a restore takes it from there and from nowhere else.
 */
#ifndef IOMMUD_HELPER_DEVICE_STATE_H
#define IOMMUD_HELPER_DEVICE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "topology/viability.h"
#include "util/device-id.h"

#define PCI_ADDRESS_MAX 20 /* "10000:e1:00.0" and more */

struct device_state {
	char bus[DEVICE_BUS_MAX];
	struct device_id id;
	uint64_t serial; /* PCIe Device Serial Number; 0: none, or not readable */
	char serial_number[DEVICE_SERIAL_MAX]; /* by which rules find it; empty: not known */
	char path[DEVICE_PATH_MAX]; /* udev's ID_PATH; empty: not known */
	int32_t numa_node; /* -1: none */
	uint64_t node; /* inode of the device's folder: sysfs makes a new one for a device that comes back */
	char driver[DEVICE_DRIVER_MAX]; /* empty: none */
	char driver_override[DEVICE_DRIVER_MAX]; /* empty: none */
	char moved_to[DEVICE_DRIVER_MAX]; /* a driver; empty until a judgement has named one */
	char physical_function[PCI_ADDRESS_MAX]; /* of a virtual function; empty: it is none */
};

static inline bool device_state_is_parked(const struct device_state *state)
{
	return strcmp(state->moved_to, DRIVER_PARKING) == 0;
}

static inline bool device_state_is_mdev(const struct device_state *state)
{
	return strcmp(state->bus, "mdev") == 0;
}

/*
 * Whether both are of one and the same device, not merely of one at the same address. A serial number that could not be
 * read proves nothing: a device that is asleep or resetting reads as all ones.
 */
static inline bool device_state_is_same_device(const struct device_state *left, const struct device_state *right)
{
	const struct device_id *a = &left->id, *b = &right->id;

	if (left->serial && right->serial && left->serial != right->serial)
		return false;
	return strcmp(left->bus, right->bus) == 0 && strcmp(a->address, b->address) == 0 && left->node == right->node &&
	       a->vendor == b->vendor && a->device == b->device && a->subsystem_vendor == b->subsystem_vendor &&
	       a->subsystem_device == b->subsystem_device && a->class == b->class;
}

#endif
