/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which drivers leave a group's devices to user space. sysfs does not show a driver's `driver_managed_dma`, so what is
 * known of the kernel's drivers stands in two tables, read from Linux 6.12 by grepping for `driver_managed_dma = true`:
 * drivers/vfio (below as vfio), drivers/pci/pcie/portdrv.c and drivers/pci/pci-stub.c (below as allowed), and no
 * others. In particular pci-pf-stub and shpchp are not: they take the group's default domain as any driver does.
 */
#include "topology/viability.h"

#include <string.h>

static const char *const vfio_drivers[] = {
	"vfio-pci",     "vfio-platform", "vfio-amba",
	"vfio-fsl-mc",  "vfio-cdx",      "vfio_mdev", /* until Linux 5.17 */
	"vfio_ap_mdev", "vfio_ccw_mdev", "intel_vgpu_mdev",
};

static const char *const allowed_drivers[] = { "pcieport", DRIVER_PARKING };

static bool is_listed(const char *name, const char *const *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i], name) == 0)
			return true;
	}
	return false;
}

/* Variant drivers are named DEVICE_vfio_pci (mlx5_vfio_pci, qat_vfio_pci) or, rarely, with dashes (xe-vfio-pci). */
static bool is_variant(const char *driver)
{
	static const char *const endings[] = { "_vfio_pci", "-vfio-pci" };
	size_t length = strlen(driver);

	/* A name that fills its buffer was cut: its end is not its end. */
	if (length >= DEVICE_DRIVER_MAX - 1)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		size_t ending = strlen(endings[i]);

		if (length > ending && strcmp(driver + length - ending, endings[i]) == 0)
			return true;
	}
	return false;
}

bool driver_is_vfio(const char *driver)
{
	return is_listed(driver, vfio_drivers, ARRAY_SIZE(vfio_drivers)) || is_variant(driver);
}

bool driver_is_allowed(const char *driver)
{
	return is_listed(driver, allowed_drivers, ARRAY_SIZE(allowed_drivers));
}
