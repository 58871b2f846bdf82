// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which drivers a member of a claimed group may be on: those that leave DMA to user space, or do none. A driver says so
 * itself (driver_managed_dma); that alone is not enough, since it may still be one that a claim's owner did not think of.
 */
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/string.h>

#include "iommud.h"

/* The vfio drivers that others build upon are known by their names' ends: "mlx5_vfio_pci" and its like. */
static const char *const vfio[] = { "vfio-pci", "vfio-platform" };
static const char variant_end[] = "_vfio_pci";
/* Without DMA of their own. */
static const char *const harmless[] = { "pci-stub", "pcieport" };

bool driver_manages_dma(const struct device *dev, struct device_driver *driver)
{
	if (device_is_pci(dev))
		return to_pci_driver(driver)->driver_managed_dma;
	return to_platform_driver(driver)->driver_managed_dma;
}

bool driver_is_vfio(const char *name)
{
	size_t length = strlen(name), end = sizeof(variant_end) - 1;

	if (match_string(vfio, ARRAY_SIZE(vfio), name) >= 0)
		return true;
	return length > end && !strcmp(name + length - end, variant_end);
}

bool driver_is_builtin(const char *name)
{
	return driver_is_vfio(name) || match_string(harmless, ARRAY_SIZE(harmless), name) >= 0;
}

static bool is_named(const struct claim *claim, const char *name)
{
	const char *p = claim->drivers, *end = p + claim->drivers_size;

	for (; p < end; p += strlen(p) + 1)
		if (!strcmp(p, name))
			return true;
	return false;
}

bool driver_is_allowed(const struct claim *claim, const struct device *dev, struct device_driver *driver)
{
	if (!driver_manages_dma(dev, driver))
		return false;
	return driver_is_builtin(driver->name) || is_named(claim, driver->name);
}

bool driver_names_are_valid(const char *names, size_t size)
{
	unsigned int n = 0;
	const char *p;

	if (size && names[size - 1])
		return false;
	for (p = names; p < names + size; p += strlen(p) + 1)
		if (!*p || strlen(p) >= IOMMUD_DRIVER_MAX || ++n > IOMMUD_DRIVERS_MAX)
			return false;
	return true;
}
