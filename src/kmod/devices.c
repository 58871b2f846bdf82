// SPDX-License-Identifier: GPL-2.0-only
/* Devices by name, where they sit, and their driver_override, which each bus keeps for itself. */
#include <linux/pci.h>
#include <linux/platform_device.h>

#include "iommud.h"

struct device *device_find(const char *bus, const char *name)
{
	if (!strcmp(bus, "pci"))
		return bus_find_device_by_name(&pci_bus_type, NULL, name);
	if (!strcmp(bus, "platform"))
		return bus_find_device_by_name(&platform_bus_type, NULL, name);
	return NULL;
}

bool device_is_pci(const struct device *dev)
{
	return dev->bus == &pci_bus_type;
}

u32 device_slot(const struct device *dev)
{
	const struct pci_dev *pdev;

	if (!device_is_pci(dev))
		return 0;
	pdev = to_pci_dev(dev);
	return 1u << 31 | (u32)pci_domain_nr(pdev->bus) << 13 | pdev->bus->number << 5 | PCI_SLOT(pdev->devfn);
}

bool device_is_known(const struct device *dev)
{
	return device_is_pci(dev) || dev->bus == &platform_bus_type;
}

#ifdef IOMMUD_HAVE_CORE_OVERRIDE

static int set_override(struct device *dev, const char *driver)
{
	return device_set_driver_override(dev, driver);
}

static void copy_override(struct device *dev, char ret[IOMMUD_DRIVER_MAX])
{
	spin_lock(&dev->driver_override.lock);
	strscpy(ret, dev->driver_override.name ?: "", IOMMUD_DRIVER_MAX);
	spin_unlock(&dev->driver_override.lock);
}

#else

static const char **override_of(struct device *dev)
{
	return device_is_pci(dev) ? &to_pci_dev(dev)->driver_override : &to_platform_device(dev)->driver_override;
}

static int set_override(struct device *dev, const char *driver)
{
	const char *text = *driver ? driver : "\n"; /* which clears it */

	return driver_set_override(dev, override_of(dev), text, strlen(text));
}

static void copy_override(struct device *dev, char ret[IOMMUD_DRIVER_MAX])
{
	device_lock(dev);
	strscpy(ret, *override_of(dev) ?: "", IOMMUD_DRIVER_MAX);
	device_unlock(dev);
}

#endif

void device_deny(struct device *dev)
{
	char present[IOMMUD_DRIVER_MAX];

	copy_override(dev, present);
	if (!*present && set_override(dev, IOMMUD_OVERRIDE_DENIED))
		dev_warn(dev, "iommud: its driver_override can't be set; a driver is taken off when it comes\n");
}

bool device_allow(struct device *dev)
{
	char present[IOMMUD_DRIVER_MAX];

	copy_override(dev, present);
	if (strcmp(present, IOMMUD_OVERRIDE_DENIED))
		return false;
	set_override(dev, "");
	return true;
}
