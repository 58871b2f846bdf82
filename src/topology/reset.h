/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a reset of a device would reset: the device alone, all of its bus, or nothing, for there is no way. Goes by what the
 * registry holds, reads nothing. The kernel has further reasons against the reset of a bus (quirks, a driver that has one of
 * its devices), which it does not show; so a bus is what a reset would reach, and no promise that it works.
 */
#ifndef IOMMUD_TOPOLOGY_RESET_H
#define IOMMUD_TOPOLOGY_RESET_H

#include "topology/device.h"

enum reset_scope {
	RESET_SCOPE_NONE, /* no method of its own, and nothing that could be reset with it */
	RESET_SCOPE_FUNCTION, /* it has a method of its own, or is alone on a bus that can be reset */
	RESET_SCOPE_BUS, /* only together with all that is below the bridge above it */
};

struct reset_member {
	char address[DEVICE_ADDRESS_MAX];
	bool conflicting; /* false; for whoever judges the set to say that this one stands against the reset */
};

struct reset_set {
	enum reset_scope scope;
	struct reset_member
		*members; /* in order of address, the device itself among them; none with RESET_SCOPE_NONE */
	size_t n;
};

/* `devices` are all, as registry_devices(). */
enum reset_scope reset_scope_of(struct list_link *devices, const struct device *device);

/* The word of the protocol; NULL for RESET_SCOPE_NONE. */
const char *reset_scope_name(enum reset_scope scope);

/*
 * The set of `device`, which is one of `devices`. Devices without an IOMMU group are not in the
 * registry, and so not in a set. 0 and a set for reset_set_clear(), or -ENOMEM.
 */
int reset_set_find(struct list_link *devices, const struct device *device, struct reset_set *ret);
void reset_set_clear(struct reset_set *set);

#endif
