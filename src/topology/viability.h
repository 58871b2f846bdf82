/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a group may be given to user space: a pure function of the group and of what policy allows. A member is fine
 * when it is driver-less, on a vfio driver, or on an allowed driver; everything that the kernel would object to later
 * is found now, and every blocker says what would help.
 */
#ifndef IOMMUD_TOPOLOGY_VIABILITY_H
#define IOMMUD_TOPOLOGY_VIABILITY_H

#include "topology/device.h"

/* Takes any device that it is told to, drives none, and does not keep the device's group from user space. */
#define DRIVER_PARKING "pci-stub"

enum blocker_kind {
	BLOCKER_FOREIGN_DRIVER,
	BLOCKER_FIRMWARE_MAPPING,
	BLOCKER_NO_IOMMU,
	BLOCKER_UNSAFE_INTERRUPTS,
	BLOCKER_BOOT_DISPLAY,
	BLOCKER_MDEV_PARENT, /* topology/mdev.h */
	BLOCKER_LABEL_CONFLICT, /* found by the broker, which knows the policy; listed here to have one enum */
	BLOCKER_HAS_VIRTUAL_FUNCTIONS, /* likewise, for it looks at devices of other groups */
	BLOCKER_KINDS
};

struct blocker {
	enum blocker_kind kind;
	char device[DEVICE_ADDRESS_MAX]; /* empty: the group as a whole */
	char driver[DEVICE_DRIVER_MAX]; /* empty: none */
	char message[256];
	char remedy[256];
};

struct verdict {
	struct blocker *blockers; /* none: viable */
	size_t n_blockers;
};

struct viability_options {
	bool unsafe_interrupts_allowed; /* by vfio's or iommufd's module parameter */
	const char *const *allowed_drivers; /* beyond the built-in table; NULL-terminated, may be NULL */
	const char *const *moving; /* addresses that the lease would bind to vfio; NULL-terminated, may be NULL */
};

/* Fills `ret` (the caller's, verdict_clear()). 0, or -ENOMEM. Reads nothing but its arguments. */
int viability_judge(const struct group *group, const struct viability_options *options, struct verdict *ret);

/* Adds one blocker at the end. -ENOMEM. */
int verdict_add(struct verdict *verdict, const struct blocker *blocker);
void verdict_clear(struct verdict *verdict);
bool verdict_is_viable(const struct verdict *verdict);
bool verdict_equals(const struct verdict *left, const struct verdict *right);

/* "foreignDriver" and so on, as in io.iommud.varlink. */
const char *blocker_kind_name(enum blocker_kind kind);

/* vfio-pci, the vfio_pci variant drivers (mlx5_vfio_pci, ...), vfio-platform, vfio_mdev, ... by name. */
bool driver_is_vfio(const char *driver);

/* The built-in table of drivers that do no DMA of their own (driver_managed_dma in the kernel): pcieport, pci-stub. */
bool driver_is_allowed(const char *driver);

#endif
