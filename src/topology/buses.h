/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The buses whose devices can have an IOMMU group and a vfio driver. One table for scan, monitor and remedies. */
#ifndef IOMMUD_TOPOLOGY_BUSES_H
#define IOMMUD_TOPOLOGY_BUSES_H

struct bus {
	const char *name; /* below /sys/bus, and udev's name of the subsystem */
	const char
		*vfio_driver; /* the general one; NULL: its devices are never bound to another driver than they have */
};

/* In the order of scanning: where two buses use the same address, the earlier one's device counts. Ends with NULL. */
extern const struct bus topology_buses[];

/* NULL for a bus that is not in the table. */
const struct bus *bus_find(const char *name);

#endif
