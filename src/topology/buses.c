/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of buses. What it names was read from drivers/vfio of Linux 6.12. */
#include "topology/buses.h"

#include <stddef.h>
#include <string.h>

#include "topology/mdev.h"

const struct bus topology_buses[] = {
	{ "pci", "vfio-pci" },
	{ "platform", "vfio-platform" },
	{ "amba", "vfio-amba" },
	{ "fsl-mc", "vfio-fsl-mc" },
	{ "cdx", "vfio-cdx" },
	/* An mdev is on a vfio driver, of any name, from its making to its end: see topology/mdev.h. */
	{ BUS_MDEV, NULL },
	{ NULL, NULL },
};

const struct bus *bus_find(const char *name)
{
	for (const struct bus *bus = topology_buses; bus->name; bus++) {
		if (strcmp(bus->name, name) == 0)
			return bus;
	}
	return NULL;
}
