/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the authority must know of a device beyond its snapshot. */
#ifndef IOMMUD_HELPER_DEVICE_FACTS_H
#define IOMMUD_HELPER_DEVICE_FACTS_H

#include "helper/bus-device.h"

struct device_facts {
	bool bridge; /* of PCI: header type is not 0 */
	bool no_iommu; /* vfio's own group without translation; of an mdev: its parent's group is */
	char group[16]; /* the number of its IOMMU group; empty: it has none */
	bool has_virtual_functions; /* SR-IOV: they would be lost with its driver */
	size_t group_size; /* devices in its IOMMU group; 0: it has none */
	char obstacle[160]; /* why it can't be moved, or not be given back, whoever asks; empty: nothing */
};

/* 0 or a negative errno. May block, as all in bus-device.h. */
int device_facts_read(const struct bus_device *device, struct device_facts *ret);

#endif
