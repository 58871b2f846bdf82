/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices of the fake sysfs: each a folder below devices/, with links from its bus, its driver and its group. */
#include "fake-sysfs-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fileio.h"

#define TEXT_MAX 8192

/* The device's folder below the tree, through its bus's link. Returns false when no bus has it. */
static bool find_device(struct fake_sysfs *fake, const char *address, char ret[PATH_MAX], char bus[64])
{
	static const char *const buses[] = { "pci", "platform", "mdev", "amba", "fsl-mc", "cdx" };
	char link[PATH_MAX], target[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
		ssize_t n;

		fake_format_path(link, "bus/%s/devices/%s", buses[i], address);
		n = readlinkat(fake->fd, link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		fake_format_path(ret, "%s", strstr(target, "devices/"));
		snprintf(bus, 64, "%s", buses[i]);
		return true;
	}
	return false;
}

static void need_device(struct fake_sysfs *fake, const char *address, char ret[PATH_MAX], char bus[64])
{
	if (find_device(fake, address, ret, bus))
		return;
	errno = ENOENT;
	fake_die("%s", address);
}

void fake_sysfs_set_attribute(struct fake_sysfs *fake, const char *address, const char *name, const char *text)
{
	char folder[PATH_MAX], path[PATH_MAX], line[TEXT_MAX], bus[64];

	need_device(fake, address, folder, bus);
	fake_format_path(path, "%s/%s", folder, name);
	if (!text) {
		fake_unlink(fake, path);
		return;
	}
	snprintf(line, sizeof(line), "%s\n", text);
	fake_sysfs_write(fake, path, line);
}

/* The uevent's lines but DRIVER, with the new driver in front, where the kernel puts it. */
static void rewrite_uevent(struct fake_sysfs *fake, const char *folder, const char *driver)
{
	char path[PATH_MAX], old[TEXT_MAX], text[TEXT_MAX], *rest = old, *line;
	size_t used = 0;

	fake_format_path(path, "%s/uevent", folder);
	fake_sysfs_read(fake, path, old, sizeof(old));
	if (driver)
		used += snprintf(text, sizeof(text), "DRIVER=%s\n", driver);
	text[used] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		if (*line && strncmp(line, "DRIVER=", 7) != 0)
			used += snprintf(text + used, sizeof(text) - used, "%s\n", line);
	}
	fake_sysfs_write(fake, path, text);
}

void fake_sysfs_set_driver(struct fake_sysfs *fake, const char *address, const char *driver)
{
	char folder[PATH_MAX], link[PATH_MAX], path[PATH_MAX], former[256], bus[64];

	need_device(fake, address, folder, bus);
	fake_format_path(link, "%s/driver", folder);
	if (read_link_name_at(fake->fd, link, former, sizeof(former)) == 0) {
		fake_format_path(path, "bus/%s/drivers/%s/%s", bus, former, address);
		fake_unlink(fake, path);
		fake_unlink(fake, link);
	}
	if (driver) {
		fake_sysfs_add_driver(fake, bus, driver);
		fake_format_path(path, "bus/%s/drivers/%s", bus, driver);
		fake_make_link(fake, link, path);
		fake_format_path(path, "bus/%s/drivers/%s/%s", bus, driver, address);
		fake_make_link(fake, path, folder);
	}
	rewrite_uevent(fake, folder, driver);
}

/* A group whose last device goes, goes too. */
static void leave_group(struct fake_sysfs *fake, const char *folder, const char *address)
{
	static const char *const files[] = { "type", "reserved_regions", "name" };
	char link[PATH_MAX], path[PATH_MAX], group[32];

	fake_format_path(link, "%s/iommu_group", folder);
	if (read_link_name_at(fake->fd, link, group, sizeof(group)) < 0)
		return;
	fake_unlink(fake, link);
	fake_format_path(path, "kernel/iommu_groups/%s/devices/%s", group, address);
	fake_unlink(fake, path);
	fake_format_path(path, "kernel/iommu_groups/%s/devices", group);
	if (unlinkat(fake->fd, path, AT_REMOVEDIR) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		fake_format_path(path, "kernel/iommu_groups/%s/%s", group, files[i]);
		fake_unlink(fake, path);
	}
	fake_format_path(path, "kernel/iommu_groups/%s", group);
	if (unlinkat(fake->fd, path, AT_REMOVEDIR) < 0)
		fake_die("%s", path);
}

static void join_group(struct fake_sysfs *fake, const char *folder, const char *address, int group)
{
	char path[PATH_MAX], link[PATH_MAX];

	fake_format_path(path, "kernel/iommu_groups/%d", group);
	if (faccessat(fake->fd, path, F_OK, 0) < 0)
		fake_sysfs_add_group(fake, group, "DMA\n", NULL);
	fake_format_path(link, "%s/devices/%s", path, address);
	fake_make_link(fake, link, folder);
	fake_format_path(link, "%s/iommu_group", folder);
	fake_make_link(fake, link, path);
}

void fake_sysfs_set_group(struct fake_sysfs *fake, const char *address, int group)
{
	char folder[PATH_MAX], bus[64];

	need_device(fake, address, folder, bus);
	leave_group(fake, folder, address);
	if (group != FAKE_NO_GROUP)
		join_group(fake, folder, address, group);
}

static void write_uevent(struct fake_sysfs *fake, const char *folder, const struct fake_device *device, bool pci)
{
	char path[PATH_MAX], text[TEXT_MAX] = "";

	if (pci)
		snprintf(text, sizeof(text),
			 "PCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n", device->class,
			 device->vendor, device->device, device->subsystem_vendor, device->subsystem_device,
			 device->address);
	fake_format_path(path, "%s/uevent", folder);
	fake_sysfs_write(fake, path, text);
}

static void write_attributes(struct fake_sysfs *fake, const struct fake_device *device, bool pci)
{
	const char *address = device->address;
	char value[96];

	fake_sysfs_set_attribute(fake, address, "driver_override",
				 device->driver_override ? device->driver_override : "(null)");
	fake_sysfs_set_attribute(fake, address, "numa_node", device->numa_node ? device->numa_node : "-1");
	if (device->reset_method)
		fake_sysfs_set_attribute(fake, address, "reset_method", device->reset_method);
	if (device->boot_vga)
		fake_sysfs_set_attribute(fake, address, "boot_vga", device->boot_vga);
	if (!pci)
		return;
	snprintf(value, sizeof(value), "0x%04x", device->vendor);
	fake_sysfs_set_attribute(fake, address, "vendor", value);
	snprintf(value, sizeof(value), "0x%04x", device->device);
	fake_sysfs_set_attribute(fake, address, "device", value);
	snprintf(value, sizeof(value), "0x%04x", device->subsystem_vendor);
	fake_sysfs_set_attribute(fake, address, "subsystem_vendor", value);
	snprintf(value, sizeof(value), "0x%04x", device->subsystem_device);
	fake_sysfs_set_attribute(fake, address, "subsystem_device", value);
	snprintf(value, sizeof(value), "0x%06x", device->class);
	fake_sysfs_set_attribute(fake, address, "class", value);
	snprintf(value, sizeof(value), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", device->vendor, device->device,
		 device->subsystem_vendor, device->subsystem_device, device->class >> 16, device->class >> 8 & 0xff,
		 device->class & 0xff);
	fake_sysfs_set_attribute(fake, address, "modalias", value);
}

static void link_relatives(struct fake_sysfs *fake, const char *folder, const struct fake_device *device)
{
	char link[PATH_MAX], target[PATH_MAX], bus[64];

	if (device->physfn) {
		need_device(fake, device->physfn, target, bus);
		fake_format_path(link, "%s/physfn", folder);
		fake_make_link(fake, link, target);
	}
	if (device->iommu) {
		fake_format_path(target, "devices/virtual/iommu/%s", device->iommu);
		fake_format_path(link, "%s/iommu", folder);
		fake_make_link(fake, link, target);
	}
}

void fake_sysfs_add_device(struct fake_sysfs *fake, const struct fake_device *device)
{
	const char *bus = device->bus ? device->bus : "pci";
	bool pci = strcmp(bus, "pci") == 0;
	const char *parent = device->parent ? device->parent : pci ? "pci0000:00" : "platform";
	char folder[PATH_MAX], link[PATH_MAX], target[PATH_MAX];

	fake_format_path(folder, "devices/%s/%s", parent, device->address);
	fake_make_folders(fake, folder, true);
	write_uevent(fake, folder, device, pci);
	fake_format_path(target, "bus/%s", bus);
	fake_format_path(link, "%s/subsystem", folder);
	fake_make_link(fake, link, target);
	fake_format_path(link, "bus/%s/devices/%s", bus, device->address);
	fake_make_link(fake, link, folder);
	write_attributes(fake, device, pci);
	link_relatives(fake, folder, device);
	if (device->group != FAKE_NO_GROUP)
		join_group(fake, folder, device->address, device->group);
	if (device->driver)
		fake_sysfs_set_driver(fake, device->address, device->driver);
}

void fake_sysfs_remove_device(struct fake_sysfs *fake, const char *address)
{
	char folder[PATH_MAX], path[PATH_MAX], bus[64];

	if (!find_device(fake, address, folder, bus))
		return;
	fake_sysfs_set_driver(fake, address, NULL);
	leave_group(fake, folder, address);
	fake_format_path(path, "bus/%s/devices/%s", bus, address);
	fake_unlink(fake, path);
	/* Not deleted, for a file system may give its inode to the next one; sysfs does not. */
	fake_make_folders(fake, "removed", true);
	fake_format_path(path, "removed/%u", fake->n_removed++);
	if (renameat(fake->fd, folder, fake->fd, path) < 0)
		fake_die("%s", path);
}
